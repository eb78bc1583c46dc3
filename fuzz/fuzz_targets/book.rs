//! The order book against the naive model of `tests/book`: the first byte chooses a band, each eight bytes after it are a
//! command. Everything is compared after each one, and the book's invariants are checked.
#![no_main]

#[path = "../../tests/book/duel.rs"]
mod duel;

use duel::Duel;
use joulebook::optimized::book::Band;
use libfuzzer_sys::fuzz_target;

/// Bands, and the most orders of their books.
const BOOKS: [(Band, u32); 8] = [
    (Band { min: 7, max: 7, tick: 1 }, 8),
    (Band { min: -32, max: 31, tick: 1 }, 12),
    (Band { min: -32, max: 32, tick: 1 }, 100),
    (Band { min: -50, max: 450, tick: 5 }, 12),
    (Band { min: -5_000, max: -904, tick: 1 }, 40),
    (Band { min: i32::MIN, max: i32::MIN + 70_000, tick: 7 }, 24),
    (Band { min: i32::MAX - 300_000, max: i32::MAX, tick: 1 }, 24),
    (Band { min: i32::MIN, max: i32::MAX, tick: 65_537 }, 40),
];

fuzz_target!(|input: &[u8]| {
    let [which, commands @ ..] = input else { return };
    let (band, orders_max) = BOOKS[usize::from(*which) % BOOKS.len()];
    let mut duel = Duel::new(band, orders_max, 1);
    for bits in commands.as_chunks().0 {
        duel.play(u64::from_le_bytes(*bits));
    }
});
