//! What the process used, and where it runs. What cannot be read is an error in words, never a zero.

use rustix::time::{ClockId, clock_gettime};
use std::fs::{self, File};
use std::time::Instant;

/// CPU seconds of all threads of this process so far.
///
/// # Errors
/// Where the system has no such clock.
pub fn process_cpu_seconds() -> Result<f64, String> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// CPU ns of this thread so far.
///
/// # Errors
/// Where the system has no such clock.
pub fn thread_cpu_ns() -> Result<u64, String> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// How long a thread was ready to run so far while its CPU was another thread's: the second figure of
/// `/proc/thread-self/schedstat` (Linux, `Documentation/scheduler/sched-stats.rst`). Another machine's share of a shared CPU is not
/// in it.
#[derive(Debug)]
pub struct RunDelay(File);

const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

impl RunDelay {
    /// Of the thread that calls this, whoever reads it later.
    ///
    /// # Errors
    /// Where the system does not count it, in words.
    pub fn of_this_thread() -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err(format!(
                "times without a CPU are read from Linux's /proc, and this is {}",
                std::env::consts::OS
            ));
        }
        let opened = RunDelay(File::open(SCHEDSTAT).map_err(|error| format!("{SCHEDSTAT}: {error}"))?);
        opened.ns().map(|_| opened)
    }

    /// So far, in ns.
    ///
    /// # Errors
    /// The thread is gone, or the system does not count it, in words.
    pub fn ns(&self) -> Result<u64, String> {
        let mut bytes = [0; 96];
        let length = rustix::io::pread(&self.0, &mut bytes, 0).map_err(|error| format!("{SCHEDSTAT}: {error}"))?;
        let counted = String::from_utf8_lossy(&bytes[..length]);
        let mut figures = counted.split_whitespace().map(str::parse::<u64>);
        match (figures.next(), figures.next()) {
            // A kernel that does not count it (CONFIG_SCHED_INFO) says 0 of everything.
            (Some(Ok(on_cpu)), Some(Ok(delay))) if on_cpu > 0 || delay > 0 => Ok(delay),
            (Some(Ok(_)), Some(Ok(_))) => {
                Err(format!("{SCHEDSTAT} counts nothing: the kernel is without CONFIG_SCHED_INFO"))
            }
            _ => Err(format!("{SCHEDSTAT} says {counted:?}, and a time on a CPU and one without were wanted")),
        }
    }
}

/// Forgets the peak of the resident set, so that the next reading is of what comes now.
///
/// # Errors
/// Where the system does not offer it, in words.
pub fn reset_peak_rss() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err(not_linux());
    }
    fs::write("/proc/self/clear_refs", "5").map_err(|error| format!("/proc/self/clear_refs: {error}"))
}

/// Peak resident set of this process since the last reset, in MiB.
///
/// # Errors
/// Where the system does not offer it, in words.
pub fn peak_rss_mib() -> Result<f64, String> {
    status_mib("VmHWM")
}

/// Resident set of this process now, in MiB.
///
/// # Errors
/// Where the system does not offer it, in words.
pub fn rss_mib() -> Result<f64, String> {
    status_mib("VmRSS")
}

/// A line of `/proc/self/status` that is in kB, in MiB.
fn status_mib(name: &str) -> Result<f64, String> {
    if !cfg!(target_os = "linux") {
        return Err(not_linux());
    }
    let status = fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("/proc/self/status has no {name}"))
}

fn not_linux() -> String {
    format!("the resident set is read from Linux's /proc, and this is {}", std::env::consts::OS)
}

/// The CPU as the system names it, or its architecture where it has no name.
pub fn cpu_model() -> String {
    let named = fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    });
    named.unwrap_or_else(|| format!("unnamed {}", std::env::consts::ARCH))
}

/// Logical CPUs that this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get())
}

/// What a clock reading costs, that is the shortest time that can be told from nothing, in ns: the median of many
/// back-to-back pairs.
pub fn clock_step_ns() -> u64 {
    let mut steps: Vec<u64> = (0..10_001)
        .map(|_| {
            let since = Instant::now();
            since.elapsed().as_nanos() as u64
        })
        .collect();
    steps.sort_unstable();
    steps[steps.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_grows_with_work() {
        let before = process_cpu_seconds().unwrap();
        let sum: u64 = (0..30_000_000u64).fold(0, |sum, value| std::hint::black_box(sum ^ value));
        std::hint::black_box(sum);
        assert!(process_cpu_seconds().unwrap() > before);
    }

    /// Threads that share the CPUs with others must be seen to wait for them, and one that sleeps waits for nobody.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_without_a_cpu_is_told_from_one_that_sleeps() {
        let busy = |cpu_ns: u64| {
            let until = thread_cpu_ns().unwrap() + cpu_ns;
            while thread_cpu_ns().unwrap() < until {}
        };
        busy(20_000_000);
        let mine = match RunDelay::of_this_thread() {
            Ok(mine) => mine,
            Err(reason) => return println!("not checked: {reason}"),
        };
        let (before, slept) = (mine.ns().unwrap(), Instant::now());
        std::thread::sleep(std::time::Duration::from_millis(200));
        let (asleep, slept) = (mine.ns().unwrap() - before, slept.elapsed().as_nanos() as u64);
        assert!(asleep + 200_000_000 <= slept, "{asleep} ns of {slept} were without a CPU, and 200 ms asleep");
        // Three threads of 60 ms each on one CPU: two wait while one runs, whoever else is there.
        let allowed = rustix::thread::sched_getaffinity(None).unwrap();
        let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut one = rustix::thread::CpuSet::new();
                    one.set(first);
                    rustix::thread::sched_setaffinity(None, &one).unwrap();
                    busy(60_000_000);
                    RunDelay::of_this_thread().unwrap().ns().unwrap()
                })
            })
            .collect();
        let waited: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(waited >= 60_000_000, "{waited} ns");
    }

    #[test]
    fn machine_is_named() {
        assert!(!cpu_model().is_empty() && cpus() >= 1);
    }
}
