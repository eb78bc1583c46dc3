//! On whatever machine they run: where perf events are closed, what must hold is that there is a reason.

use super::super::{per_operation, summary};
use super::*;
use crate::measure::Reading;
use std::hint::black_box;
use std::time::Duration;

/// Faults at least so many times: writes once into each 2 MiB of memory that was never touched, so that a page is a new one also
/// where pages are huge.
pub(in crate::measure) fn touch_fresh_memory(faults: usize) {
    const HUGE_PAGE: usize = 2 << 20;
    // Zeroed, and large enough that the allocator asks the system for it.
    let mut fresh = vec![0u8; faults * HUGE_PAGE];
    fresh.chunks_mut(HUGE_PAGE).for_each(|chunk| chunk[0] = 1);
    black_box(&fresh);
}

fn work() {
    black_box((0..5_000_000u64).fold(0, |sum, value| black_box(sum ^ value)));
}

fn counted(source: &mut PerfEvents, counter: Counter, what: impl FnOnce()) -> f64 {
    assert_eq!(source.unavailable(counter), None);
    let before = source.read();
    what();
    source.read().since(&before).scaled(counter).expect("an available counter runs").count
}

#[test]
fn the_kernels_counters_grow_with_what_is_done() {
    let mut source = PerfEvents::open(Scope::Thread);
    assert!(counted(&mut source, Counter::TaskClock, work) > 100_000.0);
    assert!(counted(&mut source, Counter::MinorFaults, || touch_fresh_memory(16)) >= 16.0);
    assert!(counted(&mut source, Counter::ContextSwitches, || std::thread::sleep(Duration::from_millis(2))) >= 1.0);
    // What another thread does is not this one's.
    let mine = counted(&mut source, Counter::MinorFaults, || {
        std::thread::spawn(|| touch_fresh_memory(64)).join().unwrap();
    });
    assert!(mine < 50.0, "{mine} faults, of another thread's 64");
}

#[test]
fn a_process_is_all_of_its_threads_the_ones_before_and_the_ones_to_come() {
    let (go, wait) = std::sync::mpsc::channel();
    let before = std::thread::spawn(move || {
        wait.recv().unwrap();
        // A thread of a thread that was there before.
        std::thread::spawn(|| touch_fresh_memory(16)).join().unwrap();
        touch_fresh_memory(16);
    });
    let mut source = PerfEvents::open(Scope::Process);
    let faults = counted(&mut source, Counter::MinorFaults, || {
        go.send(()).unwrap();
        before.join().unwrap();
        std::thread::spawn(|| touch_fresh_memory(16)).join().unwrap();
    });
    assert!(faults >= 48.0, "{faults} faults of at least 3 x 16");
}

#[test]
fn every_counter_is_there_or_has_a_reason() {
    for scope in [Scope::Thread, Scope::Process] {
        let mut source = PerfEvents::open(scope);
        let before = source.read();
        work();
        let span = source.read().since(&before);
        for row in per_operation(&source, &span, 1) {
            match row.per_operation {
                Reading::Value(value) if row.counter == Counter::Cycles => assert!(value > 0.0),
                Reading::Value(value) => assert!(value >= 0.0),
                Reading::Unavailable(reason) => assert!(reason.len() > 10, "{:?}: {reason}", row.counter),
            }
            assert!(source.unavailable(row.counter).is_none() || span.get(row.counter).is_none(), "{:?}", row.counter);
        }
        println!("{scope:?}: {}", summary(&source));
    }
}

#[test]
fn without_a_pmu_the_cpus_counters_say_so() {
    if has_cpu_pmu() {
        println!("not tested: this machine has a PMU");
        return;
    }
    let source = PerfEvents::open(Scope::Thread);
    for counter in Counter::ALL.into_iter().filter(|counter| !counter.is_software()) {
        let reason = source.unavailable(counter).expect("no PMU");
        assert!(reason.contains("PMU") || reason.contains("perf_event"), "{counter:?}: {reason}");
    }
}

#[test]
fn what_is_not_counted_by_perf_events_is_looked_up_in_proc() {
    let mut source = PerfEvents::open(Scope::Thread);
    let reason = "kernel.perf_event_paranoid is 3";
    source.groups.clear();
    source.notes.clear();
    Counter::ALL.into_iter().for_each(|counter| source.reasons[counter as usize] = Some(reason.to_string()));
    source.look_into_proc(Scope::Thread);
    assert_eq!(source.unavailable(Counter::Migrations), Some(reason));
    assert!(counted(&mut source, Counter::MinorFaults, || touch_fresh_memory(16)) >= 16.0);
    assert!(counted(&mut source, Counter::ContextSwitches, || std::thread::sleep(Duration::from_millis(2))) >= 1.0);
    assert_eq!(source.notes().len(), 1);
    assert!(source.notes()[0].ends_with(reason), "{:?}", source.notes());
}
