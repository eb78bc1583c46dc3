//! The clock of probes: the CPU's time stamp counter where it runs at one rate for good, which takes a few ns to read and asks
//! nobody; elsewhere the system's monotonic clock.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the counter is compared with the system's clock, once per process. A clock reading is off by 0.1 us at worst, so the
/// rate by 20 in a million.
const CALIBRATION: Duration = Duration::from_millis(5);

/// Ticks are those of a counter, at this rate, or else ns since this moment.
#[derive(Clone, Copy)]
enum Source {
    Counter { ns_per_tick: f64 },
    System { start: Instant },
}

static SOURCE: OnceLock<Source> = OnceLock::new();

/// Now, in ticks. Only differences mean something, on one thread or on several.
#[inline(always)]
pub fn ticks() -> u64 {
    match source() {
        Source::Counter { .. } => counter(),
        Source::System { start } => start.elapsed().as_nanos() as u64,
    }
}

/// So many ticks, in ns.
pub fn ns(ticks: u64) -> f64 {
    match source() {
        Source::Counter { ns_per_tick } => ticks as f64 * ns_per_tick,
        Source::System { .. } => ticks as f64,
    }
}

#[inline(always)]
fn source() -> &'static Source {
    SOURCE.get_or_init(find_source)
}

#[cold]
fn find_source() -> Source {
    let start = Instant::now();
    if !counter_runs_at_one_rate() {
        return Source::System { start };
    }
    let first = counter();
    while start.elapsed() < CALIBRATION {
        std::hint::spin_loop();
    }
    let (ticks, elapsed) = (counter() - first, start.elapsed());
    Source::Counter { ns_per_tick: elapsed.as_nanos() as f64 / ticks as f64 }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and a system that forbids it to programs (`prctl(PR_SET_TSC)`) does so for a
    // process that asked for it, which this one never does.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Whether the counter counts at one rate in every state of power, and so on all CPUs ("invariant TSC": Intel's Software
/// Developer's Manual, volume 3, section 19.17.1; AMD's volume 2, section 13.2.4).
#[cfg(target_arch = "x86_64")]
fn counter_runs_at_one_rate() -> bool {
    use std::arch::x86_64::__cpuid;
    const EXTENDED: u32 = 0x8000_0000;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;
    __cpuid(EXTENDED).eax >= POWER && __cpuid(POWER).edx & INVARIANT_TSC != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    unreachable!("nobody asks for a counter that is not there")
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_runs_at_one_rate() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_time() {
        let (since, first) = (Instant::now(), ticks());
        std::thread::sleep(Duration::from_millis(20));
        // The counter was read within this span, whatever the machine did in between.
        let elapsed = since.elapsed();
        let measured = ns(ticks() - first);
        assert!(measured >= 19.9e6, "{measured} ns of at least 20 ms");
        let whole = since.elapsed();
        assert!(measured <= whole.as_nanos() as f64 * 1.001, "{measured} ns of {elapsed:?} to {whole:?}");
    }
}
