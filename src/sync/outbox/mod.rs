//! The outbox: writes of this node that its peers do not hold yet.

pub(super) mod class_counts;
pub(crate) mod held_back;
pub(super) mod key_classes;
pub(super) mod progress_marks;
pub(super) mod rejected;
pub mod rows;
pub mod watermarks;
