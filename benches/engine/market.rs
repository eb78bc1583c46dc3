//! The whole engine in memory: commands and reads.

use super::measurement::{Counted, print_counters};
use super::{OPERATIONS, POPULATION};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use joulebook::baseline::Baseline;
use joulebook::command::Batch;
use joulebook::engine::{Engine, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::{Digest, to_hex};
use joulebook::optimized::Optimized;
use joulebook::workload::{Op, Stream};
use std::hint::black_box;

pub fn prepared<E: Engine>(stream: &Stream) -> E {
    let mut engine = E::new(stream.rules);
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut EventLog::default());
    engine
}

fn play<E: Engine>(engine: &mut E, stream: &Stream, batch: usize, log: &mut EventLog) {
    let mut first = 1 + stream.setup.len() as u64;
    for batch in stream.commands.chunks(batch) {
        log.clear();
        engine.apply(Batch { first, time: 0, commands: batch }, log);
        first += batch.len() as u64;
    }
}

fn commands_on<E: Engine>(
    criterion: &mut Criterion<Counted>,
    group: &str,
    name: &str,
    stream: &Stream,
    batch: usize,
) -> Digest {
    let engine = prepared::<E>(stream);
    let mut log = EventLog::default();
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        let run = |mut engine: E| {
            play(&mut engine, stream, batch, &mut log);
            engine
        };
        bencher.iter_batched(|| engine.clone(), run, BatchSize::LargeInput);
    });
    print_counters(name);
    let mut engine = engine;
    play(&mut engine, stream, batch, &mut log);
    let digest = state_digest(&engine);
    println!("{name}: {} fills, state {}", engine.stats().trades, to_hex(&digest));
    digest
}

pub fn commands(criterion: &mut Criterion<Counted>) {
    let writes = Stream::writes(POPULATION, OPERATIONS);
    let settlement = Stream::settlement(POPULATION, OPERATIONS);
    // As a node is asked that answers each before the next comes, or that reads in between: market data is brought up to date
    // after each command.
    for (group, stream, batch) in
        [("writes", &writes, 256), ("writes, one at a time", &writes, 1), ("matching", &settlement, 256)]
    {
        let baseline = commands_on::<Baseline>(criterion, group, "baseline", stream, batch);
        let optimized = commands_on::<Optimized>(criterion, group, "optimized", stream, batch);
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

pub fn reads(criterion: &mut Criterion<Counted>) {
    let stream = Stream::reads(POPULATION, OPERATIONS);
    let baseline = reads_on::<Baseline>(criterion, "baseline", &stream);
    assert_eq!(baseline, reads_on::<Optimized>(criterion, "optimized", &stream), "the engines read differently");
}
