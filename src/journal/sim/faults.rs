//! What a simulated disk does wrong, and what it has done.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// How often a simulated disk does what, in operations of a thousand that it could do it to. None of it unless asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A write takes only a part, which may end within a sector, and says so.
    pub short_writes: u32,
    /// A read gives only a part, and says so.
    pub short_reads: u32,
    /// A read or write does nothing and returns [`Interrupted`](std::io::ErrorKind::Interrupted).
    pub interrupted: u32,
    /// A write returns an error; any part of it may be on disk.
    pub failed_writes: u32,
    /// A sync, of a file or of names, returns an error. What was to be made durable stays readable, and no later sync cares for
    /// it again, though it succeeds: that is what Linux does.
    pub failed_syncs: u32,
    /// A read returns an error.
    pub failed_reads: u32,
    /// A write lands in another place of the same file or of another one, and reports success.
    pub misdirected: u32,
}

/// What a simulated disk has done, over all crashes and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations: those of [`Operation`](super::Operation).
    pub operations: u64,
    /// Losses of power.
    pub crashes: u64,
    /// Processes ended while the machine went on.
    pub restarts: u64,
    /// Sectors that were written, not durable, and gone after a crash.
    pub sectors_lost: u64,
    /// The same, but there after it.
    pub sectors_kept: u64,
    /// The same, but there in part.
    pub sectors_torn: u64,
    /// Names created, changed or removed, not durable, and as before after a crash.
    pub names_lost: u64,
    /// [`Faults::short_writes`], and writes cut short because the disk was full.
    pub short_writes: u64,
    /// [`Faults::short_reads`].
    pub short_reads: u64,
    /// [`Faults::interrupted`].
    pub interrupted: u64,
    /// [`Faults::failed_writes`], or asked for by number.
    pub failed_writes: u64,
    /// [`Faults::failed_syncs`], or asked for by number.
    pub failed_syncs: u64,
    /// [`Faults::failed_reads`].
    pub failed_reads: u64,
    /// [`Faults::misdirected`], or asked for by number.
    pub misdirected: u64,
    /// Writes refused because the disk was full.
    pub full: u64,
    /// Bits flipped at rest.
    pub flipped: u64,
}

impl Counts {
    /// Adds what another disk has done.
    pub fn add(&mut self, other: &Counts) {
        self.operations += other.operations;
        self.crashes += other.crashes;
        self.restarts += other.restarts;
        self.sectors_lost += other.sectors_lost;
        self.sectors_kept += other.sectors_kept;
        self.sectors_torn += other.sectors_torn;
        self.names_lost += other.names_lost;
        self.short_writes += other.short_writes;
        self.short_reads += other.short_reads;
        self.interrupted += other.interrupted;
        self.failed_writes += other.failed_writes;
        self.failed_syncs += other.failed_syncs;
        self.failed_reads += other.failed_reads;
        self.misdirected += other.misdirected;
        self.full += other.full;
        self.flipped += other.flipped;
    }
}

/// The one source of chance of a simulated disk.
#[derive(Clone, Debug)]
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(SplitMix64::seed_from_u64(seed))
    }

    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform over `0..n`; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }

    /// True in so many cases of a thousand. Draws nothing for 0, so that faults switched off change no schedule.
    pub fn per_mille(&mut self, often: u32) -> bool {
        often > 0 && self.below(1_000) < u64::from(often)
    }
}
