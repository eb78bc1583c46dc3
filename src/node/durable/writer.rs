//! Writes the journal: groups and seals in, progress out. Here, or on a thread beside.

use super::DurableError;
use super::board::{Board, Guard, Progress};
use super::laps::Laps;
use crate::block::{Header, SealRecord};
use crate::journal::storage::Storage;
use crate::journal::{FrameBuffer, Journal, JournalError, Kind, Label, SyncPolicy};
use crate::node::Seal;
use crate::types::Sequence;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Groups that wait for the journal at most. One more is being written, one is being made. A disk is not as even as an engine: with
/// two, the engine waited half of the time for one that was fast enough on average. They must find room in a segment: a small one
/// has fewer.
fn groups_waiting(segment_bytes: u64) -> usize {
    if segment_bytes >= 8 << 20 { 6 } else { 2 }
}

/// Groups that may be on their way when another one is let in, itself included.
pub fn groups_in_flight(segment_bytes: u64) -> usize {
    groups_waiting(segment_bytes) + 2
}

/// Segments that are made ahead.
pub const AHEAD: usize = 2;

/// Who writes beside the journal what is not urgent, rests for so many times as long as each MiB took.
pub const LEISURE: u32 = 3;

/// Length of a seal in the journal: header and seal record.
pub const SEAL_LEN: usize = Header::ENCODED_LEN + SealRecord::ENCODED_LEN;

/// The journal, and who waits for which of its frames.
pub struct Writer<S: Storage> {
    journal: Journal<S>,
    board: Arc<Board>,
    /// Frames that are not acknowledged: number, and the last command of a group or the blocks up to a seal.
    groups: VecDeque<(u64, Sequence)>,
    seals: VecDeque<(u64, u64)>,
    frame: FrameBuffer,
}

impl<S: Storage> Writer<S> {
    /// A writer behind what was recovered: commands up to `acknowledged`, and `sealed` blocks.
    pub fn new(journal: Journal<S>, board: Arc<Board>, acknowledged: Sequence, sealed: u64) -> Self {
        board.say(|progress| (progress.acknowledged, progress.sealed) = (acknowledged, sealed));
        let mut writer =
            Writer { journal, board, groups: VecDeque::new(), seals: VecDeque::new(), frame: FrameBuffer::new() };
        writer.told(Ok(())).expect("nothing has failed");
        writer
    }

    /// Writes a group that ends with the command `last`.
    fn group(&mut self, frame: &mut FrameBuffer, last: Sequence) -> Result<(), JournalError> {
        let number = self.journal.append(frame)?;
        self.groups.push_back((number, last));
        Ok(())
    }

    fn seal(&mut self, (header, record): &Seal) -> Result<(), JournalError> {
        self.frame.clear();
        self.frame.extend(&header.encode());
        self.frame.extend(&record.encode());
        self.frame.finish(Label { kind: Kind::Seal, first: record.height, time: 0, count: record.transactions });
        let number = self.journal.append(&mut self.frame)?;
        self.seals.push_back((number, record.height + 1));
        Ok(())
    }

    /// Makes sure that everything is acknowledged.
    fn cover(&mut self) -> Result<(), JournalError> {
        if self.waits() { self.journal.cover() } else { Ok(()) }
    }

    /// Makes everything durable, whatever the policy.
    fn sync(&mut self, ticket: u64) -> Result<(), JournalError> {
        self.journal.cover()?;
        self.journal.sync_all()?;
        self.board.say(|progress| progress.synced = ticket);
        Ok(())
    }

    fn waits(&self) -> bool {
        let waits =
            |frames: &VecDeque<(u64, u64)>| frames.back().is_some_and(|last| last.0 > self.journal.acknowledged());
        waits(&self.groups) || waits(&self.seals)
    }

    /// After each step: says how far it is, or that it ends here.
    fn told(&mut self, done: Result<(), JournalError>) -> Result<(), DurableError> {
        if let Err(error) = done {
            self.board.stop(&error);
            return Err(error.into());
        }
        let journal = &self.journal;
        let acknowledged = journal.acknowledged();
        let mut newest = [None; 2];
        for (frames, newest) in [&mut self.groups, &mut self.seals].into_iter().zip(&mut newest) {
            while let Some(&(_, what)) = frames.front().filter(|(frame, _)| *frame <= acknowledged) {
                frames.pop_front();
                *newest = Some(what);
            }
        }
        self.board.say(|progress| {
            (progress.frame, progress.room, progress.held) = (journal.last(), journal.room(), journal.held());
            progress.written = journal.written();
            (progress.ahead, progress.allowed) = (journal.segments_ahead(), journal.segments_allowed());
            progress.acknowledged = newest[0].unwrap_or(progress.acknowledged);
            progress.sealed = newest[1].unwrap_or(progress.sealed);
        });
        Ok(())
    }
}

enum Message {
    Group(Box<FrameBuffer>, Sequence),
    Seal(Box<Seal>),
    Keep(u64),
    /// Its ticket is said when all that was sent before is durable.
    Sync(u64),
}

/// Where the journal is written.
enum Way<S: Storage> {
    Here(Arc<Mutex<Writer<S>>>),
    Beside { to: SyncSender<Message>, spare_frames: Arc<Mutex<Receiver<Box<FrameBuffer>>>> },
}

/// What those have who give the journal something to write.
pub struct Handle<S: Storage> {
    way: Way<S>,
    board: Arc<Board>,
}

impl<S: Storage> Clone for Handle<S> {
    fn clone(&self) -> Self {
        let way = match &self.way {
            Way::Here(writer) => Way::Here(writer.clone()),
            Way::Beside { to, spare_frames } => Way::Beside { to: to.clone(), spare_frames: spare_frames.clone() },
        };
        Handle { way, board: self.board.clone() }
    }
}

/// The threads that write the journal and make segments ahead of it.
#[derive(Default)]
pub struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Waits for their end: all handles are gone, and the board says that the ledger is closing.
    pub fn join(self) {
        for thread in self.0 {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}

/// Puts a writer to work.
/// `looked_at` says whether the time of the thread that writes is divided up.
pub fn start<S: Storage>(writer: Writer<S>, beside: bool, looked_at: bool) -> (Handle<S>, Threads) {
    let board = writer.board.clone();
    if !beside {
        return (Handle { way: Way::Here(Arc::new(Mutex::new(writer))), board }, Threads::default());
    }
    let (to, messages) = sync_channel(groups_waiting(writer.journal.options().segment_bytes));
    let (emptied, spare_frames) = channel();
    let (spares, maker_board) = (writer.journal.spares().clone(), board.clone());
    let makes = std::thread::spawn(move || {
        let _guard = Guard(maker_board.clone());
        let due = |progress: &mut Progress| {
            let due = progress.ahead < AHEAD && progress.allowed > progress.ahead && progress.full.is_none();
            (due || progress.closing).then_some(progress.closing)
        };
        while matches!(maker_board.wait_for_segments(due), Ok(false)) {
            // With another one ready there is time: the disk is the journal's first.
            let pause = |step: Duration| {
                let (ahead, closing) = {
                    let progress = maker_board.read();
                    (progress.ahead, progress.closing)
                };
                if ahead > 0 && !closing {
                    std::thread::sleep(LEISURE * step);
                }
                !closing
            };
            match spares.prepare_at_leisure(pause) {
                Ok(()) => maker_board.say(|progress| progress.ahead = spares.ready().min(progress.allowed)),
                Err(JournalError::Full { why }) => maker_board.say(|progress| progress.full = Some(why)),
                // Nobody needs it any more.
                Err(_) if maker_board.read().closing => {}
                Err(error) => maker_board.stop(&error),
            }
        }
    });
    let guard = Guard(board.clone());
    let writes = std::thread::spawn(move || {
        let _guard = guard;
        let laps = looked_at.then(|| Laps::start(writer.board.clone()));
        write_beside(writer, &messages, &emptied, laps);
    });
    let spare_frames = Arc::new(Mutex::new(spare_frames));
    (Handle { way: Way::Beside { to, spare_frames }, board }, Threads(vec![makes, writes]))
}

/// Writes until nobody is left who could send something, or an error.
fn write_beside<S: Storage>(
    mut writer: Writer<S>,
    messages: &Receiver<Message>,
    emptied: &Sender<Box<FrameBuffer>>,
    mut laps: Option<Laps>,
) {
    let interval = match writer.journal.options().policy {
        SyncPolicy::Interval(interval) => Some(interval),
        SyncPolicy::EveryGroup | SyncPolicy::Never => None,
    };
    while let Ok(Some(message)) = next(&mut writer, messages, interval, &mut laps) {
        let keeps = matches!(message, Message::Keep(_));
        let done = match message {
            Message::Group(mut frame, last) => {
                let written = writer.group(&mut frame, last);
                // Nobody waits for it when the ledger is being closed.
                let _ = emptied.send(frame);
                written
            }
            Message::Seal(seal) => writer.seal(&seal),
            Message::Keep(frame) => writer.journal.prune(frame),
            Message::Sync(ticket) => writer.sync(ticket),
        };
        // Before it is told: who waits for it may ask where the time went.
        lap(&mut laps, true);
        if writer.told(done).is_err() {
            return;
        }
        if keeps {
            writer.board.say(Progress::snapshot_ends);
        }
    }
}

/// What is to be done next; when nothing waits, what was written is acknowledged first. Nothing: nobody is left to send it.
fn next<S: Storage>(
    writer: &mut Writer<S>,
    messages: &Receiver<Message>,
    interval: Option<Duration>,
    laps: &mut Option<Laps>,
) -> Result<Option<Message>, DurableError> {
    match messages.try_recv() {
        Ok(message) => return Ok(Some(message)),
        Err(TryRecvError::Empty) if writer.waits() => {
            let message = interval.map(|interval| messages.recv_timeout(interval));
            lap(laps, false);
            if let Some(Ok(message)) = message {
                return Ok(Some(message));
            }
        }
        Err(_) => {}
    }
    if writer.waits() {
        let covered = writer.cover();
        lap(laps, true);
        writer.told(covered)?;
    }
    let message = messages.recv().ok();
    lap(laps, false);
    Ok(message)
}

fn lap(laps: &mut Option<Laps>, writes: bool) {
    if let Some(laps) = laps {
        laps.lap(writes);
    }
}

impl<S: Storage> Handle<S> {
    /// An empty frame, to fill.
    pub fn frame(&self) -> Box<FrameBuffer> {
        let spare = match &self.way {
            Way::Here(_) => None,
            Way::Beside { spare_frames, .. } => spare_frames.lock().ok().and_then(|frames| frames.try_recv().ok()),
        };
        spare.map_or_else(Box::default, |mut frame| {
            frame.clear();
            frame
        })
    }

    fn send(&self, to: &SyncSender<Message>, message: Message) -> Result<(), DurableError> {
        to.send(message).map_err(|_| {
            let first = self.board.read().stopped.clone();
            DurableError::Stopped { first: first.unwrap_or_else(|| "the journal's thread ended".to_string()) }
        })
    }

    /// As [`group`](Self::group), if the journal can take it at once; otherwise gives it back.
    pub fn group_at_once(
        &self,
        frame: Box<FrameBuffer>,
        last: Sequence,
    ) -> Result<Result<(), Box<FrameBuffer>>, DurableError> {
        let Way::Beside { to, .. } = &self.way else { return self.group(frame, last).map(Ok) };
        match to.try_send(Message::Group(frame, last)) {
            Ok(()) => Ok(Ok(())),
            Err(TrySendError::Full(Message::Group(frame, _))) => Ok(Err(frame)),
            Err(TrySendError::Full(_)) => unreachable!("a group was sent"),
            Err(TrySendError::Disconnected(message)) => self.send(to, message).map(Ok),
        }
    }

    /// Gives the journal a group that ends with the command `last`.
    pub fn group(&self, mut frame: Box<FrameBuffer>, last: Sequence) -> Result<(), DurableError> {
        match &self.way {
            Way::Here(writer) => here(writer, |writer| writer.group(&mut frame, last)),
            Way::Beside { to, .. } => self.send(to, Message::Group(frame, last)),
        }
    }

    /// Gives it a seal.
    pub fn seal(&self, seal: Seal) -> Result<(), DurableError> {
        match &self.way {
            Way::Here(writer) => here(writer, |writer| writer.seal(&seal)),
            Way::Beside { to, .. } => self.send(to, Message::Seal(Box::new(seal))),
        }
    }

    /// Gives up what is before this frame: no snapshot needs it.
    pub fn keep(&self, frame: u64) -> Result<(), DurableError> {
        match &self.way {
            Way::Here(writer) => here(writer, |writer| writer.journal.prune(frame)),
            Way::Beside { to, .. } => self.send(to, Message::Keep(frame)),
        }
    }

    /// Where the journal is written here, makes sure that everything is acknowledged. Beside, that happens by itself.
    pub fn cover(&self) -> Result<(), DurableError> {
        match &self.way {
            Way::Here(writer) => here(writer, Writer::cover),
            Way::Beside { .. } => Ok(()),
        }
    }

    /// Makes everything that was given to the journal by now durable, whatever the policy, and waits for that: before something else
    /// that is durable relies on it.
    pub fn sync(&self) -> Result<(), DurableError> {
        let ticket = {
            let mut progress = self.board.read();
            progress.sync_asked += 1;
            progress.sync_asked
        };
        match &self.way {
            Way::Here(writer) => here(writer, |writer| writer.sync(ticket)),
            Way::Beside { to, .. } => {
                self.send(to, Message::Sync(ticket))?;
                self.board.wait(|progress| (progress.synced >= ticket).then_some(()))
            }
        }
    }

    /// Waits until a group is sure to find room: so many bytes, with all that is on its way.
    ///
    /// # Errors
    /// [`DurableError::Full`], and nothing has changed: it may be tried again.
    pub fn wait_for_room(&self, bytes: u64) -> Result<(), DurableError> {
        if let Way::Here(writer) = &self.way {
            let mut writer = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let journal = &writer.journal;
            if journal.room() >= bytes || journal.segments_ahead() > 0 {
                return Ok(());
            }
            if journal.segments_allowed() == 0 {
                return Err(limit(journal.held()));
            }
            return match journal.spares().prepare() {
                Err(JournalError::Full { why }) => Err(DurableError::Full { why }),
                prepared => writer.told(prepared),
            };
        }
        let lacks = |progress: &Progress| progress.room < bytes && progress.ahead == 0;
        let again = |progress: &Progress| lacks(progress) && progress.full.is_some();
        if again(&self.board.read()) {
            // There may be room again: it is tried once more for everyone who asks.
            self.board.say(|progress| progress.full = None);
        }
        self.board.wait(|progress| match &progress.full {
            _ if !lacks(progress) => Some(Ok(())),
            _ if progress.snapshots_going > 0 => None,
            _ if progress.allowed == 0 => Some(Err(limit(progress.held))),
            Some(why) => Some(Err(DurableError::Full { why: why.clone() })),
            None => None,
        })?
    }
}

fn limit(held: u64) -> DurableError {
    let why = format!("its segments have {held} bytes, and with another one it would be larger than it may be");
    DurableError::Full { why }
}

fn here<S: Storage>(
    writer: &Mutex<Writer<S>>,
    work: impl FnOnce(&mut Writer<S>) -> Result<(), JournalError>,
) -> Result<(), DurableError> {
    let mut writer = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let done = work(&mut writer);
    writer.told(done)
}
