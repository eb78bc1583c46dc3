//! The parts whose instructions are counted: `profiling/callgrind.sh`. Each part does the same work from the same state every time it is
//! called, on one thread, and [`counted`] is the only stretch that Callgrind collects, so what prepares and checks the work is in
//! no figure. Without Callgrind a call does the work and its checks, and prints what was done: so `cargo test` runs all parts.
//!
//! A part prints one JSON line: its name, what an operation is, how many were done, and a digest of what they made.

#[path = "ledger_calls/mod.rs"]
mod ledger_calls;

use joulebook::block::{Body, StateTree, merkle};
use joulebook::command::Batch;
use joulebook::engine::{AccountRecord, Engine, Ledger, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::{Digest, Hashing, NonceSearch, Platform, sha256, to_hex};
use joulebook::optimized::{Columns, Optimized};
use joulebook::workload::{Population, Stream};
use std::hint::black_box;

const POPULATION: Population = Population { users: 100, orders: 50, seed: 42 };
const OPERATIONS: u64 = 20_000;
const NONCES: u32 = 65_536;

/// What a part did.
struct Done {
    operation: &'static str,
    operations: u64,
    digest: Digest,
}

type Part = (&'static str, fn() -> Done);
const PARTS: [Part; 7] = [
    ("matching", matching),
    ("one-at-a-time", one_at_a_time),
    ("tokens", tokens),
    ("leaves", leaves),
    ("merkle", merkle_root),
    ("state-root", state_root),
    ("search", search),
];

/// The stretch that is counted. Callgrind finds it by its name, so it must be neither inlined nor mangled away by generics.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// All on this thread: Callgrind runs one at a time anyway, and who steals which task is chance.
fn on_one_core() -> Hashing {
    Hashing { platform: Platform::chosen(), parallel: false }
}

/// The same for work that a part only needs. Its name must not match what Callgrind looks for.
fn prepared(work: &mut dyn FnMut()) {
    work();
}

/// A settlement stream, and the engine before and after it.
struct Played {
    stream: Stream,
    /// The setup's events, and the accounts behind it.
    setup: EventLog,
    before: Vec<AccountRecord>,
    /// The stream's events, the engine behind it, and the first of its sequences.
    log: EventLog,
    after: Optimized,
    first: u64,
}

fn play(around: fn(&mut dyn FnMut()), batch: usize) -> Played {
    let stream = Stream::settlement(POPULATION, OPERATIONS);
    let mut engine = Optimized::new(stream.rules);
    let (mut setup, mut log) = (EventLog::default(), EventLog::default());
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut setup);
    let mut before = Vec::new();
    engine.take_changed(&mut before);
    let first = 1 + stream.setup.len() as u64;
    // Once unseen, for memory that grows once.
    let mut rehearsal = engine.clone();
    rehearsal.apply(Batch { first, time: 0, commands: &stream.commands }, &mut log);
    log.clear();
    around(&mut || {
        for (number, commands) in stream.commands.chunks(batch).enumerate() {
            engine.apply(Batch { first: first + (number * batch) as u64, time: 0, commands }, &mut log);
        }
    });
    Played { stream, setup, before, log, after: engine, first }
}

fn matching() -> Done {
    placed(usize::MAX, "one order placed: escrow, matching, settlement")
}

/// Market data is brought up to date after each order.
fn one_at_a_time() -> Done {
    placed(1, "one order placed by itself: escrow, matching, settlement, market data")
}

fn placed(batch: usize, operation: &'static str) -> Done {
    let played = play(counted, batch);
    assert!(played.after.stats().trades > OPERATIONS / 4, "a settlement stream trades");
    Done { operation, operations: played.stream.commands.len() as u64, digest: state_digest(&played.after) }
}

fn tokens() -> Done {
    let mut played = play(prepared, usize::MAX);
    let calls = ledger_calls::calls(&played.stream, &played.setup, &played.log);
    let mut ledger = Columns::restore(&played.stream.rules, played.before.iter().copied()).expect("the engine's own");
    counted(&mut || ledger_calls::carry_out(&mut ledger, black_box(&calls)));
    let (mut ours, mut engines) = (Vec::new(), Vec::new());
    ledger.take_changed(&mut ours);
    played.after.take_changed(&mut engines);
    let by_account = |records: &mut Vec<AccountRecord>| records.sort_by_key(|record| record.account.0);
    by_account(&mut ours);
    by_account(&mut engines);
    assert_eq!(ours, engines, "the calls are not those of the engine");
    let bytes: Vec<u8> = ours.iter().flat_map(AccountRecord::encode).collect();
    let operation = "one call of the ledger: an order's escrow, or a fill's settlement";
    Done { operation, operations: calls.len() as u64, digest: sha256(&bytes) }
}

/// What the stream is as a block's body.
fn body() -> (Body, Optimized) {
    let Played { stream, log, after, first, .. } = play(prepared, usize::MAX);
    let mut body = Body { log, ..Body::default() };
    body.commands.extend_from_slice(&stream.commands);
    body.stamps.push(joulebook::block::Stamp { start: 0, first, time: 0 });
    (body, after)
}

fn leaves_of(body: &Body) -> Vec<Digest> {
    let mut leaves = Vec::with_capacity(body.commands.len());
    body.leaves(&mut leaves, on_one_core());
    leaves
}

fn leaves() -> Done {
    let (body, _) = body();
    let mut leaves = Vec::new();
    counted(&mut || leaves = leaves_of(black_box(&body)));
    let one_by_one: Vec<Digest> =
        body.transactions().map(|(command, events)| joulebook::block::leaf(&command, events)).collect();
    assert_eq!(leaves, one_by_one, "lanes and the plain leaf differ");
    Done { operation: "one transaction's leaf", operations: leaves.len() as u64, digest: merkle::root(&leaves) }
}

fn merkle_root() -> Done {
    let leaves = leaves_of(&body().0);
    let mut digest = Digest::default();
    counted(&mut || digest = merkle::root_by(on_one_core(), black_box(&leaves)));
    assert_eq!(digest, merkle::root_by(Hashing::NAIVE, &leaves), "lanes and the plain root differ");
    Done { operation: "one leaf of the tree", operations: leaves.len() as u64, digest }
}

fn state_root() -> Done {
    let (_, mut engine) = body();
    let mut changed = Vec::new();
    engine.take_changed(&mut changed);
    let records = || changed.iter().map(|record| (record.account.0, record.encode())).collect::<Vec<_>>();
    let (mut tree, mut naive) = (StateTree::new(), StateTree::new());
    let mut ours = records();
    // The second time the tree has its memory: growing it takes a few instructions more or less.
    tree.update(&mut records(), on_one_core());
    counted(&mut || tree.update(&mut ours, on_one_core()));
    naive.update(&mut records(), Hashing::NAIVE);
    assert_eq!(tree.root(), naive.root(), "lanes and the plain tree differ");
    Done { operation: "one changed account", operations: changed.len() as u64, digest: tree.root() }
}

fn search() -> Done {
    let header: [u8; 80] = std::array::from_fn(|byte| byte as u8);
    // A target that nothing meets: every nonce is tried, whatever the header.
    let search = NonceSearch::new(&header, &[0; 32]);
    let mut found = None;
    counted(&mut || found = black_box(&search).lowest(Platform::chosen(), 0..=NONCES - 1));
    assert_eq!(found, None, "no digest is zero");
    let operation = "one nonce tried";
    Done { operation, operations: u64::from(NONCES), digest: sha256(&header) }
}

fn main() {
    // What cargo adds (`--bench`, `--test`) and filters begin here; a name picks one part.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("error: no part is called {unknown:?}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    for (name, part) in PARTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            let Done { operation, operations, digest } = part();
            let hashing = Platform::chosen().name();
            let digest = to_hex(&digest);
            let line = serde_json::json!({ "name": name, "operation": operation, "operations": operations, "digest": digest, "hashing": hashing, "users": POPULATION.users, "orders": POPULATION.orders });
            println!("{line}");
        }
    }
}
