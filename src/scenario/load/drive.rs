//! Clients, a bounded queue, and one node behind it.
//!
//! ```text
//! client threads, closed loop --+                                     +-- sealer thread (the node's)
//! or one generator, open loop --+--> bounded queue --> engine thread --+
//!                               <----- sequences, per client ---------+-- latency: answered less intended
//! ```
//!
//! The engine thread takes what waits, up to [`BATCH`], and submits it together: the longer the queue, the larger the batches, so
//! that load makes it faster. A full queue refuses (open loop) or lets the client wait (closed loop).

use crate::block::{ChainParams, Target};
use crate::command::{Batch, Command};
use crate::engine::{Engine, MarketStats, state_digest};
use crate::event::EventLog;
use crate::hash::Digest;
use crate::measure::{LatencyRecorder, process_cpu_seconds};
use crate::node::{BlockPolicy, Clock, Node, NodeError, SealTotals, Stack};
use crate::optimized::Optimized;
use crate::seal::Watch;
use crate::workload::{Arrivals, InitialOrders, Population, Trader};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Most requests that are submitted together.
const BATCH: usize = 256;
/// Requests that a client of a closed loop has on their way.
const WINDOW: usize = 16;
/// Time between two requests below which the generator does not sleep: it would wake too late.
const SPIN: Duration = Duration::from_micros(100);
/// The first commands are kept, to be played again on the baseline.
pub const KEPT: usize = 100_000;

/// Who plays, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Accounts and orders at the start.
    pub population: Population,
    /// Clients.
    pub clients: u32,
    /// Requests that fit the queue.
    pub queue: usize,
    /// How long requests are made.
    pub duration: Duration,
    /// Difficulty of blocks, in leading zero bits.
    pub difficulty_bits: u32,
    /// Orders that the market lets rest.
    pub orders_max: u32,
}

/// When clients ask.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Each client asks again when one of its requests is answered: as much as goes through.
    Closed,
    /// Requests come when they come, from clients in turn.
    Open(Arrivals),
}

/// What one client got.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its requests that were answered, accepted or not.
    pub requests: u64,
    /// From when each was to be sent until it was answered.
    pub latency: LatencyRecorder,
}

/// What came of it.
#[derive(Debug)]
pub struct Driven {
    /// Per client.
    pub clients: Vec<Served>,
    /// Requests that a full queue refused.
    pub refused: u64,
    /// How late the generator was, in ns, where there was one: what it adds to every latency.
    pub late: LatencyRecorder,
    /// Requests submitted together.
    pub batches: LatencyRecorder,
    /// From the first request until the last answer.
    pub wall_seconds: f64,
    /// CPU seconds of the whole process in that time, clients included.
    pub cpu_seconds: Result<f64, String>,
    /// The market at the end.
    pub stats: MarketStats,
    /// Digest of its state at the end.
    pub digest: Digest,
    /// What was sealed.
    pub sealed: SealTotals,
    /// The first commands in the order in which the engine took them, and the digest of the state behind them.
    pub kept: (Vec<Command>, Digest),
}

impl Driven {
    /// Requests that were answered.
    pub fn requests(&self) -> u64 {
        self.clients.iter().map(|client| client.requests).sum()
    }
}

struct Request {
    client: u32,
    /// When it was to be sent, in ns from the start.
    intended: u64,
    command: Command,
}

/// A client's number, and the sequence of its oldest request that was not answered.
type Answer = (u32, u64);

fn ns_since(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// Lets clients ask for as long as the plan says, or until the watch is cancelled, and answers everything.
///
/// # Errors
/// The node's sealing failed.
///
/// # Panics
/// If there are more clients than accounts.
pub fn drive(plan: &Plan, pace: Pace, watch: &Arc<Watch>) -> Result<Driven, NodeError> {
    let (engine, next) = prepared(plan);
    let params = ChainParams::fixed(*engine.rules(), Target::from_leading_zero_bits(plan.difficulty_bits).to_bits());
    let policy = BlockPolicy { transactions: 65_536, interval: None, plan: Stack::OPTIMIZED.plan };
    let clock = Clock::Simulated { start: 0, step: 1_000 };
    // Its own watch: who cancels stops the clients, and what was taken is still carried out, sealed and reported.
    let mut node = Node::new(engine, next, params, policy, clock, Arc::new(Watch::new()), None);
    let traders: Vec<Trader> =
        (0..plan.clients).map(|client| Trader::new(plan.population, client, plan.clients)).collect();
    let (to, queue) = sync_channel(plan.queue);
    let cpu = process_cpu_seconds();
    let start = Instant::now();
    let (answers, asking) = match pace {
        Pace::Closed => {
            let (answers, answered): (Vec<Sender<Answer>>, Vec<Receiver<Answer>>) =
                traders.iter().map(|_| channel()).unzip();
            let asks = |((client, trader), answered)| {
                let (to, watch, duration) = (to.clone(), watch.clone(), plan.duration);
                thread::spawn(move || closed_loop(client, trader, &to, &answered, start, duration, &watch))
            };
            let threads: Vec<_> = (0..).zip(traders).zip(answered).map(asks).collect();
            (answers, threads)
        }
        Pace::Open(arrivals) => {
            let (answer, answered) = channel();
            let answers = traders.iter().map(|_| answer.clone()).collect();
            let (to, watch, duration) = (to.clone(), watch.clone(), plan.duration);
            let generator =
                thread::spawn(move || open_loop(arrivals, traders, &to, &answered, start, duration, &watch));
            (answers, vec![generator])
        }
    };
    drop(to);

    let mut clients = vec![Served { requests: 0, latency: LatencyRecorder::new() }; plan.clients as usize];
    let mut batches = LatencyRecorder::new();
    let (mut commands, mut from) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let mut kept = (Vec::with_capacity(KEPT), None);
    let (mut sequence, mut last) = (next, 0);
    while take(&queue, &mut commands, &mut from) {
        node.submit(&commands, commands.len() as u32)?;
        last = ns_since(start);
        batches.record(commands.len() as u64);
        for &(client, intended) in &from {
            let served = &mut clients[client as usize];
            served.requests += 1;
            served.latency.record(last.saturating_sub(intended));
            // A client that is gone needs no answer.
            let _ = answers[client as usize].send((client, sequence));
            sequence += 1;
        }
        if kept.1.is_none() {
            kept.0.extend_from_slice(&commands);
            if kept.0.len() >= KEPT {
                kept.1 = Some(state_digest(node.engine()));
            }
        }
        commands.clear();
        from.clear();
    }
    let wall_seconds = last as f64 / 1e9;
    let cpu_seconds = process_cpu_seconds().and_then(|now| Ok(now - cpu?));
    let mut asked = Asked::default();
    for thread in asking {
        let Asked { refused, late } = thread.join().expect("a client does not panic");
        asked.refused += refused;
        asked.late = late.or(asked.late);
    }
    let kept_digest = kept.1.unwrap_or_else(|| state_digest(node.engine()));
    let (engine, sealed) = node.finish()?;
    Ok(Driven {
        clients,
        refused: asked.refused,
        late: asked.late.unwrap_or_default(),
        batches,
        wall_seconds,
        cpu_seconds,
        stats: engine.stats(),
        digest: state_digest(&engine),
        sealed,
        kept: (kept.0, kept_digest),
    })
}

/// An engine with the accounts and orders at the start, and the next sequence.
fn prepared(plan: &Plan) -> (Optimized, u64) {
    let (setup, mut engine) = setup::<Optimized>(plan);
    engine.take_changed(&mut Vec::new());
    (engine, 1 + setup.len() as u64)
}

/// The commands that lead to the start, and an engine that has carried them out.
pub(super) fn setup<E: Engine>(plan: &Plan) -> (Vec<Command>, E) {
    let mut rules = plan.population.rules(0);
    rules.limits.orders = plan.orders_max;
    let setup = plan.population.setup(InitialOrders::InBand);
    let mut engine = E::new(rules);
    let mut log = EventLog::default();
    for (number, commands) in setup.chunks(BATCH).enumerate() {
        log.clear();
        engine.apply(Batch { first: 1 + (number * BATCH) as u64, time: 0, commands }, &mut log);
    }
    (setup, engine)
}

/// Waits for a request, and takes with it what else is there. False when all clients are gone.
fn take(queue: &Receiver<Request>, commands: &mut Vec<Command>, from: &mut Vec<(u32, u64)>) -> bool {
    let mut push = |request: Request| {
        commands.push(request.command);
        from.push((request.client, request.intended));
        commands.len() < BATCH
    };
    let Ok(first) = queue.recv() else { return false };
    let mut goes_on = push(first);
    while goes_on {
        match queue.try_recv() {
            Ok(request) => goes_on = push(request),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    true
}

/// What clients know.
#[derive(Default)]
struct Asked {
    refused: u64,
    late: Option<LatencyRecorder>,
}

fn closed_loop(
    client: u32,
    mut trader: Trader,
    to: &SyncSender<Request>,
    answered: &Receiver<Answer>,
    start: Instant,
    duration: Duration,
    watch: &Watch,
) -> Asked {
    let mut on_their_way = 0;
    while start.elapsed() < duration && !watch.is_cancelled() {
        while on_their_way < WINDOW {
            if to.send(Request { client, intended: ns_since(start), command: trader.ask() }).is_err() {
                return Asked::default();
            }
            on_their_way += 1;
        }
        let Ok((_, first)) = answered.recv() else { break };
        trader.answered(first);
        on_their_way -= 1;
        while let Ok((_, sequence)) = answered.try_recv() {
            trader.answered(sequence);
            on_their_way -= 1;
        }
    }
    Asked::default()
}

fn open_loop(
    arrivals: Arrivals,
    mut traders: Vec<Trader>,
    to: &SyncSender<Request>,
    answered: &Receiver<Answer>,
    start: Instant,
    duration: Duration,
    watch: &Watch,
) -> Asked {
    let (mut refused, mut late) = (0, LatencyRecorder::new());
    let clients = traders.len();
    for (number, intended) in arrivals.enumerate() {
        if u128::from(intended) >= duration.as_nanos() || watch.is_cancelled() {
            break;
        }
        let mut now = ns_since(start);
        while now < intended {
            let gap = Duration::from_nanos(intended - now);
            if gap > SPIN {
                thread::sleep(gap - SPIN / 2)
            } else {
                std::hint::spin_loop()
            }
            now = ns_since(start);
        }
        late.record(now - intended);
        while let Ok((client, sequence)) = answered.try_recv() {
            traders[client as usize].answered(sequence);
        }
        let client = number % clients;
        let request = Request { client: client as u32, intended, command: traders[client].ask() };
        match to.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                traders[client].refused();
                refused += 1;
            }
            Err(TrySendError::Disconnected(_)) => break,
        }
    }
    Asked { refused, late: Some(late) }
}
