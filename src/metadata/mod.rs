//! The description of this node for people and peers. Never application data.

mod info;
mod platform;

pub use info::{Capability, NodeInfo, decode_label};
pub use platform::{hostname, os_name};
