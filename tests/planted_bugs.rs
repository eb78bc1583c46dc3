//! Tests of the tests: bugs that were thought up for this purpose, planted one at a time in a copy of the source. Each must
//! make the tests fail that are named beside it.
//!
//! `cargo test --test planted_bugs` checks that every bug still has its place in the source. Planting them takes minutes:
//! `cargo test --test planted_bugs -- --ignored --nocapture`; with `JOULEBOOK_BUGS=ledger`, those alone whose names have that.

#![cfg(unix)]

#[path = "planted_bugs/engines.rs"]
mod engines;
#[path = "planted_bugs/ledger.rs"]
mod ledger;
#[path = "planted_bugs/suites.rs"]
mod suites;

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// A bug, and who must see it.
pub struct Bug {
    what: &'static str,
    file: &'static str,
    /// Stands in the file once, before its tests.
    right: &'static str,
    wrong: &'static str,
    /// What `cargo test` runs against it.
    caught_by: &'static [&'static str],
}

fn bugs() -> impl Iterator<Item = &'static Bug> {
    ledger::BUGS.iter().chain(engines::BUGS)
}

/// Without a bug, each suite takes seconds, and on a busy machine a few minutes.
const DEADLINE: Duration = Duration::from_secs(600);

/// With a bug, a suite that takes much longer than it took without one has failed.
fn deadline(without_bug: Duration) -> Duration {
    Duration::from_secs(30) + 5 * without_bug
}

/// The file's text before its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_bug_has_its_place_in_the_source() {
    for Bug { what, file, right, .. } in bugs() {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(code(&text).matches(right).count(), 1, "{what}: where is {right:?} in {file}?");
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// How long the tests took, if they pass. A bug that does not compile is no bug.
fn passes(package: &Path, tests: &[&str], deadline: Duration) -> Option<Duration> {
    let command = |more: &[&str]| {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        command.current_dir(package).env("CARGO_TARGET_DIR", package.join("target"));
        command.arg("test").args(tests).args(more);
        command
    };
    let built = command(&["--no-run"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // A bug may also show as tests that never end. They run in a process group of their own, so that all of it can be ended.
    let mut running = command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let since = Instant::now();
    loop {
        if let Some(status) = running.try_wait().unwrap() {
            return status.success().then(|| since.elapsed());
        }
        if since.elapsed() > deadline {
            kill_process_group(Pid::from_child(&running), Signal::KILL).unwrap();
            running.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "builds the package once for each bug: minutes"]
fn every_planted_bug_is_caught() {
    assert!(joulebook::measure::cpus() > 1, "some bugs are races: they do not show on one CPU");
    let folder = tempfile::tempdir().unwrap();
    let package: PathBuf = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "src", "tests", "benches"] {
        copy(&root().join(part), &package.join(part));
    }
    // `JOULEBOOK_BUGS=ledger` plants those alone whose names have this text.
    let named = env::var("JOULEBOOK_BUGS").unwrap_or_default();
    let bugs: Vec<&Bug> = bugs().filter(|bug| bug.what.contains(&named)).collect();
    assert!(!bugs.is_empty(), "no bug is named {named:?}");
    let mut took: Vec<(&[&str], Duration)> = Vec::new();
    for tests in suites::ALL {
        if bugs.iter().any(|bug| bug.caught_by == tests) {
            let without_bug = passes(&package, tests, DEADLINE);
            took.push((tests, without_bug.unwrap_or_else(|| panic!("{tests:?} do not pass without a bug"))));
        }
    }
    let mut missed: Vec<&str> = Vec::new();
    for Bug { what, file, right, wrong, caught_by } in &bugs {
        let path = package.join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(right, wrong, 1)).unwrap();
        let &(_, without_bug) = took.iter().find(|(tests, _)| tests == caught_by).unwrap();
        let caught = passes(&package, caught_by, deadline(without_bug)).is_none();
        fs::write(&path, text).unwrap();
        println!("{}: {what}", if caught { "caught" } else { "MISSED" });
        missed.extend((!caught).then_some(*what));
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}
