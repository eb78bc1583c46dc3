//! Hashing: one message, a tree, a search.

use super::measurement::{Counted, print_counters};
use criterion::{Criterion, Throughput};
use joulebook::block::{Header, Target, merkle};
use joulebook::hash::{Digest, sha256, sha256d, to_hex};
use joulebook::seal::{Search, Watch, search};
use std::hint::black_box;

pub fn hashing(criterion: &mut Criterion<Counted>) {
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
