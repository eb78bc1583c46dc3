//! The ledger as a process that is killed, whose disk fails, whose disk is full: `joulebook node` on a real file system. A client sends
//! a stream of commands and reads the answers; after each end it goes on somewhat before the first request that was not answered.
//!
//! What is checked each time: an answer has the events that the baseline says; what was answered once is answered the same again,
//! as a repeat; nothing is missing in between; and in the end, the state is the baseline's.
//!
//! `cargo test --test processes -- --ignored --nocapture` runs the long ones; full disks need root (a tmpfs is mounted).

#![cfg(target_os = "linux")]

use joulebook::baseline::Baseline;
use joulebook::command::{Batch, Command, Request};
use joulebook::engine::{Engine, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::to_hex;
use joulebook::types::{AccountId, Limits, Rules};
use joulebook::wire::{AnswerReader, Reply};
use joulebook::workload::{Chaos, ChaosProfile, Random};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_joulebook");
const CLIENT: u64 = 7;
/// Requests that are sent again after each end, though they were answered.
const AGAIN: u64 = 50;

/// What every command causes.
struct Oracle {
    requests: Vec<Request>,
    outcomes: EventLog,
    digest: String,
}

impl Oracle {
    fn new(seed: u64, commands: usize) -> Oracle {
        let rules = Rules { limits: Limits { accounts: 1 << 12, orders: 1 << 12 }, ..Rules::default() };
        let profile = ChaosProfile { rules, ..ChaosProfile::by_number(0) };
        let profile = ChaosProfile { prices: [14_900, 15_100], ..profile };
        let mut commands = Chaos::new(profile, seed).commands(commands);
        // Somebody is there from the beginning.
        commands[0] = Command::OpenAccount { address: [1; 32] };
        commands[1] = Command::Mint { account: AccountId(1), amount: 1 << 50 };
        let mut engine = Baseline::new(rules);
        let mut outcomes = EventLog::default();
        engine.apply(Batch { first: 1, time: 0, commands: &commands }, &mut outcomes);
        let requests =
            (1..).zip(commands).map(|(number, command)| Request { client: CLIENT, number, command }).collect();
        Oracle { requests, outcomes, digest: to_hex(&state_digest(&engine)) }
    }
}

struct Ledger<'a> {
    oracle: &'a Oracle,
    folder: PathBuf,
    options: Vec<String>,
    acknowledged: u64,
}

/// How a process ended.
struct Ended {
    code: Option<i32>,
    errors: String,
    /// New requests that it answered.
    answered: u64,
}

impl Ledger<'_> {
    /// Starts a node, sends what is not answered yet, and lets `end` bring it to its end.
    fn run(&mut self, before: &[&str], pause: Duration, end: impl FnOnce(&mut Child, &AtomicU64)) -> Ended {
        let mut words: Vec<&str> = before.to_vec();
        words.extend([PROGRAM, "node", "--data"]);
        let mut process = Process::new(words[0]);
        process.args(&words[1..]).arg(&self.folder).args(&self.options);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn().expect("it starts");
        let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let errors = child.stderr.take().unwrap();
        let start = self.acknowledged.saturating_sub(AGAIN) as usize;
        let acknowledged = self.acknowledged;
        let (seen, wrong) = (AtomicU64::new(acknowledged), Arc::new(Mutex::new(None)));
        let mut text = String::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut bytes = Vec::new();
                for group in self.oracle.requests[start..].chunks(97) {
                    bytes.clear();
                    group.iter().for_each(|request| bytes.extend(request.encode()));
                    // Its end is seen elsewhere.
                    if to.write_all(&bytes).is_err() {
                        return;
                    }
                    std::thread::sleep(pause);
                }
                drop(to);
            });
            scope.spawn(|| {
                let read = read_answers(self.oracle, from, start as u64, acknowledged, &seen);
                *wrong.lock().unwrap() = read.err();
            });
            scope.spawn(|| std::io::Read::read_to_string(&mut BufReader::new(errors), &mut text));
            end(&mut child, &seen);
        });
        let status = child.wait().unwrap();
        if let Some(wrong) = wrong.lock().unwrap().take() {
            panic!("{wrong}\n{text}");
        }
        self.acknowledged = seen.load(Ordering::SeqCst);
        Ended { code: status.code(), errors: text, answered: self.acknowledged - acknowledged }
    }

    /// Lets it come to its end by itself, and compares the state.
    fn finish(&mut self) {
        let ended = self.run(&[], Duration::ZERO, |_, _| {});
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        assert_eq!(self.acknowledged, self.oracle.requests.len() as u64);
        assert!(
            ended.errors.contains(&self.oracle.digest),
            "another state than {}: {}",
            self.oracle.digest,
            ended.errors
        );
        let verified = Process::new(PROGRAM).arg("verify").arg(&self.folder).output().unwrap();
        let text = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success() && text.contains(&self.oracle.digest), "{text}");
    }
}

/// Reads answers until there are no more. Each has to be the next one, and has to say what the baseline says.
fn read_answers(
    oracle: &Oracle,
    from: impl std::io::Read,
    start: u64,
    acknowledged: u64,
    seen: &AtomicU64,
) -> Result<(), String> {
    let (mut reader, mut events) = (AnswerReader::new(BufReader::new(from)), Vec::new());
    let mut number = start;
    // The last one may be cut off: whoever is killed may have written a part of it.
    while let Ok(Some(reply)) = reader.next(&mut events) {
        number += 1;
        let Reply::Answer(answer) = reply else { return Err(format!("request {number}: {reply:?}")) };
        let expected = oracle.outcomes.outcome(number as usize - 1);
        if (answer.client, answer.number, answer.sequence) != (CLIENT, number, number) || answer.events != expected {
            return Err(format!("request {number}: {answer:?} instead of {expected:?}"));
        }
        if number <= acknowledged && !answer.repeat {
            return Err(format!("SILENT LOSS: request {number} was answered before, and is carried out again"));
        }
        seen.fetch_max(number, Ordering::SeqCst);
    }
    Ok(())
}

fn options(more: &[&str]) -> Vec<String> {
    let small = "--difficulty-bits 8 --accounts-max 4096 --orders-max 4096 --segment-size 1M --block-transactions 1000";
    small.split(' ').chain(more.iter().copied()).map(str::to_string).collect()
}

/// Kills a ledger so many times at random moments, and reads it to its end.
fn kill(times: u64, folder: &Path) {
    let oracle = Oracle::new(11, 1_000_000);
    let options = options(&["--snapshot-commands", "20000"]);
    let mut ledger = Ledger { oracle: &oracle, folder: folder.to_path_buf(), options, acknowledged: 0 };
    let (mut random, mut busy) = (Random::new(5, 5), 0);
    let since = Instant::now();
    for _ in 0..times {
        let (after, more) = (Duration::from_micros(random.below(60_000)), random.below(3_000));
        let ended = ledger.run(&[], Duration::from_micros(500), |child, seen| {
            // Some before they are open, most under load.
            let target = seen.load(Ordering::SeqCst) + more;
            let begun = Instant::now();
            while more > 300 && seen.load(Ordering::SeqCst) < target && begun.elapsed() < Duration::from_secs(2) {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(after / if more > 300 { 20 } else { 1 });
            child.kill().unwrap();
        });
        busy += u64::from(ended.answered > 0);
    }
    let at = ledger.acknowledged;
    println!(
        "{times} kills, {busy} of them after answers, {at} requests answered, {:.1} s",
        since.elapsed().as_secs_f64()
    );
    assert!(busy > times / 2 && at < oracle.requests.len() as u64, "{busy} of {times} were at work; {at} answered");
    ledger.finish();
}

#[test]
fn a_node_that_is_killed_five_times_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    kill(5, &folder.path().join("ledger"));
}

#[test]
#[ignore = "kills 200 processes: a minute"]
fn a_node_that_is_killed_two_hundred_times_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    kill(200, &folder.path().join("ledger"));
}

/// A system call of a node's disk fails once, by `strace`.
#[test]
#[ignore = "needs strace: half a minute"]
fn thirty_failing_system_calls_stop_the_node_and_lose_nothing() {
    let oracle = Oracle::new(12, 60_000);
    let mut random = Random::new(6, 6);
    let (mut stopped, mut unharmed) = (0, 0);
    for turn in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&["--snapshot-commands", "10000"]);
        let mut ledger = Ledger { oracle: &oracle, folder: folder.path().join("ledger"), options, acknowledged: 0 };
        // A ledger that is there, and has been used.
        ledger.run(&[], Duration::from_micros(50), |child, seen| {
            while seen.load(Ordering::SeqCst) < 2_000 {
                std::thread::sleep(Duration::from_micros(200));
            }
            child.kill().unwrap();
        });
        let (call, most) = [("pwrite64", 150), ("fdatasync", 3), ("fsync", 5), ("rename", 2)][turn % 4];
        let inject = format!("inject={call}:error=EIO:when={}", 1 + random.below(most));
        let trace = format!("trace={call}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let ended = ledger.run(&strace, Duration::ZERO, |_, _| {});
        match ended.code {
            Some(0) => unharmed += 1,
            Some(2) => {
                assert!(ended.errors.contains("Input/output error"), "{inject}: {}", ended.errors);
                stopped += 1;
            }
            code => panic!("{inject}: {code:?}: {}", ended.errors),
        }
        ledger.finish();
    }
    println!("{stopped} were stopped by an error, {unharmed} never made that call or did not need it");
    assert!(stopped >= 20, "{stopped} stopped, {unharmed} unharmed");
}

/// A tmpfs of a size of its own.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: u64) -> Mounted {
        let folder = tempfile::tempdir().unwrap();
        Self::mount(folder.path(), &format!("size={size}"));
        Mounted(folder)
    }

    fn mount(path: &Path, options: &str) {
        let done = Process::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        assert!(done.is_ok_and(|status| status.success()), "mounting a tmpfs needs root");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs root: a few seconds"]
fn twenty_full_disks_refuse_and_lose_nothing() {
    let oracle = Oracle::new(13, 120_000);
    let mut full = 0;
    for turn in 0..20u64 {
        let mounted = Mounted::new((3 << 20) + turn * 50_000);
        let options = options(&["--snapshot-commands", if turn % 2 == 0 { "1000000" } else { "15000" }]);
        let mut ledger = Ledger { oracle: &oracle, folder: mounted.0.path().join("ledger"), options, acknowledged: 0 };
        for _ in 0..2 {
            let ended = ledger.run(&[], Duration::ZERO, |_, _| {});
            match ended.code {
                Some(0) => break,
                Some(1) => {
                    assert!(ended.errors.contains("full"), "{}", ended.errors);
                    assert!(ended.errors.contains("NOTHING IS DURABLE"), "{}", ended.errors);
                    full += 1;
                }
                code => panic!("{code:?}: {}", ended.errors),
            }
        }
        Mounted::mount(mounted.0.path(), "remount,size=200M");
        ledger.finish();
    }
    println!("{full} times full");
    assert!(full >= 20, "{full} times full");
}
