//! A market is filled until a limit that was set refuses, and goes on.
//!
//! First traders only place orders that rest, until the market refuses for the first time because of its order limit. Then they
//! go on for a while: everything is refused, by name, and nothing changes. Then they cancel and trade again: what was refused was
//! the requests, not the service.

use super::drive::{Moment, Pace, Plan, drive, prepare};
use super::{LoadRun, ScenarioError, conclude};
use crate::engine::{Engine, state_digest};
use crate::event::Reject;
use crate::hash::{Digest, to_hex};
use crate::measure::{LatencyRecorder, Reading, rss_mib};
use crate::seal::Watch;
use crate::workload::Habit;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The filling is reported in so many parts.
const PARTS: u32 = 10;
/// Longer than anybody waits for it: it ends by itself.
const AT_MOST: Duration = Duration::from_secs(86_400);
/// Between two words on how far it is, in ns.
const SAY_NS: u64 = 500_000_000;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Stress {
    /// Orders that the market lets rest: the limit that was to refuse.
    pub orders_max: u32,
    /// Bytes of resident set that an account takes, its place in the state tree included.
    pub bytes_per_account: Reading,
    /// Bytes of resident set that a resting order takes, at the limit.
    pub bytes_per_order: Reading,
    /// In order: filling in parts, refusing, trading.
    pub stretches: Vec<Stretch>,
    /// The state's digest before the refusals, which is the same behind them; nothing if it did not come to that.
    pub digest_while_refusing: Option<String>,
    /// What it comes to, in words.
    pub says: String,
}

/// What happened for a while.
#[derive(Clone, Debug, Serialize)]
pub struct Stretch {
    /// `filling`, `refusing` or `trading`.
    pub what: String,
    /// Orders that rested at its end.
    pub open_orders: u32,
    /// Requests that were answered.
    pub requests: u64,
    /// Of these, the ones that the market refused, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Requests a second that were answered.
    pub answered_per_second: f64,
    /// Latency that half of the requests that were sent in it do not pass, in ns.
    pub p50_ns: u64,
    /// That 99 % do not pass.
    pub p99_ns: u64,
    /// That 99.9 % do not pass.
    pub p999_ns: u64,
    /// Resident set of the process at its end, in MiB; nothing where it cannot be read.
    pub resident_mib: Option<f64>,
}

/// Fills, is refused for as long as the plan says, and trades for as long.
///
/// # Errors
/// As [`run_load`](super::run_load); or something changed while everything was refused.
pub fn stress(plan: &Plan, say: &mut dyn FnMut(&str), watch: &Arc<Watch>) -> Result<(LoadRun, Stress), ScenarioError> {
    say("opening the accounts");
    let before = rss_mib();
    let ready = prepare(plan);
    let with_accounts = rss_mib();
    let while_playing = Plan { duration: AT_MOST, habit: Habit::Build, ..plan.clone() };
    let mut course = Course::new(plan.orders_max, plan.duration, ready.engine().stats().open_orders);
    let mut said_ns = 0;
    let driven = drive(&while_playing, ready, Pace::Closed, watch, &mut |moment| {
        course.see(&moment);
        if moment.at_ns >= said_ns + SAY_NS {
            said_ns = moment.at_ns;
            say(&format!("{}: {} orders rest", course.phase.name(), moment.engine.stats().open_orders));
        }
    })?;
    let (accounts, at_start) = (f64::from(plan.population.users), f64::from(plan.population.orders));
    let bytes_per_account = per(&before, &with_accounts, accounts);
    let filled = course.stretches.iter().rfind(|stretch| stretch.what == Phase::Filling.name());
    let bytes_per_order = match (&with_accounts, filled) {
        (Ok(_), Some(Stretch { open_orders, resident_mib: Some(full), .. })) => {
            per(&with_accounts, &Ok(*full), f64::from(*open_orders) - at_start)
        }
        (Err(reason), _) => Reading::Unavailable(reason.clone()),
        _ => Reading::Unavailable("it ended before a part was filled".to_string()),
    };
    let digest = course.while_refusing()?;
    let says = says(&course);
    let Course { stretches, .. } = course;
    let digest_while_refusing = digest.as_ref().map(to_hex);
    let orders_max = plan.orders_max;
    let stress = Stress { orders_max, bytes_per_account, bytes_per_order, stretches, digest_while_refusing, says };
    Ok((conclude(plan, "closed loop".to_string(), None, &driven)?, stress))
}

fn per(before: &Result<f64, String>, after: &Result<f64, String>, count: f64) -> Reading {
    match (before, after) {
        (Ok(before), Ok(after)) if count > 0.0 => Reading::Value((after - before) * f64::from(1 << 20) / count),
        (Ok(_), Ok(_)) => Reading::Unavailable("there are none".to_string()),
        (Err(reason), _) | (_, Err(reason)) => Reading::Unavailable(reason.clone()),
    }
}

fn says(course: &Course) -> String {
    match course.phase {
        Phase::Filling => "it was ended before the limit was reached".to_string(),
        Phase::Refusing => "it was ended while the limit refused what came".to_string(),
        Phase::Trading | Phase::Over => {
            let reasons: Vec<&str> = course.reasons.keys().map(|reason| reason.name()).collect();
            format!(
                "at its limit it refused everything by name ({}), and nothing changed meanwhile; then it traded on",
                reasons.join(", ")
            )
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Filling,
    Refusing,
    Trading,
    Over,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Filling => "filling",
            Phase::Refusing => "refusing",
            Phase::Trading => "trading",
            Phase::Over => "answering what is on its way",
        }
    }
}

/// How far it is.
struct Course {
    phase: Phase,
    orders_max: u32,
    hold_ns: u64,
    /// The stretch that is running: when it began, what came, how long it took.
    began_ns: u64,
    requests: u64,
    rejects: BTreeMap<Reject, u64>,
    latency: LatencyRecorder,
    /// Orders at which a part is filled.
    part_until: u32,
    stretches: Vec<Stretch>,
    /// State before and behind the refusals, and why they were.
    refusing: [Option<Digest>; 2],
    reasons: BTreeMap<Reject, u64>,
}

impl Course {
    fn new(orders_max: u32, hold: Duration, orders: u32) -> Self {
        let part = orders_max.div_ceil(PARTS);
        Course {
            phase: Phase::Filling,
            orders_max,
            hold_ns: hold.as_nanos() as u64,
            began_ns: 0,
            requests: 0,
            rejects: BTreeMap::new(),
            latency: LatencyRecorder::new(),
            part_until: (orders / part + 1) * part,
            stretches: Vec::new(),
            refusing: [None; 2],
            reasons: BTreeMap::new(),
        }
    }

    fn see(&mut self, moment: &Moment<'_>) {
        self.requests += moment.intended.len() as u64;
        for &reason in moment.refused.iter().flatten() {
            *self.rejects.entry(reason).or_default() += 1;
        }
        for &intended in moment.intended.iter().filter(|&&intended| intended >= self.began_ns) {
            self.latency.record(moment.at_ns.saturating_sub(intended));
        }
        let held = moment.at_ns >= self.began_ns + self.hold_ns;
        match self.phase {
            Phase::Filling if self.rejects.contains_key(&Reject::OrderLimit) => {
                self.end(moment, |course| course.refusing[0] = Some(state_digest(moment.engine)));
                self.phase = Phase::Refusing;
            }
            // The last part ends with the first refusal.
            Phase::Filling if (self.part_until..self.orders_max).contains(&moment.engine.stats().open_orders) => {
                self.part_until += self.orders_max.div_ceil(PARTS);
                self.end(moment, |_| ());
            }
            Phase::Refusing if held => {
                self.reasons = self.rejects.clone();
                self.end(moment, |course| course.refusing[1] = Some(state_digest(moment.engine)));
                self.phase = Phase::Trading;
                moment.signals.change(Habit::Trade);
            }
            Phase::Trading if held => {
                self.end(moment, |_| ());
                self.phase = Phase::Over;
                moment.signals.stop();
            }
            _ => {}
        }
    }

    /// The stretch that is running has ended; the next one begins when `then` is done.
    fn end(&mut self, moment: &Moment<'_>, then: impl FnOnce(&mut Self)) {
        let answered_at = Instant::now();
        let rejects = std::mem::take(&mut self.rejects);
        let latency = std::mem::take(&mut self.latency);
        let requests = std::mem::take(&mut self.requests);
        self.stretches.push(Stretch {
            what: self.phase.name().to_string(),
            open_orders: moment.engine.stats().open_orders,
            requests,
            rejects: rejects.into_iter().map(|(reason, count)| (reason.name().to_string(), count)).collect(),
            answered_per_second: requests as f64 / ((moment.at_ns - self.began_ns).max(1) as f64 / 1e9),
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            p999_ns: latency.at(0.999),
            resident_mib: rss_mib().ok(),
        });
        then(self);
        self.began_ns = moment.at_ns + answered_at.elapsed().as_nanos() as u64;
    }

    /// The state's digest before and behind the refusals, if it came to both.
    fn while_refusing(&self) -> Result<Option<Digest>, ScenarioError> {
        match self.refusing {
            [Some(before), Some(behind)] if before != behind => Err(ScenarioError::Differs {
                scenario: "load",
                operations: self.stretches.iter().map(|stretch| stretch.requests).sum(),
                stack: "the market behind its refusals".to_string(),
                other: "the one before them".to_string(),
                what: "state digest",
            }),
            [before, behind] => Ok(before.and(behind)),
        }
    }
}
