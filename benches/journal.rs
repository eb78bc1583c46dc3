//! `cargo bench --bench journal`: the journal beside the bare disk, in interleaved rounds of one run, and how fast it is read again.
//! Under `cargo test` it runs once, small. It writes in the folder that `JOULEBOOK_BENCH_DIR` names, or beside the build.
//!
//! A round puts so many groups of records of 100 bytes into frames, finishes and appends them, and ends when the last one is
//! acknowledged. The bare disk does as many writes of as many bytes as these frames have, into a file that was filled before,
//! by the same system calls, and nothing else. Two ways are compared with it: one thread that does everything, and, as a node
//! does it, one that fills frames beside one that writes them.
//!
//! Figures are medians; a ratio's interval holds the true median with 95 % probability; 1 is the bare disk.

use joulebook::hash::{Digest, Sha256, to_hex};
use joulebook::journal::disk::Disk;
use joulebook::journal::frame::disk_len;
use joulebook::journal::storage::{Access, Storage, StoredFile, fill, write_all};
use joulebook::journal::{Buffer, FrameBuffer, Journal, JournalId, Kind, Label, Options, SyncPolicy, scan};
use joulebook::measure::{cpu_model, cpus, median, median_interval};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

const RECORD: usize = 100;
const ID: JournalId = JournalId(*b"journal at bench");
/// Frames on their way between the two threads, one being filled and one being written included.
const FRAMES: usize = 4;

struct Size {
    rounds: usize,
    /// Records in a group, and groups in a round.
    groups: [(usize, usize); 4],
    segment_bytes: u64,
    recovered: usize,
}

const FULL: Size = Size {
    rounds: 15,
    groups: [(1, 1_000), (64, 1_000), (1_024, 500), (8_192, 200)],
    segment_bytes: 64 << 20,
    recovered: 10_000_000,
};
const SMOKE: Size =
    Size { rounds: 2, groups: [(1, 20), (64, 20), (1_024, 20), (8_192, 8)], segment_bytes: 4 << 20, recovered: 50_000 };

fn main() {
    let under_test = !std::env::args().any(|argument| argument == "--bench");
    let size = if under_test { SMOKE } else { FULL };
    let parent =
        std::env::var_os("JOULEBOOK_BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(&parent).expect("a folder to write in");
    let disk = Disk::open(folder.path()).expect("the folder that was just made");
    println!("{}, {} CPUs; {}", cpu_model(), cpus(), disk.durability());
    for (group, groups) in size.groups {
        let folder = tempfile::tempdir_in(folder.path()).expect("a folder");
        append(&Disk::open(folder.path()).expect("that folder"), &size, group, groups);
    }
    recover(&disk, &size);
}

/// Records, all different: their number and a pattern that comes from it.
#[derive(Clone)]
struct Records(u64);

impl Records {
    fn next(&mut self) -> [u8; RECORD] {
        self.0 += 1;
        let mut record = [0x5a; RECORD];
        for (word, bytes) in record.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&self.0.rotate_left(8 * word as u32).to_le_bytes());
        }
        record
    }

    fn fill(&mut self, frame: &mut FrameBuffer, group: usize) {
        frame.clear();
        let label = Label { kind: Kind::Group, first: self.0 + 1, time: 0, count: group as u32 };
        for _ in 0..group {
            frame.extend(&self.next());
        }
        frame.finish(label);
    }

    fn digest(mut self, records: usize) -> Digest {
        let mut hash = Sha256::new();
        for _ in 0..records {
            hash.update(&self.next());
        }
        hash.finish()
    }
}

fn open(disk: &Disk, size: &Size, bytes: u64) -> Journal<Disk> {
    let options = Options {
        policy: SyncPolicy::EveryGroup,
        segment_bytes: size.segment_bytes,
        spares_max: usize::MAX,
        ..Options::default()
    };
    let journal = Journal::create(disk.clone(), ID, options).expect("a new journal");
    // No round has to make one: a node makes them beside.
    for _ in 0..2 * bytes.div_ceil(size.segment_bytes / 2) {
        journal.spares().prepare().expect("room for a segment");
    }
    journal
}

fn one_thread(
    journal: &mut Journal<Disk>,
    frames: &mut [FrameBuffer],
    records: &mut Records,
    group: usize,
    groups: usize,
) {
    for _ in 0..groups {
        records.fill(&mut frames[0], group);
        journal.append(&mut frames[0]).expect("a disk that works");
    }
    journal.cover().expect("a disk that works");
}

fn two_threads(
    journal: &mut Journal<Disk>,
    frames: &mut Vec<FrameBuffer>,
    records: &mut Records,
    group: usize,
    groups: usize,
) {
    let (filled, to_write) = sync_channel::<FrameBuffer>(FRAMES);
    let (written, to_fill) = sync_channel::<FrameBuffer>(FRAMES);
    frames.drain(..).for_each(|frame| written.send(frame).expect("room for all"));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for mut frame in to_write {
                journal.append(&mut frame).expect("a disk that works");
                written.send(frame).expect("room for all");
            }
            journal.cover().expect("a disk that works");
        });
        for _ in 0..groups {
            let mut frame = to_fill.recv().expect("the writer");
            records.fill(&mut frame, group);
            filled.send(frame).expect("the writer");
        }
        drop(filled);
        frames.extend(to_fill);
    });
    assert_eq!(frames.len(), FRAMES);
}

fn append(disk: &Disk, size: &Size, group: usize, groups: usize) {
    let span = disk_len(RECORD * group);
    let bytes = span * groups as u64;
    let mut raw = disk.create("raw", Access::Write).expect("a file");
    fill(&mut raw, bytes, |_, _| {}, |_| true).expect("room for a file");
    let mut raw = disk.open("raw", Access::WriteThrough).expect("that file");
    let mut content = Buffer::new();
    let mut pattern = Records(0);
    while content.len() < span as usize {
        content.extend(&pattern.next());
    }
    content.resize(span as usize);

    let names = ["bare disk", "journal, one thread", "journal, two threads"];
    let folders = [1, 2].map(|_| tempfile::tempdir_in(disk.path()).expect("a folder"));
    let disks = folders.each_ref().map(|folder| Disk::open(folder.path()).expect("that folder"));
    let mut journals = disks.each_ref().map(|disk| open(disk, size, bytes));
    let mut records = [Records(0), Records(0)];
    let mut began = records.clone();
    let mut from = [0; 2];
    let mut frames = vec![FrameBuffer::new(); FRAMES];
    let mut seconds = [const { Vec::new() }; 3];
    // The first round counts for nobody: memory is touched there for the first time.
    for round in 0..=size.rounds {
        // Who goes first changes from round to round.
        for way in (0..3).map(|way| (way + round) % 3) {
            if way > 0 {
                let journal = &mut journals[way - 1];
                journal.prune(journal.last() + 1).expect("a disk that works");
                (from[way - 1], began[way - 1]) = (journal.last() + 1, records[way - 1].clone());
            }
            let begin = Instant::now();
            match way {
                0 => (0..groups as u64).for_each(|at| {
                    write_all(&mut raw, at * span, content.as_bytes()).expect("a disk that works");
                    raw.sync().expect("a disk that works");
                }),
                1 => one_thread(&mut journals[0], &mut frames, &mut records[0], group, groups),
                _ => two_threads(&mut journals[1], &mut frames, &mut records[1], group, groups),
            }
            let took = begin.elapsed().as_secs_f64();
            if round > 0 {
                seconds[way].push(took);
            }
            if way > 0 {
                assert_eq!(journals[way - 1].acknowledged(), journals[way - 1].last(), "all of it is acknowledged");
            }
        }
    }
    println!("\ngroups of {group}: {groups} writes of {span} bytes in each of {} rounds", size.rounds);
    for (name, own) in names.iter().zip(&seconds) {
        let ratios: Vec<f64> = seconds[0].iter().zip(own).map(|(raw, own)| raw / own).collect();
        let ratio = median_interval(&ratios, 0.95);
        let took = median(&mut own.clone());
        println!(
            "  {name:<22} {:>8.3} M records/s {:>7.1} MB/s {:>7.1} us/group  {:.2} x ({:.2} to {:.2})",
            (group * groups) as f64 / took / 1e6,
            bytes as f64 / took / 1e6,
            took / groups as f64 * 1e6,
            ratio.median,
            ratio.low,
            ratio.high
        );
    }
    for at in 0..2 {
        let read = read(&disks[at], from[at]);
        assert_eq!((read.groups, read.payload), (groups, RECORD * group * groups), "{}", names[at + 1]);
        let expected = began[at].clone().digest(group * groups);
        assert_eq!(read.digest(), expected, "{}: something else is read than was appended", names[at + 1]);
        println!("  {}: {groups} frames read back, {}", names[at + 1], to_hex(&expected));
    }
}

struct Read {
    groups: usize,
    payload: usize,
    hash: Sha256,
}

impl Read {
    fn digest(self) -> Digest {
        self.hash.finish()
    }
}

fn read(disk: &Disk, from: u64) -> Read {
    let mut read = Read { groups: 0, payload: 0, hash: Sha256::new() };
    let visit = &mut |header: &joulebook::journal::Header, payload: &[u8]| {
        if header.label.kind == Kind::Group {
            read.groups += 1;
            read.payload += payload.len();
            read.hash.update(payload);
        }
    };
    scan(disk, &ID, from, visit).expect("a whole journal");
    read
}

/// The scan of a journal as a node finds it that was started again: from the disk, and once more from the system's memory.
fn recover(disk: &Disk, size: &Size) {
    const GROUP: usize = 1_024;
    let groups = size.recovered.div_ceil(GROUP);
    let mut journal = open(disk, size, 0);
    let (mut frames, mut records) = (vec![FrameBuffer::new(); FRAMES], Records(0));
    two_threads(&mut journal, &mut frames, &mut records, GROUP, groups);
    drop(journal);
    println!("\nscan of {} records in groups of {GROUP}", groups * GROUP);
    for (name, cold) in [("from the disk", true), ("from memory", false)] {
        let mut seconds = Vec::new();
        for _ in 0..size.rounds.min(5) {
            if cold {
                forget_what_was_read(disk);
            }
            let (mut found, begin) = (0, Instant::now());
            let recovered = scan(disk, &ID, 1, &mut |_, payload| found += payload.len()).expect("a whole journal");
            seconds.push(begin.elapsed().as_secs_f64());
            assert_eq!((found, recovered.torn), (groups * GROUP * RECORD, false));
        }
        let took = median(&mut seconds);
        let rate = (groups * GROUP * RECORD) as f64 / took / 1e9;
        println!("  {name:<22} {took:.3} s, {rate:.2} GB/s");
    }
    let read = read(disk, 1);
    let expected = Records(0).digest(groups * GROUP);
    assert!(read.groups == groups && read.digest() == expected, "something else is read than was appended");
    println!("  {groups} frames read back, {}", to_hex(&expected));
}

/// Elsewhere than on Linux nothing is forgotten, and both figures are of memory.
fn forget_what_was_read(disk: &Disk) {
    #[cfg(target_os = "linux")]
    for name in disk.names().expect("a folder") {
        let file = std::fs::File::open(disk.path().join(name)).expect("a file that was listed");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a file on a disk");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = disk;
}
