//! One fixed life of a journal, broken in every place of a kind.

use super::model::{ID, Model, SEGMENT, is_refusal};
use joulebook::journal::sim::{Fate, Operation, SimStorage};
use joulebook::journal::storage::{SECTOR, Storage};
use joulebook::journal::{Journal, JournalError, Options, SyncPolicy};
use joulebook::workload::Random;
use rayon::prelude::*;

/// Sectors of which every subset is tried.
const SUBSETS_OF: usize = 10;

fn options(policy: SyncPolicy) -> Options {
    Options { policy, segment_bytes: SEGMENT, bytes_max: u64::MAX, spares_max: 2 }
}

/// What came of a life.
struct Life {
    model: Model,
    result: Result<(), JournalError>,
    /// What was acknowledged before the last step that acknowledged something.
    proven: u64,
}

/// Appends groups of up to three sectors, with a cover now and then, until something fails.
fn live(disk: &SimStorage, policy: SyncPolicy, groups: u32) -> Life {
    let mut life = Life { model: Model::new(), result: Ok(()), proven: 0 };
    let mut random = Random::new(7, 1);
    let mut journal = match Journal::create(disk.clone(), ID, options(policy)) {
        Ok(journal) => journal,
        Err(error) => return Life { result: Err(error), ..life },
    };
    for group in 0..groups {
        let length = random.below(3 * SECTOR as u64) as usize;
        life.result = life.model.append(&mut journal, length, &mut random).map(drop);
        if life.result.is_ok() && group % 5 == 4 {
            life.result = journal.cover();
        }
        let before = std::mem::replace(&mut life.model.acknowledged, journal.acknowledged());
        if life.model.acknowledged > before {
            life.proven = before;
        }
        if life.result.is_err() {
            let again = life.model.append(&mut journal, 64, &mut random);
            assert!(matches!(again, Err(JournalError::Stopped { .. })), "it went on: {again:?}");
            assert!(journal.prune(u64::MAX).is_err(), "pruned after an error");
            assert_eq!(journal.acknowledged(), life.model.acknowledged, "acknowledged after an error");
            break;
        }
    }
    life
}

/// Every operation of a life of 64 groups is a crash point, and every subset of what was pending then survives.
#[test]
fn every_operation_is_a_crash_point_with_every_subset_of_its_sectors() {
    let subsets: u64 = [SyncPolicy::EveryGroup, SyncPolicy::Interval(std::time::Duration::MAX)]
        .into_par_iter()
        .map(|policy| {
            let whole = SimStorage::new(1, SECTOR);
            live(&whole, policy, 64).result.unwrap();
            let operations = whole.operation_count();
            assert!(operations > 100, "{operations} operations");
            (1..=operations).into_par_iter().map(|at| crash_at(policy, at)).sum::<u64>()
        })
        .sum();
    println!("{subsets} states of the disk after a crash");
    assert!(subsets > 5_000, "only {subsets}");
}

fn crash_at(policy: SyncPolicy, operation: u64) -> u64 {
    let disk = SimStorage::new(1, SECTOR);
    disk.crash_at(operation);
    let Life { model, result, .. } = live(&disk, policy, 64);
    assert!(result.is_err() && disk.is_gone());
    let pending = disk.pending();
    let masks = 1u64 << pending.min(SUBSETS_OF);
    for mask in 0..masks {
        // The latest are tried in all combinations; of those before them, all or nothing is kept.
        let early = pending.saturating_sub(SUBSETS_OF);
        let kept = |at: usize| if at < early { mask & 1 == 1 } else { mask >> (at - early) & 1 == 1 };
        let after = disk.reopen_with(|at| if kept(at) { Fate::Kept } else { Fate::Lost });
        if model.acknowledged > 0 {
            let scanned = model.scan(&after, model.acknowledged).unwrap_or_else(|lost| panic!("{operation}: {lost}"));
            scanned.unwrap_or_else(|error| panic!("operation {operation}, subset {mask:b}: {error}"));
        }
    }
    masks
}

/// Each of the first 200 syncs, and of the writes that are syncs, fails once: nothing is acknowledged after it, and what was is
/// there.
#[test]
fn each_of_the_first_syncs_fails() {
    const GROUPS: u32 = 150;
    let whole = SimStorage::new(2, 512);
    live(&whole, SyncPolicy::EveryGroup, GROUPS).result.unwrap();
    let is_sync = |what| matches!(what, Operation::Sync | Operation::SyncNames | Operation::WriteThrough);
    let syncs: Vec<u64> = (1..).zip(whole.operations()).filter(|&(_, what)| is_sync(what)).map(|(at, _)| at).collect();
    assert!(syncs.len() > 200, "only {} syncs", syncs.len());
    syncs[..200].par_iter().for_each(|&at| {
        let disk = SimStorage::new(2, 512);
        disk.fail_at(at);
        let Life { model, result, .. } = live(&disk, SyncPolicy::EveryGroup, GROUPS);
        assert!(result.is_err(), "operation {at} failed, and the journal went on");
        for after in [disk.reopen(), disk.restart()] {
            if model.acknowledged > 0 {
                let scanned = model.scan(&after, model.acknowledged).unwrap_or_else(|lost| panic!("{at}: {lost}"));
                scanned.unwrap_or_else(|error| panic!("operation {at}: {error}"));
            }
        }
    });
}

/// A process ends in each of its operations; the machine goes on, so the next one sees in memory what is not durable, and works
/// with it until one of its first operations fails; and the one after that, until the power does. What that one acknowledged is
/// there: nothing was built upon what only memory held. (Found by a random schedule: a file that was being filled, full in memory,
/// was taken for a spare. The failed sync of its header left its end doubtful, and the power cut it off.)
#[test]
fn what_only_memory_holds_is_not_built_upon() {
    const POLICY: SyncPolicy = SyncPolicy::Interval(std::time::Duration::MAX);
    const FAILURES: u64 = 16;
    let whole = SimStorage::new(8, 512);
    live(&whole, POLICY, 32).result.unwrap();
    let cases: Vec<(u64, u64)> =
        (1..=whole.operation_count()).flat_map(|end| (1..=FAILURES).map(move |failure| (end, failure))).collect();
    let gone_on = cases.par_iter().map(|&(end, failure)| {
        // The seed decides what a failed sync leaves in memory.
        let disk = SimStorage::new(end * FAILURES + failure, 512);
        disk.crash_at(end);
        let mut model = live(&disk, POLICY, 32).model;
        if model.acknowledged == 0 {
            return 0;
        }
        let case = format!("ended in operation {end}, then operation {failure} failed");
        let disk = disk.restart();
        disk.fail_at(failure);
        let failed = goes_on(&mut model, &disk, POLICY).unwrap_or_else(|lost| panic!("{case}: {lost}"));
        assert!(failed.is_err(), "{case}, and the journal went on");
        let disk = disk.restart();
        let well = goes_on(&mut model, &disk, POLICY).unwrap_or_else(|lost| panic!("{case}: {lost}"));
        well.unwrap_or_else(|error| panic!("{case}: {error}"));
        let after = disk.reopen_with(|_| Fate::Lost);
        let scanned = model.scan(&after, model.acknowledged).unwrap_or_else(|lost| panic!("{case}: {lost}"));
        scanned.unwrap_or_else(|error| panic!("{case}: {error}"));
        1
    });
    let gone_on: u64 = gone_on.sum();
    println!("{gone_on} journals were gone on with after an end and a failure");
    assert!(gone_on > 1_000, "only {gone_on}");
}

/// Opens a journal and appends enough to fill two segments. The outer error is a broken promise, the inner one the journal's.
fn goes_on(model: &mut Model, disk: &SimStorage, policy: SyncPolicy) -> Result<Result<(), JournalError>, String> {
    let mut journal = match model.open(disk, options(policy), model.acknowledged)? {
        Ok(journal) => journal,
        Err(error) => return Ok(Err(error)),
    };
    let mut random = Random::new(model.acknowledged, 1);
    for _ in 0..16 {
        let length = random.below(3 * SECTOR as u64) as usize;
        let done = model.append(&mut journal, length, &mut random).and_then(|_| journal.cover());
        model.acknowledged = journal.acknowledged();
        if done.is_err() {
            return Ok(done);
        }
    }
    Ok(Ok(()))
}

/// Each write goes elsewhere once, to eight places each: what was acknowledged is there, but for what the last step of all
/// acknowledged, or the damage is named.
#[test]
fn each_write_goes_elsewhere() {
    let whole = SimStorage::new(6, SECTOR);
    live(&whole, SyncPolicy::EveryGroup, 64).result.unwrap();
    let is_write = |what| matches!(what, Operation::Write | Operation::WriteThrough);
    let writes = (1..).zip(whole.operations()).filter(|&(_, what)| is_write(what)).map(|(at, _)| at);
    let cases: Vec<(u64, u64)> = writes.flat_map(|at| (0..8).map(move |seed| (at, seed))).collect();
    let refused = cases.par_iter().map(|&(at, seed)| {
        let disk = SimStorage::new(seed, SECTOR);
        disk.misdirect_at(at);
        let Life { model, proven, .. } = live(&disk, SyncPolicy::EveryGroup, 64);
        if proven == 0 {
            return 0;
        }
        let case = format!("write {at} elsewhere, seed {seed}");
        match model.scan(&disk.reopen(), proven).unwrap_or_else(|lost| panic!("{case}: {lost}")) {
            Ok(_) => 0,
            Err(error) if is_refusal(&error) => 1,
            Err(error) => panic!("{case}: {error}"),
        }
    });
    let refused: u64 = refused.sum();
    println!("{} writes went elsewhere: {refused} times refused by name, otherwise nothing was lost", cases.len());
    assert!(refused > 500, "only {refused} were refused");
}

/// Every bit of a journal of 64 KiB: what is recovered is what was submitted, with all that was acknowledged, or damage is named.
#[test]
fn every_flipped_bit_is_seen_or_does_no_harm() {
    let disk = SimStorage::new(3, SECTOR);
    let mut model = Model::new();
    let mut random = Random::new(9, 1);
    let mut journal = Journal::create(disk.clone(), ID, options(SyncPolicy::EveryGroup)).unwrap();
    while journal.room() > 3 * SECTOR as u64 {
        let length = random.below(2 * SECTOR as u64) as usize;
        model.append(&mut journal, length, &mut random).unwrap();
    }
    journal.cover().unwrap();
    model.acknowledged = journal.acknowledged();
    drop(journal);
    let names: Vec<String> = disk.names().unwrap().into_iter().filter(|name| name.starts_with("segment-")).collect();
    assert_eq!(names.len(), 1);
    let bits = 8 * disk.bytes(&names[0]).len() as u64;
    assert_eq!(bits, 8 * 64 * 1024);
    let refused: u64 = (0..32u64)
        .into_par_iter()
        .map(|part| {
            let disk = disk.fork(part);
            let mut refused = 0;
            for bit in (part..bits).step_by(32) {
                disk.flip_bit(&names[0], bit);
                match model.scan(&disk, model.acknowledged).unwrap_or_else(|lost| panic!("bit {bit}: {lost}")) {
                    Ok(_) => {}
                    Err(error) if is_refusal(&error) => refused += 1,
                    Err(error) => panic!("bit {bit}: {error}"),
                }
                disk.flip_bit(&names[0], bit);
            }
            refused
        })
        .sum();
    println!("{bits} bits flipped: {refused} refused by name, the others did no harm");
    assert!(refused > 10_000, "only {refused} of {bits} were refused");
}

/// The last write of a journal reaches the disk in part, at every length.
#[test]
fn every_torn_length_of_a_frame() {
    for length in [10, SECTOR, 3 * SECTOR] {
        let whole = SimStorage::new(4, 512);
        let life = |disk: &SimStorage| {
            let mut model = Model::new();
            let mut random = Random::new(11, 1);
            let mut journal = Journal::create(disk.clone(), ID, options(SyncPolicy::EveryGroup)).unwrap();
            model.append(&mut journal, 100, &mut random).unwrap();
            model.acknowledged = journal.acknowledged();
            let last = model.append(&mut journal, length, &mut random);
            (model, last.is_ok(), disk.operation_count())
        };
        let (_, written, operations) = life(&whole);
        assert!(written);
        // A write that went through is synced behind it: the write itself is the one before.
        let disk = SimStorage::new(4, 512);
        disk.crash_at(operations - 1);
        let (model, written, _) = life(&disk);
        assert!(!written);
        let bytes = disk.pending() * 512;
        assert!(bytes >= 2 * SECTOR, "{bytes} bytes were being written");
        for torn in 0..=bytes {
            let fate = |at: usize| match torn.saturating_sub(at * 512) {
                0 => Fate::Lost,
                part if part >= 512 => Fate::Kept,
                part => Fate::Torn(part),
            };
            let after = disk.reopen_with(fate);
            let scanned = model.scan(&after, model.acknowledged).unwrap_or_else(|lost| panic!("{torn} bytes: {lost}"));
            scanned.unwrap_or_else(|error| panic!("{torn} bytes: {error}"));
        }
    }
}

/// The disk is full at every 4 KiB of the first MiB: refused before anything is accepted, and with room again it goes on.
#[test]
fn full_at_every_sector_of_a_mebibyte() {
    let refused: u64 = (0..=256u64)
        .into_par_iter()
        .map(|sectors| {
            let disk = SimStorage::new(5, SECTOR);
            disk.set_capacity(sectors * SECTOR as u64);
            let mut model = Model::new();
            let mut random = Random::new(13, 1);
            let Ok(mut journal) = Journal::create(disk.clone(), ID, options(SyncPolicy::EveryGroup)) else { return 0 };
            let mut full = 0;
            for _ in 0..200 {
                match model.append(&mut journal, 3_000, &mut random) {
                    Ok(_) => {}
                    Err(JournalError::Full { .. }) => {
                        full += 1;
                        model.acknowledged = journal.acknowledged();
                        model.scan(&disk, model.acknowledged).unwrap().unwrap();
                        disk.set_capacity(u64::MAX);
                    }
                    Err(error) => panic!("{sectors} sectors: {error}"),
                }
            }
            model.acknowledged = journal.acknowledged();
            model.scan(&disk.reopen(), model.acknowledged).unwrap().unwrap();
            full
        })
        .sum();
    assert!(refused > 200, "only {refused} were refused");
}
