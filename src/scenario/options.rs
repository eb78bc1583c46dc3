//! What a run is asked to do.

use crate::journal::SyncPolicy;
use crate::measure::counters::Callgrind;
use std::path::PathBuf;
use std::sync::Arc;

/// The four scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Market-data reads: prices, book depth, balances, statistics.
    Reads,
    /// Order placing (67 %) and real cancelling (33 %), the engine alone.
    Writes,
    /// Two orders, match, transfer, fee, transactions, sealed block.
    Settlement,
    /// 70 % reads, 25 % writes, 5 % settlements, in sealed blocks.
    Mixed,
}

impl Kind {
    /// All of them, in the order in which they run.
    pub const ALL: [Kind; 4] = [Kind::Reads, Kind::Writes, Kind::Settlement, Kind::Mixed];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Reads => "reads",
            Kind::Writes => "writes",
            Kind::Settlement => "settlement",
            Kind::Mixed => "mixed",
        }
    }

    /// Whether its operations settle into blocks.
    pub fn seals_blocks(self) -> bool {
        matches!(self, Kind::Settlement | Kind::Mixed)
    }
}

/// Which stacks to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackChoice {
    /// Baseline and optimized, and the ladder of the settlement scenario.
    Both,
    /// The baseline alone.
    Baseline,
    /// The optimized stack alone.
    Optimized,
    /// Every rung from the baseline to the optimized stack, in each scenario that it applies to.
    Ladder,
}

/// How the durable stack is played.
#[derive(Clone, Debug)]
pub struct DurableChoice {
    /// A folder that exists. Below it, each round has a ledger in a folder of its own, which is removed after it.
    pub folder: PathBuf,
    /// When its journal is synced.
    pub policy: SyncPolicy,
}

/// Options of [`run`](super::run()).
#[derive(Clone, Debug)]
pub struct Options {
    /// Which scenarios.
    pub scenarios: Vec<Kind>,
    /// Which stacks.
    pub stacks: StackChoice,
    /// Accounts, the operator not counted; at least 2.
    pub users: u32,
    /// Orders resting before a scenario starts.
    pub orders: u32,
    /// Operations of the optimized stack per round; `None` for each scenario's default.
    pub operations: Option<u64>,
    /// Seed of the workload.
    pub seed: u64,
    /// Leading zero bits of a block's hash, 0 to 32.
    pub difficulty_bits: u32,
    /// Transactions at which the optimized stack closes a block.
    pub block_transactions: u32,
    /// Age in ms, by the commands' own time, at which a block closes.
    pub block_interval_ms: Option<u64>,
    /// Interleaved rounds; `None` for the default.
    pub rounds: Option<u32>,
    /// Small sizes: a few seconds for everything.
    pub quick: bool,
    /// Say where the time of baseline and optimized stack goes.
    pub attribution: bool,
    /// What Callgrind counted, to be put beside the times of the settlement scenario's stages.
    pub callgrind: Option<Arc<Callgrind>>,
    /// Write the optimized stack's chain of the settlement scenario to this file.
    pub chain: Option<PathBuf>,
    /// Play the optimized stack with a journal, too, in the scenarios that seal blocks.
    pub durable: Option<DurableChoice>,
}

/// Where a run stands, for a progress bar.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// What is being done, in words.
    pub doing: &'a str,
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// All four scenarios on both stacks, in a moment.
    pub fn small_options() -> Options {
        Options {
            scenarios: Kind::ALL.to_vec(),
            stacks: StackChoice::Both,
            users: 100,
            orders: 50,
            operations: Some(300),
            seed: 1,
            difficulty_bits: 2,
            block_transactions: 64,
            block_interval_ms: None,
            rounds: Some(1),
            quick: true,
            attribution: true,
            callgrind: None,
            chain: None,
            durable: None,
        }
    }
}
