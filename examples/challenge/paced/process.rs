//! A process for each run: an engine is global state, and may leave its process in any state.

use crate::args::{Args, Errand};
use crate::control::{Control, Pinned, control};
use crate::engine::Engine;
use crate::figures::per_mille;
use crate::messages::{Play, digest};
use crate::play::{Load, Played, Setting, play};
use joulebook::hash::to_hex;
use joulebook::measure::clock::ns;
use joulebook::workload::FlowShape;
use serde::{Deserialize, Serialize};
use std::process::{Command, Output};
use std::time::Duration;

/// What an answer begins with: engines print what they like.
const MARK: &str = "challenge_paced answers ";
/// How long the CPUs are watched, in s.
const IDLE_SECONDS: f64 = 1.0;
/// How long a run may take over the time of its schedule, in s: an engine may hang.
const PATIENCE_SECONDS: f64 = 300.0;

/// What a process says to the one that started it.
#[derive(Debug, Deserialize, Serialize)]
pub enum Answer {
    /// The engine can be played, and how.
    Opens(String),
    /// A run.
    Ran(Outcome),
    /// What became of two idle threads.
    Idled(Control),
    /// It did not come to that, and why.
    Failed(String),
}

/// A run's figures. Latencies are 0 where all messages were there at the beginning.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// Messages handed over.
    pub messages: usize,
    /// Messages that no report was about.
    pub unreported: usize,
    /// All reports.
    pub reports: usize,
    /// SHA-256 over the reports, in hex.
    pub digest: String,
    /// From the beginning until the last report was there, in ns.
    pub ns: f64,
    /// How often messages were handed over.
    pub batches: usize,
    /// Latencies in ns: median, 99 %, 99.9 %, the highest.
    pub latency_ns: [f64; 4],
    /// How long the matcher and the drainer waited for their CPUs, in ns.
    pub descheduled_ns: [Option<u64>; 2],
}

/// Has an errand done by a process of its own.
///
/// # Errors
/// There was no answer; in words.
pub fn send(args: &Args, engine: &str, errand: Errand, shape: FlowShape, per_second: f64) -> Result<Answer, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program does not find itself: {error}"))?;
    let (matcher, drainer) = args.cores;
    let options = [
        ("--errand", format!("{errand:?}").to_lowercase()),
        ("--shape", shape.name().into()),
        ("--orders", args.orders.to_string()),
        ("--seed", args.seed.to_string()),
        ("--warm-up", args.warm_up.to_string()),
        ("--capacity", args.capacity.to_string()),
        ("--cores", format!("{matcher},{drainer}")),
        // Beyond the limits of the option that users give, where half of what goes through is.
        ("--per-second", per_second.to_string()),
    ];
    let options = options.iter().flat_map(|(option, value)| [*option, value]);
    let output = Command::new(program).args(options).args(["--", engine]).output();
    answer(&output.map_err(|error| format!("no process can be started: {error}"))?)
}

fn answer(output: &Output) -> Result<Answer, String> {
    let said = String::from_utf8_lossy(&output.stdout);
    let answer = said.lines().rev().find_map(|line| line.split_once(MARK)).map(|(_, answer)| answer);
    if let (Some(answer), true) = (answer, output.status.success()) {
        return serde_json::from_str(answer).map_err(|error| format!("its process answered {answer:?}: {error}"));
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    let last = complaints.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("its process ended by {}: {last}", output.status))
}

/// Does an errand in this process, and answers.
pub fn run(args: &Args, errand: Errand) {
    let patience = Duration::from_secs_f64(PATIENCE_SECONDS + 2.5 * f64::from(args.orders) / args.per_second.max(1.0));
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        eprintln!("no end after {} s: it hangs", patience.as_secs());
        std::process::exit(1);
    });
    let answer = carry_out(args, errand).unwrap_or_else(Answer::Failed);
    // On a line of its own, whatever the engine printed before.
    println!("\n{MARK}{}", serde_json::to_string(&answer).expect("figures and words"));
}

fn carry_out(args: &Args, errand: Errand) -> Result<Answer, String> {
    if errand == Errand::Idle {
        return control(IDLE_SECONDS, args.cores).map(Answer::Idled);
    }
    let engine = Engine::open(&args.engines[0])?;
    let load = match errand {
        Errand::Open => {
            // That both CPUs are to be had, too.
            Pinned::to(args.cores.0).and(Pinned::to(args.cores.1))?;
            return Ok(Answer::Opens(engine.manner()));
        }
        Errand::Paced => Load::Paced(args.per_second),
        _ => Load::Max,
    };
    let flow = Play::new(args.shapes[0], args.orders, args.seed);
    let played = play(&engine, &flow, Setting { load, cores: args.cores, capacity: args.capacity })?;
    Ok(Answer::Ran(Outcome::new(played, flow.messages.len(), args.warm_up)))
}

impl Outcome {
    /// Without the latencies of the first so many percent.
    fn new(played: Played, messages: usize, warm_up: u32) -> Outcome {
        let Played { mut reports, mut latencies, unreported, ns: whole, batches, descheduled_ns } = played;
        latencies.drain(..latencies.len() * warm_up as usize / 100);
        latencies.sort_unstable();
        let latency = |wanted| if latencies.is_empty() { 0.0 } else { ns(per_mille(&latencies, wanted)) };
        Outcome {
            messages,
            unreported,
            reports: reports.len(),
            digest: to_hex(&digest(&mut reports)),
            ns: whole,
            batches,
            latency_ns: [500, 990, 999, 1000].map(latency),
            descheduled_ns,
        }
    }

    /// How long one of the two threads waited for its CPU, in ns; 0 where the system does not count it.
    pub fn descheduled(&self) -> u64 {
        self.descheduled_ns.iter().flatten().sum()
    }

    /// Whether that is too little to be seen in the highest thousandth of the latencies, even with what came late because of it.
    pub fn is_undisturbed(&self) -> bool {
        self.descheduled() as f64 * 5e3 < self.ns
    }

    /// Messages per second.
    pub fn per_second(&self) -> f64 {
        self.messages as f64 / self.ns * 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::NOTHING;

    /// The whole way, in this process: under each load every message is reported about.
    #[test]
    fn every_message_is_reported_about() {
        let engine = Engine::open(NOTHING).unwrap();
        let flow = Play::new(FlowShape::Normal, 2_000, 67);
        for load in [Load::Max, Load::Paced(1e6)] {
            let setting = Setting { load, cores: (0, 1), capacity: 1 << 12 };
            let played = std::thread::scope(|scope| scope.spawn(|| play(&engine, &flow, setting)).join().unwrap());
            let played = match played {
                // There is only one, or this process is kept from one.
                Err(error) if error.contains("CPU") => return println!("not checked: {error}"),
                played => played.unwrap(),
            };
            let outcome = Outcome::new(played, flow.messages.len(), 10);
            assert_eq!((outcome.unreported, outcome.reports), (0, flow.messages.len()));
            let [p50, p99, p999, max] = outcome.latency_ns;
            assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{outcome:?}");
            assert_eq!(max > 0.0, matches!(load, Load::Paced(_)));
        }
    }

    #[test]
    fn files_that_are_no_engines_are_named() {
        let open = |path: &str| Engine::open(path).err().unwrap();
        let error = open("there/is/none.so");
        assert!(error.contains("there/is/none.so cannot be opened"), "{error}");
        let error = open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(error.contains("cannot be loaded"), "{error}");
    }
}
