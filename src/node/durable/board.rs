//! What those who work on a durable ledger beside each other tell each other: how far the journal is.

use super::DurableError;
use crate::block::Tip;
use crate::hash::Digest;
use crate::journal::Written;
use crate::measure::PerStage;
use crate::types::Sequence;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// How far everything is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The last command that may be answered: it is durable.
    pub acknowledged: Sequence,
    /// So many blocks' seals are durable.
    pub sealed: u64,
    /// The last frame that was written.
    pub frame: u64,
    /// What was written since the journal was opened.
    pub written: Written,
    /// Bytes that fit the journal's current segment.
    pub room: u64,
    /// Segments that are ready behind it.
    pub ahead: usize,
    /// Segments that its limit of bytes allows behind it.
    pub allowed: usize,
    /// Bytes of all its segments.
    pub held: u64,
    /// Why there is no other segment, if one could not be made.
    pub full: Option<String>,
    /// The first error; nothing goes on after it.
    pub stopped: Option<String>,
    /// The chain's end, and the state root there, as far as it is sealed.
    pub tip: Option<(Tip, Digest)>,
    /// At how many blocks somebody wants to know the same.
    pub wanted: Option<u64>,
    /// What they wanted to know.
    pub found: Option<(Tip, Digest)>,
    /// No other block is sealed.
    pub sealing_ended: bool,
    /// So many are being written: there may be more room when they are done.
    pub snapshots_going: u32,
    /// How often it was asked that all be durable, whatever the policy, and the last time that it was so.
    pub sync_asked: u64,
    pub synced: u64,
    /// Snapshots that were written since the ledger was opened.
    pub snapshots: u64,
    /// Why the last one was not written, if it was not.
    pub snapshot_failed: Option<String>,
    /// The ledger is being closed.
    pub closing: bool,
    /// Where the time of the thread goes that writes the journal.
    pub journal: JournalTimes,
}

/// Where the time of the thread goes that writes the journal, if somebody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct JournalTimes {
    /// Since when somebody looks.
    pub since: Option<Instant>,
    /// ns by stage since then.
    pub stage_ns: PerStage<f64>,
}

impl Progress {
    /// A snapshot is done with. One without threads was never going.
    pub fn snapshot_ends(&mut self) {
        self.snapshots_going = self.snapshots_going.saturating_sub(1);
    }

    /// A snapshot could not be written.
    pub fn snapshot_fails(&mut self, why: String) {
        self.snapshot_failed = Some(why);
        self.snapshot_ends();
    }

    /// What whoever makes segments ahead looks at.
    fn of_segments(&self) -> (usize, usize, bool, bool, bool) {
        (self.ahead, self.allowed, self.full.is_some(), self.stopped.is_some(), self.closing)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Board {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// For whoever makes segments ahead: woken only when it may concern him, since every wake takes a core from somebody.
    segments: Condvar,
}

impl Board {
    /// How far it is now.
    pub fn read(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Says something, and wakes all who wait.
    pub fn say(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.read();
        let before = progress.of_segments();
        change(&mut progress);
        let segments = progress.of_segments() != before;
        drop(progress);
        self.changed.notify_all();
        if segments {
            self.segments.notify_all();
        }
    }

    /// Records the first error.
    pub fn stop(&self, error: &impl ToString) {
        self.say(|progress| {
            progress.stopped.get_or_insert_with(|| error.to_string());
        });
    }

    /// Waits until `ready` gives something, or the ledger has stopped.
    pub fn wait<T>(&self, ready: impl FnMut(&mut Progress) -> Option<T>) -> Result<T, DurableError> {
        self.wait_on(&self.changed, ready)
    }

    /// The same for what [`Progress::of_segments`] shows.
    pub fn wait_for_segments<T>(&self, ready: impl FnMut(&mut Progress) -> Option<T>) -> Result<T, DurableError> {
        self.wait_on(&self.segments, ready)
    }

    fn wait_on<T>(
        &self,
        condition: &Condvar,
        mut ready: impl FnMut(&mut Progress) -> Option<T>,
    ) -> Result<T, DurableError> {
        let mut progress = self.read();
        loop {
            if let Some(first) = &progress.stopped {
                return Err(DurableError::Stopped { first: first.clone() });
            }
            if let Some(found) = ready(&mut progress) {
                return Ok(found);
            }
            progress = condition.wait(progress).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

/// Held by a thread: should it panic, nobody waits for it.
pub struct Guard(pub Arc<Board>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(&"a thread of the ledger has panicked: this is a bug");
        }
    }
}
