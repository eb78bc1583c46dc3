//! `joulebook run`.

use super::output::{
    Pending, TemporaryFolder, keep_complete, pending, print_error, print_report, refuse_stdout, remove_temporaries,
};
use super::{EXIT_INTERRUPTED, Failure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use joulebook::journal::SyncPolicy;
use joulebook::measure::counters::Callgrind;
use joulebook::report::{count, render_html, render_json, render_text};
use joulebook::scenario::{self, DurableChoice, Kind, Options, ScenarioError, StackChoice};
use joulebook::seal::Watch;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `joulebook run --help` says at its end; lines short enough for any terminal.
pub const AFTER_HELP: &str = "\
Baseline and optimized stack take turns, round by round, on the same
operations; a round of the baseline does fewer of them, and what both did is
compared: events, reads and state must be equal. Amounts in the report are in
WATT and kWh.

Examples:
  joulebook run --quick
      a few seconds, small sizes
  joulebook run --scenario writes,mixed --json report.json
      two scenarios, and the report as JSON
  joulebook run --html report.html
      the report as a page with pictures, for any browser
  joulebook run --scenario settlement --stack ladder
      which change gains how much
  joulebook run --scenario settlement --stack ladder --durable /mnt/disk
      and what a journal on that disk costs, as the last rung
  joulebook run --users 100000 --orders 100000 --scenario writes
      a deep book";

/// Options of a run.
#[derive(Args)]
pub struct Run {
    /// Scenarios to run, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Stacks to run
    #[arg(long, value_enum, default_value = "both")]
    stack: Stack,
    /// Accounts that trade, 2 to 1,000,000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    users: u32,
    /// Orders that rest in the book at the start, 0 to 10,000,000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    orders: u32,
    /// Operations per round of the optimized stack, 1 to 20,000,000; the baseline does its share [default: by scenario]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    ops: Option<u64>,
    /// Seed of the workload: the same seed gives the same operations, digests and blocks
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Leading zero bits that a block's hash must have, 0 to 32; each bit doubles the work
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(0..=32))]
    difficulty_bits: u32,
    /// Transactions at which the optimized stack closes a block, 1 to 1,000,000 (the baseline: 10, that is 5 trades)
    #[arg(long, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    block_transactions: u32,
    /// Age in ms, of the commands' simulated time (a million commands a second), at which a block closes [default: never]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    block_interval_ms: Option<u64>,
    /// Interleaved rounds, 1 to 1,000 [default: 7, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: Option<u32>,
    /// A tenth of the operations, three rounds
    #[arg(long)]
    quick: bool,
    /// Do not look from inside where the time of baseline and optimized stack goes (some seconds)
    #[arg(long)]
    no_attribution: bool,
    /// Put what Callgrind counted beside the times of settlement's stages: FILE is what profiling/callgrind.sh --json writes
    #[arg(long, value_name = "FILE", conflicts_with = "no_attribution")]
    callgrind: Option<PathBuf>,
    /// Write the report as JSON (joulebook.run.v1) to FILE; "-" is standard output, and the tables go to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one HTML page to FILE, with pictures; it loads nothing and needs no script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the chain of the settlement scenario to FILE, for verify, headers and prove
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// In settlement and mixed, play a stack more: the optimized one with a journal, in which every operation is durable before
    /// it is acknowledged. Each round has a ledger of its own, in a folder that is made in DIR and removed at the end; what is
    /// measured is DIR's disk. DIR must exist [default: the current directory]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".")]
    durable: Option<PathBuf>,
    /// When the durable stack's journal is synced: every-group; interval=MS, all groups of MS milliseconds together, acknowledged
    /// after that; or none, which is not durable
    #[arg(long, value_name = "POLICY", requires = "durable", default_value = "every-group", value_parser = sync_policy)]
    sync: SyncPolicy,
}

fn sync_policy(text: &str) -> Result<SyncPolicy, String> {
    const MS_MAX: u64 = 10_000;
    match text {
        "every-group" => Ok(SyncPolicy::EveryGroup),
        "none" => Ok(SyncPolicy::Never),
        _ => {
            let ms = text.strip_prefix("interval=").and_then(|ms| ms.parse().ok());
            let ms = ms.filter(|ms| (1..=MS_MAX).contains(ms));
            let ms = ms.ok_or_else(|| format!("every-group, interval=1 to interval={MS_MAX}, or none"))?;
            Ok(SyncPolicy::Interval(Duration::from_millis(ms)))
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// Market-data reads: prices, book depth, balances, statistics
    Reads,
    /// Orders placed (67 %) and cancelled (33 %), the engine alone
    Writes,
    /// Pairs of orders that trade, settled into sealed blocks
    Settlement,
    /// 70 % reads, 25 % writes, 5 % settlements, in sealed blocks
    Mixed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stack {
    /// Baseline and optimized, and the ladder of the settlement scenario
    Both,
    /// The naive stack alone
    Baseline,
    /// The optimized stack alone
    Optimized,
    /// Baseline to optimized, one change at a time, in every scenario
    Ladder,
}

impl Run {
    fn options(&self, chain: Option<&Path>, durable: Option<&Path>, callgrind: Option<Callgrind>) -> Options {
        let scenarios = if self.scenario.is_empty() {
            Kind::ALL.to_vec()
        } else {
            let named = |scenario: &Scenario| match scenario {
                Scenario::Reads => Kind::Reads,
                Scenario::Writes => Kind::Writes,
                Scenario::Settlement => Kind::Settlement,
                Scenario::Mixed => Kind::Mixed,
            };
            let mut kinds: Vec<Kind> = self.scenario.iter().map(named).collect();
            kinds.sort();
            kinds.dedup();
            kinds
        };
        let stacks = match self.stack {
            Stack::Both => StackChoice::Both,
            Stack::Baseline => StackChoice::Baseline,
            Stack::Optimized => StackChoice::Optimized,
            Stack::Ladder => StackChoice::Ladder,
        };
        Options {
            scenarios,
            stacks,
            users: self.users,
            orders: self.orders,
            operations: self.ops,
            seed: self.seed,
            difficulty_bits: self.difficulty_bits,
            block_transactions: self.block_transactions,
            block_interval_ms: self.block_interval_ms,
            rounds: self.rounds,
            quick: self.quick,
            attribution: !self.no_attribution,
            callgrind: callgrind.map(Arc::new),
            chain: chain.map(Path::to_path_buf),
            durable: durable.map(|folder| DurableChoice { folder: folder.to_path_buf(), policy: self.sync }),
        }
    }

    /// The files that are written at the end: JSON, HTML, chain.
    fn files(&self, json_to_stdout: bool) -> Result<[Option<Pending>; 3], Failure> {
        refuse_stdout("--html", self.html.as_deref())?;
        let json = self.json.as_deref().filter(|_| !json_to_stdout);
        pending([("--json", json), ("--html", self.html.as_deref()), ("--chain", self.chain.as_deref())])
    }

    /// Runs, prints, writes.
    pub fn execute(&self) -> Result<u8, Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        let [json, html, chain] = self.files(to_stdout)?;
        let durable = self.durable.as_deref().map(TemporaryFolder::create).transpose()?;
        let callgrind = self.callgrind.as_deref().map(Callgrind::read).transpose().map_err(Failure::usage)?;
        let chain_path = chain.as_ref().map(Pending::temporary);
        let options = self.options(chain_path, durable.as_ref().map(TemporaryFolder::path), callgrind);
        let watch = watch_with_ctrl_c()?;
        let bar = progress_bar();
        let mut progress = |step: scenario::Progress<'_>| {
            bar.set_length(step.total);
            bar.set_position(step.done);
            bar.set_message(format!("{} ({} nonces so far)", step.doing, count(watch.tried())));
        };
        let report = scenario::run(&options, &mut progress, &watch);
        bar.finish_and_clear();
        let report = report.map_err(|error| match error {
            ScenarioError::Differs { .. } => Failure::refused(error),
            _ => Failure::usage(error),
        })?;
        let json_text = to_stdout.then(|| render_json(&report));
        print_report(|columns, bold| render_text(&report, columns, bold), json_text)?;
        if let Some(json) = json {
            keep_complete(json, report.complete)?.write(render_json(&report).as_bytes())?;
        }
        if let Some(html) = html {
            keep_complete(html, report.complete)?.write(render_html(&report).as_bytes())?;
        }
        if let Some(chain) = chain
            && report.complete
        {
            chain.commit()?;
        }
        Ok(if report.complete { 0 } else { EXIT_INTERRUPTED })
    }
}

/// The first Ctrl-C (or SIGTERM) asks the run to stop and report what it has; the second ends the program at once.
pub fn watch_with_ctrl_c() -> Result<Arc<Watch>, Failure> {
    let watch = Arc::new(Watch::new());
    let shared = watch.clone();
    ctrlc::set_handler(move || {
        if shared.is_cancelled() {
            remove_temporaries();
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
        shared.cancel();
        print_error("\nstopping after this step; once more to stop at once\n");
    })
    .map_err(|error| Failure::usage(format!("Ctrl-C cannot be caught: {error}")))?;
    Ok(watch)
}

/// On a terminal only: indicatif's bar to standard error hides itself elsewhere.
pub fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}").expect("a valid template");
    bar.set_style(style);
    bar
}
