//! A capacity plan: how much goes through, from where on it gets slow, what a trade costs, and how time grows with the market.

use super::drive::{Pace, Plan};
use super::{LoadRun, ScenarioError, measure};
use crate::command::Batch;
use crate::engine::Engine;
use crate::event::EventLog;
use crate::measure::median;
use crate::optimized::Optimized;
use crate::scenario::{BooksOptions, Reading, run_books};
use crate::seal::Watch;
use crate::workload::{Arrivals, Population, Stream};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Offered load of each step, in parts of what the closed loop got through.
const STEPS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2];
/// A step is past the knee if its p99 is so many times the first step's,
const SLOW: f64 = 10.0;
/// or less than this part of what was offered was answered.
const ENOUGH: f64 = 0.99;

/// What a capacity plan concludes.
#[derive(Clone, Debug, Serialize)]
pub struct Capacity {
    /// Requests a second that a closed loop of all clients got through.
    pub closed_loop_per_second: f64,
    /// Offered load and what came of it, in rising order.
    pub steps: Vec<Step>,
    /// Where it gets slow.
    pub knee: Knee,
    /// CPU seconds of the whole process for a million trades, in the closed loop.
    pub cpu_seconds_per_million_trades: Reading,
    /// How time and memory grow with accounts and orders, the engine alone.
    pub growth: Vec<Growth>,
    /// How they grow with books, the exchange alone, on one core.
    pub books: Vec<BooksGrowth>,
}

/// Offered load, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Requests a second that were to come.
    pub offered_per_second: f64,
    /// Requests a second that were answered.
    pub answered_per_second: f64,
    /// Parts of what came that the full queue refused.
    pub refused: f64,
    /// Latency that half of the requests do not pass, in ns.
    pub p50_ns: u64,
    /// That 99 % do not pass.
    pub p99_ns: u64,
    /// That 99.9 % do not pass.
    pub p999_ns: u64,
}

/// The largest offered load, before the first step that is too slow, of which 99 % is answered with a p99 below ten times that of
/// the first step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Knee {
    /// Requests a second; nothing if not even the first step was fast enough.
    pub per_second: Option<f64>,
    /// What is known about it, in words.
    pub says: String,
}

/// Time of a command in a market of a size.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    /// Accounts.
    pub users: u32,
    /// Orders that rest at the start.
    pub orders: u32,
    /// Time of a command of the `writes` stream, in ns: the median of five rounds on one thread.
    pub ns_per_command: f64,
    /// Bytes of the engine at the start, as it says itself.
    pub engine_bytes: u64,
}

/// Time of a message in an exchange of many books, matching only.
#[derive(Clone, Debug, Serialize)]
pub struct BooksGrowth {
    /// Books.
    pub books: u32,
    /// Time of a message, in ns: the median of rounds.
    pub ns_per_message: f64,
    /// Bytes of a book.
    pub bytes_per_book: u64,
}

/// Plays the closed loop, the steps, and markets of growing size. Each step starts afresh.
///
/// # Errors
/// As [`run_load`](super::run_load).
pub fn capacity(
    plan: &Plan,
    runs: &mut Vec<LoadRun>,
    say: &mut dyn FnMut(&str),
    watch: &Arc<Watch>,
) -> Result<Capacity, ScenarioError> {
    say("closed loop");
    let closed = measure(plan, "closed loop".to_string(), None, Pace::Closed, watch)?;
    let (closed_loop_per_second, trades) = (closed.answered_per_second, closed.trades);
    let cpu_seconds_per_million_trades = match &closed.cpu_seconds {
        Reading::Value(seconds) if trades > 0 => Reading::Value(seconds / trades as f64 * 1e6),
        Reading::Value(_) => Reading::Unavailable("there was no trade".to_string()),
        Reading::Unavailable(reason) => Reading::Unavailable(reason.clone()),
    };
    runs.push(closed);
    let mut steps: Vec<Step> = Vec::new();
    for share in STEPS {
        if watch.is_cancelled() || closed_loop_per_second <= 0.0 {
            break;
        }
        let rate = share * closed_loop_per_second;
        say(&format!("open loop at {:.0} % of that", 100.0 * share));
        let arrivals = Arrivals::poisson(rate, plan.population.seed);
        let run = measure(plan, format!("Poisson, {:.0} %", 100.0 * share), Some(rate), Pace::Open(arrivals), watch)?;
        let came = run.requests + run.refused_by_queue;
        steps.push(Step {
            offered_per_second: rate,
            answered_per_second: run.answered_per_second,
            refused: if came > 0 { run.refused_by_queue as f64 / came as f64 } else { 0.0 },
            p50_ns: run.latency_ns.p50,
            p99_ns: run.latency_ns.p99,
            p999_ns: run.latency_ns.p999,
        });
        runs.push(run);
    }
    let mut growth = Vec::new();
    for (users, orders) in [(100, 50), (1_000, 1_000), (10_000, 10_000), (100_000, 100_000)] {
        if watch.is_cancelled() {
            break;
        }
        say(&format!("a market with {users} accounts and {orders} orders"));
        growth.push(grown(users, orders, plan.population.seed));
    }
    let books = grown_books(plan.population.seed, say, watch)?;
    let knee = knee(&steps);
    Ok(Capacity { closed_loop_per_second, steps, knee, cpu_seconds_per_million_trades, growth, books })
}

fn grown_books(seed: u64, say: &mut dyn FnMut(&str), watch: &Watch) -> Result<Vec<BooksGrowth>, ScenarioError> {
    let (books, shards) = (vec![1, 8, 64, 1_000], vec![1]);
    let options = BooksOptions { books, shards, messages: 2_000_000, batch: 8_192, seed, rounds: None, quick: true };
    let report = run_books(&options, &mut |progress| say(progress.doing), watch)?;
    let growth = report.results.iter().map(|result| BooksGrowth {
        books: result.books,
        ns_per_message: result.ns_per_message,
        bytes_per_book: result.bytes_per_book,
    });
    Ok(growth.collect())
}

/// The rule, over steps in rising order.
fn knee(steps: &[Step]) -> Knee {
    let fast = |step: &&Step| {
        let answered = step.answered_per_second >= ENOUGH * step.offered_per_second && step.refused <= 1.0 - ENOUGH;
        answered && step.p99_ns as f64 <= SLOW * steps[0].p99_ns as f64
    };
    let fast = steps.iter().take_while(fast).count();
    let (per_second, says) = match (fast, steps.get(fast)) {
        (0, None) => (None, "no step was played".to_string()),
        (0, Some(_)) => (None, "not even the first step was answered in time: it lies below".to_string()),
        (_, None) => (
            Some(steps[fast - 1].offered_per_second),
            "cannot tell: every step was fast enough, so it lies above".to_string(),
        ),
        (_, Some(slow)) => {
            let why = if slow.p99_ns as f64 > SLOW * steps[0].p99_ns as f64 {
                format!("p99 is {:.0} times that of the first step", slow.p99_ns as f64 / steps[0].p99_ns as f64)
            } else {
                format!(
                    "{:.1} % of what is offered is answered",
                    100.0 * slow.answered_per_second / slow.offered_per_second
                )
            };
            (
                Some(steps[fast - 1].offered_per_second),
                format!("at the next step, {:.3} M/s, {why}", slow.offered_per_second / 1e6),
            )
        }
    };
    Knee { per_second, says }
}

fn grown(users: u32, orders: u32, seed: u64) -> Growth {
    const COMMANDS: u64 = 100_000;
    let stream = Stream::writes(Population { users, orders, seed }, COMMANDS);
    let mut engine = Optimized::new(stream.rules);
    let mut log = EventLog::default();
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut log);
    let engine_bytes = engine.memory() as u64;
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let mut engine = engine.clone();
            let mut first = 1 + stream.setup.len() as u64;
            let start = Instant::now();
            for commands in stream.commands.chunks(256) {
                log.clear();
                engine.apply(Batch { first, time: 0, commands }, &mut log);
                first += commands.len() as u64;
            }
            start.elapsed().as_nanos() as f64 / COMMANDS as f64
        })
        .collect();
    Growth { users, orders, ns_per_command: median(&mut times), engine_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(offered: f64, answered: f64, p99_ns: u64) -> Step {
        Step { offered_per_second: offered, answered_per_second: answered, refused: 0.0, p50_ns: 1, p99_ns, p999_ns: 1 }
    }

    #[test]
    fn the_knee_is_where_the_rule_says() {
        let by_latency = knee(&[step(1e6, 1e6, 100), step(2e6, 2e6, 900), step(3e6, 3e6, 1_001), step(4e6, 4e6, 100)]);
        assert_eq!(by_latency.per_second, Some(2e6));
        assert!(by_latency.says.contains("3.000 M/s, p99 is 10 times"), "{by_latency:?}");
        let by_rate = knee(&[step(1e6, 0.995e6, 100), step(2e6, 1.9e6, 100)]);
        assert_eq!(by_rate.per_second, Some(1e6));
        assert!(by_rate.says.contains("95.0 % of what is offered"), "{by_rate:?}");
        let refused = Step { refused: 0.02, ..step(2e6, 2e6, 100) };
        assert_eq!(knee(&[step(1e6, 1e6, 100), refused]).per_second, Some(1e6));
        assert!(knee(&[step(1e6, 1e6, 100)]).says.starts_with("cannot tell"));
        assert_eq!(knee(&[step(1e6, 0.5e6, 100)]).per_second, None);
        assert_eq!(knee(&[]).per_second, None);
    }
}
