//! The arithmetic: when messages are due, quantiles of waiting times, and what gaps in a thread's time do to them.

/// When messages are due: message `i` at `i / rate` after the beginning. In whole parts of a tick, so that both directions agree
/// to the tick.
#[derive(Clone, Copy)]
pub struct Schedule {
    parts_per_message: u64,
}

/// Parts of a tick. The ticks of a day, in parts, are less than 2^64 on a clock of 3 GHz.
const PARTS: u64 = 1 << 16;

impl Schedule {
    /// So many messages per second, on a clock whose ticks last so many ns.
    pub fn new(per_second: f64, ns_per_tick: f64) -> Schedule {
        Schedule { parts_per_message: (1e9 / per_second / ns_per_tick * PARTS as f64).round().max(1.0) as u64 }
    }

    /// Ticks from the beginning until message `i` is due.
    pub fn due(&self, i: usize) -> u64 {
        (i as u128 * u128::from(self.parts_per_message)).div_ceil(u128::from(PARTS)) as u64
    }

    /// How many messages are due so many ticks after the beginning.
    #[inline(always)]
    pub fn due_by(&self, ticks: u64) -> usize {
        (ticks * PARTS / self.parts_per_message) as usize + 1
    }
}

/// The smallest value that so many per mille of all values do not exceed.
///
/// # Panics
/// If there is no value.
pub fn per_mille(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted[rank - 1]
}

/// A time in which a thread did not run, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// Its beginning.
    pub from: u64,
    /// Its end.
    pub to: u64,
}

impl Gap {
    /// How long it is.
    pub fn ticks(&self) -> u64 {
        self.to - self.from
    }
}

/// The gaps of two threads as those of the pair, which is halted if one of them is.
pub fn either(one: &[Gap], other: &[Gap]) -> Vec<Gap> {
    let mut all = [one, other].concat();
    all.sort_by_key(|gap| gap.from);
    let mut merged: Vec<Gap> = Vec::with_capacity(all.len());
    for gap in all {
        match merged.last_mut() {
            Some(last) if gap.from <= last.to => last.to = last.to.max(gap.to),
            _ => merged.push(gap),
        }
    }
    merged
}

/// The time that so many per mille of all moments within `span` ticks do not exceed, where a moment in a gap waits for the
/// gap's end and all others for nothing: what halts alone would do to messages that need no time.
pub fn wait_per_mille(gaps: &[Gap], span: u64, per_mille: u64) -> f64 {
    let above = (1000 - per_mille) as f64 / 1000.0 * span as f64;
    let mut lengths: Vec<u64> = gaps.iter().map(Gap::ticks).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    // A wait above W begins in the first `length - W` ticks of a gap. With the longest gaps only, W solves
    // sum(length - W) = above; it is the answer as soon as the next gap is no longer than it.
    let mut sum = 0.0;
    for (at, &length) in lengths.iter().enumerate() {
        sum += length as f64;
        let wait = (sum - above) / (at + 1) as f64;
        if wait >= lengths.get(at + 1).copied().unwrap_or(0) as f64 {
            return wait;
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_the_rate() {
        // 4 M/s on a clock of 2 GHz: every 500 ticks.
        let schedule = Schedule::new(4e6, 0.5);
        assert_eq!([0, 1, 2, 1_000_000].map(|i| schedule.due(i)), [0, 500, 1_000, 500_000_000]);
        assert_eq!([0, 499, 500, 999, 1_000].map(|ticks| schedule.due_by(ticks)), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn no_message_is_handed_over_before_it_is_due() {
        for rate in [1e3, 45e3, 3_333_333.3, 7e6, 61e6] {
            let schedule = Schedule::new(rate, 0.385_168);
            for i in (0..3_000_000).step_by(997) {
                let due = schedule.due(i);
                assert!(schedule.due_by(due) > i, "message {i} at {rate}/s is not handed over when it is due");
                assert!(i == 0 || schedule.due_by(due - 1) <= i, "message {i} at {rate}/s is handed over too early");
            }
        }
    }

    #[test]
    fn quantiles_are_values() {
        let values: Vec<u64> = (1..=2_000).collect();
        assert_eq!([500, 990, 999, 1000].map(|wanted| per_mille(&values, wanted)), [1_000, 1_980, 1_998, 2_000]);
        assert_eq!(per_mille(&[7], 999), 7);
        assert_eq!(per_mille(&[1, 9], 500), 1);
    }

    #[test]
    fn a_pair_is_halted_if_one_of_it_is() {
        let gap = |from, to| Gap { from, to };
        let merged = either(&[gap(0, 5), gap(20, 30), gap(40, 41)], &[gap(4, 8), gap(22, 25)]);
        assert_eq!(merged, [gap(0, 8), gap(20, 30), gap(40, 41)]);
    }

    #[test]
    fn waits_follow_from_gaps() {
        let gaps = |lengths: &[u64]| -> Vec<Gap> {
            lengths.iter().zip(0u64..).map(|(length, at)| Gap { from: 1_000 * at, to: 1_000 * at + length }).collect()
        };
        // Of 100,000 moments, 100 may wait longer: those of the first 100 ticks of a gap of 150 wait for more than 50.
        assert_eq!(wait_per_mille(&gaps(&[150]), 100_000, 999), 50.0);
        // Two of 150: 50 ticks of each.
        assert_eq!(wait_per_mille(&gaps(&[150, 150]), 100_000, 999), 100.0);
        // The short one does not matter.
        assert_eq!(wait_per_mille(&gaps(&[10, 150, 150]), 100_000, 999), 100.0);
        // All gaps together are less than one in a thousand.
        assert_eq!(wait_per_mille(&gaps(&[60, 39]), 100_000, 999), 0.0);
        assert_eq!(wait_per_mille(&[], 100_000, 999), 0.0);
    }
}
