//! The rule on readings that other people published, of CPUs that they had. Where the source does not name its CPU, neither does
//! the test. Numbers in parentheses in perf's output are the part of the time in which a counter ran; perf has scaled its figure
//! already, so `ran` takes that back. In two places the source was cut before the last of these parts: the counter above it lends
//! its own (gzip's branch misses, the matrix's LLC misses).

use super::super::counters::Tally;
use super::*;
use Counter::*;

/// A count of `perf stat` that was estimated from `percent` of a time.
fn ran(count: u64, percent: f64) -> Tally {
    const ENABLED_NS: u64 = 1_000_000_000;
    let share = percent / 100.0;
    Tally {
        count: (count as f64 * share) as u64,
        enabled_ns: ENABLED_NS,
        running_ns: (ENABLED_NS as f64 * share) as u64,
    }
}

fn reading(counts: &[(Counter, u64)]) -> Evidence {
    estimated(&counts.iter().map(|&(counter, count)| (counter, count, 100.0)).collect::<Vec<_>>())
}

fn estimated(counts: &[(Counter, u64, f64)]) -> Evidence {
    let span =
        counts.iter().fold(Sample::default(), |span, &(counter, count, part)| span.with(counter, ran(count, part)));
    Evidence::of(&span)
}

#[track_caller]
fn expect(evidence: &Evidence, bound: Bound, words: &[&str]) {
    let verdict = judge(evidence);
    println!("{}", verdict.words);
    assert_eq!(verdict.bound, bound, "{}", verdict.words);
    for word in words {
        assert!(verdict.words.contains(word), "{word:?} is not in: {}", verdict.words);
    }
}

/// A naive matrix multiplication, by ETH Zurich's course "C++", https://siscourses.ethz.ch/cpp/profiling: `perf stat -d -r5`. The CPU
/// is not named. Every counter of it took turns. Its LLC events are loads only.
#[test]
fn a_matrix_larger_than_the_cache_is_bound_by_memory() {
    let mut evidence = estimated(&[
        (TaskClock, 1_265_910_000, 100.0),
        (ContextSwitches, 28, 100.0),
        (MinorFaults, 32_912, 100.0),
        (Cycles, 2_725_958_586, 49.80),
        (Instructions, 2_102_075_504, 62.41),
        (Branches, 362_906_440, 62.38),
        (BranchMisses, 146_567, 62.54),
        (L1dLoads, 410_411_322, 62.66),
        (L1dMisses, 41_618_630, 62.75),
        (LlcReferences, 17_904_419, 50.03),
        (LlcMisses, 15_112_462, 50.03),
    ]);
    // "0.998 CPUs utilized".
    evidence.wall_ns = Some(1_265_910_000.0 / 0.998);
    expect(
        &evidence,
        Bound::Memory,
        &["0.77 instructions a cycle", "7.2 misses of the last cache", "ran for only 49.8 %"],
    );
}

/// `vhost_net_test`, 10 runs, from a series of patches for Linux's networking (the run before the patchset). The CPU is not named.
#[test]
fn a_program_that_mispredicts_is_bound_by_bad_speculation() {
    let mut evidence = estimated(&[
        (Cycles, 244_651_819_491, 64.0),
        (StalledFrontEnd, 64_714_638_024, 67.0),
        (StalledBackEnd, 30_774_313_491, 70.0),
        (Instructions, 201_749_748_680, 66.76),
        (Branches, 65_494_787_909, 64.0),
        (BranchMisses, 4_284_111_313, 66.0),
    ]);
    // 1.739 CPUs: several threads are no waiting.
    evidence.wall_ns = Some(175.699e9);
    expect(&evidence, Bound::BadSpeculation, &["6.5 % of the branches", "26.3 % of the cycles", "64.0 % of the time"]);
}

/// gzip on one file, as quoted in https://github.com/netdata/netdata/issues/8346. The CPU is not named.
#[test]
fn compression_mispredicts_too() {
    let evidence = estimated(&[
        (TaskClock, 1_920_159_821, 100.0),
        (ContextSwitches, 13, 100.0),
        (MinorFaults, 258, 100.0),
        (Cycles, 5_649_595_479, 83.43),
        (StalledFrontEnd, 1_808_339_931, 83.54),
        (StalledBackEnd, 1_171_884_577, 66.77),
        (Instructions, 8_625_207_199, 83.51),
        (Branches, 1_488_797_176, 82.58),
        (BranchMisses, 53_395_139, 82.58),
    ]);
    expect(&evidence, Bound::BadSpeculation, &["3.6 % of the branches", "14.2 % of the cycles"]);
}

/// Summing the elements of a sorted array, on an Intel Core i5-8260U, as its author writes (perf_exam_unsort_sort_cmp, `perf stat
/// ./sort`): no stall counters.
#[test]
fn predictable_work_is_healthy_without_stall_counters() {
    let mut evidence = reading(&[
        (TaskClock, 63_995_280_000),
        (ContextSwitches, 1_039),
        (Migrations, 7),
        (MinorFaults, 1_151),
        (Cycles, 240_342_649_070),
        (Instructions, 473_524_864_500),
        (Branches, 63_163_134_842),
        (BranchMisses, 7_402_185),
    ]);
    evidence.wall_ns = Some(64_008_866_998.0);
    expect(&evidence, Bound::Retiring, &["1.97 a cycle"]);
}

/// Array.prototype.every in V8, compiled, https://github.com/UMASHIBA1/v8-perf-report (lst-every): a CPU at 4.5 GHz.
#[test]
fn compiled_loops_are_healthy() {
    let evidence = reading(&[
        (TaskClock, 5_472_430_000),
        (ContextSwitches, 193),
        (MinorFaults, 18_254),
        (Cycles, 24_804_353_486),
        (Instructions, 76_629_463_584),
        (Branches, 20_758_198_874),
        (BranchMisses, 253_680),
    ]);
    expect(&evidence, Bound::Retiring, &["3.09 a cycle"]);
}

/// Summing an unsorted array, https://bnikolic.co.uk/blog/hpc-perf-branchprediction. The counts of its branches are not
/// in the copy that this was taken from: a rule that does not see them must say that it may be them.
#[test]
fn a_front_end_that_stalls_may_be_mispredictions() {
    let counts = [
        (TaskClock, 13_141_967_743),
        (ContextSwitches, 1_152),
        (MinorFaults, 354),
        (Cycles, 41_471_369_485),
        (StalledFrontEnd, 20_376_264_579),
        (StalledBackEnd, 18_430_220_109),
        (Instructions, 22_975_946_466),
    ];
    expect(&reading(&counts), Bound::FrontEnd, &["49.1 % of the cycles", "mispredicted branches would look the same"]);
}

/// A whole machine of 16 CPUs for a second, with Intel's slots, from I. Rogers' patches for perf's default metrics.
#[test]
fn slots_say_it_where_they_are_counted() {
    let mut evidence = reading(&[
        (Cycles, 1_180_799_101),
        (Instructions, 825_965_204),
        (Branches, 168_945_109),
        (BranchMisses, 4_629_567),
    ]);
    evidence.top_down = Some(TopDown { retiring: 0.149, front_end: 0.471, bad_speculation: 0.078, back_end: 0.302 });
    expect(&evidence, Bound::FrontEnd, &["47.1 % of the slots"]);
    // The example of A. Kleen's commit 239bd47f8355: core 0.
    evidence.top_down = Some(TopDown { retiring: 0.238, front_end: 0.283, bad_speculation: 0.116, back_end: 0.363 });
    expect(&evidence, Bound::BackEnd, &["36.3 % of the slots", "without LLC misses, dTLB misses"]);
}

/// 1,000 threads that hand work to each other, from the comments of folly's coro tests (`coro_work.sync1`): a CPU without
/// counters of its last cache. Most of it is in the kernel, which these counters do not tell.
#[test]
fn what_is_not_explained_is_not_guessed() {
    let evidence = estimated(&[
        (MinorFaults, 26_123, 100.0),
        (Cycles, 243_008_828_685, 62.51),
        (StalledFrontEnd, 3_504_540_935, 62.76),
        (StalledBackEnd, 12_217_609_496, 63.03),
        (Instructions, 101_760_148_890, 63.02),
        (Branches, 18_805_789_014, 62.93),
        (BranchMisses, 385_603_806, 62.57),
        (L1dLoads, 35_940_812_394, 62.31),
        (L1dMisses, 2_609_811_853, 62.35),
    ]);
    expect(&evidence, Bound::Unknown, &["cannot be said: 0.42 instructions a cycle", "neither end"]);
}

/// What a virtual machine without a PMU counts.
#[test]
fn without_the_cpus_counters_the_verdict_says_what_is_missing() {
    let mut evidence = reading(&[(TaskClock, 990_000_000), (ContextSwitches, 12), (MinorFaults, 40), (MajorFaults, 0)]);
    evidence.wall_ns = Some(1e9);
    expect(
        &evidence,
        Bound::Unknown,
        &["on a CPU for 99.0 %", "cannot be said: these are missing: cycles, instructions"],
    );
    expect(&Evidence::default(), Bound::Unknown, &["these are missing: cycles, instructions"]);
    // A counter that never ran is missing, and not a zero.
    expect(&estimated(&[(Cycles, 0, 0.0), (Instructions, 0, 0.0)]), Bound::Unknown, &["cycles, instructions"]);
    expect(&reading(&[(Cycles, 0), (Instructions, 0)]), Bound::Unknown, &["no cycle was counted"]);
}

/// Made up: the arithmetic of what the kernel counts.
#[test]
fn waiting_and_the_kernel() {
    let mut evidence = reading(&[(TaskClock, 200_000_000), (ContextSwitches, 5_000), (MajorFaults, 0)]);
    evidence.wall_ns = Some(1e9);
    expect(&evidence, Bound::Waiting, &["only 20.0 %", "5.000 context switches a ms", "cannot be told"]);
    evidence.waits_for = Some(WaitsFor::Thread);
    expect(&evidence, Bound::Lock, &["another thread"]);
    evidence.waits_for = Some(WaitsFor::Disk);
    expect(&evidence, Bound::Disk, &["only 20.0 %"]);
    let mut evidence = reading(&[(TaskClock, 200_000_000), (MajorFaults, 90)]);
    evidence.wall_ns = Some(1e9);
    expect(&evidence, Bound::Disk, &["pages came from a disk"]);
    // Three threads at once.
    let mut evidence = reading(&[(TaskClock, 3_000_000_000), (ContextSwitches, 5)]);
    evidence.wall_ns = Some(1e9);
    expect(&evidence, Bound::Unknown, &["on a CPU for 100.0 %"]);
    let busy =
        |faults, switches| reading(&[(TaskClock, 1_000_000_000), (MinorFaults, faults), (ContextSwitches, switches)]);
    expect(&busy(500_000, 0), Bound::Kernel, &["page faults take about 25.0 %"]);
    expect(&busy(0, 200_000), Bound::Kernel, &["context switches take about 40.0 %"]);
    expect(&busy(300_000, 0), Bound::Unknown, &[]);
}

/// Made up: which end of the back end it is.
#[test]
fn a_back_end_that_stalls_waits_for_memory_or_for_itself() {
    let stalled = |more: &[(Counter, u64)]| {
        reading(&[&[(Cycles, 1_000_000), (Instructions, 500_000), (StalledBackEnd, 600_000)], more].concat())
    };
    expect(&stalled(&[]), Bound::BackEnd, &["stalled for 60.0 %", "without LLC misses, dTLB misses"]);
    expect(&stalled(&[(LlcMisses, 600), (DtlbMisses, 0)]), Bound::Memory, &["1.2 misses of the last cache"]);
    expect(&stalled(&[(LlcMisses, 10), (DtlbMisses, 900)]), Bound::Memory, &["1.8 misses of the data TLB"]);
    expect(&stalled(&[(LlcMisses, 10), (DtlbMisses, 10)]), Bound::Core, &["hardly a miss"]);
}
