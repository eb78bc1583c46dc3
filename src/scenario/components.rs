//! Where the time of a settled trade goes: each part of the work measured by itself, on one thread, so that wall time is
//! CPU time.
//!
//! Matching is the book alone, driven with the same orders and no money; tokens are the whole engine less that; the parts
//! of sealing are the station's own stage times. The ranking and the bottleneck are computed from these figures.

use super::player::{Player, Setting};
use super::{Component, Kind, ScenarioError};
use crate::command::{self, Batch, Command};
use crate::engine::Engine;
use crate::event::EventLog;
use crate::measure::{Stage, StageTimes, median};
use crate::node::{SealPlan, Stack};
use crate::optimized::Optimized;
use crate::optimized::book::{Band, Book, Fill, NewOrder, Tag};
use crate::types::Rules;
use crate::workload::Stream;
use std::cmp::Ordering;
use std::hint::black_box;
use std::time::Instant;

/// Each part is measured this often; the median counts (of sealing, the mean).
const REPEATS: usize = 5;

/// Measures the parts of a settled trade on the optimized stack; dearest first.
///
/// # Errors
/// Cancelled.
pub fn settlement_components(
    setting: &Setting,
    player: &dyn Player,
    stream: &Stream,
    operations: u64,
) -> Result<Vec<Component>, ScenarioError> {
    let trades = operations as f64;
    let (_, commands) = stream.prefix(operations);
    let engine_ns = median_ns(|| time_engine(stream, commands)) / trades;
    let matching_ns = median_ns(|| time_book(stream, commands)) / trades;

    // The optimized stack's sealing, but beside nothing and on one thread.
    let plan = SealPlan { beside: false, ..Stack::OPTIMIZED.plan };
    let stack = Stack { plan, ..Stack::OPTIMIZED };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one more thread");
    // The mean over several passes, each with other nonces: how long a search takes is luck. The pool's only thread runs a
    // whole pass, so that what is parallel inside runs on it, too.
    let mut times = StageTimes::default();
    for pass in 0..REPEATS {
        let round = pool.install(|| player.play(setting, &stack, stream, operations, 1, pass as u32))?;
        times += &round.sealed.expect("settlement seals blocks").times;
    }
    let share = |stage| times.stage_ns[stage] / (trades * REPEATS as f64);
    let mut sealing = vec![
        component("leaves", "hashing its two transactions", share(Stage::Leaves)),
        component("merkle", "its share of the Merkle tree", share(Stage::Merkle)),
        component("state-root", "its share of hashing changed accounts", share(Stage::StateRoot)),
        component("nonce-search", "its share of the block's proof of work", share(Stage::Seal)),
    ];
    sealing.sort_by(dearest_first);
    let sealing_ns = sealing.iter().map(|part| part.ns_per_operation).sum();
    let tokens = "checks, escrow, delivery versus payment, fee, events: the engine less matching";
    let mut components = vec![
        component("matching", "price-time matching of its two orders, the book alone", matching_ns),
        // A difference of two measurements: where noise makes it negative, it is nothing that could be told from zero.
        component("tokens", tokens, (engine_ns - matching_ns).max(0.0)),
        Component {
            parts: sealing,
            ..component("sealing", "its share of a sealed block, part by part below", sealing_ns)
        },
    ];
    let total: f64 = components.iter().map(|part| part.ns_per_operation).sum();
    for part in &mut components {
        part.share = Some(part.ns_per_operation / total);
        part.parts.iter_mut().for_each(|part| part.share = Some(part.ns_per_operation / total));
    }
    components.sort_by(dearest_first);
    Ok(components)
}

/// Measures a read on the optimized stack, on one thread.
///
/// # Errors
/// Cancelled.
pub fn reads_component(
    setting: &Setting,
    player: &dyn Player,
    stream: &Stream,
    operations: u64,
) -> Result<Component, ScenarioError> {
    let stack = Stack { parallel_reads: false, ..Stack::OPTIMIZED };
    let rounds: Result<Vec<f64>, ScenarioError> = (0..REPEATS)
        .map(|_| Ok(1e9 * player.play(setting, &stack, stream, operations, 1, 0)?.wall_seconds / operations as f64))
        .collect();
    Ok(component(Kind::Reads.name(), "a market-data read; no part of a settled trade", median(&mut rounds?)))
}

/// The dearest component of a trade and its dearest part, in words.
pub fn bottleneck(components: &[Component]) -> Option<String> {
    let of_a_trade: Vec<&Component> = components.iter().filter(|part| part.share.is_some()).collect();
    let total: f64 = of_a_trade.iter().map(|part| part.ns_per_operation).sum();
    let dearest = of_a_trade.into_iter().min_by(|a, b| dearest_first(a, b))?;
    let mut said = format!(
        "{}: {:.0} of {total:.0} CPU-ns per settled trade ({:.0} %)",
        dearest.name,
        dearest.ns_per_operation,
        100.0 * dearest.share?
    );
    match dearest.parts.first() {
        Some(part) => said += &format!("; most of it {} ({:.0} ns, {})", part.name, part.ns_per_operation, part.what),
        None => said += &format!(", {}", dearest.what),
    }
    Some(said)
}

/// The order in which components are listed.
pub fn dearest_first(a: &Component, b: &Component) -> Ordering {
    b.ns_per_operation.total_cmp(&a.ns_per_operation)
}

fn component(name: &str, what: &str, ns_per_operation: f64) -> Component {
    Component {
        name: name.to_string(),
        stack: Stack::OPTIMIZED.name.to_string(),
        what: what.to_string(),
        ns_per_operation,
        ops_per_second: (ns_per_operation > 0.0).then(|| 1e9 / ns_per_operation),
        share: None,
        parts: Vec::new(),
    }
}

fn median_ns(mut measure: impl FnMut() -> u64) -> f64 {
    let mut times: Vec<f64> = (0..REPEATS).map(|_| measure() as f64).collect();
    median(&mut times)
}

fn time_engine(stream: &Stream, commands: &[Command]) -> u64 {
    let mut engine = Optimized::new(stream.rules);
    let mut log = EventLog::default();
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut log);
    let mut first = 1 + stream.setup.len() as u64;
    let since = Instant::now();
    for batch in commands.chunks(512) {
        log.clear();
        engine.apply(Batch { first, time: 0, commands: batch }, &mut log);
        first += batch.len() as u64;
    }
    black_box(&engine);
    since.elapsed().as_nanos() as u64
}

/// The same orders through the book alone: no accounts, no money, no ids, no events.
fn time_book(stream: &Stream, commands: &[Command]) -> u64 {
    let Rules { price_min, price_max, tick, limits, .. } = stream.rules;
    let mut book = Book::new(Band { min: price_min, max: price_max, tick }, limits.orders);
    let mut filled = 0u64;
    let mut place = |command: &Command| {
        let Command::Place(command::NewOrder { side, limit, wh, .. }) = *command else { return };
        let order = NewOrder { limit, ..NewOrder::new(side, wh, Tag::default()) };
        book.place(&order, &mut |fill: &Fill| filled += u64::from(fill.wh)).expect("the engine accepted it, too");
    };
    stream.setup.iter().for_each(&mut place);
    let since = Instant::now();
    commands.iter().for_each(&mut place);
    black_box((&book, filled));
    since.elapsed().as_nanos() as u64
}
