//! The durable stack: the same rounds on a ledger that has every operation on disk before it is answered.
//!
//! A round begins with a fresh ledger in a folder of its own, whose first snapshot is the state after the setup. It is made before
//! the clock starts, with a segment that the whole journal of the round fits, and one more: neither filling nor going on to another
//! segment is measured. No further snapshot is taken. Each account is a client that counts its requests; making the requests and
//! taking the answers is measured.

use super::evidence::{Counter, Evidence};
use super::player::{BATCH_OPERATIONS, Conductor, Round, STEP_NS, Setting, Timer, go_on, play_mixed};
use super::{JournalWork, Kind, ScenarioError};
use crate::block::ChainParams;
use crate::command::{Command, NewOrder, Request};
use crate::engine::{Engine, state_digest};
use crate::hash::sha256;
use crate::journal::disk::Disk;
use crate::journal::{JournalId, Options, SyncPolicy, frame};
use crate::measure::{LatencyRecorder, Probe, Stage};
use crate::node::durable::{DurableError, DurableNode, DurableOptions, Memory, Stopped};
use crate::node::{BlockPolicy, Stack};
use crate::types::{AccountId, Sequence};
use crate::wire::Reply;
use crate::workload::{Op, Stream};
use std::collections::VecDeque;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The least length of a segment: nothing is in the way of a group of any scenario.
const SEGMENT_MIN: u64 = 4 << 20;

/// Turns of the mixed scenario that are looked at in a row: a disk is slow, and a round has few of them.
const TURNS_IN_A_ROW: u32 = 8;

/// Where the ledgers of rounds are, one folder each.
#[derive(Debug)]
pub struct Journals {
    folder: PathBuf,
    made: AtomicU64,
}

/// A folder that goes with whoever holds this.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever named the folder around it removes that.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Journals {
    /// Ledgers below this folder, which exists.
    pub fn new(folder: &Path) -> Self {
        Journals { folder: folder.to_owned(), made: AtomicU64::new(0) }
    }

    /// How files are written there, in words.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn durability(&self) -> Result<&'static str, ScenarioError> {
        Disk::open(&self.folder).map(|disk| disk.durability()).map_err(|error| self.failed(&error))
    }

    fn fresh(&self) -> Result<(Folder, Disk, JournalId), ScenarioError> {
        let folder = self.folder.join(format!("round-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        // Nobody attacks these ledgers: their ids need to differ, and not to be secret.
        let digest = sha256(format!("{} {}", std::process::id(), folder.display()).as_bytes());
        let id = JournalId(*digest.first_chunk().expect("32 bytes"));
        let disk = Disk::create(&folder).map_err(|error| self.failed(&error))?;
        Ok((Folder(folder), disk, id))
    }

    fn failed(&self, error: &dyn Display) -> ScenarioError {
        ScenarioError::Journal { folder: self.folder.display().to_string(), reason: error.to_string() }
    }
}

/// The state that rounds start from, and how they are played.
pub struct Durable<'a, E> {
    /// The state.
    pub engine: &'a E,
    /// Sequence of the next command.
    pub next: Sequence,
    /// What all rounds have in common.
    pub setting: &'a Setting,
    /// The stack.
    pub stack: &'a Stack,
    /// When its journal is synced.
    pub policy: SyncPolicy,
}

impl<E: Engine> Durable<'_, E> {
    /// A timed round. It ends when every operation is answered and the last block's seal is durable.
    ///
    /// # Errors
    /// Cancelled, or the disk fails.
    pub fn play(&self, stream: &Stream, operations: u64, round: u32) -> Result<Round, ScenarioError> {
        let (ops, commands) = stream.prefix(operations);
        let taken = Taken { next: self.next, work: JournalWork::default() };
        let mut ledger = self.open(commands, self.submissions(ops), round, taken)?;
        let before = ledger.node.written();
        ledger.node.look_at_journal();
        let in_a_row = if self.setting.kind == Kind::Mixed { TURNS_IN_A_ROW } else { 1 };
        let (timer, _) = (Timer::start(), E::Probe::start(in_a_row));
        let read_checksum = ledger.submit_all(ops, commands)?;
        ledger.seal()?;
        let engine_thread = E::Probe::finish();
        let (wall_seconds, cpu_seconds) = timer.stop();
        let journal_thread = engine_thread.is_some().then(|| ledger.node.journal_times());
        let after = ledger.node.written();
        let (stopped, taken) = ledger.stop()?;
        let journal = JournalWork {
            frames: after.frames - before.frames,
            bytes: after.bytes - before.bytes,
            syncs: after.syncs - before.syncs,
            ..taken.work
        };
        let mut sealed = stopped.sealed;
        // The sealer is there before the round and behind it, and waits.
        let idle_ns = (sealed.times.wall_ns - 1e9 * wall_seconds).clamp(0.0, sealed.times.stage_ns[Stage::Wait]);
        sealed.times.wall_ns -= idle_ns;
        sealed.times.stage_ns[Stage::Wait] -= idle_ns;
        let (digest, sealed, journal) = (state_digest(&stopped.engine), Some(sealed), Some(journal));
        Ok(Round {
            operations,
            wall_seconds,
            cpu_seconds,
            read_checksum,
            digest,
            sealed,
            journal,
            engine_thread,
            journal_thread,
        })
    }

    /// The latency pass: from submission to answer, at full load, and reads by themselves.
    ///
    /// # Errors
    /// As [`play`](Self::play).
    pub fn sample(&self, stream: &Stream, operations: u64) -> Result<LatencyRecorder, ScenarioError> {
        let (ops, mut commands) = stream.prefix(operations);
        let timed = Timed { waiting: VecDeque::new(), latency: LatencyRecorder::new() };
        let mut ledger = self.open(commands, operations, 0, timed)?;
        for op in ops {
            let since = Instant::now();
            match *op {
                Op::Read(query) => {
                    std::hint::black_box(query.answer(ledger.node.engine()));
                    ledger.taker.latency.record(since.elapsed().as_nanos() as u64);
                }
                Op::Commands(count) => {
                    let (now, later) = commands.split_at(count as usize);
                    commands = later;
                    ledger.taker.waiting.push_back((since, count));
                    ledger.submit(now)?;
                }
            }
        }
        ledger.seal()?;
        let (_, timed) = ledger.stop()?;
        assert!(timed.waiting.is_empty(), "a ledger that is settled has answered everything");
        Ok(timed.latency)
    }

    /// Plays once more without a clock, and counts what the answers say.
    ///
    /// # Errors
    /// As [`play`](Self::play).
    pub fn evidence(&self, stream: &Stream, operations: u64) -> Result<Evidence, ScenarioError> {
        let (ops, commands) = stream.prefix(operations);
        let counted = Counted { commands: commands.iter(), counter: Counter::default() };
        let mut ledger = self.open(commands, self.submissions(ops), 0, counted)?;
        let read_checksum = ledger.submit_all(ops, commands)?;
        ledger.seal()?;
        let (stopped, Counted { mut counter, .. }) = ledger.stop()?;
        counter.work.reads = ops.iter().filter(|op| matches!(op, Op::Read(_))).count() as u64;
        counter.work.read_checksum = read_checksum;
        Ok(counter.finish(&stopped.engine))
    }

    /// Groups that the operations are submitted in, at most.
    fn submissions(&self, ops: &[Op]) -> u64 {
        match self.setting.kind {
            Kind::Settlement => ops.len().div_ceil(BATCH_OPERATIONS) as u64,
            _ => ops.iter().filter(|op| matches!(op, Op::Commands(_))).count() as u64,
        }
    }

    fn open<T: Take>(
        &self,
        commands: &[Command],
        submissions: u64,
        round: u32,
        taker: T,
    ) -> Result<Ledger<'_, E, T>, ScenarioError> {
        let Durable { engine, next, setting, stack, policy } = *self;
        let journals: &Arc<Journals> = setting.journals.as_ref().expect("a durable stack has a place for journals");
        let (folder, disk, id) = journals.fresh()?;
        let blocks = setting.block_policy(stack);
        let segment_bytes = segment_bytes(commands.len() as u64, submissions, &blocks);
        let journal = Options { policy, segment_bytes, bytes_max: 2 * segment_bytes, spares_max: 0 };
        let options = DurableOptions {
            policy: blocks,
            journal,
            memory: Memory::default(),
            snapshot_commands: u64::MAX,
            beside: true,
        };
        let (params, clock) = (ChainParams::fixed(*engine.rules(), setting.bits), setting.clock(round));
        let watch = setting.watch.clone();
        let made = DurableNode::create_from(disk, id, params, engine, next, options, clock, watch);
        let made = made.and_then(|node| node.wait_for_segments().map(|()| node));
        let node = made.map_err(|error| failed(error, journals))?;
        let clients = Clients { next: vec![1; engine.accounts() as usize], requests: Vec::new() };
        Ok(Ledger { node, clients, taker, setting, journals, _folder: folder })
    }
}

/// A length of segments that all of this fits one of.
fn segment_bytes(commands: u64, submissions: u64, blocks: &BlockPolicy) -> u64 {
    let mark = frame::disk_len(0);
    let seals = |commands: u64| {
        let by_age = blocks.interval.map_or(0, |interval| commands * STEP_NS / interval.max(1));
        commands / u64::from(blocks.transactions) + by_age + 1
    };
    // A group's last sectors are not full, and a mark may follow it.
    let all = commands * Request::ENCODED_LEN as u64 + (submissions + 1) * 2 * mark + seals(commands) * mark;
    // And room for groups on their way, so that none is split where the other stacks have one batch: its time would be another.
    let batch = 2 * BATCH_OPERATIONS;
    let group = frame::disk_len(batch * Request::ENCODED_LEN) + 2 * mark + seals(batch as u64) * mark;
    (SEGMENT_MIN + all + 16 * group).next_multiple_of(1 << 20)
}

fn failed(error: DurableError, journals: &Journals) -> ScenarioError {
    match error {
        DurableError::Node(error) => error.into(),
        error => journals.failed(&error),
    }
}

/// Whoever takes the answers.
trait Take {
    fn take(&mut self, reply: Reply<'_>);
}

/// Counts those that come in the order of the commands, each once.
struct Taken {
    next: Sequence,
    work: JournalWork,
}

impl Take for Taken {
    fn take(&mut self, reply: Reply<'_>) {
        if let Reply::Answer(answer) = reply
            && answer.sequence == self.next
            && !answer.repeat
        {
            self.next += 1;
            self.work.answers += 1;
            self.work.events += answer.events.len() as u64;
        }
    }
}

/// Measures how long each operation waited for the last of its answers.
struct Timed {
    waiting: VecDeque<(Instant, u32)>,
    latency: LatencyRecorder,
}

impl Take for Timed {
    fn take(&mut self, _: Reply<'_>) {
        let (since, left) = self.waiting.front_mut().expect("an answer has an operation");
        *left -= 1;
        if *left == 0 {
            self.latency.record(since.elapsed().as_nanos() as u64);
            self.waiting.pop_front();
        }
    }
}

/// Looks at every event.
struct Counted<'a> {
    commands: std::slice::Iter<'a, Command>,
    counter: Counter,
}

impl Take for Counted<'_> {
    fn take(&mut self, reply: Reply<'_>) {
        // Requests that are refused have no events, which the comparison sees.
        if let (Reply::Answer(answer), Some(command)) = (reply, self.commands.next()) {
            self.counter.outcome(command, answer.events);
        }
    }
}

/// One client per account.
struct Clients {
    /// By account: the number of its next request.
    next: Vec<u64>,
    requests: Vec<Request>,
}

impl Clients {
    fn ask(&mut self, commands: &[Command]) -> &[Request] {
        self.requests.clear();
        for &command in commands {
            let client = client(&command);
            let number = &mut self.next[client.0 as usize];
            self.requests.push(Request { client: client.0.into(), number: *number, command });
            *number += 1;
        }
        &self.requests
    }
}

fn client(command: &Command) -> AccountId {
    match *command {
        Command::OpenAccount { .. } => AccountId::OPERATOR,
        Command::Transfer { from: account, .. }
        | Command::Place(NewOrder { account, .. })
        | Command::Mint { account, .. }
        | Command::Burn { account, .. }
        | Command::MeterCredit { account, .. }
        | Command::MeterConsume { account, .. }
        | Command::Stake { account, .. }
        | Command::Unstake { account, .. }
        | Command::Cancel { account, .. }
        | Command::Replace { account, .. } => account,
    }
}

/// A ledger that is played on. The node goes before its folder.
struct Ledger<'a, E: Engine, T> {
    node: DurableNode<E, Disk>,
    clients: Clients,
    taker: T,
    setting: &'a Setting,
    journals: &'a Journals,
    _folder: Folder,
}

impl<E: Engine, T: Take> Ledger<'_, E, T> {
    fn submit_all(&mut self, ops: &[Op], commands: &[Command]) -> Result<u64, ScenarioError> {
        if self.setting.kind == Kind::Mixed {
            return play_mixed(self, ops, commands);
        }
        commands.chunks(2 * BATCH_OPERATIONS).try_for_each(|batch| self.submit(batch))?;
        Ok(0)
    }

    fn seal(&mut self) -> Result<(), ScenarioError> {
        let Ledger { node, taker, journals, .. } = self;
        node.seal(&mut |reply| taker.take(reply)).map_err(|error| failed(error, journals))
    }

    fn stop(self) -> Result<(Stopped<E>, T), ScenarioError> {
        let Ledger { node, mut taker, journals, _folder, .. } = self;
        let stopped = node.stop(&mut |reply| taker.take(reply));
        Ok((stopped.map_err(|error| failed(error, journals))?, taker))
    }
}

impl<E: Engine, T: Take> Conductor for Ledger<'_, E, T> {
    type Engine = E;
    type Probe = E::Probe;

    fn engine(&self) -> &E {
        self.node.engine()
    }

    fn submit(&mut self, commands: &[Command]) -> Result<(), ScenarioError> {
        // A disk may be slow: whoever asks to stop need not wait for the round's end.
        go_on(&self.setting.watch)?;
        let Ledger { node, clients, taker, journals, .. } = self;
        E::Probe::turn();
        let requests = clients.ask(commands);
        E::Probe::lap(Stage::Requests);
        match node.submit(requests, &mut |reply| taker.take(reply)) {
            Ok((_, None)) => Ok(()),
            Ok((_, Some(error))) | Err(error) => Err(failed(error, journals)),
        }
    }
}
