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

use rayon::prelude::*;
use schedule::{Tally, play};
use std::time::Instant;

/// A seed from the environment, or from the commit, or a fixed one.
fn base_seed() -> (u64, String) {
    let commit = || {
        let mut git = std::process::Command::new("git");
        let output = git.args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let text = std::env::var("JOULEBOOK_SEED").ok().or_else(commit).unwrap_or_else(|| "no commit".to_string());
    let digest = joulebook::hash::sha256(text.as_bytes());
    (u64::from_le_bytes(*digest.first_chunk().unwrap()), text)
}

fn schedules(base: u64, count: u64) {
    let since = Instant::now();
    let one = |seed| {
        let played = std::panic::catch_unwind(|| play(seed));
        played.unwrap_or_else(|_| Err(format!("seed {seed} panics"))).map_err(|what| vec![what])
    };
    let merge = |a: Result<Tally, Vec<String>>, b: Result<Tally, Vec<String>>| match (a, b) {
        (Ok(a), Ok(b)) => Ok(a.add(b)),
        (Err(a), Ok(_)) | (Ok(_), Err(a)) => Err(a),
        (Err(a), Err(b)) => Err(a.into_iter().chain(b).take(20).collect()),
    };
    let seeds = (0..count).into_par_iter().map(|at| base.wrapping_add(at));
    let tally = seeds.map(one).reduce(|| Ok(Tally::default()), merge).unwrap_or_else(|broken| panic!("{broken:#?}"));
    println!("{tally:#?}\nin {:.1} s", since.elapsed().as_secs_f64());
    let never: Vec<&str> = tally.counted().into_iter().filter(|&(_, times)| times == 0).map(|(what, _)| what).collect();
    assert!(never.is_empty(), "it never happened: {never:?}");
}

#[test]
fn ten_thousand_ledgers_crash_with_fixed_seeds() {
    schedules(0, 10_000);
}

#[test]
fn ten_thousand_ledgers_crash_with_seeds_of_the_commit() {
    let (base, text) = base_seed();
    println!("base seed {base} of {text:?}");
    schedules(base, 10_000);
}

#[test]
#[ignore = "plays one schedule: JOULEBOOK_SCHEDULE=seed"]
fn one_schedule() {
    let seed = std::env::var("JOULEBOOK_SCHEDULE").expect("JOULEBOOK_SCHEDULE=seed").parse().expect("a seed");
    println!("{:#?}", play(seed).unwrap());
}
