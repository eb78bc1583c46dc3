//! `cargo bench`: the parts of the engine, baseline beside optimized on the same operations. Prints the digest of what each
//! did, and fails if they differ. `cargo bench -- writes` runs one group; under `cargo test`, everything runs once.

#[path = "measurement/mod.rs"]
mod measurement;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use joulebook::baseline::Baseline;
use joulebook::block::{Header, Target, merkle};
use joulebook::command::Batch;
use joulebook::engine::{Engine, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::{Digest, sha256, sha256d, to_hex};
use joulebook::optimized::Optimized;
use joulebook::seal::{Search, Watch, search};
use joulebook::workload::{Op, Population, Stream};
use measurement::{Counted, print_counters};
use std::hint::black_box;

const POPULATION: Population = Population { users: 100, orders: 50, seed: 42 };
const OPERATIONS: u64 = 20_000;

fn prepared<E: Engine>(stream: &Stream) -> E {
    let mut engine = E::new(stream.rules);
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut EventLog::default());
    engine
}

fn play<E: Engine>(engine: &mut E, stream: &Stream, log: &mut EventLog) {
    let mut first = 1 + stream.setup.len() as u64;
    for batch in stream.commands.chunks(256) {
        log.clear();
        engine.apply(Batch { first, time: 0, commands: batch }, log);
        first += batch.len() as u64;
    }
}

fn commands_on<E: Engine>(criterion: &mut Criterion<Counted>, group: &str, name: &str, stream: &Stream) -> Digest {
    let engine = prepared::<E>(stream);
    let mut log = EventLog::default();
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        let run = |mut engine: E| {
            play(&mut engine, stream, &mut log);
            engine
        };
        bencher.iter_batched(|| engine.clone(), run, BatchSize::LargeInput);
    });
    print_counters(name);
    let mut engine = engine;
    play(&mut engine, stream, &mut log);
    let digest = state_digest(&engine);
    println!("{name}: {} fills, state {}", engine.stats().trades, to_hex(&digest));
    digest
}

fn commands(criterion: &mut Criterion<Counted>) {
    let streams =
        [("writes", Stream::writes(POPULATION, OPERATIONS)), ("matching", Stream::settlement(POPULATION, OPERATIONS))];
    for (group, stream) in &streams {
        let baseline = commands_on::<Baseline>(criterion, group, "baseline", stream);
        let optimized = commands_on::<Optimized>(criterion, group, "optimized", stream);
        assert_eq!(baseline, optimized, "{group}: the engines differ");
    }
}

fn reads_on<E: Engine>(criterion: &mut Criterion<Counted>, name: &str, stream: &Stream) -> u64 {
    let engine = prepared::<E>(stream);
    let read_all = |engine: &E| {
        stream.ops.iter().fold(0u64, |sum, op| match op {
            Op::Read(query) => sum.wrapping_add(query.answer(engine)),
            Op::Commands(_) => unreachable!("a stream of reads"),
        })
    };
    let mut group = criterion.benchmark_group("reads");
    group.throughput(Throughput::Elements(OPERATIONS));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(|| read_all(black_box(&engine))));
    print_counters(name);
    let sum = read_all(&engine);
    println!("{name}: sum of all reads {sum:#x}");
    sum
}

fn reads(criterion: &mut Criterion<Counted>) {
    let stream = Stream::reads(POPULATION, OPERATIONS);
    let baseline = reads_on::<Baseline>(criterion, "baseline", &stream);
    assert_eq!(baseline, reads_on::<Optimized>(criterion, "optimized", &stream), "the engines read differently");
}

fn hashing(criterion: &mut Criterion<Counted>) {
    let mut group = criterion.benchmark_group("hashing");
    let message = [7u8; 128];
    assert_eq!(sha256d(&message), sha256(&sha256(&message)));
    group.bench_function("sha256d of 128 bytes", |bencher| bencher.iter(|| sha256d(black_box(&message))));
    print_counters("sha256d of 128 bytes");
    let leaves: Vec<Digest> = (0..4_096u32).map(|leaf| sha256(&leaf.to_le_bytes())).collect();
    group.bench_function("Merkle root of 4,096 leaves", |bencher| bencher.iter(|| merkle::root(black_box(&leaves))));
    print_counters("Merkle root");
    println!("Merkle root {}", to_hex(&merkle::root(&leaves)));
    group.finish();

    // A target that is never met: every nonce of the range is tried.
    let (header, never) = (Header::new([1; 32], 2, 0), Target::from_leading_zero_bits(220));
    let go_on = Watch::new();
    let mut group = criterion.benchmark_group("nonce search, 65,536 nonces");
    group.throughput(Throughput::Elements(65_536)).sample_size(20);
    for how in Search::ALL {
        let tried = |bencher: &mut criterion::Bencher<'_, Counted>| {
            bencher.iter(|| search(black_box(&header), 0..=65_535, &never, how, &go_on));
        };
        group.bench_function(format!("{how:?}"), tried);
        print_counters(&format!("{how:?}"));
    }
}

criterion_group! { name = engine; config = Counted::criterion(); targets = reads, commands, hashing }
criterion_main!(engine);
