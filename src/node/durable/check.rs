//! What is in a folder, looked at and not touched.

use super::board::Board;
use super::directory::{self, Meta};
use super::recover::{Found, Recovered};
use super::sessions::Memory;
use super::{DurableError, Pending, Progress, recover_with};
use crate::block::{ChainParams, Tip};
use crate::engine::Engine;
use crate::journal::storage::Storage;
use crate::node::{BlockPolicy, SealPlan};
use crate::seal::{Search, Watch};
use crate::types::Sequence;
use std::sync::{Arc, Mutex};

/// What is in a folder, without changing anything: the state after all that is durable, its chain compared with every seal.
///
/// # Errors
/// As [`DurableNode::open`](super::DurableNode::open).
pub fn check<E: Engine, S: Storage>(
    storage: &S,
    params: Option<&ChainParams>,
    memory: Memory,
    progress: &mut dyn FnMut(Progress),
) -> Result<Checked<E>, DurableError> {
    let meta = directory::expect(storage, params)?;
    let plan = SealPlan { search: Search::Parallel, fast_hashing: true, beside: false };
    // Blocks that were not sealed stay as they are.
    let policy = BlockPolicy { transactions: u32::MAX, interval: None, plan };
    let board = Arc::new(Board::default());
    let pending = Arc::new(Mutex::new(Pending::<S>::Nobody));
    let watch = Arc::new(Watch::new());
    let recovered: Recovered<E> = recover_with(storage, meta, policy, memory, &watch, &board, &pending, progress)?;
    let Recovered { core, start, found, .. } = recovered;
    let (tip, _) = board.read().tip.clone().unwrap_or(start);
    let unsealed = core.node.filling.transactions;
    let (next, clients) = (core.next(), core.sessions.clients().len());
    let kept_answers = core.sessions.groups().map(|group| group.log.len() as u64).sum();
    Ok(Checked { meta, engine: core.node.engine, tip, next, unsealed, clients, kept_answers, found })
}

/// What [`check`] found.
pub struct Checked<E> {
    /// What the folder says it is.
    pub meta: Meta,
    /// The state.
    pub engine: E,
    /// The chain's end.
    pub tip: Tip,
    /// Sequence of the next command.
    pub next: Sequence,
    /// Transactions that are in no sealed block yet.
    pub unsealed: u32,
    /// Clients that are known.
    pub clients: usize,
    /// Commands whose answers are kept.
    pub kept_answers: u64,
    /// How it was found.
    pub found: Found,
}
