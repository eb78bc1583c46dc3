//! What hashes on this machine. Holding a [`Platform`] is the proof that the CPU has its instructions.

use super::batch::Times;
use super::portable::{HeaderHasher, sha256d};
use super::scan::{Candidates, Job};
use super::{Digest, sha256};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, sha_ni::ShaNi};
use std::fmt;
use std::sync::OnceLock;
use thiserror::Error;

/// One way to hash that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform(Kernel);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Why there is no such platform here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlatformError {
    /// No kernel has this name.
    #[error("no hashing kernel is called {name:?}; this machine can run {available}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// What this machine can run.
        available: String,
    },
    /// The CPU lacks its instructions.
    #[error("this CPU cannot run the {name} hashing kernel; it can run {available}")]
    Missing {
        /// The name asked for.
        name: &'static str,
        /// What this machine can run.
        available: String,
    },
    /// The process already hashes with another one.
    #[error("hashing with {chosen} has begun in this process: too late to choose {asked}")]
    TooLate {
        /// What is used.
        chosen: Platform,
        /// What was asked for.
        asked: Platform,
    },
}

static CHOSEN: OnceLock<Platform> = OnceLock::new();

impl Platform {
    /// `sha2` alone, one message after another: runs everywhere.
    pub const PORTABLE: Platform = Platform(Kernel::Portable);

    /// All names, fastest first, whether this machine can run them or not.
    pub const ALL_NAMES: [&'static str; 4] = ["avx512", "sha-ni", "avx2", "portable"];

    /// The fastest that this machine can run.
    pub fn detect() -> Platform {
        Self::available()[0]
    }

    /// All that this machine can run, fastest first.
    pub fn available() -> Vec<Platform> {
        Self::ALL_NAMES.iter().filter_map(|name| Self::detect_named(name)).collect()
    }

    /// The platform of this name.
    ///
    /// # Errors
    /// There is none, or this CPU lacks its instructions.
    pub fn named(name: &str) -> Result<Platform, PlatformError> {
        let available = || Self::available().iter().map(|platform| platform.name()).collect::<Vec<_>>().join(", ");
        let Some(known) = Self::ALL_NAMES.into_iter().find(|known| *known == name) else {
            return Err(PlatformError::Unknown { name: name.to_string(), available: available() });
        };
        Self::detect_named(known).ok_or_else(|| PlatformError::Missing { name: known, available: available() })
    }

    /// The one place where a name becomes a kernel.
    fn detect_named(name: &str) -> Option<Platform> {
        let kernel = match name {
            "portable" => Some(Kernel::Portable),
            #[cfg(target_arch = "x86_64")]
            "avx512" => Avx512::detect().map(Kernel::Avx512),
            #[cfg(target_arch = "x86_64")]
            "sha-ni" => ShaNi::detect().map(Kernel::ShaNi),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Avx2::detect().map(Kernel::Avx2),
            _ => None,
        };
        kernel.map(Platform)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kernel::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi(_) => "sha-ni",
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(_) => "avx512",
        }
    }

    /// What this process hashes with where nobody says otherwise: what was forced, or the fastest.
    pub fn chosen() -> Platform {
        *CHOSEN.get_or_init(Self::detect)
    }

    /// Makes this the process's choice. For the start of a program, before anything hashes.
    ///
    /// # Errors
    /// Something else is in use already.
    pub fn force(self) -> Result<(), PlatformError> {
        let chosen = *CHOSEN.get_or_init(|| self);
        if chosen == self { Ok(()) } else { Err(PlatformError::TooLate { chosen, asked: self }) }
    }

    /// How many messages it hashes at a time.
    pub fn lanes(self) -> usize {
        match self.0 {
            Kernel::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(_) => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi(_) => ShaNi::LANES,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(_) => Avx512::LANES,
        }
    }

    /// How many nonces it tries at a time.
    pub(super) fn search_lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(_) => Avx512::SEARCH_LANES,
            _ => self.lanes(),
        }
    }

    /// Hashes up to [`lanes`](Self::lanes) messages of one length.
    #[inline]
    pub(super) fn hash_batch(self, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
        match self.0 {
            Kernel::Portable => one_by_one(times, messages, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(kernel) => {
                filled_up(times, messages, out, Avx2::LANES, |messages, out| kernel.hash(times, messages, out))
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi(kernel) => {
                filled_up(times, messages, out, ShaNi::LANES, |messages, out| kernel.hash(times, messages, out))
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(kernel) => {
                let lanes = if messages.len() > Avx512::LANES / 2 { Avx512::LANES } else { Avx512::LANES / 2 };
                filled_up(times, messages, out, lanes, |messages, out| kernel.hash(times, messages, out));
            }
        }
    }

    /// Scans `batches` times [`search_lanes`](Self::search_lanes) nonces from `first` on for digests whose top word is at most `top`, and
    /// stops at the first batch with one.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    #[inline]
    pub(super) fn scan(
        self,
        header: &HeaderHasher,
        job: &Job,
        first: u32,
        batches: u32,
        top: u32,
    ) -> Option<Candidates> {
        match self.0 {
            Kernel::Portable => (0..batches).map(|batch| first.wrapping_add(batch)).find_map(|nonce| {
                let digest = header.hash(nonce);
                let [.., a, b, c, d] = digest;
                (u32::from_le_bytes([a, b, c, d]) <= top).then_some(Candidates { first: nonce, lanes: 1 })
            }),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(kernel) => kernel.scan(job, first, batches, top),
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi(kernel) => kernel.scan(header, first, batches, top),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(kernel) => kernel.scan(job, first, batches, top),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

fn one_by_one(times: Times, messages: &[&[u8]], out: &mut [Digest]) {
    for (message, digest) in messages.iter().zip(out) {
        *digest = if times == Times::Once { sha256(message) } else { sha256d(message) };
    }
}

/// Hashes as many messages as a kernel has lanes, filled up with copies of the first. Of so few that most lanes would be
/// idle, each by itself: `sha2` is faster then.
#[cfg(target_arch = "x86_64")]
#[inline]
fn filled_up(
    times: Times,
    messages: &[&[u8]],
    out: &mut [Digest],
    lanes: usize,
    kernel: impl Fn(&[&[u8]], &mut [Digest]),
) {
    let count = messages.len();
    if count == lanes {
        kernel(messages, out);
    } else if 4 * count <= lanes {
        one_by_one(times, messages, out);
    } else {
        let mut filled = [messages[0]; super::batch::LANES_MAX];
        filled[..count].copy_from_slice(messages);
        let mut digests = [Digest::default(); super::batch::LANES_MAX];
        kernel(&filled[..lanes], &mut digests[..lanes]);
        out.copy_from_slice(&digests[..count]);
    }
}
