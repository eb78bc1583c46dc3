//! When snapshots are taken, and what follows from one: the oldest goes, and with it what only it needed of the journal.

use super::DurableError;
use super::board::{Board, Guard, Progress};
use super::core::Core;
use super::sessions::{Part, Sessions};
use super::snapshot::{self, Head, Kept, Name};
use super::writer::{Handle, LEISURE};
use crate::engine::Engine;
use crate::journal::JournalId;
use crate::journal::storage::Storage;
use crate::types::Sequence;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// Snapshots that are kept.
const KEPT: usize = 2;

/// Of the requests that a full journal refuses, one in so many tries whether the disk has room for a snapshot by now.
const TRIES: u64 = 1_024;

/// See the module.
pub struct Snapshots<S> {
    pub storage: S,
    pub id: JournalId,
    /// Commands from one to the next.
    pub every: u64,
    /// The next command when the last one was taken.
    pub taken_at: Sequence,
    /// Bytes that the journal had written when the last one was due.
    pub written_at: u64,
    /// What the journal may have.
    pub bytes_max: u64,
    /// Those that are there, newest first.
    pub kept: Arc<Mutex<Vec<Kept>>>,
    /// Whether they are written on a thread beside.
    pub beside: bool,
    pub job: Option<JoinHandle<()>>,
    /// After how many blocks the next one is to be taken, when it is due.
    pub due: Option<u64>,
    /// It is due because the journal is full, and may be the second one of its state.
    pub for_room: bool,
    /// Groups that were refused since the disk had no room for the one before.
    pub refused: u64,
    /// The longest time that making a copy of the state took.
    pub pause_ns_max: u64,
}

impl<S: Storage> Snapshots<S> {
    /// Asks for the end of the chain at the next block, if a snapshot is due and none is being written. Says whether it is pressing:
    /// then that block is closed now, or, without a transaction in it, none is waited for. `filling` is that block's transactions.
    pub fn want_if_due(
        &mut self,
        next: Sequence,
        height: u64,
        filling: u32,
        board: &Board,
    ) -> Result<bool, DurableError> {
        let (held, written) = {
            let progress = board.read();
            (progress.held, progress.written.bytes)
        };
        let since = next - self.taken_at;
        // Where the journal is half full, an eighth of what it may have is enough. And commands that are all refused close no block.
        let pressed = held > self.bytes_max / 2 && written - self.written_at >= self.bytes_max / 8;
        let presses = pressed || since / 2 >= self.every;
        if (since < self.every && !pressed) || self.job.as_ref().is_some_and(|job| !job.is_finished()) {
            return Ok(false);
        }
        self.want(height + u64::from(!presses || filling > 0), written, board)?;
        Ok(presses)
    }

    /// The journal is full, and none is being written that could change that: takes one and waits for it, as long as that may help. They are
    /// due as the journal grows, and one that took until it was full is not followed by another.
    ///
    /// # Errors
    /// [`DurableError::Full`], as before or for another reason.
    pub fn make_room<E: Engine>(
        &mut self,
        core: &mut Core<E>,
        handle: &Handle<S>,
        board: &Arc<Board>,
        room: u64,
        mut full: DurableError,
    ) -> Result<(), DurableError> {
        for _ in 0..KEPT {
            let filling = core.node.filling.transactions;
            if !self.want_for_room(core.height, filling, board)? {
                break;
            }
            if filling > 0 {
                core.node.close_block()?;
                core.height += 1;
            }
            let frame = board.read().frame + 1;
            self.take_if_wanted(core, &[], frame, handle, board)?;
            full = match handle.wait_for_room(room) {
                Err(full @ DurableError::Full { .. }) => full,
                waited => return waited,
            };
            if board.read().snapshot_failed.is_some() {
                break;
            }
        }
        Err(full)
    }

    /// As [`want_if_due`](Self::want_if_due), where the journal is full: the next one gives up what only the oldest needs. Says whether it
    /// may help: not if all that are kept are of now.
    fn want_for_room(&mut self, height: u64, filling: u32, board: &Board) -> Result<bool, DurableError> {
        let (allowed, written, frame, failed) = {
            let progress = board.read();
            (progress.allowed, progress.written.bytes, progress.frame, progress.snapshot_failed.is_some())
        };
        let helps = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.len() < KEPT || kept.iter().any(|kept| kept.frame <= frame)
        };
        // A disk without room for a segment has none for a snapshot either.
        if allowed > 0 || !helps {
            return Ok(false);
        }
        // As much of it is written each time as there is room for.
        self.refused = if failed { self.refused + 1 } else { 0 };
        if self.refused > 1 && !self.refused.is_multiple_of(TRIES) && !self.refused.is_power_of_two() {
            return Ok(false);
        }
        self.want(height + u64::from(filling > 0), written, board)?;
        self.for_room = true;
        Ok(true)
    }

    fn want(&mut self, at: u64, written: u64, board: &Board) -> Result<(), DurableError> {
        self.join()?;
        self.written_at = written;
        self.due = Some(at);
        board.say(|progress| {
            progress.wanted = Some(at);
            // It may be there already, and be followed by others before anybody looks.
            progress.found = progress.tip.clone().filter(|(tip, _)| tip.height() == at);
        });
        Ok(())
    }

    /// Waits for the one that is being written.
    pub fn join(&mut self) -> Result<(), DurableError> {
        if let Some(job) = self.job.take() {
            job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Ok(())
    }

    pub fn files(&self) -> Files<S> {
        Files { storage: self.storage.clone(), kept: self.kept.clone(), leisure: 0, for_room: false }
    }

    /// Copies the state, if a block has just closed at whose end it is wanted, and lets the copy be written. `behind` was claimed
    /// and is not carried out yet; commands behind the block are in `frame` of the journal or later.
    pub fn take_if_wanted<E: Engine>(
        &mut self,
        core: &Core<E>,
        behind: &[Part],
        frame: u64,
        handle: &Handle<S>,
        board: &Arc<Board>,
    ) -> Result<(), DurableError> {
        let height = core.height;
        if self.due != Some(height) {
            return Ok(());
        }
        self.due = None;
        let for_room = std::mem::take(&mut self.for_room);
        let started = Instant::now();
        let (engine, mut sessions) = (core.node.engine().clone(), core.sessions.clone());
        sessions.unclaim(core.next(), behind);
        self.pause_ns_max = self.pause_ns_max.max(started.elapsed().as_nanos() as u64);
        self.taken_at = core.next();
        let (id, next, time) = (self.id, core.next(), core.time);
        let files = Files { leisure: if self.beside { LEISURE } else { 0 }, for_room, ..self.files() };
        let (handle, board, failed) = (handle.clone(), board.clone(), board.clone());
        let write = move || {
            handle.sync()?;
            // Nobody may find it before the block that it stands on, and all commands in it, are durable.
            let end = board.wait(|progress| {
                let end = progress.found.clone().filter(|(tip, _)| tip.height() == height);
                // A ledger that is given up writes no more, and a block whose search was cancelled is never sealed.
                let never = progress.closing || end.is_none() && progress.sealing_ended;
                end.filter(|_| progress.sealed >= height).map(Some).or(never.then_some(None))
            })?;
            let Some((tip, state_root)) = end else {
                board.say(|progress| progress.snapshot_fails(format!("its block, {}, was not sealed", height - 1)));
                return Ok(());
            };
            let head = Head { id, next, time, frame, tip, state_root };
            files.write(&head, &engine, &sessions, &handle, &board)
        };
        if !self.beside {
            return write();
        }
        failed.say(|progress| progress.snapshots_going += 1);
        self.job = Some(std::thread::spawn(move || {
            let _guard = Guard(failed.clone());
            if let Err(error) = write() {
                failed.stop(&error);
            }
        }));
        Ok(())
    }
}

/// The files of snapshots.
pub struct Files<S> {
    storage: S,
    kept: Arc<Mutex<Vec<Kept>>>,
    leisure: u32,
    for_room: bool,
}

impl<S: Storage> Files<S> {
    /// Writes one, and gives up what is not needed any more. That the disk is too full for it is no error: the journal has
    /// everything.
    pub fn write<E: Engine>(
        &self,
        head: &Head,
        engine: &E,
        sessions: &Sessions,
        handle: &Handle<S>,
        board: &Board,
    ) -> Result<(), DurableError> {
        // In place of the one of this state that is there already, it would leave the older one the oldest.
        let newest = self.kept.lock().unwrap_or_else(PoisonError::into_inner).first().map(|kept| kept.name);
        let again = self.for_room && newest == Some(Name { next: head.next, again: false });
        let written = match snapshot::write(&self.storage, again, head, engine, sessions, self.leisure) {
            Err(DurableError::Disk { source, file, action }) if is_full(source.kind()) => {
                snapshot::remove_unfinished(&self.storage)?;
                let why = DurableError::Disk { source, file, action }.to_string();
                board.say(|progress| progress.snapshot_fails(why));
                return Ok(());
            }
            written => written?,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|older| older.name != written.name);
        kept.insert(0, written);
        kept.truncate(KEPT);
        let names = self.storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))?;
        for name in snapshot::find(&names).0 {
            if kept.iter().all(|kept| kept.name != name) {
                let name = name.file();
                self.storage.remove(&name).map_err(DurableError::disk("removing", &name))?;
            }
        }
        self.storage.sync_names().map_err(DurableError::disk("syncing", "the ledger's folder"))?;
        board.say(|progress| (progress.snapshots, progress.snapshot_failed) = (progress.snapshots + 1, None));
        // Without another one the journal is all there is, should this one be damaged.
        match kept.iter().map(|kept| kept.frame).min() {
            Some(frame) if kept.len() == KEPT => handle.keep(frame),
            _ => {
                board.say(Progress::snapshot_ends);
                Ok(())
            }
        }
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
