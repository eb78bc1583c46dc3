//! What Linux counts for everybody, for the systems whose perf events are closed: the CPU clocks, and `/proc` (proc(5)).

use super::{Counter, Sample, Scope, Tally};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::PathBuf;

/// The counters that can come from here.
pub(super) const COUNTERS: [Counter; 4] =
    [Counter::TaskClock, Counter::ContextSwitches, Counter::MinorFaults, Counter::MajorFaults];

/// Some of the kernel's own counters, without perf events. Read on the thread that opened it, in [`Scope::Thread`].
#[derive(Debug)]
pub(super) struct Procfs {
    scope: Scope,
    folder: PathBuf,
    /// Those that nobody else counts.
    wanted: Vec<Counter>,
}

impl Procfs {
    pub(super) fn open(scope: Scope, wanted: Vec<Counter>) -> Procfs {
        let folder = match scope {
            // A link to the reader's own folder: followed now, so that it is this thread's for good.
            Scope::Thread => PathBuf::from("/proc").join(fs::read_link("/proc/thread-self").unwrap_or_default()),
            Scope::Process => PathBuf::from("/proc/self"),
        };
        Procfs { scope, folder, wanted }
    }

    /// Puts what it counts into a sample.
    pub(super) fn read(&self, sample: &mut Sample) {
        if self.wanted.is_empty() {
            return;
        }
        let faults = if self.wants_faults() { self.faults() } else { None };
        // Every count is complete: there is nothing to scale, and the clock only has to run.
        let now = clock_gettime(ClockId::Monotonic);
        let ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        for &counter in &self.wanted {
            let count = match counter {
                Counter::TaskClock => Some(self.cpu_ns()),
                Counter::ContextSwitches => self.switches(),
                Counter::MinorFaults => faults.map(|faults| faults[0]),
                Counter::MajorFaults => faults.map(|faults| faults[1]),
                _ => None,
            };
            if let Some(count) = count {
                sample.set(counter, Tally { count, enabled_ns: ns, running_ns: ns });
            }
        }
    }

    fn wants_faults(&self) -> bool {
        self.wanted.iter().any(|counter| [Counter::MinorFaults, Counter::MajorFaults].contains(counter))
    }

    fn cpu_ns(&self) -> u64 {
        let time = clock_gettime(match self.scope {
            Scope::Thread => ClockId::ThreadCPUTime,
            Scope::Process => ClockId::ProcessCPUTime,
        });
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    /// proc(5): "voluntary_ctxt_switches, nonvoluntary_ctxt_switches: Number of voluntary and involuntary context switches". Of one
    /// thread: a process has no such sum there.
    fn switches(&self) -> Option<u64> {
        if self.scope == Scope::Process {
            return None;
        }
        let status = fs::read_to_string(self.folder.join("status")).ok()?;
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        Some(of("voluntary_ctxt_switches:")? + of("nonvoluntary_ctxt_switches:")?)
    }

    /// Minor and major faults: fields 10 and 12 of `stat` (proc_pid_stat(5)), of the thread or of the whole process.
    fn faults(&self) -> Option<[u64; 2]> {
        let stat = fs::read_to_string(self.folder.join("stat")).ok()?;
        faults_in(&stat)
    }
}

fn faults_in(stat: &str) -> Option<[u64; 2]> {
    // The second field is the program's name in parentheses, which may have spaces and parentheses of its own.
    let from_third: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| from_third.get(number - 3)?.parse().ok();
    Some([field(10)?, field(12)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_behind_any_name() {
        let stat = "42 (a) b (c) R 1 42 42 0 -1 4194304 1234 5 67 8 9 10";
        assert_eq!(faults_in(stat), Some([1_234, 67]));
        assert_eq!(faults_in("42 (a"), None);
        assert_eq!(faults_in("42 (a) R 1"), None);
    }

    #[test]
    fn what_it_reads_grows_with_what_is_done() {
        let source = Procfs::open(Scope::Thread, COUNTERS.to_vec());
        let (mut before, mut after) = (Sample::default(), Sample::default());
        source.read(&mut before);
        std::thread::sleep(std::time::Duration::from_millis(2));
        super::super::perf::tests::touch_fresh_memory(16);
        source.read(&mut after);
        let span = after.since(&before);
        assert!(span.scaled(Counter::ContextSwitches).unwrap().count >= 1.0, "{span:?}");
        assert!(span.scaled(Counter::MinorFaults).unwrap().count >= 16.0, "{span:?}");
        assert!(span.scaled(Counter::TaskClock).unwrap().count > 0.0, "{span:?}");
        assert!(span.get(Counter::Migrations).is_none());
    }

    #[test]
    fn a_process_has_no_sum_of_switches() {
        let mut sample = Sample::default();
        Procfs::open(Scope::Process, COUNTERS.to_vec()).read(&mut sample);
        assert!(sample.get(Counter::ContextSwitches).is_none());
        assert!(sample.get(Counter::MinorFaults).unwrap().count > 0);
    }
}
