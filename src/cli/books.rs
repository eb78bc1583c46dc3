//! `joulebook books`.

use super::output::{Pending, keep_complete, print_report};
use super::run::{progress_bar, watch_with_ctrl_c};
use super::{EXIT_INTERRUPTED, Failure};
use clap::Args;
use joulebook::report::{render_books_text, render_json};
use joulebook::scenario::{self, BooksOptions};
use std::path::{Path, PathBuf};

/// What `joulebook books --help` says at its end; lines short enough for any terminal.
pub const AFTER_HELP: &str = "\
One book is one product: a delivery slot in a zone. The books of an exchange
are spread over shards, which match side by side. Matching alone: no accounts,
no tokens, no blocks. Every number of shards plays the same messages, and must
cause the same events; then all take turns, round by round.

Examples:
  joulebook books --quick
      a second, small sizes
  joulebook books --books 64 --shards 1,2,4
      what more cores gain
  joulebook books --books 1,1000 --shards 1 --batch 1000
      what more books cost, in small batches
  joulebook books --json books.json
      and the report as JSON";

/// Options of a run of many books.
#[derive(Args)]
pub struct Books {
    /// Numbers of books, each 1 to 100,000, separated by commas
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,8,64,1000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    books: Vec<u32>,
    /// Numbers of shards, each 1 to 256, separated by commas; more than there are cores gain nothing
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,2")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=256))]
    shards: Vec<u32>,
    /// Messages per round, to all books together, 1 to 50,000,000
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    messages: u32,
    /// Messages per batch, 1 to 10,000,000
    #[arg(long, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    batch: u32,
    /// Seed of the flows: the same seed gives the same messages and digests
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Interleaved rounds, 1 to 1,000 [default: 7, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: Option<u32>,
    /// A tenth of the messages, three rounds
    #[arg(long)]
    quick: bool,
    /// Write the report as JSON (joulebook.books.v1) to FILE; "-" is standard output, and the table goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Books {
    fn options(&self) -> BooksOptions {
        let sorted = |numbers: &[u32]| {
            let mut numbers = numbers.to_vec();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        let (books, shards) = (sorted(&self.books), sorted(&self.shards));
        let Books { messages, batch, seed, rounds, quick, .. } = *self;
        BooksOptions { books, shards, messages, batch, seed, rounds, quick }
    }

    /// Runs, prints, writes.
    pub fn execute(&self) -> Result<u8, Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        let json = self.json.as_deref().filter(|_| !to_stdout).map(Pending::create).transpose()?;
        let watch = watch_with_ctrl_c()?;
        let bar = progress_bar();
        let mut progress = |step: scenario::Progress<'_>| {
            bar.set_length(step.total);
            bar.set_position(step.done);
            bar.set_message(step.doing.to_string());
        };
        let report = scenario::run_books(&self.options(), &mut progress, &watch);
        bar.finish_and_clear();
        let report = report.map_err(Failure::refused)?;
        let json_text = to_stdout.then(|| render_json(&report));
        print_report(|columns, bold| render_books_text(&report, columns, bold), json_text)?;
        if let Some(json) = json {
            keep_complete(json, report.complete)?.write(render_json(&report).as_bytes())?;
        }
        Ok(if report.complete { 0 } else { EXIT_INTERRUPTED })
    }
}
