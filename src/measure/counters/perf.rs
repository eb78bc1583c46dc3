//! perf_event_open(2). Words in quotation marks are that page's.

use super::procfs::{self, Procfs};
use super::reason::{Surroundings, why};
use super::{Counter, Sample, Scope, Source, Tally};
use perf_event::events::{Cache, CacheOp, CacheResult, Event, Hardware, Software, WhichCache};
use perf_event::{Builder, Group};
use rustix::io::Errno;
use std::fs;

/// What is counted together, so that ratios are of the same moments: "An event group is scheduled onto the CPU as a unit: it will
/// be put onto the CPU only if all of the events in the group can be put onto the CPU. This means that the values of the member
/// events can be meaningfully compared". Small groups, because a group that does not fit never runs; ratios across groups (LLC
/// misses per instruction, say) are of scaled counts.
const GROUPS: [&[Counter]; 6] = [
    &[Counter::TaskClock, Counter::ContextSwitches, Counter::Migrations, Counter::MinorFaults, Counter::MajorFaults],
    &[Counter::Cycles, Counter::Instructions, Counter::Branches, Counter::BranchMisses],
    &[Counter::L1dLoads, Counter::L1dMisses],
    &[Counter::LlcReferences, Counter::LlcMisses],
    &[Counter::DtlbLoads, Counter::DtlbMisses],
    &[Counter::StalledFrontEnd, Counter::StalledBackEnd],
];

/// A counter and its file.
type Opened = (Counter, perf_event::Counter);

/// Counters of one thread or of a process, and why the others are none.
#[derive(Debug)]
pub(super) struct PerfEvents {
    groups: Vec<(Group, Vec<Opened>)>,
    /// Those that are counted one by one: "Inherit does not work for some combinations of read_format values, such as
    /// PERF_FORMAT_GROUP." (Kernels from 4.13 on take that one; the page still says so, and this way is right on all.)
    singles: Vec<Opened>,
    instead: Procfs,
    reasons: [Option<String>; Counter::ALL.len()],
    notes: Vec<String>,
}

impl PerfEvents {
    pub(super) fn open(scope: Scope) -> PerfEvents {
        let mut reasons = [const { None }; Counter::ALL.len()];
        let mut notes = Vec::new();
        let kernel = kernel_is_counted(&mut notes);
        let mut openable: Vec<Counter> = Vec::new();
        for counter in Counter::ALL {
            match builder(counter, kernel).build() {
                Ok(_) => openable.push(counter),
                Err(error) => reasons[counter as usize] = Some(why_not(counter, &error)),
            }
        }
        let mut opened = PerfEvents {
            groups: Vec::new(),
            singles: Vec::new(),
            instead: Procfs::open(scope, Vec::new()),
            reasons,
            notes,
        };
        match scope {
            Scope::Thread => opened.open_groups(&openable, kernel),
            Scope::Process => opened.open_for_every_thread(&openable, kernel),
        }
        opened.look_into_proc(scope);
        opened
    }

    fn open_groups(&mut self, openable: &[Counter], kernel: bool) {
        for members in GROUPS {
            let mut members: Vec<Counter> =
                members.iter().copied().filter(|member| openable.contains(member)).collect();
            while !members.is_empty() {
                match open_group(&members, kernel) {
                    Ok(group) => {
                        self.groups.push(group);
                        break;
                    }
                    // All over again without it: the crate's group counts a member that failed as one that is there.
                    Err((member, error)) => {
                        self.reasons[member as usize] = Some(why_not(member, &error));
                        members.retain(|&other| other != member);
                    }
                }
            }
        }
    }

    /// "inherit: ... This applies only to new children, not to any existing children at the time the counter is created (nor to
    /// any new children of existing children)." So each thread that is there gets counters of its own, and these are inherited.
    fn open_for_every_thread(&mut self, openable: &[Counter], kernel: bool) {
        for &counter in openable {
            for thread in threads() {
                // "pid > 0 and cpu == -1: This measures the specified process/thread on any CPU."
                let mut builder = builder(counter, kernel).observe_pid(thread);
                builder.inherit(true).enabled(true);
                match builder.build() {
                    Ok(opened) => self.singles.push((counter, opened)),
                    // It ended since it was listed: there is nothing to count.
                    Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {}
                    Err(error) => {
                        // A sum without one of its threads would be a wrong figure.
                        self.reasons[counter as usize] = Some(why_not(counter, &error));
                        self.singles.retain(|(other, _)| *other != counter);
                        break;
                    }
                }
            }
        }
    }

    fn look_into_proc(&mut self, scope: Scope) {
        let missing =
            procfs::COUNTERS.into_iter().filter(|&counter| self.reasons[counter as usize].is_some()).collect();
        self.instead = Procfs::open(scope, missing);
        let mut found = Sample::default();
        self.instead.read(&mut found);
        let found: Vec<Counter> = Counter::ALL.into_iter().filter(|&counter| found.get(counter).is_some()).collect();
        let Some(&first) = found.first() else { return };
        let reason = self.reasons[first as usize].take().unwrap_or_default();
        for &counter in &found {
            self.reasons[counter as usize] = None;
        }
        self.notes.push(format!("the kernel's own counters are read from /proc and CPU clocks: {reason}"));
    }
}

impl Source for PerfEvents {
    fn read(&mut self) -> Sample {
        let mut sample = Sample::default();
        for (group, members) in &mut self.groups {
            let Ok(counts) = group.read() else { continue };
            for (counter, opened) in members {
                let Some(&count) = counts.get(opened) else { continue };
                let (enabled_ns, running_ns) = (counts.time_enabled(), counts.time_running());
                sample.set(*counter, Tally { count, enabled_ns, running_ns });
            }
        }
        for (counter, opened) in &mut self.singles {
            let Ok(read) = opened.read_count_and_time() else { continue };
            let tally = Tally { count: read.count, enabled_ns: read.time_enabled, running_ns: read.time_running };
            sample.add(&Sample::default().with(*counter, tally));
        }
        self.instead.read(&mut sample);
        sample
    }

    fn unavailable(&self, counter: Counter) -> Option<&str> {
        self.reasons[counter as usize].as_deref()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn open_group(members: &[Counter], kernel: bool) -> Result<(Group, Vec<Opened>), (Counter, std::io::Error)> {
    // Its leader is an event that counts nothing, disabled until all are there: "When creating an event group, typically the group
    // leader is initialized with disabled set to 1 and any child events are initialized with disabled set to 0. Despite disabled
    // being 0, the child events will not start until the group leader is enabled."
    let mut group = Group::new().map_err(|error| (members[0], error))?;
    let mut opened = Vec::new();
    for &member in members {
        let built = builder(member, kernel).group(&mut group).build().map_err(|error| (member, error))?;
        opened.push((member, built));
    }
    group.enable().map_err(|error| (members[0], error))?;
    Ok((group, opened))
}

/// An event of this thread on any CPU ("pid == 0 and cpu == -1"), with `time_enabled` and `time_running`, which "can be used to
/// calculate estimated totals".
fn builder(counter: Counter, kernel: bool) -> Builder<'static> {
    let mut builder = Builder::new().kind(event(counter));
    // "exclude_kernel: If this bit is set, the count excludes events that happen in kernel-space." The kernel's own events happen
    // there: without it, context switches are never any, and faults are too few. So these are asked for whole, or not at all.
    let excluded = !kernel && !counter.is_software();
    builder.exclude_kernel(excluded).exclude_hv(excluded);
    builder
}

fn event(counter: Counter) -> Event {
    let read = |which: WhichCache, result: CacheResult| Event::from(Cache { which, operation: CacheOp::READ, result });
    match counter {
        // "This reports a clock count specific to the task that is running."
        Counter::TaskClock => Software::TASK_CLOCK.into(),
        Counter::ContextSwitches => Software::CONTEXT_SWITCHES.into(),
        Counter::Migrations => Software::CPU_MIGRATIONS.into(),
        // "These did not require disk I/O to handle."
        Counter::MinorFaults => Software::PAGE_FAULTS_MIN.into(),
        // "These required disk I/O to handle."
        Counter::MajorFaults => Software::PAGE_FAULTS_MAJ.into(),
        // "Total cycles. Be wary of what happens during CPU frequency scaling."
        Counter::Cycles => Hardware::CPU_CYCLES.into(),
        Counter::Instructions => Hardware::INSTRUCTIONS.into(),
        Counter::Branches => Hardware::BRANCH_INSTRUCTIONS.into(),
        Counter::BranchMisses => Hardware::BRANCH_MISSES.into(),
        Counter::L1dLoads => read(WhichCache::L1D, CacheResult::ACCESS),
        Counter::L1dMisses => read(WhichCache::L1D, CacheResult::MISS),
        // "Cache accesses. Usually this indicates Last Level Cache accesses but this may vary depending on your CPU."
        Counter::LlcReferences => Hardware::CACHE_REFERENCES.into(),
        // "Cache misses. Usually this indicates Last Level Cache misses".
        Counter::LlcMisses => Hardware::CACHE_MISSES.into(),
        Counter::DtlbLoads => read(WhichCache::DTLB, CacheResult::ACCESS),
        Counter::DtlbMisses => read(WhichCache::DTLB, CacheResult::MISS),
        Counter::StalledFrontEnd => Hardware::STALLED_CYCLES_FRONTEND.into(),
        Counter::StalledBackEnd => Hardware::STALLED_CYCLES_BACKEND.into(),
    }
}

/// Whether the kernel's part may be counted, found by trying, because a capability allows what `perf_event_paranoid` does not.
fn kernel_is_counted(notes: &mut Vec<String>) -> bool {
    let denied = |error: std::io::Error| {
        [Errno::ACCESS, Errno::PERM].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error())
    };
    // Any event will do; this one needs no hardware.
    if !builder(Counter::ContextSwitches, true).build().is_err_and(denied) {
        return true;
    }
    if builder(Counter::Cycles, false).build().is_ok() {
        let level = paranoid().map_or_else(|| "unknown".to_string(), |level| level.to_string());
        notes.push(format!(
            "the CPU's counters leave out the kernel and the hypervisor (kernel.perf_event_paranoid is {level}; with 1 they are counted)"
        ));
    }
    false
}

fn why_not(counter: Counter, error: &std::io::Error) -> String {
    let Some(errno) = Errno::from_io_error(error) else { return format!("perf_event_open failed: {error}") };
    let around = Surroundings {
        paranoid: paranoid(),
        cpu_pmu: has_cpu_pmu(),
        virtual_machine: is_virtual_machine(),
        hardware: !counter.is_software(),
    };
    why(errno, around)
}

fn paranoid() -> Option<i64> {
    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?.trim().parse().ok()
}

/// Its folder is called `cpu`, on hybrid machines `cpu_core` and `cpu_atom`, on Arm `armv8_...`.
fn has_cpu_pmu() -> bool {
    let Ok(devices) = fs::read_dir("/sys/bus/event_source/devices") else { return false };
    devices.flatten().any(|device| {
        let name = device.file_name().to_string_lossy().into_owned();
        name == "cpu" || name.starts_with("cpu_") || name.starts_with("armv")
    })
}

fn is_virtual_machine() -> bool {
    fs::read_to_string("/proc/cpuinfo").is_ok_and(|info| {
        let mut flags = info.lines().filter(|line| line.starts_with("flags"));
        flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
    })
}

/// Ids of the threads of this process.
fn threads() -> Vec<i32> {
    let Ok(folder) = fs::read_dir("/proc/self/task") else { return vec![std::process::id() as i32] };
    folder.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
pub(super) mod tests;
