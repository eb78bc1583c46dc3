//! Plays one scenario over and over, and draws where its threads were: `profiling/flamegraph.sh`.
//!
//! ```text
//! play SCENARIO STACK SECONDS         plays, for somebody else who samples; prints what was done
//! sample SCENARIO STACK SECONDS SVG   the same, and samples itself: SIGPROF by CPU time, frame pointers
//! draw SVG TITLE UNIT                 draws what `perf script` prints, from standard input; samples weigh so many units
//! ```

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options as PerfOptions};
use inferno::flamegraph::{self, Options};
use joulebook::baseline::Baseline;
use joulebook::block::{ChainParams, Target};
use joulebook::command::Batch;
use joulebook::engine::{Engine, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::to_hex;
use joulebook::node::{BlockPolicy, Clock, Node, Stack};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::workload::{Op, Population, Stream};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, stdin};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The defaults of `joulebook run`.
const POPULATION: Population = Population { users: 100, orders: 50, seed: 42 };
const DIFFICULTY_BITS: u32 = 16;
const BLOCK_TRANSACTIONS: u32 = 65_536;
/// Operations of a round: few on the baseline, which seals a block for every five trades.
const ROUND: [u64; 2] = [2_000, 200_000];
/// Samples per second of CPU time. A prime, so that it keeps step with nothing.
const FREQUENCY: i32 = 997;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["play", scenario, stack, seconds] => play_for(scenario, stack, seconds.parse()?),
        ["sample", scenario, stack, seconds, svg] => sample(scenario, stack, seconds.parse()?, svg),
        ["draw", svg, title, unit] => draw_perf(svg, title, unit),
        _ => {
            Err("wanted: play SCENARIO STACK SECONDS, sample SCENARIO STACK SECONDS SVG, or draw SVG TITLE UNIT".into())
        }
    }
}

fn play_for(scenario: &str, stack: &str, seconds: f64) -> Result<(), Box<dyn Error>> {
    let stack = match stack {
        "baseline" => Stack::BASELINE,
        "optimized" => Stack::OPTIMIZED,
        other => return Err(format!("no stack is called {other}: baseline or optimized").into()),
    };
    let operations = ROUND[usize::from(stack.batches)];
    let stream = match scenario {
        "reads" => Stream::reads(POPULATION, operations),
        "writes" => Stream::writes(POPULATION, operations),
        "settlement" => Stream::settlement(POPULATION, operations),
        "mixed" => Stream::mixed(POPULATION, operations),
        other => return Err(format!("no scenario is called {other}: reads, writes, settlement or mixed").into()),
    };
    if !(seconds > 0.0 && seconds <= 3_600.0) {
        return Err(format!("{seconds} seconds: more than 0 and at most 3,600 are wanted").into());
    }
    let seals = matches!(scenario, "settlement" | "mixed");
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    if stack.batches {
        rounds::<Optimized>(&stack, &stream, seals, until)
    } else {
        rounds::<Baseline>(&stack, &stream, seals, until)
    }
}

/// Plays rounds until it is time, and prints what was done. All rounds end in the same state.
fn rounds<E: Engine>(stack: &Stack, stream: &Stream, seals: bool, until: Instant) -> Result<(), Box<dyn Error>> {
    let mut engine = E::new(stream.rules);
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut EventLog::default());
    let (mut rounds, mut read, mut end) = (0u64, 0u64, None);
    while rounds == 0 || Instant::now() < until {
        let after = if seals {
            sealed(stack, stream, engine.clone(), rounds, &mut read)?
        } else {
            alone(stream, engine.clone(), &mut read)
        };
        let digest = state_digest(&after);
        if *end.get_or_insert(digest) != digest {
            return Err("two rounds ended in different states".into());
        }
        rounds += 1;
    }
    let (operations, digest) =
        (rounds * stream.ops.len() as u64, end.map(|digest| to_hex(&digest)).unwrap_or_default());
    println!("{rounds} rounds, {operations} operations, sum of all reads {read:#x}, state {digest}");
    Ok(())
}

/// The engine alone, as reads and writes are played.
fn alone<E: Engine>(stream: &Stream, mut engine: E, read: &mut u64) -> E {
    let mut log = EventLog::default();
    let mut first = 1 + stream.setup.len() as u64;
    for op in &stream.ops {
        if let Op::Read(query) = op {
            *read = read.wrapping_add(query.answer(&engine));
        }
    }
    for commands in stream.commands.chunks(256) {
        log.clear();
        engine.apply(Batch { first, time: 0, commands }, &mut log);
        first += commands.len() as u64;
    }
    engine
}

/// Through a node, as settlement and mixed are.
fn sealed<E: Engine>(
    stack: &Stack,
    stream: &Stream,
    engine: E,
    round: u64,
    read: &mut u64,
) -> Result<E, Box<dyn Error>> {
    let transactions = if stack.batches { BLOCK_TRANSACTIONS } else { Stack::BASELINE_BLOCK_TRANSACTIONS };
    let policy = BlockPolicy { transactions, interval: None, plan: stack.plan };
    let params = ChainParams::fixed(stream.rules, Target::from_leading_zero_bits(DIFFICULTY_BITS).to_bits());
    // Each round has other times in its headers, and so other nonces.
    let clock = Clock::Simulated { start: round * 86_400_000_000_000, step: 1_000 };
    let watch = Arc::new(Watch::new());
    let mut node = Node::new(engine, 1 + stream.setup.len() as u64, params, policy, clock, watch, None);
    // Settlements come in batches, as there; in between reads, one by one.
    let batch = if stream.ops.iter().any(|op| matches!(op, Op::Read(_))) { 1 } else { 512 };
    let (mut from, mut to) = (0, 0);
    for op in &stream.ops {
        match op {
            Op::Read(query) => *read = read.wrapping_add(query.answer(node.engine())),
            Op::Commands(count) => to += *count as usize,
        }
        if to - from >= batch || to == stream.commands.len() && to > from {
            node.submit(&stream.commands[from..to], 1)?;
            from = to;
        }
    }
    Ok(node.finish()?.0)
}

fn sample(scenario: &str, stack: &str, seconds: f64, svg: &str) -> Result<(), Box<dyn Error>> {
    let guard = pprof::ProfilerGuardBuilder::default().frequency(FREQUENCY).build()?;
    play_for(scenario, stack, seconds)?;
    let report = guard.report().build()?;
    drop(guard);
    let mut folded: BTreeMap<String, isize> = BTreeMap::new();
    for (frames, samples) in &report.data {
        // Innermost first, and inlined ones within a frame, too; a folded stack goes the other way.
        let names = frames.frames.iter().flatten().map(|symbol| full_name(&symbol.name(), symbol.filename.as_deref()));
        let mut stack: Vec<String> = names.collect();
        stack.push(frames.thread_name.clone());
        stack.reverse();
        *folded.entry(stack.join(";")).or_default() += samples;
    }
    let lines: Vec<String> = folded.iter().map(|(stack, samples)| format!("{stack} {samples}")).collect();
    draw(
        lines.iter().map(String::as_str),
        svg,
        &format!("{scenario}, {stack}: CPU time by stack, sampled in the process"),
        "samples",
    )
}

fn draw_perf(svg: &str, title: &str, unit: &str) -> Result<(), Box<dyn Error>> {
    let mut folded = Vec::new();
    Folder::from(PerfOptions::default()).collapse(stdin().lock(), &mut folded)?;
    let folded = String::from_utf8(folded)?;
    let tidied: Vec<String> = folded.lines().map(tidy_stack).collect();
    draw(tidied.iter().map(String::as_str), svg, title, unit)
}

fn draw<'a>(lines: impl Iterator<Item = &'a str>, svg: &str, title: &str, unit: &str) -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    options.title = title.to_string();
    options.count_name = unit.to_string();
    // Percent. A stack that was seen once or twice may be a hundred frames deep, and would make the picture that high.
    options.min_width = 0.25;
    // Deterministic colours: the same frame looks the same in two graphs.
    options.hash = true;
    // What makes the operations is no part of the scenario.
    let mut lines: Vec<&str> = lines.filter(|line| !line.contains("::workload::streams::")).collect();
    if lines.is_empty() {
        return Err("no sample was taken: play longer".into());
    }
    lines.sort_unstable();
    let samples: u64 = lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    let ours: u64 = lines
        .iter()
        .filter(|line| line.contains("joulebook::"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    flamegraph::from_lines(&mut options, lines, BufWriter::new(File::create(svg)?))?;
    println!("{samples} {unit}, {:.0} % of them in joulebook's functions", 100.0 * ours as f64 / samples as f64);
    Ok(())
}

/// Line tables name inlined functions without their modules, but with their files: of joulebook's, those tell the modules.
fn full_name(name: &str, file: Option<&Path>) -> String {
    let name = tidy(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let ours = source.canonicalize().ok().zip(file).and_then(|(source, file)| file.strip_prefix(source).ok());
    match ours {
        Some(file) if !name.contains("joulebook::") => {
            let module = file.with_extension("").to_string_lossy().replace('/', "::");
            format!("joulebook::{}::{name}", module.trim_end_matches("::mod"))
        }
        _ => name,
    }
}

fn tidy_stack(line: &str) -> String {
    let (stack, samples) = line.rsplit_once(' ').unwrap_or((line, "0"));
    format!("{} {samples}", stack.split(';').map(tidy).collect::<Vec<_>>().join(";"))
}

/// Without what makes names long: parameters of types, hashes.
fn tidy(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut depth = 0u32;
    for (at, character) in name.char_indices() {
        match character {
            // `<Type as Trait>::method` begins with one, and is kept as it is.
            '<' if at > 0 && !name[..at].ends_with("::") || depth > 0 && character == '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            ';' => out.push(':'),
            _ if depth == 0 => out.push(character),
            _ => {}
        }
    }
    match out.rfind("::h") {
        Some(at) if out.len() - at == 19 && out[at + 3..].chars().all(|c| c.is_ascii_hexdigit()) => out.truncate(at),
        _ => {}
    }
    out
}
