//! From played rounds to the report's figures.

use super::evidence::Evidence;
use super::player::{Player, Round};
use super::{Kind, Latency, QuantileLatency, Ratio, Reading, Resources, Rung, ScenarioResult, Work};
use crate::hash::to_hex;
use crate::measure::{Interval, LatencyRecorder, median, median_interval};
use crate::node::{Durability, SealTotals, Stack};

/// Wanted probability that a ratio's interval holds the true median.
const CONFIDENCE: f64 = 0.95;

/// One stack ready to play a scenario, with the rounds that it has played.
pub struct Contender {
    /// The stack.
    pub stack: Stack,
    /// What plays it.
    pub player: Box<dyn Player>,
    /// Operations per round.
    pub operations: u64,
    /// How often it plays them over.
    pub repeats: u64,
    /// What it has played.
    pub rounds: Vec<Round>,
}

/// Optimized over baseline, and over durable, round by round, if they played.
pub fn ratios(kind: Kind, contenders: &[Contender]) -> impl Iterator<Item = Ratio> {
    [Stack::BASELINE.name, Stack::DURABLE_NAME].into_iter().filter_map(move |over| ratio(kind, contenders, over))
}

fn ratio(kind: Kind, contenders: &[Contender], over: &str) -> Option<Ratio> {
    let find = |name| contenders.iter().find(|contender| contender.stack.name == name);
    let (slower, optimized) = (find(over)?, find(Stack::OPTIMIZED.name)?);
    let speed = |round: &Round| round.operations as f64 / round.wall_seconds;
    let pairs = optimized.rounds.iter().zip(&slower.rounds);
    let ratios: Vec<f64> = pairs.map(|(optimized, slower)| speed(optimized) / speed(slower)).collect();
    let interval = interval(&ratios);
    Some(Ratio {
        name: kind.name().to_string(),
        stack: Stack::OPTIMIZED.name.to_string(),
        over: over.to_string(),
        median: interval.median,
        low: interval.low,
        high: interval.high,
        confidence: interval.confidence,
        rounds: ratios.len() as u32,
    })
}

/// The median of these ratios, with an interval that holds the true one.
pub fn interval(ratios: &[f64]) -> Interval {
    median_interval(ratios, CONFIDENCE)
}

/// Operations per second of each round, in the order in which they were played.
fn rounds_ops_per_second(contender: &Contender) -> Vec<f64> {
    contender.rounds.iter().map(|round| round.operations as f64 / round.wall_seconds).collect()
}

/// Slowest, median and fastest round.
pub fn ops_per_second(contender: &Contender) -> [f64; 3] {
    let mut speeds = rounds_ops_per_second(contender);
    let middle = median(&mut speeds);
    let (slowest, fastest) = speeds.iter().fold((f64::INFINITY, 0.0), |(low, high), &s| (s.min(low), s.max(high)));
    [slowest, middle, fastest]
}

/// The rungs that the contenders are, slowest stack first.
pub fn ladder(kind: Kind, contenders: &[Contender]) -> Vec<Rung> {
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

/// What the report says of one stack in one scenario.
pub fn scenario_result(
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
    let cpu_seconds = cpus.map(|mut cpus| median(&mut cpus)).into();
    let error_rate = evidence.error_rate();
    let rejects = evidence.rejects.iter().map(|(reason, &count)| (reason.name().to_string(), count)).collect();
    let last = rounds.last().expect("there is a round");
    let work = work(evidence.work, *repeats, last.sealed.as_ref());
    let (disk_bytes, disk_note) = match &last.journal {
        Some(journal) => {
            (journal.bytes, "frames of its journal; its segments were made and filled before the clock started")
        }
        None => (0, "this stack keeps everything in memory"),
    };
    ScenarioResult {
        name: kind.name().to_string(),
        stack: stack.name.to_string(),
        operation: operation(kind).to_string(),
        operations: operations * repeats,
        rounds: rounds.len() as u32,
        ops_per_second: middle,
        ops_per_second_range: [slowest, fastest],
        rounds_ops_per_second: rounds_ops_per_second(contender),
        latency_ns: latency.as_ref().map(latency_figures),
        latency_of: latency_of(kind, stack.durability).to_string(),
        error_rate,
        rejects,
        resources: Resources {
            peak_rss_mib,
            cpu_seconds,
            wall_seconds: median(&mut walls),
            network_bytes: 0,
            network_note: "every stack runs in this process: nothing crosses a network",
            disk_bytes,
            disk_note,
        },
        work,
        journal: last.journal,
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

/// A distribution's figures.
pub fn latency_figures(recorder: &LatencyRecorder) -> Latency {
    Latency {
        samples: recorder.len(),
        mean: recorder.mean(),
        p50: recorder.at(0.5),
        p95: recorder.at(0.95),
        p99: recorder.at(0.99),
        p999: recorder.at(0.999),
        max: recorder.max(),
        curve: curve(recorder),
    }
}

/// Four quantiles for each further nine: 0, 0.44, 0.68, 0.82, 0.9, ..., 0.99, ...
fn curve(recorder: &LatencyRecorder) -> Vec<QuantileLatency> {
    let above = (0..).map(|k| 10f64.powf(-f64::from(k) / 4.0));
    // A little less than one, for what powers round off.
    let counted = above.take_while(|above| above * recorder.len() as f64 > 0.999_999);
    let point = |above: f64| QuantileLatency { quantile: 1.0 - above, ns: recorder.at(1.0 - above) };
    counted.map(point).collect()
}

fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Reads => "one market-data read",
        Kind::Writes => "one order placed or cancelled, escrow and matching included; no blocks",
        Kind::Settlement => "one trade: two orders, escrow, transfer, fee, two transactions in a sealed block",
        Kind::Mixed => "one read (70 %), one order or cancel (25 %) or one settlement (5 %), in sealed blocks",
    }
}

fn latency_of(kind: Kind, durability: Durability) -> &'static str {
    match kind {
        Kind::Settlement if durability != Durability::None => {
            "from submission until the trade is acknowledged, each trade a group of its own, at full load"
        }
        Kind::Mixed if durability != Durability::None => {
            "a read, or from submission until the other operation is acknowledged, each a group of its own, at full load"
        }
        Kind::Reads => "one read, clock included",
        Kind::Writes => "one command applied by itself, clock included",
        Kind::Settlement => "from submission until the trade's block is sealed, at full load",
        Kind::Mixed => "one operation applied, waiting for the sealer included, its own block's sealing not",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_as_far_as_there_are_samples() {
        let mut recorder = LatencyRecorder::new();
        assert!(curve(&recorder).is_empty(), "nothing is known of no samples");
        recorder.record(7);
        assert_eq!(curve(&recorder), [QuantileLatency { quantile: 0.0, ns: 7 }]);
        (1..1_000).for_each(|_| recorder.record(9));
        let points = curve(&recorder);
        assert_eq!(points.len(), 13, "four for each of three nines, and the smallest: {points:?}");
        assert!(points[1..].iter().all(|point| point.ns == 9) && points[0].ns == 7);
        let [ninety, last] = [points[4].quantile, points[12].quantile];
        assert!((ninety - 0.9).abs() < 1e-12 && (last - 0.999).abs() < 1e-12);
        assert!(points.windows(2).all(|two| two[0].quantile < two[1].quantile && two[0].ns <= two[1].ns));
    }
}
