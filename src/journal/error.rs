//! What can go wrong with a journal.

use std::io;
use thiserror::Error;

/// Why a journal cannot be read, or takes no more.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system could not do something. While writing, this is final: what was not acknowledged may or may not be there.
    #[error("{file}: {action} failed: {source}")]
    Io {
        /// Which file.
        file: String,
        /// What was to be done.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A frame that was durable is damaged: something that was acknowledged may be lost.
    #[error(
        "{file} is damaged at byte {offset}: frame {frame} is not there, but was durable, because {evidence}; \
         nothing was changed, restore this file from a copy"
    )]
    Damaged {
        /// Which segment.
        file: String,
        /// Where the frame should start.
        offset: u64,
        /// Its number.
        frame: u64,
        /// How that is known.
        evidence: String,
    },
    /// A segment's header is damaged, both copies of it.
    #[error("{file} is damaged: it has no readable segment header; nothing was changed, restore this file from a copy")]
    Header {
        /// Which segment.
        file: String,
    },
    /// The segment is of another version of the format.
    #[error("{file} has format version {found}; this program reads version {expected}")]
    Version {
        /// Which segment.
        file: String,
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// The segment is of another journal, or under another's name.
    #[error("{file} does not belong here: {why}")]
    Foreign {
        /// Which segment.
        file: String,
        /// What is different.
        why: String,
    },
    /// A segment is gone.
    #[error("{file} is missing, but {why}; nothing was changed, restore it from a copy")]
    Missing {
        /// Which segment.
        file: String,
        /// How that is known.
        why: String,
    },
    /// There is no room for another group. Nothing was written and nothing is lost: with room again, it goes on.
    #[error("the journal is full: {why}")]
    Full {
        /// What the limit is.
        why: String,
    },
    /// A group is longer than a frame may be. Nothing was written.
    #[error("a group has {given} bytes and may have {most}")]
    TooLong {
        /// Its length in bytes.
        given: usize,
        /// The most that fits.
        most: usize,
    },
    /// An earlier write failed: what is on disk is not known, so nothing more is written.
    #[error("the journal stopped at an earlier error: {first}")]
    Stopped {
        /// That error.
        first: String,
    },
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
}

impl JournalError {
    /// For `map_err`: what was to be done, with which file.
    pub(super) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> JournalError {
        move |source| JournalError::Io { file: file.to_string(), action, source }
    }
}
