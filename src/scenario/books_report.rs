//! What a run of many books found: plain data with plain names, as in [`RunReport`](super::RunReport).

use super::Environment;
use crate::measure::Interval;
use serde::Serialize;

/// Everything one `joulebook books` found.
#[derive(Clone, Debug, Serialize)]
pub struct BooksReport {
    /// Always [`BooksReport::SCHEMA`].
    pub schema: &'static str,
    /// Where and with what it was measured.
    pub environment: Environment,
    /// What was asked for.
    pub settings: BooksSettings,
    /// One entry per number of books and of shards.
    pub results: Vec<BooksResult>,
    /// `false` if the run was interrupted and this is what was measured until then.
    pub complete: bool,
}

impl BooksReport {
    /// Name and version of the JSON layout.
    pub const SCHEMA: &'static str = "joulebook.books.v1";
}

/// What was asked for, with defaults filled in.
#[derive(Clone, Debug, Serialize)]
pub struct BooksSettings {
    /// Messages per round, to all books together.
    pub messages: u32,
    /// Messages per batch.
    pub batch: u32,
    /// Seed of the flows.
    pub seed: u64,
    /// Interleaved rounds.
    pub rounds: u32,
    /// Whether sizes were reduced by `--quick`.
    pub quick: bool,
    /// Threads on which shards can run.
    pub threads: usize,
}

/// So many books on so many shards.
#[derive(Clone, Debug, Serialize)]
pub struct BooksResult {
    /// Open books.
    pub books: u32,
    /// Shards, that is cores.
    pub shards: u32,
    /// Median over the rounds.
    pub messages_per_second: f64,
    /// Median over the rounds.
    pub ns_per_message: f64,
    /// How many times as fast as one shard with as many books; `None` if one shard did not run.
    pub over_one_shard: Option<Interval>,
    /// How many times as long as one book on as many shards a message takes; `None` if one book did not run.
    pub over_one_book: Option<Interval>,
    /// Trades per round.
    pub fills: u64,
    /// Events per round.
    pub events: u64,
    /// Orders that rest at the end of a round.
    pub resting: u64,
    /// Bytes that a book uses at the end of a round, its table of ids included, on average.
    pub bytes_per_book: u64,
    /// SHA-256 over all events in the order of their messages, in hex: the same for every number of shards, or the run fails.
    pub digest: String,
}
