//! Floor 2: an engine's events on their way to whoever publishes them on another thread: market data, a tape of trades, an archive.
//!
//! ```
//! use joulebook::command::{Batch, Command};
//! use joulebook::engine::Engine;
//! use joulebook::event::{Event, EventLog};
//! use joulebook::feed::feed;
//! use joulebook::optimized::Optimized;
//! use joulebook::types::Rules;
//!
//! let (mut feed, mut reader) = feed(1 << 12);
//! let publisher = std::thread::spawn(move || {
//!     let mut opened = Vec::new();
//!     while !reader.is_closed() {
//!         let read = reader.drain(256, |entry| match entry.event {
//!             Event::Opened { account } => opened.push((entry.sequence, account.0)),
//!             _ => {}
//!         });
//!         if read == 0 {
//!             std::hint::spin_loop();
//!         }
//!     }
//!     opened
//! });
//!
//! let mut market = Optimized::new(Rules::default());
//! let mut log = EventLog::default();
//! let commands = [1, 2, 1].map(|owner| Command::OpenAccount { address: [owner; 32] });
//! market.apply(Batch { first: 1, time: 0, commands: &commands }, &mut log);
//! feed.publish(1, &log).expect("the publisher reads on");
//! drop(feed);
//! // The third is refused: the address is in use.
//! assert_eq!(publisher.join().unwrap(), [(1, 1), (2, 2)]);
//! ```
//!
//! The engine knows nothing of it. Whoever drives the engine decides when its events may be seen: at once, or when their commands are on disk.
//!
//! ```text
//! engine -> EventLog -> Feed -> ring of [sequence, event], 40 bytes each -> Reader (another thread)
//! ```
//!
//! The engine's thread copies, allocates nothing, and waits only while the ring is full; a command that takes it 30 ns takes 35 with a feed, or 46
//! where the two cores are far from each other (`cargo bench --bench ring`). Nothing is lost, so a reader that falls behind by
//! more than the ring holds slows the engine down; who would rather lose events reads them all and throws away what is too old.

use crate::event::{Event, EventLog};
use crate::ring::{self, Consumer, Producer};
use crate::types::Sequence;

/// Entries after which a part of a batch can be read. Many, because whoever waits for news asks for the line on which it says so, and
/// the engine has to fetch that back.
const INTERVAL: usize = 1 << 10;

/// An event, and which command caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The command's.
    pub sequence: Sequence,
    /// What it caused; the events of one command follow one another.
    pub event: Event,
}

/// The reader's end: see [`Consumer::drain`].
pub type Reader = Consumer<Entry>;

/// The engine's end.
pub struct Feed {
    ring: Producer<Entry>,
}

/// The reader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the events any more")]
pub struct NobodyReads;

/// A feed with room for so many events.
///
/// # Panics
/// If the capacity is no power of two.
pub fn feed(capacity: usize) -> (Feed, Reader) {
    let (producer, reader) = ring::bounded(capacity, INTERVAL.min(capacity));
    (Feed { ring: producer }, reader)
}

impl Feed {
    /// Publishes what a log's commands caused, of which the first has this number. Waits while there is no room. Then all of it can be read.
    ///
    /// # Errors
    /// The reader is gone. What was not read is lost.
    ///
    /// # Panics
    /// If the log's last command is not closed.
    pub fn publish(&mut self, first: Sequence, log: &EventLog) -> Result<(), NobodyReads> {
        // Every command causes something, so a command ends at most once per event: no branch that nobody can predict.
        let mut ended = 0;
        for (end, &event) in (1..).zip(&log.events) {
            let sequence = first + ended as Sequence;
            self.ring.push_spin(Entry { sequence, event }).map_err(|_| NobodyReads)?;
            ended += usize::from(log.ends[ended] == end);
        }
        debug_assert_eq!(ended, log.len(), "a command without events");
        self.ring.publish();
        if self.ring.is_closed() { Err(NobodyReads) } else { Ok(()) }
    }
}

const _: () = assert!(size_of::<Entry>() == 40);
