//! The answers of a node on their way out, and what they say, counted.

use super::Failure;
use joulebook::event::Event;
use joulebook::wire::{Form, Reply};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// See the module.
pub struct Answers {
    out: File,
    /// The file, if it was made just now.
    made: Option<PathBuf>,
    /// In which form they go: that of the requests.
    pub form: Form,
    buffer: Vec<u8>,
    /// They cannot be written any more.
    broken: bool,
    /// Requests that were taken.
    pub taken: u64,
    /// New commands that were accepted.
    pub accepted: u64,
    /// New commands that the market rejected.
    pub rejected: u64,
    /// Requests that had been carried out before, and were answered again.
    pub repeats: u64,
    /// Requests that were not carried out.
    pub refused: u64,
    /// Fills that new commands caused.
    pub fills: u64,
}

impl Answers {
    /// Makes sure that they can be written. A file that holds something is left alone.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::usage(format!("{} cannot be written: {error}", path.display()));
        let (out, made) = if path == Path::new("-") {
            // Without the buffer of the standard library's, which looks for lines.
            (io::stdout().as_fd().try_clone_to_owned().map(File::from), None)
        } else {
            let found = fs::metadata(path).ok();
            if found.as_ref().is_some_and(|found| found.is_dir()) {
                return Err(Failure::usage(format!("{} is a directory, not a file name", path.display())));
            }
            if found.as_ref().is_some_and(|found| found.is_file() && found.len() > 0) {
                let why = "holds something already: answers to a new file, or remove it first";
                return Err(Failure::usage(format!("{} {why}", path.display())));
            }
            let made = found.is_none().then(|| path.to_path_buf());
            (OpenOptions::new().write(true).create(true).truncate(false).open(path), made)
        };
        Ok(Answers {
            out: out.map_err(failed)?,
            made,
            form: Form::Lines,
            buffer: Vec::new(),
            broken: false,
            taken: 0,
            accepted: 0,
            rejected: 0,
            repeats: 0,
            refused: 0,
            fills: 0,
        })
    }

    /// Takes one.
    pub fn give(&mut self, reply: Reply<'_>) {
        match reply {
            Reply::Refused(_) => self.refused += 1,
            Reply::Answer(answer) if answer.repeat => self.repeats += 1,
            Reply::Answer(answer) => {
                match answer.events {
                    [Event::Rejected { .. }] => self.rejected += 1,
                    _ => self.accepted += 1,
                }
                let fills = answer.events.iter().filter(|event| matches!(event, Event::Fill { .. }));
                self.fills += fills.count() as u64;
            }
        }
        self.form.write_reply(&reply, &mut self.buffer);
    }

    /// Answers that were taken.
    pub fn given(&self) -> u64 {
        self.accepted + self.rejected + self.repeats + self.refused
    }

    /// Requests that have no answer yet.
    pub fn waiting(&self) -> u64 {
        self.taken - self.given()
    }

    /// Bytes that are not written yet.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Writes all of them. After an error, which is given once, they go nowhere: nobody could tell where one begins.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = if self.broken { Ok(()) } else { self.out.write_all(&self.buffer) };
        self.buffer.clear();
        self.broken |= written.is_err();
        written
    }

    /// From now on a file that was made for them stays, with or without some.
    pub fn keep(&mut self) {
        self.made = None;
    }
}

impl Drop for Answers {
    /// A file that was made for nothing does not stay.
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            let _ = fs::remove_file(made);
        }
    }
}
