//! What the journal needs of a disk, as a trait: tests break it in every way that disks break.

use super::Buffer;
use std::io;
use std::time::{Duration, Instant};

/// Offsets and lengths of all writes, and the addresses of what is written, are multiples of this: what disks write at once.
pub const SECTOR: usize = 4096;

const STEPS_WITHOUT_PROGRESS_MAX: u32 = 16;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write; what is written is durable after [`StoredFile::sync`].
    Write,
    /// To write; what is written is durable when [`StoredFile::write_at`] returns, where the system can do that in one step.
    /// [`StoredFile::sync`] must be called all the same: it does what is left to do, which may be nothing.
    WriteThrough,
}

/// A folder of files on something that keeps them.
///
/// Names are plain file names. Creating, renaming and removing a file is durable after [`sync_names`](Storage::sync_names).
pub trait Storage: Clone + Send + Sync + 'static {
    /// One of its files.
    type File: StoredFile;

    /// The names of all files, in any order.
    ///
    /// # Errors
    /// As the system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file.
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists); otherwise as the system.
    fn create(&self, name: &str, access: Access) -> io::Result<Self::File>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound); otherwise as the system.
    fn open(&self, name: &str, access: Access) -> io::Result<Self::File>;

    /// Gives a file another name, at once or not at all. A file that had that name is gone.
    ///
    /// # Errors
    /// As the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable.
    ///
    /// # Errors
    /// As the system. After an error nothing may be relied on: do not try again.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file of a [`Storage`].
pub trait StoredFile: Send + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the system.
    fn length(&self) -> io::Result<u64>;

    /// Reads what is there, up to the length of `out`; 0 at the end of the file. Any offset, any length.
    ///
    /// # Errors
    /// As the system.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Writes, and may write less than all of it: see [`write_all`]. Writing behind the end makes the file longer. Offset,
    /// length and address are multiples of [`SECTOR`].
    ///
    /// # Errors
    /// As the system.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// As the system. After an error nothing may be relied on: do not try again.
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes all of it, however many steps that takes. A step that ends within a sector is taken again from that sector's start:
/// a direct file could not go on from there.
///
/// # Errors
/// As the file, and [`WriteZero`](io::ErrorKind::WriteZero) if it makes no progress.
pub fn write_all<F: StoredFile>(file: &mut F, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    let mut stuck = 0;
    while !bytes.is_empty() {
        let written = match file.write_at(offset, bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let whole = if written == bytes.len() { written } else { written - written % SECTOR };
        stuck = if whole == 0 { stuck + 1 } else { 0 };
        if written == 0 || stuck > STEPS_WITHOUT_PROGRESS_MAX {
            let text = format!("only {written} of {} bytes at offset {offset} were written", bytes.len());
            return Err(io::Error::new(io::ErrorKind::WriteZero, text));
        }
        offset += whole as u64;
        bytes = &bytes[whole..];
    }
    Ok(())
}

/// Reads until `out` is full or the file ends; says how much that was.
///
/// # Errors
/// As the file.
pub fn read_full<F: StoredFile>(file: &F, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < out.len() {
        match file.read_at(offset + done as u64, &mut out[done..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => break,
            Ok(read) => done += read,
        }
    }
    Ok(done)
}

/// Fills a new file up to a length, so that later writes change no metadata: that is what makes them fast. `sector` is shown
/// each sector's number and its bytes, which are zero, and may write there; `pause` how long each step of a MiB took: it may
/// wait, and says whether to go on.
///
/// # Errors
/// As the file.
pub fn fill<F: StoredFile>(
    file: &mut F,
    length: u64,
    mut sector: impl FnMut(u64, &mut [u8]),
    pause: impl Fn(Duration) -> bool,
) -> io::Result<()> {
    const STEP: u64 = 1 << 20;
    let mut bytes = Buffer::new();
    bytes.resize(length.min(STEP) as usize);
    let mut offset = 0;
    while offset < length {
        let begun = Instant::now();
        let step = (length - offset).min(STEP) as usize;
        let first = offset / SECTOR as u64;
        for (number, bytes) in (first..).zip(bytes.as_bytes_mut()[..step].chunks_mut(SECTOR)) {
            sector(number, bytes);
        }
        write_all(file, offset, &bytes.as_bytes()[..step])?;
        // Each step by itself: somebody else's small write would wait for all of a large one.
        file.sync()?;
        offset += step as u64;
        if !pause(begun.elapsed()) {
            return Err(io::Error::other("given up before its end"));
        }
    }
    Ok(())
}
