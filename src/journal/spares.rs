//! Segments made ahead: filled with zeros, or used before. Writing into them changes no metadata, which makes a durable write
//! four times as fast; and when the disk is full, that is known before a command is accepted.

use super::JournalError;
use super::storage::{Access, Storage, StoredFile, fill_with_zeros};
use std::sync::Mutex;

const NAME: &str = "spare-";

/// The files that are ready to become segments. Shared: whoever has time makes more.
#[derive(Debug)]
pub struct Spares<S: Storage> {
    storage: S,
    length: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ready: Vec<String>,
    next: u64,
}

impl<S: Storage> Spares<S> {
    /// Finds those that are there. What was not finished is removed.
    pub(super) fn open(storage: S, length: u64) -> Result<Self, JournalError> {
        let mut state = State { ready: Vec::new(), next: 1 };
        for name in storage.names().map_err(JournalError::io("listing", "the journal's folder"))? {
            let Some(number) = name.strip_prefix(NAME) else { continue };
            state.next = state.next.max(number.parse().map_or(0, |number: u64| number.saturating_add(1)));
            let file = storage.open(&name, Access::Read).map_err(JournalError::io("opening", &name))?;
            if file.length().map_err(JournalError::io("reading its length", &name))? == length {
                state.ready.push(name);
            } else {
                storage.remove(&name).map_err(JournalError::io("removing", &name))?;
            }
        }
        // In the same order wherever this is run.
        state.ready.sort_unstable();
        Ok(Spares { storage, length, state: Mutex::new(state) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.state().ready.len()
    }

    /// Makes one more. It writes a whole segment of zeros: do it beside, not in between.
    ///
    /// # Errors
    /// The disk is full, or fails; what was begun is removed, as far as that goes.
    pub fn prepare(&self) -> Result<(), JournalError> {
        let name = self.new_name();
        let made = self.make(&name);
        match made {
            Ok(()) => self.state().ready.push(name),
            Err(_) => drop(self.storage.remove(&name)),
        }
        made
    }

    fn make(&self, name: &str) -> Result<(), JournalError> {
        let mut file = self.storage.create(name, Access::Write).map_err(JournalError::io("creating", name))?;
        fill_with_zeros(&mut file, self.length).map_err(JournalError::io("filling it with zeros", name))
    }

    fn new_name(&self) -> String {
        let mut state = self.state();
        state.next += 1;
        format!("{NAME}{}", state.next - 1)
    }

    /// Takes one that is ready.
    pub(super) fn take(&self) -> Option<String> {
        self.state().ready.pop()
    }

    /// Puts back one that was taken and is as it was.
    pub(super) fn put_back(&self, name: String) {
        self.state().ready.push(name);
    }

    /// Makes a spare of a segment that is not needed any more, if it is as long as the others; otherwise, or where there are
    /// enough, removes it. Durable with the next sync of names.
    pub(super) fn recycle(&self, segment: &str, length: u64, enough: usize) -> Result<(), JournalError> {
        if length != self.length || self.ready() >= enough {
            return self.storage.remove(segment).map_err(JournalError::io("removing", segment));
        }
        let name = self.new_name();
        self.storage.rename(segment, &name).map_err(JournalError::io("renaming", segment))?;
        self.put_back(name);
        Ok(())
    }
}
