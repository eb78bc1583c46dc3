//! A disk in memory that breaks on purpose: crashes between and within operations, and the faults that disks have. All chance
//! comes from one seed, so that a schedule that shows a bug can be played again. The journal's tests run on it; whoever embeds
//! the library may test with it, too.
//!
//! ```
//! use joulebook::journal::Buffer;
//! use joulebook::journal::sim::{Fate, SimStorage};
//! use joulebook::journal::storage::{Access, SECTOR, Storage, StoredFile};
//!
//! let disk = SimStorage::new(42, SECTOR);
//! let mut page = Buffer::new();
//! page.resize(SECTOR);
//! let mut file = disk.create("file", Access::Write).unwrap();
//! disk.sync_names().unwrap();
//! file.write_at(0, page.as_bytes()).unwrap();
//! assert_eq!(disk.pending(), 1); // one sector is written and not durable
//! let lost = disk.reopen_with(|_| Fate::Lost); // the power fails
//! assert_eq!(lost.open("file", Access::Read).unwrap().length().unwrap(), 0);
//! assert!(file.sync().is_err()); // the process that had it open is gone
//! ```
//!
//! What it does not model: reads that return old data and then new, errors that go away by themselves, and writes through one
//! handle that another one does not see.

mod disk;
mod faults;
#[cfg(test)]
mod tests;

pub use faults::{Counts, Faults};

use super::storage::{Access, SECTOR, Storage, StoredFile};
use disk::{Disk, Inode, NameChange, any_fate};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk is asked to do. Each one is numbered, from 1 in each process, and can be a crash point; reads and opens are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Storage::create`].
    Create,
    /// [`Storage::rename`].
    Rename,
    /// [`Storage::remove`].
    Remove,
    /// [`Storage::sync_names`].
    SyncNames,
    /// [`StoredFile::write_at`] with [`Access::Write`].
    Write,
    /// [`StoredFile::write_at`] with [`Access::WriteThrough`].
    WriteThrough,
    /// [`StoredFile::sync`].
    Sync,
}

/// What becomes of something pending when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never reached the disk.
    Lost,
    /// It did.
    Kept,
    /// So many bytes of the sector did; the rest is as it was before. Of a change of names, which is atomic: kept.
    Torn(usize),
}

/// A simulated disk, as one process sees it. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimStorage(Arc<Mutex<Disk>>);

/// A file of a [`SimStorage`].
#[derive(Debug)]
pub struct SimFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
    access: Access,
}

fn gone() -> io::Error {
    io::Error::other("simulated: the process is gone")
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("simulated: {what} failed, input/output error"))
}

/// What happens to an operation besides what it is meant to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Well,
    Crash,
    Fail,
    Misdirect,
}

impl Disk {
    fn begin(&mut self, operation: Operation) -> io::Result<Turn> {
        if self.gone {
            return Err(gone());
        }
        self.operations.push(operation);
        self.counts.operations += 1;
        let number = Some(self.operations.len() as u64);
        let often = match operation {
            Operation::Write | Operation::WriteThrough => self.faults.failed_writes,
            Operation::Sync | Operation::SyncNames => self.faults.failed_syncs,
            Operation::Create | Operation::Rename | Operation::Remove => 0,
        };
        Ok(if number == self.crash_at {
            self.gone = true;
            Turn::Crash
        } else if number == self.fail_at || self.dice.per_mille(often) {
            Turn::Fail
        } else if number == self.misdirect_at {
            Turn::Misdirect
        } else {
            Turn::Well
        })
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("simulated: no file {name}"));
        self.names.get(name).copied().ok_or_else(missing)
    }

    fn rename_or_remove(
        &mut self,
        what: Operation,
        name: &str,
        change: impl FnOnce(usize) -> NameChange,
    ) -> io::Result<()> {
        let turn = self.begin(what)?;
        let file = self.find(name)?;
        if turn == Turn::Fail {
            return Err(broken("a change of names"));
        }
        self.change(change(file));
        if turn == Turn::Crash { Err(gone()) } else { Ok(()) }
    }

    /// Another place that is as long, or as long as it gets, in any file.
    fn elsewhere(&mut self, file: usize, offset: u64, length: usize) -> Option<(usize, u64, usize)> {
        let places: Vec<(usize, u64)> = self.names.values().map(|&file| (file, self.files[file].length)).collect();
        for _ in 0..16 {
            let (other, end) = places[self.dice.below(places.len().max(1) as u64) as usize];
            if end >= SECTOR as u64 {
                let to = self.dice.below(end / SECTOR as u64) * SECTOR as u64;
                if (other, to) != (file, offset) {
                    return Some((other, to, length.min((end - to) as usize)));
                }
            }
        }
        None
    }
}

impl SimStorage {
    /// An empty disk. A crash decides over sectors of so many bytes one by one, and may tear one.
    ///
    /// # Panics
    /// If a sector is not 512 or 4,096 bytes.
    pub fn new(seed: u64, sector: usize) -> Self {
        assert!(sector == 512 || sector == SECTOR, "a sector has 512 or 4096 bytes, not {sector}");
        Self::of(Disk::new(seed, sector))
    }

    fn of(disk: Disk) -> Self {
        SimStorage(Arc::new(Mutex::new(disk)))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A disk of its own with the same state, but for what chance holds for it.
    pub fn fork(&self, seed: u64) -> SimStorage {
        let mut disk = self.disk().clone();
        disk.dice = faults::Dice::new(seed);
        Self::of(disk)
    }

    /// What may go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }

    /// How many bytes all files together may have from now on. Writes within a file go on working at any size.
    pub fn set_capacity(&self, bytes: u64) {
        self.disk().capacity = bytes;
    }

    /// Bytes that all files together have.
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// The power fails within the operation of this number, counted from 1 since this process began: it may take effect or not,
    /// and returns an error, as does everything after it.
    pub fn crash_at(&self, operation: u64) {
        self.disk().crash_at = Some(operation);
    }

    /// The operation of this number returns an error.
    pub fn fail_at(&self, operation: u64) {
        self.disk().fail_at = Some(operation);
    }

    /// The operation of this number, if it is a write, lands elsewhere.
    pub fn misdirect_at(&self, operation: u64) {
        self.disk().misdirect_at = Some(operation);
    }

    /// Whether the process is gone: after a crash, and once the disk was reopened or restarted.
    pub fn is_gone(&self) -> bool {
        self.disk().gone
    }

    /// Operations since this process began, in order.
    pub fn operations(&self) -> Vec<Operation> {
        self.disk().operations.clone()
    }

    /// How many operations that were.
    pub fn operation_count(&self) -> u64 {
        self.disk().operations.len() as u64
    }

    /// What was done, over all processes.
    pub fn counts(&self) -> Counts {
        self.disk().counts
    }

    /// How many sectors and changes of names a crash now would decide over.
    pub fn pending(&self) -> usize {
        self.disk().pending()
    }

    /// The power fails, if it did not yet, and comes back: the disk as the next process finds it, by chance.
    pub fn reopen(&self) -> SimStorage {
        let mut disk = self.disk();
        let mut dice = faults::Dice::new(disk.dice.word());
        let sector = disk.sector;
        // A disk that writes in order of arrival, or not at all, is a case of its own: so is one that lost next to nothing.
        let kept = [0, 100, 500, 900, 1_000][dice.below(5) as usize];
        disk.gone = true;
        let after = disk.after_crash(&mut |_| any_fate(&mut dice, sector, kept));
        Self::of(after)
    }

    /// The power fails, if it did not yet, and comes back: the disk as the next process finds it, by what is said of each
    /// pending thing: sectors first, in the order of files and then of writes, then changes of names. The same crash can be
    /// asked again with other fates.
    pub fn reopen_with(&self, mut fate: impl FnMut(usize) -> Fate) -> SimStorage {
        let mut disk = self.disk();
        disk.gone = true;
        Self::of(disk.after_crash(&mut fate))
    }

    /// The process ends, if it did not yet, and the machine goes on: what was written is there and still not durable.
    pub fn restart(&self) -> SimStorage {
        let mut disk = self.disk();
        disk.gone = true;
        Self::of(disk.after_restart())
    }

    /// A file's bytes as a reader sees them, without faults; also after the process is gone.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let disk = self.disk();
        let file = &disk.files[disk.find(name).expect("a file that exists")];
        let mut out = vec![0; file.length as usize];
        file.read(disk.sector, 0, &mut out);
        out
    }

    /// A bit of a file at rest turns over.
    ///
    /// # Panics
    /// If there is no such file, or no such bit in it.
    pub fn flip_bit(&self, name: &str, bit: u64) {
        self.damage(name, bit / 8, |byte| byte ^ 1 << (bit % 8));
        self.disk().counts.flipped += 1;
    }

    /// A byte of a file at rest changes.
    ///
    /// # Panics
    /// If there is no such file, or no such byte in it.
    pub fn damage(&self, name: &str, offset: u64, change: impl Fn(u8) -> u8) {
        let mut disk = self.disk();
        let (file, sector) = (disk.find(name).expect("a file that exists"), disk.sector);
        let file: &mut Inode = &mut disk.files[file];
        assert!(offset < file.length, "{name} has {} bytes: there is no byte {offset}", file.length);
        file.damage(sector, offset, change);
    }
}

impl Storage for SimStorage {
    type File = SimFile;

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.disk();
        if disk.gone { Err(gone()) } else { Ok(disk.names.keys().cloned().collect()) }
    }

    fn create(&self, name: &str, access: Access) -> io::Result<SimFile> {
        let mut disk = self.disk();
        let turn = disk.begin(Operation::Create)?;
        if disk.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("simulated: {name} exists")));
        }
        if turn == Turn::Fail {
            return Err(broken("a change of names"));
        }
        disk.files.push(Inode::default());
        let file = disk.files.len() - 1;
        disk.change(NameChange::Link { name: name.to_string(), file });
        if turn == Turn::Crash { Err(gone()) } else { Ok(SimFile { disk: self.0.clone(), file, access }) }
    }

    fn open(&self, name: &str, access: Access) -> io::Result<SimFile> {
        let disk = self.disk();
        if disk.gone {
            return Err(gone());
        }
        Ok(SimFile { disk: self.0.clone(), file: disk.find(name)?, access })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let change = |file| NameChange::Move { from: from.to_string(), to: to.to_string(), file };
        self.disk().rename_or_remove(Operation::Rename, from, change)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let change = |file| NameChange::Unlink { name: name.to_string(), file };
        self.disk().rename_or_remove(Operation::Remove, name, change)
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.disk();
        match disk.begin(Operation::SyncNames)? {
            Turn::Well | Turn::Misdirect => disk.sync_names(),
            Turn::Crash => return Err(gone()),
            Turn::Fail => {
                disk.counts.failed_syncs += 1;
                disk.sync_names_fails();
                return Err(broken("a sync of names"));
            }
        }
        Ok(())
    }
}

impl SimFile {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl StoredFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        let disk = self.disk();
        if disk.gone { Err(gone()) } else { Ok(disk.files[self.file].length) }
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.disk();
        if disk.gone {
            return Err(gone());
        }
        let Faults { interrupted, failed_reads, short_reads, .. } = disk.faults;
        if disk.dice.per_mille(interrupted) {
            disk.counts.interrupted += 1;
            return Err(io::ErrorKind::Interrupted.into());
        }
        if disk.dice.per_mille(failed_reads) {
            disk.counts.failed_reads += 1;
            return Err(broken("a read"));
        }
        let mut length = disk.files[self.file].length.saturating_sub(offset).min(out.len() as u64);
        if length > 1 && disk.dice.per_mille(short_reads) {
            disk.counts.short_reads += 1;
            length = 1 + disk.dice.below(length - 1);
        }
        disk.files[self.file].read(disk.sector, offset, &mut out[..length as usize]);
        Ok(length as usize)
    }

    /// # Panics
    /// If offset, length or address is not a multiple of [`SECTOR`]: a direct write of a real disk would fail.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let aligned = [offset, bytes.len() as u64, bytes.as_ptr() as u64].map(|x| x.is_multiple_of(SECTOR as u64));
        assert_eq!(
            aligned,
            [true; 3],
            "offset {offset}, length {}, address {:p}: not aligned",
            bytes.len(),
            bytes.as_ptr()
        );
        let through = match self.access {
            Access::WriteThrough => true,
            Access::Write => false,
            Access::Read => return Err(io::ErrorKind::PermissionDenied.into()),
        };
        let mut disk = self.disk();
        let mut turn = disk.begin(if through { Operation::WriteThrough } else { Operation::Write })?;
        let Disk { faults, dice, counts, .. } = &mut *disk;
        if turn == Turn::Well {
            if dice.per_mille(faults.interrupted) {
                counts.interrupted += 1;
                return Err(io::ErrorKind::Interrupted.into());
            }
            if dice.per_mille(faults.misdirected) {
                turn = Turn::Misdirect;
            }
        }
        let mut length = bytes.len();
        if length > 0 && dice.per_mille(faults.short_writes) {
            counts.short_writes += 1;
            length = 1 + dice.below(length as u64 - 1) as usize;
        }
        let growth = (offset + length as u64).saturating_sub(disk.files[self.file].length);
        let room = if growth > 0 { disk.capacity.saturating_sub(disk.used()) } else { 0 };
        if growth > room {
            let fits = (length as u64).saturating_sub(growth - room) / SECTOR as u64 * SECTOR as u64;
            if fits == 0 {
                disk.counts.full += 1;
                return Err(if turn == Turn::Crash { gone() } else { io::ErrorKind::StorageFull.into() });
            }
            disk.counts.short_writes += 1;
            length = fits as usize;
        }
        let (mut file, mut to, mut part) = (self.file, offset, length);
        if turn == Turn::Misdirect
            && let Some(place) = disk.elsewhere(file, offset, length)
        {
            disk.counts.misdirected += 1;
            (file, to, part) = place;
        }
        let Disk { sector, files, counts, dice, .. } = &mut *disk;
        let before = files[file].pending();
        match turn {
            Turn::Well | Turn::Misdirect if through => files[file].write_through(*sector, to, &bytes[..part]),
            _ => files[file].write(*sector, to, &bytes[..part]),
        }
        match turn {
            Turn::Crash => return Err(gone()),
            Turn::Fail => {
                counts.failed_writes += 1;
                let after = files[file].pending();
                files[file]
                    .settle(*sector, before, after, &mut Counts::default(), &mut || any_fate(dice, *sector, 500));
                return Err(broken("a write"));
            }
            Turn::Well | Turn::Misdirect => {}
        }
        Ok(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        let turn = disk.begin(Operation::Sync)?;
        let sector = disk.sector;
        match turn {
            Turn::Well | Turn::Misdirect => disk.files[self.file].sync(sector),
            Turn::Crash => return Err(gone()),
            Turn::Fail => {
                disk.counts.failed_syncs += 1;
                disk.files[self.file].sync_fails();
                return Err(broken("a sync"));
            }
        }
        Ok(())
    }
}
