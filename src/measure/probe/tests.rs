use super::*;
use std::hint::black_box;

#[inline(never)]
fn work(amount: u64) {
    black_box((0..amount).fold(0u64, |sum, value| black_box(sum ^ value)));
}

/// Parts of 20, 60 and 20 steps in turns, and 20 of 120 outside.
fn played() -> StageTimes {
    Sampled::start(4);
    for number in 0..4_000u32 {
        Sampled::turn();
        work(2_000);
        Sampled::tokens(|| work(6_000));
        Sampled::lap(Stage::Match);
        work(2_000);
        Sampled::lap(Stage::Events);
        if number.is_multiple_of(1_000) {
            Sampled::rare(Stage::Wait, || work(2_000_000));
        }
    }
    Sampled::finish().unwrap().times
}

#[test]
fn each_part_is_found_in_its_share_and_nothing_twice() {
    const WANTED: [(Stage, f64); 4] =
        [(Stage::Match, 1.0 / 6.0), (Stage::Tokens, 0.5), (Stage::Events, 1.0 / 6.0), (Stage::Wait, 1.0 / 6.0)];
    // Other tests may have the CPUs, so each has many tries: what is given to another stage, counted twice or not scaled never fits.
    let (mut fits, mut nothing_else, mut seen) = ([false; 4], false, Vec::new());
    while !(nothing_else && fits.iter().all(|&fits| fits)) {
        let times = played();
        let on_cpu_ns = times.wall_ns - times.stage_ns[Stage::NoCpu];
        for ((stage, wanted), fits) in WANTED.into_iter().zip(&mut fits) {
            *fits |= (0.7..1.4).contains(&(times.stage_ns[stage] / on_cpu_ns / wanted));
        }
        nothing_else |= times.unattributed_ns().abs() < 0.15 * on_cpu_ns;
        seen.push(times);
        assert!(seen.len() < 100, "{fits:?} {nothing_else} {:?}", &seen[97..]);
    }
}

/// Plays so many turns, and says which were looked at.
fn looked_at(found: &mut Found, mut ahead: u32, turns: u32) -> Vec<bool> {
    let mut seen = Vec::new();
    for _ in 0..turns {
        ahead = found.turn(ahead);
        seen.push([BARE, OUTER, INNER].contains(&ahead));
    }
    seen
}

#[test]
fn turns_are_looked_at_in_rows_of_every_kind() {
    let mut found = Found { in_a_row: 3, ..Found::new(1) };
    let seen = looked_at(&mut found, 5, 100_000);
    assert_eq!(seen[..7], [false, false, false, true, true, true, false]);
    assert_eq!(seen.iter().filter(|seen| **seen).count() / 3, found.rows.len());
    assert!((800..1_300).contains(&found.rows.len()), "{} rows, where 1 of 32 turns was to be", found.rows.len());
    for (kind, eighths) in [(Kind::Bare, 4), (Kind::Outer, 3), (Kind::Inner, 1)] {
        let count = found.rows.iter().filter(|row| row.kind == kind).count();
        assert!(count.abs_diff(found.rows.len() * eighths / 8) <= 4, "{kind:?}: {count}");
    }
    assert_eq!(found.turns, 100_000);
}

#[test]
fn what_is_rare_is_no_part_of_the_row_that_it_comes_in() {
    let mut found = Found { left_of_row: 1, row_started: 500, ..Found::new(1) };
    let since = clock::ticks();
    work(1_000);
    found.rare(Stage::Wait, since, 7.0);
    assert!(found.rare[Stage::Wait] > 0);
    assert_eq!((found.row_started - 500, found.rare_off_cpu_ns), (found.rare[Stage::Wait], 7.0));
    assert_eq!(found.lap, since + found.rare[Stage::Wait]);
}

fn row(kind: Kind, ticks: u64, stages: &[(Stage, u64, u64)]) -> Row {
    let mut row = Row { kind, ticks, stages: PerStage::EMPTY, laps: PerStage::EMPTY, cpu_ns: None };
    stages.iter().for_each(|&(stage, ticks, laps)| (row.stages[stage], row.laps[stage]) = (ticks, laps));
    row
}

/// A turn of 1,000 ticks: 600 matching, 300 tokens in two pieces, 100 events. A lap takes 50 ticks longer.
fn known() -> Found {
    let mut found = Found { turns: 640, ..Found::new(1) };
    let outer = [(Stage::Match, 950, 1), (Stage::Events, 150, 1)];
    let inner = [(Stage::Match, 600 + 3 * 50, 3), (Stage::Tokens, 300 + 2 * 50, 2), (Stage::Events, 150, 1)];
    for _ in 0..3 {
        found.rows.push(row(Kind::Bare, 1_000, &[]));
        found.rows.push(row(Kind::Outer, 1_100, &outer));
        found.rows.push(row(Kind::Inner, 1_300, &inner));
    }
    found
}

#[test]
fn what_laps_cost_is_found_and_taken_off() {
    let mut found = known();
    found.rare[Stage::Wait] = 500;
    let times = found.times(1.0, Err("no clock".to_string()));
    let near = |stage, ticks: f64| (times.stage_ns[stage] / clock::ns(1) - ticks).abs() < 1e-3;
    assert!(near(Stage::Match, 640.0 * 600.0) && near(Stage::Tokens, 640.0 * 300.0), "{times:?}");
    assert!(near(Stage::Events, 640.0 * 100.0) && near(Stage::Wait, 500.0), "{times:?}");
    assert_eq!(times.stage_ns[Stage::NoCpu], 0.0);
}

#[test]
fn rows_without_a_cpu_are_left_out_and_the_cpu_clock_tells() {
    let mut found = known();
    found.rows.push(row(Kind::Bare, 900_000, &[]));
    found.rows.push(row(Kind::Outer, 900_000, &[(Stage::Match, 899_000, 1), (Stage::Events, 100, 1)]));
    found.rare_off_cpu_ns = 200.0;
    let times = found.times(5_000.0, Ok(4_000));
    assert!((times.stage_ns[Stage::Match] / clock::ns(1) - 640.0 * 600.0).abs() < 1e-3, "{times:?}");
    assert_eq!(times.stage_ns[Stage::NoCpu], 800.0);
}

/// What the kernel counts, a page fault where fresh memory is touched, comes to the stage that touched it.
#[test]
#[cfg(target_os = "linux")]
fn counts_come_to_the_stage_that_caused_them() {
    use crate::measure::counters::{Counter, touch_fresh_memory};
    // 40 MiB: more than any allocator keeps for the next time.
    const FAULTS: usize = 20;
    Sampled::count_stages(true);
    Sampled::start(4);
    for number in 0..300u32 {
        Sampled::turn();
        work(100);
        Sampled::tokens(|| touch_fresh_memory(FAULTS));
        Sampled::lap(Stage::Match);
        if number.is_multiple_of(150) {
            Sampled::rare(Stage::Wait, || touch_fresh_memory(FAULTS));
        }
    }
    Sampled::count_stages(false);
    let stages = Sampled::finish().unwrap().stages.unwrap();
    let faults = |stage| stages[stage].scaled(Counter::MinorFaults).map(|scaled| scaled.count);
    let Some(tokens) = faults(Stage::Tokens) else {
        println!("not checked: {:?}", counters::open(Scope::Thread).unavailable(Counter::MinorFaults));
        return;
    };
    let [wanted, wanted_of_rare] = [(300 * FAULTS) as f64, (2 * FAULTS) as f64];
    assert!(tokens >= 0.9 * wanted, "{tokens} faults, where at least {wanted} were caused");
    assert!(faults(Stage::Match).unwrap() < 0.1 * tokens, "{:?} of {tokens}", faults(Stage::Match));
    let rare = faults(Stage::Wait).unwrap();
    assert!(rare >= 0.9 * wanted_of_rare && rare < 0.1 * tokens, "{rare}, where at least {wanted_of_rare} were caused");
    assert_eq!(faults(Stage::Events), None);
    Sampled::start(4);
    assert!(Sampled::finish().unwrap().stages.is_none(), "it was asked for once");
    // What failed in between has not kept the thread's counters.
    Sampled::count_stages(true);
    Sampled::start(4);
    Sampled::start(4);
    Sampled::count_stages(false);
    assert!(Sampled::finish().unwrap().stages.is_some());
    Sampled::start(4);
    touch_fresh_memory(FAULTS);
    let counted = Sampled::finish().unwrap().counted;
    assert!(counted.scaled(Counter::MinorFaults).unwrap().count >= 0.9 * FAULTS as f64, "{counted:?}");
}

/// Rows that were off the CPU for a tenth of their time are not long enough to stand out. The CPU clock tells them.
#[test]
fn rows_that_lost_the_cpu_for_a_moment_are_left_out_by_its_clock() {
    let mut found = known();
    for row in &mut found.rows {
        row.cpu_ns = Some(clock::ns(row.ticks));
    }
    let longer = |kind, ticks, stages: &[(Stage, u64, u64)]| Row {
        cpu_ns: Some(clock::ns(ticks) * 0.9),
        ..row(kind, ticks, stages)
    };
    for _ in 0..30 {
        found.rows.push(longer(Kind::Bare, 1_111, &[]));
        found.rows.push(longer(Kind::Outer, 1_222, &[(Stage::Match, 1_072, 1), (Stage::Events, 150, 1)]));
    }
    let times = found.times(1.0, Err("no clock".to_string()));
    assert!((times.stage_ns[Stage::Match] / clock::ns(1) - 640.0 * 600.0).abs() < 1e-3, "{times:?}");
    // Where hardly a row kept it, they are all there is.
    found.rows.retain(|row| row.kind != Kind::Bare || row.ticks > 1_000);
    assert!((found.mean(Kind::Bare).unwrap().ns / clock::ns(1) - 1_111.0).abs() < 1e-6);
}

#[test]
fn without_a_probe_nothing_is_found() {
    Off::start(1);
    Off::turn();
    Off::lap(Stage::Match);
    assert_eq!((Off::tokens(|| 3), Off::rare(Stage::Wait, || 7), Off::finish()), (3, 7, None));
}
