//! Counters of the CPU and of the kernel: what a stretch of work took, beside its time.
//!
//! [`open`] gives a [`Source`], whose [`Sample`]s are subtracted ([`Sample::since`]), added up ([`Sample::add`]) and laid out per
//! operation ([`per_operation`]). A counter that is not there has a reason in words, and never a zero. Recorded readings come
//! through the same trait ([`Recorded`]), so that what is made of counters is tested on figures of CPUs that are not here.
//!
//! Where there is no PMU, [`Callgrind`] gives what a model of a CPU counted of the same work, from a file.
//!
//! `sample` is the arithmetic, `reason` the words for what the kernel answers, `rows` what a report shows, `perf` the kernel's interface
//! (perf_event_open(2), through the crate `perf-event`), `procfs` what `/proc` counts where that interface is closed.

mod callgrind;
#[cfg(target_os = "linux")]
mod perf;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod reason;
mod rows;
mod sample;

pub use callgrind::{Callgrind, CallgrindError, Part};
#[cfg(all(test, target_os = "linux"))]
pub(in crate::measure) use perf::tests::touch_fresh_memory;
pub use rows::{CounterReading, per_operation, summary};
pub use sample::{Sample, Scaled, Tally};

use serde::{Serialize, Serializer};
use std::collections::VecDeque;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Time on a CPU, in ns.
    TaskClock,
    /// How often a thread lost or gave up its CPU.
    ContextSwitches,
    /// How often a thread was moved to another CPU.
    Migrations,
    /// Page faults that needed no disk.
    MinorFaults,
    /// Page faults that waited for a disk.
    MajorFaults,
    /// Cycles of the core at the rate that it really ran at.
    Cycles,
    /// Instructions retired.
    Instructions,
    /// Branches retired.
    Branches,
    /// Branches that were mispredicted.
    BranchMisses,
    /// Loads that looked into the first data cache.
    L1dLoads,
    /// Loads that did not find their data there.
    L1dMisses,
    /// Accesses to the last-level cache, as the kernel's generic event has it for this CPU. On AMD's Zen it is the L2 (Linux,
    /// `arch/x86/events/amd/core.c`, `amd_zen1_perfmon_event_map` and later).
    LlcReferences,
    /// Those that did not find their data there.
    LlcMisses,
    /// Loads that looked into the data TLB.
    DtlbLoads,
    /// Loads that did not find their page there.
    DtlbMisses,
    /// Cycles in which the front end delivered nothing.
    StalledFrontEnd,
    /// Cycles in which the back end took or retired nothing.
    StalledBackEnd,
}

impl Counter {
    /// All of them: the kernel's own first, then the CPU's.
    pub const ALL: [Counter; 17] = [
        Counter::TaskClock,
        Counter::ContextSwitches,
        Counter::Migrations,
        Counter::MinorFaults,
        Counter::MajorFaults,
        Counter::Cycles,
        Counter::Instructions,
        Counter::Branches,
        Counter::BranchMisses,
        Counter::L1dLoads,
        Counter::L1dMisses,
        Counter::LlcReferences,
        Counter::LlcMisses,
        Counter::DtlbLoads,
        Counter::DtlbMisses,
        Counter::StalledFrontEnd,
        Counter::StalledBackEnd,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Counter::TaskClock => "task clock, ns",
            Counter::ContextSwitches => "context switches",
            Counter::Migrations => "CPU migrations",
            Counter::MinorFaults => "minor faults",
            Counter::MajorFaults => "major faults",
            Counter::Cycles => "cycles",
            Counter::Instructions => "instructions",
            Counter::Branches => "branches",
            Counter::BranchMisses => "branch misses",
            Counter::L1dLoads => "L1d loads",
            Counter::L1dMisses => "L1d misses",
            Counter::LlcReferences => "LLC references",
            Counter::LlcMisses => "LLC misses",
            Counter::DtlbLoads => "dTLB loads",
            Counter::DtlbMisses => "dTLB misses",
            Counter::StalledFrontEnd => "stalled front end",
            Counter::StalledBackEnd => "stalled back end",
        }
    }

    /// Whether the kernel counts it, and not the CPU.
    pub fn is_software(self) -> bool {
        self <= Counter::MajorFaults
    }
}

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Whose work is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The thread that opens the counters. What is compared with each other is counted at the same time, so that ratios are true
    /// even if counters take turns.
    Thread,
    /// Every thread of the process that is there when the counters are opened, and every one that these start later. Counters
    /// take turns one by one then (see `perf`), so a ratio of two that did is an estimate.
    Process,
}

/// Where readings come from.
pub trait Source {
    /// The counters now. What is not available is not in it.
    fn read(&mut self) -> Sample;

    /// Why a counter is not available, if it is not.
    fn unavailable(&self, counter: Counter) -> Option<&str>;

    /// What a reader must know of the figures, in words: that the kernel's part is not in them, say, or where they come from.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// Opens all counters that this system, this machine and its settings allow. Never fails: each counter that is missing has its
/// reason.
#[cfg(target_os = "linux")]
pub fn open(scope: Scope) -> Box<dyn Source> {
    Box::new(perf::PerfEvents::open(scope))
}

/// Opens all counters that this system allows: none.
#[cfg(not(target_os = "linux"))]
pub fn open(_: Scope) -> Box<dyn Source> {
    Box::new(Recorded::nothing(format!("perf events are Linux's, and this is {}", std::env::consts::OS)))
}

/// Readings that were made before, one after another; the last one again and again. For tests, and for systems without counters.
#[derive(Clone, Debug)]
pub struct Recorded {
    readings: VecDeque<Sample>,
    reason: String,
}

impl Recorded {
    /// These readings. What is not in the first one is not available, for `reason`.
    ///
    /// # Panics
    /// If there is no reading.
    pub fn new(readings: impl IntoIterator<Item = Sample>, reason: impl Into<String>) -> Recorded {
        let readings: VecDeque<Sample> = readings.into_iter().collect();
        assert!(!readings.is_empty(), "recorded readings need at least one");
        Recorded { readings, reason: reason.into() }
    }

    /// Nothing is available, for `reason`.
    pub fn nothing(reason: impl Into<String>) -> Recorded {
        Recorded::new([Sample::default()], reason)
    }
}

impl Source for Recorded {
    fn read(&mut self) -> Sample {
        let now = self.readings[0];
        if self.readings.len() > 1 {
            self.readings.pop_front();
        }
        now
    }

    fn unavailable(&self, counter: Counter) -> Option<&str> {
        self.readings[0].get(counter).is_none().then_some(self.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_listed_in_its_place() {
        for (at, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, at);
        }
        assert_eq!(Counter::ALL.iter().filter(|counter| counter.is_software()).count(), 5);
    }

    #[test]
    fn recorded_readings_come_in_turn_and_have_their_reason() {
        let tally = |count| Tally { count, enabled_ns: 10, running_ns: 10 };
        let readings = [1, 2].map(|count| Sample::default().with(Counter::Cycles, tally(count)));
        let mut source = Recorded::new(readings, "not in this record");
        let counts = [(); 3].map(|()| source.read().get(Counter::Cycles).unwrap().count);
        assert_eq!(counts, [1, 2, 2]);
        assert_eq!(source.unavailable(Counter::Cycles), None);
        assert_eq!(source.unavailable(Counter::Branches), Some("not in this record"));
    }
}
