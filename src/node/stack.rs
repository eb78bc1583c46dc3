//! A stack is a set of independent choices; the ladder goes from the baseline's choices to the optimized ones, one at a time.

use crate::baseline::{self, Baseline, MapLedger};
use crate::engine::{Engine, Probed};
use crate::journal::SyncPolicy;
use crate::measure::{Off, Probe, Sampled};
use crate::optimized::{Columns, Market, Optimized};
use crate::seal::Search;

/// Which engine a stack runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Sorted queues and maps.
    Baseline,
    /// The optimized book over the baseline's maps of accounts.
    BookOverMaps,
    /// The optimized book and struct-of-arrays balances.
    Optimized,
}

/// How blocks are hashed and sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealPlan {
    /// How the nonce is searched.
    pub search: Search,
    /// Whether leaves, Merkle nodes and account records are hashed in lanes and on all cores; otherwise one after the other.
    pub fast_hashing: bool,
    /// Whether blocks are sealed on a thread of their own while the engine fills the next.
    pub beside: bool,
}

/// Whether an operation is on disk before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is in memory only.
    None,
    /// A journal beside the engine holds it.
    Journal {
        /// When what was written is made durable.
        policy: SyncPolicy,
    },
}

/// One way to run the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its name in reports.
    pub name: &'static str,
    /// What it changes against the rung before, in words.
    pub change: &'static str,
    /// Its engine.
    pub engine: EngineKind,
    /// Whether reads that nothing comes between are answered on all cores.
    pub parallel_reads: bool,
    /// Whether it closes blocks at `block_transactions`; otherwise at [`Stack::BASELINE_BLOCK_TRANSACTIONS`].
    pub batches: bool,
    /// Its sealing.
    pub plan: SealPlan,
    /// Whether it has a journal.
    pub durability: Durability,
}

const NAIVE: SealPlan = SealPlan { search: Search::Sequential, fast_hashing: false, beside: false };
const FAST: SealPlan = SealPlan { search: Search::Parallel, fast_hashing: true, beside: false };

impl Stack {
    /// The predecessor mined every five trades; a trade is two orders.
    pub const BASELINE_BLOCK_TRANSACTIONS: u32 = 10;

    /// Everything naive.
    pub const BASELINE: Stack = Self::LADDER[0];

    /// Everything optimized.
    pub const OPTIMIZED: Stack = Self::LADDER[Self::LADDER.len() - 1];

    /// From the baseline to the optimized stack, one change at a time.
    pub const LADDER: [Stack; 6] = [
        Stack {
            name: "baseline",
            change: "sorted queues, hash maps, 5 trades a block, a fresh header for every nonce, one thread",
            engine: EngineKind::Baseline,
            parallel_reads: false,
            batches: false,
            plan: NAIVE,
            durability: Durability::None,
        },
        Stack {
            name: "+book",
            change: "one arena of orders and levels, 64-way price ladder, order id table, kept depth",
            engine: EngineKind::BookOverMaps,
            parallel_reads: false,
            batches: false,
            plan: NAIVE,
            durability: Durability::None,
        },
        Stack {
            name: "+balances",
            change: "struct of arrays, incremental state root",
            engine: EngineKind::Optimized,
            parallel_reads: false,
            batches: false,
            plan: NAIVE,
            durability: Durability::None,
        },
        Stack {
            name: "+batching",
            change: "large blocks: one nonce search for many transactions",
            engine: EngineKind::Optimized,
            parallel_reads: false,
            batches: true,
            plan: NAIVE,
            durability: Durability::None,
        },
        Stack {
            name: "+hashing",
            change: "many hashes in lanes, midstate; nonce search and Merkle trees on all cores",
            engine: EngineKind::Optimized,
            parallel_reads: false,
            batches: true,
            plan: FAST,
            durability: Durability::None,
        },
        Stack {
            name: "optimized",
            change: "block n is sealed while the engine fills block n + 1; reads on all cores",
            engine: EngineKind::Optimized,
            parallel_reads: true,
            batches: true,
            plan: SealPlan { beside: true, ..FAST },
            durability: Durability::None,
        },
    ];

    /// The optimized stack with a journal beside: the rung behind the ladder's last one.
    pub const fn durable(policy: SyncPolicy) -> Stack {
        let change = match policy {
            SyncPolicy::EveryGroup => "a journal beside: every group is synced to the disk before it is acknowledged",
            SyncPolicy::Interval(_) => {
                "a journal beside: groups are synced to the disk together, after an interval, before they are acknowledged"
            }
            SyncPolicy::Never => "a journal beside, never synced: what is acknowledged may be lost",
        };
        Stack { name: Self::DURABLE_NAME, change, durability: Durability::Journal { policy }, ..Self::OPTIMIZED }
    }

    /// Name of the durable stack, whatever its policy.
    pub const DURABLE_NAME: &'static str = "durable";
}

/// Something to do with an engine whose type is known only at run time.
pub trait EngineVisitor {
    /// What comes of it.
    type Output;

    /// Does it. Whatever moves the engine is looked at by `P`.
    fn visit<E: Engine, P: Probe>(self) -> Self::Output;
}

impl EngineKind {
    /// Calls `visitor` with this engine's type.
    pub fn visit<V: EngineVisitor>(self, visitor: V) -> V::Output {
        match self {
            EngineKind::Baseline => visitor.visit::<Baseline, Off>(),
            EngineKind::BookOverMaps => visitor.visit::<Market<MapLedger>, Off>(),
            EngineKind::Optimized => visitor.visit::<Optimized, Off>(),
        }
    }

    /// The same, looked at from inside: over a ledger that tells its time from the market's.
    pub fn visit_probed<V: EngineVisitor>(self, visitor: V) -> V::Output {
        match self {
            EngineKind::Baseline => visitor.visit::<baseline::Market<Probed<MapLedger>>, Sampled>(),
            EngineKind::BookOverMaps => visitor.visit::<Market<Probed<MapLedger>>, Sampled>(),
            EngineKind::Optimized => visitor.visit::<Market<Probed<Columns>>, Sampled>(),
        }
    }

    /// The same, looked at from outside: for what no engine has a probe in, so that it is the very code that is measured.
    pub fn visit_watched<V: EngineVisitor>(self, visitor: V) -> V::Output {
        match self {
            EngineKind::Baseline => visitor.visit::<Baseline, Sampled>(),
            EngineKind::BookOverMaps => visitor.visit::<Market<MapLedger>, Sampled>(),
            EngineKind::Optimized => visitor.visit::<Optimized, Sampled>(),
        }
    }
}
