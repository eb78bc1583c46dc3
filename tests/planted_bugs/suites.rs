//! What `cargo test` runs against a bug.

pub const DIFFERENTIAL: &[&str] = &["--test", "differential"];
pub const BOOK: &[&str] = &["--test", "book"];
pub const CHAIN: &[&str] = &["--test", "chain"];
/// One life of a journal, broken in every place: seconds.
pub const JOURNAL: &[&str] = &["--test", "journal", "exhaustive"];
/// A hundred thousand lives, for what shows in few of them.
pub const SCHEDULES: &[&str] = &["--test", "journal", "fixed_seeds"];
/// The same of a whole ledger.
pub const DURABLE: &[&str] = &["--test", "durable", "exhaustive"];
pub const LIVES: &[&str] = &["--test", "durable", "fixed_seeds"];
/// And with threads.
pub const THREADS: &[&str] = &["--test", "durable", "threads"];
pub const FEED: &[&str] = &["--test", "feed"];
pub const UNIT: &[&str] = &["--lib"];
/// The model alone, not the tests of the ring on real threads: a race may not show on these.
pub const MODEL: &[&str] = &["--lib", "ring::model"];

/// All of them.
pub const ALL: [&[&str]; 11] =
    [DIFFERENTIAL, BOOK, CHAIN, JOURNAL, SCHEDULES, DURABLE, LIVES, THREADS, FEED, UNIT, MODEL];
