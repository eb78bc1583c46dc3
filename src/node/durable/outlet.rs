//! Where sealed blocks go: their seals to the journal, the chain's end to the board.

use super::DurableError;
use super::board::{Board, Guard};
use super::writer::Handle;
use crate::block::Tip;
use crate::journal::storage::Storage;
use crate::node::Seal;
use std::sync::{Arc, Mutex, PoisonError};

/// Where sealed blocks go.
pub struct Outlet<S: Storage> {
    pub board: Arc<Board>,
    pub tip: Tip,
    /// Seals that are in the journal already.
    pub known: u64,
    /// Those that are not, until there is a journal to write to.
    pub pending: Arc<Mutex<Pending<S>>>,
}

pub enum Pending<S: Storage> {
    Until(Vec<Seal>),
    Live(Handle<S>),
    /// The ledger is only read.
    Nobody,
}

/// Should the station panic, nobody waits for it. And whoever waits for a block hears that it will not come, if its search was
/// cancelled.
impl<S: Storage> Drop for Outlet<S> {
    fn drop(&mut self) {
        drop(Guard(self.board.clone()));
        self.board.say(|progress| progress.sealing_ended = true);
    }
}

impl<S: Storage> Outlet<S> {
    /// A block was sealed.
    pub fn sealed(&mut self, seal: Seal) -> Result<(), DurableError> {
        let (header, record) = seal;
        self.tip.extend(&header, header.hash());
        if record.height >= self.known {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *pending {
                Pending::Until(seals) => seals.push(seal),
                Pending::Live(handle) => handle.seal(seal)?,
                Pending::Nobody => {}
            }
        }
        let end = (self.tip.clone(), record.state_root);
        self.board.say(|progress| {
            if progress.wanted == Some(end.0.height()) {
                progress.found = Some(end.clone());
            }
            progress.tip = Some(end);
        });
        Ok(())
    }
}
