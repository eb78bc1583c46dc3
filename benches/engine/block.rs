//! A block: leaves of its transactions, their tree, and the state tree, one hash at a time and in lanes.

use super::market::prepared;
use super::measurement::{Counted, print_counters};
use super::{OPERATIONS, POPULATION};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use joulebook::block::{Body, StateTree, merkle};
use joulebook::command::Batch;
use joulebook::engine::{AccountRecord, Engine};
use joulebook::hash::{Digest, Hashing, Platform, to_hex};
use joulebook::optimized::Optimized;
use joulebook::workload::Stream;
use std::hint::black_box;

pub fn block(criterion: &mut Criterion<Counted>) {
    let stream = Stream::settlement(POPULATION, OPERATIONS);
    let mut engine = prepared::<Optimized>(&stream);
    let mut changed = Vec::new();
    engine.take_changed(&mut changed);
    changed.clear();
    let mut body = Body::default();
    let batch = Batch { first: 1 + stream.setup.len() as u64, time: 0, commands: &stream.commands };
    engine.apply(batch, &mut body.log);
    body.push(batch);
    engine.take_changed(&mut changed);
    let records: Vec<_> = changed.iter().map(|record| (record.account.0, record.encode())).collect();
    // On one core: that and lanes are two changes.
    let lanes = Hashing { platform: Platform::chosen(), parallel: false };
    let roots = [("one by one", Hashing::NAIVE), ("lanes", lanes)].map(|(name, hashing)| {
        let leaves = leaves(criterion, name, &body, hashing);
        let root = merkle(criterion, name, &leaves, hashing);
        (leaves.len(), root, state(criterion, name, &records, hashing))
    });
    assert_eq!(roots[0], roots[1], "block: lanes hash differently");
    let (transactions, root, state) = &roots[1];
    println!("{transactions} transactions, root {}; state root {}", to_hex(root), to_hex(state));
}

fn leaves(criterion: &mut Criterion<Counted>, name: &str, body: &Body, hashing: Hashing) -> Vec<Digest> {
    let mut leaves = Vec::new();
    let mut group = criterion.benchmark_group("block: leaves");
    group.throughput(Throughput::Elements(body.commands.len() as u64)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter(|| {
            leaves.clear();
            black_box(body).leaves(&mut leaves, hashing);
        });
    });
    print_counters(name);
    leaves.clear();
    body.leaves(&mut leaves, hashing);
    leaves
}

fn merkle(criterion: &mut Criterion<Counted>, name: &str, leaves: &[Digest], hashing: Hashing) -> Digest {
    let mut group = criterion.benchmark_group("block: Merkle root");
    group.throughput(Throughput::Elements(leaves.len() as u64)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter(|| merkle::root_by(hashing, black_box(leaves)));
    });
    print_counters(name);
    merkle::root_by(hashing, leaves)
}

fn state(
    criterion: &mut Criterion<Counted>,
    name: &str,
    records: &[(u32, [u8; AccountRecord::ENCODED_LEN])],
    hashing: Hashing,
) -> Digest {
    let mut group = criterion.benchmark_group("block: state root");
    group.throughput(Throughput::Elements(records.len() as u64));
    let mut tree = StateTree::new();
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        let update = |mut records: Vec<_>| tree.update(black_box(&mut records), hashing);
        bencher.iter_batched(|| records.to_vec(), update, BatchSize::SmallInput);
    });
    print_counters(name);
    tree.root()
}
