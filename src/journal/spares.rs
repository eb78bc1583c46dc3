//! Segments made ahead: filled, or used before. Writing into them changes no metadata, which makes a durable write several times
//! as fast; and when the disk is full, that is known before a command is accepted.
//!
//! `spare-3.part` is being filled, and gets the name `spare-3` when all of it is durable. Its length alone would not tell: a
//! process that goes on after another one sees in memory what never reached the disk.

use super::JournalError;
use super::segment::{Filling, JournalId, Segment};
use super::storage::{Access, Storage, StoredFile, fill};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

const NAME: &str = "spare-";
const PART: &str = ".part";

/// The files that are ready to become segments. Shared: whoever has time makes more.
#[derive(Debug)]
pub struct Spares<S: Storage> {
    storage: S,
    filling: Filling,
    length: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Numbers of files.
    ready: Vec<u64>,
    next: u64,
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The name of a spare file. It keeps its number when it becomes a segment, and has this name again when it is none any more.
pub(super) fn name_of(file: u64) -> String {
    format!("{NAME}{file}")
}

fn part_of(file: u64) -> String {
    format!("{NAME}{file}{PART}")
}

/// The number of the spare file with this name, if it is one, and whether it is finished.
pub fn spare(name: &str) -> Option<(u64, bool)> {
    let whole = name.strip_suffix(PART);
    let number = whole.unwrap_or(name).strip_prefix(NAME)?.parse().ok()?;
    let expected = if whole.is_some() { part_of(number) } else { name_of(number) };
    (name == expected).then_some((number, whole.is_none()))
}

impl<S: Storage> Spares<S> {
    /// Finds those that are there, beside the files of these segments. What was not finished is removed.
    pub(super) fn open(
        storage: S,
        id: &JournalId,
        length: u64,
        segments: impl Iterator<Item = u64>,
    ) -> Result<Self, JournalError> {
        let mut state = State { ready: Vec::new(), next: 1 + segments.max().unwrap_or(0) };
        for name in storage.names().map_err(JournalError::io("listing", "the journal's folder"))? {
            let Some((number, finished)) = spare(&name) else { continue };
            state.next = state.next.max(number.saturating_add(1));
            let file = storage.open(&name, Access::Read).map_err(JournalError::io("opening", &name))?;
            if finished && file.length().map_err(JournalError::io("reading its length", &name))? == length {
                state.ready.push(number);
            } else {
                storage.remove(&name).map_err(JournalError::io("removing", &name))?;
            }
        }
        // In the same order wherever this is run.
        state.ready.sort_unstable();
        Ok(Spares { storage, filling: Filling::new(id), length, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.state().ready.len()
    }

    /// Makes one more. It writes a whole segment: do it beside, not in between.
    ///
    /// # Errors
    /// [`JournalError::Full`], or the disk fails; what was begun is removed, as far as that goes.
    pub fn prepare(&self) -> Result<(), JournalError> {
        self.prepare_at_leisure(|_| true)
    }

    /// The same in steps of a MiB. `pause` is told how long each took; it may wait, so that the disk has time for
    /// others, and says whether to go on.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare), or it was given up.
    pub fn prepare_at_leisure(&self, pause: impl Fn(Duration) -> bool) -> Result<(), JournalError> {
        let number = {
            let mut state = self.state();
            state.next += 1;
            state.next - 1
        };
        let made = self.make(number, pause);
        match made {
            Ok(()) => self.state().ready.push(number),
            // It is the reason for the removal that matters, not how that went.
            Err(_) => drop(self.storage.remove(&part_of(number))),
        }
        made.map_err(|error| match &error {
            JournalError::Io { source, .. } if is_full(source) => JournalError::Full { why: error.to_string() },
            _ => error,
        })
    }

    fn make(&self, number: u64, pause: impl Fn(Duration) -> bool) -> Result<(), JournalError> {
        let name = &part_of(number);
        let mut file = self.storage.create(name, Access::Write).map_err(JournalError::io("creating", name))?;
        let filled = fill(&mut file, self.length, |sector, bytes| self.filling.mark(number, sector, bytes), pause);
        filled.map_err(JournalError::io("filling it", name))?;
        let length = file.length().map_err(JournalError::io("reading its length", name))?;
        if length < self.length {
            let text = format!("{} bytes were written, and {length} are there: the rest went elsewhere", self.length);
            return Err(JournalError::io("filling it", name)(io::Error::other(text)));
        }
        self.storage.rename(name, &name_of(number)).map_err(JournalError::io("renaming", name))
    }

    /// Takes one that is ready.
    pub(super) fn take(&self) -> Option<u64> {
        self.state().ready.pop()
    }

    /// Makes a spare of a segment that is not needed any more, if it is as long as the others; otherwise, or where there are
    /// enough, removes it. Durable with the next sync of names.
    pub(super) fn recycle(&self, segment: &Segment, enough: usize) -> Result<(), JournalError> {
        let name = &segment.name();
        if segment.length != self.length || self.ready() >= enough {
            return self.storage.remove(name).map_err(JournalError::io("removing", name));
        }
        self.storage.rename(name, &name_of(segment.file)).map_err(JournalError::io("renaming", name))?;
        self.state().ready.push(segment.file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(spare("spare-3"), Some((3, true)));
        assert_eq!(spare("spare-3.part"), Some((3, false)));
        for other in ["spare-", "spare-03", "spare-+3", "spare-3.par", "spare-x.part", "segment-0000000003", "3.part"] {
            assert_eq!(spare(other), None, "{other}");
        }
    }
}
