//! The stages of an operation's way, and how long a thread was in each of them.

use std::ops::{AddAssign, Index, IndexMut};

/// A part of the work. The order is that of an operation's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What clients do: they say what comes next, and number their requests. A network would bring it.
    Requests,
    /// Requests are told from those that were sent before, and encoded into a frame of the journal.
    Claim,
    /// The frame gets its checks and is handed to the journal.
    Frame,
    /// Market-data reads.
    Reads,
    /// Checks of terms, price-time matching, and the events of both.
    Match,
    /// Escrow, delivery versus payment, fees: all that changes a balance.
    Tokens,
    /// Commands and their stamps are kept for the block.
    Events,
    /// Answers are kept, and given when they are durable.
    Answers,
    /// Hashing changed accounts and their tree.
    StateRoot,
    /// Hashing transactions into leaves.
    Leaves,
    /// The Merkle tree over them.
    Merkle,
    /// The nonce search.
    Seal,
    /// A sealed block is handed to whoever keeps it, a chain file say.
    Keep,
    /// The journal at work on a CPU: its frames' places, and its calls to write them.
    Journal,
    /// Waiting for the disk while the journal wrote or synced.
    Sync,
    /// Waiting for another thread.
    Wait,
    /// Ready to go on, but the CPU was another thread's or another machine's.
    NoCpu,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 17] = [
        Stage::Requests,
        Stage::Claim,
        Stage::Frame,
        Stage::Reads,
        Stage::Match,
        Stage::Tokens,
        Stage::Events,
        Stage::Answers,
        Stage::StateRoot,
        Stage::Leaves,
        Stage::Merkle,
        Stage::Seal,
        Stage::Keep,
        Stage::Journal,
        Stage::Sync,
        Stage::Wait,
        Stage::NoCpu,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Requests => "requests",
            Stage::Claim => "claim",
            Stage::Frame => "frame",
            Stage::Reads => "reads",
            Stage::Match => "match",
            Stage::Tokens => "tokens",
            Stage::Events => "events",
            Stage::Answers => "answers",
            Stage::StateRoot => "state root",
            Stage::Leaves => "leaves",
            Stage::Merkle => "Merkle",
            Stage::Seal => "seal",
            Stage::Keep => "keep",
            Stage::Journal => "journal",
            Stage::Sync => "sync",
            Stage::Wait => "wait",
            Stage::NoCpu => "no CPU",
        }
    }
}

/// Something of each stage: ticks, ns, how often.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerStage<T>([T; Stage::ALL.len()]);

impl PerStage<u64> {
    /// Nothing yet.
    pub const EMPTY: Self = PerStage([0; Stage::ALL.len()]);
}

impl<T> Index<Stage> for PerStage<T> {
    type Output = T;

    fn index(&self, stage: Stage) -> &T {
        &self.0[stage as usize]
    }
}

impl<T> IndexMut<Stage> for PerStage<T> {
    fn index_mut(&mut self, stage: Stage) -> &mut T {
        &mut self.0[stage as usize]
    }
}

impl<T: AddAssign + Copy> AddAssign for PerStage<T> {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// How long one thread was in each stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Wall time of the whole, in ns.
    pub wall_ns: f64,
    /// Wall time by stage, in ns. What is missing to the whole was none of them.
    pub stage_ns: PerStage<f64>,
}

impl StageTimes {
    /// Time that was in no stage, in ns. Where stages were sampled, it may come out a little below zero.
    pub fn unattributed_ns(&self) -> f64 {
        self.wall_ns - Stage::ALL.iter().map(|&stage| self.stage_ns[stage]).sum::<f64>()
    }
}

impl AddAssign<&StageTimes> for StageTimes {
    fn add_assign(&mut self, other: &StageTimes) {
        self.wall_ns += other.wall_ns;
        self.stage_ns += other.stage_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_at_their_own_places() {
        for (at, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, at);
            assert_eq!(Stage::ALL.iter().filter(|other| other.name() == stage.name()).count(), 1);
        }
    }

    #[test]
    fn what_no_stage_has_is_unattributed() {
        let mut times = StageTimes { wall_ns: 100.0, ..StageTimes::default() };
        times.stage_ns[Stage::Match] = 60.0;
        times.stage_ns[Stage::Wait] = 30.0;
        let mut twice = times.clone();
        twice += &times;
        assert_eq!((times.unattributed_ns(), twice.unattributed_ns()), (10.0, 20.0));
    }
}
