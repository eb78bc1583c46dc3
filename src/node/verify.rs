//! Verification of a chain file by a third party: the structure of every block, then everything again by replay.

use crate::block::{
    BlockError, ChainFileError, ChainParams, ChainReader, LastTransaction, StateTree, StoredBlock, Tip, check_block,
};
use crate::command::{Batch, Sequenced};
use crate::engine::{AccountRecord, Engine};
use crate::event::{Event, EventLog};
use crate::hash::{Digest, Hashing, to_hex};
use crate::optimized::Optimized;
use crate::types::Rules;
use std::io::Read;
use thiserror::Error;

/// What a valid chain contains.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Blocks.
    pub blocks: u64,
    /// Transactions, seal records not counted.
    pub transactions: u64,
    /// Trades.
    pub fills: u64,
    /// Hash of the last header.
    pub tip: Digest,
    /// State root after the last block.
    pub state_root: Digest,
    /// Base-2 logarithm of the expected number of hashes that all blocks' targets ask for.
    pub work_log2: f64,
}

/// Why a chain is refused.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The file is damaged, or no chain file.
    #[error(transparent)]
    File(#[from] ChainFileError),
    /// A block breaks the rules of the chain.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The chain asks for more memory than this replay grants.
    #[error("the chain's limits ({accounts} accounts, {orders} orders) are larger than this program replays")]
    Limits {
        /// Its account limit.
        accounts: u32,
        /// Its order limit.
        orders: u32,
    },
    /// The stored events are not what the command causes.
    #[error("block {height}, command {sequence}: replay gives {replayed:?}, the block says {stored:?}")]
    Events {
        /// Which block.
        height: u64,
        /// Which command.
        sequence: u64,
        /// What the engine says.
        replayed: Vec<Event>,
        /// What the block says.
        stored: Vec<Event>,
    },
    /// The state after the block is not the one that it commits to.
    #[error("block {height}: replay gives state root {replayed}, the seal says {stored}")]
    StateRoot {
        /// Which block.
        height: u64,
        /// What the engine says, in hex.
        replayed: String,
        /// What the block says, in hex.
        stored: String,
    },
    /// The number of accounts after the block is not the one that it commits to.
    #[error("block {height}: replay opens {replayed} accounts, the seal says {stored}")]
    Accounts {
        /// Which block.
        height: u64,
        /// What the engine says.
        replayed: u32,
        /// What the block says.
        stored: u32,
    },
}

/// Verifies a chain file: linkage, work, Merkle roots, and events and state roots by replay from genesis. `progress` is
/// told the number of blocks done.
///
/// # Errors
/// The first thing that is wrong, with its block.
pub fn verify<R: Read>(source: R, progress: &mut dyn FnMut(u64)) -> Result<Verified, VerifyError> {
    let mut reader = ChainReader::open(source)?;
    let params = *reader.params();
    let mut replay = Replay::new(&params)?;
    let mut verified = Verified {
        blocks: 0,
        transactions: 0,
        fills: 0,
        tip: params.hash(),
        state_root: Digest::default(),
        work_log2: f64::NEG_INFINITY,
    };
    let mut work = 0.0;
    let (mut tip, mut last) = (Tip::genesis(params), LastTransaction::default());
    while let Some(block) = reader.next_block()? {
        let height = verified.blocks;
        verified.tip = check_block(&block, &tip, last)?;
        last = last.of(&block.commands);
        tip.extend(&block.header, verified.tip);
        verified.fills += replay.block(height, &block)?;
        verified.transactions += u64::from(block.seal.transactions);
        verified.state_root = block.seal.state_root;
        verified.blocks += 1;
        work += block.header.work();
        verified.work_log2 = f64::log2(work);
        progress(verified.blocks);
    }
    if verified.blocks == 0 {
        return Err(BlockError::Empty { block: 0 }.into());
    }
    Ok(verified)
}

/// The ledger, built again from the chain.
struct Replay {
    engine: Optimized,
    tree: StateTree,
    log: EventLog,
    changed: Vec<AccountRecord>,
    records: Vec<(u32, [u8; AccountRecord::ENCODED_LEN])>,
}

impl Replay {
    fn new(params: &ChainParams) -> Result<Self, VerifyError> {
        // A crafted file must not make its reader reserve memory without end: 2^26 orders are 2 GiB, lazily.
        let Rules { limits, .. } = params.rules;
        if limits.accounts > 1 << 26 || limits.orders > 1 << 26 {
            return Err(VerifyError::Limits { accounts: limits.accounts, orders: limits.orders });
        }
        Ok(Replay {
            engine: Optimized::new(params.rules),
            tree: StateTree::new(),
            log: EventLog::default(),
            changed: Vec::new(),
            records: Vec::new(),
        })
    }

    /// Does a block's commands again; returns its number of fills.
    fn block(&mut self, height: u64, block: &StoredBlock) -> Result<u64, VerifyError> {
        let mut fills = 0;
        for (Sequenced { sequence, time, command }, stored) in block.transactions() {
            self.log.clear();
            let batch = Batch { first: sequence, time, commands: std::slice::from_ref(&command) };
            self.engine.apply(batch, &mut self.log);
            if self.log.events != stored {
                let (replayed, stored) = (self.log.events.clone(), stored.to_vec());
                return Err(VerifyError::Events { height, sequence, replayed, stored });
            }
            fills += stored.iter().filter(|event| matches!(event, Event::Fill { .. })).count() as u64;
        }
        self.changed.clear();
        self.engine.take_changed(&mut self.changed);
        self.records.clear();
        self.records.extend(self.changed.iter().map(|record| (record.account.0, record.encode())));
        self.tree.update(&mut self.records, Hashing::on_one_core());
        let (replayed, stored) = (self.tree.root(), block.seal.state_root);
        if replayed != stored {
            return Err(VerifyError::StateRoot { height, replayed: to_hex(&replayed), stored: to_hex(&stored) });
        }
        let (replayed, stored) = (self.engine.accounts(), block.seal.accounts);
        if replayed != stored {
            return Err(VerifyError::Accounts { height, replayed, stored });
        }
        Ok(fills)
    }
}
