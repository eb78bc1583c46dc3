//! Floor 5: named scenarios over every stack.
//!
//! `run` drives; `player` plays a stream on one stack, timed or sampled; `durable` does so with a journal; `evidence` counts what it did and compares;
//! `results` turns rounds into figures; `attribution` says where their time goes; `components` measures the parts of the work one by one; `outcome` is what comes
//! of it. `books` is a run of its own, of many books in an exchange.

mod attribution;
mod books;
mod books_report;
mod chain;
mod components;
mod durable;
mod environment;
mod evidence;
pub mod load;
mod options;
mod outcome;
mod player;
mod results;
mod run;
mod sizes;
mod stage_counts;

pub use books::{BooksError, BooksOptions, run_books};
pub use books_report::{BooksReport, BooksResult, BooksSettings};
#[cfg(test)]
pub(crate) use options::tests::small_options;
pub use options::{DurableChoice, Kind, Options, Progress, StackChoice};
pub use outcome::{
    Attribution, Component, Counted, DurableSettings, Environment, JournalWork, Latency, QuantileLatency, Ratio,
    Reading, Resources, RunReport, Rung, ScenarioResult, Settings, StageShare, ThreadTimes, Work,
};
pub use run::{ScenarioError, run};
