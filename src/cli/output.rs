//! Files that appear whole or not at all, and standard output that may be closed.

use super::Failure;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file under a temporary name beside its place, opened before long work begins so that a bad path fails at once. What
/// stood there before stays until [`commit`](Pending::commit).
pub struct Pending {
    path: PathBuf,
    temporary: PathBuf,
}

impl Pending {
    /// Makes sure that the path can be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().ok_or_else(|| Failure::usage(format!("{}: not a file name", path.display())))?;
        if path.is_dir() {
            return Err(Failure::usage(format!("{}: is a directory", path.display())));
        }
        let mut temporary_name = name.to_os_string();
        temporary_name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(temporary_name);
        let failed = |error: io::Error| Failure::usage(format!("{} cannot be written: {error}", path.display()));
        File::create(&temporary).map_err(failed)?;
        Ok(Pending { path: path.to_path_buf(), temporary })
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
        fs::rename(&self.temporary, &self.path).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::usage(format!("{} cannot be written: {error}", self.path.display()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After a commit there is nothing to remove; otherwise nothing half-written stays behind.
        let _ = fs::remove_file(&self.temporary);
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
