//! A folder on a real disk.
//!
//! Writes go around the page cache and are durable when they return (`O_DIRECT|O_DSYNC`) where the file system can do that, which
//! is tried once, when the folder is opened. Elsewhere they are buffered, and `fdatasync` makes them durable
//! (`F_FULLFSYNC` on macOS, where nothing less empties the drive's cache). Reads are buffered, always.

use super::storage::{Access, SECTOR, Storage, StoredFile};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Made and removed while a folder is opened. A crash may leave it there. Nobody else has a file of this name.
const PROBE: &str = ".joulebook-probe";

/// A folder of files, opened by its path.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The folder itself: what makes names durable.
    handle: File,
    writes: Writes,
}

/// How files of a folder are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Never,
    Buffered,
    Direct,
}

impl Disk {
    /// Makes a folder, unless it exists, and opens it. Its parent must exist; the new name is durable.
    ///
    /// # Errors
    /// As the system; the error names the path.
    pub fn create(path: &Path) -> Result<Disk> {
        match std::fs::create_dir(path) {
            Ok(()) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let synced = File::open(parent).and_then(|parent| parent.sync_all());
                synced.map_err(|error| about("making the names durable in", parent, error))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(about("making the folder", path, error)),
        }
        Disk::open(path)
    }

    /// Opens a folder that exists, and tries on a file, which is removed again, how its files can be written.
    ///
    /// # Errors
    /// As the system; the error names the path.
    pub fn open(path: &Path) -> Result<Disk> {
        let handle = open_folder(path)?;
        let writes = probe(&path.join(PROBE))?;
        Ok(Disk(Arc::new(Folder { path: path.to_owned(), handle, writes })))
    }

    /// Opens a folder that exists without changing anything in it, now or later: everything but reading is refused.
    ///
    /// # Errors
    /// As the system; the error names the path.
    pub fn open_read_only(path: &Path) -> Result<Disk> {
        let handle = open_folder(path)?;
        Ok(Disk(Arc::new(Folder { path: path.to_owned(), handle, writes: Writes::Never })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How its files are written, in words for whoever starts the program.
    pub fn durability(&self) -> &'static str {
        match self.0.writes {
            Writes::Buffered | Writes::Direct if is_in_memory(&self.0.handle) => {
                "NOTHING IS DURABLE: this file system is in memory (tmpfs)"
            }
            Writes::Never => "opened to be read only: nothing is written",
            Writes::Direct => "direct synchronous writes (O_DIRECT|O_DSYNC)",
            Writes::Buffered if cfg!(target_os = "linux") => {
                "buffered writes and fdatasync, which is slower: this file system has no O_DIRECT"
            }
            Writes::Buffered => "buffered writes and a full sync, which is slower: this system has no O_DIRECT",
        }
    }

    /// Locks the folder for as long as the guard lives, by a lock on a file that is made for it and stays. The system lets
    /// go of it when the process ends, however it ends.
    ///
    /// # Errors
    /// [`WouldBlock`](ErrorKind::WouldBlock) if somebody else holds it; otherwise as the system. The error names the file.
    pub fn lock(&self, name: &str) -> Result<DiskLock> {
        let path = self.place(name, true)?;
        let open = || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(DiskLock { _file: file }),
                Err(TryLockError::WouldBlock) => Err(in_use()),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        open().map_err(|error| about("locking", &path, error))
    }

    /// Keeps those out who [`lock`](Self::lock) the folder, for as long as the guard lives, and changes nothing: for whoever
    /// only reads. Any number of readers share it. `None` if nobody ever locked this folder: there is no such file then.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_shared(&self, name: &str) -> Result<Option<DiskLock>> {
        let path = self.place(name, false)?;
        let open = || {
            let file = File::open(&path)?;
            match file.try_lock_shared() {
                Ok(()) => Ok(DiskLock { _file: file }),
                Err(TryLockError::WouldBlock) => Err(in_use()),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            locked => locked.map(Some).map_err(|error| about("locking", &path, error)),
        }
    }

    /// The path of a file, for reading it or for changing something.
    fn place(&self, name: &str, change: bool) -> Result<PathBuf> {
        let path = self.0.path.join(name);
        if path.file_name() != Some(name.as_ref()) || path.parent() != Some(&self.0.path) {
            let error = Error::new(ErrorKind::InvalidInput, format!("{name:?} is no plain file name"));
            return Err(about("in", &self.0.path, error));
        }
        if change && self.0.writes == Writes::Never {
            let error = Error::new(ErrorKind::PermissionDenied, "the folder was opened to be read only");
            return Err(about("changing", &path, error));
        }
        Ok(path)
    }

    fn file(&self, name: &str, access: Access, create: bool) -> Result<DiskFile> {
        let reads = access == Access::Read;
        let path = self.place(name, create || !reads)?;
        let through = access == Access::WriteThrough;
        let direct = self.0.writes == Writes::Direct && !reads;
        // Only a file opened to write can be made.
        let mut options = OpenOptions::new();
        options.read(true).write(!reads || create).create_new(create);
        if direct {
            ask_for_direct_writes(&mut options, through);
        }
        let doing = if create { "making" } else { "opening" };
        let open = || {
            let file = options.open(&path)?;
            // A direct file could be read at multiples of a sector only.
            let reader = if direct { Some(File::open(&path)?) } else { None };
            advise_to_read_ahead(reader.as_ref().unwrap_or(&file));
            Ok((file, reader))
        };
        let (file, reader) = open().map_err(|error| about(doing, &path, error))?;
        Ok(DiskFile { file, reader, path, writes: !reads, needs_sync: !(direct && through) })
    }
}

fn in_use() -> Error {
    Error::new(ErrorKind::WouldBlock, "another process holds it and uses this folder")
}

fn open_folder(path: &Path) -> Result<File> {
    let open = || {
        let folder = File::open(path)?;
        match folder.metadata()?.is_dir() {
            true => Ok(folder),
            false => Err(ErrorKind::NotADirectory.into()),
        }
    };
    open().map_err(|error| about("opening the folder", path, error))
}

/// Finds out how files next to this one can be written. It is removed before anything is written to it.
fn probe(path: &Path) -> Result<Writes> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    // Refused by the file system, or by the open call of this system: made without it then, to see that files can be made.
    let direct = ask_for_direct_writes(&mut options, true);
    let opened = options.open(path);
    let opened = match opened {
        Err(error) if direct && is_refusal(&error) => {
            OpenOptions::new().write(true).create(true).truncate(true).open(path).map(|_| None)
        }
        other => other.map(Some),
    };
    let file = opened.map_err(|error| about("making the file", path, error))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(about("removing", path, error)),
        _ => {}
    }
    let Some(file) = file.filter(|_| direct) else { return Ok(Writes::Buffered) };
    let mut page = super::Buffer::new();
    page.resize(SECTOR);
    match file.write_at(page.as_bytes(), 0) {
        Ok(_) => Ok(Writes::Direct),
        // Some say so only now.
        Err(error) if is_refusal(&error) => Ok(Writes::Buffered),
        // A folder without room is opened all the same: what it holds can be read, and its segments are written already.
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(Writes::Direct),
        Err(error) => Err(about("writing to", path, error)),
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

fn is_in_memory(folder: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58f6;
        rustix::fs::fstatfs(folder).is_ok_and(|found| [TMPFS, RAMFS].contains(&(found.f_type as u32 as u64)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

/// Whether this system has such writes.
fn ask_for_direct_writes(options: &mut OpenOptions, synchronous: bool) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let sync = if synchronous { OFlags::DSYNC } else { OFlags::empty() };
        options.custom_flags((OFlags::DIRECT | sync).bits() as i32);
        true
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (options, synchronous);
        false
    }
}

/// Says that a file will be read from its start to its end: the system then reads further ahead. It is no harm if it does not.
fn advise_to_read_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// The same error, with what was being done and where.
fn about(doing: &str, path: &Path, error: Error) -> Error {
    Error::new(error.kind(), format!("{doing} {}: {error}", path.display()))
}

impl Storage for Disk {
    type File = DiskFile;

    fn names(&self) -> Result<Vec<String>> {
        let list = || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&self.0.path)? {
                let entry = entry?;
                if !entry.file_type()?.is_dir() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            Ok(names)
        };
        list().map_err(|error| about("listing", &self.0.path, error))
    }

    fn create(&self, name: &str, access: Access) -> Result<DiskFile> {
        self.file(name, access, true)
    }

    fn open(&self, name: &str, access: Access) -> Result<DiskFile> {
        self.file(name, access, false)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.place(from, true)?, self.place(to, true)?);
        std::fs::rename(&from, &to).map_err(|error| about(&format!("renaming {} to", from.display()), &to, error))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.place(name, true)?;
        std::fs::remove_file(&path).map_err(|error| about("removing", &path, error))
    }

    fn sync_names(&self) -> Result<()> {
        self.0.handle.sync_all().map_err(|error| about("making the names durable in", &self.0.path, error))
    }
}

/// A file of a [`Disk`].
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    /// The same file, to be read, if `file` is direct.
    reader: Option<File>,
    path: PathBuf,
    writes: bool,
    needs_sync: bool,
}

impl StoredFile for DiskFile {
    fn length(&self) -> Result<u64> {
        let length = self.file.metadata().map(|metadata| metadata.len());
        length.map_err(|error| about("asking for the length of", &self.path, error))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let (length, read) = (out.len(), self.reader.as_ref().unwrap_or(&self.file).read_at(out, offset));
        read.map_err(|error| about(&format!("reading {length} bytes at offset {offset} of"), &self.path, error))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<usize> {
        // Whether writes are direct or not: what works on one disk works on all.
        let aligned = [offset as usize, bytes.len(), bytes.as_ptr() as usize].iter().all(|at| at % SECTOR == 0);
        let written = if !self.writes {
            Err(Error::new(ErrorKind::PermissionDenied, "the file was opened to be read"))
        } else if !aligned {
            Err(Error::new(ErrorKind::InvalidInput, format!("a write that is not aligned to {SECTOR} bytes")))
        } else {
            self.file.write_at(bytes, offset)
        };
        let length = bytes.len();
        written.map_err(|error| about(&format!("writing {length} bytes at offset {offset} of"), &self.path, error))
    }

    fn sync(&mut self) -> Result<()> {
        if !self.needs_sync {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| about("making durable", &self.path, error))
    }
}

/// A folder that is locked for as long as this lives.
#[derive(Debug)]
pub struct DiskLock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::super::Buffer;
    use super::super::storage::{fill, read_full, write_all};
    use super::*;

    fn folder_beside_the_build() -> tempfile::TempDir {
        // The temporary folder of the system is often no disk.
        let near = std::env::current_exe().unwrap();
        tempfile::tempdir_in(near.parent().unwrap()).unwrap()
    }

    /// One on whatever holds the build, and one in memory if there is such a place.
    fn folders() -> Vec<tempfile::TempDir> {
        let mut folders = vec![folder_beside_the_build()];
        folders.extend(tempfile::tempdir_in("/dev/shm"));
        folders
    }

    fn page(fill: u8, sectors: usize) -> Buffer {
        let mut page = Buffer::new();
        page.extend(&vec![fill; sectors * SECTOR]);
        page
    }

    #[test]
    fn what_is_written_is_read_with_every_access_on_disk_and_in_memory() {
        for folder in folders() {
            let disk = Disk::open(folder.path()).unwrap();
            println!("{}: {}", folder.path().display(), disk.durability());
            assert_eq!(disk.durability().contains("memory"), is_in_memory(&disk.0.handle));
            assert!(disk.names().unwrap().is_empty(), "nothing of the probe is left");
            for (name, access) in [("a", Access::Write), ("b", Access::WriteThrough)] {
                let mut file = disk.create(name, access).unwrap();
                fill(&mut file, (3 << 20) + SECTOR as u64, |_, _| {}, |_| true).unwrap();
                assert_eq!(file.length().unwrap(), (3 << 20) + SECTOR as u64);
                write_all(&mut file, SECTOR as u64, page(7, 2).as_bytes()).unwrap();
                // Behind the end, with a hole before it.
                write_all(&mut file, 4 << 20, page(9, 1).as_bytes()).unwrap();
                file.sync().unwrap();
                let mut out = vec![0; 5 << 20];
                let reader = disk.open(name, Access::Read).unwrap();
                assert_eq!(read_full(&reader, 0, &mut out).unwrap(), (4 << 20) + SECTOR);
                let nonzero = |from: usize, to: usize, fill: u8| out[from..to].iter().all(|&byte| byte == fill);
                assert!(nonzero(0, SECTOR, 0) && nonzero(SECTOR, 3 * SECTOR, 7) && nonzero(3 * SECTOR, 4 << 20, 0));
                assert!(nonzero(4 << 20, (4 << 20) + SECTOR, 9));
                // Any offset, any length, from the end that writes, too.
                for file in [&file, &disk.open(name, access).unwrap(), &reader] {
                    let mut odd = [0; 3];
                    assert_eq!(read_full(file, SECTOR as u64 - 1, &mut odd).unwrap(), 3);
                    assert_eq!(odd, [0, 7, 7]);
                }
                write_all(&mut file, SECTOR as u64, page(8, 1).as_bytes()).unwrap();
                assert_eq!(read_full(&reader, SECTOR as u64, &mut out[..2 * SECTOR]).unwrap(), 2 * SECTOR);
                assert_eq!((out[0], out[SECTOR]), (8, 7));
            }
        }
    }

    #[test]
    fn writes_that_are_not_aligned_are_refused_whatever_the_disk() {
        for folder in folders() {
            let disk = Disk::open(folder.path()).unwrap();
            let mut file = disk.create("a", Access::WriteThrough).unwrap();
            let two = page(1, 2);
            for (offset, bytes) in [
                (1, &two.as_bytes()[..SECTOR]),
                (0, &two.as_bytes()[..SECTOR - 1]),
                (0, &two.as_bytes()[512..512 + SECTOR]),
            ] {
                let error = file.write_at(offset, bytes).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains(&*folder.path().join("a").to_string_lossy()), "{error}");
            }
            assert_eq!(file.length().unwrap(), 0);
            let error = disk.open("a", Access::Read).unwrap().write_at(0, two.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }

    #[test]
    fn a_folder_without_direct_writes_says_so_and_works() {
        let folder = folder_beside_the_build();
        let handle = open_folder(folder.path()).unwrap();
        let disk = Disk(Arc::new(Folder { path: folder.path().to_owned(), handle, writes: Writes::Buffered }));
        assert!(disk.durability().contains("buffered") || is_in_memory(&disk.0.handle));
        for access in [Access::Write, Access::WriteThrough] {
            let name = format!("{access:?}");
            let mut file = disk.create(&name, access).unwrap();
            assert!(file.needs_sync && file.reader.is_none());
            write_all(&mut file, 0, page(3, 1).as_bytes()).unwrap();
            file.sync().unwrap();
            let mut out = [0; SECTOR + 1];
            assert_eq!(read_full(&disk.open(&name, Access::Read).unwrap(), 0, &mut out).unwrap(), SECTOR);
            assert!(out[..SECTOR].iter().all(|&byte| byte == 3));
        }
    }

    #[test]
    fn only_a_direct_file_that_writes_through_needs_no_sync() {
        let folder = folder_beside_the_build();
        let disk = Disk::open(folder.path()).unwrap();
        let direct = disk.0.writes == Writes::Direct;
        assert!(disk.create("a", Access::Write).unwrap().needs_sync);
        assert_eq!(disk.create("b", Access::WriteThrough).unwrap().needs_sync, !direct);
        #[cfg(target_os = "linux")]
        if direct {
            use rustix::fs::{OFlags, fcntl_getfl};
            let flags = |access| fcntl_getfl(&disk.open("a", access).unwrap().file).unwrap();
            assert!(flags(Access::WriteThrough).contains(OFlags::DIRECT | OFlags::DSYNC));
            assert!(flags(Access::Write).contains(OFlags::DIRECT) && !flags(Access::Write).contains(OFlags::DSYNC));
            assert!(!flags(Access::Read).intersects(OFlags::DIRECT | OFlags::DSYNC));
        }
    }

    #[test]
    fn names_are_made_renamed_and_removed_and_errors_say_where() {
        let folder = folder_beside_the_build();
        assert!(Disk::open(&folder.path().join("sub")).unwrap_err().to_string().contains("sub"));
        let disk = Disk::create(&folder.path().join("sub")).unwrap();
        let disk = Disk::create(disk.path()).expect("a folder that exists is opened");
        drop(disk.create("a", Access::Write).unwrap());
        assert_eq!(disk.create("a", Access::Write).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let error = disk.open("b", Access::Read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(&*disk.path().join("b").to_string_lossy()), "{error}");
        disk.rename("a", "b").unwrap();
        drop(disk.create("c", Access::WriteThrough).unwrap());
        std::fs::create_dir(disk.path().join("folder")).unwrap();
        disk.sync_names().unwrap();
        let mut names = disk.names().unwrap();
        names.sort();
        assert_eq!(names, ["b", "c"]);
        disk.rename("c", "b").unwrap();
        disk.remove("b").unwrap();
        assert!(disk.names().unwrap().is_empty());
        assert_eq!(disk.remove("b").unwrap_err().kind(), ErrorKind::NotFound);
        for bad in ["", ".", "..", "../a", "/a", "folder/a", "a/"] {
            assert_eq!(disk.create(bad, Access::Write).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Disk::open(&file).unwrap_err().kind(), ErrorKind::NotADirectory);
    }

    #[test]
    fn a_lock_keeps_a_second_holder_out() {
        let folder = folder_beside_the_build();
        let disk = Disk::open(folder.path()).unwrap();
        let lock = disk.lock("lock").unwrap();
        let error = Disk::open(folder.path()).unwrap().lock("lock").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().contains(&*folder.path().join("lock").to_string_lossy()), "{error}");
        // Whoever only reads is kept out as well, and keeps others out; but not other readers.
        let readers = Disk::open_read_only(folder.path()).unwrap();
        assert_eq!(readers.lock_shared("lock").unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(lock);
        let shared = [(); 2].map(|()| readers.lock_shared("lock").unwrap().expect("the file is there"));
        assert_eq!(disk.lock("lock").unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(shared);
        disk.lock("lock").expect("nobody holds it any more");
        assert!(readers.lock_shared("other").unwrap().is_none());
        assert_eq!(disk.names().unwrap(), ["lock"], "reading made none");
    }

    #[test]
    fn a_folder_to_be_read_only_is_not_changed() {
        let folder = folder_beside_the_build();
        let file = folder.path().join("a");
        std::fs::write(&file, [5; 10]).unwrap();
        let disk = Disk::open_read_only(folder.path()).unwrap();
        let mut out = [0; 20];
        assert_eq!(read_full(&disk.open("a", Access::Read).unwrap(), 0, &mut out).unwrap(), 10);
        let refusals = [
            disk.create("b", Access::Read).unwrap_err(),
            disk.open("a", Access::Write).unwrap_err(),
            disk.open("a", Access::WriteThrough).unwrap_err(),
            disk.rename("a", "b").unwrap_err(),
            disk.remove("a").unwrap_err(),
            disk.lock("lock").unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
        assert_eq!((disk.names().unwrap(), std::fs::read(&file).unwrap()), (vec!["a".to_string()], vec![5; 10]));
    }
}
