//! What the machine does to two threads that do nothing but look at the clock, and threads that stay on their CPUs.

use crate::figures::{Gap, either, wait_per_mille};
use joulebook::measure::RunDelay;
use joulebook::measure::clock::{ns, ticks};
use serde::{Deserialize, Serialize};
use std::sync::Barrier;

/// Gaps that are noted, in ns: a look at the clock takes a hundredth of it.
const NOTED_NS: f64 = 1e3;
/// Gaps that are called long, in ns.
const LONG_NS: f64 = 10e3;

/// A thread on a CPU of its own, as long as the system runs nobody else there.
pub struct Pinned(Result<RunDelay, String>);

impl Pinned {
    /// Puts the calling thread on a CPU. Elsewhere than on Linux the system chooses.
    ///
    /// # Errors
    /// There is no such CPU, or this process may not have it.
    pub fn to(cpu: usize) -> Result<Pinned, String> {
        #[cfg(target_os = "linux")]
        {
            use rustix::thread::{CpuSet, sched_setaffinity};
            let failed = |why: &str| format!("no thread can be put on CPU {cpu}: {why} (--cores M,D)");
            if cpu >= CpuSet::MAX_CPU {
                return Err(failed("there are not so many"));
            }
            let mut set = CpuSet::new();
            set.set(cpu);
            sched_setaffinity(None, &set).map_err(|error| failed(&error.to_string()))?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = cpu;
        Ok(Pinned(RunDelay::of_this_thread()))
    }

    /// How long the thread was ready to run so far while the system ran others on its CPU, in ns, where the system counts it.
    pub fn descheduled_ns(&self) -> Option<u64> {
        self.0.as_ref().ok().and_then(|delay| delay.ns().ok())
    }

    /// The same since it was `before`.
    pub fn descheduled_since(&self, before: Option<u64>) -> Option<u64> {
        self.descheduled_ns().zip(before).map(|(now, before)| now - before)
    }
}

/// The gaps in the time of one thread, or of a pair, over some time. Times in ns.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Gaps {
    /// The share of the time that gaps of more than 10 us took.
    pub long_share: f64,
    /// The longest.
    pub longest_ns: f64,
    /// What 99 % of all moments do not wait longer than, if they wait for the end of the gap that they are in.
    pub p99_ns: f64,
    /// The same for 99.9 %.
    pub p999_ns: f64,
    /// The share of the time in which the system ran others on the CPU, where it counts that. Other gaps are the work of
    /// interrupts, or of the machine below this one. None for a pair.
    pub others_share: Option<f64>,
}

/// What became of two idle threads.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Control {
    /// The matcher's CPU.
    pub matcher: Gaps,
    /// The drainer's.
    pub drainer: Gaps,
    /// At least one of the two.
    pub either: Gaps,
}

impl Gaps {
    fn new(gaps: &[Gap], span: u64, others_ns: Option<u64>) -> Gaps {
        let lengths = || gaps.iter().map(|gap| ns(gap.ticks()));
        Gaps {
            long_share: lengths().filter(|&length| length > LONG_NS).sum::<f64>() / ns(span),
            longest_ns: lengths().fold(0.0, f64::max),
            p99_ns: wait_per_mille(gaps, span, 990) * ns(1),
            p999_ns: wait_per_mille(gaps, span, 999) * ns(1),
            others_share: others_ns.map(|others| others as f64 / ns(span)),
        }
    }
}

/// Lets a thread on each of the two CPUs look at the clock for so many seconds.
///
/// # Errors
/// A CPU is not to be had.
pub fn control(seconds: f64, cores: (usize, usize)) -> Result<Control, String> {
    let span = (seconds * 1e9 / ns(1)) as u64;
    let ready = Barrier::new(2);
    let look = |cpu: usize| {
        let pinned = Pinned::to(cpu);
        ready.wait();
        let pinned = pinned?;
        let before = pinned.descheduled_ns();
        let gaps = gaps(span);
        Ok::<_, String>((gaps, pinned.descheduled_since(before)))
    };
    let (matcher, drainer) = std::thread::scope(|scope| {
        let drainer = scope.spawn(|| look(cores.1));
        (look(cores.0), drainer.join().expect("it only looks at the clock"))
    });
    let ((matcher, matcher_off), (drainer, drainer_off)) = (matcher?, drainer?);
    Ok(Control {
        matcher: Gaps::new(&matcher, span, matcher_off),
        drainer: Gaps::new(&drainer, span, drainer_off),
        either: Gaps::new(&either(&matcher, &drainer), span, None),
    })
}

/// The gaps between two looks at the clock, for so many ticks from now.
fn gaps(span: u64) -> Vec<Gap> {
    let noted = (NOTED_NS / ns(1)) as u64;
    let mut gaps = Vec::with_capacity(1 << 16);
    let mut from = ticks();
    let end = from + span;
    while from < end {
        let to = ticks();
        if to - from > noted {
            gaps.push(Gap { from, to });
        }
        from = to;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_become_shares_and_waits() {
        // Whatever a tick is here: a gap of 20 us and one of 5 us in 10 ms.
        let tick = |us: f64| (us * 1e3 / ns(1)).round() as u64;
        let gaps = [Gap { from: 0, to: tick(20.0) }, Gap { from: tick(50.0), to: tick(55.0) }];
        let seen = Gaps::new(&gaps, tick(10_000.0), Some(5_000));
        assert!((seen.long_share - 0.002).abs() < 1e-6, "{seen:?}");
        assert!((seen.longest_ns - 20e3).abs() < 2.0, "{seen:?}");
        // 10 us of the 10 ms may wait longer: the first 10 us of the long gap.
        assert!((seen.p999_ns - 10e3).abs() < 5.0 && seen.p99_ns == 0.0, "{seen:?}");
        assert!((seen.others_share.unwrap() - 0.0005).abs() < 1e-6, "{seen:?}");
    }

    #[test]
    fn a_cpu_that_there_is_not_is_named() {
        if cfg!(target_os = "linux") {
            for cpu in [100_000, 1_023] {
                let error = std::thread::spawn(move || Pinned::to(cpu).err()).join().unwrap();
                assert!(error.is_none_or(|error| error.contains(&format!("CPU {cpu}"))));
            }
        }
    }
}
