//! Runs scenarios: interleaved rounds of every stack, a latency pass, the comparison of what they did, the ladder.

use super::components::{bottleneck, reads_component, settlement_components};
use super::environment::environment;
use super::evidence::Evidence;
use super::player::{Player, Round, Setting, prepare};
use super::sizes::Sizes;
use super::{
    Kind, Latency, Options, Progress, Ratio, Reading, Resources, RunReport, Rung, ScenarioResult, Settings,
    StackChoice, Work, chain,
};
use crate::block::Target;
use crate::hash::to_hex;
use crate::measure::{LatencyRecorder, median, median_interval, peak_rss_mib, reset_peak_rss};
use crate::node::{NodeError, SealTotals, Stack};
use crate::workload::{Population, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

const ROUNDS: u32 = 7;
const QUICK_ROUNDS: u32 = 3;
const LADDER_ROUNDS: u32 = 3;
/// Wanted probability that a ratio's interval holds the true median.
const CONFIDENCE: f64 = 0.95;

/// Why a run ended without a report.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// An option cannot be used.
    #[error("{option} is {value}, but {why}")]
    Option {
        /// Which.
        option: &'static str,
        /// What it was set to.
        value: String,
        /// What would be right.
        why: &'static str,
    },
    /// Two stacks did not do the same: a bug in one of them, and no figure can be trusted.
    #[error("{scenario}: after {operations} operations {stack} differs from {other} ({what}); no figure is valid")]
    Differs {
        /// Which scenario.
        scenario: &'static str,
        /// After how many operations.
        operations: u64,
        /// One stack.
        stack: String,
        /// The other.
        other: String,
        /// What differs.
        what: &'static str,
    },
    /// The chain could not be written.
    #[error("the chain could not be written: {0}")]
    Chain(String),
    /// A node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Runs the scenarios that `options` ask for. When `stop` is set, returns what was measured until then, marked incomplete.
///
/// # Errors
/// An option out of range, or stacks that do not agree.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
    stop: &Arc<AtomicBool>,
) -> Result<RunReport, ScenarioError> {
    check(options)?;
    let mut runner = Runner::new(options, progress, stop);
    let finished = match runner.all() {
        Ok(()) => true,
        Err(ScenarioError::Node(NodeError::Cancelled)) => false,
        Err(error) => return Err(error),
    };
    let mut report = runner.report;
    report.components.sort_by(|a, b| b.ns_per_operation.total_cmp(&a.ns_per_operation));
    report.bottleneck = bottleneck(&report.components);
    report.complete = finished;
    Ok(report)
}

fn check(options: &Options) -> Result<(), ScenarioError> {
    let wrong = |option, value: String, why| Err(ScenarioError::Option { option, value, why });
    if options.users < 2 {
        return wrong("--users", options.users.to_string(), "a trade needs two of them");
    }
    if options.operations == Some(0) {
        return wrong("--ops", "0".to_string(), "at least one operation is needed");
    }
    if options.block_transactions == 0 {
        return wrong("--block-transactions", "0".to_string(), "a block holds at least one transaction");
    }
    if options.difficulty_bits > 32 {
        return wrong("--difficulty-bits", options.difficulty_bits.to_string(), "more than 32 bits take hours a block");
    }
    if options.rounds == Some(0) {
        return wrong("--rounds", "0".to_string(), "at least one round is needed");
    }
    if options.chain.is_some() && !options.scenarios.contains(&Kind::Settlement) {
        return wrong(
            "--chain",
            "set".to_string(),
            "only the settlement scenario writes a chain: add --scenario settlement",
        );
    }
    Ok(())
}

struct Runner<'a> {
    options: &'a Options,
    progress: &'a mut dyn FnMut(Progress<'_>),
    stop: &'a Arc<AtomicBool>,
    rounds: u32,
    done: u64,
    total: u64,
    report: RunReport,
}

/// One stack ready to play a scenario, with the rounds that it has played.
struct Contender {
    stack: Stack,
    player: Box<dyn Player>,
    operations: u64,
    repeats: u64,
    rounds: Vec<Round>,
}

impl<'a> Runner<'a> {
    fn new(options: &'a Options, progress: &'a mut dyn FnMut(Progress<'_>), stop: &'a Arc<AtomicBool>) -> Self {
        let rounds = options.rounds.unwrap_or(if options.quick { QUICK_ROUNDS } else { ROUNDS });
        let settings = Settings {
            seed: options.seed,
            users: options.users,
            orders: options.orders,
            difficulty_bits: options.difficulty_bits,
            block_transactions: options.block_transactions,
            baseline_block_transactions: Stack::BASELINE_BLOCK_TRANSACTIONS,
            block_interval_ms: options.block_interval_ms,
            rounds,
            quick: options.quick,
        };
        let report = RunReport {
            schema: RunReport::SCHEMA,
            environment: environment(),
            settings,
            scenarios: Vec::new(),
            ratios: Vec::new(),
            ladder: Vec::new(),
            components: Vec::new(),
            bottleneck: None,
            complete: false,
        };
        let mut runner = Runner { options, progress, stop, rounds, done: 0, total: 0, report };
        runner.total = options.scenarios.iter().map(|&kind| runner.steps(kind)).sum();
        runner
    }

    /// Progress steps of a scenario: its stream, each stack's rounds, evidence and latency pass, the ladder, the parts.
    fn steps(&self, kind: Kind) -> u64 {
        let stacks = stacks(self.options.stacks, kind).len() as u64;
        let extra = if self.has_extra_ladder(kind) { u64::from(LADDER_ROUNDS) * Stack::LADDER.len() as u64 } else { 0 };
        let chain = u64::from(kind == Kind::Settlement && self.options.chain.is_some());
        1 + stacks * (u64::from(self.rounds) + 2) + extra + u64::from(self.has_components(kind)) + chain
    }

    fn has_extra_ladder(&self, kind: Kind) -> bool {
        self.options.stacks == StackChoice::Both && kind == Kind::Settlement
    }

    fn has_components(&self, kind: Kind) -> bool {
        self.options.stacks != StackChoice::Baseline && kind == Kind::Settlement
    }

    fn step(&mut self, doing: &str) -> Result<(), ScenarioError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(NodeError::Cancelled.into());
        }
        (self.progress)(Progress { doing, done: self.done, total: self.total });
        self.done += 1;
        Ok(())
    }

    fn all(&mut self) -> Result<(), ScenarioError> {
        for &kind in &self.options.scenarios {
            self.scenario(kind)?;
        }
        Ok(())
    }

    fn setting(&self, kind: Kind) -> Setting {
        Setting {
            kind,
            bits: Target::from_leading_zero_bits(self.options.difficulty_bits).to_bits(),
            block_transactions: self.options.block_transactions,
            block_interval: self.options.block_interval_ms.map(|ms| ms.saturating_mul(1_000_000)),
            cancel: self.stop.clone(),
        }
    }

    fn scenario(&mut self, kind: Kind) -> Result<(), ScenarioError> {
        let name = kind.name();
        self.step(&format!("{name}: preparing"))?;
        let sizes = Sizes::of(kind, self.options);
        let stream = stream(kind, self.options, sizes.optimized);
        let setting = self.setting(kind);
        let stacks = stacks(self.options.stacks, kind);
        let mut contenders = contenders(&stacks, &stream, sizes);
        let played = self.rounds(&setting, &stream, &mut contenders, self.rounds);
        // An interrupted scenario still reports the rounds that every stack has finished.
        let complete = contenders.iter().map(|contender| contender.rounds.len()).min().unwrap_or(0);
        if complete == 0 {
            return played;
        }
        contenders.iter_mut().for_each(|contender| contender.rounds.truncate(complete));
        let evidence = self.evidence(kind, &stream, &contenders)?;
        let verified = evidence.verified;
        let mut interrupted = played.err();
        for (contender, evidence) in contenders.iter().zip(evidence.full) {
            let mut latency = None;
            let mut rss = Reading::Unavailable("the run was interrupted before the latency pass".to_string());
            if interrupted.is_none() {
                match self.latency_pass(&setting, &stream, contender, sizes.sampled) {
                    Ok((sampled, peak)) => (latency, rss) = (Some(sampled), peak),
                    Err(error) => interrupted = Some(error),
                }
            }
            let result = scenario_result(kind, contender, evidence, latency, rss, verified);
            self.report.scenarios.push(result);
        }
        self.ratios(kind, &contenders);
        if self.options.stacks == StackChoice::Ladder {
            self.report.ladder.extend(ladder(kind, &contenders));
        }
        match interrupted {
            Some(error) => Err(error),
            None => self.extras(kind, &setting, &stream, sizes, &contenders),
        }
    }

    /// What only some scenarios have: the ladder, the components, the chain file.
    fn extras(
        &mut self,
        kind: Kind,
        setting: &Setting,
        stream: &Stream,
        sizes: Sizes,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let optimized = contenders.iter().find(|contender| contender.stack.name == Stack::OPTIMIZED.name);
        if let (Kind::Reads, Some(contender)) = (kind, optimized) {
            self.report.components.push(reads_component(1e9 / ops_per_second(contender)[1]));
        }
        if self.has_extra_ladder(kind) {
            let mut rungs = self::contenders(&Stack::LADDER, stream, sizes);
            self.rounds(setting, stream, &mut rungs, LADDER_ROUNDS)?;
            self.report.ladder.extend(ladder(kind, &rungs));
        }
        if let (true, Some(contender)) = (self.has_components(kind), optimized) {
            self.step("settlement: each part of a trade by itself")?;
            let parts = settlement_components(setting, contender.player.as_ref(), stream, sizes.optimized)?;
            self.report.components.extend(parts);
        }
        if let (Kind::Settlement, Some(path)) = (kind, &self.options.chain) {
            self.step("settlement: writing the chain")?;
            chain::write(path, setting, stream)?;
        }
        Ok(())
    }

    fn rounds(
        &mut self,
        setting: &Setting,
        stream: &Stream,
        contenders: &mut [Contender],
        rounds: u32,
    ) -> Result<(), ScenarioError> {
        for round in 0..rounds {
            for contender in contenders.iter_mut() {
                let name = setting.kind.name();
                self.step(&format!("{name}: {}, round {} of {rounds}", contender.stack.name, round + 1))?;
                let Contender { stack, player, operations, repeats, .. } = contender;
                let played = player.play(setting, stack, stream, *operations, *repeats, round)?;
                contender.rounds.push(played);
            }
        }
        Ok(())
    }

    fn latency_pass(
        &mut self,
        setting: &Setting,
        stream: &Stream,
        contender: &Contender,
        sampled: u64,
    ) -> Result<(LatencyRecorder, Reading), ScenarioError> {
        self.step(&format!("{}: {}, latencies", setting.kind.name(), contender.stack.name))?;
        let reset = reset_peak_rss();
        let operations = contender.operations.min(sampled);
        let latency = contender.player.sample(setting, &contender.stack, stream, operations)?;
        let peak = reset.and_then(|()| peak_rss_mib());
        Ok((latency, peak.map_or_else(Reading::Unavailable, Reading::Value)))
    }

    /// Counts what every stack did, and demands that they did the same: events, state and reads over the operations that
    /// all of them played, and each timed round's state against the counted one.
    fn evidence(
        &mut self,
        kind: Kind,
        stream: &Stream,
        contenders: &[Contender],
    ) -> Result<EvidenceOfAll, ScenarioError> {
        let shared = contenders.iter().map(|contender| contender.operations).min().expect("there is a stack");
        let mut full = Vec::new();
        let mut first: Option<(&Contender, Evidence)> = None;
        for contender in contenders {
            let name = contender.stack.name;
            (self.progress)(Progress {
                doing: &format!("{}: {name}, comparing what was done", kind.name()),
                done: self.done,
                total: self.total,
            });
            self.done += 1;
            let differs = |operations, other: &str, what| ScenarioError::Differs {
                scenario: kind.name(),
                operations,
                stack: name.to_string(),
                other: other.to_string(),
                what,
            };
            let evidence = contender.player.evidence(stream, contender.operations);
            let checksum = evidence.work.read_checksum.wrapping_mul(contender.repeats);
            for round in &contender.rounds {
                if round.digest != evidence.state_digest || round.read_checksum != checksum {
                    return Err(differs(contender.operations, "its own timed round", "state or reads"));
                }
            }
            let prefix = if contender.operations == shared {
                evidence.clone()
            } else {
                contender.player.evidence(stream, shared)
            };
            match &first {
                None => first = Some((contender, prefix)),
                Some((other, expected)) if !prefix.agrees_with(expected) => {
                    return Err(differs(shared, other.stack.name, "events, state or reads"));
                }
                Some(_) => {}
            }
            full.push(evidence);
        }
        Ok(EvidenceOfAll { full, verified: (contenders.len() > 1).then_some(shared) })
    }

    fn ratios(&mut self, kind: Kind, contenders: &[Contender]) {
        let find = |name| contenders.iter().find(|contender| contender.stack.name == name);
        let (Some(baseline), Some(optimized)) = (find(Stack::BASELINE.name), find("optimized")) else { return };
        let speed = |round: &Round| round.operations as f64 / round.wall_seconds;
        let pairs = optimized.rounds.iter().zip(&baseline.rounds);
        let ratios: Vec<f64> = pairs.map(|(optimized, baseline)| speed(optimized) / speed(baseline)).collect();
        let interval = median_interval(&ratios, CONFIDENCE);
        self.report.ratios.push(Ratio {
            name: kind.name().to_string(),
            stack: Stack::OPTIMIZED.name.to_string(),
            over: Stack::BASELINE.name.to_string(),
            median: interval.median,
            low: interval.low,
            high: interval.high,
            confidence: interval.confidence,
            rounds: ratios.len() as u32,
        });
    }
}

struct EvidenceOfAll {
    full: Vec<Evidence>,
    verified: Option<u64>,
}

/// The stacks of a scenario, slowest first. Reads and writes form no blocks: rungs that only change those are left out.
fn stacks(choice: StackChoice, kind: Kind) -> Vec<Stack> {
    let blocks = matches!(kind, Kind::Settlement | Kind::Mixed);
    match choice {
        StackChoice::Baseline => vec![Stack::BASELINE],
        StackChoice::Optimized => vec![Stack::OPTIMIZED],
        StackChoice::Both => vec![Stack::BASELINE, Stack::OPTIMIZED],
        StackChoice::Ladder if blocks => Stack::LADDER.to_vec(),
        // Writes end at the third rung, whose engine is the optimized one; for reads, one more change is left.
        StackChoice::Ladder if kind == Kind::Writes => {
            let last = Stack { change: Stack::LADDER[2].change, ..Stack::OPTIMIZED };
            vec![Stack::LADDER[0], Stack::LADDER[1], last]
        }
        StackChoice::Ladder => {
            let last = Stack { change: "reads on all cores", ..Stack::OPTIMIZED };
            vec![Stack::LADDER[0], Stack::LADDER[1], Stack::LADDER[2], last]
        }
    }
}

fn contenders(stacks: &[Stack], stream: &Stream, sizes: Sizes) -> Vec<Contender> {
    let make = |stack: &Stack| {
        let (operations, repeats) = if stack.batches { (sizes.optimized, sizes.repeats) } else { (sizes.baseline, 1) };
        Contender { stack: *stack, player: prepare(stack, stream), operations, repeats, rounds: Vec::new() }
    };
    stacks.iter().map(make).collect()
}

fn stream(kind: Kind, options: &Options, operations: u64) -> Stream {
    let population = Population { users: options.users, orders: options.orders, seed: options.seed };
    match kind {
        Kind::Reads => Stream::reads(population, operations),
        Kind::Writes => Stream::writes(population, operations),
        Kind::Settlement => Stream::settlement(population, operations),
        Kind::Mixed => Stream::mixed(population, operations),
    }
}

/// Slowest, median and fastest round.
fn ops_per_second(contender: &Contender) -> [f64; 3] {
    let mut speeds: Vec<f64> =
        contender.rounds.iter().map(|round| round.operations as f64 / round.wall_seconds).collect();
    let middle = median(&mut speeds);
    let (slowest, fastest) = speeds.iter().fold((f64::INFINITY, 0.0), |(low, high), &s| (s.min(low), s.max(high)));
    [slowest, middle, fastest]
}

fn ladder(kind: Kind, contenders: &[Contender]) -> Vec<Rung> {
    let speeds: Vec<f64> = contenders.iter().map(|contender| ops_per_second(contender)[1]).collect();
    let rung = |(at, contender): (usize, &Contender)| Rung {
        scenario: kind.name().to_string(),
        stack: contender.stack.name.to_string(),
        change: contender.stack.change.to_string(),
        ops_per_second: speeds[at],
        step: speeds[at] / speeds[at.saturating_sub(1)],
        total: speeds[at] / speeds[0],
    };
    contenders.iter().enumerate().map(rung).collect()
}

fn scenario_result(
    kind: Kind,
    contender: &Contender,
    evidence: Evidence,
    latency: Option<LatencyRecorder>,
    peak_rss_mib: Reading,
    verified_operations: Option<u64>,
) -> ScenarioResult {
    let Contender { stack, operations, repeats, rounds, .. } = contender;
    let [slowest, middle, fastest] = ops_per_second(contender);
    let mut walls: Vec<f64> = rounds.iter().map(|round| round.wall_seconds).collect();
    let cpus: Result<Vec<f64>, String> = rounds.iter().map(|round| round.cpu_seconds.clone()).collect();
    let cpu_seconds = match cpus {
        Ok(mut cpus) => Reading::Value(median(&mut cpus)),
        Err(reason) => Reading::Unavailable(reason),
    };
    let error_rate = evidence.error_rate();
    let rejects = evidence.rejects.iter().map(|(reason, &count)| (reason.name().to_string(), count)).collect();
    let last = rounds.last().expect("there is a round");
    let work = work(evidence.work, *repeats, last.sealed.as_ref());
    ScenarioResult {
        name: kind.name().to_string(),
        stack: stack.name.to_string(),
        operation: operation(kind).to_string(),
        operations: operations * repeats,
        rounds: rounds.len() as u32,
        ops_per_second: middle,
        ops_per_second_range: [slowest, fastest],
        latency_ns: latency.as_ref().map(latency_figures),
        latency_of: latency_of(kind).to_string(),
        error_rate,
        rejects,
        resources: Resources {
            peak_rss_mib,
            cpu_seconds,
            wall_seconds: median(&mut walls),
            network_bytes: 0,
            network_note: "both stacks run in this process: nothing crosses a network",
        },
        work,
        digest: to_hex(&evidence.state_digest),
        verified_operations,
    }
}

fn work(counted: Work, repeats: u64, sealed: Option<&SealTotals>) -> Work {
    let mut work =
        Work { reads: counted.reads * repeats, read_checksum: counted.read_checksum.wrapping_mul(repeats), ..counted };
    if let Some(totals) = sealed {
        work.blocks = totals.blocks;
        work.transactions = totals.transactions;
        work.hashes = totals.hashes;
        work.tip = to_hex(&totals.tip);
    }
    work
}

fn latency_figures(recorder: &LatencyRecorder) -> Latency {
    Latency {
        samples: recorder.len(),
        mean: recorder.mean(),
        p50: recorder.at(0.5),
        p95: recorder.at(0.95),
        p99: recorder.at(0.99),
        p999: recorder.at(0.999),
        max: recorder.max(),
    }
}

fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Reads => "one market-data read",
        Kind::Writes => "one order placed or cancelled, escrow and matching included; no blocks",
        Kind::Settlement => "one trade: two orders, escrow, transfer, fee, two transactions in a sealed block",
        Kind::Mixed => "one read (70 %), one order or cancel (25 %) or one settlement (5 %), in sealed blocks",
    }
}

fn latency_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Reads => "one read, clock included",
        Kind::Writes => "one command applied by itself, clock included",
        Kind::Settlement => "from submission until the trade's block is sealed, at full load",
        Kind::Mixed => "one operation applied, waiting for the sealer included, its own block's sealing not",
    }
}
