//! The state of a simulated disk: what is durable, and what is written but not yet.

use super::faults::{Counts, Dice, Faults};
use super::{Fate, Operation};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sectors written and not yet durable, oldest first. The first `doubtful` are those whose sync failed: no later one cares.
#[derive(Clone, Debug, Default)]
struct Pending {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
    doubtful: usize,
}

impl Pending {
    fn sector(&self, at: usize, sector: usize) -> &[u8] {
        &self.bytes[at * sector..][..sector]
    }

    /// Forgets those for which `keep` is false.
    fn retain(&mut self, sector: usize, mut keep: impl FnMut(usize, u64) -> bool) {
        let mut to = 0;
        let doubtful = self.doubtful;
        for from in 0..self.offsets.len() {
            if keep(from, self.offsets[from]) {
                self.offsets[to] = self.offsets[from];
                self.bytes.copy_within(from * sector..(from + 1) * sector, to * sector);
                to += 1;
            } else if from < doubtful {
                self.doubtful -= 1;
            }
        }
        self.offsets.truncate(to);
        self.bytes.truncate(to * sector);
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// Shared with the disks that were forked or reopened from this one, until one of them writes.
    durable: Arc<Vec<u8>>,
    pending: Pending,
    /// As a reader sees it.
    pub length: u64,
}

fn put(durable: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if to > durable.len() {
        durable.resize(to, 0);
    }
    durable[from..to].copy_from_slice(bytes);
}

impl Inode {
    /// What a reader sees: what is durable, and over it what is pending.
    pub fn read(&self, sector: usize, offset: u64, out: &mut [u8]) {
        let (from, to) = (offset as usize, offset as usize + out.len());
        let there = self.durable.len().clamp(from, to);
        if there > from {
            out[..there - from].copy_from_slice(&self.durable[from..there]);
        }
        out[there - from..].fill(0);
        for (at, &start) in self.pending.offsets.iter().enumerate() {
            let (low, high) = ((start as usize).max(from), (start as usize + sector).min(to));
            if low < high {
                let bytes = &self.pending.sector(at, sector)[low - start as usize..high - start as usize];
                out[low - from..high - from].copy_from_slice(bytes);
            }
        }
    }

    /// A write. Bytes may end within a sector, whose rest stays as it was.
    pub fn write(&mut self, sector: usize, offset: u64, bytes: &[u8]) {
        self.length = self.length.max(offset + bytes.len() as u64);
        for (at, chunk) in bytes.chunks(sector).enumerate() {
            let start = offset + (at * sector) as u64;
            let from = self.pending.bytes.len();
            self.pending.bytes.resize(from + sector, 0);
            if chunk.len() < sector {
                let mut whole = vec![0; sector];
                self.read(sector, start, &mut whole);
                self.pending.bytes[from..].copy_from_slice(&whole);
            }
            self.pending.bytes[from..from + chunk.len()].copy_from_slice(chunk);
            self.pending.offsets.push(start);
        }
    }

    /// A write that is durable at once. It takes what is pending at the same place along, as a direct write does.
    pub fn write_through(&mut self, sector: usize, offset: u64, bytes: &[u8]) {
        if !self.pending.offsets.is_empty() || !bytes.len().is_multiple_of(sector) {
            self.write(sector, offset, bytes);
            let end = offset + bytes.len().next_multiple_of(sector) as u64;
            let durable = Arc::make_mut(&mut self.durable);
            for (at, &start) in self.pending.offsets.iter().enumerate() {
                if (offset..end).contains(&start) {
                    put(durable, start, self.pending.sector(at, sector));
                }
            }
            self.pending.retain(sector, |_, start| !(offset..end).contains(&start));
        } else {
            self.length = self.length.max(offset + bytes.len() as u64);
            put(Arc::make_mut(&mut self.durable), offset, bytes);
        }
    }

    pub fn sync(&mut self, sector: usize) {
        let (doubtful, count) = (self.pending.doubtful, self.pending.offsets.len());
        if count == doubtful {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for at in doubtful..count {
            put(durable, self.pending.offsets[at], self.pending.sector(at, sector));
        }
        let synced = self.pending.offsets[doubtful..].to_vec();
        self.pending.retain(sector, |at, start| at < doubtful && !synced.contains(&start));
    }

    pub fn sync_fails(&mut self) {
        self.pending.doubtful = self.pending.offsets.len();
    }

    pub fn pending(&self) -> usize {
        self.pending.offsets.len()
    }

    fn doubtful(&self) -> usize {
        self.pending.doubtful
    }

    /// Decides over pending sectors from the `from`-th to before the `to`-th: each reaches the disk, or not, or in part.
    pub fn settle(
        &mut self,
        sector: usize,
        from: usize,
        to: usize,
        counts: &mut Counts,
        fate: &mut dyn FnMut() -> Fate,
    ) {
        if from == to {
            return;
        }
        for at in from..to {
            let part = match fate() {
                Fate::Lost => 0,
                Fate::Kept => sector,
                Fate::Torn(part) => part.min(sector),
            };
            match part {
                0 => counts.sectors_lost += 1,
                _ if part == sector => counts.sectors_kept += 1,
                _ => counts.sectors_torn += 1,
            }
            if part > 0 {
                let durable = Arc::make_mut(&mut self.durable);
                let (start, bytes) = (self.pending.offsets[at], self.pending.sector(at, sector));
                // The sector is there as a whole, with what it held before in the rest.
                if durable.len() < start as usize + sector {
                    durable.resize(start as usize + sector, 0);
                }
                put(durable, start, &bytes[..part]);
            }
        }
        self.pending.retain(sector, |at, _| at < from || at >= to);
        if self.pending.offsets.is_empty() {
            self.length = self.durable.len() as u64;
        }
    }

    /// Changes what is at rest, and pending too if it covers the place.
    pub fn damage(&mut self, sector: usize, offset: u64, change: impl Fn(u8) -> u8) {
        let at = offset as usize;
        if at < self.durable.len() {
            let byte = &mut Arc::make_mut(&mut self.durable)[at];
            *byte = change(*byte);
        }
        for (index, &start) in self.pending.offsets.iter().enumerate() {
            if (start..start + sector as u64).contains(&offset) {
                let byte = &mut self.pending.bytes[index * sector + (offset - start) as usize];
                *byte = change(*byte);
            }
        }
    }
}

/// A change of names. It carries the file, so that a later one can reach the disk without the ones before it.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link { name: String, file: usize },
    Move { from: String, to: String, file: usize },
    Unlink { name: String, file: usize },
}

impl NameChange {
    pub fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Link { name, file } => {
                names.insert(name.clone(), *file);
            }
            NameChange::Move { from, to, file } => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                }
                names.insert(to.clone(), *file);
            }
            NameChange::Unlink { name, file } => {
                if names.get(name) == Some(file) {
                    names.remove(name);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub sector: usize,
    pub capacity: u64,
    pub faults: Faults,
    pub dice: Dice,
    pub counts: Counts,
    /// Operations since this process began, in order.
    pub operations: Vec<Operation>,
    pub crash_at: Option<u64>,
    pub fail_at: Option<u64>,
    pub misdirect_at: Option<u64>,
    /// Whether the process is gone.
    pub gone: bool,
    pub files: Vec<Inode>,
    pub names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    doubtful_changes: usize,
}

impl Disk {
    pub fn new(seed: u64, sector: usize) -> Self {
        Disk {
            sector,
            capacity: u64::MAX,
            faults: Faults::default(),
            dice: Dice::new(seed),
            counts: Counts::default(),
            operations: Vec::new(),
            crash_at: None,
            fail_at: None,
            misdirect_at: None,
            gone: false,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            doubtful_changes: 0,
        }
    }

    /// Bytes in files that have a name.
    pub fn used(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].length).sum()
    }

    pub fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub fn sync_names(&mut self) {
        let doubtful = self.doubtful_changes;
        for change in self.changes.drain(doubtful..) {
            change.apply(&mut self.durable_names);
        }
    }

    pub fn sync_names_fails(&mut self) {
        self.doubtful_changes = self.changes.len();
    }

    /// What a crash decides over: pending sectors of all files, then pending changes of names.
    pub fn pending(&self) -> usize {
        self.files.iter().map(Inode::pending).sum::<usize>() + self.changes.len()
    }

    /// As it stands after the power was gone.
    pub fn after_crash(&self, fate: &mut dyn FnMut(usize) -> Fate) -> Disk {
        let mut disk = self.clone();
        disk.counts.crashes += 1;
        let mut unit = 0;
        for file in &mut disk.files {
            let count = file.pending();
            file.settle(self.sector, 0, count, &mut disk.counts, &mut || {
                unit += 1;
                fate(unit - 1)
            });
        }
        for change in std::mem::take(&mut disk.changes) {
            match fate(unit) {
                Fate::Lost => disk.counts.names_lost += 1,
                Fate::Kept | Fate::Torn(_) => change.apply(&mut disk.durable_names),
            }
            unit += 1;
        }
        disk.names = disk.durable_names.clone();
        disk.doubtful_changes = 0;
        disk.forget_nameless();
        disk.new_process();
        disk
    }

    /// As it stands after the process was gone and the machine went on: all that was written is there, if not yet durable. What
    /// a failed sync has left in memory is still there and still not durable, or dropped, so that the disk's own bytes show.
    pub fn after_restart(&self) -> Disk {
        let mut disk = self.clone();
        disk.counts.restarts += 1;
        let Disk { files, counts, dice, .. } = &mut disk;
        for file in files {
            let doubtful = file.doubtful();
            if doubtful > 0 && dice.per_mille(500) {
                file.settle(self.sector, 0, doubtful, counts, &mut || any_fate(dice, self.sector, 500));
            }
        }
        // A file system whose names could not be synced takes no more changes. It comes back with some of them.
        if disk.doubtful_changes > 0 {
            let kept = disk.dice.below(disk.changes.len() as u64 + 1) as usize;
            for change in disk.changes.drain(..).take(kept) {
                change.apply(&mut disk.durable_names);
            }
            disk.names = disk.durable_names.clone();
            disk.doubtful_changes = 0;
        }
        disk.new_process();
        disk
    }

    fn new_process(&mut self) {
        self.gone = false;
        (self.crash_at, self.fail_at, self.misdirect_at) = (None, None, None);
        self.operations.clear();
    }

    /// Without files that nothing can open again.
    fn forget_nameless(&mut self) {
        let mut files = Vec::with_capacity(self.names.len());
        for file in self.names.values_mut() {
            files.push(std::mem::take(&mut self.files[*file]));
            *file = files.len() - 1;
        }
        self.files = files;
        self.durable_names = self.names.clone();
    }
}

/// A fate by chance: kept in so many of a thousand, and one sector of eight of the others torn.
pub(super) fn any_fate(dice: &mut Dice, sector: usize, kept: u32) -> Fate {
    if dice.per_mille(kept) {
        Fate::Kept
    } else if dice.below(8) == 0 {
        Fate::Torn(1 + dice.below(sector as u64 - 1) as usize)
    } else {
        Fate::Lost
    }
}
