//! `cargo bench --bench durable`: the durable node: settled trades beside the node in memory, in interleaved rounds of one run; one
//! client that waits for each answer; latency at half load; recovery; opening after a clean stop; snapshots. Under `cargo test` it runs
//! once, small. It writes in the folder that `JOULEBOOK_BENCH_DIR` names, or beside the build.
//!
//! Requests are made beforehand, and are 64 bytes each in memory: no network and no parsing is in any figure. An answer counts
//! when it was given, which is after the disk has it. Figures are medians; a ratio's interval holds the true median with 95 %
//! probability.

use joulebook::block::{ChainParams, Target};
use joulebook::command::{Command, Request};
use joulebook::engine::{Engine, state_digest};
use joulebook::event::Event;
use joulebook::hash::to_hex;
use joulebook::journal::disk::Disk;
use joulebook::journal::{JournalId, Options, SyncPolicy};
use joulebook::measure::{LatencyRecorder, cpu_model, cpus, median, median_interval};
use joulebook::node::durable::{DurableNode, DurableOptions, Memory, Stopped};
use joulebook::node::{BlockPolicy, Clock, Node, SealPlan, Stack};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::wire::Reply;
use joulebook::workload::{Population, Stream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Ledger = DurableNode<Optimized, Disk>;

const GROUP: usize = 8_192;
const BLOCK: u32 = 65_536;
const BITS: u32 = 16;

struct Size {
    rounds: usize,
    trades: u64,
    unbatched: usize,
    half_load: Duration,
    recovered_trades: u64,
    accounts: u32,
}

const FULL: Size = Size {
    rounds: 9,
    trades: 2_000_000,
    unbatched: 20_000,
    half_load: Duration::from_secs(5),
    recovered_trades: 5_000_000,
    accounts: 1_000_000,
};
const SMOKE: Size = Size {
    rounds: 2,
    trades: 20_000,
    unbatched: 50,
    half_load: Duration::from_millis(200),
    recovered_trades: 20_000,
    accounts: 2_000,
};

fn main() {
    let under_test = !std::env::args().any(|argument| argument == "--bench");
    let size = if under_test { SMOKE } else { FULL };
    let parent =
        std::env::var_os("JOULEBOOK_BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(&parent).expect("a folder to write in");
    let disk = Disk::open(folder.path()).expect("the folder that was just made");
    println!("{}, {} CPUs; {}", cpu_model(), cpus(), disk.durability());
    let per_second = trades(folder.path(), &size);
    unbatched(folder.path(), &size);
    half_load(folder.path(), &size, per_second / 2.0);
    recovery(folder.path(), &size);
    opening(folder.path(), &size);
}

fn params(stream: &Stream) -> ChainParams {
    ChainParams::fixed(stream.rules, Target::from_leading_zero_bits(BITS).to_bits())
}

fn options(snapshot_commands: u64) -> DurableOptions {
    let plan = SealPlan { beside: true, ..Stack::OPTIMIZED.plan };
    DurableOptions {
        policy: BlockPolicy { transactions: BLOCK, interval: None, plan },
        journal: Options { policy: SyncPolicy::EveryGroup, ..Options::default() },
        memory: Memory::default(),
        snapshot_commands,
        beside: true,
    }
}

/// One client's requests, from this number on.
fn requests(commands: &[Command], first: u64) -> Vec<Request> {
    (first..).zip(commands).map(|(number, &command)| Request { client: 1, number, command }).collect()
}

fn create(folder: &Path, stream: &Stream, options: DurableOptions) -> Ledger {
    let disk = Disk::create(folder).expect("a folder");
    let (id, watch) = (JournalId(*b"durable at bench"), Arc::new(Watch::new()));
    let mut ledger = DurableNode::create(disk, id, params(stream), options, Clock::system(), watch).expect("a ledger");
    send(&mut ledger, &requests(&stream.setup, 1), &mut Proof::default());
    // As a ledger in use has them, whose segments are used again: none is filled while it is measured, as long as they last.
    ledger.wait_for_segments().expect("room for segments");
    ledger
}

fn reopen(folder: &Path, stream: &Stream, options: DurableOptions) -> (Ledger, joulebook::node::durable::Found) {
    let disk = Disk::open(folder).expect("the folder");
    let watch = Arc::new(Watch::new());
    DurableNode::open(disk, Some(&params(stream)), options, Clock::system(), watch, &mut |_| {}).expect("a ledger")
}

/// What was really done.
#[derive(Default)]
struct Proof {
    answers: u64,
    events: u64,
    fills: u64,
}

impl Proof {
    fn see(&mut self, reply: Reply<'_>) {
        let Reply::Answer(answer) = reply else { panic!("{reply:?}") };
        self.answers += 1;
        self.events += answer.events.len() as u64;
        self.fills += answer.events.iter().filter(|event| matches!(event, Event::Fill { .. })).count() as u64;
    }
}

/// Sends groups and waits for the last answer.
fn send(ledger: &mut Ledger, requests: &[Request], proof: &mut Proof) {
    for group in requests.chunks(GROUP) {
        let (taken, full) = ledger.submit(group, &mut |reply| proof.see(reply)).expect("a disk that works");
        assert!(taken == group.len() && full.is_none(), "{full:?}");
    }
    ledger.settle(&mut |reply| proof.see(reply)).expect("a disk that works");
}

/// Settled trades a second in large groups, beside the node in memory. Returns commands a second.
fn trades(folder: &Path, size: &Size) -> f64 {
    let stream = Stream::settlement(Population { users: 100, orders: 50, seed: 42 }, size.trades);
    let setup = stream.setup.len() as u64;
    let sent = requests(&stream.commands, setup + 1);
    let mut seconds: [Vec<f64>; 3] = Default::default();
    let mut last = String::new();
    for round in 0..size.rounds {
        let in_memory = memory(&stream);
        let place = folder.join(format!("trades-{round}"));
        let mut ledger = create(&place, &stream, options(u64::MAX));
        let mut proof = Proof::default();
        let clock = Instant::now();
        send(&mut ledger, &sent, &mut proof);
        let answered = clock.elapsed().as_secs_f64();
        let stopped = ledger.stop(&mut |_| {}).expect("a disk that works");
        let all = clock.elapsed().as_secs_f64();
        assert_eq!((proof.answers, proof.fills), (2 * size.trades, size.trades), "every trade is settled and answered");
        assert_eq!(state_digest(&stopped.engine), in_memory.1, "as in memory");
        [in_memory.0, answered, all].into_iter().zip(&mut seconds).for_each(|(one, all)| all.push(one));
        let Stopped { sealed, .. } = &stopped;
        last = format!(
            "{} answers with {} events, {} fills; {} blocks with {} transactions, {} nonces; state {}",
            proof.answers,
            proof.events,
            proof.fills,
            sealed.blocks,
            sealed.transactions,
            sealed.hashes,
            &to_hex(&in_memory.1)[..16]
        );
        std::fs::remove_dir_all(&place).expect("the folder");
    }
    println!("trades, groups of {GROUP} requests, blocks of {BLOCK} at {BITS} bits, {} rounds\n  {last}", size.rounds);
    let rate = |seconds: &[f64]| {
        let mut rates: Vec<f64> = seconds.iter().map(|seconds| size.trades as f64 / seconds / 1e6).collect();
        let (low, high) = (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
        format!("{:.2} M trades/s ({low:.2} to {high:.2})", median(&mut rates))
    };
    let ratios: Vec<f64> = seconds[0].iter().zip(&seconds[2]).map(|(memory, durable)| memory / durable).collect();
    println!("  in memory, until sealed        {}", rate(&seconds[0]));
    println!("  durable, until answered        {}", rate(&seconds[1]));
    println!("  durable, until sealed, stopped {}", rate(&seconds[2]));
    println!("  durable / in memory            {}", interval(&ratios));
    2.0 * size.trades as f64 / median(&mut seconds[1])
}

fn interval(ratios: &[f64]) -> String {
    let found = median_interval(ratios, 0.95);
    format!("{:.2}, {:.2} to {:.2} ({:.0} %)", found.median, found.low, found.high, 100.0 * found.confidence)
}

/// Seconds that the same takes in memory, and the state's digest.
fn memory(stream: &Stream) -> (f64, [u8; 32]) {
    let DurableOptions { policy, .. } = options(u64::MAX);
    let (engine, watch) = (Optimized::new(stream.rules), Arc::new(Watch::new()));
    let mut node = Node::new(engine, 1, params(stream), policy, Clock::system(), watch, None);
    node.submit(&stream.setup, 1).expect("nobody cancels");
    let clock = Instant::now();
    for group in stream.commands.chunks(GROUP) {
        node.submit(group, 1).expect("nobody cancels");
    }
    let (engine, _) = node.finish().expect("nobody cancels");
    (clock.elapsed().as_secs_f64(), state_digest(&engine))
}

fn percentiles(latency: &LatencyRecorder) -> String {
    let us = |ns: u64| format!("{:.0} us", ns as f64 / 1e3);
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| us(latency.at(quantile)));
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {}", us(latency.max()))
}

/// One client that waits for each answer.
fn unbatched(folder: &Path, size: &Size) {
    let stream = Stream::settlement(Population { users: 100, orders: 50, seed: 42 }, size.unbatched as u64 / 2);
    let place = folder.join("unbatched");
    let mut ledger = create(&place, &stream, options(u64::MAX));
    let sent = requests(&stream.commands, stream.setup.len() as u64 + 1);
    let (mut latency, mut proof) = (LatencyRecorder::new(), Proof::default());
    let clock = Instant::now();
    for request in &sent {
        let asked = Instant::now();
        send(&mut ledger, std::slice::from_ref(request), &mut proof);
        latency.record(asked.elapsed().as_nanos() as u64);
    }
    let seconds = clock.elapsed().as_secs_f64();
    assert_eq!(proof.answers as usize, sent.len());
    println!(
        "unbatched, one client that waits for each answer: {:.0} requests/s; {}",
        sent.len() as f64 / seconds,
        percentiles(&latency)
    );
    ledger.stop(&mut |_| {}).expect("a disk that works");
}

/// Groups that come at fixed times, whether the last one was answered or not: from when a request should have been sent until
/// its answer.
fn half_load(folder: &Path, size: &Size, per_second: f64) {
    const ARRIVING: usize = 1_024;
    let gap = Duration::from_secs_f64(ARRIVING as f64 / per_second);
    let groups = (size.half_load.as_secs_f64() / gap.as_secs_f64()) as usize;
    let stream = Stream::settlement(Population { users: 100, orders: 50, seed: 42 }, (groups * ARRIVING) as u64 / 2);
    let place = folder.join("half");
    let mut ledger = create(&place, &stream, options(u64::MAX));
    let first = stream.setup.len() as u64 + 1;
    let sent = requests(&stream.commands, first);
    let (mut latency, mut proof) = (LatencyRecorder::new(), Proof::default());
    let start = Instant::now();
    let mut give = |reply: Reply<'_>| {
        let Reply::Answer(answer) = reply else { panic!("{reply:?}") };
        let due = start + gap * ((answer.number - first) as u32 / ARRIVING as u32);
        if (answer.number - first).is_multiple_of(ARRIVING as u64) {
            latency.record_n(due.elapsed().as_nanos() as u64, ARRIVING as u64);
        }
        proof.see(reply);
    };
    for (number, group) in sent.chunks(ARRIVING).enumerate() {
        let due = start + gap * number as u32;
        while Instant::now() < due {
            ledger.poll(&mut give).expect("a disk that works");
            std::thread::sleep(Duration::from_micros(20));
        }
        ledger.submit(group, &mut give).expect("a disk that works");
    }
    ledger.settle(&mut give).expect("a disk that works");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "half load, groups of {ARRIVING} every {:.0} us, {:.2} M requests/s for {seconds:.1} s: {}",
        gap.as_secs_f64() * 1e6,
        proof.answers as f64 / seconds / 1e6,
        percentiles(&latency)
    );
    ledger.stop(&mut |_| {}).expect("a disk that works");
}

/// Everything from the beginning again, after a node that was not stopped.
fn recovery(folder: &Path, size: &Size) {
    let stream = Stream::settlement(Population { users: 100, orders: 50, seed: 42 }, size.recovered_trades);
    let place = folder.join("recovery");
    let mut ledger = create(&place, &stream, options(u64::MAX));
    send(&mut ledger, &requests(&stream.commands, stream.setup.len() as u64 + 1), &mut Proof::default());
    let digest = state_digest(ledger.engine());
    drop(ledger);
    let clock = Instant::now();
    let (ledger, found) = reopen(&place, &stream, options(u64::MAX));
    let seconds = clock.elapsed().as_secs_f64();
    assert_eq!(state_digest(ledger.engine()), digest);
    println!(
        "recovery: {} commands and {} blocks again in {seconds:.2} s (the journal's bytes were in memory)",
        found.commands, found.blocks
    );
    drop(ledger);
    std::fs::remove_dir_all(&place).expect("the folder");
}

/// Opening after a clean stop, and how long a snapshot keeps commands waiting.
fn opening(folder: &Path, size: &Size) {
    for orders in [0, size.accounts] {
        let stream = Stream::settlement(Population { users: size.accounts, orders, seed: 42 }, 200_000);
        let place = folder.join(format!("opening-{orders}"));
        // One in between, while commands go on.
        let mut ledger = create(&place, &stream, options(stream.setup.len() as u64 + 50_000));
        send(&mut ledger, &requests(&stream.commands, stream.setup.len() as u64 + 1), &mut Proof::default());
        let (digest, accounts, resting) =
            (state_digest(ledger.engine()), ledger.engine().accounts(), ledger.engine().stats().open_orders);
        let stopped = ledger.stop(&mut |_| {}).expect("a disk that works");
        assert!(stopped.snapshots >= 2, "{} snapshots", stopped.snapshots);
        let mut seconds = Vec::new();
        for _ in 0..size.rounds.min(5) {
            let clock = Instant::now();
            let (ledger, found) = reopen(&place, &stream, options(u64::MAX));
            seconds.push(clock.elapsed().as_secs_f64());
            assert!(found.commands == 0 && found.snapshot.is_some());
            assert_eq!(state_digest(ledger.engine()), digest);
        }
        println!(
            "{accounts} accounts, {resting} orders: a snapshot keeps commands waiting for {:.1} ms; opened after a clean stop in {:.3} s",
            stopped.pause_ns_max as f64 / 1e6,
            median(&mut seconds)
        );
        std::fs::remove_dir_all(&place).expect("the folder");
    }
}
