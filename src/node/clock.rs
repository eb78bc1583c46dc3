//! The clock, read once when commands are sequenced. Everything behind it is deterministic.

use crate::types::{Sequence, TimeNs};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where a node's time stamps come from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The system's clock as it was once, and the time since then: whoever sets it later, forward or back, does not move the
    /// time of commands.
    System {
        /// Nanoseconds since 1970, then.
        start: TimeNs,
        /// When that was.
        since: Instant,
    },
    /// A simulated clock, so that the same run gives the same blocks: command `n` is sequenced at `start + n x step`.
    Simulated {
        /// Nanoseconds since 1970.
        start: TimeNs,
        /// Nanoseconds per command.
        step: TimeNs,
    },
}

impl Clock {
    /// The system's clock from now on.
    pub fn system() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as TimeNs);
        Clock::System { start, since: Instant::now() }
    }

    /// The time at which the command with this sequence is sequenced.
    #[inline]
    pub fn read(&self, sequence: Sequence) -> TimeNs {
        match *self {
            Clock::System { start, since } => start.saturating_add(since.elapsed().as_nanos() as TimeNs),
            Clock::Simulated { start, step } => start.saturating_add(step.saturating_mul(sequence)),
        }
    }
}
