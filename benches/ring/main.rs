//! `cargo bench --bench ring`: the ring beside `rtrb` and `crossbeam`, a thread on each end, in interleaved rounds.
//! What arrives is summed up and must be what was pushed. Under `cargo test` it runs once, small.
//!
//! The pattern is a matcher's: it pushes one record at a time, as it comes about. `rtrb` has no batched publishing for
//! that, so it stands here in four ways: by itself, and by the two wrappers that could be put around it, records being
//! staged in an array and handed over by 32, or written into an open chunk that is asked for again each time and
//! committed every 32; and, for comparison, filling a whole chunk from an iterator, which a matcher cannot do.
//!
//! Then the ring as a [feed](joulebook::feed) of an engine's events, beside the engine alone and an `rtrb` that is filled from the same log.
//!
//! Figures are medians; a ratio's interval holds the true median with 95 % probability, above 1 is faster than ours.

mod events;

use joulebook::measure::{LatencyRecorder, cpu_model, cpus, median, median_interval};
use joulebook::ring::{Consumer, bounded};
use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::time::Instant;

const CAPACITY: usize = 4_096;
const BATCH: usize = 32;

struct Size {
    rounds: usize,
    records: usize,
    round_trips: u32,
}

const FULL: Size = Size { rounds: 15, records: 1_000_000, round_trips: 50_000 };
const SMOKE: Size = Size { rounds: 2, records: 10_000, round_trips: 200 };

/// A record of `WORDS` words, all different, aligned as whole lines or halves of them are.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Record<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Record<WORDS> {
    #[inline(always)]
    fn new(number: u64) -> Self {
        Record(std::array::from_fn(|word| number.rotate_left(8 * word as u32)))
    }

    #[inline(always)]
    fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

/// What the producer does for each record: a chain of so many multiplications that wait for each other.
#[derive(Clone, Copy)]
struct Numbers {
    state: u64,
    work: u32,
}

impl Numbers {
    #[inline(always)]
    fn next<const WORDS: usize>(&mut self) -> Record<WORDS> {
        self.state = self.state.wrapping_add(1);
        for _ in 0..self.work {
            self.state = (self.state ^ self.state >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Record::new(self.state)
    }
}

type Contender<'a> = (&'static str, Box<dyn Fn() -> f64 + 'a>);

fn main() {
    let under_test = !std::env::args().any(|argument| argument == "--bench");
    let size = if under_test { SMOKE } else { FULL };
    println!("{}, {} CPUs", cpu_model(), cpus());
    for (what, work) in [("as fast as it goes", 0), ("work of 25 multiplications before each record", 25)] {
        throughput::<4>(what, &size, work);
        throughput::<8>(what, &size, work);
    }
    events::compare_feeds(&size);
    round_trips(&size);
}

/// Puts the calling thread on one CPU, so that the two ends never share one. Elsewhere than on Linux, and where it is
/// not allowed, the system chooses.
fn pin(cpu: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cpu;
}

/// Nanoseconds per record from the first push until all have arrived.
fn play(records: usize, sum: u64, push: impl FnOnce() + Send, read: impl FnOnce() -> u64 + Send) -> f64 {
    let ready = Barrier::new(2);
    let (begin, end) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            pin(1);
            ready.wait();
            (read(), Instant::now())
        });
        let pushing = scope.spawn(|| {
            pin(0);
            ready.wait();
            let begin = Instant::now();
            push();
            begin
        });
        let begin = pushing.join().expect("the producer");
        let (arrived, end) = reading.join().expect("the consumer");
        assert_eq!(arrived, sum, "something else arrived");
        (begin, end)
    });
    (end - begin).as_nanos() as f64 / records as f64
}

fn throughput<const WORDS: usize>(what: &str, size: &Size, work: u32) {
    println!("\n{} bytes, {what}", size_of::<Record<WORDS>>());
    compare(size, &contenders::<WORDS>(size.records, work));
}

/// Plays all in turns, and prints each beside the first.
fn compare(size: &Size, contenders: &[Contender<'_>]) {
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..size.rounds {
        // Each round begins elsewhere, so that nobody always follows the same one.
        for at in 0..contenders.len() {
            let at = (at + round) % contenders.len();
            times[at].push(contenders[at].1());
        }
    }
    for ((name, _), own) in contenders.iter().zip(&times) {
        let ratios: Vec<f64> = times[0].iter().zip(own).map(|(ours, own)| ours / own).collect();
        let ratio = median_interval(&ratios, 0.95);
        let ns = median(&mut own.clone());
        println!(
            "  {name:<44} {ns:>7.2} ns {:>7.1} M/s  {:>5.2} x ({:.2} to {:.2})",
            1e3 / ns,
            ratio.median,
            ratio.low,
            ratio.high
        );
    }
}

/// Sums up what comes out until all is there, in batches of at most `max`.
fn drain_all<const WORDS: usize>(mut consumer: Consumer<Record<WORDS>>, records: usize, max: usize) -> u64 {
    let (mut sum, mut arrived) = (0u64, 0);
    while arrived < records {
        let count = consumer.drain(max, |record| sum = sum.wrapping_add(record.sum()));
        if count == 0 {
            spin_loop();
        }
        arrived += count;
    }
    sum
}

/// The same from `rtrb`, by chunks.
fn read_chunks<const WORDS: usize>(mut consumer: rtrb::Consumer<Record<WORDS>>, records: usize) -> u64 {
    let (mut sum, mut arrived) = (0u64, 0);
    while arrived < records {
        let known = consumer.cached_slots();
        let count = if known > 0 { known } else { consumer.slots() }.min(BATCH);
        if count == 0 {
            spin_loop();
            continue;
        }
        let chunk = consumer.read_chunk(count).expect("records that are there");
        let (first, second) = chunk.as_slices();
        sum = first.iter().chain(second).fold(sum, |sum, record| sum.wrapping_add(record.sum()));
        chunk.commit_all();
        arrived += count;
    }
    sum
}

/// The same one by one, from whatever has a `pop`.
fn pop_all<const WORDS: usize>(records: usize, mut pop: impl FnMut() -> Option<Record<WORDS>>) -> u64 {
    let (mut sum, mut arrived) = (0u64, 0);
    while arrived < records {
        match pop() {
            Some(record) => {
                sum = sum.wrapping_add(record.sum());
                arrived += 1;
            }
            None => spin_loop(),
        }
    }
    sum
}

fn contenders<const WORDS: usize>(records: usize, work: u32) -> Vec<Contender<'static>> {
    let numbers = Numbers { state: black_box(1), work };
    let mut again = numbers;
    let sum = (0..records).fold(0u64, |sum, _| sum.wrapping_add(again.next::<WORDS>().sum()));
    let mut contenders: Vec<Contender<'static>> = Vec::new();
    for (name, interval) in [
        ("ours, published every 32", 32),
        ("ours, every 8", 8),
        ("ours, every 16", 16),
        ("ours, every 64", 64),
        ("ours, every 1", 1),
    ] {
        let run = move || {
            let (mut producer, consumer) = bounded::<Record<WORDS>>(CAPACITY, interval);
            let push = move || {
                let mut numbers = numbers;
                for _ in 0..records {
                    assert!(producer.push_spin(numbers.next()).is_ok());
                }
            };
            play(records, sum, push, move || drain_all(consumer, records, BATCH))
        };
        contenders.push((name, Box::new(run)));
    }
    contenders.push(("rtrb, push and pop", Box::new(move || rtrb_one_by_one::<WORDS>(numbers, records, sum, false))));
    contenders.push(("rtrb, push and chunks", Box::new(move || rtrb_one_by_one::<WORDS>(numbers, records, sum, true))));
    contenders.push(("rtrb, staged by 32 and chunks", Box::new(move || rtrb_staged::<WORDS>(numbers, records, sum))));
    contenders
        .push(("rtrb, an open chunk of 32 and chunks", Box::new(move || rtrb_open::<WORDS>(numbers, records, sum))));
    contenders.push(("rtrb, filled by 32 and chunks", Box::new(move || rtrb_filled::<WORDS>(numbers, records, sum))));
    let array_queue = move || {
        let queue = &crossbeam_queue::ArrayQueue::<Record<WORDS>>::new(CAPACITY);
        let push = || {
            let mut numbers = numbers;
            for _ in 0..records {
                let mut record = numbers.next();
                while let Err(back) = queue.push(record) {
                    record = back;
                    spin_loop();
                }
            }
        };
        play(records, sum, push, || pop_all(records, || queue.pop()))
    };
    contenders.push(("crossbeam-queue, ArrayQueue", Box::new(array_queue)));
    let channel = move || {
        let (sender, receiver) = crossbeam_channel::bounded::<Record<WORDS>>(CAPACITY);
        let push = move || {
            let mut numbers = numbers;
            for _ in 0..records {
                assert!(sender.send(numbers.next()).is_ok());
            }
        };
        play(records, sum, push, move || receiver.iter().fold(0, |sum, record| sum.wrapping_add(record.sum())))
    };
    contenders.push(("crossbeam-channel, bounded", Box::new(channel)));
    contenders
}

fn rtrb_one_by_one<const WORDS: usize>(mut numbers: Numbers, records: usize, sum: u64, chunks: bool) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Record<WORDS>>::new(CAPACITY);
    let push = move || {
        for _ in 0..records {
            let record = numbers.next();
            while producer.push(record).is_err() {
                spin_loop();
            }
        }
    };
    play(records, sum, push, move || match chunks {
        true => read_chunks(consumer, records),
        false => pop_all(records, || consumer.pop().ok()),
    })
}

fn rtrb_staged<const WORDS: usize>(mut numbers: Numbers, records: usize, sum: u64) -> f64 {
    let (mut producer, consumer) = rtrb::RingBuffer::<Record<WORDS>>::new(CAPACITY);
    let push = move || {
        let mut hand_over = |batch: &[Record<WORDS>]| {
            while producer.push_entire_slice(batch).is_err() {
                spin_loop();
            }
        };
        let (mut stage, mut staged) = ([Record::new(0); BATCH], 0);
        for _ in 0..records {
            stage[staged] = numbers.next();
            staged += 1;
            if staged == BATCH {
                hand_over(&stage);
                staged = 0;
            }
        }
        hand_over(&stage[..staged]);
    };
    play(records, sum, push, move || read_chunks(consumer, records))
}

#[allow(unsafe_code)]
fn rtrb_open<const WORDS: usize>(mut numbers: Numbers, records: usize, sum: u64) -> f64 {
    let (mut producer, consumer) = rtrb::RingBuffer::<Record<WORDS>>::new(CAPACITY);
    let push = move || {
        let mut written = 0;
        for number in 0..records {
            let record = numbers.next();
            let mut chunk = loop {
                match producer.write_chunk_uninit(written + 1) {
                    Ok(chunk) => break chunk,
                    Err(_) => spin_loop(),
                }
            };
            let (first, second) = chunk.as_mut_slices();
            let slot = match first.len() > written {
                true => &mut first[written],
                false => &mut second[written - first.len()],
            };
            slot.write(record);
            written += 1;
            if written == BATCH || number + 1 == records {
                // SAFETY: each of its slots was written by one of the turns since the last commit.
                unsafe { chunk.commit_all() };
                written = 0;
            }
        }
    };
    play(records, sum, push, move || read_chunks(consumer, records))
}

fn rtrb_filled<const WORDS: usize>(mut numbers: Numbers, records: usize, sum: u64) -> f64 {
    let (mut producer, consumer) = rtrb::RingBuffer::<Record<WORDS>>::new(CAPACITY);
    let push = move || {
        let mut left = records;
        while left > 0 {
            match producer.write_chunk_uninit(left.min(BATCH)) {
                Ok(chunk) => left -= chunk.fill_from_iter(std::iter::repeat_with(|| numbers.next())),
                Err(_) => spin_loop(),
            }
        }
    };
    play(records, sum, push, move || read_chunks(consumer, records))
}

/// One record there and the same one back, each published at once.
fn round_trips(size: &Size) {
    type Trip<'a> = (&'a str, LatencyRecorder, &'a dyn Fn(&mut LatencyRecorder));
    let trips = size.round_trips;
    let ours = |latency: &mut LatencyRecorder| {
        let (mut there, mut arrived) = bounded::<Record<4>>(CAPACITY, BATCH);
        let (mut back, mut returned) = bounded::<Record<4>>(CAPACITY, BATCH);
        let turn = |consumer: &mut Consumer<Record<4>>| {
            let mut record = None;
            while consumer.drain(1, |&next| record = Some(next)) == 0 {
                spin_loop();
            }
            record.expect("one")
        };
        let send = |producer: &mut joulebook::ring::Producer<Record<4>>, record| {
            assert!(producer.push(record).is_ok());
            producer.publish();
        };
        ping_pong(
            trips,
            latency,
            |record| {
                send(&mut there, record);
                turn(&mut returned)
            },
            || {
                let record = turn(&mut arrived);
                send(&mut back, record);
            },
        );
    };
    let rtrb = |latency: &mut LatencyRecorder| {
        let (mut there, mut arrived) = rtrb::RingBuffer::<Record<4>>::new(CAPACITY);
        let (mut back, mut returned) = rtrb::RingBuffer::<Record<4>>::new(CAPACITY);
        let turn = |consumer: &mut rtrb::Consumer<Record<4>>| loop {
            match consumer.pop() {
                Ok(record) => break record,
                Err(_) => spin_loop(),
            }
        };
        ping_pong(
            trips,
            latency,
            |record| {
                assert!(there.push(record).is_ok());
                turn(&mut returned)
            },
            || {
                let record = turn(&mut arrived);
                assert!(back.push(record).is_ok());
            },
        );
    };
    let array_queue = |latency: &mut LatencyRecorder| {
        let queues = [(); 2].map(|()| crossbeam_queue::ArrayQueue::<Record<4>>::new(CAPACITY));
        let [there, back] = &queues;
        let turn = |queue: &crossbeam_queue::ArrayQueue<Record<4>>| loop {
            match queue.pop() {
                Some(record) => break record,
                None => spin_loop(),
            }
        };
        ping_pong(
            trips,
            latency,
            |record| {
                assert!(there.push(record).is_ok());
                turn(back)
            },
            || assert!(back.push(turn(there)).is_ok()),
        );
    };
    let channel = |latency: &mut LatencyRecorder| {
        let (there, arrived) = crossbeam_channel::bounded::<Record<4>>(CAPACITY);
        let (back, returned) = crossbeam_channel::bounded::<Record<4>>(CAPACITY);
        ping_pong(
            trips,
            latency,
            |record| {
                assert!(there.send(record).is_ok());
                returned.recv().expect("the other end")
            },
            || assert!(back.send(arrived.recv().expect("the other end")).is_ok()),
        );
    };
    let mut contenders: [Trip<'_>; 4] = [
        ("ours", LatencyRecorder::new(), &ours),
        ("rtrb", LatencyRecorder::new(), &rtrb),
        ("crossbeam-queue, ArrayQueue", LatencyRecorder::new(), &array_queue),
        ("crossbeam-channel, bounded", LatencyRecorder::new(), &channel),
    ];
    for _ in 0..size.rounds.min(7) {
        contenders.iter_mut().for_each(|(_, latency, run)| run(latency));
    }
    println!("\nround trip of one record of 32 bytes, clock included");
    for (name, latency, _) in &contenders {
        println!("  {name:<44} p50 {:>6} ns  p99 {:>6} ns", latency.at(0.5), latency.at(0.99));
    }
}

fn ping_pong(
    trips: u32,
    latency: &mut LatencyRecorder,
    mut send_and_wait: impl FnMut(Record<4>) -> Record<4> + Send,
    mut answer: impl FnMut() + Send,
) {
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            ready.wait();
            (0..trips).for_each(|_| answer());
        });
        scope.spawn(|| {
            pin(0);
            ready.wait();
            for number in 0..trips {
                let record = Record::new(number.into());
                let begin = Instant::now();
                let back = send_and_wait(record);
                latency.record(begin.elapsed().as_nanos() as u64);
                assert_eq!(back.0, record.0);
            }
        });
    });
}
