//! Floor 5: load: clients on threads of their own, a bounded queue, one node.
//!
//! `drive` plays one plan, `clients` ask; `capacity`, `stress` and `soak` are plans and what is concluded from them. What to expect,
//! on two CPUs that clients, engine and sealer share: a request crosses a queue (some 100 ns on each side), is carried out (40 to 60
//! ns) and hashed into a block (some 150 ns); so 2 to 3 million a second at best, an order less than the engine alone, and bound by
//! CPU time.

mod capacity;
mod clients;
mod drive;
mod soak;
mod stress;

pub use capacity::{BooksGrowth, Capacity, Growth, Knee, Step, capacity};
pub use clients::{Signals, WINDOW};
pub use drive::{Driven, KEPT, Moment, Pace, Plan, Ready, Served, drive, prepare};
pub use soak::{Soak, SoakSample, soak};
pub use stress::{Stress, Stretch, stress};

use super::environment::environment;
use super::{Environment, Latency, Reading, ScenarioError};
use crate::baseline::Baseline;
use crate::command::Batch;
use crate::engine::{Engine, state_digest};
use crate::event::EventLog;
use crate::hash::to_hex;
use crate::measure::{LatencyRecorder, jain_index, median};
use crate::seal::Watch;
use crate::workload::{Arrivals, Habit, Population};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bursts of `peak`: so many times the average,
pub const BURST_FACTOR: f64 = 10.0;
/// in so much of each period,
pub const BURST_SHARE: f64 = 0.05;
/// which is so long, in ns.
pub const BURST_PERIOD_NS: f64 = 1e8;

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadKind {
    /// Many clients that each wait for their answers.
    Concurrent,
    /// An open loop at a given average with bursts of ten times as much.
    Peak,
    /// Steps of offered load up to saturation, the knee, what a trade costs, how time and memory grow with the market.
    Capacity,
    /// Orders that rest until the market's limit refuses, and then on.
    Stress,
    /// An even load for long, and whether memory grows.
    Soak,
}

impl LoadKind {
    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            LoadKind::Concurrent => "concurrent",
            LoadKind::Peak => "peak",
            LoadKind::Capacity => "capacity",
            LoadKind::Stress => "stress",
            LoadKind::Soak => "soak",
        }
    }
}

/// An account's money at the start is good for so many orders at least.
const ORDERS_PER_ACCOUNT: u32 = 5_000;
/// Seconds of the closed loop that says what goes through, at most, where no rate is given.
const TRIAL_SECONDS: f64 = 2.0;

/// What a load is asked to do.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// What is played.
    pub kind: LoadKind,
    /// Clients; at most as many as users.
    pub clients: u32,
    /// Accounts that trade.
    pub users: u32,
    /// Orders at the start.
    pub orders: u32,
    /// Orders that the market lets rest.
    pub orders_max: u32,
    /// Requests that fit the queue.
    pub queue: u32,
    /// Length of a measurement; of a step, for `capacity`; of refusing, and of trading behind it, for `stress`.
    pub seconds: f64,
    /// Average requests a second of `peak` and `soak`; `None` for a tenth, and half, of what a closed loop gets through.
    pub rate: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Difficulty of blocks, in leading zero bits.
    pub difficulty_bits: u32,
}

/// A load's report.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// `joulebook.load.v1`.
    pub schema: &'static str,
    /// Where it was measured.
    pub environment: Environment,
    /// What was played: `concurrent`, `peak`, `capacity`, `stress` or `soak`.
    pub kind: &'static str,
    /// Clients.
    pub clients: u32,
    /// Accounts that trade.
    pub users: u32,
    /// Orders at the start.
    pub orders: u32,
    /// Orders that the market lets rest.
    pub orders_max: u32,
    /// Requests that fit the queue.
    pub queue: u32,
    /// Seconds of a measurement that were asked for.
    pub seconds: f64,
    /// Difficulty of blocks, in leading zero bits.
    pub difficulty_bits: u32,
    /// Seed.
    pub seed: u64,
    /// The measurements: one, or a closed loop and then steps.
    pub runs: Vec<LoadRun>,
    /// What a capacity plan concludes.
    pub capacity: Option<Capacity>,
    /// What came of filling the market.
    pub stress: Option<Stress>,
    /// What a long run shows.
    pub soak: Option<Soak>,
    /// `false` if it was interrupted.
    pub complete: bool,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct LoadRun {
    /// `closed loop`, or how requests came.
    pub pace: String,
    /// Requests a second that were to come; nothing for a closed loop, which asks as fast as it is answered.
    pub offered_per_second: Option<f64>,
    /// Requests a second that were answered.
    pub answered_per_second: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, the ones that the market accepted: they are transactions in blocks.
    pub accepted: u64,
    /// The others, by the market's reason: a cancel of an order that is filled is `unknown-order`.
    pub rejects: BTreeMap<String, u64>,
    /// Requests that the full queue refused.
    pub refused_by_queue: u64,
    /// From when a request was to be sent until it was answered.
    pub latency_ns: Latency,
    /// How late the generator was, which every latency contains; nothing for a closed loop.
    pub generator_late_ns: Option<Latency>,
    /// Requests that were submitted together, on average and at most.
    pub batch_mean: f64,
    /// At most.
    pub batch_max: u64,
    /// Jain's index of what the clients were answered: 1 if all got the same, 1/n if one got everything.
    pub fairness: f64,
    /// The worst client's p99 over the median client's.
    pub worst_client_p99_over_median: f64,
    /// CPU seconds of the process, clients included.
    pub cpu_seconds: Reading,
    /// Seconds in which the engine's thread was ready while its CPU was another thread's: what latency owes to the lack of CPUs.
    pub engine_without_cpu_seconds: Reading,
    /// Wall seconds.
    pub wall_seconds: f64,
    /// Trades.
    pub trades: u64,
    /// Orders that rest at the end.
    pub open_orders: u32,
    /// Blocks sealed.
    pub blocks: u64,
    /// Digest of the state at the end.
    pub digest: String,
    /// So many commands were played again on the baseline, in the order in which the engine took them, with the same digest.
    pub verified_commands: u64,
}

/// Plays what the options say. `say` hears what is played next.
///
/// # Errors
/// An option cannot be used; a load and the baseline differ. What is cancelled is no error: the report has what was measured.
pub fn run_load(
    options: &LoadOptions,
    say: &mut dyn FnMut(&str),
    watch: &Arc<Watch>,
) -> Result<LoadReport, ScenarioError> {
    check(options)?;
    let plan = plan(options);
    let LoadOptions { kind, clients, users, orders, orders_max, queue, seconds, difficulty_bits, seed, .. } = *options;
    let mut report = LoadReport {
        schema: "joulebook.load.v1",
        environment: environment(),
        kind: kind.name(),
        clients,
        users,
        orders,
        orders_max,
        queue,
        seconds,
        difficulty_bits,
        seed,
        runs: Vec::new(),
        capacity: None,
        stress: None,
        soak: None,
        complete: false,
    };
    let runs = &mut report.runs;
    match kind {
        LoadKind::Concurrent => {
            say("closed loop");
            runs.push(measure(&plan, "closed loop".to_string(), None, Pace::Closed, watch)?);
        }
        LoadKind::Peak => {
            let rate = rate(options, &plan, 1.0 / BURST_FACTOR, runs, say, watch)?;
            let bursts = Arrivals::bursts(rate, BURST_FACTOR, BURST_SHARE, BURST_PERIOD_NS, seed);
            let paces = [("Poisson", Arrivals::poisson(rate, seed)), ("bursts of 10 times the average", bursts)];
            for (name, arrivals) in paces {
                if watch.is_cancelled() {
                    break;
                }
                say(name);
                runs.push(measure(&plan, name.to_string(), Some(rate), Pace::Open(arrivals), watch)?);
            }
        }
        LoadKind::Capacity => report.capacity = Some(capacity(&plan, runs, say, watch)?),
        LoadKind::Stress => {
            let (run, stress) = stress(&plan, say, watch)?;
            runs.push(run);
            report.stress = Some(stress);
        }
        LoadKind::Soak => {
            let rate = rate(options, &plan, 0.5, runs, say, watch)?;
            if !watch.is_cancelled() {
                let (run, soak) = soak(&plan, rate, say, watch)?;
                runs.push(run);
                report.soak = Some(soak);
            }
        }
    }
    report.complete = !watch.is_cancelled();
    Ok(report)
}

/// The rate that was asked for, or this share of what a closed loop gets through.
fn rate(
    options: &LoadOptions,
    plan: &Plan,
    share: f64,
    runs: &mut Vec<LoadRun>,
    say: &mut dyn FnMut(&str),
    watch: &Arc<Watch>,
) -> Result<f64, ScenarioError> {
    if let Some(rate) = options.rate {
        return Ok(rate);
    }
    say("closed loop, for the rate");
    let trial = Plan { duration: plan.duration.min(Duration::from_secs_f64(TRIAL_SECONDS)), ..plan.clone() };
    let closed = measure(&trial, "closed loop".to_string(), None, Pace::Closed, watch)?;
    let rate = share * closed.answered_per_second;
    runs.push(closed);
    Ok(rate)
}

fn check(options: &LoadOptions) -> Result<(), ScenarioError> {
    let wrong = |option, value: String, why| Err(ScenarioError::Option { option, value, why });
    if options.clients == 0 || options.clients > options.users {
        return wrong(
            "--clients",
            options.clients.to_string(),
            "there is at least one, and each needs an account (--users)",
        );
    }
    if !(options.seconds > 0.0 && options.seconds <= 86_400.0) {
        return wrong("--seconds", options.seconds.to_string(), "more than 0 and at most 86400 are wanted");
    }
    if options.orders >= options.orders_max {
        return wrong("--orders", options.orders.to_string(), "fewer than --orders-max can be there at the start");
    }
    if options.kind == LoadKind::Stress && options.orders_max / options.users > ORDERS_PER_ACCOUNT {
        return wrong(
            "--users",
            options.users.to_string(),
            "to fill the market, one is needed for 5,000 of --orders-max",
        );
    }
    match options.rate {
        Some(rate) if !(rate > 0.0 && rate <= 1e9) => {
            wrong("--rate", rate.to_string(), "more than 0 and at most a billion requests a second are wanted")
        }
        _ => Ok(()),
    }
}

fn plan(options: &LoadOptions) -> Plan {
    Plan {
        population: Population { users: options.users, orders: options.orders, seed: options.seed },
        clients: options.clients,
        queue: options.queue as usize,
        duration: Duration::from_secs_f64(options.seconds),
        difficulty_bits: options.difficulty_bits,
        orders_max: options.orders_max,
        habit: Habit::Trade,
    }
}

/// Plays a plan, and its first commands once more on the baseline.
fn measure(
    plan: &Plan,
    pace: String,
    offered_per_second: Option<f64>,
    how: Pace,
    watch: &Arc<Watch>,
) -> Result<LoadRun, ScenarioError> {
    let driven = drive(plan, prepare(plan), how, watch, &mut |_| ())?;
    conclude(plan, pace, offered_per_second, &driven)
}

/// What was driven, once its first commands gave the same on the baseline.
fn conclude(
    plan: &Plan,
    pace: String,
    offered_per_second: Option<f64>,
    driven: &Driven,
) -> Result<LoadRun, ScenarioError> {
    let (commands, digest) = &driven.kept;
    let (setup, mut baseline) = drive::setup::<Baseline>(plan);
    let mut log = EventLog::default();
    for (number, commands) in commands.chunks(256).enumerate() {
        log.clear();
        baseline.apply(Batch { first: 1 + (setup.len() + number * 256) as u64, time: 0, commands }, &mut log);
    }
    if state_digest(&baseline) != *digest {
        let (stack, other) = ("optimized".to_string(), "baseline".to_string());
        let (operations, what) = (commands.len() as u64, "state digest");
        return Err(ScenarioError::Differs { scenario: "load", operations, stack, other, what });
    }
    Ok(summary(pace, offered_per_second, driven))
}

fn summary(pace: String, offered_per_second: Option<f64>, driven: &Driven) -> LoadRun {
    let requests = driven.requests();
    let mut all = LatencyRecorder::new();
    driven.clients.iter().for_each(|client| all.add(&client.latency));
    let mut p99: Vec<f64> = driven.clients.iter().map(|client| client.latency.at(0.99) as f64).collect();
    let worst = p99.iter().copied().fold(0.0, f64::max);
    let served: Vec<f64> = driven.clients.iter().map(|client| client.requests as f64).collect();
    LoadRun {
        pace,
        offered_per_second,
        answered_per_second: if requests > 0 { requests as f64 / driven.wall_seconds } else { 0.0 },
        requests,
        accepted: driven.sealed.transactions,
        rejects: driven.rejects.iter().map(|(reason, &count)| (reason.name().to_string(), count)).collect(),
        refused_by_queue: driven.refused,
        latency_ns: super::results::latency_figures(&all),
        generator_late_ns: (!driven.late.is_empty()).then(|| super::results::latency_figures(&driven.late)),
        batch_mean: driven.batches.mean(),
        batch_max: driven.batches.max(),
        fairness: jain_index(&served),
        worst_client_p99_over_median: worst / median(&mut p99).max(1.0),
        cpu_seconds: driven.cpu_seconds.clone().into(),
        engine_without_cpu_seconds: driven.engine_without_cpu_seconds.clone().into(),
        wall_seconds: driven.wall_seconds,
        trades: driven.stats.trades,
        open_orders: driven.stats.open_orders,
        blocks: driven.sealed.blocks,
        digest: to_hex(&driven.digest),
        verified_commands: driven.kept.0.len() as u64,
    }
}
