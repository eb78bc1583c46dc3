//! `cargo run --release --example challenge_paced -- --help`: the latency of each message under a load that does not wait, for
//! engines behind the C interface of the matching challenge, whose own harness knows throughput only.

#[path = "../abi.rs"]
mod abi;
mod args;
mod control;
mod engine;
mod figures;
mod messages;
mod play;
mod process;
mod table;
mod transport;

use args::{Args, Errand, LoadKind};
use clap::Parser;
use control::Control;
use engine::NOTHING;
use joulebook::hash::to_hex;
use joulebook::measure::{cpu_model, cpus, median};
use joulebook::workload::{FlowShape, flow_digest};
use process::{Answer, Outcome};
use std::path::Path;
use std::process::ExitCode;
use table::{Row, Shape};

/// Runs that the default rate follows from.
const MAX_ROUNDS: u32 = 3;

/// An engine failed, or did something else than the first one.
const EXIT_FAILED: u8 = 1;
/// Bad usage, or a file that cannot be played.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::parse().checked() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    if let Some(errand) = args.errand {
        process::run(&args, errand);
        return ExitCode::SUCCESS;
    }
    println!("{}, {} CPUs; matcher on {}, drainer on {}", cpu_model(), cpus(), args.cores.0, args.cores.1);
    let names = names(&args.engines);
    for (engine, name) in args.engines.iter().zip(&names) {
        match process::send(&args, engine, Errand::Open, args.shapes[0], 0.0) {
            Ok(Answer::Opens(manner)) => println!("{name}: {manner}"),
            Ok(Answer::Failed(error)) => return refuse(&error),
            Ok(other) => return refuse(&format!("{engine}: {other:?} is no answer")),
            Err(error) => return refuse(&format!("{engine} cannot be loaded: {error}")),
        }
    }
    let mut failed = false;
    for &shape in &args.shapes {
        match measure(&args, &names, shape) {
            Ok(all_the_same) => failed |= !all_the_same,
            Err(error) => {
                eprintln!("challenge_paced: {}: {error}", shape.name());
                failed = true;
            }
        }
    }
    ExitCode::from(if failed { EXIT_FAILED } else { 0 })
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("challenge_paced: {error}");
    ExitCode::from(EXIT_USAGE)
}

/// What engines are called: their file's name, or all of the path where two have the same.
fn names(paths: &[String]) -> Vec<String> {
    let short = |path: &String| Path::new(path).file_stem().map_or(path.clone(), |stem| stem.to_string_lossy().into());
    let all: Vec<String> = paths.iter().map(short).collect();
    let unique = |name: &String| all.iter().filter(|other| *other == name).count() == 1;
    all.iter().zip(paths).map(|(name, path)| if unique(name) { name } else { path }.clone()).collect()
}

/// Plays one shape and prints its table. Whether all engines reported the same about all messages.
fn measure(args: &Args, names: &[String], shape: FlowShape) -> Result<bool, String> {
    let mut rows: Vec<Row> = names.iter().zip(&args.engines).map(|(name, path)| Row::new(name, path)).collect();
    if args.load != Some(LoadKind::Paced) {
        let rounds = if args.load == Some(LoadKind::Max) { args.rounds } else { MAX_ROUNDS };
        in_turn(rounds, rows.len(), |at| {
            let row = &mut rows[at];
            row.fast.push(ran(args, row, Errand::Max, shape, 0.0)?);
            Ok(())
        })
        .inspect(|()| eprintln!("{}: {rounds} rounds as fast as it goes are done", shape.name()))?;
    }
    let mut idle = Vec::new();
    if args.load != Some(LoadKind::Max) {
        for row in &mut rows {
            let fastest = || median(&mut row.fast.iter().map(Outcome::per_second).collect::<Vec<_>>());
            row.per_second = args.rate.map_or_else(|| fastest() / 2.0, |rate| rate * 1e6);
        }
        let mut nothing = Row::new(NOTHING, NOTHING);
        nothing.per_second = rows.iter().map(|row| row.per_second).fold(0.0, f64::max);
        rows.push(nothing);
        in_turn(args.rounds, rows.len() + 1, |at| {
            match rows.get_mut(at) {
                Some(row) => row.paced.push(least_disturbed(args, row, shape)?),
                None => idle.push(idled(args, shape)?),
            }
            Ok(())
        })
        .inspect(|()| eprintln!("{}: {} rounds at the rate are done", shape.name(), args.rounds))?;
    }
    let flow = to_hex(&flow_digest(&shape.messages(args.orders, args.seed)));
    let table = Shape { name: shape.name(), flow, warm_up: args.warm_up, rows, idle };
    print!("\n{}", table.text());
    let complaints = table.complaints();
    complaints.iter().for_each(|complaint| println!("NOT THE SAME WORK: {complaint}"));
    Ok(complaints.is_empty())
}

/// Each of `count` once per round; each round begins with another, so that nobody always follows the same one.
fn in_turn(rounds: u32, count: usize, mut run: impl FnMut(usize) -> Result<(), String>) -> Result<(), String> {
    (0..rounds as usize).try_for_each(|round| (0..count).try_for_each(|at| run((at + round) % count)))
}

fn ran(args: &Args, row: &Row, errand: Errand, shape: FlowShape, per_second: f64) -> Result<Outcome, String> {
    match process::send(args, &row.path, errand, shape, per_second) {
        Ok(Answer::Ran(outcome)) => Ok(outcome),
        Ok(Answer::Failed(error)) | Err(error) => Err(format!("{}: {error}", row.name)),
        Ok(other) => Err(format!("{}: {other:?} is no run", row.name)),
    }
}

/// The run at the rate in which the system took the least time from the two threads, out of `--tries`.
fn least_disturbed(args: &Args, row: &Row, shape: FlowShape) -> Result<Outcome, String> {
    let mut best: Option<Outcome> = None;
    for _ in 0..args.tries {
        let run = ran(args, row, Errand::Paced, shape, row.per_second)?;
        if best.as_ref().is_none_or(|best| run.descheduled() < best.descheduled()) {
            best = Some(run);
        }
        if best.as_ref().is_some_and(Outcome::is_undisturbed) {
            break;
        }
    }
    best.ok_or_else(|| "there was no try".into())
}

fn idled(args: &Args, shape: FlowShape) -> Result<Control, String> {
    match process::send(args, NOTHING, Errand::Idle, shape, 0.0) {
        Ok(Answer::Idled(control)) => Ok(control),
        Ok(Answer::Failed(error)) | Err(error) => Err(format!("idle CPUs: {error}")),
        Ok(other) => Err(format!("idle CPUs: {other:?} is no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_with_one_name_are_told_apart() {
        let paths = ["a/x.so", "b/x.so", "b/y.so"].map(String::from);
        assert_eq!(names(&paths), ["a/x.so", "b/x.so", "y"]);
    }

    #[test]
    fn everybody_has_a_turn_in_each_round_and_goes_first_in_one() {
        let mut turns = Vec::new();
        let mut note = |at| {
            turns.push(at);
            Ok(())
        };
        in_turn(3, 3, &mut note).unwrap();
        assert_eq!(turns, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert!(in_turn(2, 2, |_| Err("broken".into())).is_err());
    }
}
