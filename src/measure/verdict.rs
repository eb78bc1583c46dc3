//! What bounds a stretch of work, in words, from what was counted. The rule, first match wins:
//!
//! 1. **Waiting**: less than 70 % of the wall time on a CPU. A disk if pages came from one or the caller says that this work waits
//!    for one; a lock if the caller says that it waits for another thread; otherwise it is said that it cannot be told.
//! 2. **Kernel**: page faults and context switches that cost at least a fifth of the CPU time, at an assumed 0.5 us a fault and
//!    2 us a switch: low figures, so that this is said too seldom rather than too often.
//! 3. **Top-down, level 1**, where slots were counted: A. Yasin, "A Top-Down Method for Performance Analysis and Counters
//!    Architecture" (ISPASS 2014). Retiring above 70 % is healthy; otherwise front end above 20 %, bad speculation above 10 % or
//!    back end above 20 %, whichever is largest. The thresholds are those that Linux's perf marked (`tools/perf/util/stat-shadow.c`
//!    before 6.3). Nothing here counts slots yet: Intel's need an event of their own as the leader of a group.
//! 4. **Bad speculation**: mispredictions that cost at least 10 % of the cycles, at 15 cycles each (the low end of what A. Fog, "The
//!    microarchitecture of Intel, AMD and VIA CPUs", gives for cores of the last ten years). Before stalls, because a
//!    mispredicted branch shows as a stall of the front end, too.
//! 5. **Stalls**: front end above 30 % of the cycles or back end above 50 %, whichever passes its mark by more: the middle marks of
//!    `stat-shadow.c`.
//! 6. **Instructions per cycle**: 1 or more is healthy, less is waiting for memory more often than not (B. Gregg, "CPU Utilization
//!    is Wrong", 2017); said only if nothing that was counted speaks against it.
//!
//! 7. **A model's counts and a measured time**: without cycles, mispredictions and misses of the last cache are set against the time
//!    that the work took, at an assumed 5 ns a misprediction (15 cycles at 3 GHz) and 80 ns a miss: bad speculation from 10 % on,
//!    memory from 20 % on, whichever is more. Misses overlap, so for memory that is the most that it can be. Below both, 3
//!    instructions a ns (one a cycle at 3 GHz) are healthy, and of less it cannot be said what holds them up.
//!
//! A back end waits for *memory* if at least one instruction in 1,000 misses the last-level cache (Kim et al., "Thread Cluster
//! Memory Scheduling", MICRO 2010, call programs above that memory-intensive) or the data TLB, and for the *core* if both were
//! counted and neither does.

use super::counters::{Counter, Sample};
use serde::Serialize;

const ON_CPU_MIN: f64 = 0.7;
const KERNEL_SHARE: f64 = 0.2;
const FAULT_NS: f64 = 500.0;
const SWITCH_NS: f64 = 2_000.0;
const RETIRING: f64 = 0.7;
const FRONT_END: f64 = 0.2;
const BAD_SPECULATION: f64 = 0.1;
const BACK_END: f64 = 0.2;
const MISPREDICTION_CYCLES: f64 = 15.0;
const STALLED_FRONT_END: f64 = 0.3;
const STALLED_BACK_END: f64 = 0.5;
const HEALTHY_IPC: f64 = 1.0;
const MISSES_PER_INSTRUCTION: f64 = 1e-3;
const MISPREDICTION_NS: f64 = 5.0;
const LLC_MISS_NS: f64 = 80.0;
const MEMORY: f64 = 0.2;
const HEALTHY_INSTRUCTIONS_PER_NS: f64 = 3.0;

/// What bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Nothing but its own instructions.
    Retiring,
    /// Fetching and decoding instructions.
    FrontEnd,
    /// Work on branches that were not taken.
    BadSpeculation,
    /// Data that is not in the caches.
    Memory,
    /// Execution units, and instructions that wait for each other.
    Core,
    /// Memory or core: it cannot be told which.
    BackEnd,
    /// Page faults and context switches.
    Kernel,
    /// Another thread.
    Lock,
    /// A disk.
    Disk,
    /// A lock, a disk, or a CPU that others have: it cannot be told which.
    Waiting,
    /// It cannot be said.
    Unknown,
}

/// The verdict, and what it is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What bounds it.
    pub bound: Bound,
    /// The same as a sentence without its full stop, with figures.
    pub words: String,
}

/// Shares of the slots in which a core could have retired an instruction, 0 to 1, summing to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopDown {
    /// Slots that were used.
    pub retiring: f64,
    /// Slots for which no instruction was there.
    pub front_end: f64,
    /// Slots used for what was thrown away.
    pub bad_speculation: f64,
    /// Slots that could not be used.
    pub back_end: f64,
}

/// What a piece of work waits for when it waits, if its author knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// Writes and syncs.
    Disk,
    /// A lock, or a queue that another thread fills or empties.
    Thread,
}

/// What is known of a stretch of work. What is not is `None`, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    counts: [Option<f64>; Counter::ALL.len()],
    /// The smallest part of the time in which a counter of the CPU was counted, 0 to 1.
    counted: Option<f64>,
    /// How long it took, in ns.
    pub wall_ns: Option<f64>,
    /// Slots.
    pub top_down: Option<TopDown>,
    /// What it waits for when it waits.
    pub waits_for: Option<WaitsFor>,
}

impl Evidence {
    /// The counters of a stretch of one thread, or of a model of it.
    pub fn of(span: &Sample) -> Evidence {
        let mut evidence = Evidence::default();
        for counter in Counter::ALL {
            let Some(scaled) = span.scaled(counter) else { continue };
            evidence.counts[counter as usize] = Some(scaled.count);
            if !counter.is_software() {
                evidence.counted = Some(evidence.counted.map_or(scaled.counted, |least| least.min(scaled.counted)));
            }
        }
        evidence
    }

    fn get(&self, counter: Counter) -> Option<f64> {
        self.counts[counter as usize]
    }

    /// One count per another; `None` if one is missing, or there is nothing to divide by.
    fn ratio(&self, of: Counter, per: Counter) -> Option<f64> {
        let (of, per) = (self.get(of)?, self.get(per)?);
        (per > 0.0).then(|| of / per)
    }
}

/// What bounds it, by the rule at the top of this module.
pub fn judge(evidence: &Evidence) -> Verdict {
    let steps = [waiting, kernel, top_down, bad_speculation, stalls, instructions_per_cycle, model];
    let (bound, mut words) = steps.iter().find_map(|step| step(evidence)).unwrap_or_else(|| unknown(evidence));
    let by_cpu = !matches!(bound, Bound::Waiting | Bound::Lock | Bound::Disk | Bound::Kernel);
    if let Some(counted) = evidence.counted.filter(|counted| *counted < 0.999 && by_cpu) {
        words.push_str(&format!("; estimated, since a counter ran for only {} of the time", percent(counted)));
    }
    Verdict { bound, words }
}

type Step = Option<(Bound, String)>;

fn waiting(evidence: &Evidence) -> Step {
    let wall_ns = evidence.wall_ns.filter(|&wall_ns| wall_ns > 0.0)?;
    let on_cpu = evidence.get(Counter::TaskClock)? / wall_ns;
    if on_cpu >= ON_CPU_MIN {
        return None;
    }
    let waits = format!("on a CPU for only {} of the time", percent(on_cpu));
    let switches = evidence.get(Counter::ContextSwitches);
    let switches = switches.map_or_else(String::new, |n| format!(", {:.3} context switches a ms", n / wall_ns * 1e6));
    let major = evidence.get(Counter::MajorFaults).is_some_and(|faults| faults > 0.0);
    Some(match evidence.waits_for {
        _ if major => (Bound::Disk, format!("disk: {waits}{switches}, and pages came from a disk")),
        Some(WaitsFor::Disk) => (Bound::Disk, format!("disk: {waits}{switches}")),
        Some(WaitsFor::Thread) => (Bound::Lock, format!("lock: waits for another thread, {waits}{switches}")),
        None => {
            let words =
                format!("waits: {waits}{switches}; a lock, a disk or a CPU that others have, which cannot be told");
            (Bound::Waiting, words)
        }
    })
}

fn kernel(evidence: &Evidence) -> Step {
    let task_ns = evidence.get(Counter::TaskClock).filter(|&ns| ns > 0.0)?;
    let cost = |counter, ns: f64| evidence.get(counter).map_or(0.0, |count| count * ns / task_ns);
    let (faults, switches) = (cost(Counter::MinorFaults, FAULT_NS), cost(Counter::ContextSwitches, SWITCH_NS));
    if faults + switches < KERNEL_SHARE {
        return None;
    }
    let share = percent((faults + switches).min(1.0));
    let what = if faults >= switches { "page faults" } else { "context switches" };
    Some((Bound::Kernel, format!("kernel: {what} take about {share} of its CPU time")))
}

fn top_down(evidence: &Evidence) -> Step {
    let slots = evidence.top_down?;
    if slots.retiring > RETIRING {
        return Some((
            Bound::Retiring,
            format!("its own instructions: {} of the slots retire", percent(slots.retiring)),
        ));
    }
    let marked = [
        (slots.front_end, FRONT_END, Bound::FrontEnd),
        (slots.bad_speculation, BAD_SPECULATION, Bound::BadSpeculation),
        (slots.back_end, BACK_END, Bound::BackEnd),
    ];
    let over = marked.into_iter().filter(|(share, mark, _)| share > mark);
    let (share, _, bound) = over.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let lost = format!("{} of the slots are lost there", percent(share));
    Some(match bound {
        Bound::FrontEnd => (bound, format!("front end: {lost}")),
        Bound::BadSpeculation => (bound, format!("bad speculation: {lost}")),
        _ => back_end(evidence, &lost),
    })
}

fn bad_speculation(evidence: &Evidence) -> Step {
    let share = evidence.ratio(Counter::BranchMisses, Counter::Cycles)? * MISPREDICTION_CYCLES;
    if share < BAD_SPECULATION {
        return None;
    }
    let rate = evidence.ratio(Counter::BranchMisses, Counter::Branches);
    let rate = rate.map_or_else(String::new, |rate| format!("{} of the branches are mispredicted, ", percent(rate)));
    let share = percent(share.min(1.0));
    Some((Bound::BadSpeculation, format!("bad speculation: {rate}which takes about {share} of the cycles")))
}

fn stalls(evidence: &Evidence) -> Step {
    let front = evidence.ratio(Counter::StalledFrontEnd, Counter::Cycles);
    let back = evidence.ratio(Counter::StalledBackEnd, Counter::Cycles);
    let (over_front, over_back) = (front.unwrap_or(0.0) / STALLED_FRONT_END, back.unwrap_or(0.0) / STALLED_BACK_END);
    if over_front.max(over_back) <= 1.0 {
        return None;
    }
    if over_back >= over_front {
        return Some(back_end(evidence, &format!("stalled for {} of the cycles", percent(back?))));
    }
    let mut words = format!("front end: stalled for {} of the cycles", percent(front?));
    if evidence.get(Counter::BranchMisses).is_none() {
        words.push_str("; mispredicted branches would look the same, and were not counted");
    }
    Some((Bound::FrontEnd, words))
}

fn instructions_per_cycle(evidence: &Evidence) -> Step {
    let ipc = evidence.ratio(Counter::Instructions, Counter::Cycles)?;
    if ipc >= HEALTHY_IPC {
        return Some((
            Bound::Retiring,
            format!("its own instructions: {ipc:.2} a cycle, and nothing counted holds them up"),
        ));
    }
    let because = format!("{ipc:.2} instructions a cycle");
    let (bound, words) = back_end(evidence, &because);
    let stalls_known =
        [Counter::StalledFrontEnd, Counter::StalledBackEnd].map(|counter| evidence.get(counter).is_some());
    match bound {
        Bound::Memory => Some((bound, words)),
        // Nothing that was counted says why.
        _ if stalls_known == [true, true] => Some((
            Bound::Unknown,
            format!("cannot be said: {because}, but neither end of the core was stalled for long"),
        )),
        _ => {
            let missing = missing(evidence, &[Counter::LlcMisses, Counter::StalledFrontEnd, Counter::StalledBackEnd]);
            Some((Bound::Unknown, format!("cannot be said: {because}, and these are missing: {missing}")))
        }
    }
}

fn model(evidence: &Evidence) -> Step {
    let ns = evidence.wall_ns.filter(|&ns| ns > 0.0)?;
    let (instructions, cycles) = (evidence.get(Counter::Instructions)?, evidence.get(Counter::Cycles));
    if cycles.is_some() {
        return None;
    }
    let share = |counter, each: f64| evidence.get(counter).map_or(0.0, |count| count * each / ns);
    let speculation = share(Counter::BranchMisses, MISPREDICTION_NS);
    let memory = share(Counter::LlcMisses, LLC_MISS_NS);
    let pace = instructions / ns;
    Some(if speculation >= BAD_SPECULATION && speculation >= memory {
        let misses = evidence.get(Counter::BranchMisses).unwrap_or(0.0);
        let of = evidence
            .get(Counter::Branches)
            .map_or(String::new(), |all| format!(", {} of the branches,", percent(misses / all)));
        let words =
            format!("bad speculation: mispredictions{of} take about {} of its time", percent(speculation.min(1.0)));
        (Bound::BadSpeculation, words)
    } else if memory >= MEMORY {
        let words = format!("memory: misses of the last cache take up to {} of its time", percent(memory.min(1.0)));
        (Bound::Memory, words)
    } else if pace >= HEALTHY_INSTRUCTIONS_PER_NS {
        let words = format!("its own instructions: {pace:.1} a ns, and no misprediction or miss holds them up");
        (Bound::Retiring, words)
    } else {
        let words = format!(
            "cannot be said: {pace:.1} instructions a ns, few misses and mispredictions, and no cycles were counted"
        );
        (Bound::Unknown, words)
    })
}

/// Memory or core, of a back end that is known to be what bounds it.
fn back_end(evidence: &Evidence, because: &str) -> (Bound, String) {
    let llc = evidence.ratio(Counter::LlcMisses, Counter::Instructions);
    let tlb = evidence.ratio(Counter::DtlbMisses, Counter::Instructions);
    let many = |misses: Option<f64>| misses.filter(|&misses| misses >= MISSES_PER_INSTRUCTION);
    if let Some(misses) = many(llc) {
        return (
            Bound::Memory,
            format!("memory: {because}, {:.1} misses of the last cache per 1,000 instructions", 1e3 * misses),
        );
    }
    if let Some(misses) = many(tlb) {
        return (
            Bound::Memory,
            format!("memory: {because}, {:.1} misses of the data TLB per 1,000 instructions", 1e3 * misses),
        );
    }
    if llc.is_some() && tlb.is_some() {
        return (Bound::Core, format!("core: {because}, and hardly a miss of the last cache or the data TLB"));
    }
    let missing = missing(evidence, &[Counter::Instructions, Counter::LlcMisses, Counter::DtlbMisses]);
    (Bound::BackEnd, format!("back end: {because}; memory or core cannot be told without {missing}"))
}

fn unknown(evidence: &Evidence) -> (Bound, String) {
    let missing = missing(evidence, &[Counter::Cycles, Counter::Instructions]);
    let busy = evidence.wall_ns.filter(|&wall_ns| wall_ns > 0.0).zip(evidence.get(Counter::TaskClock));
    let busy =
        busy.map(|(wall_ns, task_ns)| format!("on a CPU for {} of the time; ", percent((task_ns / wall_ns).min(1.0))));
    let why =
        if missing.is_empty() { "no cycle was counted".to_string() } else { format!("these are missing: {missing}") };
    (Bound::Unknown, format!("{}what bounds it there cannot be said: {why}", busy.unwrap_or_default()))
}

fn missing(evidence: &Evidence, wanted: &[Counter]) -> String {
    let names = wanted.iter().filter(|&&counter| evidence.get(counter).is_none()).map(|counter| counter.name());
    names.collect::<Vec<_>>().join(", ")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests;
