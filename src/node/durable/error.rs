//! What can go wrong with a durable ledger.

use crate::engine::RestoreError;
use crate::journal::JournalError;
use crate::node::NodeError;
use std::io;
use thiserror::Error;

/// Why a durable ledger cannot be opened, or takes no more.
#[derive(Debug, Error)]
pub enum DurableError {
    /// The journal cannot be read or written. While writing, this is final.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file of the ledger cannot be read or written. While writing, this is final.
    #[error("{file}: {action} failed: {source}")]
    Disk {
        /// Which file.
        file: String,
        /// What was to be done.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// There is no room for more. Nothing has changed: what was sent was not accepted, and with room again it can be.
    #[error("the journal is full: {why}")]
    Full {
        /// What the limit is.
        why: String,
    },
    /// An earlier error: what was not acknowledged may or may not be there, so nothing more is taken.
    #[error("the ledger stopped at an error, and takes no more: {first}")]
    Stopped {
        /// That error.
        first: String,
    },
    /// A block could not be sealed, or not as it was before.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The folder holds no ledger.
    #[error("there is no ledger here: {why}")]
    Absent {
        /// What is there instead.
        why: String,
    },
    /// The folder holds something.
    #[error("a ledger is to be made in an empty folder; {found} is there")]
    Occupied {
        /// One of its files.
        found: String,
    },
    /// The file that says what the ledger is cannot be used.
    #[error("the file \"ledger\" {why}; nothing was changed, restore it from a copy")]
    Meta {
        /// What is wrong with it.
        why: String,
    },
    /// The ledger has another format.
    #[error("the ledger has format version {found}; this program reads version {expected}")]
    Version {
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The ledger is another chain's.
    #[error("the ledger is of the chain {found}, and not of {expected}: their rules or difficulties differ")]
    OtherChain {
        /// Hash of its parameters, in hex.
        found: String,
        /// Hash of those that were asked for.
        expected: String,
    },
    /// None of the snapshots can be used, and the journal alone does not reach back to the beginning.
    #[error("no snapshot can be used ({why}), and {source}")]
    NoSnapshot {
        /// What is wrong with each.
        why: String,
        /// What the journal lacks.
        source: JournalError,
    },
    /// The ledger began with a state, and it is not there any more.
    #[error("the ledger began with a state that only its snapshots hold, and none can be used: {why}")]
    NoStart {
        /// What is wrong with each.
        why: String,
    },
    /// A snapshot is whole, and holds no state.
    #[error("the snapshot after {height} blocks holds no state of this ledger: {source}")]
    Restore {
        /// Which one.
        height: u64,
        /// Why not.
        source: RestoreError,
    },
    /// A snapshot is whole, and its sessions make no sense.
    #[error("the snapshot after {height} blocks holds no sessions: {why}")]
    Snapshot {
        /// Which one.
        height: u64,
        /// Why not.
        why: String,
    },
    /// A snapshot's accounts are not those that the block before it was sealed with.
    #[error(
        "the snapshot after {height} blocks has accounts with the root {found}; the block was sealed with {sealed}"
    )]
    StateRoot {
        /// Which one.
        height: u64,
        /// Root of its accounts, in hex.
        found: String,
        /// The seal's.
        sealed: String,
    },
    /// The journal is whole, and what it says cannot be.
    #[error("frame {frame} of the journal {why}")]
    Replay {
        /// Which frame.
        frame: u64,
        /// What is wrong.
        why: String,
    },
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
}

impl DurableError {
    /// For `map_err`: what was to be done, with which file.
    pub(super) fn disk(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> DurableError + Clone {
        let file = file.to_string();
        move |source| DurableError::Disk { file, action, source }
    }
}
