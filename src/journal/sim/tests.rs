use super::*;
use crate::journal::Buffer;
use crate::journal::storage::{read_full, write_all};

const FULL: usize = SECTOR;

/// So many sectors full of one byte.
fn page(byte: u8, sectors: usize) -> Buffer {
    let mut buffer = Buffer::new();
    buffer.extend(&vec![byte; sectors * SECTOR]);
    buffer
}

fn write(file: &mut SimFile, sector: u64, byte: u8, sectors: usize) {
    assert_eq!(file.write_at(sector * SECTOR as u64, page(byte, sectors).as_bytes()).unwrap(), sectors * SECTOR);
}

/// A disk with a file of four durable sectors of ones.
fn disk_with_file(seed: u64, sector: usize, access: Access) -> (SimStorage, SimFile) {
    let disk = SimStorage::new(seed, sector);
    let mut file = disk.create("file", access).unwrap();
    write(&mut file, 0, 1, 4);
    file.sync().unwrap();
    disk.sync_names().unwrap();
    assert_eq!(disk.pending(), 0);
    (disk, file)
}

/// First byte of each sector.
fn heads(disk: &SimStorage, name: &str) -> Vec<u8> {
    disk.bytes(name).iter().step_by(SECTOR).copied().collect()
}

#[test]
fn what_is_not_synced_can_vanish_in_every_combination_and_what_is_cannot() {
    let (disk, mut file) = disk_with_file(1, FULL, Access::Write);
    write(&mut file, 1, 2, 2);
    write(&mut file, 3, 3, 2);
    write(&mut file, 3, 4, 1);
    assert_eq!((disk.pending(), heads(&disk, "file")), (5, vec![1, 2, 2, 4, 3]));
    let mut seen = std::collections::BTreeSet::new();
    for mask in 0..32u32 {
        let after = disk.reopen_with(|unit| if mask >> unit & 1 == 1 { Fate::Kept } else { Fate::Lost });
        let heads = heads(&after, "file");
        assert_eq!(heads[0], 1, "synced");
        seen.insert(heads);
    }
    // Two for sector 1, two for 2, three for 3, two for 4, which is the file's end.
    assert_eq!(seen.len(), 24);
    // And by chance: nothing else, and all of it.
    let by_chance: std::collections::BTreeSet<_> = (0..3_000)
        .map(|seed| disk.fork(seed).reopen())
        .filter(|after| after.counts().sectors_torn == 0)
        .map(|after| heads(&after, "file"))
        .collect();
    assert_eq!(by_chance, seen);
}

#[test]
fn after_a_sync_nothing_is_pending_and_after_a_write_through_nothing_was() {
    for access in [Access::Write, Access::WriteThrough] {
        let (disk, mut file) = disk_with_file(2, 512, access);
        write(&mut file, 2, 7, 5);
        assert_eq!(disk.pending(), if access == Access::Write { 5 * 8 } else { 0 });
        if access == Access::Write {
            file.sync().unwrap();
        }
        for seed in 0..50 {
            assert_eq!(heads(&disk.fork(seed).reopen(), "file"), [1, 1, 7, 7, 7, 7, 7]);
        }
    }
}

#[test]
fn a_write_through_takes_along_what_was_pending_in_its_place_and_nothing_else() {
    let (disk, mut file) = disk_with_file(3, FULL, Access::Write);
    write(&mut file, 0, 2, 3);
    let mut through = disk.open("file", Access::WriteThrough).unwrap();
    write(&mut through, 1, 3, 1);
    assert_eq!(disk.pending(), 2);
    assert_eq!(heads(&disk.reopen_with(|_| Fate::Lost), "file"), [1, 3, 1, 1]);
    assert_eq!(heads(&disk.reopen_with(|_| Fate::Kept), "file"), [2, 3, 2, 1], "the older write does not come back");
}

#[test]
fn a_crash_within_a_write_through_leaves_any_subset_of_its_sectors_and_tears_some() {
    let (disk, _file) = disk_with_file(4, FULL, Access::WriteThrough);
    let mut seen = std::collections::BTreeSet::new();
    let mut torn = 0;
    for seed in 0..2_000 {
        let disk = disk.fork(seed);
        disk.crash_at(disk.operation_count() + 1);
        let mut file = disk.open("file", Access::WriteThrough).unwrap();
        assert!(file.write_at(0, page(9, 3).as_bytes()).is_err());
        assert!(file.length().is_err() && disk.names().is_err() && disk.sync_names().is_err(), "the process is gone");
        let after = disk.reopen();
        let bytes = after.bytes("file");
        let whole = |sector: &[u8]| sector.iter().all(|&byte| byte == sector[0]);
        torn += bytes.chunks(SECTOR).filter(|sector| !whole(sector)).count() as u64;
        if bytes.chunks(SECTOR).all(whole) {
            seen.insert(heads(&after, "file"));
        }
        assert!(after.open("file", Access::Read).is_ok());
    }
    assert_eq!(seen.len(), 8);
    assert!(torn > 100, "{torn} torn");
}

#[test]
fn a_torn_sector_begins_new_and_ends_old() {
    let (disk, mut file) = disk_with_file(5, FULL, Access::Write);
    write(&mut file, 1, 2, 1);
    write(&mut file, 4, 3, 1);
    let after = disk.reopen_with(|unit| Fate::Torn(100 + unit)).bytes("file");
    let expected: Vec<u8> = [(1, SECTOR), (2, 100), (1, SECTOR - 100), (1, 2 * SECTOR), (3, 101), (0, SECTOR - 101)]
        .iter()
        .flat_map(|&(byte, count)| vec![byte; count])
        .collect();
    assert!(after == expected);
}

#[test]
fn names_are_durable_after_they_are_synced_and_a_rename_is_one_step() {
    let (disk, _file) = disk_with_file(6, FULL, Access::Write);
    let mut new = disk.create("new", Access::Write).unwrap();
    write(&mut new, 0, 2, 1);
    new.sync().unwrap();
    assert_eq!(disk.names().unwrap(), ["file", "new"]);
    assert_eq!(
        disk.reopen_with(|_| Fate::Lost).names().unwrap(),
        ["file"],
        "its bytes are durable and nobody finds them"
    );
    assert_eq!(disk.reopen_with(|_| Fate::Kept).bytes("new"), vec![2; SECTOR]);
    let again = disk.fork(1);
    assert!(again.sync_names().is_err(), "a fork of a disk whose process is gone");
    // A process of its own, to go on in.
    let disk = disk.restart();
    disk.sync_names().unwrap();
    disk.rename("new", "file").unwrap();
    assert_eq!(disk.names().unwrap(), ["file"]);
    let lost = disk.reopen_with(|_| Fate::Lost);
    assert_eq!((heads(&lost, "file"), heads(&lost, "new")), (vec![1; 4], vec![2]));
    let kept = disk.reopen_with(|_| Fate::Kept);
    assert_eq!((kept.names().unwrap(), heads(&kept, "file")), (vec!["file".to_string()], vec![2]));
    let disk = disk.restart();
    disk.sync_names().unwrap();
    disk.remove("file").unwrap();
    assert!(disk.open("file", Access::Read).is_err());
    assert_eq!(disk.reopen_with(|_| Fate::Lost).names().unwrap(), ["file"]);
    assert!(disk.reopen_with(|_| Fate::Kept).names().unwrap().is_empty());
}

#[test]
fn a_process_that_ends_loses_nothing_and_makes_nothing_durable() {
    let (disk, mut file) = disk_with_file(7, FULL, Access::Write);
    write(&mut file, 0, 2, 1);
    let next = disk.restart();
    assert!(file.sync().is_err(), "its process is gone");
    assert_eq!((heads(&next, "file"), next.pending(), next.operation_count()), (vec![2, 1, 1, 1], 1, 0));
    next.open("file", Access::Write).unwrap().sync().unwrap();
    assert_eq!(heads(&next.reopen_with(|_| Fate::Lost), "file"), [2, 1, 1, 1]);
}

#[test]
fn after_a_failed_sync_the_next_one_succeeds_and_does_nothing() {
    let (disk, mut file) = disk_with_file(8, FULL, Access::Write);
    write(&mut file, 0, 2, 2);
    disk.create("new", Access::Write).unwrap();
    disk.fail_at(disk.operation_count() + 1);
    assert!(file.sync().is_err());
    disk.fail_at(disk.operation_count() + 1);
    assert!(disk.sync_names().is_err());
    file.sync().unwrap();
    disk.sync_names().unwrap();
    assert_eq!(heads(&disk, "file"), [2, 2, 1, 1], "still readable");
    assert_eq!(disk.pending(), 3);
    let lost = disk.fork(1).reopen_with(|_| Fate::Lost);
    assert_eq!((heads(&lost, "file"), lost.names().unwrap().len()), (vec![1; 4], 1));
    // Written once more, it is durable, and what was doubtful does not come back over it.
    write(&mut file, 0, 3, 1);
    file.sync().unwrap();
    assert_eq!(heads(&disk.reopen_with(|_| Fate::Kept), "file"), [3, 2, 1, 1]);
    assert_eq!(disk.counts().failed_syncs, 2);
}

#[test]
fn a_failed_write_leaves_any_part() {
    for access in [Access::Write, Access::WriteThrough] {
        let (disk, _file) = disk_with_file(9, FULL, access);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let disk = disk.fork(seed);
            disk.fail_at(disk.operation_count() + 1);
            let mut file = disk.open("file", access).unwrap();
            assert!(file.write_at(0, page(2, 2).as_bytes()).is_err());
            seen.insert(heads(&disk, "file"));
            file.sync().unwrap();
        }
        assert!(
            [[1, 1], [1, 2], [2, 1], [2, 2]]
                .iter()
                .all(|two| seen.contains([two.as_slice(), &[1, 1]].concat().as_slice()))
        );
    }
}

#[test]
fn short_and_interrupted_steps_are_all_that_write_all_and_read_full_see() {
    let (disk, _file) = disk_with_file(10, 512, Access::Write);
    let faults = Faults { short_writes: 700, short_reads: 700, interrupted: 300, ..Faults::default() };
    disk.set_faults(faults);
    for (round, access) in [Access::Write, Access::WriteThrough].repeat(20).into_iter().enumerate() {
        let mut file = disk.open("file", access).unwrap();
        let mut buffer = Buffer::new();
        buffer.extend(&(0..4 * SECTOR).map(|at| (at * 7 + at / 255 + round) as u8).collect::<Vec<u8>>());
        write_all(&mut file, 0, buffer.as_bytes()).unwrap();
        let mut back = vec![0; 4 * SECTOR + 9];
        assert_eq!(read_full(&file, 0, &mut back).unwrap(), 4 * SECTOR);
        assert!(back[..4 * SECTOR] == *buffer.as_bytes());
    }
    let counts = disk.counts();
    assert!(counts.short_writes > 20 && counts.short_reads > 20 && counts.interrupted > 20, "{counts:?}");
}

#[test]
fn a_misdirected_write_reports_success_and_lands_elsewhere() {
    let (disk, _file) = disk_with_file(11, FULL, Access::WriteThrough);
    let mut other = disk.create("other", Access::WriteThrough).unwrap();
    write(&mut other, 0, 1, 4);
    let mut elsewhere = [0; 2];
    for seed in 0..100 {
        let disk = disk.fork(seed);
        disk.misdirect_at(disk.operation_count() + 1);
        write(&mut disk.open("file", Access::WriteThrough).unwrap(), 0, 2, 1);
        let heads = ["file", "other"].map(|name| heads(&disk, name));
        assert_ne!(heads[0][0], 2);
        let hits = heads.map(|heads| heads.iter().filter(|&&head| head == 2).count());
        assert_eq!(hits[0] + hits[1], 1);
        elsewhere[0] += hits[0];
        elsewhere[1] += hits[1];
    }
    assert!(elsewhere.iter().all(|&hits| hits > 10), "{elsewhere:?}");
}

#[test]
fn a_full_disk_takes_what_fits_and_overwrites_go_on() {
    let (disk, mut file) = disk_with_file(12, FULL, Access::Write);
    disk.set_capacity(6 * SECTOR as u64);
    assert_eq!(file.write_at(4 * SECTOR as u64, page(2, 3).as_bytes()).unwrap(), 2 * SECTOR, "as much as fits");
    let error = file.write_at(6 * SECTOR as u64, page(2, 1).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    write(&mut file, 0, 3, 6);
    assert_eq!((disk.used(), disk.counts().full), (6 * SECTOR as u64, 1));
    disk.set_capacity(7 * SECTOR as u64);
    write(&mut file, 6, 2, 1);
    disk.remove("file").unwrap();
    assert_eq!(disk.used(), 0);
}

#[test]
fn bits_turn_over_at_rest_and_reads_fail_when_told() {
    let (disk, mut file) = disk_with_file(13, 512, Access::Write);
    write(&mut file, 0, 2, 1);
    disk.flip_bit("file", 9);
    disk.flip_bit("file", 8 * (SECTOR as u64 + 3));
    disk.damage("file", 4 * SECTOR as u64 - 1, |byte| byte + 5);
    for disk in [disk.clone(), disk.reopen_with(|_| Fate::Kept)] {
        let bytes = disk.bytes("file");
        let changed: Vec<(usize, u8)> = [1, SECTOR + 3, 4 * SECTOR - 1].map(|at| (at, bytes[at])).to_vec();
        assert_eq!(changed, [(1, 0), (SECTOR + 3, 0), (4 * SECTOR - 1, 6)]);
    }
    let disk = disk.restart();
    disk.set_faults(Faults { failed_reads: 1_000, ..Faults::default() });
    assert!(disk.open("file", Access::Read).unwrap().read_at(0, &mut [0; 8]).is_err());
}

#[test]
fn a_write_that_is_not_aligned_is_found() {
    let (disk, _file) = disk_with_file(14, FULL, Access::Write);
    let page = page(1, 2);
    let bytes = page.as_bytes();
    for (offset, bytes) in [(512, &bytes[..SECTOR]), (0, &bytes[..512]), (0, &bytes[512..512 + SECTOR])] {
        let mut file = disk.open("file", Access::Write).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| file.write_at(offset, bytes)));
        assert!(caught.is_err());
    }
}

/// All of a schedule's chance comes from its seed.
#[test]
fn a_seed_means_the_same_schedule() {
    let play = |seed| {
        let (mut disk, _file) = disk_with_file(seed, 512, Access::Write);
        for round in 0..10 {
            disk.set_faults(Faults { short_writes: 200, misdirected: 100, failed_writes: 50, ..Faults::default() });
            let mut file = disk.open("file", Access::Write).unwrap();
            for sector in 0..8 {
                let _ = file.write_at(sector * SECTOR as u64, page(round, 2).as_bytes());
            }
            disk = disk.reopen();
        }
        (disk.bytes("file"), disk.counts())
    };
    assert!(play(15) == play(15));
    assert!(play(15) != play(16));
}
