//! Snapshots on a disk that is slow for them: the journal is full before one is written.

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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A disk on which no snapshot is begun before requests have stopped coming for a while: before the journal is full.
#[derive(Clone)]
struct Slow {
    disk: SimStorage,
    asked: Arc<AtomicU64>,
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
            std::thread::sleep(Duration::from_millis(100));
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

/// With one snapshot nothing of the journal is given up yet, and where it is full nothing more is asked that another one could follow.
/// So the ledger takes one then, and waits for it: nobody is refused.
#[test]
fn with_threads_a_journal_that_was_full_before_its_first_snapshot_goes_on() {
    const CLOCK: Clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 1_000 };
    let segment_bytes = 64 * SECTOR as u64;
    let options = DurableOptions {
        policy: BlockPolicy { transactions: 100_000, interval: None, plan: PLAN },
        journal: Options { segment_bytes, bytes_max: 16 * segment_bytes, ..Options::default() },
        memory: Memory { clients_max: 10, answers: 40 },
        snapshot_commands: u64::MAX,
        beside: true,
    };
    let params = ChainParams::fixed(Rules::default(), 0x207f_ffff);
    for refused in [false, true] {
        let disk = Slow { disk: SimStorage::new(1, 512), asked: Arc::default() };
        let watch = || Arc::new(Watch::new());
        let mut node = DurableNode::<Optimized, _>::create(disk.clone(), ID, params, options, CLOCK, watch()).unwrap();
        for number in 1..=1_200 {
            let command = match number {
                1 => Command::OpenAccount { address: [1; 32] },
                _ if refused => Command::Burn { account: AccountId(1), amount: 1 },
                _ => Command::Mint { account: AccountId(1), amount: 1 },
            };
            disk.asked.store(number, Ordering::Relaxed);
            let (taken, full) = node.submit(&[Request { client: 1, number, command }], &mut |_| {}).unwrap();
            assert!(taken == 1 && full.is_none(), "{number}: {full:?}");
        }
        let stopped = node.stop(&mut |_| {}).unwrap();
        assert!(stopped.snapshots > 2, "{} snapshots", stopped.snapshots);
        let reopened = Slow { disk: disk.disk.restart(), asked: Arc::default() };
        let (node, _) =
            DurableNode::<Optimized, _>::open(reopened, Some(&params), options, CLOCK, watch(), &mut |_| {}).unwrap();
        assert_eq!((state_digest(node.engine()), node.next()), (state_digest(&stopped.engine), 1_201));
    }
}
