//! An append-only journal: groups of records, durable before they are acknowledged, each there as a whole or not at all.
mod buffer;
pub mod frame;
pub mod storage;

pub use buffer::Buffer;
