//! Clients, a bounded queue, and one node behind it.
//!
//! ```text
//! client threads, closed loop --+                                     +-- sealer thread (the node's)
//! or one generator, open loop --+--> bounded queue --> engine thread --+
//!                               <--- answers, one message -------------+-- latency: answered less intended
//!                                    per client and batch
//! ```
//!
//! The engine thread takes what waits, up to [`BATCH`], and submits it together: the longer the queue, the larger the batches, so
//! that load makes it faster. A full queue refuses (open loop) or lets the client wait (closed loop).

use super::clients::{Answer, Answers, Asked, Line, Request, Signals, closed_loop, open_loop};
use crate::block::{ChainParams, Target};
use crate::command::{Batch, Command};
use crate::engine::{Engine, MarketStats, state_digest};
use crate::event::{Event, EventLog, Reject};
use crate::hash::Digest;
use crate::measure::{LatencyRecorder, RunDelay, process_cpu_seconds};
use crate::node::{BlockPolicy, Clock, Node, NodeError, SealTotals, Stack};
use crate::optimized::Optimized;
use crate::seal::Watch;
use crate::workload::{Arrivals, Habit, InitialOrders, Population, Trader};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Most requests that are submitted together.
const BATCH: usize = 256;
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
    /// What traders are up to at first.
    pub habit: Habit,
}

/// When clients ask.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Each client asks again when one of its requests is answered: as much as goes through.
    Closed,
    /// Requests come when they come, from clients in turn.
    Open(Arrivals),
}

/// What a batch has come to, for whoever looks on.
pub struct Moment<'a> {
    /// When it was answered, in ns from the start.
    pub at_ns: u64,
    /// The state behind it.
    pub engine: &'a Optimized,
    /// When each of its requests was to be sent, in ns from the start.
    pub intended: &'a [u64],
    /// Why each was refused, if it was.
    pub refused: &'a [Option<Reject>],
    /// What clients look at.
    pub signals: &'a Signals,
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
    /// Requests that the market refused.
    pub rejects: BTreeMap<Reject, u64>,
    /// How late the generator was, in ns, where there was one: what it adds to every latency.
    pub late: LatencyRecorder,
    /// Requests submitted together.
    pub batches: LatencyRecorder,
    /// From the first request until the last answer.
    pub wall_seconds: f64,
    /// CPU seconds of the whole process in that time, clients included.
    pub cpu_seconds: Result<f64, String>,
    /// Seconds of that time in which the engine's thread was ready while its CPU was another thread's.
    pub engine_without_cpu_seconds: Result<f64, String>,
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

/// A node with the accounts and orders at the start.
pub struct Ready {
    node: Node<Optimized>,
    next: u64,
}

impl Ready {
    /// Its engine.
    pub fn engine(&self) -> &Optimized {
        self.node.engine()
    }
}

/// Makes what a plan starts with.
pub fn prepare(plan: &Plan) -> Ready {
    let (engine, next) = {
        let (setup, engine) = setup::<Optimized>(plan);
        (engine, 1 + setup.len() as u64)
    };
    let params = ChainParams::fixed(*engine.rules(), Target::from_leading_zero_bits(plan.difficulty_bits).to_bits());
    let policy = BlockPolicy { transactions: 65_536, interval: None, plan: Stack::OPTIMIZED.plan };
    let clock = Clock::Simulated { start: 0, step: 1_000 };
    // Its own watch: who cancels stops the clients, and what was taken is still carried out, sealed and reported.
    Ready { node: Node::new(engine, next, params, policy, clock, Arc::new(Watch::new()), None), next }
}

/// Lets clients ask for as long as the plan says, or until the watch is cancelled, and answers everything. `look_on` sees every batch.
///
/// # Errors
/// The node's sealing failed.
///
/// # Panics
/// If there are more clients than accounts.
pub fn drive(
    plan: &Plan,
    ready: Ready,
    pace: Pace,
    watch: &Arc<Watch>,
    look_on: &mut dyn FnMut(Moment<'_>),
) -> Result<Driven, NodeError> {
    let Ready { mut node, next: mut sequence } = ready;
    let traders: Vec<Trader> =
        (0..plan.clients).map(|client| Trader::new(plan.population, client, plan.clients)).collect();
    let (to, queue) = sync_channel(plan.queue);
    let cpu = process_cpu_seconds();
    let run_delay = RunDelay::of_this_thread().and_then(|clock| Ok((clock.ns()?, clock)));
    let start = Instant::now();
    let signals = Arc::new(Signals::new(start + plan.duration, watch.clone(), plan.habit));
    let line = |answered| Line { to: to.clone(), answered, start, signals: signals.clone() };
    let (answers, asking) = match pace {
        Pace::Closed => {
            let asks = |(client, trader)| {
                let (answer, answered) = channel();
                let line = line(answered);
                (answer, thread::spawn(move || closed_loop(client, trader, &line)))
            };
            (0..).zip(traders).map(asks).unzip()
        }
        Pace::Open(arrivals) => {
            let (answer, answered) = channel();
            let line = line(answered);
            let generator = thread::spawn(move || open_loop(arrivals, traders, &line));
            (vec![answer; plan.clients as usize], vec![generator])
        }
    };
    drop(to);

    let mut clients = vec![Served { requests: 0, latency: LatencyRecorder::new() }; plan.clients as usize];
    let mut outboxes = Outboxes::new(answers);
    let mut batches = LatencyRecorder::new();
    let mut waiting = Waiting::default();
    let mut refused: Vec<Option<Reject>> = Vec::with_capacity(BATCH);
    let mut rejects = BTreeMap::new();
    let mut kept = (Vec::with_capacity(KEPT), None);
    let mut last = 0;
    while waiting.take(&queue) {
        let Waiting { commands, from, intended } = &waiting;
        refused.clear();
        node.submit_and_see(commands, commands.len() as u32, |log, count| {
            refused.extend((log.len() - count..log.len()).map(|index| reason(log.outcome(index))));
        })?;
        last = start.elapsed().as_nanos() as u64;
        batches.record(commands.len() as u64);
        for ((&client, &intended), refused) in from.iter().zip(intended).zip(&refused) {
            let served = &mut clients[client as usize];
            served.requests += 1;
            served.latency.record(last.saturating_sub(intended));
            outboxes.put(client, (sequence, refused.is_none()));
            sequence += 1;
        }
        outboxes.send();
        refused.iter().flatten().for_each(|&reason| *rejects.entry(reason).or_default() += 1);
        if kept.1.is_none() {
            kept.0.extend_from_slice(commands);
            if kept.0.len() >= KEPT {
                kept.1 = Some(state_digest(node.engine()));
            }
        }
        look_on(Moment { at_ns: last, engine: node.engine(), intended, refused: &refused, signals: &signals });
    }
    let wall_seconds = last as f64 / 1e9;
    let cpu_seconds = process_cpu_seconds().and_then(|now| Ok(now - cpu?));
    let engine_without_cpu_seconds = run_delay.and_then(|(before, clock)| Ok((clock.ns()? - before) as f64 / 1e9));
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
        rejects,
        late: asked.late.unwrap_or_default(),
        batches,
        wall_seconds,
        cpu_seconds,
        engine_without_cpu_seconds,
        stats: engine.stats(),
        digest: state_digest(&engine),
        sealed,
        kept: (kept.0, kept_digest),
    })
}

fn reason(outcome: &[Event]) -> Option<Reject> {
    match outcome {
        [Event::Rejected { reason }] => Some(*reason),
        _ => None,
    }
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

/// Requests that are to be submitted together: what, from whom, and when it was to be sent.
#[derive(Default)]
struct Waiting {
    commands: Vec<Command>,
    from: Vec<u32>,
    intended: Vec<u64>,
}

impl Waiting {
    /// Waits for a request, and takes with it what else is there. False when all clients are gone.
    fn take(&mut self, queue: &Receiver<Request>) -> bool {
        self.commands.clear();
        self.from.clear();
        self.intended.clear();
        let Ok(first) = queue.recv() else { return false };
        let mut goes_on = self.push(first);
        while goes_on {
            match queue.try_recv() {
                Ok(request) => goes_on = self.push(request),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        true
    }

    fn push(&mut self, Request { client, intended, command }: Request) -> bool {
        self.commands.push(command);
        self.from.push(client);
        self.intended.push(intended);
        self.commands.len() < BATCH
    }
}

/// Answers on their way: a message to a client costs a wake-up, so it gets one a batch.
struct Outboxes {
    to: Vec<Sender<Answers>>,
    answers: Vec<Vec<Answer>>,
    /// Clients that get something.
    filled: Vec<u32>,
}

impl Outboxes {
    fn new(to: Vec<Sender<Answers>>) -> Self {
        Outboxes { answers: vec![Vec::new(); to.len()], filled: Vec::new(), to }
    }

    fn put(&mut self, client: u32, answer: Answer) {
        let answers = &mut self.answers[client as usize];
        if answers.is_empty() {
            self.filled.push(client);
        }
        answers.push(answer);
    }

    fn send(&mut self) {
        for client in self.filled.drain(..) {
            let answers = std::mem::take(&mut self.answers[client as usize]);
            // A client that is gone needs no answer.
            let _ = self.to[client as usize].send((client, answers));
        }
    }
}
