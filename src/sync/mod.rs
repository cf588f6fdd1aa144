//! What must travel and what arrived. Pure: no clock, no socket, no thread; it neither knows addresses nor
//! bytes on a wire.

pub mod message;
