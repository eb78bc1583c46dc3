//! The sealing station: turns what a block's commands did into a sealed block. It owns the chain's tip and the state tree;
//! it gets its input by value and never looks back at the engine, so it can run on a thread of its own.

use super::stack::SealPlan;
use crate::block::{Body, ChainParams, Header, SealRecord, StateTree, Target, Tip, merkle};
use crate::engine::AccountRecord;
use crate::hash::{Digest, Hashing, sha256d};
use crate::measure::{LatencyRecorder, Stage, StageTimes};
use crate::seal::{self, Sealed, Watch};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What the engine's side hands over when a block closes.
#[derive(Debug, Default)]
pub struct ClosedBlock {
    /// Its commands and events.
    pub body: Body,
    /// Accepted commands among them.
    pub transactions: u32,
    /// Records of the accounts that may have changed, as of the end of the block.
    pub changed: Vec<AccountRecord>,
    /// Accounts open at the end of the block.
    pub accounts: u32,
    /// When operations of this block were submitted, and how many then; filled only when latencies are sampled.
    pub submitted: Vec<(Instant, u32)>,
}

impl ClosedBlock {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.body.clear();
        self.changed.clear();
        self.submitted.clear();
        self.transactions = 0;
    }
}

/// Somebody who wants every sealed block, such as a chain file. An error stops the node.
pub type BlockSink = Box<dyn FnMut(&Header, &SealRecord, &Body) -> Result<(), String> + Send>;

/// What a station has sealed so far.
#[derive(Clone, Debug)]
pub struct SealTotals {
    /// Blocks sealed.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Nonces up to and including each winning one.
    pub hashes: u64,
    /// Hash of the last header; before the first block, what that block's `previous` is.
    pub tip: Digest,
    /// Wall time by stage, until the last block was sealed; of a station beside, with its waiting for blocks.
    pub times: StageTimes,
    /// From submission to sealed block, in ns per operation, if sampled.
    pub latency: LatencyRecorder,
}

/// Why a node stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The run was cancelled while a block was being sealed.
    #[error("cancelled while a block was being sealed")]
    Cancelled,
    /// A sealed block could not be stored.
    #[error("block {height} could not be stored: {reason}")]
    Sink {
        /// Which block.
        height: u64,
        /// Why.
        reason: String,
    },
    /// A block that was sealed before is not what its commands give now.
    #[error("block {height} was sealed as {stored}; its commands now give {derived}")]
    Differs {
        /// Which block.
        height: u64,
        /// Header and seal record as they were sealed.
        stored: String,
        /// As they are now, with the same nonces.
        derived: String,
    },
}

/// A block's seal as it was recorded: all that a search would have to find again.
pub type Seal = (Header, SealRecord);

/// A block's time, divided up.
struct Laps {
    at: Instant,
    times: StageTimes,
}

impl Laps {
    /// What came since the last lap belongs to `stage`.
    fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.times.stage_ns[stage] += now.duration_since(self.at).as_nanos() as f64;
        self.at = now;
    }
}

/// See the module.
pub struct SealStation {
    tip: Tip,
    /// Seals of the next blocks, which were sealed before: they are derived again and compared, not searched.
    recorded: VecDeque<Seal>,
    plan: SealPlan,
    hashing: Hashing,
    tree: StateTree,
    totals: SealTotals,
    watch: Arc<Watch>,
    sink: Option<BlockSink>,
    leaves: Vec<Digest>,
    records: Vec<(u32, [u8; AccountRecord::ENCODED_LEN])>,
}

impl SealStation {
    /// A station for the first block of a chain, after a state with these accounts.
    pub fn new(
        params: ChainParams,
        plan: SealPlan,
        accounts: impl Iterator<Item = AccountRecord>,
        watch: Arc<Watch>,
        sink: Option<BlockSink>,
    ) -> Self {
        Self::resume(Tip::genesis(params), VecDeque::new(), plan, accounts, watch, sink)
    }

    /// A station for the block after `tip`, at which the accounts had these records. The seals of the first blocks are known
    /// already: `recorded`.
    pub fn resume(
        tip: Tip,
        recorded: VecDeque<Seal>,
        plan: SealPlan,
        accounts: impl Iterator<Item = AccountRecord>,
        watch: Arc<Watch>,
        sink: Option<BlockSink>,
    ) -> Self {
        let totals = SealTotals {
            blocks: 0,
            transactions: 0,
            hashes: 0,
            tip: tip.hash(),
            times: StageTimes::default(),
            latency: LatencyRecorder::new(),
        };
        let mut station = SealStation {
            tip,
            recorded,
            plan,
            hashing: if plan.fast_hashing { Hashing::fast() } else { Hashing::NAIVE },
            tree: StateTree::new(),
            totals,
            watch,
            sink,
            leaves: Vec::new(),
            records: Vec::new(),
        };
        station.update_state(accounts);
        // All accounts at once do not come again.
        station.records = Vec::new();
        station
    }

    /// Root over the accounts as they are now.
    pub(super) fn state_root(&self) -> Digest {
        self.tree.root()
    }

    fn update_state(&mut self, changed: impl Iterator<Item = AccountRecord>) -> Digest {
        self.records.clear();
        self.records.extend(changed.map(|record| (record.account.0, record.encode())));
        self.tree.update(&mut self.records, self.hashing);
        self.tree.root()
    }

    /// Hashes, seals and hands on one block.
    ///
    /// # Errors
    /// Cancelled, or the sink failed; the station must not be used any more then.
    pub fn seal(&mut self, block: &ClosedBlock) -> Result<(), NodeError> {
        let began = Instant::now();
        let mut clock = Laps { at: began, times: StageTimes::default() };
        let state_root = self.update_state(block.changed.iter().copied());
        clock.lap(Stage::StateRoot);

        let (first_sequence, last_sequence) = block.body.sequences().expect("a closed block has transactions");
        let mut record = SealRecord {
            transactions: block.transactions,
            height: self.tip.height(),
            extra_nonce: self.recorded.front().map_or(0, |(_, recorded)| recorded.extra_nonce),
            first_sequence,
            last_sequence,
            state_root,
            accounts: block.accounts,
        };
        self.leaves.clear();
        self.leaves.push(sha256d(&record.encode()));
        block.body.leaves(&mut self.leaves, self.hashing);
        debug_assert_eq!(self.leaves.len(), 1 + block.transactions as usize);
        clock.lap(Stage::Leaves);

        let seal_branch = merkle::fold_with_first_branch(&mut self.leaves, self.hashing);
        clock.lap(Stage::Merkle);

        let time = block.body.last_time().expect("a closed block has transactions");
        let header = self.tip.next(Header::seconds(time));
        let target = Target::from_bits(header.bits).expect("checked when the chain was made");
        let sealed: Sealed = match self.recorded.pop_front() {
            Some(recorded) => self.seal_again(header, &record, recorded)?,
            None => seal::seal(header, &mut record, &seal_branch, &target, self.plan.search, &self.watch)
                .ok_or(NodeError::Cancelled)?,
        };
        clock.lap(Stage::Seal);

        if let Some(sink) = &mut self.sink {
            sink(&sealed.header, &record, &block.body)
                .map_err(|reason| NodeError::Sink { height: self.tip.height(), reason })?;
        }
        let now = Instant::now();
        for &(submitted, operations) in &block.submitted {
            let waited_ns = now.duration_since(submitted).as_nanos() as u64;
            self.totals.latency.record_n(waited_ns, u64::from(operations));
        }
        if self.sink.is_some() {
            clock.lap(Stage::Keep);
        }
        self.totals.blocks += 1;
        self.totals.transactions += u64::from(block.transactions);
        self.totals.hashes += sealed.hashes;
        self.totals.tip = sealed.hash;
        self.tip.extend(&sealed.header, sealed.hash);
        clock.times.wall_ns = began.elapsed().as_nanos() as f64;
        self.totals.times += &clock.times;
        Ok(())
    }

    /// Seals with the nonce that was found before, and compares.
    fn seal_again(&self, header: Header, record: &SealRecord, recorded: Seal) -> Result<Sealed, NodeError> {
        let header = Header { merkle_root: self.leaves[0], nonce: recorded.0.nonce, ..header };
        if (header, *record) != recorded || self.tip.check(&header).is_err() {
            let (stored, derived) = (format!("{recorded:?}"), format!("{:?}", (header, record)));
            return Err(NodeError::Differs { height: record.height, stored, derived });
        }
        Ok(Sealed { header, hash: header.hash(), hashes: 0 })
    }

    /// Counts the time that was waited for a block.
    pub(super) fn waited(&mut self, ns: f64) {
        self.totals.times.wall_ns += ns;
        self.totals.times.stage_ns[Stage::Wait] += ns;
    }

    /// What was sealed.
    pub fn into_totals(self) -> SealTotals {
        self.totals
    }
}
