//! Balances: escrow, settlement and fee, the calls that a market makes while it plays a settlement stream, without the market.

use super::ledger_calls::{Call, calls, carry_out};
use super::measurement::{Counted, print_counters};
use super::{OPERATIONS, POPULATION};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use joulebook::baseline::MapLedger;
use joulebook::command::Batch;
use joulebook::engine::{AccountRecord, Engine, Ledger};
use joulebook::event::EventLog;
use joulebook::hash::{Digest, sha256, to_hex};
use joulebook::optimized::{Columns, Optimized};
use joulebook::workload::Stream;
use std::hint::black_box;

pub fn balances(criterion: &mut Criterion<Counted>) {
    let stream = Stream::settlement(POPULATION, OPERATIONS);
    let mut engine = Optimized::new(stream.rules);
    let (mut setup, mut log, mut before) = (EventLog::default(), EventLog::default(), Vec::new());
    engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut setup);
    engine.take_changed(&mut before);
    engine.apply(Batch { first: 1 + stream.setup.len() as u64, time: 0, commands: &stream.commands }, &mut log);
    let calls = calls(&stream, &setup, &log);
    let accounts = || before.iter().copied();
    let maps = on(criterion, "maps", MapLedger::restore(&stream.rules, accounts()).expect("the engine's own"), &calls);
    let columns =
        on(criterion, "columns", Columns::restore(&stream.rules, accounts()).expect("the engine's own"), &calls);
    assert_eq!(maps, columns, "balances: the ledgers differ");
    let of_the_engine = digest(|account| engine.record(account), engine.accounts());
    assert_eq!(columns, of_the_engine, "balances: the calls are not those of the engine");
}

fn on<L: Ledger>(criterion: &mut Criterion<Counted>, name: &str, mut ledger: L, calls: &[Call]) -> Digest {
    let mut group = criterion.benchmark_group("balances");
    group.throughput(Throughput::Elements(calls.len() as u64)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        let run = |mut ledger: L| {
            carry_out(&mut ledger, black_box(calls));
            ledger
        };
        bencher.iter_batched(|| ledger.clone(), run, BatchSize::LargeInput);
    });
    print_counters(name);
    carry_out(&mut ledger, calls);
    let digest = digest(|account| ledger.record(account), ledger.accounts());
    println!("{name}: {} calls, balances {}", calls.len(), to_hex(&digest));
    digest
}

fn digest(record: impl Fn(joulebook::types::AccountId) -> Option<AccountRecord>, accounts: u32) -> Digest {
    let records = (0..accounts).filter_map(|account| record(joulebook::types::AccountId(account)));
    sha256(&records.flat_map(|record| record.encode()).collect::<Vec<u8>>())
}
