//! `cargo bench --bench engine`: criterion over all parts: reads, commands, balances, blocks, hashing, the journal's frames, and the
//! scenarios that seal blocks; baseline beside optimized on the same operations. Each prints the digest of what it did, and fails if
//! two that must do the same differ; counters stand beside the times. `cargo bench --bench engine -- balances` runs what has that
//! in its name; `--save-baseline NAME` and `--baseline NAME` compare two builds. Under `cargo test`, everything runs once.

mod balances;
mod block;
mod hashing;
mod journal;
#[path = "../ledger_calls/mod.rs"]
mod ledger_calls;
mod market;
#[path = "../measurement/mod.rs"]
mod measurement;
mod scenarios;

use criterion::{criterion_group, criterion_main};
use joulebook::workload::Population;
use measurement::Counted;

const POPULATION: Population = Population { users: 100, orders: 50, seed: 42 };
const OPERATIONS: u64 = 20_000;

criterion_group! {
    name = all;
    config = Counted::criterion();
    targets = market::reads, market::commands, balances::balances, block::block, hashing::hashing, journal::journal, scenarios::scenarios
}
criterion_main!(all);
