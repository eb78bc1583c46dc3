//! A node that forgets nothing: what it has answered is on disk.
//!
//! ```text
//!            requests                                                    answers
//!               |                                                           ^
//!  claim: new, repeat, refused                                    groups that are acknowledged
//!               |                                                           |
//!  [sequence, time] -> frame ---> journal (beside): write, sync ---> board: how far
//!               |                    ^       ^                              |
//!               +-> engine -> block -+-> station (beside): seal             +-> snapshot (beside), when a block closes;
//!                                                                               then the journal behind it is given up
//! ```
//!
//! The journal holds the requests, group by group as they were sequenced, and the seals of the blocks. It is written while the
//! engine carries the same group out: nothing is answered before the group is durable, so nobody can tell. Recovery is the newest
//! good snapshot, and what the journal holds behind it again; every block that was sealed is derived again and compared.
//!
//! With [`DurableOptions::beside`] off, all of this happens in the caller's thread, in one order: that is what tests break the disk
//! under.

mod begin;
mod board;
mod check;
mod core;
mod directory;
mod error;
mod inspect;
mod laps;
mod measured;
mod outlet;
mod packed;
mod recover;
mod sessions;
mod snapshot;
mod snapshots;
mod writer;

pub use check::{Checked, check};
pub use directory::{Meta, expect, look_into};
pub use error::DurableError;
pub use inspect::{Frames, Inspected, SegmentFile, SnapshotFile, SnapshotHead, inspect};
pub use recover::Found;
pub use sessions::Memory;

use self::core::Core;
use super::{BlockPolicy, BlockSink, Clock, SealPlan, SealTotals, Sealing};
use crate::block::{ChainParams, Tip};
use crate::command::{Command, Refusal, Request};
use crate::engine::Engine;
use crate::journal::storage::Storage;
use crate::journal::{Journal, Kind, Label, Options, frame};
use crate::measure::{Probe, Stage};
use crate::seal::Watch;
use crate::types::Sequence;
use crate::wire::{Answer, Refused, Reply};
use board::Board;
use outlet::{Outlet, Pending};
use recover::{Recovered, Terms};
use sessions::{Claim, Group, Part};
use snapshot::Head;
use snapshots::Snapshots;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use writer::{Handle, Threads, Writer, groups_in_flight};

/// Requests of a group at most.
const GROUP_MAX: usize = 8192;

/// How a durable node works.
#[derive(Clone, Copy, Debug)]
pub struct DurableOptions {
    /// When blocks close, and how they are sealed; whether beside is said below.
    pub policy: BlockPolicy,
    /// How the journal is written.
    pub journal: Options,
    /// How much is remembered for requests that are sent again.
    pub memory: Memory,
    /// A snapshot is due after so many commands, at the end of a block; and when the journal has half of the bytes that it may have
    /// and has grown by an eighth of them since the last one.
    pub snapshot_commands: u64,
    /// Whether journal, sealing and snapshots have threads of their own.
    pub beside: bool,
}

impl DurableOptions {
    /// Checks that a ledger can work so.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub fn check(&self) -> Result<(), DurableError> {
        group_max(self).map(drop)
    }
}

/// How far a recovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Commands that were carried out again.
    pub commands: u64,
    /// How many there are.
    pub total: u64,
}

/// What a node has done when it stops.
#[derive(Clone, Debug)]
pub struct Stopped<E> {
    /// Its state.
    pub engine: E,
    /// What was sealed since it was opened, blocks that were sealed before included.
    pub sealed: SealTotals,
    /// Sequence of the next command.
    pub next: Sequence,
    /// The chain's end.
    pub tip: Tip,
    /// Snapshots written since it was opened, the last one included.
    pub snapshots: u64,
    /// Why the last snapshot was not written, if the disk was too full for it. Nothing is lost: the journal has everything.
    pub snapshot_failed: Option<String>,
    /// The longest time that commands waited for a copy of the state to be made for a snapshot, in ns.
    pub pause_ns_max: u64,
}

/// What is to be given back, in the order of the requests.
enum Waiting {
    /// Commands `from..from + count` of a group, the first of which is `skip` requests into its part `part`.
    Answers {
        group: Arc<Group>,
        from: u32,
        count: u32,
        part: usize,
        skip: u32,
    },
    /// The first answer again.
    Repeat {
        client: u64,
        number: u64,
        sequence: Sequence,
    },
    Refused(Refused),
}

/// The same, while the group is being made.
enum Asked {
    New(u32),
    Repeat { client: u64, number: u64, sequence: Sequence },
    Refused(Refused),
}

/// See the module. Drop it or [`stop`](DurableNode::stop) it: only the latter answers everything, seals the last block and writes a
/// snapshot. Nothing that was acknowledged is lost either way. A drop cancels the watch that the node was given.
pub struct DurableNode<E: Engine, S: Storage> {
    /// Taken when it stops.
    core: Option<Core<E>>,
    clock: Clock,
    handle: Option<Handle<S>>,
    board: Arc<Board>,
    threads: Threads,
    snapshots: Snapshots<S>,
    watch: Arc<Watch>,
    waiting: VecDeque<Waiting>,
    group_max: usize,
    /// Bytes that all groups on their way need at most.
    room: u64,
    failed: bool,
    commands: Vec<Command>,
    asked: Vec<Asked>,
    groups: Vec<Arc<Group>>,
}

impl<E: Engine, S: Storage> DurableNode<E, S> {
    /// Opens the ledger in a folder, of this chain if one is named. `progress` is told how much of it was carried out again.
    ///
    /// # Errors
    /// Something is damaged, missing, or not as it was sealed; then nothing was changed. Or the disk fails or is full.
    pub fn open(
        storage: S,
        params: Option<&ChainParams>,
        options: DurableOptions,
        clock: Clock,
        watch: Arc<Watch>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Self, Found), DurableError> {
        let (group_max, room) = group_max(&options)?;
        let meta = directory::expect(&storage, params)?;
        let board = Arc::new(Board::default());
        let pending = Arc::new(Mutex::new(Pending::<S>::Until(Vec::new())));
        let DurableOptions { policy, memory, beside, .. } = options;
        let policy = BlockPolicy { plan: SealPlan { beside, ..policy.plan }, ..policy };
        let recovered = recover_with(&storage, meta, policy, memory, &watch, &board, &pending, progress)?;
        let Recovered { mut core, kept, frame, sealed, start, found } = recovered;
        board.say(|progress| {
            progress.tip.get_or_insert(start);
        });
        snapshot::remove_unfinished(&storage)?;
        let (journal, _) = Journal::open(storage.clone(), meta.id, options.journal, frame + 1, &mut |_, _| {})?;
        let writer = Writer::new(journal, board.clone(), core.next() - 1, sealed);
        let (handle, threads) = writer::start(writer, options.beside, E::Probe::LOOKS);
        let first = std::mem::replace(
            &mut *pending.lock().unwrap_or_else(PoisonError::into_inner),
            Pending::Live(handle.clone()),
        );
        if options.beside
            && let Sealing::Here { station, .. } = core.node.sealing
        {
            core.node.sealing = Sealing::beside(*station);
        }
        let taken_at = core.next() - found.commands;
        let snapshots = Snapshots {
            storage,
            id: meta.id,
            every: options.snapshot_commands.max(1),
            taken_at,
            written_at: 0,
            bytes_max: options.journal.bytes_max,
            kept: Arc::new(Mutex::new(kept)),
            beside: options.beside,
            job: None,
            due: None,
            for_room: false,
            refused: 0,
            pause_ns_max: 0,
        };
        let node = DurableNode {
            core: Some(core),
            clock,
            handle: Some(handle),
            board,
            threads,
            snapshots,
            watch,
            waiting: VecDeque::new(),
            group_max,
            room,
            failed: false,
            commands: Vec::new(),
            asked: Vec::new(),
            groups: Vec::new(),
        };
        // Only now: should that fail, the node's end is that of its threads, too. They wait for the last handle to be gone.
        drop(pending);
        if let Pending::Until(seals) = first {
            let handle = node.handle.as_ref().expect("it was just made");
            seals.into_iter().try_for_each(|seal| handle.seal(seal))?;
        }
        Ok((node, found))
    }

    fn core(&self) -> &Core<E> {
        self.core.as_ref().expect("taken only when it stops")
    }

    /// The engine, to read from. It is ahead of what was answered.
    pub fn engine(&self) -> &E {
        self.core().node.engine()
    }

    /// Sequence of the next command.
    pub fn next(&self) -> Sequence {
        self.core().next()
    }

    /// The last command that is durable: all up to it may be answered.
    pub fn acknowledged(&self) -> Sequence {
        self.board.read().acknowledged
    }

    /// Takes requests in. Whatever can be answered by now is given to `give`, in the order of the requests; the rest later, by
    /// further calls or by [`settle`](Self::settle). Returns how many were taken: all of them, or, where the journal has no room
    /// for more, those before that, with the reason.
    ///
    /// # Errors
    /// Final ones only: nothing more is taken or answered then.
    pub fn submit(
        &mut self,
        requests: &[Request],
        give: &mut impl FnMut(Reply<'_>),
    ) -> Result<(usize, Option<DurableError>), DurableError> {
        let mut taken = 0;
        for group in requests.chunks(self.group_max) {
            match self.guard(|node| node.group(group)) {
                Err(full @ DurableError::Full { .. }) => {
                    self.give_ready(give);
                    return Ok((taken, Some(full)));
                }
                done => done?,
            }
            taken += group.len();
            self.give_ready(give);
        }
        Ok((taken, None))
    }

    /// Runs something that, when it fails, leaves a node that must not go on.
    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, DurableError>) -> Result<T, DurableError> {
        if self.failed {
            let first = self.board.read().stopped.clone().unwrap_or_default();
            return Err(DurableError::Stopped { first });
        }
        let done = work(self);
        if let Err(error) = &done
            && !matches!(error, DurableError::Full { .. })
        {
            self.failed = true;
            self.board.stop(error);
        }
        done
    }

    /// One group: claimed, given to the journal, carried out.
    fn group(&mut self, requests: &[Request]) -> Result<(), DurableError> {
        let handle = self.handle.as_ref().expect("taken only when it stops");
        match handle.wait_for_room(self.room) {
            Err(full @ DurableError::Full { .. }) => {
                // What was carried out before needs no room.
                let is_new = |request: &Request| self.core().sessions.is_new(request.client, request.number);
                if requests.iter().any(is_new) {
                    let core = self.core.as_mut().expect("taken only when it stops");
                    self.snapshots.make_room(core, handle, &self.board, self.room, full)?;
                }
            }
            waited => waited?,
        }
        let handle = self.handle.as_ref().expect("taken only when it stops");
        let core = self.core.as_mut().expect("taken only when it stops");
        let first = core.next();
        let time = self.clock.read(first).max(core.time);
        let mut group = core.group(first);
        let mut frame = handle.frame();
        self.commands.clear();
        self.asked.clear();
        for request in requests {
            let Request { client, number, command } = *request;
            let sequence = first + self.commands.len() as u64;
            match core.sessions.claim(client, number, sequence, &mut group) {
                Claim::New => {
                    command.encode_short(|short| frame.extend(short));
                    self.commands.push(command);
                    match self.asked.last_mut() {
                        Some(Asked::New(count)) => *count += 1,
                        _ => self.asked.push(Asked::New(1)),
                    }
                }
                Claim::Repeat(sequence) => self.asked.push(Asked::Repeat { client, number, sequence }),
                Claim::Refused(why) => self.asked.push(Asked::Refused(Refused { client, number, why })),
            }
        }
        E::Probe::lap(Stage::Claim);
        if !self.commands.is_empty() {
            let written = self.board.read().frame;
            let filling = core.node.filling.transactions;
            let presses = self.snapshots.want_if_due(core.next(), core.height, filling, &self.board)?;
            if presses {
                if filling > 0 {
                    core.node.close_block()?;
                    core.height += 1;
                }
                self.snapshots.take_if_wanted(core, &group.parts, written + 1, handle, &self.board)?;
            }
            let count = self.commands.len() as u32;
            packed::put_runs(&group, &core.sessions, &mut frame);
            frame.finish(Label { kind: Kind::Group, first, time, count });
            let last = first + u64::from(count) - 1;
            if let Err(frame) = handle.group_at_once(frame, last)? {
                E::Probe::rare(Stage::Wait, || handle.group(frame, last))?;
            }
            E::Probe::lap(Stage::Frame);
            let snapshots = &mut self.snapshots;
            let closed = &mut |core: &Core<E>, behind: &[Part]| {
                snapshots.take_if_wanted(core, behind, written + 1, handle, &self.board)
            };
            core.carry_out(&self.commands, time, group, &mut self.groups, closed)?;
        }
        self.wait_for_answers();
        E::Probe::lap(Stage::Answers);
        Ok(())
    }

    /// Puts what was asked in line, with the groups that came of it.
    fn wait_for_answers(&mut self) {
        let mut groups = self.groups.drain(..);
        let (mut group, mut from, mut part, mut skip) = (groups.next(), 0, 0, 0);
        for asked in self.asked.drain(..) {
            let mut left = match asked {
                Asked::New(count) => count,
                Asked::Repeat { client, number, sequence } => {
                    self.waiting.push_back(Waiting::Repeat { client, number, sequence });
                    continue;
                }
                Asked::Refused(refused) => {
                    self.waiting.push_back(Waiting::Refused(refused));
                    continue;
                }
            };
            while left > 0 {
                let now = group.as_ref().expect("each command is in a group");
                let length = now.log.len() as u32;
                let count = left.min(length - from);
                self.waiting.push_back(Waiting::Answers { group: now.clone(), from, count, part, skip });
                (left, from, skip) = (left - count, from + count, skip + count);
                while now.parts.get(part).is_some_and(|held| held.count <= skip) {
                    skip -= now.parts[part].count;
                    part += 1;
                }
                if from == length {
                    (group, from, part, skip) = (groups.next(), 0, 0, 0);
                }
            }
        }
    }

    /// Gives what can be given now.
    fn give_ready(&mut self, give: &mut impl FnMut(Reply<'_>)) {
        let acknowledged = self.acknowledged();
        let sessions = &self.core().sessions;
        let mut given = 0;
        for waiting in &self.waiting {
            match waiting {
                &Waiting::Answers { ref group, from, count, part, skip } => {
                    if group.first + u64::from(from + count) - 1 > acknowledged {
                        break;
                    }
                    let requests = group.parts[part..].iter().flat_map(|part| {
                        let client = sessions.client(part.session);
                        (0..u64::from(part.count)).map(move |at| (client, part.number + at))
                    });
                    for (at, (client, number)) in (from..from + count).zip(requests.skip(skip as usize)) {
                        let (sequence, events) = (group.first + u64::from(at), group.log.outcome(at as usize));
                        give(Reply::Answer(Answer { client, number, sequence, repeat: false, events }));
                    }
                }
                &Waiting::Repeat { client, number, sequence } => {
                    if sequence > acknowledged {
                        break;
                    }
                    give(match sessions.answer(sequence) {
                        Some(events) => Reply::Answer(Answer { client, number, sequence, repeat: true, events }),
                        None => Reply::Refused(Refused { client, number, why: Refusal::Forgotten }),
                    });
                }
                Waiting::Refused(refused) => give(Reply::Refused(*refused)),
            }
            given += 1;
        }
        self.waiting.drain(..given);
        E::Probe::lap(Stage::Answers);
    }

    /// Gives what can be given by now, without waiting.
    ///
    /// # Errors
    /// An error of the journal, of sealing or of a snapshot, since the last call: final.
    pub fn poll(&mut self, give: &mut impl FnMut(Reply<'_>)) -> Result<(), DurableError> {
        self.give_ready(give);
        self.guard(|node| node.board.wait(|_| Some(())))
    }

    /// Waits until all requests are answered.
    ///
    /// # Errors
    /// As [`poll`](Self::poll); what was durable before was given.
    pub fn settle(&mut self, give: &mut impl FnMut(Reply<'_>)) -> Result<(), DurableError> {
        let settled = self.guard(|node| {
            node.handle.as_ref().expect("taken only when it stops").cover()?;
            let last = node.next() - 1;
            E::Probe::rare(Stage::Wait, || node.board.wait(|progress| (progress.acknowledged >= last).then_some(())))
        });
        self.give_ready(give);
        settled
    }

    /// Answers everything, seals what is left as a last block, and writes a snapshot: the next one who opens the ledger has nothing
    /// to do again.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn stop(mut self, give: &mut impl FnMut(Reply<'_>)) -> Result<Stopped<E>, DurableError> {
        self.settle(give)?;
        self.guard(Self::finish)
    }

    fn finish(&mut self) -> Result<Stopped<E>, DurableError> {
        let core = self.core.take().expect("it stops once");
        let handle = self.handle.take().expect("it stops once");
        let (next, time, height) =
            (core.next(), core.time, core.height + u64::from(core.node.filling.transactions > 0));
        // First this, which may fail: a snapshot that is being written waits for its block, and the block may never be sealed.
        let (engine, sealed) = core.node.finish()?;
        self.snapshots.join()?;
        // All blocks are sealed, and their seals given to the journal.
        handle.sync()?;
        let (frame, (tip, state_root)) = self.board.wait(|progress| {
            let end = progress.tip.clone().filter(|(tip, _)| progress.sealed >= height && tip.height() == height);
            end.map(|end| (progress.frame, end))
        })?;
        let head = Head { id: self.snapshots.id, next, time, frame: frame + 1, tip: tip.clone(), state_root };
        self.snapshots.files().write(&head, &engine, &core.sessions, &handle, &self.board)?;
        let (snapshots, snapshot_failed) = {
            let progress = self.board.read();
            (progress.snapshots, progress.snapshot_failed.clone())
        };
        let pause_ns_max = self.snapshots.pause_ns_max;
        drop(handle);
        self.board.say(|progress| progress.closing = true);
        std::mem::take(&mut self.threads).join();
        if let Some(first) = self.board.read().stopped.clone() {
            return Err(DurableError::Stopped { first });
        }
        Ok(Stopped { engine, sealed, next, tip, snapshots, snapshot_failed, pause_ns_max })
    }
}

impl<E: Engine, S: Storage> Drop for DurableNode<E, S> {
    /// Waits for those beside, so that nobody writes to the folder any more. A nonce search ends first.
    fn drop(&mut self) {
        if self.core.is_some() {
            self.watch.cancel();
        }
        (self.core, self.handle) = (None, None);
        self.board.say(|progress| progress.closing = true);
        if let Some(job) = self.snapshots.job.take() {
            drop(job.join());
        }
        std::mem::take(&mut self.threads).join();
    }
}

/// Requests of a group at most, and the bytes that all groups on their way, with their seals and marks, need at most: they must
/// find room in a segment, so that one that is let in is never refused later.
fn group_max(options: &DurableOptions) -> Result<(usize, u64), DurableError> {
    options.journal.check()?;
    let BlockPolicy { transactions, .. } = options.policy;
    if transactions == 0 {
        return Err(DurableError::Options("a block holds at least one transaction".to_string()));
    }
    let groups = if options.beside { groups_in_flight(options.journal.segment_bytes) as u64 } else { 1 };
    let mark = frame::disk_len(0);
    let needed = |requests: usize| {
        let seals = requests as u64 / u64::from(transactions) + 5;
        groups * (frame::disk_len(packed::len_max(requests)) + mark) + seals * mark
    };
    let most = options.journal.segment_bytes / 2;
    let mut requests = GROUP_MAX.min(options.journal.payload_max() / packed::len_max(1));
    while requests > 1 && needed(requests) > most {
        requests /= 2;
    }
    if options.journal.bytes_max < 2 * options.journal.segment_bytes {
        // What the current segment holds is never given up.
        let (given, least) = (options.journal.bytes_max, 2 * options.journal.segment_bytes);
        let text = format!("a journal of at most {given} bytes: with its segments, at least {least} are needed");
        return Err(DurableError::Options(text));
    }
    if requests == 0 || needed(requests) > most {
        let (given, needed) = (options.journal.segment_bytes, 2 * needed(1));
        return Err(DurableError::Options(format!("segments of {given} bytes: at least {needed} are needed")));
    }
    Ok((requests, needed(requests)))
}

#[allow(clippy::too_many_arguments)]
fn recover_with<E: Engine, S: Storage>(
    storage: &S,
    meta: Meta,
    policy: BlockPolicy,
    memory: Memory,
    watch: &Arc<Watch>,
    board: &Arc<Board>,
    pending: &Arc<Mutex<Pending<S>>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered<E>, DurableError> {
    let (board, pending) = (board.clone(), pending.clone());
    let sink = move |start: &Tip, known: u64| -> BlockSink {
        let mut outlet = Outlet { board, tip: start.clone(), known, pending };
        Box::new(move |header, record, _| outlet.sealed((*header, *record)).map_err(|error| error.to_string()))
    };
    let terms = Terms { meta, policy, memory, watch: watch.clone(), sink: Box::new(sink), progress };
    recover::recover(storage, terms)
}
