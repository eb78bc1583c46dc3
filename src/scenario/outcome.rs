//! What a run found: plain data with plain names. The JSON report is this, serialized; the text report is this, laid out.

use crate::measure::Interval;
pub use crate::measure::Reading;
use crate::measure::counters::CounterReading;
use crate::measure::verdict::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything one `joulebook run` found.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// Always [`RunReport::SCHEMA`].
    pub schema: &'static str,
    /// Where and with what it was measured.
    pub environment: Environment,
    /// What was asked for.
    pub settings: Settings,
    /// One entry per scenario and stack.
    pub scenarios: Vec<ScenarioResult>,
    /// Optimized over baseline, and over durable, per scenario.
    pub ratios: Vec<Ratio>,
    /// Baseline, then one change at a time; empty if not asked for.
    pub ladder: Vec<Rung>,
    /// Where the wall time of each scenario and stack goes; empty if that was not asked for.
    pub attribution: Vec<Attribution>,
    /// What one settled trade costs, part by part, dearest first; empty if `settlement` did not run.
    pub components: Vec<Component>,
    /// The dearest component and why it is, in words, computed from `components`.
    pub bottleneck: Option<String>,
    /// `false` if the run was interrupted and this is what was measured until then.
    pub complete: bool,
}

impl RunReport {
    /// Name and version of the JSON layout.
    pub const SCHEMA: &'static str = "joulebook.run.v1";
}

/// Machine and build.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// Version of this program.
    pub version: &'static str,
    /// Revision of the source, as whoever built it said in the variable `JOULEBOOK_REVISION`, or [`Environment::NO_REVISION`].
    pub revision: &'static str,
    /// When the run began, in UTC: `2026-11-24T17:03:09Z`.
    pub date: String,
    /// CPU model, as the system names it.
    pub cpu: String,
    /// Logical CPUs available to this process.
    pub cpus: usize,
    /// Operating system and architecture.
    pub platform: String,
    /// SHA-256 instructions that `sha2`, the baseline's and the reference, uses here, in words.
    pub sha256: String,
    /// Kernel that the optimized stack hashes many messages with.
    pub hash_kernel: &'static str,
    /// Kernels that this machine can run, fastest first.
    pub hash_kernels: Vec<&'static str>,
    /// Whether this build is optimized (`--release`).
    pub optimized_build: bool,
    /// Smallest step between two readings of the clock, in ns: latencies below it cannot be told apart.
    pub clock_step_ns: u64,
    /// Which counters of the CPU and of the kernel this process can read, which not, and why, in words.
    pub counters: String,
}

impl Environment {
    /// What stands for a revision that nobody told the build.
    pub const NO_REVISION: &'static str = "unavailable: built without JOULEBOOK_REVISION";
}

/// What was asked for, with defaults filled in.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Seed of the workload.
    pub seed: u64,
    /// Accounts, the operator not counted.
    pub users: u32,
    /// Orders resting before a scenario starts.
    pub orders: u32,
    /// Leading zero bits of a block's hash.
    pub difficulty_bits: u32,
    /// Transactions at which the optimized stack closes a block.
    pub block_transactions: u32,
    /// Transactions at which the baseline closes a block.
    pub baseline_block_transactions: u32,
    /// Age in ms (of the commands' own clock) at which a block closes, if set.
    pub block_interval_ms: Option<u64>,
    /// Interleaved rounds.
    pub rounds: u32,
    /// Whether sizes were reduced by `--quick`.
    pub quick: bool,
    /// How the durable stack was played, if it was.
    pub durable: Option<DurableSettings>,
}

/// How the durable stack was played.
#[derive(Clone, Debug, Serialize)]
pub struct DurableSettings {
    /// Where its ledgers were.
    pub folder: String,
    /// How files are written there, in words.
    pub writes: &'static str,
    /// When its journal was synced, in words.
    pub sync: String,
    /// Why that is not durable, if it is not.
    pub warning: Option<String>,
}

/// One scenario on one stack.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioResult {
    /// `reads`, `writes`, `settlement` or `mixed`.
    pub name: String,
    /// `baseline`, `optimized`, or a rung of the ladder.
    pub stack: String,
    /// What one operation is, in words.
    pub operation: String,
    /// Operations per round.
    pub operations: u64,
    /// Rounds measured.
    pub rounds: u32,
    /// Median over the rounds.
    pub ops_per_second: f64,
    /// Slowest and fastest round.
    pub ops_per_second_range: [f64; 2],
    /// Each round's own figure, in the order in which they were played: what `joulebook compare` resamples.
    pub rounds_ops_per_second: Vec<f64>,
    /// Latency of one operation, sampled in a pass of its own; `None` if the run was interrupted before.
    pub latency_ns: Option<Latency>,
    /// What a latency sample spans, in words.
    pub latency_of: String,
    /// Rejected commands / commands.
    pub error_rate: f64,
    /// Rejected commands by reason.
    pub rejects: BTreeMap<String, u64>,
    /// What it used; see there for how.
    pub resources: Resources,
    /// Proof of work done, per round.
    pub work: Work,
    /// What went through the journal in the last round; `None` for a stack without one.
    pub journal: Option<JournalWork>,
    /// Digest of the whole state after the last operation, in hex.
    pub digest: String,
    /// Operations after which both stacks were compared and had the same digest and events; `None` if only one stack ran.
    pub verified_operations: Option<u64>,
}

/// A latency distribution, in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Samples taken.
    pub samples: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest sample.
    pub max: u64,
    /// The whole distribution: the quantiles 1 - 10^(-k/4) for k = 0, 1, 2, ..., as far as at least one sample is expected above.
    /// The first is the smallest sample.
    pub curve: Vec<QuantileLatency>,
}

/// A point of a latency distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct QuantileLatency {
    /// The part of the samples that do not pass `ns`, from 0 to below 1.
    pub quantile: f64,
    /// Their largest, in ns.
    pub ns: u64,
}

/// What a scenario used.
#[derive(Clone, Debug, Serialize)]
pub struct Resources {
    /// Peak resident set of the process while this stack ran its latency pass, in MiB. The commands to be played are in
    /// memory then, whichever stack plays them.
    pub peak_rss_mib: Reading,
    /// CPU seconds of all threads, per round (median).
    pub cpu_seconds: Reading,
    /// Wall seconds per round (median).
    pub wall_seconds: f64,
    /// Bytes sent or received over a network.
    pub network_bytes: u64,
    /// Why that figure is what it is.
    pub network_note: &'static str,
    /// Bytes written to a disk, per round.
    pub disk_bytes: u64,
    /// Which bytes these are.
    pub disk_note: &'static str,
}

/// Proof of work done, per round: counted from the events and the blocks, not from what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Reads answered.
    pub reads: u64,
    /// Sum over everything that was read: the same for every stack, and proof that it was looked at.
    pub read_checksum: u64,
    /// Commands carried out or refused.
    pub commands: u64,
    /// Orders accepted.
    pub orders_accepted: u64,
    /// Cancels that really removed an order.
    pub orders_cancelled: u64,
    /// Trades.
    pub fills: u64,
    /// Token movements of those trades: energy, cost and fee, each counted where it is not zero.
    pub transfers: u64,
    /// Energy traded, in Wh.
    pub energy_wh: u64,
    /// Grid fees, in 10^-8 WATT.
    pub fees: u64,
    /// Blocks sealed.
    pub blocks: u64,
    /// Transactions in those blocks.
    pub transactions: u64,
    /// Nonces up to and including the winning one of each block: the work that the lowest answer takes. A search on several
    /// threads tries a few more.
    pub hashes: u64,
    /// Hash of the last block's header, in hex; empty if the scenario forms no blocks.
    pub tip: String,
}

/// What went through a journal in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalWork {
    /// Requests that were answered, each in its place. Each account was a client that counted its own.
    pub answers: u64,
    /// Events in these answers.
    pub events: u64,
    /// Frames: groups of requests, seals of blocks, marks.
    pub frames: u64,
    /// Bytes of these frames on disk.
    pub bytes: u64,
    /// How often frames were made durable.
    pub syncs: u64,
}

/// One stack over another in one scenario, from interleaved rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// The scenario.
    pub name: String,
    /// The faster stack's name.
    pub stack: String,
    /// What it is compared with.
    pub over: String,
    /// Median over the rounds of the ratio of operations per second.
    pub median: f64,
    /// Interval of the median.
    pub low: f64,
    /// Interval of the median.
    pub high: f64,
    /// Probability that the interval holds the true median, from order statistics.
    pub confidence: f64,
    /// Number of rounds.
    pub rounds: u32,
}

/// One rung of the ladder.
#[derive(Clone, Debug, Serialize)]
pub struct Rung {
    /// The scenario.
    pub scenario: String,
    /// The stack's name.
    pub stack: String,
    /// What changed against the rung before, in words.
    pub change: String,
    /// Median over the rounds.
    pub ops_per_second: f64,
    /// Against the rung before.
    pub step: f64,
    /// Against the baseline.
    pub total: f64,
}

/// Where the wall time of one scenario on one stack goes.
#[derive(Clone, Debug, Serialize)]
pub struct Attribution {
    /// The scenario.
    pub scenario: String,
    /// The stack's name.
    pub stack: String,
    /// Operations of all rounds that were looked at.
    pub operations: u64,
    /// Wall seconds of these rounds.
    pub wall_seconds: f64,
    /// The threads that do the work; those of a pool that helps one of them count as that one.
    pub threads: Vec<ThreadTimes>,
    /// The thread that waits least, and what it does, in words.
    pub bound_by: String,
    /// What counted the stages, where it was not this CPU, in words.
    pub counted_by: Option<String>,
    /// Wall time of a round that is looked at over that of one that is not, median of the pairs.
    pub cost_of_looking: Interval,
    /// Pairs of rounds, one of each.
    pub pairs: u32,
}

/// A thread's time.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadTimes {
    /// `engine`, `sealer`, or `journal`.
    pub name: String,
    /// What it does, in words.
    pub what: String,
    /// Wall nanoseconds per operation, waiting included.
    pub ns_per_operation: f64,
    /// Its stages in the order of the work, and what is in none of them. Their shares sum to 1.
    pub stages: Vec<StageShare>,
    /// What was counted of it; `None` where a pool does its work, or part of it: the sealer, and reads on all cores.
    pub counted: Option<Counted>,
}

/// Counters of a thread's work.
#[derive(Clone, Debug, Serialize)]
pub struct Counted {
    /// Each counter per operation, or why there is none.
    pub counters: Vec<CounterReading>,
    /// What bounds the thread, by the rule of [`verdict`](crate::measure::verdict).
    pub verdict: Verdict,
}

/// One stage of a thread's time.
#[derive(Clone, Debug, Serialize)]
pub struct StageShare {
    /// Its name, or [`StageShare::UNATTRIBUTED`].
    pub name: String,
    /// Wall nanoseconds per operation. Stages of a batch are sampled: what is unattributed may be a little below zero.
    pub ns_per_operation: f64,
    /// Share of the thread's wall time.
    pub share: f64,
    /// What was counted of it: by the CPU, of the engine's thread, or by Callgrind; nothing where neither did.
    pub counted: Option<Counted>,
}

impl StageShare {
    /// Time that is in no stage.
    pub const UNATTRIBUTED: &'static str = "unattributed";
}

/// One part of the work, measured by itself on one thread.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// `reads`, `matching`, `tokens`, `sealing`, or a part of sealing.
    pub name: String,
    /// Which stack.
    pub stack: String,
    /// What was measured, in words.
    pub what: String,
    /// Nanoseconds of one thread per operation.
    pub ns_per_operation: f64,
    /// `10^9 / ns_per_operation`; `None` where that is too little to be told from zero.
    pub ops_per_second: Option<f64>,
    /// Share of one settled trade's cost; `None` for reads, which are no part of it.
    pub share: Option<f64>,
    /// What it consists of, dearest first; empty where it was measured as a whole.
    pub parts: Vec<Component>,
}
