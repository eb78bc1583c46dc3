//! Files that appear whole or not at all, folders that do not stay, and standard output that may be closed.

use super::Failure;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Temporary files and folders that exist now: whoever ends the program early removes them.
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes all temporary files and folders, when the program must end at once.
pub fn remove_temporaries() {
    for path in TEMPORARIES.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).drain(..) {
        if path.is_dir() {
            let _ = remove_folder(&path);
        } else {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a folder in which somebody may still be making files: not for long, since making one in a folder that is gone fails.
fn remove_folder(path: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(_) if tries < 50 => tries += 1,
            done => return done,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder in a folder, for as long as this lives.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes it in `place`, which exists, under a name of its own.
    pub fn create(place: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::usage(format!("{} cannot be written: {error}", place.display()));
        if !fs::metadata(place).map_err(failed)?.is_dir() {
            return Err(Failure::usage(format!("{} is a file, not a folder", place.display())));
        }
        // Another process with this number may have left one, where it was killed.
        let path = |at: u32| place.join(format!("joulebook-durable.{}.{at}.part", std::process::id()));
        let mut at = 0;
        while let Err(error) = fs::create_dir(path(at)) {
            if error.kind() != ErrorKind::AlreadyExists {
                return Err(failed(error));
            }
            at += 1;
        }
        TEMPORARIES.lock().expect("nobody panics while holding it").push(path(at));
        Ok(TemporaryFolder(path(at)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.0) {
            print_error(&format!("{} is left behind: {error}\n", self.0.display()));
        }
        if let Ok(mut temporaries) = TEMPORARIES.lock() {
            temporaries.retain(|path| *path != self.0);
        }
    }
}

/// A file under a temporary name beside its place, opened before long work begins so that a bad path fails at once. What
/// stood there before stays until [`commit`](Pending::commit). A device or a pipe is written to as it is.
pub struct Pending {
    /// As the user wrote it.
    named: PathBuf,
    /// Where the file is, symbolic links followed.
    path: PathBuf,
    temporary: PathBuf,
}

impl Pending {
    /// Makes sure that the path can be written.
    pub fn create(named: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::usage(format!("{} cannot be written: {error}", named.display()));
        let exists = fs::metadata(named).ok();
        if exists.as_ref().is_some_and(|found| found.is_dir()) {
            return Err(Failure::usage(format!("{} is a directory, not a file name", named.display())));
        }
        let name = named.file_name().ok_or_else(|| Failure::usage(format!("{}: not a file name", named.display())))?;
        let path = if exists.is_some() { fs::canonicalize(named).map_err(failed)? } else { named.to_path_buf() };
        if exists.is_some_and(|found| !found.is_file()) {
            return Ok(Pending { named: named.to_path_buf(), temporary: path.clone(), path });
        }
        let mut temporary_name = name.to_os_string();
        temporary_name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(temporary_name);
        File::create(&temporary).map_err(failed)?;
        TEMPORARIES.lock().expect("nobody panics while holding it").push(temporary.clone());
        Ok(Pending { named: named.to_path_buf(), path, temporary })
    }

    /// Whether both are the same file.
    pub fn is_same(&self, other: &Path) -> bool {
        let real = |path: &Path| {
            fs::canonicalize(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
                .map(|folder| folder.join(path.file_name().unwrap_or_default()))
        };
        let other = fs::canonicalize(other).or_else(|_| real(other));
        matches!((real(&self.path), other), (Ok(mine), Ok(other)) if mine == other)
    }

    /// The path as the user wrote it.
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Where to write meanwhile.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Writes the whole content and commits.
    pub fn write(self, content: &[u8]) -> Result<(), Failure> {
        fs::write(&self.temporary, content).map_err(|error| self.failed(error))?;
        self.commit()
    }

    /// Puts the file in its place.
    pub fn commit(self) -> Result<(), Failure> {
        if self.temporary == self.path {
            return Ok(());
        }
        fs::rename(&self.temporary, &self.path).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::usage(format!("{} cannot be written: {error}", self.named.display()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.temporary == self.path {
            return;
        }
        // After a commit there is nothing to remove; otherwise nothing half-written stays behind.
        let _ = fs::remove_file(&self.temporary);
        if let Ok(mut temporaries) = TEMPORARIES.lock() {
            temporaries.retain(|path| *path != self.temporary);
        }
    }
}

/// Prints to standard output; a reader that closed it (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints to standard error, as far as it is open: there is nowhere else to complain.
pub fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The files that options name, each ready to be written. Bad paths fail now, not after a minute of work, and so do two options
/// that name one file.
pub fn pending<const N: usize>(named: [(&str, Option<&Path>); N]) -> Result<[Option<Pending>; N], Failure> {
    let mut files: [Option<Pending>; N] = std::array::from_fn(|_| None);
    for (at, (option, path)) in named.into_iter().enumerate() {
        let Some(path) = path else { continue };
        for (file, (other, _)) in files[..at].iter().zip(named) {
            if file.as_ref().is_some_and(|file| file.is_same(path)) {
                return Err(Failure::usage(format!("{other} and {option} are the same file, {}", path.display())));
            }
        }
        files[at] = Some(Pending::create(path)?);
    }
    Ok(files)
}

/// Only JSON goes to standard output: a page there would be mixed with the tables.
pub fn refuse_stdout(option: &str, path: Option<&Path>) -> Result<(), Failure> {
    if path != Some(Path::new("-")) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{option} is -, but only --json writes to standard output: name a file, report.html say"
    )))
}

/// A partial report does not take the place of a report that is there already: it goes beside it.
pub fn keep_complete(json: Pending, complete: bool) -> Result<Pending, Failure> {
    if complete || !json.named().is_file() {
        return Ok(json);
    }
    let mut beside = json.named().as_os_str().to_os_string();
    beside.push(".partial");
    print_error(&format!("{} is kept; the partial report is {}\n", json.named().display(), beside.display()));
    Pending::create(Path::new(&beside))
}

/// Prints a report's text, which is asked for with the columns and whether headings may be bold. What goes to standard output
/// instead, if anything, drives the text to standard error.
pub fn print_report(text: impl Fn(u16, bool) -> String, instead: Option<String>) -> Result<(), Failure> {
    match instead {
        Some(instead) => {
            print_error(&text(columns(), false));
            print(&instead)
        }
        None => {
            let bold = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print(&text(columns(), bold))
        }
    }
}

/// Width of the terminal, within what tables can use; 120 where there is none.
fn columns() -> u16 {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    if size == 0 { 120 } else { size.clamp(60, 140) }
}
