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

pub fn commands(criterion: &mut Criterion<Counted>) {
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

pub fn reads(criterion: &mut Criterion<Counted>) {
    let stream = Stream::reads(POPULATION, OPERATIONS);
    let baseline = reads_on::<Baseline>(criterion, "baseline", &stream);
    assert_eq!(baseline, reads_on::<Optimized>(criterion, "optimized", &stream), "the engines read differently");
}
