//! Runs scenarios: interleaved rounds of every stack, a latency pass, the comparison of what they did, the ladder.

use super::attribution::attribute;
use super::books::BooksError;
use super::components::{bottleneck, dearest_first, reads_component, settlement_components};
use super::durable::Journals;
use super::environment::environment;
use super::evidence::Evidence;
use super::player::{Round, Setting, prepare};
use super::results::{Contender, ladder, ratios, scenario_result};
use super::sizes::Sizes;
use super::stage_counts::by_callgrind;
use super::{
    DurableChoice, DurableSettings, Kind, Options, Progress, Reading, RunReport, Settings, StackChoice, chain,
};
use crate::block::Target;
use crate::journal::SyncPolicy;
use crate::measure::{LatencyRecorder, peak_rss_mib, reset_peak_rss};
use crate::node::{Durability, NodeError, Stack};
use crate::seal::Watch;
use crate::workload::{Population, Stream};
use std::sync::Arc;
use thiserror::Error;

const ROUNDS: u32 = 7;
const QUICK_ROUNDS: u32 = 3;
const LADDER_ROUNDS: u32 = 3;
/// Rounds that take longer are not compared any more when the run is interrupted.
const SLOW_ROUND_SECONDS: f64 = 1.0;

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
    /// The durable stack's journal cannot be written.
    #[error("the journal of the durable stack, in {folder}: {reason}")]
    Journal {
        /// Where journals are made.
        folder: String,
        /// Why not.
        reason: String,
    },
    /// A node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Numbers of shards did not do the same.
    #[error(transparent)]
    Books(#[from] BooksError),
}

/// Runs the scenarios that `options` ask for. When `watch` is cancelled, returns what was measured until then, marked incomplete.
///
/// # Errors
/// An option out of range, or stacks that do not agree.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
    watch: &Arc<Watch>,
) -> Result<RunReport, ScenarioError> {
    check(options)?;
    let mut runner = Runner::new(options, progress, watch)?;
    let finished = match runner.all() {
        Ok(()) => true,
        Err(ScenarioError::Node(NodeError::Cancelled)) => false,
        Err(error) => return Err(error),
    };
    let mut report = runner.report;
    report.components.sort_by(dearest_first);
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
    if options.durable.is_some() && !options.scenarios.iter().any(|kind| kind.seals_blocks()) {
        return wrong(
            "--durable",
            "set".to_string(),
            "only scenarios that settle into blocks are played with a journal: add --scenario settlement",
        );
    }
    Ok(())
}

struct Runner<'a> {
    options: &'a Options,
    progress: &'a mut dyn FnMut(Progress<'_>),
    watch: &'a Arc<Watch>,
    rounds: u32,
    done: u64,
    total: u64,
    journals: Option<Arc<Journals>>,
    report: RunReport,
}

impl<'a> Runner<'a> {
    fn new(
        options: &'a Options,
        progress: &'a mut dyn FnMut(Progress<'_>),
        watch: &'a Arc<Watch>,
    ) -> Result<Self, ScenarioError> {
        let journals = options.durable.as_ref().map(|durable| Arc::new(Journals::new(&durable.folder)));
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
            durable: journals.as_deref().zip(options.durable.as_ref()).map(durable_settings).transpose()?,
        };
        let report = RunReport {
            schema: RunReport::SCHEMA,
            environment: environment(),
            settings,
            scenarios: Vec::new(),
            ratios: Vec::new(),
            ladder: Vec::new(),
            attribution: Vec::new(),
            components: Vec::new(),
            bottleneck: None,
            complete: false,
        };
        let mut runner = Runner { options, progress, watch, rounds, done: 0, total: 0, journals, report };
        runner.total = options.scenarios.iter().map(|&kind| runner.steps(kind)).sum();
        Ok(runner)
    }

    /// Progress steps of a scenario: its stream, each stack's rounds, evidence and latency pass, the ladder, the parts.
    fn steps(&self, kind: Kind) -> u64 {
        let count = |choice| stacks(choice, kind, self.options).len() as u64;
        let stacks = count(self.options.stacks);
        let extra = if self.has_extra_ladder(kind) { u64::from(LADDER_ROUNDS) * count(StackChoice::Ladder) } else { 0 };
        let chain = u64::from(kind == Kind::Settlement && self.options.chain.is_some());
        let attributed = if self.options.attribution { self.attributed(kind).len() as u64 } else { 0 };
        1 + attributed + stacks * (u64::from(self.rounds) + 2) + extra + u64::from(self.has_components(kind)) + chain
    }

    /// Stacks whose time is attributed.
    fn attributed(&self, kind: Kind) -> Vec<&'static str> {
        let stacks = stacks(self.options.stacks, kind, self.options);
        let names = [Stack::BASELINE.name, Stack::OPTIMIZED.name, Stack::DURABLE_NAME];
        names.into_iter().filter(|name| stacks.iter().any(|stack| stack.name == *name)).collect()
    }

    fn has_extra_ladder(&self, kind: Kind) -> bool {
        self.options.stacks == StackChoice::Both && kind == Kind::Settlement
    }

    fn has_components(&self, kind: Kind) -> bool {
        self.options.stacks != StackChoice::Baseline && matches!(kind, Kind::Reads | Kind::Settlement)
    }

    fn step(&mut self, doing: &str) -> Result<(), ScenarioError> {
        if self.watch.is_cancelled() {
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
            watch: self.watch.clone(),
            journals: self.journals.clone(),
        }
    }

    fn scenario(&mut self, kind: Kind) -> Result<(), ScenarioError> {
        let name = kind.name();
        self.step(&format!("{name}: preparing"))?;
        let sizes = Sizes::of(kind, self.options);
        let stream = stream(kind, self.options, sizes.optimized);
        let setting = self.setting(kind);
        let stacks = stacks(self.options.stacks, kind, self.options);
        let mut contenders = contenders(&stacks, &stream, sizes, self.watch)?;
        let played = self.rounds(&setting, &stream, &mut contenders, self.rounds);
        // An interrupted scenario still reports the rounds that every stack has finished, unless comparing what they did,
        // which does it all again, would keep whoever asked to stop waiting.
        let complete = contenders.iter().map(|contender| contender.rounds.len()).min().unwrap_or(0);
        let slow = |contender: &Contender| contender.rounds.iter().any(|round| round.wall_seconds > SLOW_ROUND_SECONDS);
        if complete == 0 || (played.is_err() && contenders.iter().any(slow)) {
            return played;
        }
        contenders.iter_mut().for_each(|contender| contender.rounds.truncate(complete));
        let evidence = self.evidence(&setting, &stream, &contenders)?;
        let verified = evidence.verified;
        let mut interrupted = played.err();
        for (contender, evidence) in contenders.iter().zip(evidence.full) {
            let mut latency = None;
            let mut rss = Reading::Unavailable("the run was interrupted before the latency pass".to_string());
            if interrupted.is_none() {
                match self.latency_pass(&setting, &stream, contender, sizes) {
                    Ok((sampled, peak)) => (latency, rss) = (Some(sampled), peak),
                    Err(error) => interrupted = Some(error),
                }
            }
            let result = scenario_result(kind, contender, evidence, latency, rss, verified);
            self.report.scenarios.push(result);
        }
        self.report.ratios.extend(ratios(kind, &contenders));
        if self.options.stacks == StackChoice::Ladder {
            self.report.ladder.extend(ladder(kind, &contenders));
        }
        match interrupted {
            Some(error) => Err(error),
            None => self.extras(kind, &setting, &stream, sizes, &contenders),
        }
    }

    /// What comes behind the rounds: where the time goes; and what only some scenarios have: the ladder, the components, the chain file.
    fn extras(
        &mut self,
        kind: Kind,
        setting: &Setting,
        stream: &Stream,
        sizes: Sizes,
        contenders: &[Contender],
    ) -> Result<(), ScenarioError> {
        let named = |name| contenders.iter().find(move |contender| contender.stack.name == name);
        if self.options.attribution {
            for name in self.attributed(kind) {
                self.step(&format!("{}: {name}, looked at from inside", kind.name()))?;
                let contender = named(name).expect("it has played");
                let mut attribution = attribute(setting, contender, stream, self.options.quick)?;
                if let Some(record) = &self.options.callgrind {
                    let sealed = contender.rounds.iter().filter_map(|round| round.sealed.as_ref());
                    let hashes: u64 = sealed.map(|sealed| sealed.hashes).sum();
                    let operations: u64 = contender.rounds.iter().map(|round| round.operations).sum();
                    let each = hashes as f64 / operations.max(1) as f64;
                    by_callgrind(&mut attribution, record, self.options, each);
                }
                self.report.attribution.push(attribution);
            }
        }
        let optimized = named(Stack::OPTIMIZED.name);
        if let (Kind::Reads, Some(contender)) = (kind, optimized) {
            self.step("reads: one thread by itself")?;
            let reads = reads_component(setting, contender.player.as_ref(), stream, sizes.optimized)?;
            self.report.components.push(reads);
        }
        if self.has_extra_ladder(kind) {
            let rungs = stacks(StackChoice::Ladder, kind, self.options);
            let mut rungs = self::contenders(&rungs, stream, sizes, self.watch)?;
            self.rounds(setting, stream, &mut rungs, LADDER_ROUNDS)?;
            self.report.ladder.extend(ladder(kind, &rungs));
        }
        if let (Kind::Settlement, Some(contender)) = (kind, optimized) {
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
        sizes: Sizes,
    ) -> Result<(LatencyRecorder, Reading), ScenarioError> {
        self.step(&format!("{}: {}, latencies", setting.kind.name(), contender.stack.name))?;
        let reset = reset_peak_rss();
        let sampled =
            if contender.stack.durability == Durability::None { sizes.sampled } else { sizes.durable_sampled };
        let operations = contender.operations.min(sampled);
        let latency = contender.player.sample(setting, &contender.stack, stream, operations)?;
        let peak = reset.and_then(|()| peak_rss_mib());
        Ok((latency, peak.map_or_else(Reading::Unavailable, Reading::Value)))
    }

    /// Counts what every stack did, and demands that they did the same: events, state and reads over the operations that
    /// all of them played, and each timed round's state against the counted one.
    fn evidence(
        &mut self,
        setting: &Setting,
        stream: &Stream,
        contenders: &[Contender],
    ) -> Result<EvidenceOfAll, ScenarioError> {
        let kind = setting.kind;
        let shared = contenders.iter().map(|contender| contender.operations).min().expect("there is a stack");
        let mut full: Vec<Evidence> = Vec::new();
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
            let play = |operations| contender.player.evidence(setting, &contender.stack, stream, operations);
            let evidence = play(contender.operations)?;
            let checksum = evidence.work.read_checksum.wrapping_mul(contender.repeats);
            for round in &contender.rounds {
                if round.digest != evidence.state_digest || round.read_checksum != checksum {
                    return Err(differs(contender.operations, "its own timed round", "state or reads"));
                }
                let asked = (evidence.work.commands, evidence.events);
                if round.journal.is_some_and(|journal| (journal.answers, journal.events) != asked) {
                    return Err(differs(contender.operations, "its own timed round", "answers or their events"));
                }
            }
            if let Some(other) = contenders.iter().find(|other| seal_others(contender, other)) {
                return Err(differs(contender.operations, other.stack.name, "the chain"));
            }
            // Where two play as much, nothing is left to the common prefix.
            let same = |&(other, _): &(&Contender, &Evidence)| other.operations == contender.operations;
            let mut before = contenders.iter().zip(&full).filter(same);
            if let Some((other, _)) = before.find(|(_, found)| !evidence.agrees_with(found)) {
                return Err(differs(contender.operations, other.stack.name, "events, state or reads"));
            }
            let prefix = if contender.operations == shared { evidence.clone() } else { play(shared)? };
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
}

struct EvidenceOfAll {
    full: Vec<Evidence>,
    verified: Option<u64>,
}

/// Whether two stacks that seal blocks of the same operations have sealed others.
fn seal_others(one: &Contender, other: &Contender) -> bool {
    let same = one.operations == other.operations && one.stack.batches == other.stack.batches;
    let tip = |round: &Round| round.sealed.as_ref().map(|sealed| sealed.tip);
    same && one.rounds.iter().map(tip).ne(other.rounds.iter().map(tip))
}

fn durable_settings((journals, choice): (&Journals, &DurableChoice)) -> Result<DurableSettings, ScenarioError> {
    let writes = journals.durability()?;
    let (sync, lost) = match choice.policy {
        SyncPolicy::EveryGroup => ("every group by itself".to_string(), false),
        SyncPolicy::Interval(interval) => (format!("all groups of {} ms together", interval.as_millis()), false),
        SyncPolicy::Never => ("never".to_string(), true),
    };
    let in_memory = writes.contains("NOTHING IS DURABLE");
    let warning = lost.then(|| "nothing is synced: what is acknowledged may be lost".to_string());
    let warning = if in_memory { Some(writes.to_string()) } else { warning };
    Ok(DurableSettings { folder: choice.folder.display().to_string(), writes, sync, warning })
}

/// The stacks of a scenario, slowest first, and the durable one behind them. Reads and writes form no blocks: rungs that only
/// change those are left out.
fn stacks(choice: StackChoice, kind: Kind, options: &Options) -> Vec<Stack> {
    let blocks = kind.seals_blocks();
    let mut stacks = match choice {
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
    };
    stacks.extend(options.durable.iter().filter(|_| blocks).map(|durable| Stack::durable(durable.policy)));
    stacks
}

fn contenders(stacks: &[Stack], stream: &Stream, sizes: Sizes, watch: &Watch) -> Result<Vec<Contender>, ScenarioError> {
    let make = |stack: &Stack| {
        let (operations, repeats) = match stack.durability {
            Durability::Journal { .. } => (sizes.durable, 1),
            Durability::None if stack.batches => (sizes.optimized, sizes.repeats),
            Durability::None => (sizes.baseline, 1),
        };
        let player = prepare(stack, stream, watch)?;
        Ok(Contender { stack: *stack, player, operations, repeats, rounds: Vec::new() })
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
