//! The journal's work without a disk: records into a frame with its checks, and a journal read again, from memory. What a disk
//! adds, `cargo bench --bench journal` measures.

use super::measurement::{Counted, print_counters};
use criterion::{Criterion, Throughput};
use joulebook::hash::{Sha256, to_hex};
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::SECTOR;
use joulebook::journal::{FrameBuffer, Journal, JournalId, Kind, Label, Options, SyncPolicy, scan};
use std::hint::black_box;

const ID: JournalId = JournalId(*b"journal at bench");
const RECORD: usize = 100;
const GROUP: usize = 1_024;
const GROUPS: u64 = 64;

fn fill(frame: &mut FrameBuffer, first: u64) {
    frame.clear();
    let mut record = [0x5a; RECORD];
    for at in 0..GROUP as u64 {
        record[..8].copy_from_slice(&(first + at).to_le_bytes());
        frame.extend(&record);
    }
    frame.finish(Label { kind: Kind::Group, first, time: 0, count: GROUP as u32 });
}

pub fn journal(criterion: &mut Criterion<Counted>) {
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Bytes((GROUP * RECORD) as u64));
    let mut frame = FrameBuffer::new();
    group.bench_function("a frame of 1,024 records", |bencher| bencher.iter(|| fill(black_box(&mut frame), 1)));
    print_counters("a frame");

    let disk = SimStorage::new(1, SECTOR);
    let options = Options { policy: SyncPolicy::Never, segment_bytes: 4 << 20, ..Options::default() };
    let mut journal = Journal::create(disk.clone(), ID, options).expect("a disk in memory");
    let mut written = Sha256::new();
    for at in 0..GROUPS {
        fill(&mut frame, 1 + at * GROUP as u64);
        journal.append(&mut frame).expect("a disk in memory");
        written.update(&(1 + at * GROUP as u64).to_le_bytes());
    }
    let written = written.finish();
    drop(journal);
    let read = || {
        let mut read = Sha256::new();
        let found = scan(&disk, &ID, 1, &mut |header, payload| {
            if header.label.kind == Kind::Group {
                read.update(&payload[..8]);
            }
        });
        (found.expect("it was just written").payload_bytes, read.finish())
    };
    group.throughput(Throughput::Bytes(GROUPS * (GROUP * RECORD) as u64)).sample_size(20);
    group.bench_function("64 of them read again", |bencher| bencher.iter(read));
    print_counters("read again");
    let (bytes, digest) = read();
    assert_eq!((bytes, digest), (GROUPS * (GROUP * RECORD) as u64, written), "what is read is not what was written");
    println!("{GROUPS} frames, {bytes} bytes, first records {}", to_hex(&digest));
}
