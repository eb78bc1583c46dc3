//! Readings of counters, their differences and sums, and what to make of counters that took turns.

use super::Counter;

/// One counter as the kernel reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events while it ran.
    pub count: u64,
    /// ns for which it was wanted. Only time of the thread on a CPU counts.
    pub enabled_ns: u64,
    /// ns of these for which it really ran: fewer where there are more counters than the CPU can hold, and they take turns.
    pub running_ns: u64,
}

/// A count for all of the time, estimated from the part in which it was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    /// Events.
    pub count: f64,
    /// The part of the time that was counted: 1 if nothing was estimated.
    pub counted: f64,
}

impl Tally {
    /// The count for all of the time: `count x enabled / running`, as perf_event_open(2) has it under `time_running` ("can be
    /// used to calculate estimated totals"). `None` if it never ran: nothing is known then, which is not zero.
    pub fn scaled(self) -> Option<Scaled> {
        if self.running_ns == 0 {
            return None;
        }
        let share = self.enabled_ns as f64 / self.running_ns as f64;
        Some(Scaled { count: self.count as f64 * share, counted: 1.0 / share })
    }

    /// What came since an earlier reading. Saturates: the kernel sums over CPUs and threads, and a sum read while it is made may
    /// be some ns behind the one before.
    fn since(self, earlier: Tally) -> Tally {
        Tally {
            count: self.count.saturating_sub(earlier.count),
            enabled_ns: self.enabled_ns.saturating_sub(earlier.enabled_ns),
            running_ns: self.running_ns.saturating_sub(earlier.running_ns),
        }
    }

    fn plus(self, other: Tally) -> Tally {
        Tally {
            count: self.count + other.count,
            enabled_ns: self.enabled_ns + other.enabled_ns,
            running_ns: self.running_ns + other.running_ns,
        }
    }
}

/// All counters at one moment, or what they counted between two. A counter that is not available is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample([Option<Tally>; Counter::ALL.len()]);

impl Sample {
    /// Nothing was read.
    pub const EMPTY: Sample = Sample([None; Counter::ALL.len()]);

    /// The reading of a counter.
    pub fn get(&self, counter: Counter) -> Option<Tally> {
        self.0[counter as usize]
    }

    /// The same with a reading more.
    pub fn with(mut self, counter: Counter, tally: Tally) -> Sample {
        self.set(counter, tally);
        self
    }

    /// Puts a reading in.
    pub fn set(&mut self, counter: Counter, tally: Tally) {
        self.0[counter as usize] = Some(tally);
    }

    /// What was counted since an earlier reading, of the counters that are in both.
    pub fn since(&self, earlier: &Sample) -> Sample {
        let mut out = Sample::default();
        for (at, out) in out.0.iter_mut().enumerate() {
            *out = self.0[at].zip(earlier.0[at]).map(|(now, then)| now.since(then));
        }
        out
    }

    /// Adds another stretch, or another thread. Times are added as well, so a sum of stretches in which a counter did not always
    /// run is scaled as one: stretches in which it never ran are taken to be like the others.
    pub fn add(&mut self, other: &Sample) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = match (*own, other) {
                (Some(own), Some(other)) => Some(own.plus(other)),
                (own, other) => own.or(other),
            };
        }
    }

    /// The same without what another sample counted, of the counters that are in both; at least nothing.
    pub fn less(&self, other: &Sample) -> Sample {
        let mut out = *self;
        for (own, other) in out.0.iter_mut().zip(other.0) {
            if let (Some(own), Some(other)) = (own, other) {
                own.count = own.count.saturating_sub(other.count);
            }
        }
        out
    }

    /// The same without the counters of which another sample has more.
    pub fn where_not_below(mut self, other: &Sample) -> Sample {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = own.filter(|own| other.is_none_or(|other| own.count >= other.count));
        }
        self
    }

    /// So many times as much.
    pub fn times(&self, factor: f64) -> Sample {
        let times = |number: u64| (number as f64 * factor).round() as u64;
        let mut out = *self;
        for tally in out.0.iter_mut().flatten() {
            let Tally { count, enabled_ns, running_ns } = *tally;
            *tally = Tally { count: times(count), enabled_ns: times(enabled_ns), running_ns: times(running_ns) };
        }
        out
    }

    /// A count, for all of the time; `None` if the counter is not available or never ran.
    pub fn scaled(&self, counter: Counter) -> Option<Scaled> {
        self.get(counter)?.scaled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(count: u64, enabled_ns: u64, running_ns: u64) -> Tally {
        Tally { count, enabled_ns, running_ns }
    }

    #[test]
    fn counters_that_took_turns_are_scaled() {
        assert_eq!(tally(30, 1_000, 1_000).scaled(), Some(Scaled { count: 30.0, counted: 1.0 }));
        assert_eq!(tally(30, 1_000, 250).scaled(), Some(Scaled { count: 120.0, counted: 0.25 }));
        // Counted, and there was none: this is a zero.
        assert_eq!(tally(0, 1_000, 500).scaled(), Some(Scaled { count: 0.0, counted: 0.5 }));
        // More than 64 bits on the way.
        let large = tally(u64::MAX / 2, 4_000_000_000, 2_000_000_000).scaled().unwrap();
        assert!((large.count / u64::MAX as f64 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_counter_that_never_ran_is_no_zero() {
        assert_eq!(tally(0, 1_000, 0).scaled(), None);
        assert_eq!(tally(0, 0, 0).scaled(), None);
        assert_eq!(Sample::default().scaled(Counter::Cycles), None);
    }

    #[test]
    fn intervals_are_scaled_by_their_own_times() {
        let before = Sample::default().with(Counter::Cycles, tally(1_000, 1_000, 1_000));
        let after = Sample::default().with(Counter::Cycles, tally(1_100, 3_000, 2_000));
        let between = after.since(&before);
        assert_eq!(between.get(Counter::Cycles), Some(tally(100, 2_000, 1_000)));
        // Scaled over the whole life it would be (1,650 - 1,000): the first stretch was counted in full and is no part of this.
        assert_eq!(between.scaled(Counter::Cycles).unwrap().count, 200.0);
        assert_eq!(before.since(&after).get(Counter::Cycles), Some(tally(0, 0, 0)));
        assert_eq!(after.since(&Sample::default()), Sample::default());
    }

    #[test]
    fn sums_of_stretches_are_scaled_as_one() {
        let mut sum = Sample::default().with(Counter::Branches, tally(10, 100, 50));
        sum.add(&Sample::default().with(Counter::Branches, tally(0, 100, 0)).with(Counter::Cycles, tally(7, 5, 5)));
        assert_eq!(sum.scaled(Counter::Branches), Some(Scaled { count: 40.0, counted: 0.25 }));
        assert_eq!(sum.get(Counter::Cycles), Some(tally(7, 5, 5)));
    }
}
