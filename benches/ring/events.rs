//! What it costs an engine to hand its events to another thread.

use super::{BATCH, CAPACITY, Size, compare, play};
use joulebook::command::Batch;
use joulebook::engine::Engine;
use joulebook::event::{Event, EventLog};
use joulebook::feed::{Entry, feed};
use joulebook::optimized::Optimized;
use joulebook::types::Sequence;
use joulebook::workload::{Population, Stream};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};

/// Commands to a batch.
const COMMANDS_TO_A_BATCH: usize = 64;

/// Something of an event that depends on what it says.
#[inline(always)]
fn weight(entry: &Entry) -> u64 {
    match entry.event {
        Event::Fill { wh, fee, .. } => entry.sequence.wrapping_mul(u64::from(wh)) ^ fee,
        _ => entry.sequence,
    }
}

/// What an engine does, and what becomes of its events.
pub fn compare_feeds(size: &Size) {
    let commands = size.records / 4;
    let stream = Stream::writes(Population { users: 1_000, orders: 1_000, seed: 9 }, commands as u64);
    let mut engine = Optimized::new(stream.rules);
    let mut log = EventLog::default();
    engine.apply(Batch { first: 1, time: 1, commands: &stream.setup }, &mut log);
    let first = 1 + stream.setup.len() as Sequence;

    let carry_out = |mut engine: Optimized, hand_over: &mut dyn FnMut(Sequence, &EventLog)| {
        let mut log = EventLog::default();
        for (batch, first) in stream.commands.chunks(COMMANDS_TO_A_BATCH).zip((first..).step_by(COMMANDS_TO_A_BATCH)) {
            log.clear();
            engine.apply(Batch { first, time: first, commands: batch }, &mut log);
            hand_over(first, &log);
        }
    };
    let (mut sum, mut events) = (0u64, 0);
    carry_out(engine.clone(), &mut |first, log| {
        each_entry(first, log).for_each(|entry| {
            sum = sum.wrapping_add(weight(&entry));
            events += 1;
        });
    });
    println!(
        "\na command of an engine, {:.2} events of {} bytes each",
        events as f64 / commands as f64,
        size_of::<Entry>()
    );

    let done = AtomicBool::new(false);
    let alone = || {
        done.store(false, Ordering::Relaxed);
        let own = engine.clone();
        let push = || {
            carry_out(own, &mut |_, log| _ = black_box(log));
            done.store(true, Ordering::Release);
        };
        let wait = || {
            while !done.load(Ordering::Acquire) {
                spin_loop();
            }
            sum
        };
        play(commands, sum, push, wait)
    };
    let fed = || {
        let (mut feed, mut reader) = feed(CAPACITY);
        let own = engine.clone();
        let push = || carry_out(own, &mut |first, log| feed.publish(first, log).expect("somebody reads"));
        let read = move || {
            let (mut sum, mut arrived) = (0u64, 0);
            while arrived < events {
                let read = reader.drain(BATCH, |entry| sum = sum.wrapping_add(weight(entry)));
                if read == 0 {
                    spin_loop();
                }
                arrived += read;
            }
            sum
        };
        play(commands, sum, push, read)
    };
    let filled = || {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<Entry>::new(CAPACITY);
        let own = engine.clone();
        let push = move || {
            carry_out(own, &mut |first, log| {
                let (mut entries, mut left) = (each_entry(first, log), log.events.len());
                while left > 0 {
                    match producer.write_chunk_uninit(left.min(BATCH)) {
                        Ok(chunk) => left -= chunk.fill_from_iter(&mut entries),
                        Err(_) => spin_loop(),
                    }
                }
            });
        };
        let read = move || {
            let (mut sum, mut arrived) = (0u64, 0);
            while arrived < events {
                let count = consumer.slots().min(BATCH);
                if count == 0 {
                    spin_loop();
                    continue;
                }
                let chunk = consumer.read_chunk(count).expect("entries that are there");
                let (first, second) = chunk.as_slices();
                sum = first.iter().chain(second).fold(sum, |sum, entry| sum.wrapping_add(weight(entry)));
                chunk.commit_all();
                arrived += count;
            }
            sum
        };
        play(commands, sum, push, read)
    };
    compare(
        size,
        &[
            ("the engine alone", Box::new(alone)),
            ("a feed: our ring", Box::new(fed)),
            ("rtrb, filled by 32 and chunks", Box::new(filled)),
        ],
    );
}

fn each_entry(first: Sequence, log: &EventLog) -> impl Iterator<Item = Entry> {
    (first..).zip(log.outcomes()).flat_map(|(sequence, events)| {
        let of = move |&event| Entry { sequence, event };
        events.iter().map(of)
    })
}
