//! `joulebook node`.

use super::answers::Answers;
use super::output::print_error;
use super::run::progress_bar;
use super::working::{self, Working, blocks, failure, plural};
use super::{EXIT_INTERRUPTED, EXIT_REFUSED, EXIT_USAGE, Failure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use joulebook::block::{ChainParams, Target};
use joulebook::command::Request;
use joulebook::engine::state_digest;
use joulebook::hash::{to_hex, to_hex_reversed};
use joulebook::journal::disk::Disk;
use joulebook::node::durable::{self, DurableError, DurableNode, Stopped};
use joulebook::optimized::Optimized;
use joulebook::report::{count, duration_ns, rate};
use joulebook::types::{Limits, Rules};
use joulebook::wire::{Form, RequestReader, WireError};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What `joulebook node --help` says at its end; lines short enough for any terminal.
pub const AFTER_HELP: &str = r#"
The node carries requests out in the order in which they come, and answers a
request only when it is on disk. Each client counts its own requests 1, 2, 3,
...: a request that is sent again is not carried out again, and gets its first
answer with "repeat":true. So whoever has no answer, because somebody pulled
the plug, sends the request once more.

Requests are JSON lines or binary frames of 64 bytes, which the first byte
tells; answers have the same form. One of each kind:
  {"client":7,"number":1,"command":"open-account","address":"aa..aa"}
  {"client":7,"number":2,"command":"mint","account":1,"watt":"12.5"}
  {"client":7,"number":3,"command":"burn","account":1,"watt":"0.5"}
  {"client":7,"number":4,"command":"meter-credit","account":1,"wh":10000}
  {"client":7,"number":5,"command":"meter-consume","account":1,"wh":500}
  {"client":7,"number":6,"command":"stake","account":0,"grid":3}
  {"client":7,"number":7,"command":"unstake","account":0,"grid":3}
  {"client":7,"number":8,"command":"transfer","token":"energy","from":1,
   "to":0,"amount":250}
  {"client":7,"number":9,"command":"place","account":1,"side":"sell",
   "wh":4000,"limit":"0.15"}
  {"client":7,"number":10,"command":"replace","account":1,"order":9,
   "price":"0.16","wh":3000}
  {"client":7,"number":11,"command":"cancel","account":1,"order":9}
Each stands on one line; an address is 64 hex digits; account 0 is the grid
operator's, the next ones are numbered as they are opened; an order's id is
the "sequence" in the answer to the request that placed it. Optional in
"place": "time_in_force" ("gtc", "ioc", "fok") and "post_only"; without
"limit" it is a market order, which has to be "ioc".

Ctrl-C or SIGTERM: nothing more is taken; what was taken is answered, the last
block is sealed, a snapshot is written, and the exit code is 130. Once more:
the node ends at once, and the next one recovers.

Examples:
  joulebook node --data ledger --commands day.jsonl --answers answers.jsonl
      a file of requests; the ledger is made if it is not there
  mkfifo in; joulebook node --data ledger < in > answers.jsonl
      whoever writes to the pipe is a client
  joulebook verify ledger
      all of it once more: journal, snapshots, blocks, balances"#;

/// Requests that are taken at once. The more, the fewer the writes; whoever sends one and waits is not kept waiting for more.
const BATCH_MAX: usize = 8192;
/// Batches that are read ahead.
const BATCHES_AHEAD: usize = 4;
/// Answers are written when there are so many bytes of them, and when nothing else is to do.
const ANSWERS_HELD: usize = 1 << 18;

/// Options of `node`.
#[derive(Args)]
pub struct Node {
    /// The ledger's folder; a ledger is made in it if it is empty or not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where requests come from; "-" is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    commands: PathBuf,
    /// Where answers go; "-" is standard output. A file that holds something is refused: its answers would be lost
    #[arg(long, value_name = "FILE", default_value = "-")]
    answers: PathBuf,
    /// Leading zero bits that a block's hash must have, 0 to 32, for a new ledger; another one has its own [default: 16]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=32))]
    difficulty_bits: Option<u32>,
    /// Accounts that a new ledger can open, 1 to 67,108,864 [default: 1,048,576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    accounts_max: Option<u32>,
    /// Orders that can rest in a new ledger's book at once, 1 to 67,108,864 [default: 1,048,576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    orders_max: Option<u32>,
    #[command(flatten)]
    working: Working,
}

/// What the reading thread says.
enum Input {
    Batch(Form, Vec<Request>),
    End,
    Wrong(WireError),
    /// Look whether somebody wants the node to stop.
    Look,
}

/// Why the node takes no more.
enum Ended {
    /// The input has ended.
    Input,
    /// Somebody asked for it.
    Signal,
    /// The input is not readable, or holds what is no request.
    Wrong(WireError),
    /// Whoever read the answers closed the pipe.
    Closed,
    /// The answers cannot be written.
    Unwritable(io::Error),
    /// The journal has no room for this request of this client, and those behind it.
    Full { client: u64, number: u64, error: DurableError },
    /// The ledger stopped.
    Failed(DurableError),
}

/// What Ctrl-C does.
#[derive(Default)]
struct Signals(AtomicU8);

impl Signals {
    const OPENING: u8 = 0;
    const RUNNING: u8 = 1;
    const STOPPING: u8 = 2;

    /// The first one asks to stop, the second one ends the program at once; so does the first one while nothing runs yet.
    fn listen(to: SyncSender<Input>) -> Result<Arc<Signals>, Failure> {
        let signals = Arc::new(Signals::default());
        let shared = signals.clone();
        let handler = move || match shared.0.load(Ordering::SeqCst) {
            Signals::RUNNING => {
                shared.0.store(Signals::STOPPING, Ordering::SeqCst);
                print_error("\nstopping: what was taken is answered, sealed and kept; once more to end at once\n");
                // A full channel needs no waking.
                let _ = to.try_send(Input::Look);
            }
            was => {
                let said = if was == Signals::OPENING { "nothing was taken" } else { "the next node recovers" };
                print_error(&format!("\nended at once: {said}\n"));
                std::process::exit(i32::from(EXIT_INTERRUPTED));
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::usage(format!("Ctrl-C cannot be caught: {error}")))?;
        Ok(signals)
    }

    fn stopping(&self) -> bool {
        self.0.load(Ordering::SeqCst) == Self::STOPPING
    }
}

impl Node {
    /// Opens or makes the ledger, works, stops, and says what was done.
    pub fn execute(&self) -> Result<u8, Failure> {
        let (to, inputs) = sync_channel(BATCHES_AHEAD);
        let signals = Signals::listen(to.clone())?;
        // Bad options and paths fail now, and before anything is made.
        self.working.options().check().map_err(Failure::usage)?;
        let source = open_commands(&self.commands)?;
        let mut answers = Answers::open(&self.answers)?;
        let (mut node, blocks_before) = self.open()?;
        answers.keep();
        signals.0.store(Signals::RUNNING, Ordering::SeqCst);
        let started = Instant::now();
        let reader = std::thread::spawn(move || read(source, &to));
        let mut desk = Desk { inputs, reader, signals, answers, bar: running_bar(&self.answers), shown: started };
        let ended = desk.work(&mut node);
        let settled = if matches!(ended, Ended::Failed(_)) {
            node.poll(&mut |reply| desk.answers.give(reply))
        } else {
            node.settle(&mut |reply| desk.answers.give(reply))
        };
        let flushed = desk.answers.flush();
        let took = started.elapsed();
        desk.bar.finish_and_clear();
        let ended = match (ended, settled, flushed) {
            (Ended::Failed(error), ..) | (_, Err(error), _) => Ended::Failed(error),
            (Ended::Input | Ended::Signal, Ok(()), Err(error)) => unwritable(error),
            (ended, Ok(()), _) => ended,
        };
        if let Ended::Failed(error) = &ended {
            return Err(self.failed(&desk.answers, error));
        }
        let stopped = node.stop(&mut |_| {}).map_err(|error| self.failed(&desk.answers, &error))?;
        print_error(&summary(&desk.answers, &stopped, blocks_before, took));
        self.end(ended, desk.answers.taken)
    }

    /// The ledger, and how many blocks its chain has.
    fn open(&self) -> Result<(DurableNode<Optimized, Disk>, u64), Failure> {
        let folder = &self.data;
        // Looked at first: what is no place for a ledger is left as it is.
        if folder.exists() {
            let disk = Disk::open_read_only(folder).map_err(Failure::usage)?;
            durable::look_into(&disk).map_err(|error| failure(folder, &error))?;
        }
        let (disk, lock) = working::open_to_work(folder)?;
        // Until the process ends, however it ends.
        std::mem::forget(lock);
        let options = self.working.options();
        let writes = self.working.describe(&disk);
        match durable::look_into(&disk).map_err(|error| failure(folder, &error))? {
            Some(meta) => {
                print_error(&format!("ledger in {}\n{writes}", folder.display()));
                let params = self.params(meta.params);
                let (node, found) = working::open(folder, disk, Some(&params), options)?;
                Ok((node, found.snapshot.unwrap_or(0) + found.blocks))
            }
            None => {
                let bits = Target::from_leading_zero_bits(16).to_bits();
                let params = self.params(ChainParams::fixed(Rules::default(), bits));
                let node = working::make(folder, disk, params, options)?;
                print_error(&format!("new ledger in {}\n{writes}", folder.display()));
                Ok((node, 0))
            }
        }
    }

    /// These parameters, or what was asked for.
    fn params(&self, own: ChainParams) -> ChainParams {
        let limits = Limits {
            accounts: self.accounts_max.unwrap_or(own.rules.limits.accounts),
            orders: self.orders_max.unwrap_or(own.rules.limits.orders),
        };
        let asked = self.difficulty_bits.map(|bits| Target::from_leading_zero_bits(bits).to_bits());
        ChainParams { rules: Rules { limits, ..own.rules }, bits: asked.unwrap_or(own.bits), ..own }
    }

    fn failed(&self, answers: &Answers, error: &DurableError) -> Failure {
        let Failure { message, code } = failure(&self.data, error);
        let given = plural(answers.given(), "answer");
        let rest = "what was answered is kept, what was not may or may not be: it can be sent again";
        Failure { message: format!("{message}\n{given} given; {rest}"), code }
    }

    fn end(&self, ended: Ended, taken: u64) -> Result<u8, Failure> {
        let taken = plural(taken, "request");
        let wrong = |code, message| Err(Failure { message, code });
        match ended {
            Ended::Input => Ok(0),
            Ended::Signal => Ok(EXIT_INTERRUPTED),
            Ended::Closed => {
                print_error(&format!(
                    "whoever read the answers closed the pipe, after {taken}: the node has stopped\n"
                ));
                Ok(0)
            }
            Ended::Wrong(error) => {
                let code = if matches!(error, WireError::Read(_)) { EXIT_USAGE } else { EXIT_REFUSED };
                let named = if self.commands == Path::new("-") { Path::new("standard input") } else { &self.commands };
                let before = "what stands before it was carried out, answered and kept";
                wrong(code, format!("{}: {error}\n{before}: {taken}", named.display()))
            }
            Ended::Unwritable(error) => {
                let message = format!("{} cannot be written: {error}", self.answers.display());
                wrong(
                    EXIT_USAGE,
                    format!("{message}\n{taken} were carried out and are kept; sent again, they are answered"),
                )
            }
            Ended::Full { client, number, error } => {
                let first = format!("the first that was not is number {number} of client {client}");
                let Failure { message, code } = failure(&self.data, &error);
                wrong(code, format!("{message}\n{taken} were taken, {first}"))
            }
            Ended::Failed(error) => Err(failure(&self.data, &error)),
        }
    }
}

fn open_commands(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    if path == Path::new("-") {
        // Without the buffer of the standard library's: the reader has its own.
        return io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(failed);
    }
    if path.is_dir() {
        return Err(Failure::usage(format!("{} is a directory, not a file", path.display())));
    }
    File::open(path).map_err(failed)
}

/// What the reading thread does: it waits for requests, so that nobody else has to.
fn read(source: File, to: &SyncSender<Input>) {
    let mut reader = RequestReader::new(source);
    loop {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let input = match reader.next_batch(BATCH_MAX, &mut batch) {
            Ok(0) => Input::End,
            Ok(_) => Input::Batch(reader.form().expect("a request has a form"), batch),
            Err(error) => Input::Wrong(error),
        };
        let more = matches!(input, Input::Batch(..));
        // Nobody listens any more when the node stops for another reason.
        if to.send(input).is_err() || !more {
            return;
        }
    }
}

/// Hidden without a terminal, and where the answers go to it.
fn running_bar(answers: &Path) -> ProgressBar {
    if answers == Path::new("-") && rustix::termios::isatty(io::stdout()) {
        return ProgressBar::hidden();
    }
    let bar = progress_bar();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").expect("a valid template"));
    bar
}

/// A broken pipe is somebody's wish.
fn unwritable(error: io::Error) -> Ended {
    if error.kind() == io::ErrorKind::BrokenPipe { Ended::Closed } else { Ended::Unwritable(error) }
}

/// Where requests come in and answers go out.
struct Desk {
    inputs: Receiver<Input>,
    reader: JoinHandle<()>,
    signals: Arc<Signals>,
    answers: Answers,
    bar: ProgressBar,
    shown: Instant,
}

impl Desk {
    /// Works until there is a reason to stop.
    fn work(&mut self, node: &mut DurableNode<Optimized, Disk>) -> Ended {
        loop {
            let input = match self.inputs.try_recv() {
                Ok(input) => input,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => match self.pause(node) {
                    Ok(input) => input,
                    Err(ended) => return ended,
                },
            };
            if self.signals.stopping() {
                return Ended::Signal;
            }
            let (form, batch) = match input {
                Input::Batch(form, batch) => (form, batch),
                Input::End => return Ended::Input,
                Input::Wrong(error) => return Ended::Wrong(error),
                Input::Look => continue,
            };
            self.answers.form = form;
            match node.submit(&batch, &mut |reply| self.answers.give(reply)) {
                Ok((taken, full)) => {
                    self.answers.taken += taken as u64;
                    if let Some(full) = full {
                        let Request { client, number, .. } = batch[taken];
                        return Ended::Full { client, number, error: full };
                    }
                }
                Err(error) => return Ended::Failed(error),
            }
            if self.answers.held() >= ANSWERS_HELD
                && let Err(error) = self.answers.flush()
            {
                return unwritable(error);
            }
            self.show(node);
        }
    }

    /// Nothing was read ahead. What is on its way is answered as it becomes durable, and whatever comes in next ends the pause:
    /// so one request that somebody waits for is answered at once, and many go on in step with the disk.
    fn pause(&mut self, node: &mut DurableNode<Optimized, Disk>) -> Result<Input, Ended> {
        let mut patience = Duration::from_micros(50);
        loop {
            node.poll(&mut |reply| self.answers.give(reply)).map_err(Ended::Failed)?;
            self.answers.flush().map_err(unwritable)?;
            if self.answers.waiting() == 0 {
                // Woken by whatever comes; the time is for the progress line, and for a reader that panicked.
                patience = Duration::from_millis(100);
                self.show(node);
            }
            match self.inputs.recv_timeout(patience) {
                Ok(input) => return Ok(input),
                Err(RecvTimeoutError::Timeout) if self.reader.is_finished() => {
                    // It says something before it ends; so that is there by now.
                    let said = self.inputs.try_recv();
                    return said
                        .or(Err(Ended::Wrong(WireError::Read(io::Error::other("the reading thread panicked")))));
                }
                Err(_) => patience = (2 * patience).min(Duration::from_millis(1)),
            }
        }
    }

    /// The line on a terminal.
    fn show(&mut self, node: &DurableNode<Optimized, Disk>) {
        if self.bar.is_hidden() || self.shown.elapsed() < Duration::from_millis(100) {
            return;
        }
        self.shown = Instant::now();
        let Answers { taken, .. } = self.answers;
        let per_second = taken as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
        let (answered, speed) = (count(self.answers.given()), rate(per_second));
        self.bar.set_message(format!(
            "{} taken, {answered} answered, {speed}; durable up to command {}",
            plural(taken, "request"),
            count(node.acknowledged())
        ));
        self.bar.tick();
    }
}

fn summary(answers: &Answers, stopped: &Stopped<Optimized>, blocks_before: u64, took: Duration) -> String {
    let Answers { accepted, rejected, repeats, refused, fills, .. } = *answers;
    let new = accepted + rejected;
    let height = stopped.tip.height();
    let speed = match new {
        0 => String::new(),
        new => format!(", {} of new commands", rate(new as f64 / took.as_secs_f64().max(1e-9))),
    };
    let pause = match stopped.pause_ns_max {
        0 => "while nothing else was to do".to_string(),
        ns => format!("the longest pause for one {}", duration_ns(ns as f64)),
    };
    let last = if height == 0 { "no block yet".to_string() } else { to_hex_reversed(&stopped.tip.hash()) };
    let why = stopped.snapshot_failed.as_deref();
    let failed = why.map_or(String::new(), |why| format!("; THE LAST ONE WAS NOT WRITTEN: {why} (nothing is lost)"));
    format!(
        "stopped: next command {}\n  requests     {}: {} new, {} sent again, {} refused\n  new ones     {} accepted, {} \
         rejected, {}\n  blocks       {} sealed, {} in all\n  last header  {last}\n  snapshots    {} written, \
         {pause}{failed}\n  state        {}\n  time         {}{speed}\n",
        count(stopped.next),
        count(new + repeats + refused),
        count(new),
        count(repeats),
        count(refused),
        count(accepted),
        count(rejected),
        plural(fills, "fill"),
        count(height - blocks_before),
        blocks(height),
        count(stopped.snapshots),
        to_hex(&state_digest(&stopped.engine)),
        duration_ns(took.as_nanos() as f64),
    )
}
