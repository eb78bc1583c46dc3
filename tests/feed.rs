//! A feed gives another thread the events that the log has, in order, each with its command's number.

use joulebook::command::{Batch, Command};
use joulebook::engine::Engine;
use joulebook::event::EventLog;
use joulebook::feed::{Entry, NobodyReads, Reader, feed};
use joulebook::optimized::Optimized;
use joulebook::types::{AccountId, Rules};
use joulebook::workload::{Chaos, ChaosProfile, Random};

fn read(reader: &mut Reader, max: usize, into: &mut Vec<Entry>) -> usize {
    reader.drain(max, |&entry| into.push(entry))
}

/// Reads until the feed is gone, sometimes much at once, and sometimes not at all, so that the ring is now full and now empty.
fn read_all(mut reader: Reader, seed: u64) -> Vec<Entry> {
    let (mut random, mut entries) = (Random::new(seed, 1), Vec::new());
    while !reader.is_closed() {
        match random.below(50) {
            0 => std::thread::yield_now(),
            max => _ = read(&mut reader, max as usize, &mut entries),
        }
    }
    entries
}

#[test]
fn a_reader_on_another_thread_gets_what_the_log_has() {
    for (profile, capacity) in [(0, 1), (1, 2), (2, 16), (3, 64), (4, 64), (5, 1 << 14)] {
        let chaos = ChaosProfile::by_number(profile);
        let commands = Chaos::new(chaos, 8).commands(20_000);
        let (mut feed, reader) = feed(capacity);
        let reading = std::thread::spawn(move || read_all(reader, profile));

        let (mut engine, mut random) = (Optimized::new(chaos.rules), Random::new(profile, 2));
        let (mut log, mut expected, mut left) = (EventLog::default(), Vec::new(), &commands[..]);
        // Numbers do not begin at one, nor do refused commands go without.
        let mut first = 1_000_000;
        while !left.is_empty() {
            let (batch, rest) = left.split_at(left.len().min(1 + random.below(100) as usize));
            log.clear();
            engine.apply(Batch { first, time: first, commands: batch }, &mut log);
            feed.publish(first, &log).expect("somebody reads");
            for (sequence, outcome) in (first..).zip(log.outcomes()) {
                expected.extend(outcome.iter().map(|&event| Entry { sequence, event }));
            }
            (left, first) = (rest, first + batch.len() as u64);
        }
        drop(feed);
        let found = reading.join().expect("the reader");
        assert!(expected.len() >= commands.len(), "every command causes something");
        let differs = expected.iter().zip(&found).position(|(expected, found)| expected != found);
        assert_eq!(differs, None, "profile {profile}");
        assert_eq!(found.len(), expected.len(), "profile {profile}");
    }
}

/// Events of so many commands, one each.
fn refusals(count: u32) -> EventLog {
    let commands = vec![Command::Burn { account: AccountId(u32::MAX), amount: 1 }; count as usize];
    let mut log = EventLog::default();
    Optimized::new(Rules::default()).apply(Batch { first: 1, time: 0, commands: &commands }, &mut log);
    assert_eq!(log.events.len(), count as usize);
    log
}

#[test]
fn all_of_a_batch_can_be_read_when_it_was_published() {
    let (mut feed, mut reader) = feed(128);
    let mut entries = Vec::new();
    let mut next = 7;
    for count in [1, 31, 32, 33, 0, 100] {
        feed.publish(next, &refusals(count)).expect("somebody reads");
        assert_eq!(read(&mut reader, 128, &mut entries), count as usize);
        next += u64::from(count);
    }
    assert!(entries.iter().map(|entry| entry.sequence).eq(7..next));
    assert!(!reader.is_closed());
    drop(feed);
    assert!(reader.is_closed());
}

#[test]
fn whoever_publishes_hears_that_nobody_reads() {
    let (mut feed, reader) = feed(8);
    feed.publish(1, &refusals(8)).expect("there is room");
    drop(reader);
    // With room or without.
    for count in [0, 1, 100] {
        assert_eq!(feed.publish(9, &refusals(count)), Err(NobodyReads));
    }
    assert_eq!(NobodyReads.to_string(), "nobody reads the events any more");
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn a_command_that_is_not_closed_is_a_bug() {
    let mut log = refusals(2);
    log.ends.pop();
    feed(8).0.publish(1, &log).unwrap();
}

#[test]
#[should_panic(expected = "a capacity of 100 is no power of two")]
fn a_capacity_is_a_power_of_two() {
    feed(100);
}
