//! `joulebook load`.

use super::output::{keep_complete, pending, print_report, refuse_stdout};
use super::run::watch_with_ctrl_c;
use super::{EXIT_INTERRUPTED, Failure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use joulebook::report::{render_json, render_load_html, render_load_text};
use joulebook::scenario::ScenarioError;
use joulebook::scenario::load::{LoadKind, LoadOptions, run_load};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `joulebook load --help` says at its end; lines short enough for any terminal.
pub const AFTER_HELP: &str = "\
Clients on threads of their own put requests into a bounded queue; the engine
takes what waits, carries it out, seals blocks beside, and answers. Latency is
measured from when a request was to be sent, so that nothing is hidden when the
engine is late. The first 100,000 commands are played again on the baseline in
the order in which the engine took them, and must give the same state.

Examples:
  joulebook load concurrent --clients 32
      32 clients that wait for answers: throughput, tail latency, fairness
  joulebook load peak --rate 200000
      200,000 requests a second, evenly, and in bursts of ten times as many
  joulebook load capacity --json capacity.json
      steps of offered load, the knee, what a trade costs, growth
  joulebook load capacity --html capacity.html
      the same as a page with pictures, for any browser
  joulebook load stress
      a million users fill the market with ten million orders, until its
      limit refuses what comes, by name; then they go on trading
      (needs 2 GB of memory; --users 10000 --orders-max 100000 is a small one)
  joulebook load soak --seconds 600
      ten minutes at half of what goes through: does memory grow?
      Ctrl-C ends it early and reports what was measured

Exit codes: 0 done, 1 engine and baseline differ, 2 bad usage, 130 interrupted.";

/// Options of a load.
#[derive(Args)]
pub struct Load {
    /// What to play
    kind: Kind,
    /// Clients, 1 to 1,000
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    clients: u32,
    /// Accounts that trade, 2 to 1,000,000; each client has its share [default: 1,000; 1,000,000 for `stress`]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    users: Option<u32>,
    /// Orders that rest at the start [default: 1,000; none for `stress`]
    #[arg(long)]
    orders: Option<u32>,
    /// Orders that the market lets rest, 1 to 16,777,216; what comes then is refused [default: 4,194,304; 10,000,000 for
    /// `stress`]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    orders_max: Option<u32>,
    /// Requests that fit the queue, 1 to 1,000,000
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    queue: u32,
    /// Seconds of each measurement; of refusing and of trading on, for `stress` [default: 2; 3,600 for `soak`]
    #[arg(long)]
    seconds: Option<f64>,
    /// Average requests a second of `peak` and `soak` [default: a tenth, and half, of what a closed loop gets through]
    #[arg(long)]
    rate: Option<f64>,
    /// Seed of what clients ask, and when
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Leading zero bits that a block's hash must have, 0 to 32
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(0..=32))]
    difficulty_bits: u32,
    /// Write the report as JSON (joulebook.load.v1) to FILE; "-" is standard output, and the tables go to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one HTML page to FILE, with pictures; it loads nothing and needs no script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Many clients that each wait for their answers: throughput, tail latency, fairness
    Concurrent,
    /// Requests that come whether they are answered or not, evenly and in bursts of ten times the average
    Peak,
    /// Throughput against offered load, the knee, what a million trades cost, growth with the market
    Capacity,
    /// Fill the market until its limit refuses, then trade on: memory and time per order, and what a refusal costs
    Stress,
    /// An even load for an hour, or as long as you say: does memory grow?
    Soak,
}

impl Load {
    /// Runs, prints, writes.
    pub fn execute(&self) -> Result<u8, Failure> {
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        refuse_stdout("--html", self.html.as_deref())?;
        let json = self.json.as_deref().filter(|_| !to_stdout);
        let [json, html] = pending([("--json", json), ("--html", self.html.as_deref())])?;
        let watch = watch_with_ctrl_c()?;
        let kind = match self.kind {
            Kind::Concurrent => LoadKind::Concurrent,
            Kind::Peak => LoadKind::Peak,
            Kind::Capacity => LoadKind::Capacity,
            Kind::Stress => LoadKind::Stress,
            Kind::Soak => LoadKind::Soak,
        };
        let (users, orders, orders_max) = match kind {
            LoadKind::Stress => (1_000_000, 0, 10_000_000),
            _ => (1_000, 1_000, 1 << 22),
        };
        let seconds = if kind == LoadKind::Soak { 3_600.0 } else { 2.0 };
        let Load { clients, queue, rate, seed, difficulty_bits, .. } = *self;
        let options = LoadOptions {
            kind,
            clients,
            users: self.users.unwrap_or(users),
            orders: self.orders.unwrap_or(orders),
            orders_max: self.orders_max.unwrap_or(orders_max),
            queue,
            seconds: self.seconds.unwrap_or(seconds),
            rate,
            seed,
            difficulty_bits,
        };
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        let report = run_load(&options, &mut |doing| bar.set_message(doing.to_string()), &watch);
        bar.finish_and_clear();
        let report = report.map_err(|error| match error {
            ScenarioError::Differs { .. } | ScenarioError::Books(_) => Failure::refused(error),
            _ => Failure::usage(error),
        })?;
        let json_text = to_stdout.then(|| render_json(&report));
        print_report(|columns, bold| render_load_text(&report, columns, bold), json_text)?;
        if let Some(json) = json {
            keep_complete(json, report.complete)?.write(render_json(&report).as_bytes())?;
        }
        if let Some(html) = html {
            keep_complete(html, report.complete)?.write(render_load_html(&report).as_bytes())?;
        }
        Ok(if report.complete { 0 } else { EXIT_INTERRUPTED })
    }
}
