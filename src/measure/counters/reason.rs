//! What perf_event_open(2) answers, in words that say what to do.

use rustix::io::Errno;

/// What is known of the system when a counter does not open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// `/proc/sys/kernel/perf_event_paranoid`; `None` if it cannot be read.
    pub paranoid: Option<i64>,
    /// Whether the kernel has a PMU of a CPU: one of `/sys/bus/event_source/devices` is a CPU's.
    pub cpu_pmu: bool,
    /// Whether the CPU says that it is a virtual machine's.
    pub virtual_machine: bool,
    /// Whether the counter would be the CPU's and not the kernel's.
    pub hardware: bool,
}

/// Why a counter did not open. The quoted words are from the ERRORS section of perf_event_open(2).
pub(super) fn why(errno: Errno, around: Surroundings) -> String {
    let code = name(errno);
    match errno {
        // "ENOENT: Returned if the type setting is not valid. This error is also returned for some unsupported generic events."
        // "ENODEV: Returned when the event involves a feature not supported by the current CPU."
        // "EOPNOTSUPP: Returned if an event requiring a specific hardware feature is requested but there is no hardware support."
        Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP => {
            match (around.hardware, around.cpu_pmu, around.virtual_machine) {
                (true, false, true) => format!("this virtual machine has no PMU ({code})"),
                (true, false, false) => format!("the kernel knows no PMU of this CPU ({code})"),
                (true, true, _) => format!("this CPU's PMU does not count it ({code})"),
                (false, ..) => format!("this kernel does not count it ({code})"),
            }
        }
        // "EACCES: Returned when the requested event requires CAP_PERFMON (since Linux 5.8) or CAP_SYS_ADMIN permissions (or a
        // more permissive perf event paranoid setting)." "EPERM: Returned on many (but not all) architectures when an unsupported
        // exclude_hv, exclude_idle, exclude_user, or exclude_kernel setting is specified. It can also happen, as with EACCES".
        Errno::ACCESS | Errno::PERM => forbidden(&code, around.paranoid),
        // What a seccomp filter of a container that knows of no such call says; also a kernel without CONFIG_PERF_EVENTS.
        Errno::NOSYS => format!(
            "perf_event_open is not there: a container's seccomp filter hides it, or the kernel was built without it ({code})"
        ),
        // "EINVAL: Returned if the specified event is invalid. There are many possible reasons for this." Of a group whose
        // events opened one by one, it is that they do not fit the PMU together.
        Errno::INVAL => format!("the kernel refuses the event, or it does not fit its group ({code})"),
        // "ENOSPC: Prior to Linux 3.3, if there was not enough room for the event, ENOSPC was returned. In Linux 3.3, this was
        // changed to EINVAL. ENOSPC is still returned if you try to add more breakpoint events than supported by the hardware."
        Errno::NOSPC => format!("the CPU has too few counters for its group ({code})"),
        // "EBUSY (since Linux 4.1): Returned if another event already has exclusive access to the PMU."
        Errno::BUSY => format!("another program has the PMU to itself ({code})"),
        // "EMFILE: Each opened event uses one file descriptor. If a large number of events are opened, the per-process limit on the
        // number of open file descriptors will be reached".
        Errno::MFILE | Errno::NFILE => format!("too many files are open; raise `ulimit -n` ({code})"),
        // "E2BIG: Returned if the perf_event_attr size value is too small ..., too big (larger than the page size), or larger
        // than the kernel supports and the extra bytes are not zero."
        Errno::TOOBIG => format!("this kernel is too old for how the event is asked for ({code})"),
        // "ESRCH: Returned if attempting to attach to a process that does not exist."
        Errno::SRCH => format!("the thread ended before it could be counted ({code})"),
        _ => format!("perf_event_open failed: {}", std::io::Error::from(errno)),
    }
}

/// From the table under /proc/sys/kernel/perf_event_paranoid: "2: allow only user-space measurements (default since Linux 4.6).
/// 1: allow both kernel and user measurements". Distributions add 3 and 4: nothing is allowed.
fn forbidden(code: &str, paranoid: Option<i64>) -> String {
    match paranoid {
        Some(level) if level > 2 => format!(
            "kernel.perf_event_paranoid is {level}, which forbids it; `sudo sysctl kernel.perf_event_paranoid=1` allows it ({code})"
        ),
        Some(2) => format!(
            "kernel.perf_event_paranoid is 2 and this needs the kernel's part, or a container forbids the call; \
             `sudo sysctl kernel.perf_event_paranoid=1` or CAP_PERFMON allows it ({code})"
        ),
        Some(level) => format!(
            "kernel.perf_event_paranoid is {level}, which allows it, so a container's seccomp filter or a security module forbids \
             it; give the container CAP_PERFMON ({code})"
        ),
        None => format!("the system forbids it and does not say why; CAP_PERFMON allows it ({code})"),
    }
}

fn name(errno: Errno) -> String {
    let known = [
        (Errno::NOENT, "ENOENT"),
        (Errno::NODEV, "ENODEV"),
        (Errno::OPNOTSUPP, "EOPNOTSUPP"),
        (Errno::ACCESS, "EACCES"),
        (Errno::PERM, "EPERM"),
        (Errno::NOSYS, "ENOSYS"),
        (Errno::INVAL, "EINVAL"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::BUSY, "EBUSY"),
        (Errno::MFILE, "EMFILE"),
        (Errno::NFILE, "ENFILE"),
        (Errno::TOOBIG, "E2BIG"),
        (Errno::SRCH, "ESRCH"),
    ];
    let found = known.iter().find(|(known, _)| *known == errno);
    found.map_or_else(|| format!("errno {}", errno.raw_os_error()), |(_, name)| (*name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Surroundings =
        Surroundings { paranoid: Some(2), cpu_pmu: false, virtual_machine: true, hardware: true };

    #[test]
    fn every_answer_has_words_of_its_own() {
        let with = |change: fn(&mut Surroundings)| {
            let mut around = HERE;
            change(&mut around);
            around
        };
        let cases = [
            (Errno::NOENT, HERE, "this virtual machine has no PMU (ENOENT)"),
            (Errno::NODEV, HERE, "this virtual machine has no PMU (ENODEV)"),
            (Errno::OPNOTSUPP, HERE, "this virtual machine has no PMU (EOPNOTSUPP)"),
            (Errno::NOENT, with(|a| a.virtual_machine = false), "the kernel knows no PMU of this CPU (ENOENT)"),
            (Errno::NOENT, with(|a| a.cpu_pmu = true), "this CPU's PMU does not count it (ENOENT)"),
            (Errno::NOENT, with(|a| a.hardware = false), "this kernel does not count it (ENOENT)"),
            (Errno::ACCESS, HERE, "perf_event_paranoid is 2"),
            (Errno::ACCESS, with(|a| a.paranoid = Some(3)), "perf_event_paranoid is 3, which forbids it; `sudo sysctl"),
            (Errno::PERM, with(|a| a.paranoid = Some(4)), "perf_event_paranoid is 4, which forbids it"),
            (Errno::PERM, with(|a| a.paranoid = Some(-1)), "is -1, which allows it, so a container's seccomp filter"),
            (Errno::PERM, with(|a| a.paranoid = None), "does not say why"),
            (Errno::NOSYS, HERE, "seccomp filter hides it, or the kernel was built without it (ENOSYS)"),
            (Errno::INVAL, HERE, "does not fit its group (EINVAL)"),
            (Errno::NOSPC, HERE, "too few counters for its group (ENOSPC)"),
            (Errno::BUSY, HERE, "another program has the PMU to itself (EBUSY)"),
            (Errno::MFILE, HERE, "raise `ulimit -n` (EMFILE)"),
            (Errno::TOOBIG, HERE, "too old"),
            (Errno::SRCH, HERE, "the thread ended"),
            (Errno::IO, HERE, "perf_event_open failed: "),
        ];
        for (errno, around, words) in cases {
            let said = why(errno, around);
            assert!(said.contains(words), "{errno:?} {around:?}: {said}");
        }
    }
}
