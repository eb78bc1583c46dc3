//! Making a ledger: at genesis, or with a state that an engine has.

use super::directory::{self, Meta};
use super::sessions::Sessions;
use super::snapshot::{self, Head};
use super::{DurableError, DurableNode, DurableOptions, group_max};
use crate::block::{ChainParams, Tip};
use crate::engine::Engine;
use crate::hash::Digest;
use crate::journal::JournalId;
use crate::journal::storage::Storage;
use crate::node::Clock;
use crate::seal::Watch;
use crate::types::Sequence;
use std::sync::Arc;

impl<E: Engine, S: Storage> DurableNode<E, S> {
    /// Makes a ledger in an empty folder.
    ///
    /// # Errors
    /// The folder holds something, the disk fails or is full, or the options make no sense.
    pub fn create(
        storage: S,
        id: JournalId,
        params: ChainParams,
        options: DurableOptions,
        clock: Clock,
        watch: Arc<Watch>,
    ) -> Result<Self, DurableError> {
        let meta = Meta { id, params, from_state: false };
        Self::make(storage, meta, options, clock, watch, |_| Ok(()))
    }

    /// Makes a ledger in an empty folder that goes on from an engine's state: its next command has sequence `next`, its next block
    /// height 0. A first snapshot holds the state, and without a snapshot the ledger cannot be opened. Nothing is known of who
    /// sent the commands before.
    ///
    /// That `next` is larger than the id of every order in the state, the caller answers for.
    ///
    /// # Errors
    /// The folder holds something, the disk fails or is full, the engine has other rules than the chain, or the options make no
    /// sense.
    #[allow(clippy::too_many_arguments)]
    pub fn create_from(
        storage: S,
        id: JournalId,
        params: ChainParams,
        engine: &E,
        next: Sequence,
        options: DurableOptions,
        clock: Clock,
        watch: Arc<Watch>,
    ) -> Result<Self, DurableError> {
        if *engine.rules() != params.rules || next == 0 {
            let why = "a state with other rules than the chain's, or with no first command, begins no ledger";
            return Err(DurableError::Options(why.to_string()));
        }
        let meta = Meta { id, params, from_state: true };
        // All of the journal is behind it. When the last command was sequenced the engine does not know.
        let tip = Tip::genesis(params);
        let head = Head { id, next, time: 0, frame: 1, tip, state_root: Digest::default() };
        let sessions = Sessions::new(options.memory);
        let begin = |storage: &S| snapshot::write(storage, false, &head, engine, &sessions, 0).map(drop);
        Self::make(storage, meta, options, clock, watch, begin)
    }

    fn make(
        storage: S,
        meta: Meta,
        options: DurableOptions,
        clock: Clock,
        watch: Arc<Watch>,
        begin: impl FnOnce(&S) -> Result<(), DurableError>,
    ) -> Result<Self, DurableError> {
        meta.params.validate().map_err(|error| DurableError::Options(error.to_string()))?;
        group_max(&options)?;
        let journal = directory::create(&storage, &meta, options.journal, || begin(&storage))?;
        drop(journal);
        // A new ledger is one whose commands are all to come: one way in is enough.
        Self::open(storage, Some(&meta.params), options, clock, watch, &mut |_| {}).map(|(node, _)| node)
    }
}
