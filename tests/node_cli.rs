//! The ledger on disk as its users have it: requests in, answers out, the power gone in between; and folders in every state.

#![cfg(unix)]

#[path = "node_cli/folders.rs"]
mod folders;
#[path = "node_cli/users.rs"]
mod users;

use joulebook::command::{Command as Ask, NewOrder, Request};
use joulebook::event::Event;
use joulebook::types::{AccountId, Side, TimeInForce};
use joulebook::wire::{AnswerReader, Form};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A ledger that is made quickly, and in which much happens: small files, easy blocks.
const NEW: [&str; 2] = ["--difficulty-bits", "4"];
const SMALL: [&str; 4] = ["--segment-size", "256k", "--block-transactions", "50"];

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulebook"));
    command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn joulebook(folder: &Path, arguments: &[&str]) -> Output {
    program(folder, arguments).stdin(Stdio::null()).output().expect("it starts")
}

/// A node with this input, to its end.
fn node(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = program(folder, &[&["node", "--data", "ledger"], &SMALL[..], arguments].concat()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writes = std::thread::spawn(move || {
        // It may stop before it has read all.
        let _ = to.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap();
    output
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn expect(output: &Output, code: i32, wanted: &[&str]) {
    let said = format!("{}{}", out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "it does not say {wanted:?}: {said}");
    }
}

/// What stands behind a word at the beginning of a line.
#[track_caller]
fn said(text: &str, word: &str) -> String {
    let of = |line: &str| line.trim().strip_prefix(word).map(|rest| rest.trim().to_string());
    text.lines().find_map(of).unwrap_or_else(|| panic!("it does not say {word:?}: {text}"))
}

/// A client's requests: a few accounts with something on them, then orders that trade, every seventh of which is rejected.
fn requests(client: u64, count: u64) -> Vec<Request> {
    let command = |number: u64| match number {
        1..=4 => Ask::OpenAccount { address: [(client as u8) << 3 | number as u8; 32] },
        5..=8 => Ask::Mint { account: AccountId(number as u32 - 4), amount: 1 << 40 },
        9..=12 => Ask::MeterCredit { account: AccountId(number as u32 - 8), amount: 1 << 30 },
        _ => Ask::Place(NewOrder {
            account: AccountId(1 + number as u32 % 4),
            side: if number.is_multiple_of(2) { Side::Buy } else { Side::Sell },
            limit: Some(15_000 + (number * number % 11) as i32 - 5),
            wh: if number.is_multiple_of(7) { 0 } else { 1_000 + (number % 5) as u32 },
            time_in_force: TimeInForce::Gtc,
            post_only: false,
        }),
    };
    (1..=count).map(|number| Request { client, number, command: command(number) }).collect()
}

fn written(form: Form, requests: &[Request]) -> Vec<u8> {
    let mut bytes = Vec::new();
    requests.iter().for_each(|request| form.write_request(request, &mut bytes));
    bytes
}

fn lines(requests: &[Request]) -> Vec<u8> {
    written(Form::Lines, requests)
}

/// Binary answers as lines.
fn as_lines(frames: &[u8]) -> String {
    let (mut reader, mut events, mut lines) = (AnswerReader::new(frames), Vec::<Event>::new(), Vec::new());
    while let Some(reply) = reader.next(&mut events).unwrap() {
        Form::Lines.write_reply(&reply, &mut lines);
    }
    String::from_utf8(lines).unwrap()
}

/// As it was answered first.
fn first(answers: &str) -> String {
    answers.replace("\"repeat\":true", "\"repeat\":false")
}

/// All files of a folder, with all bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
    };
    fs::read_dir(folder).unwrap().map(read).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    files(from).into_iter().for_each(|(name, bytes)| fs::write(to.join(name), bytes).unwrap());
}

/// A node that somebody talks to.
struct Live {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Live {
    fn start(folder: &Path, arguments: &[&str]) -> Live {
        let mut command = program(folder, &[&["node", "--data", "ledger"], &SMALL[..], arguments].concat());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Live { child, to, from }
    }

    fn ask(&mut self, requests: &[Request]) -> String {
        self.to.as_mut().unwrap().write_all(&lines(requests)).unwrap();
        let mut answers = String::new();
        for _ in requests {
            assert!(self.from.read_line(&mut answers).unwrap() > 0, "an answer");
        }
        answers
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; what it still said, its errors in the place of an output's.
    fn end(mut self) -> Output {
        let mut stdout = Vec::new();
        self.from.read_to_end(&mut stdout).unwrap();
        let rest = self.child.wait_with_output().unwrap();
        drop(self.to);
        Output { stdout, ..rest }
    }
}

/// A ledger that was killed: two snapshots, blocks and commands behind them. What was answered, and the state's digest.
fn killed_ledger(folder: &Path) -> (Vec<Request>, String, String) {
    let all = requests(7, 400);
    let mut answers = String::new();
    for part in [&all[..130], &all[130..260]] {
        let ran = node(folder, if answers.is_empty() { &NEW } else { &[] }, &lines(part));
        expect(&ran, 0, &["stopped"]);
        answers += &out(&ran);
    }
    let mut live = Live::start(folder, &[]);
    for group in all[260..].chunks(35) {
        answers += &live.ask(group);
    }
    live.signal(Signal::KILL);
    assert_eq!(live.end().status.code(), None);
    let state = said(&out(&joulebook(folder, &["verify", "ledger"])), "state");
    (all, answers, state)
}
