//! The order book by itself against a naive model (`tests/book/model.rs`), on bands of every awkward width.
//!
//! `cargo test --test book` plays 400,000 random commands, in a second; `--ignored` plays 51 million.

#[path = "book/duel.rs"]
mod duel;

use duel::Duel;
use joulebook::optimized::book::{Band, Book, Fill, NewOrder, Refused, Tag};
use joulebook::types::{Side, Ticks, TimeInForce};
use joulebook::workload::Random;
use std::collections::BTreeMap;

/// A band, the most orders of its book, and after how many commands everything is compared: small books are compared always.
type Case = (Ticks, Ticks, Ticks, u32, u64);

const CASES: [Case; 17] = [
    // One price, and the edges of the ladder's nodes.
    (7, 7, 1, 12, 1),
    (-3, 59, 1, 12, 1),
    (-3, 60, 1, 40, 1),
    (-3, 61, 1, 200, 4),
    (1_000, 5_094, 1, 40, 4),
    (1_000, 5_095, 1, 200, 8),
    (1_000, 5_096, 1, 40, 4),
    // Other ticks.
    (-50, 450, 5, 24, 1),
    (-1_000_000, 1_000_000, 100_000, 100, 4),
    // Negative prices only, and the ends of the integers.
    (-900, -100, 1, 60, 4),
    (i32::MIN, i32::MIN + 1_000, 1, 60, 4),
    (i32::MAX - 1_000, i32::MAX, 1, 60, 4),
    (i32::MIN, i32::MAX, 4_369, 60, 50),
    // The default market, 2^20 steps, and the most that there can be.
    (-50_000, 400_000, 1, 100, 50),
    (-50_000, 998_575, 1, 24, 50),
    (0, Book::STEPS_MAX as Ticks - 1, 1, 60, 500),
    // A deep one.
    (0, 20_000, 1, 3_000, 500),
];

/// Plays random commands; returns what happened how often.
fn play((min, max, tick, orders_max, every): Case, seed: u64, commands: u64) -> BTreeMap<&'static str, u64> {
    let mut duel = Duel::new(Band { min, max, tick }, orders_max, every);
    let mut random = Random::new(seed, 0);
    for _ in 0..commands {
        duel.play(random.word());
    }
    duel.compare();
    duel.counts
}

#[test]
fn the_book_does_what_its_model_does() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (case, seed) in CASES.into_iter().zip(1..) {
        for (what, count) in play(case, seed, 400_000 / CASES.len() as u64) {
            *seen.entry(what).or_default() += count;
        }
    }
    println!("{seen:?}");
    // A comparison that never reached a case proves nothing about it.
    assert_eq!(seen.len(), 23, "every kind of outcome occurs: {seen:?}");
    assert!(seen.values().all(|&count| count > 200), "{seen:?}");
}

#[test]
#[ignore = "long: 51 million commands, half a minute"]
fn long_run_on_other_seeds() {
    for (case, seed) in CASES.into_iter().zip(1_000..) {
        let (min, max, tick, orders, every) = case;
        play((min, max, tick, orders, every * 16), seed, 3_000_000);
    }
}

/// All that a book is, its memory included.
#[test]
fn refused_commands_change_nothing() {
    let mut refused = 0;
    for (seed, tick) in [(1, 1), (2, 3)] {
        let mut duel = Duel::new(Band { min: -30, max: 30, tick }, 10, 1);
        let mut random = Random::new(seed, 1);
        let mut before = format!("{:?}", duel.book());
        for _ in 0..4_000 {
            let was_refused = duel.play(random.word());
            let after = format!("{:?}", duel.book());
            if was_refused {
                refused += 1;
                assert_eq!(before, after);
            }
            before = after;
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn a_clone_is_a_book_of_its_own() {
    let band = Band { min: 0, max: 100, tick: 1 };
    let mut book = Book::new(band, 10);
    let ask = NewOrder { limit: Some(40), ..NewOrder::new(Side::Sell, 5, Tag(1, 2)) };
    let handle = book.place(&ask, &mut |_: &Fill| ()).unwrap().rests.unwrap();
    let mut copy = book.clone();
    assert_eq!(copy.cancel(handle).unwrap().tag, Tag(1, 2));
    assert_eq!((book.len(), copy.len()), (1, 0));
    book.check_invariants();
    copy.check_invariants();
}

/// A full book refuses what would rest, even if it would trade at once, and lets in what cannot rest. A replacement needs no
/// free place: it has one.
#[test]
fn a_full_book_still_trades_and_replaces() {
    let mut book = Book::new(Band { min: 0, max: 100, tick: 1 }, 2);
    let no_fills = &mut |fill: &Fill| panic!("{fill:?}");
    let order = |side, wh, price| NewOrder { limit: Some(price), ..NewOrder::new(side, wh, Tag::default()) };
    let bid = book.place(&order(Side::Buy, 5, 40), no_fills).unwrap().rests.unwrap();
    book.place(&order(Side::Sell, 5, 60), no_fills).unwrap();
    assert_eq!(book.place(&order(Side::Sell, 1, 40), no_fills), Err(Refused::Full));
    let moved = book.replace(bid, 50, 9, no_fills).unwrap().unwrap().rests.unwrap();
    assert_eq!(book.best_price(Side::Buy), Some(50));
    // What trades whole leaves a free place, and what is left of a replacement takes it.
    let traded = book.replace(moved, 60, 9, &mut |_: &Fill| ()).unwrap().unwrap();
    assert_eq!((traded.filled, traded.rests.is_some(), book.len()), (5, true, 1));
    let immediate = NewOrder { time_in_force: TimeInForce::Ioc, ..order(Side::Sell, 9, 60) };
    assert_eq!(book.place(&immediate, &mut |_: &Fill| ()).unwrap().filled, 4);
    assert!(book.is_empty());
    book.check_invariants();
}

/// The best levels stand close together; a few others are far from all. An empty band costs nearly nothing. On the widest band, each of
/// those far away has a block of its own.
#[test]
fn few_levels_take_little_memory() {
    for steps in [450_001, 1 << 20, Book::STEPS_MAX as Ticks] {
        let mut book = Book::new(Band { min: 0, max: steps - 1, tick: 1 }, 1 << 20);
        let far = (1..4).map(|quarter| steps / 8 * quarter);
        for distance in (1..=16).chain(far) {
            book.insert(Side::Buy, steps / 2 - distance, 1, Tag::default());
            book.insert(Side::Sell, steps / 2 + distance, 1, Tag::default());
        }
        let limit = if steps <= 1 << 20 { 64 << 10 } else { 72 << 10 };
        assert!(book.memory() < limit, "{steps} steps: {} bytes", book.memory());
        book.check_invariants();
    }
}

/// Orders come and go at every 61st price of 2^20. Leaves of the ladder are used again; forks stay where they have been, and
/// there are few of them: memory ends below 512 KiB, where a table of all prices would take 8 MiB.
#[test]
fn the_memory_of_levels_comes_back() {
    const STEPS: Ticks = 1 << 20;
    let mut book = Book::new(Band { min: 0, max: STEPS - 1, tick: 1 }, 1 << 20);
    let mut after_round = Vec::new();
    for _ in 0..3 {
        for price in (0..STEPS).step_by(61) {
            let handles = Side::BOTH.map(|side| book.insert(side, price, 1, Tag::default()));
            handles.into_iter().for_each(|handle| assert!(book.cancel(handle).is_some()));
        }
        book.check_invariants();
        after_round.push(book.memory());
    }
    println!("{after_round:?}");
    assert!(after_round.iter().all(|&bytes| bytes < 512 << 10), "{after_round:?}");
    assert_eq!(after_round[1], after_round[2], "a second time over the band costs nothing more");
}
