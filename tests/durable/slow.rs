//! Snapshots on a disk that is slow for them, or has no room for them: the journal is full before one is written.

use super::schedule::{ID, PLAN};
use joulebook::block::ChainParams;
use joulebook::command::{Command, Request};
use joulebook::engine::state_digest;
use joulebook::journal::Options;
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::{Access, SECTOR, Storage};
use joulebook::node::durable::{DurableNode, DurableOptions, Memory};
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

    /// What was left is opened again, and it is the same.
    fn check(self, node: DurableNode<Optimized, Slow>, options: DurableOptions, next: u64) {
        let stopped = node.stop(&mut |_| {}).unwrap();
        let disk = Slow::new(self.disk.restart());
        let watch = Arc::new(Watch::new());
        let (node, _) = DurableNode::<Optimized, _>::open(disk, None, options, CLOCK, watch, &mut |_| {}).unwrap();
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
        let options = options(2, u64::MAX, beside);
        let mut node = disk.node(options);
        disk.no_room.store(true, Ordering::Relaxed);
        let full_at = (1..).find(|&number| !disk.ask(&mut node, number, command(number, false))).unwrap();
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
