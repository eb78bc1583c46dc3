//! Plays a stream on one stack: the timed rounds and the latency pass.

use super::Kind;
use super::evidence::{Evidence, collect};
use crate::block::ChainParams;
use crate::command::Batch;
use crate::engine::{Engine, state_digest};
use crate::event::EventLog;
use crate::hash::Digest;
use crate::measure::{LatencyRecorder, process_cpu_seconds};
use crate::node::{BlockPolicy, Clock, EngineVisitor, Node, NodeError, SealTotals, Stack};
use crate::seal::Watch;
use crate::types::{Sequence, TimeNs};
use crate::workload::{Op, Stream};
use rayon::prelude::*;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Operations that are submitted together where nothing else asks for less.
const BATCH_OPERATIONS: usize = 256;

/// Reads that one thread answers at a time when several do.
const READS_PER_TASK: usize = 16_384;

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
}

/// A stream's state after its setup, on some engine.
pub trait Player: Sync {
    /// Plays the first `operations` operations `repeats` times over (more than once only where nothing changes the state).
    ///
    /// # Errors
    /// Cancelled.
    fn play(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
        repeats: u64,
        round: u32,
    ) -> Result<Round, NodeError>;

    /// Plays them with a clock reading around each operation.
    ///
    /// # Errors
    /// Cancelled.
    fn sample(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<LatencyRecorder, NodeError>;

    /// Plays them on the engine alone and counts what happened.
    fn evidence(&self, stream: &Stream, operations: u64) -> Evidence;
}

/// Carries out a stream's setup on a stack's engine.
///
/// # Errors
/// Cancelled.
pub fn prepare(stack: &Stack, stream: &Stream, watch: &Watch) -> Result<Box<dyn Player>, NodeError> {
    struct Prepare<'a>(&'a Stream, &'a Watch);
    impl EngineVisitor for Prepare<'_> {
        type Output = Result<Box<dyn Player>, NodeError>;

        fn visit<E: Engine>(self) -> Self::Output {
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
            Ok(Box::new(Prepared { engine, next }))
        }
    }
    stack.engine.visit(Prepare(stream, watch))
}

/// # Errors
/// Cancelled.
fn go_on(watch: &Watch) -> Result<(), NodeError> {
    if watch.is_cancelled() { Err(NodeError::Cancelled) } else { Ok(()) }
}

struct Prepared<E> {
    engine: E,
    next: Sequence,
}

impl<E: Engine> Prepared<E> {
    fn node(&self, setting: &Setting, stack: &Stack, round: u32) -> Node<E> {
        let params = ChainParams::fixed(*self.engine.rules(), setting.bits);
        let transactions = if stack.batches { setting.block_transactions } else { Stack::BASELINE_BLOCK_TRANSACTIONS };
        let policy = BlockPolicy { transactions, interval: setting.block_interval, plan: stack.plan };
        let clock = Clock::Simulated { start: START_NS + ROUND_NS * u64::from(round), step: STEP_NS };
        Node::new(self.engine.clone(), self.next, params, policy, clock, setting.watch.clone(), None)
    }
}

impl<E: Engine> Player for Prepared<E> {
    fn play(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
        repeats: u64,
        round: u32,
    ) -> Result<Round, NodeError> {
        let (ops, commands) = stream.prefix(operations);
        let mut read_checksum = 0u64;
        let (mut engine, mut sealed, timer): (E, Option<SealTotals>, Timer);
        match setting.kind {
            Kind::Reads => {
                engine = self.engine.clone();
                timer = Timer::start();
                for _ in 0..repeats {
                    let engine = black_box(&engine);
                    let sum = if stack.parallel_reads {
                        ops.par_chunks(READS_PER_TASK).map(|ops| read_all(engine, ops)).reduce(|| 0, u64::wrapping_add)
                    } else {
                        read_all(engine, ops)
                    };
                    read_checksum = read_checksum.wrapping_add(sum);
                }
                sealed = None;
            }
            Kind::Writes => {
                engine = self.engine.clone();
                let mut log = EventLog::default();
                timer = Timer::start();
                let mut first = self.next;
                for batch in commands.chunks(BATCH_OPERATIONS) {
                    go_on(&setting.watch)?;
                    log.clear();
                    engine.apply(Batch { first, time: START_NS, commands: batch }, &mut log);
                    black_box(&log);
                    first += batch.len() as Sequence;
                }
                sealed = None;
            }
            Kind::Settlement => {
                let mut node = self.node(setting, stack, round);
                timer = Timer::start();
                for batch in commands.chunks(2 * BATCH_OPERATIONS) {
                    node.submit(batch, batch.len() as u32 / 2)?;
                }
                let totals;
                (engine, totals) = node.finish()?;
                sealed = Some(totals);
            }
            Kind::Mixed => {
                let mut node = self.node(setting, stack, round);
                timer = Timer::start();
                read_checksum = play_mixed(&mut node, ops, commands)?;
                let totals;
                (engine, totals) = node.finish()?;
                sealed = Some(totals);
            }
        }
        let (wall_seconds, cpu_seconds) = timer.stop();
        let operations = operations * repeats;
        if let Some(totals) = &mut sealed {
            totals.latency = LatencyRecorder::new();
        }
        let digest = state_digest(&engine);
        Ok(Round { operations, wall_seconds, cpu_seconds, read_checksum, digest, sealed })
    }

    fn sample(
        &self,
        setting: &Setting,
        stack: &Stack,
        stream: &Stream,
        operations: u64,
    ) -> Result<LatencyRecorder, NodeError> {
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

    fn evidence(&self, stream: &Stream, operations: u64) -> Evidence {
        let (ops, commands) = stream.prefix(operations);
        collect(self.engine.clone(), self.next, ops, commands)
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
fn play_mixed<E: Engine>(
    node: &mut Node<E>,
    ops: &[Op],
    commands: &[crate::command::Command],
) -> Result<u64, NodeError> {
    let mut checksum = 0u64;
    let (mut submitted, mut reached) = (0usize, 0usize);
    for op in ops {
        match *op {
            Op::Commands(count) => reached += count as usize,
            Op::Read(query) => {
                if submitted < reached {
                    node.submit(&commands[submitted..reached], 1)?;
                    submitted = reached;
                }
                checksum = checksum.wrapping_add(query.answer(node.engine()));
            }
        }
    }
    if submitted < reached {
        node.submit(&commands[submitted..reached], 1)?;
    }
    Ok(checksum)
}

struct Timer {
    wall: Instant,
    cpu: Result<f64, String>,
}

impl Timer {
    fn start() -> Self {
        let cpu = process_cpu_seconds();
        Timer { wall: Instant::now(), cpu }
    }

    fn stop(self) -> (f64, Result<f64, String>) {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu = self.cpu.and_then(|before| Ok(process_cpu_seconds()? - before));
        (wall, cpu)
    }
}
