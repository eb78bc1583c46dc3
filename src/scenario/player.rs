//! Plays a stream on one stack: the timed rounds and the latency pass.

use super::durable::{Durable, Journals};
use super::evidence::{Evidence, collect};
use super::{JournalWork, Kind, ScenarioError};
use crate::block::ChainParams;
use crate::command::{Batch, Command};
use crate::engine::{Engine, state_digest};
use crate::event::EventLog;
use crate::hash::Digest;
use crate::measure::{LatencyRecorder, Probe, Seen, Stage, StageTimes, process_cpu_seconds};
use crate::node::{BlockPolicy, Clock, Durability, EngineVisitor, Node, NodeError, SealTotals, Stack};
use crate::seal::Watch;
use crate::types::{Sequence, TimeNs};
use crate::workload::{Op, Stream};
use rayon::prelude::*;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// Operations that are submitted together where nothing else asks for less.
pub const BATCH_OPERATIONS: usize = 256;

/// Reads that one thread answers at a time when several do.
const READS_PER_TASK: usize = 16_384;

/// Turns of the mixed scenario are three operations long: so many are looked at in a row.
const MIXED_TURNS_IN_A_ROW: u32 = 256;

/// 2026-01-01T00:00:00Z, where simulated time starts.
pub const START_NS: TimeNs = 1_767_225_600_000_000_000;
/// Simulated time between commands: a million commands a second.
pub const STEP_NS: TimeNs = 1_000;
/// Each round starts a day later, so that its nonces are others: the luck of one search is not measured again and again.
const ROUND_NS: TimeNs = 86_400 * 1_000_000_000;

/// What all rounds of a scenario have in common.
#[derive(Clone)]
pub struct Setting {
    /// Which scenario.
    pub kind: Kind,
    /// Difficulty.
    pub bits: u32,
    /// Transactions at which a batching stack closes a block.
    pub block_transactions: u32,
    /// Age at which a block closes.
    pub block_interval: Option<TimeNs>,
    /// Watches the nonce searches, and stops all of it.
    pub watch: Arc<Watch>,
    /// Where stacks with a journal keep it.
    pub journals: Option<Arc<Journals>>,
}

impl Setting {
    /// When a stack closes blocks, and how it seals them.
    pub fn block_policy(&self, stack: &Stack) -> BlockPolicy {
        let transactions = if stack.batches { self.block_transactions } else { Stack::BASELINE_BLOCK_TRANSACTIONS };
        BlockPolicy { transactions, interval: self.block_interval, plan: stack.plan }
    }

    /// A round's simulated day.
    pub fn clock(&self, round: u32) -> Clock {
        Clock::Simulated { start: START_NS + ROUND_NS * u64::from(round), step: STEP_NS }
    }
}

/// One timed round.
#[derive(Clone, Debug)]
pub struct Round {
    /// Operations done.
    pub operations: u64,
    /// Wall time.
    pub wall_seconds: f64,
    /// CPU time of the process, or why it is not known.
    pub cpu_seconds: Result<f64, String>,
    /// Sum over everything read.
    pub read_checksum: u64,
    /// State digest at the end.
    pub digest: Digest,
    /// What was sealed, in scenarios with blocks.
    pub sealed: Option<SealTotals>,
    /// What went through the journal, if the stack has one.
    pub journal: Option<JournalWork>,
    /// What was seen of the thread that plays, if it was looked at.
    pub engine_thread: Option<Seen>,
    /// Where the time of the thread went that writes the journal, if there is one and it was looked at.
    pub journal_thread: Option<StageTimes>,
}

/// A stream's state after its setup, on some engine.
pub trait Player: Sync {
    /// Plays the first `operations` operations `repeats` times over (more than once only where nothing changes the state).
    ///
    /// # Errors
    /// Cancelled, or the stack's disk fails.
    fn play(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
        repeats: u64,
        round: u32,
    ) -> Result<Round, ScenarioError>;

    /// Plays them with a clock reading around each operation.
    ///
    /// # Errors
    /// As [`play`](Self::play).
    fn sample(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<LatencyRecorder, ScenarioError>;

    /// Plays them once more and counts what happened: on the engine alone, or, if the stack has a journal, by what its answers
    /// say. It cannot be cancelled, so that what was measured before can be compared.
    ///
    /// # Errors
    /// The stack's disk fails.
    fn evidence(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<Evidence, ScenarioError>;
}

/// What carries commands out, and can be read from in between.
pub trait Conductor {
    /// What is read.
    type Engine: Engine;

    /// What looks at the thread that submits and reads.
    type Probe: Probe;

    /// The state.
    fn engine(&self) -> &Self::Engine;

    /// Takes commands in.
    ///
    /// # Errors
    /// Cancelled, or a disk fails.
    fn submit(&mut self, commands: &[Command]) -> Result<(), ScenarioError>;
}

impl<E: Engine, P: Probe> Conductor for Node<E, P> {
    type Engine = E;
    type Probe = P;

    fn engine(&self) -> &E {
        Node::engine(self)
    }

    fn submit(&mut self, commands: &[Command]) -> Result<(), ScenarioError> {
        Ok(Node::submit(self, commands, 1)?)
    }
}

/// Carries out a stream's setup on a stack's engine.
///
/// # Errors
/// Cancelled.
pub fn prepare(stack: &Stack, stream: &Stream, watch: &Watch) -> Result<Box<dyn Player>, NodeError> {
    stack.engine.visit(Prepare(stream, watch))
}

/// The same, to be looked at from inside: its rounds say where the time went.
///
/// # Errors
/// Cancelled.
pub fn prepare_probed(stack: &Stack, kind: Kind, stream: &Stream, watch: &Watch) -> Result<Box<dyn Player>, NodeError> {
    let prepare = Prepare(stream, watch);
    // A read has no probe in it. In another engine's type, the compiler would lay it out otherwise: by up to 22 %.
    if kind == Kind::Reads { stack.engine.visit_watched(prepare) } else { stack.engine.visit_probed(prepare) }
}

struct Prepare<'a>(&'a Stream, &'a Watch);
impl EngineVisitor for Prepare<'_> {
    type Output = Result<Box<dyn Player>, NodeError>;

    fn visit<E: Engine, P: Probe>(self) -> Self::Output {
        let Prepare(stream, watch) = self;
        let mut engine = E::new(stream.rules);
        let mut log = EventLog::default();
        let mut next = 1;
        for commands in stream.setup.chunks(BATCH_OPERATIONS) {
            go_on(watch)?;
            log.clear();
            let accepted = engine.apply(Batch { first: next, time: START_NS, commands }, &mut log);
            assert_eq!(accepted as usize, commands.len(), "the setup of a scenario is accepted as a whole");
            next += commands.len() as Sequence;
        }
        Ok(Box::new(Prepared { engine, next, probe: PhantomData::<P> }))
    }
}

/// # Errors
/// Cancelled.
pub fn go_on(watch: &Watch) -> Result<(), NodeError> {
    if watch.is_cancelled() { Err(NodeError::Cancelled) } else { Ok(()) }
}

struct Prepared<E, P> {
    engine: E,
    next: Sequence,
    probe: PhantomData<P>,
}

impl<E: Engine, P: Probe> Prepared<E, P> {
    fn node(&self, setting: &Setting, stack: &Stack, round: u32) -> Node<E, P> {
        let params = ChainParams::fixed(*self.engine.rules(), setting.bits);
        let (policy, clock) = (setting.block_policy(stack), setting.clock(round));
        Node::new(self.engine.clone(), self.next, params, policy, clock, setting.watch.clone(), None).probed()
    }

    fn durable<'a>(&'a self, setting: &'a Setting, stack: &'a Stack) -> Option<Durable<'a, E>> {
        let Durability::Journal { policy } = stack.durability else { return None };
        Some(Durable { engine: &self.engine, next: self.next, setting, stack, policy })
    }
}

impl<E: Engine, P: Probe> Player for Prepared<E, P> {
    fn play(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
        repeats: u64,
        round: u32,
    ) -> Result<Round, ScenarioError> {
        if let Some(durable) = self.durable(setting, stack) {
            return durable.play(stream, operations, round);
        }
        let (ops, commands) = stream.prefix(operations);
        let mut read_checksum = 0u64;
        let (mut engine, mut sealed, timer): (E, Option<SealTotals>, Timer);
        match setting.kind {
            Kind::Reads => {
                engine = self.engine.clone();
                (timer, _) = (Timer::start(), P::start(1));
                for _ in 0..repeats {
                    let engine = black_box(&engine);
                    let read = || {
                        if stack.parallel_reads {
                            ops.par_chunks(READS_PER_TASK)
                                .map(|ops| read_all(engine, ops))
                                .reduce(|| 0, u64::wrapping_add)
                        } else {
                            read_all(engine, ops)
                        }
                    };
                    read_checksum = read_checksum.wrapping_add(P::rare(Stage::Reads, read));
                }
                sealed = None;
            }
            Kind::Writes => {
                engine = self.engine.clone();
                let mut log = EventLog::default();
                (timer, _) = (Timer::start(), P::start(1));
                let mut first = self.next;
                for batch in commands.chunks(BATCH_OPERATIONS) {
                    go_on(&setting.watch)?;
                    P::turn();
                    log.clear();
                    engine.apply(Batch { first, time: START_NS, commands: batch }, &mut log);
                    P::lap(Stage::Match);
                    black_box(&log);
                    first += batch.len() as Sequence;
                }
                sealed = None;
            }
            Kind::Settlement => {
                let mut node = self.node(setting, stack, round);
                (timer, _) = (Timer::start(), P::start(1));
                for batch in commands.chunks(2 * BATCH_OPERATIONS) {
                    node.submit(batch, batch.len() as u32 / 2)?;
                }
                let totals;
                (engine, totals) = node.finish()?;
                sealed = Some(totals);
            }
            Kind::Mixed => {
                let mut node = self.node(setting, stack, round);
                (timer, _) = (Timer::start(), P::start(MIXED_TURNS_IN_A_ROW));
                read_checksum = play_mixed(&mut node, ops, commands)?;
                let totals;
                (engine, totals) = node.finish()?;
                sealed = Some(totals);
            }
        }
        let engine_thread = P::finish();
        let (wall_seconds, cpu_seconds) = timer.stop();
        let operations = operations * repeats;
        if let Some(totals) = &mut sealed {
            totals.latency = LatencyRecorder::new();
        }
        let digest = state_digest(&engine);
        let (journal, journal_thread) = (None, None);
        Ok(Round {
            operations,
            wall_seconds,
            cpu_seconds,
            read_checksum,
            digest,
            sealed,
            journal,
            engine_thread,
            journal_thread,
        })
    }

    fn sample(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<LatencyRecorder, ScenarioError> {
        if let Some(durable) = self.durable(setting, stack) {
            return durable.sample(stream, operations);
        }
        let (ops, mut commands) = stream.prefix(operations);
        let mut latency = LatencyRecorder::new();
        let mut record = |since: Instant| latency.record(since.elapsed().as_nanos() as u64);
        match setting.kind {
            Kind::Reads => {
                for op in ops {
                    go_on(&setting.watch)?;
                    let Op::Read(query) = op else { unreachable!("a stream of reads") };
                    let since = Instant::now();
                    black_box(query.answer(&self.engine));
                    record(since);
                }
            }
            Kind::Writes => {
                let mut engine = self.engine.clone();
                let mut log = EventLog::default();
                for (first, command) in (self.next..).zip(commands) {
                    go_on(&setting.watch)?;
                    log.clear();
                    let batch = Batch { first, time: START_NS, commands: std::slice::from_ref(command) };
                    let since = Instant::now();
                    engine.apply(batch, &mut log);
                    record(since);
                }
            }
            Kind::Settlement => {
                let mut node = self.node(setting, stack, 0);
                node.sample_latency();
                // One by one: each trade waits for its own block.
                for trade in commands.chunks(2) {
                    node.submit(trade, 1)?;
                }
                return Ok(node.finish()?.1.latency);
            }
            Kind::Mixed => {
                let mut node = self.node(setting, stack, 0);
                for op in ops {
                    let since = Instant::now();
                    match *op {
                        Op::Read(query) => {
                            black_box(query.answer(node.engine()));
                        }
                        Op::Commands(count) => {
                            let (now, later) = commands.split_at(count as usize);
                            commands = later;
                            node.submit(now, 1)?;
                        }
                    }
                    record(since);
                }
                node.finish()?;
            }
        }
        Ok(latency)
    }

    fn evidence(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<Evidence, ScenarioError> {
        let setting = Setting { watch: Arc::default(), ..setting.clone() };
        if let Some(durable) = self.durable(&setting, stack) {
            return durable.evidence(stream, operations);
        }
        let (ops, commands) = stream.prefix(operations);
        Ok(collect(self.engine.clone(), self.next, ops, commands))
    }
}

/// Reads only, which may run on several threads at once: an engine between batches is shared data that nobody changes.
fn read_all<E: Engine>(engine: &E, ops: &[Op]) -> u64 {
    ops.iter().fold(0, |sum, op| match op {
        Op::Read(query) => sum.wrapping_add(query.answer(engine)),
        Op::Commands(_) => unreachable!("a stream of reads"),
    })
}

/// Reads see every command before them, so commands are submitted when the next read comes.
pub fn play_mixed<C: Conductor>(node: &mut C, ops: &[Op], commands: &[Command]) -> Result<u64, ScenarioError> {
    let mut checksum = 0u64;
    let (mut submitted, mut reached) = (0usize, 0usize);
    for op in ops {
        match *op {
            Op::Commands(count) => reached += count as usize,
            Op::Read(query) => {
                if submitted < reached {
                    C::Probe::lap(Stage::Requests);
                    node.submit(&commands[submitted..reached])?;
                    submitted = reached;
                }
                checksum = checksum.wrapping_add(query.answer(node.engine()));
                C::Probe::lap(Stage::Reads);
            }
        }
    }
    if submitted < reached {
        node.submit(&commands[submitted..reached])?;
    }
    Ok(checksum)
}

/// Wall and CPU time from now on.
pub struct Timer {
    wall: Instant,
    cpu: Result<f64, String>,
}

impl Timer {
    /// From now on.
    pub fn start() -> Self {
        let cpu = process_cpu_seconds();
        Timer { wall: Instant::now(), cpu }
    }

    /// Until now.
    pub fn stop(self) -> (f64, Result<f64, String>) {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu = self.cpu.and_then(|before| Ok(process_cpu_seconds()? - before));
        (wall, cpu)
    }
}
