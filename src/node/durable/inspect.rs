//! What files a ledger has, and what each says of itself: without carrying anything out, and without changing anything.

use super::directory::{self, Meta};
use super::{DurableError, snapshot};
use crate::journal::storage::{Access, Storage, StoredFile};
use crate::journal::{self, Header, JournalError, Kind, Recovered, Segment};
use crate::types::{Sequence, TimeNs};

/// What is in a ledger's folder.
#[derive(Debug)]
pub struct Inspected {
    /// What the folder says it is.
    pub meta: Meta,
    /// Its snapshots, newest first.
    pub snapshots: Vec<SnapshotFile>,
    /// Its journal's segments, oldest first.
    pub segments: Vec<SegmentFile>,
    /// The frames that were read, kind by kind.
    pub frames: [Frames; 5],
    /// Number and kind of the last of them.
    pub last: Option<(u64, Kind)>,
    /// Where the journal ends; or why it cannot be read to its end.
    pub journal: Result<Recovered, JournalError>,
    /// Files that are ready to become segments: how many, and their bytes together.
    pub spares: (u64, u64),
    /// What is left of a snapshot that was being written. Opening the ledger removes it.
    pub unfinished: Vec<String>,
    /// Files that are no part of a ledger.
    pub others: Vec<String>,
}

/// A snapshot's file.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Its name.
    pub name: String,
    /// Its length in bytes, as far as that can be said.
    pub bytes: u64,
    /// What it holds, if every byte of it is as it was written; otherwise what is wrong, in words.
    pub state: Result<SnapshotHead, String>,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Blocks before it.
    pub blocks: u64,
    /// Sequence of the next command.
    pub next: Sequence,
    /// When the last command was sequenced.
    pub time: TimeNs,
    /// The journal is read from this frame on.
    pub frame: u64,
    /// Accounts.
    pub accounts: u64,
    /// Orders in the book, bids and asks.
    pub orders: u64,
    /// Clients that are known.
    pub clients: u64,
}

/// A segment's file.
#[derive(Debug)]
pub struct SegmentFile {
    /// Its name.
    pub name: String,
    /// What it says of itself; or what is wrong with it.
    pub head: Result<Segment, JournalError>,
    /// The last frame that was read from it, and how many were.
    pub last: Option<(u64, u64)>,
}

/// Frames of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Which kind.
    pub kind: Kind,
    /// How many.
    pub frames: u64,
    /// Commands in them: of a seal, its block's transactions.
    pub commands: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// Looks at all files. The journal is read as far as its segments follow each other up to the last one.
///
/// # Errors
/// The folder holds no ledger, or cannot be listed. What is wrong with a single file is said with that file.
pub fn inspect<S: Storage>(storage: &S) -> Result<Inspected, DurableError> {
    let meta = directory::expect(storage, None)?;
    let names = storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))?;
    let (found, mut unfinished) = snapshot::find(&names);
    unfinished.extend(names.iter().filter(|name| matches!(journal::spare(name), Some((_, false)))));
    let snapshots: Vec<SnapshotFile> = found.iter().map(|&name| snapshot_file(storage, &meta, name)).collect();
    let files = journal::segments(storage, &meta.id)?;
    let gap = files.windows(2).rposition(|pair| pair[0].0 + 1 != pair[1].0);
    let begin = files.get(gap.map_or(0, |at| at + 1)).and_then(|(_, head)| head.as_ref().ok());
    let mut segments: Vec<SegmentFile> = Vec::new();
    let first = begin.map_or(1, |segment| segment.first);
    for (number, head) in files {
        segments.push(SegmentFile { name: Segment::name_of(number), head, last: None });
    }
    let mut frames = [Kind::Group, Kind::Seal, Kind::Mark, Kind::Rotate, Kind::Open].map(|kind| Frames {
        kind,
        frames: 0,
        commands: 0,
        bytes: 0,
    });
    let mut last = None;
    let journal = journal::scan(storage, &meta.id, first, &mut |header: &Header, _| {
        let (number, kind) = (header.place.number, header.label.kind);
        let counted = frames.iter_mut().find(|frames| frames.kind == kind).expect("every kind is there");
        counted.frames += 1;
        counted.commands += u64::from(header.label.count);
        counted.bytes += u64::from(header.length);
        last = Some((number, kind));
        let holds = |file: &&mut SegmentFile| file.head.as_ref().is_ok_and(|head| head.nonce == header.place.nonce);
        if let Some(file) = segments.iter_mut().rev().find(holds) {
            file.last = Some((number, file.last.map_or(1, |(_, count)| count + 1)));
        }
    });
    let is_spare = |name: &str| matches!(journal::spare(name), Some((_, true)));
    let spares: Vec<&String> = names.iter().filter(|name| is_spare(name)).collect();
    let spares = (spares.len() as u64, spares.iter().map(|name| length(storage, name)).sum());
    let known = |name: &String| {
        is_spare(name)
            || ["ledger", "ledger.part", "lock"].contains(&name.as_str())
            || name.starts_with('.')
            || unfinished.contains(&name)
            || snapshots.iter().any(|snapshot| snapshot.name == *name)
            || segments.iter().any(|segment| segment.name == *name)
    };
    let mut others: Vec<String> = names.iter().filter(|name| !known(name)).cloned().collect();
    others.sort_unstable();
    let unfinished = unfinished.into_iter().cloned().collect();
    Ok(Inspected { meta, snapshots, segments, frames, last, journal, spares, unfinished, others })
}

fn length<S: Storage>(storage: &S, name: &str) -> u64 {
    storage.open(name, Access::Read).and_then(|file| file.length()).unwrap_or(0)
}

fn snapshot_file<S: Storage>(storage: &S, meta: &Meta, name: snapshot::Name) -> SnapshotFile {
    let state = snapshot::read(storage, name, &meta.id, &meta.params, true).map(|read| SnapshotHead {
        blocks: read.head.tip.height(),
        next: read.head.next,
        time: read.head.time,
        frame: read.head.frame,
        accounts: read.accounts as u64,
        orders: (read.orders[0] + read.orders[1]) as u64,
        clients: read.clients as u64,
    });
    let name = name.file();
    SnapshotFile { bytes: length(storage, &name), name, state }
}
