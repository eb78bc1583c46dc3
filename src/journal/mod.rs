//! Floor 2: an append-only journal. Groups of records are durable before they are acknowledged, and each is there as a whole
//! or not at all.
//!
//! ```text
//! segment-0000000001   | header x 2 | frame | frame | frame ...                | Rotate |
//! segment-0000000002   | header x 2 | frame | frame |  filling ...
//! spare-3              | filling, or a used segment ...
//! spare-4.part         | filling, not all of it durable yet
//! ```
//!
//! The rules that it keeps:
//!
//! 1. Segments are filled, or used before, when a frame is written: no durable write changes metadata. What fills a sector says
//!    which file's it is, and which of its sectors.
//! 2. A group is one [frame], with a check, its number, its place, and the check of the frame before it.
//! 3. An error while writing is final. Nothing is tried again, nothing is acknowledged after it.
//! 4. A frame that is not there, though it was durable, is damage: the journal is not read, and says where. That it was
//!    durable is known from what was written later. Only a tail that never was durable is cut.
//! 5. The last frame has no later one. So a frame of one sector is written twice, and a longer one is acknowledged only when a
//!    later frame is durable: the next group, or an empty [`Kind::Mark`].
//! 6. Writes that stop short are continued. Room is made ahead.

mod append;
mod buffer;
#[cfg(unix)]
pub mod disk;
mod error;
pub mod frame;
mod scan;
mod segment;
pub mod sim;
mod spares;
pub mod storage;

pub use append::{Journal, Options, SyncPolicy, Written};
pub use buffer::Buffer;
pub use error::JournalError;
pub use frame::{FrameBuffer, Header, Kind, Label};
pub use scan::{Recovered, scan};
pub use segment::{JournalId, Listed, Segment, segments};
pub use spares::{Spares, spare};
