//! Proof of work done: what really happened, counted from the events, and digests of all of it.

use super::Work;
use crate::command::{Batch, Command};
use crate::engine::{Engine, state_digest};
use crate::event::{Event, EventLog, Reject, is_accepted};
use crate::hash::{Digest, Sha256};
use crate::types::{Sequence, cost};
use crate::workload::Op;
use std::collections::BTreeMap;

/// What a number of operations did on an engine.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Counts; those of blocks stay zero here.
    pub work: Work,
    /// Refused commands by reason.
    pub rejects: BTreeMap<Reject, u64>,
    /// Events that the commands caused.
    pub events: u64,
    /// Digest of every event, in order.
    pub events_digest: Digest,
    /// Digest of the state at the end.
    pub state_digest: Digest,
}

impl Evidence {
    /// Refused commands over commands; zero where there were none.
    pub fn error_rate(&self) -> f64 {
        let rejected: u64 = self.rejects.values().sum();
        if self.work.commands == 0 { 0.0 } else { rejected as f64 / self.work.commands as f64 }
    }

    /// Whether another engine did and became exactly the same.
    pub fn agrees_with(&self, other: &Evidence) -> bool {
        self.events_digest == other.events_digest
            && self.state_digest == other.state_digest
            && self.work.read_checksum == other.work.read_checksum
    }
}

/// Does the operations on an engine, without blocks, and counts.
pub fn collect<E: Engine>(mut engine: E, mut next: Sequence, ops: &[Op], mut commands: &[Command]) -> Evidence {
    let mut counter = Counter::default();
    let mut log = EventLog::default();
    for op in ops {
        match *op {
            Op::Read(query) => {
                counter.work.reads += 1;
                counter.work.read_checksum = counter.work.read_checksum.wrapping_add(query.answer(&engine));
            }
            Op::Commands(count) => {
                let (now, later) = commands.split_at(count as usize);
                commands = later;
                log.clear();
                engine.apply(Batch { first: next, time: 0, commands: now }, &mut log);
                next += now.len() as Sequence;
                now.iter().zip(log.outcomes()).for_each(|(command, outcome)| counter.outcome(command, outcome));
            }
        }
    }
    counter.finish(&engine)
}

/// What was counted so far.
pub struct Counter {
    /// Counts.
    pub work: Work,
    rejects: BTreeMap<Reject, u64>,
    events: u64,
    hasher: Sha256,
}

impl Default for Counter {
    fn default() -> Self {
        Counter { work: Work::default(), rejects: BTreeMap::new(), events: 0, hasher: Sha256::new() }
    }
}

impl Counter {
    /// Counts what a command caused.
    pub fn outcome(&mut self, command: &Command, outcome: &[Event]) {
        count_outcome(command, outcome, &mut self.work, &mut self.rejects);
        self.events += outcome.len() as u64;
        outcome.iter().for_each(|event| self.hasher.update(&event.encode()));
    }

    /// All of it, with the engine's state at the end.
    pub fn finish<E: Engine>(self, engine: &E) -> Evidence {
        let Counter { work, rejects, events, hasher } = self;
        Evidence { work, rejects, events, events_digest: hasher.finish(), state_digest: state_digest(engine) }
    }
}

fn count_outcome(command: &Command, outcome: &[Event], work: &mut Work, rejects: &mut BTreeMap<Reject, u64>) {
    work.commands += 1;
    if is_accepted(outcome) && matches!(command, Command::Place(_) | Command::Replace { .. }) {
        work.orders_accepted += 1;
    }
    for event in outcome {
        match *event {
            Event::Rejected { reason } => *rejects.entry(reason).or_default() += 1,
            Event::Fill { price, wh, fee, .. } => {
                work.fills += 1;
                work.energy_wh += u64::from(wh);
                work.fees += fee;
                work.transfers += 1 + u64::from(cost(wh, price) != 0) + u64::from(fee != 0);
            }
            Event::Cancelled { self_trade: false, .. } => work.orders_cancelled += 1,
            Event::Opened { .. }
            | Event::Balance { .. }
            | Event::Cancelled { self_trade: true, .. }
            | Event::Rested { .. }
            | Event::Expired { .. }
            | Event::Replaced { .. } => {}
        }
    }
}
