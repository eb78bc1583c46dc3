//! Floor 5: load: clients on threads of their own, a bounded queue, one node.
//!
//! `drive` plays one plan; `concurrent`, `peak` and `capacity` are plans and what is concluded from them. What to expect, on two
//! CPUs that clients, engine and sealer share: a request crosses a queue (some 100 ns on each side), is carried out (40 to 60 ns) and
//! hashed into a block (some 150 ns); so 2 to 3 million a second at best, an order less than the engine alone, and bound by CPU time.

mod capacity;
mod drive;

pub use capacity::{Capacity, Growth, Knee, Step, capacity};
pub use drive::{Driven, KEPT, Pace, Plan, Served, drive};

use super::environment::environment;
use super::{Environment, Latency, Reading, ScenarioError};
use crate::baseline::Baseline;
use crate::command::Batch;
use crate::engine::{Engine, state_digest};
use crate::event::EventLog;
use crate::hash::to_hex;
use crate::measure::{jain_index, median};
use crate::seal::Watch;
use crate::workload::{Arrivals, Population};
use serde::Serialize;
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
    /// Steps of offered load up to saturation, the knee, what a trade costs, how time grows with orders and accounts.
    Capacity,
}

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
    /// Length of a measurement; of a step, for `capacity`.
    pub seconds: f64,
    /// Average requests a second of `peak`; `None` for a tenth of what a closed loop gets through.
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
    /// What was played: `concurrent`, `peak` or `capacity`.
    pub kind: &'static str,
    /// Clients.
    pub clients: u32,
    /// Accounts that trade.
    pub users: u32,
    /// Orders at the start.
    pub orders: u32,
    /// Requests that fit the queue.
    pub queue: u32,
    /// Seed.
    pub seed: u64,
    /// The measurements: one, or a closed loop and then steps.
    pub runs: Vec<LoadRun>,
    /// What a capacity plan concludes.
    pub capacity: Option<Capacity>,
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
    let mut runs = Vec::new();
    let mut concluded = None;
    let plan = plan(options);
    let kind = match options.kind {
        LoadKind::Concurrent => {
            say("closed loop");
            runs.push(measure(&plan, "closed loop".to_string(), None, Pace::Closed, watch)?);
            "concurrent"
        }
        LoadKind::Peak => {
            let rate = match options.rate {
                Some(rate) => rate,
                None => {
                    say("closed loop, for the rate");
                    let closed = measure(&plan, "closed loop".to_string(), None, Pace::Closed, watch)?;
                    let rate = closed.answered_per_second / BURST_FACTOR;
                    runs.push(closed);
                    rate
                }
            };
            for (name, arrivals) in [
                ("Poisson", Arrivals::poisson(rate, options.seed)),
                (
                    "bursts of 10 times the average",
                    Arrivals::bursts(rate, BURST_FACTOR, BURST_SHARE, BURST_PERIOD_NS, options.seed),
                ),
            ] {
                if watch.is_cancelled() {
                    break;
                }
                say(name);
                runs.push(measure(&plan, name.to_string(), Some(rate), Pace::Open(arrivals), watch)?);
            }
            "peak"
        }
        LoadKind::Capacity => {
            concluded = Some(capacity(&plan, &mut runs, say, watch)?);
            "capacity"
        }
    };
    let LoadOptions { clients, users, orders, queue, seed, .. } = *options;
    let (environment, complete) = (environment(), !watch.is_cancelled());
    let schema = "joulebook.load.v1";
    Ok(LoadReport {
        schema,
        environment,
        kind,
        clients,
        users,
        orders,
        queue,
        seed,
        runs,
        capacity: concluded,
        complete,
    })
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
    let driven = drive(plan, how, watch)?;
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
    Ok(summary(pace, offered_per_second, &driven))
}

fn summary(pace: String, offered_per_second: Option<f64>, driven: &Driven) -> LoadRun {
    let requests = driven.requests();
    let mut all = crate::measure::LatencyRecorder::new();
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
        refused_by_queue: driven.refused,
        latency_ns: super::results::latency_figures(&all),
        generator_late_ns: (!driven.late.is_empty()).then(|| super::results::latency_figures(&driven.late)),
        batch_mean: driven.batches.mean(),
        batch_max: driven.batches.max(),
        fairness: jain_index(&served),
        worst_client_p99_over_median: worst / median(&mut p99).max(1.0),
        cpu_seconds: match &driven.cpu_seconds {
            Ok(seconds) => Reading::Value(*seconds),
            Err(reason) => Reading::Unavailable(reason.clone()),
        },
        wall_seconds: driven.wall_seconds,
        trades: driven.stats.trades,
        open_orders: driven.stats.open_orders,
        blocks: driven.sealed.blocks,
        digest: to_hex(&driven.digest),
        verified_commands: driven.kept.0.len() as u64,
    }
}
