use super::spsc::{Native, starting_at};
use super::{Producer, bounded};

fn drained(consumer: &mut super::Consumer<u64>, max: usize) -> Vec<u64> {
    let mut records = Vec::new();
    let count = consumer.drain(max, |&record| records.push(record));
    assert_eq!(count, records.len());
    records
}

#[test]
fn a_batch_is_published_when_it_is_full() {
    let (mut producer, mut consumer) = bounded(16, 4);
    (0..3).for_each(|record| producer.push(record).unwrap());
    assert_eq!(drained(&mut consumer, 16), [0; 0]);
    producer.push(3).unwrap();
    assert_eq!(drained(&mut consumer, 16), [0, 1, 2, 3]);
    producer.push(4).unwrap();
    assert_eq!(drained(&mut consumer, 16), [0; 0]);
    producer.publish();
    assert_eq!(drained(&mut consumer, 16), [4]);
}

#[test]
fn a_full_ring_gives_the_record_back_and_publishes() {
    let (mut producer, mut consumer) = bounded(8, 8);
    producer.push(100).unwrap();
    producer.publish();
    assert_eq!(drained(&mut consumer, 8), [100]);
    // Eight more end in the middle of a batch.
    (0..8).for_each(|record| producer.push(record).unwrap());
    assert_eq!(producer.push(8), Err(8));
    assert_eq!(producer.push(9), Err(9));
    assert_eq!(drained(&mut consumer, 3), [0, 1, 2]);
    (10..13).for_each(|record| producer.push(record).unwrap());
    assert_eq!(producer.push(13), Err(13));
    assert_eq!(drained(&mut consumer, 100), [3, 4, 5, 6, 7]);
    assert_eq!(drained(&mut consumer, 100), [10, 11, 12]);
}

#[test]
fn places_and_indices_wrap_around() {
    let (mut producer, mut consumer) = starting_at::<u64, Native>(usize::MAX - 20, 8, 2);
    let mut expected = 0..;
    for round in 0..100 {
        let count = 1 + round % 8;
        (0..count).for_each(|ahead| producer.push(expected.start + ahead).unwrap());
        producer.publish();
        let records = drained(&mut consumer, 8);
        assert!(records.iter().copied().eq(expected.by_ref().take(count as usize)), "{records:?}");
    }
}

#[test]
fn records_of_all_sizes() {
    fn play<T: Copy + PartialEq + std::fmt::Debug + From<u8>>() {
        let (mut producer, mut consumer) = bounded::<T>(64, 1);
        for number in 0..200u8 {
            producer.push(number.into()).unwrap();
            assert_eq!(consumer.drain(1, |&record| assert_eq!(record, number.into())), 1);
        }
    }
    play::<u8>();
    play::<u64>();
    play::<u128>();
}

#[test]
fn each_end_sees_that_the_other_is_gone() {
    let (mut producer, mut consumer) = bounded(8, 8);
    assert!(!producer.is_closed() && !consumer.is_closed());
    producer.push(1).unwrap();
    drop(producer);
    assert!(!consumer.is_closed(), "one record is to be read");
    assert_eq!(drained(&mut consumer, 8), [1]);
    assert!(consumer.is_closed());

    let (mut producer, consumer) = bounded(1, 1);
    drop(consumer);
    assert!(producer.is_closed());
    assert_eq!(producer.push_spin(1), Ok(()), "there is room");
    assert_eq!(producer.push_spin(2), Err(2));
}

#[test]
fn a_panic_in_the_middle_of_a_batch_loses_nothing() {
    let (mut producer, mut consumer) = bounded(8, 1);
    (0..4).for_each(|record| producer.push(record).unwrap());
    let panics = || consumer.drain(8, |&record| assert!(record < 2));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
    assert_eq!(drained(&mut consumer, 8), [0, 1, 2, 3]);
}

#[test]
fn capacities_and_intervals_are_checked() {
    let made = |capacity, interval| std::panic::catch_unwind(|| drop(bounded::<u64>(capacity, interval))).is_ok();
    assert!(made(1, 1) && made(8, 8));
    for (capacity, interval) in [(0, 1), (8, 0), (7, 1), (8, 3), (8, 16), (1 << (usize::BITS - 1), 1)] {
        assert!(!made(capacity, interval), "{capacity}, {interval}");
    }
}

/// Two threads as fast as they can, and with one far slower than the other.
#[test]
fn millions_of_records_arrive_once_and_in_order() {
    fn play(count: u64, capacity: usize, interval: usize, max: usize) {
        let (mut producer, mut consumer) = bounded::<[u64; 4]>(capacity, interval);
        let reading = std::thread::spawn(move || {
            let mut next = 0u64;
            while !consumer.is_closed() {
                let read = consumer.drain(max, |&record| {
                    assert_eq!(record, [next, !next, next.wrapping_mul(31), 7]);
                    next += 1;
                });
                if read == 0 {
                    std::thread::yield_now();
                }
            }
            next
        });
        for number in 0..count {
            producer.push_spin([number, !number, number.wrapping_mul(31), 7]).unwrap();
        }
        drop(producer);
        assert_eq!(reading.join().unwrap(), count);
    }
    play(2_000_000, 4_096, 32, 256);
    play(500_000, 64, 8, 5);
    play(100_000, 2, 2, 1);
}

#[test]
fn handles_go_to_other_threads_and_stay_off_each_others_lines() {
    fn is_send<T: Send>() {}
    is_send::<Producer<u64>>();
    is_send::<super::Consumer<u64>>();
    assert_eq!((align_of::<Producer<u64>>(), align_of::<super::Consumer<u64>>()), (128, 128));
}
