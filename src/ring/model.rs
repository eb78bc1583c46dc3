//! The ring under loom, which runs a test once for every order of events that the memory model allows, with every value
//! that a load may see, and fails when a slot is written while it is read.
//!
//! What it caught, each planted alone (`tests/planted_bugs.rs` plants them again): `Relaxed` instead of `Release` where
//! the producer publishes, and where it publishes because the ring is full; instead of `Acquire` where the consumer
//! looks; instead of either where places are given back and where the producer looks for them; places given back before
//! they are read; a ring that takes one record too many; an end that is seen before the last batch.

use super::spsc::{Consumer, Index, Memory, Producer, starting_at};
use loom::cell::Cell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Loom's atomics and cells.
struct Model;

impl Memory for Model {
    type Index = AtomicUsize;
    type Slot<T: Copy> = Cell<Option<T>>;
}

impl Index for AtomicUsize {
    fn new(value: usize) -> Self {
        AtomicUsize::new(value)
    }

    fn load(&self, ordering: Ordering) -> usize {
        AtomicUsize::load(self, ordering)
    }

    fn store(&self, value: usize, ordering: Ordering) {
        AtomicUsize::store(self, value, ordering);
    }
}

/// Pushes the numbers below `count`, waiting whenever the ring is full.
fn push_all(mut producer: Producer<u32, Model>, count: u32) {
    for number in 0..count {
        while producer.push(number).is_err() {
            thread::yield_now();
        }
    }
}

/// Reads until `done` and checks that each number came once, in order.
fn read_all(
    mut consumer: Consumer<u32, Model>,
    count: u32,
    max: usize,
    done: fn(&mut Consumer<u32, Model>, u32, u32) -> bool,
) {
    let mut next = 0;
    while !done(&mut consumer, next, count) {
        let read = consumer.drain(max, |&number| {
            assert_eq!(number, next);
            next += 1;
        });
        assert!(read <= max);
        if read == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(next, count, "records are missing");
}

/// All orders in which at most twice a thread is interrupted where it need not wait: without this bound, the orders are
/// too many to be tried.
fn every_order_of_events(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

fn play(capacity: usize, interval: usize, count: u32, max: usize) {
    every_order_of_events(move || {
        // The indices overflow on the way.
        let (producer, consumer) = starting_at::<u32, Model>(usize::MAX - 1, capacity, interval);
        let pushing = thread::spawn(move || push_all(producer, count));
        read_all(consumer, count, max, |_, next, count| next == count);
        pushing.join().unwrap();
    });
}

#[test]
fn records_one_by_one() {
    play(1, 1, 2, 1);
    play(2, 1, 3, 1);
}

#[test]
fn records_in_batches() {
    play(2, 2, 4, 2);
    play(4, 2, 5, 4);
}

/// The places of a batch are not all free when it begins.
#[test]
fn a_batch_that_meets_the_full_ring() {
    play(2, 2, 4, 1);
}

#[test]
fn what_was_published_before_the_end_is_read() {
    every_order_of_events(|| {
        let (producer, consumer) = starting_at::<u32, Model>(0, 4, 4);
        let pushing = thread::spawn(move || push_all(producer, 1));
        read_all(consumer, 1, 4, |consumer, _, _| consumer.is_closed());
        pushing.join().unwrap();
    });
}

#[test]
fn a_producer_sees_that_nobody_reads() {
    every_order_of_events(|| {
        let (mut producer, mut consumer) = starting_at::<u32, Model>(0, 1, 1);
        let reading = thread::spawn(move || {
            consumer.drain(1, |&number| assert_eq!(number, 0));
        });
        let mut number = 0;
        loop {
            match producer.push(number) {
                Ok(()) => number += 1,
                Err(_) if producer.is_closed() => break,
                Err(_) => thread::yield_now(),
            }
        }
        assert!((1..=2).contains(&number));
        reading.join().unwrap();
    });
}
