//! From a folder to the ledger in it: the newest snapshot that is good, and everything behind it again. Nothing is changed.

use super::core::Core;
use super::directory::Meta;
use super::packed;
use super::sessions::{Claim, Memory, Sessions};
use super::snapshot::{self, Head, Kept, Snapshot};
use super::writer::SEAL_LEN;
use super::{DurableError, Progress};
use crate::block::{Header, SealRecord, Tip};
use crate::command::{Command, Request};
use crate::engine::{AccountRecord, Engine};
use crate::hash::{Digest, to_hex};
use crate::journal::storage::Storage;
use crate::journal::{self, JournalError, Kind};
use crate::node::{BlockPolicy, BlockSink, Clock, Node, Seal, SealStation};
use crate::seal::Watch;
use std::collections::VecDeque;
use std::sync::Arc;

/// What was read, and from where.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Blocks before the snapshot that was used; `None` without one: everything was read from the beginning.
    pub snapshot: Option<u64>,
    /// Snapshots that could not be used, and why, in words.
    pub damaged: Vec<String>,
    /// Commands that were carried out again.
    pub commands: u64,
    /// Blocks whose seals were derived again and compared.
    pub blocks: u64,
    /// Frames of the journal that were read for that.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Whether an unfinished frame was behind the last one.
    pub torn: bool,
    /// Frames of which one copy was damaged, and the other was read.
    pub damaged_copies: u64,
}

/// A ledger as it was left.
pub struct Recovered<E: Engine> {
    /// Its state.
    pub core: Core<E>,
    /// Its snapshots that can be used, newest first.
    pub kept: Vec<Kept>,
    /// The last frame of its journal.
    pub frame: u64,
    /// Blocks whose seals are in the snapshot or the journal.
    pub sealed: u64,
    /// The chain's end at the snapshot, and the state root there.
    pub start: (Tip, Digest),
    /// How that went.
    pub found: Found,
}

/// Makes who gets the blocks: from this end of the chain on, of which so many blocks are sealed already.
pub type MakeSink = Box<dyn FnOnce(&Tip, u64) -> BlockSink>;

/// What a recovery needs to know besides the folder.
pub struct Terms<'a> {
    /// What the folder says it is.
    pub meta: Meta,
    /// How blocks are closed and sealed that were not before.
    pub policy: BlockPolicy,
    /// How much of sessions is remembered.
    pub memory: Memory,
    /// Counts nonces, and asks to stop.
    pub watch: Arc<Watch>,
    /// Who gets the blocks.
    pub sink: MakeSink,
    /// Is told how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// The state that is gone on from.
struct Start<E> {
    engine: E,
    sessions: Sessions,
    head: Head,
    station: SealStation,
}

/// Reads what is there.
///
/// # Errors
/// What is damaged, missing, or not as it was sealed, by name.
pub fn recover<S: Storage, E: Engine>(storage: &S, terms: Terms<'_>) -> Result<Recovered<E>, DurableError> {
    let Terms { meta, policy, memory, watch, sink, progress } = terms;
    // Who was let in before stays, whatever the limit is now.
    let (clients_max, memory) = (memory.clients_max, Memory { clients_max: u32::MAX, ..memory });
    let mut found = Found::default();
    let names = storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))?;
    let (snapshots, _) = snapshot::find(&names);
    let mut newest: Option<Snapshot> = None;
    let mut kept = Vec::new();
    for name in snapshots {
        // Of the older one, which is there in case, the head is enough.
        let whole = newest.is_none();
        match snapshot::read(storage, name, &meta.id, &meta.params, whole) {
            Ok(snapshot) => {
                kept.push(Kept { name, frame: snapshot.head.frame });
                newest.get_or_insert(snapshot);
            }
            Err(why) => found.damaged.push(format!("{}: {why}", name.file())),
        }
    }
    if meta.from_state && newest.is_none() {
        let why = if found.damaged.is_empty() { "there is none".to_string() } else { found.damaged.join("; ") };
        return Err(DurableError::NoStart { why });
    }
    progress(Progress { commands: 0, total: 0 });
    let from = newest.as_ref().map_or(1, |snapshot| snapshot.head.frame);
    found.snapshot = newest.as_ref().map(|snapshot| snapshot.head.tip.height());
    // What was sealed, and how much there is to do again.
    let (mut seals, mut total, mut wrong) = (VecDeque::new(), 0u64, None);
    let start_height = found.snapshot.unwrap_or(0);
    let read = journal::scan(storage, &meta.id, from, &mut |header, payload| {
        total += u64::from(header.label.count) * u64::from(header.label.kind == Kind::Group);
        if header.label.kind == Kind::Seal && header.label.first >= start_height {
            let expected = start_height + seals.len() as u64;
            match decode_seal(payload).filter(|(_, record)| record.height == expected) {
                Some(seal) => seals.push_back(seal),
                None => drop(wrong.get_or_insert(header.place.number)),
            }
        }
    });
    let read = read.map_err(|error| match error {
        JournalError::Missing { .. } if from == 1 && !found.damaged.is_empty() => {
            DurableError::NoSnapshot { why: found.damaged.join("; "), source: error }
        }
        error => error.into(),
    })?;
    if let Some(frame) = wrong {
        let why = "holds a seal that is none, or another block's".to_string();
        return Err(DurableError::Replay { frame, why });
    }
    (found.torn, found.damaged_copies) = (read.torn, read.damaged_copies);
    found.blocks = seals.len() as u64;
    let sealed = start_height + found.blocks;
    let closings: VecDeque<_> = seals.iter().map(|(_, record): &Seal| record.last_sequence).collect();
    let Start { engine, sessions, head, station } = match newest {
        Some(snapshot) => {
            let sink = sink(&snapshot.head.tip, sealed);
            let station = |accounts: &mut dyn Iterator<Item = AccountRecord>| {
                SealStation::resume(snapshot.head.tip.clone(), seals, policy.plan, accounts, watch, Some(sink))
            };
            from_snapshot(&snapshot, &meta, memory, station)?
        }
        None => {
            let tip = Tip::genesis(meta.params);
            let sink = sink(&tip, sealed);
            let mut engine = E::new(meta.params.rules);
            engine.take_changed(&mut Vec::new());
            let accounts = crate::node::records(&engine);
            let station = SealStation::resume(tip.clone(), seals, policy.plan, accounts, watch, Some(sink));
            let head = Head { id: meta.id, next: 1, time: 0, frame: 1, tip, state_root: Digest::default() };
            Start { engine, sessions: Sessions::new(memory), head, station }
        }
    };
    let ascends =
        closings.iter().is_sorted_by(|a, b| a < b) && closings.front().is_none_or(|&first| first >= head.next);
    if !ascends {
        let why = "is behind seals whose blocks end before they begin".to_string();
        return Err(DurableError::Replay { frame: from, why });
    }
    let node = Node::with_station(engine, head.next, policy, Clock::system(), station, closings).probed();
    let start = (head.tip.clone(), head.state_root);
    let mut core = Core { node, sessions, time: head.time, height: head.tip.height(), spare: Vec::new() };
    let mut replay = Replay { core: &mut core, found: &mut found, requests: Vec::new(), commands: Vec::new() };
    let mut failed = None;
    // Behind a snapshot of a clean stop there is nothing to read a second time.
    let visit = &mut |header: &journal::Header, payload: &[u8]| {
        if failed.is_none() && header.label.kind == Kind::Group {
            failed = replay.group(header, payload).err();
            progress(Progress { commands: replay.found.commands, total });
        }
    };
    let again = if total == 0 { read } else { journal::scan(storage, &meta.id, from, visit)? };
    if let Some(error) = failed {
        return Err(error);
    }
    core.sessions.limit_clients(clients_max);
    // Whatever is wrong with a block is known before anything is written.
    core.node.wait_for_station()?;
    (found.frames, found.bytes) = (again.frames, again.payload_bytes);
    if let Some(&last) = core.node.closings.front() {
        let why = format!("is the last one, and a block was sealed with command {last}, which is behind it");
        return Err(DurableError::Replay { frame: again.last, why });
    }
    Ok(Recovered { core, kept, frame: again.last, sealed, start, found })
}

fn decode_seal(payload: &[u8]) -> Option<Seal> {
    let payload: &[u8; SEAL_LEN] = payload.try_into().ok()?;
    let (header, record) = payload.split_first_chunk().expect("a header comes first");
    let header = Header::decode(header);
    Some((header, SealRecord::decode(record.try_into().expect("its length"))?))
}

fn from_snapshot<E: Engine>(
    snapshot: &Snapshot,
    meta: &Meta,
    memory: Memory,
    station: impl FnOnce(&mut dyn Iterator<Item = AccountRecord>) -> SealStation + Send,
) -> Result<Start<E>, DurableError> {
    let head = snapshot.head.clone();
    let height = head.tip.height();
    let engine = || E::restore(meta.params.rules, snapshot.stats, snapshot.accounts(), snapshot.orders());
    let rest = || (station(&mut snapshot.accounts()), snapshot.sessions(memory));
    let (engine, (station, sessions)) = rayon::join(engine, rest);
    let engine = engine.map_err(|source| DurableError::Restore { height, source })?;
    let sessions = sessions.map_err(|why| DurableError::Snapshot { height, why })?;
    if height > 0 && station.state_root() != head.state_root {
        let (found, sealed) = (to_hex(&station.state_root()), to_hex(&head.state_root));
        return Err(DurableError::StateRoot { height, found, sealed });
    }
    Ok(Start { engine, sessions, head, station })
}

/// Carries out what the journal says.
struct Replay<'a, E: Engine> {
    core: &'a mut Core<E>,
    found: &'a mut Found,
    requests: Vec<Request>,
    commands: Vec<Command>,
}

impl<E: Engine> Replay<'_, E> {
    fn group(&mut self, header: &journal::Header, payload: &[u8]) -> Result<(), DurableError> {
        let label = header.label;
        let wrong = |why: String| Err(DurableError::Replay { frame: header.place.number, why });
        let (next, behind) = (self.core.next(), label.first + u64::from(label.count));
        if behind <= next {
            return Ok(());
        }
        if label.first > next || label.time < self.core.time {
            return wrong(format!("has command {} at {} ns; command {next} comes next", label.first, label.time));
        }
        self.requests.clear();
        let skipped = (next - label.first) as usize;
        if let Err(why) = packed::unpack(payload, label.count, &mut self.requests) {
            return wrong(why);
        }
        let requests = &self.requests[skipped..];
        let mut group = self.core.group(next);
        for (sequence, request) in (next..).zip(requests) {
            let Request { client, number, .. } = *request;
            let claim = self.core.sessions.claim(client, number, sequence, &mut group);
            if claim != Claim::New {
                return wrong(format!("holds request {number} of client {client}, which is not new: {claim:?}"));
            }
        }
        self.commands.clear();
        self.commands.extend(requests.iter().map(|request| request.command));
        self.core.carry_out(&self.commands, label.time, group, &mut Vec::new(), &mut |_, _| Ok(()))?;
        self.found.commands += self.commands.len() as u64;
        Ok(())
    }
}
