//! A long run at an even load: does memory grow?

use super::drive::{Moment, Pace, Plan, drive, prepare};
use super::{LoadRun, ScenarioError, conclude};
use crate::engine::Engine;
use crate::measure::{TREND_POINTS_MIN, Trend, rss_mib, trend};
use crate::seal::Watch;
use crate::workload::Arrivals;
use serde::Serialize;
use std::sync::Arc;

/// Samples that are kept at most; then every second one goes, and the next ones come half as often.
const SAMPLES_MAX: usize = 200;
/// The first distance of samples, in ns.
const INTERVAL_NS: u64 = 50_000_000;
/// Of the time, so much is left out at the beginning: until traders have the orders that they will have, and buffers their size.
const WARM_UP: f64 = 0.25;
/// The rest is averaged over so many stretches, which stand for points that do not depend on each other.
const STRETCHES: usize = 20;
/// Seconds after the warm-up from which on growth is said by the hour.
const EXTRAPOLATED_FROM: f64 = 300.0;

/// What a long run shows.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// In order; at most 200, evenly apart.
    pub samples: Vec<SoakSample>,
    /// Seconds at the beginning that no line was laid through.
    pub warm_up_seconds: f64,
    /// MiB of resident set an hour; nothing if there are too few samples or no figures.
    pub resident_mib_per_hour: Option<Trend>,
    /// MiB of the engine an hour, as it says itself: what of the resident set is not the engine's is buffers, and what the allocator keeps.
    pub engine_mib_per_hour: Option<Trend>,
    /// Orders an hour that rest on top of those before.
    pub open_orders_per_hour: Option<Trend>,
    /// Whether memory grows, in words.
    pub says: String,
}

/// How it was at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct SoakSample {
    /// Since the start.
    pub seconds: f64,
    /// Requests that were answered until then.
    pub requests: u64,
    /// Orders that rested.
    pub open_orders: u32,
    /// Resident set of the process in MiB; nothing where it cannot be read.
    pub resident_mib: Option<f64>,
    /// Bytes of the engine, as it says itself.
    pub engine_bytes: u64,
    /// The longest that a request waited since the sample before, in ns.
    pub latency_max_ns: u64,
}

/// Plays at this rate for as long as the plan says.
///
/// # Errors
/// As [`run_load`](super::run_load).
pub fn soak(
    plan: &Plan,
    rate: f64,
    say: &mut dyn FnMut(&str),
    watch: &Arc<Watch>,
) -> Result<(LoadRun, Soak), ScenarioError> {
    let mut sampler = Sampler::default();
    let arrivals = Arrivals::poisson(rate, plan.population.seed);
    let driven = drive(plan, prepare(plan), Pace::Open(arrivals), watch, &mut |moment| {
        if let Some(sample) = sampler.see(&moment) {
            let resident = sample.resident_mib.map_or("unknown".to_string(), |mib| format!("{mib:.1} MiB"));
            let of = plan.duration.as_secs_f64();
            say(&format!(
                "{:.0} of {of:.0} s, {} orders rest, resident set {resident}",
                sample.seconds, sample.open_orders
            ));
        }
    })?;
    let soak = sampled(sampler.samples, driven.wall_seconds, rss_mib().err());
    Ok((conclude(plan, "Poisson".to_string(), Some(rate), &driven)?, soak))
}

/// Looks at some moments, evenly apart.
struct Sampler {
    samples: Vec<SoakSample>,
    interval_ns: u64,
    due_ns: u64,
    requests: u64,
    latency_max_ns: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        let samples = Vec::with_capacity(SAMPLES_MAX);
        Sampler { samples, interval_ns: INTERVAL_NS, due_ns: INTERVAL_NS, requests: 0, latency_max_ns: 0 }
    }
}

impl Sampler {
    fn see(&mut self, moment: &Moment<'_>) -> Option<&SoakSample> {
        self.requests += moment.intended.len() as u64;
        let longest = moment.intended.iter().map(|&intended| moment.at_ns.saturating_sub(intended)).max();
        self.latency_max_ns = self.latency_max_ns.max(longest.unwrap_or(0));
        if moment.at_ns < self.due_ns {
            return None;
        }
        let sample = SoakSample {
            seconds: moment.at_ns as f64 / 1e9,
            requests: self.requests,
            open_orders: moment.engine.stats().open_orders,
            resident_mib: rss_mib().ok(),
            engine_bytes: moment.engine.memory() as u64,
            latency_max_ns: std::mem::take(&mut self.latency_max_ns),
        };
        self.keep(sample);
        self.due_ns = (moment.at_ns / self.interval_ns + 1) * self.interval_ns;
        self.samples.last()
    }

    fn keep(&mut self, sample: SoakSample) {
        self.samples.push(sample);
        if self.samples.len() < SAMPLES_MAX {
            return;
        }
        self.interval_ns *= 2;
        let pairs = self.samples.chunks_exact(2);
        let later = |pair: &[SoakSample]| {
            let latency_max_ns = pair[0].latency_max_ns.max(pair[1].latency_max_ns);
            SoakSample { latency_max_ns, ..pair[1].clone() }
        };
        self.samples = pairs.map(later).collect();
    }
}

/// What follows from samples of a run of so many seconds.
fn sampled(samples: Vec<SoakSample>, seconds: f64, unreadable: Option<String>) -> Soak {
    let warm_up_seconds = WARM_UP * seconds;
    let warm: Vec<&SoakSample> = samples.iter().filter(|sample| sample.seconds > warm_up_seconds).collect();
    let per_hour = |value: &dyn Fn(&SoakSample) -> Option<f64>| {
        let points: Option<Vec<(f64, f64)>> =
            warm.iter().map(|sample| Some((sample.seconds / 3_600.0, value(sample)?))).collect();
        trend(&means(&points?))
    };
    let resident_mib_per_hour = per_hour(&|sample| sample.resident_mib);
    let engine_mib_per_hour = per_hour(&|sample| Some(sample.engine_bytes as f64 / f64::from(1 << 20)));
    let open_orders_per_hour = per_hour(&|sample| Some(f64::from(sample.open_orders)));
    let says = match (&resident_mib_per_hour, unreadable) {
        (_, Some(reason)) => format!("cannot tell: {reason}"),
        (None, None) => format!(
            "cannot tell: {} samples after the warm-up, and a line needs {TREND_POINTS_MIN}: let it run longer",
            warm.len()
        ),
        (Some(trend), None) => {
            let hours = (seconds - warm_up_seconds) / 3_600.0;
            let Trend { slope, low, high, .. } = trend;
            let span = |unit: f64, of: &str| {
                let [slope, low, high] = [slope, low, high].map(|rate| rate * unit);
                format!("{slope:+.2} MiB in {of} ({low:+.2} to {high:+.2} with 95 % confidence)")
            };
            // What a few seconds show says nothing of an hour.
            let by = if hours * 3_600.0 >= EXTRAPOLATED_FROM {
                span(1.0, "an hour")
            } else {
                span(hours, &format!("{:.0} s, too short to say it by the hour", hours * 3_600.0))
            };
            match (*low > 0.0, *high < 0.0) {
                (true, _) => format!("memory grows: {by}"),
                (_, true) => format!("memory shrinks: {by}"),
                _ => format!("no growth of memory can be told from none: {by}"),
            }
        }
    };
    Soak { samples, warm_up_seconds, resident_mib_per_hour, engine_mib_per_hour, open_orders_per_hour, says }
}

/// Means of stretches of points, as many points each as it takes for [`STRETCHES`] of them; what is left over at the beginning is
/// left out.
fn means(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let each = (points.len() / STRETCHES).max(1);
    let mean = |stretch: &[(f64, f64)]| {
        let sum = stretch.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / stretch.len() as f64, sum.1 / stretch.len() as f64)
    };
    points.rchunks_exact(each).map(mean).collect::<Vec<_>>().into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, resident_mib: f64) -> SoakSample {
        let (requests, latency_max_ns) = ((1e3 * seconds) as u64, seconds as u64);
        let resident_mib = Some(resident_mib);
        SoakSample { seconds, requests, open_orders: 100, resident_mib, engine_bytes: 7 << 20, latency_max_ns }
    }

    #[test]
    fn samples_stay_few_and_evenly_apart() {
        let mut sampler = Sampler::default();
        (1..=1_000).for_each(|second| sampler.keep(sample(f64::from(second), 1.0)));
        assert!(sampler.samples.len() < SAMPLES_MAX && sampler.samples.len() >= SAMPLES_MAX / 2);
        assert!(sampler.interval_ns > INTERVAL_NS);
        assert!(sampler.samples.iter().zip(&sampler.samples[1..]).all(|(one, next)| one.seconds < next.seconds));
        assert_eq!(sampler.samples.iter().map(|sample| sample.latency_max_ns).max(), Some(1_000), "none is lost");
    }

    #[test]
    fn growth_is_told_from_noise() {
        let noise = |second: u32| f64::from(second * 7_919 % 13) / 10.0;
        let run = |growth: f64| {
            let samples =
                (1..=200).map(|second| sample(f64::from(second), 50.0 + growth * f64::from(second) + noise(second)));
            sampled(samples.collect(), 200.0, None)
        };
        let flat = run(0.0);
        assert!(flat.says.contains("no growth of memory can be told from none: +0.0"), "{}", flat.says);
        assert_eq!((flat.warm_up_seconds, flat.open_orders_per_hour.unwrap().slope), (50.0, 0.0));
        assert_eq!(flat.engine_mib_per_hour.unwrap().slope, 0.0);
        // 0.1 MiB a second.
        let leak = run(0.1);
        let Trend { slope, points, .. } = leak.resident_mib_per_hour.unwrap();
        assert!(leak.says.starts_with("memory grows: +15."), "{}", leak.says);
        assert!(leak.says.contains(" MiB in 150 s, too short to say") && (350.0..370.0).contains(&slope), "{slope}");
        assert!((20..=22).contains(&points));
        assert!(run(-0.1).says.starts_with("memory shrinks: -1"));
        let hour = (1..=180).map(|minute| sample(60.0 * f64::from(minute), 50.0 + 0.1 * f64::from(minute)));
        let hours = sampled(hour.collect(), 10_800.0, None);
        assert!(hours.says.starts_with("memory grows: +6.00 MiB in an hour (+6.00 to"), "{}", hours.says);
        // A start that grows and then ends is no growth.
        let samples = (1..=200).map(|second| sample(f64::from(second), f64::from(second.min(45)) + noise(second)));
        assert!(sampled(samples.collect(), 200.0, None).says.starts_with("no growth"));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        let few = sampled((1..=9).map(|second| sample(f64::from(second), 1.0)).collect(), 9.0, None);
        assert!(few.resident_mib_per_hour.is_none() && few.says.starts_with("cannot tell: 7 samples"), "{}", few.says);
        let samples = (1..=90).map(|second| SoakSample { resident_mib: None, ..sample(f64::from(second), 1.0) });
        let unreadable = sampled(samples.collect(), 90.0, Some("no /proc here".to_string()));
        assert_eq!(unreadable.says, "cannot tell: no /proc here");
        assert!(unreadable.resident_mib_per_hour.is_none() && unreadable.open_orders_per_hour.is_some());
    }
}
