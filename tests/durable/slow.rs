//! Snapshots on a disk that is slow for them, or has no room for them: the journal is full before one is written.

use super::schedule::{ID, PLAN};
use joulebook::block::ChainParams;
use joulebook::command::{Command, Request};
use joulebook::engine::state_digest;
use joulebook::journal::Options;
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::{Access, SECTOR, Storage};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Memory};
use joulebook::node::{BlockPolicy, Clock};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::types::{AccountId, Rules};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A disk on which no snapshot is begun before requests have stopped coming for a while: before the journal is full. Or none at all.
#[derive(Clone)]
struct Slow {
    disk: SimStorage,
    asked: Arc<AtomicU64>,
    no_room: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Storage for Slow {
    type File = <SimStorage as Storage>::File;

    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.names()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Self::File> {
        let mut before = u64::MAX;
        while name.starts_with("snapshot") && before != self.asked.load(Ordering::Relaxed) {
            before = self.asked.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        if name.starts_with("snapshot") && self.no_room.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.create(name, access)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Self::File> {
        self.disk.open(name, access)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }
}

const CLOCK: Clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 1_000 };

impl Slow {
    fn new(disk: SimStorage) -> Self {
        Slow { disk, asked: Arc::default(), no_room: Arc::default(), refused: Arc::default() }
    }

    fn node(&self, options: DurableOptions) -> DurableNode<Optimized, Slow> {
        let params = ChainParams::fixed(Rules::default(), 0x207f_ffff);
        DurableNode::create(self.clone(), ID, params, options, CLOCK, Arc::new(Watch::new())).unwrap()
    }

    /// Asks for one thing more. Says whether it was taken.
    fn ask(&self, node: &mut DurableNode<Optimized, Slow>, number: u64, command: Command) -> bool {
        self.asked.store(number, Ordering::Relaxed);
        let (taken, full) = node.submit(&[Request { client: 1, number, command }], &mut |_| {}).unwrap();
        assert!(full.is_none() == (taken == 1), "{number}: {full:?}");
        taken == 1
    }

    /// A journal of two segments, with room for no snapshot until it was full: with the number of the request that it refused.
    fn full(&self, beside: bool) -> (DurableNode<Optimized, Slow>, DurableOptions, u64) {
        let options = options(2, u64::MAX, beside);
        let mut node = self.node(options);
        self.no_room.store(true, Ordering::Relaxed);
        let full_at = (1..).find(|&number| !self.ask(&mut node, number, command(number, false))).unwrap();
        (node, options, full_at)
    }

    fn open(&self, options: DurableOptions) -> DurableNode<Optimized, Slow> {
        let watch = Arc::new(Watch::new());
        DurableNode::open(self.clone(), None, options, CLOCK, watch, &mut |_| {}).unwrap().0
    }

    /// What was left is opened again, and it is the same.
    fn check(self, node: DurableNode<Optimized, Slow>, options: DurableOptions, next: u64) {
        let stopped = node.stop(&mut |_| {}).unwrap();
        let node = Slow::new(self.disk.restart()).open(options);
        assert_eq!((state_digest(node.engine()), node.next()), (state_digest(&stopped.engine), next));
    }
}

fn options(segments: u64, snapshot_commands: u64, beside: bool) -> DurableOptions {
    let segment_bytes = 64 * SECTOR as u64;
    DurableOptions {
        policy: BlockPolicy { transactions: 100_000, interval: None, plan: PLAN },
        journal: Options { segment_bytes, bytes_max: segments * segment_bytes, ..Options::default() },
        memory: Memory { clients_max: 10, answers: 40 },
        snapshot_commands,
        beside,
    }
}

/// The first opens an account; the others are accepted, or all refused.
fn command(number: u64, refused: bool) -> Command {
    match number {
        1 => Command::OpenAccount { address: [1; 32] },
        _ if refused => Command::Burn { account: AccountId(1), amount: 1 },
        _ => Command::Mint { account: AccountId(1), amount: 1 },
    }
}

/// With one snapshot nothing of the journal is given up yet, and with two nothing if the older one began in the first segment; and
/// where it is full nothing more is asked that another one could follow. So the ledger takes what it needs then, the second one of the
/// same state where it must, and waits for it: nobody is refused.
#[test]
fn with_threads_a_journal_that_was_full_before_its_first_snapshot_goes_on() {
    for (segments, every) in [(16, u64::MAX), (16, 10), (3, 10), (2, u64::MAX)] {
        for refused in [false, true] {
            let disk = Slow::new(SimStorage::new(1, 512));
            let options = options(segments, every, true);
            let mut node = disk.node(options);
            for number in 1..=600 {
                assert!(disk.ask(&mut node, number, command(number, refused)), "{number} of {segments} {every}");
            }
            disk.check(node, options, 601);
        }
    }
}

/// Without room for snapshots a full journal stays full; with room it goes on, though nothing has come in between.
#[test]
fn a_full_journal_goes_on_when_there_is_room_for_a_snapshot_again() {
    for beside in [false, true] {
        let disk = Slow::new(SimStorage::new(1, 512));
        let (mut node, options, full_at) = disk.full(beside);
        disk.refused.store(0, Ordering::Relaxed);
        for _ in 0..5_000 {
            assert!(!disk.ask(&mut node, full_at, command(full_at, false)));
        }
        // Not at each request: as much of a snapshot is written each time as there is room for.
        let tried = disk.refused.load(Ordering::Relaxed);
        assert!((4..=40).contains(&tried), "tried {tried} times");
        disk.no_room.store(false, Ordering::Relaxed);
        let again = (1..=1_024).find(|_| disk.ask(&mut node, full_at, command(full_at, false)));
        assert!(again.is_some());
        for number in full_at + 1..full_at + 500 {
            assert!(disk.ask(&mut node, number, command(number, false)), "{number}");
        }
        disk.check(node, options, full_at + 500);
    }
}

/// The power goes at each operation of the disk while two snapshots of one state are written and the older half of the journal is given up.
#[test]
fn a_crash_while_room_is_made_loses_nothing() {
    let mut crashes = 0;
    for at in 1.. {
        let disk = Slow::new(SimStorage::new(at, 512));
        let (mut node, options, full_at) = disk.full(false);
        node.settle(&mut |_| {}).unwrap();
        let before = state_digest(node.engine());
        disk.no_room.store(false, Ordering::Relaxed);
        disk.disk.crash_at(disk.disk.operation_count() + at);
        let next = Request { client: 1, number: full_at, command: command(full_at, false) };
        let taken = loop {
            match node.submit(&[next], &mut |_| {}) {
                Ok((0, Some(DurableError::Full { .. }))) => {}
                submitted => break submitted.and_then(|_| node.settle(&mut |_| {})),
            }
        };
        assert_eq!(taken.is_err(), disk.disk.is_gone());
        drop(node);
        let opened = Slow::new(disk.disk.reopen());
        let mut node = opened.open(options);
        assert!(
            node.next() == full_at + 1 || taken.is_err() && node.next() == full_at,
            "{} of {full_at}, crash at {at}: {taken:?}",
            node.next()
        );
        assert_eq!(state_digest(node.engine()) == before, node.next() == full_at);
        // A crash may lose the request, but not the room.
        for number in node.next()..full_at + 200 {
            assert!(opened.ask(&mut node, number, command(number, false)), "{number} after a crash at {at}");
        }
        opened.check(node, options, full_at + 200);
        if taken.is_ok() {
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 20, "{crashes} crashes");
}

/// A search that nobody can win is cancelled while somebody waits for its block: the wait ends.
#[test]
fn who_waits_for_a_block_hears_that_its_search_was_cancelled() {
    let params = ChainParams::fixed(Rules::default(), 0x0f00_ffff);
    let options = options(16, u64::MAX, true);
    let (watch, disk) = (Arc::new(Watch::new()), SimStorage::new(1, 512));
    let mut node = DurableNode::<Optimized, _>::create(disk, ID, params, options, CLOCK, watch.clone()).unwrap();
    node.submit(&[Request { client: 1, number: 1, command: command(1, false) }], &mut |_| {}).unwrap();
    let (says, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || says.send(node.seal(&mut |_| {}).map_err(|error| error.to_string())));
    // By then it waits.
    std::thread::sleep(Duration::from_millis(300));
    watch.cancel();
    let waited = hears.recv_timeout(Duration::from_secs(60)).expect("the wait ends");
    assert_eq!(waited.unwrap_err(), "cancelled while a block was being sealed");
}

/// The same while a full journal waits for a snapshot of that block: who asks for room hears that there is none.
#[test]
fn a_full_journal_does_not_wait_for_a_block_whose_search_was_cancelled() {
    let params = ChainParams::fixed(Rules::default(), 0x0f00_ffff);
    let (watch, disk) = (Arc::new(Watch::new()), Slow::new(SimStorage::new(1, 512)));
    let options = options(2, u64::MAX, true);
    let mut node = DurableNode::create(disk.clone(), ID, params, options, CLOCK, watch.clone()).unwrap();
    let (says, hears) = std::sync::mpsc::channel();
    let asks = disk.clone();
    std::thread::spawn(move || {
        // All but the first are refused, so no second block is closed, which would hear it, too.
        let full_at = (1..).find(|&number| !asks.ask(&mut node, number, command(number, true)));
        says.send((full_at, node.stop(&mut |_| {}).map(drop)))
    });
    // By then the journal is full, and the snapshot waits for its block.
    let mut before = 0;
    while before == 0 || before != disk.asked.load(Ordering::Relaxed) {
        before = disk.asked.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(300));
    }
    watch.cancel();
    let (full_at, stopped) = hears.recv_timeout(Duration::from_secs(60)).expect("the wait ends");
    assert_eq!(full_at, Some(before));
    assert_eq!(stopped.unwrap_err().to_string(), "cancelled while a block was being sealed");
}
