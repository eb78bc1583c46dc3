//! The scenarios that seal blocks, through the node as `joulebook run` plays them, each stack by its own rules.

use super::POPULATION;
use super::market::prepared;
use super::measurement::{Counted, print_counters};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use joulebook::baseline::Baseline;
use joulebook::block::{ChainParams, Target};
use joulebook::engine::{Engine, state_digest};
use joulebook::hash::{Digest, to_hex};
use joulebook::node::{BlockPolicy, Clock, Node, SealTotals, Stack};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::workload::{Op, Stream};
use std::sync::Arc;

/// Fewer than for the other groups, and easier blocks: the baseline seals one for every five trades.
const OPERATIONS: u64 = 2_000;
const DIFFICULTY_BITS: u32 = 8;
const BLOCK_TRANSACTIONS: u32 = 65_536;

pub fn scenarios(criterion: &mut Criterion<Counted>) {
    let streams =
        [("settlement", Stream::settlement(POPULATION, OPERATIONS)), ("mixed", Stream::mixed(POPULATION, OPERATIONS))];
    for (name, stream) in &streams {
        let baseline = on::<Baseline>(criterion, name, &Stack::BASELINE, stream);
        let optimized = on::<Optimized>(criterion, name, &Stack::OPTIMIZED, stream);
        assert_eq!(baseline, optimized, "scenario {name}: the stacks differ");
    }
}

fn on<E: Engine>(criterion: &mut Criterion<Counted>, scenario: &str, stack: &Stack, stream: &Stream) -> (u64, Digest) {
    let engine = prepared::<E>(stream);
    let node = || {
        let transactions = if stack.batches { BLOCK_TRANSACTIONS } else { Stack::BASELINE_BLOCK_TRANSACTIONS };
        let policy = BlockPolicy { transactions, interval: None, plan: stack.plan };
        let params = ChainParams::fixed(stream.rules, Target::from_leading_zero_bits(DIFFICULTY_BITS).to_bits());
        let clock = Clock::Simulated { start: 0, step: 1_000 };
        Node::new(engine.clone(), 1 + stream.setup.len() as u64, params, policy, clock, Arc::new(Watch::new()), None)
    };
    let mut group = criterion.benchmark_group(format!("scenarios: {scenario}"));
    group.throughput(Throughput::Elements(OPERATIONS)).sample_size(10);
    group.bench_function(BenchmarkId::from_parameter(stack.name), |bencher| {
        bencher.iter_batched(node, |node| play(node, stream), BatchSize::PerIteration);
    });
    print_counters(stack.name);
    let (engine, sealed, read) = play(node(), stream);
    let digest = state_digest(&engine);
    println!(
        "{}: {} fills, {} transactions in {} blocks, sum of all reads {read:#x}, state {}",
        stack.name,
        engine.stats().trades,
        sealed.transactions,
        sealed.blocks,
        to_hex(&digest)
    );
    (read, digest)
}

fn play<E: Engine>(mut node: Node<E>, stream: &Stream) -> (E, SealTotals, u64) {
    let (mut at, mut read) = (0, 0u64);
    for op in &stream.ops {
        match op {
            Op::Read(query) => read = read.wrapping_add(query.answer(node.engine())),
            Op::Commands(count) => {
                let commands = &stream.commands[at..at + *count as usize];
                node.submit(commands, 1).expect("nobody cancels, and nothing is stored");
                at += commands.len();
            }
        }
    }
    let (engine, sealed) = node.finish().expect("nobody cancels, and nothing is stored");
    (engine, sealed, read)
}
