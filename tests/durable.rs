//! The whole ledger on a disk that breaks (`joulebook::journal::sim`). The oracle of every test here: what was acknowledged is a
//! prefix of what is recovered, and that of what was submitted; every answer is what the baseline says; the recovered state is the
//! baseline's after the same commands; and every block that was sealed is derived again.
//!
//! `JOULEBOOK_SEED=text cargo test --test durable` plays other schedules; without it, the half that is not fixed depends on
//! the commit.

#[path = "durable/begin.rs"]
mod begin;
#[path = "durable/beside.rs"]
mod beside;
#[path = "durable/exhaustive.rs"]
mod exhaustive;
#[path = "durable/model.rs"]
mod model;
#[path = "durable/schedule.rs"]
mod schedule;
#[path = "durable/slow.rs"]
mod slow;

mod seeds;

use schedule::{Tally, play};

fn schedules(base: u64, count: u64) {
    let tally = seeds::play_many(base, count, play, Tally::add);
    let never: Vec<&str> = tally.counted().into_iter().filter(|&(_, times)| times == 0).map(|(what, _)| what).collect();
    assert!(never.is_empty(), "it never happened: {never:?}");
}

#[test]
fn ten_thousand_ledgers_crash_with_fixed_seeds() {
    schedules(0, 10_000);
}

#[test]
fn ten_thousand_ledgers_crash_with_seeds_of_the_commit() {
    schedules(seeds::base_seed(), 10_000);
}

#[test]
#[ignore = "plays one schedule: JOULEBOOK_SCHEDULE=seed"]
fn one_schedule() {
    println!("{:#?}", play(seeds::one_seed()).unwrap());
}
