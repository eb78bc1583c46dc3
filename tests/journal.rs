//! The journal on a disk that breaks (`joulebook::journal::sim`). The oracle of every test here: what was acknowledged is a
//! prefix of what is recovered, and that is a prefix of what was submitted, byte by byte; where something was damaged, a
//! refusal by name is an answer, too.
//!
//! `JOULEBOOK_SEED=text cargo test --test journal` plays other schedules; without it, the half that is not fixed depends on
//! the commit.

#[path = "journal/exhaustive.rs"]
mod exhaustive;
#[path = "journal/model.rs"]
mod model;
#[path = "journal/schedule.rs"]
mod schedule;

mod seeds;

use schedule::{Tally, play};

fn schedules(base: u64, count: u64) {
    let tally = seeds::play_many(base, count, play, Tally::add);
    let Tally { disk, .. } = tally;
    let exercised = [
        tally.crashes_in_create,
        tally.crashes_in_open,
        tally.failures,
        tally.full,
        tally.prunes,
        tally.refusals,
        tally.survived_damage,
        disk.crashes,
        disk.restarts,
        disk.sectors_lost,
        disk.sectors_kept,
        disk.sectors_torn,
        disk.names_lost,
        disk.short_writes,
        disk.short_reads,
        disk.interrupted,
        disk.failed_writes,
        disk.failed_syncs,
        disk.failed_reads,
        disk.misdirected,
        disk.full,
        disk.flipped,
    ];
    assert!(exercised.iter().all(|&times| times > 0), "something never happened: {exercised:?}");
}

#[test]
fn a_hundred_thousand_crash_schedules_with_fixed_seeds() {
    schedules(0, 100_000);
}

#[test]
fn a_hundred_thousand_crash_schedules_with_seeds_of_the_commit() {
    schedules(seeds::base_seed(), 100_000);
}

#[test]
#[ignore = "plays one schedule: JOULEBOOK_SCHEDULE=seed"]
fn one_schedule() {
    println!("{:#?}", play(seeds::one_seed()).unwrap());
}
