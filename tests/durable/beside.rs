//! The same with threads: journal, sealing, snapshots and the making of segments beside the engine. When the power goes, nobody
//! knows how far each of them is.

use super::model::Model;
use super::schedule::{ID, PLAN};
use joulebook::journal::sim::{Faults, SimStorage};
use joulebook::journal::storage::SECTOR;
use joulebook::journal::{JournalError, Options, SyncPolicy};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Memory};
use joulebook::node::{BlockPolicy, Clock};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::workload::Random;
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const CLOCK: Clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 1_000 };

/// What happened in some lives.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    snapshots: u64,
    stopped: u64,
    broken: u64,
    full: u64,
    from_snapshot: u64,
}

impl Seen {
    fn add(self, other: Seen) -> Seen {
        Seen {
            snapshots: self.snapshots + other.snapshots,
            stopped: self.stopped + other.stopped,
            broken: self.broken + other.broken,
            full: self.full + other.full,
            from_snapshot: self.from_snapshot + other.from_snapshot,
        }
    }
}

fn lives(seed: u64) -> Seen {
    let mut random = Random::new(seed, 6);
    let segment_bytes = 128 * SECTOR as u64;
    let policy = [SyncPolicy::EveryGroup, SyncPolicy::Interval(Duration::from_millis(2))][random.below(2) as usize];
    let bytes_max = segment_bytes * (2 + random.below(8));
    let mut options = DurableOptions {
        policy: BlockPolicy { transactions: [3, 30, 200][random.below(3) as usize], interval: None, plan: PLAN },
        journal: Options { policy, segment_bytes, bytes_max, spares_max: 2 },
        memory: Memory { clients_max: 10, answers: 60 },
        snapshot_commands: [1, 50, 400, u64::MAX][random.below(4) as usize],
        beside: true,
    };
    let mut model = Model::new(random.below(18), 60);
    let params = model.params;
    let mut disk = SimStorage::new(random.word(), 512);
    let watch = || Arc::new(Watch::new());
    let mut node = DurableNode::<Optimized, _>::create(disk.clone(), ID, params, options, CLOCK, watch()).unwrap();
    let mut seen = Seen::default();
    for _ in 0..4 {
        match random.below(4) {
            0 => disk.crash_at(disk.operation_count() + 1 + random.below(150)),
            1 => disk.set_faults(Faults { failed_writes: 5, failed_syncs: 20, short_writes: 50, ..Faults::default() }),
            2 => disk.set_capacity(disk.used() + segment_bytes * random.below(3)),
            _ => {}
        }
        let mut broken = false;
        for _ in 0..40 {
            let requests = model.requests(1 + random.below(60), &mut random);
            model.submit(&requests);
            match node.submit(&requests, &mut |reply| model.reply(reply)) {
                Ok((taken, full)) => {
                    assert!(taken == requests.len() || matches!(full, Some(DurableError::Full { .. })), "{full:?}");
                    model.unsubmit(&requests[taken..]);
                    seen.full += u64::from(full.is_some());
                }
                Err(_) => broken = true,
            }
            let settled = random.below(4) > 0 || node.settle(&mut |reply| model.reply(reply)).is_ok();
            assert_eq!(model.wrong.take(), None, "seed {seed}");
            broken |= !settled;
            if broken {
                break;
            }
        }
        if broken {
            seen.broken += 1;
            drop(node);
        } else if random.percent(60) {
            if let Ok(done) = node.stop(&mut |reply| model.reply(reply)) {
                assert_eq!(model.waiting(), 0, "seed {seed}");
                seen.stopped += 1;
                seen.snapshots += done.snapshots;
            }
        } else {
            drop(node);
        }
        assert_eq!(model.wrong.take(), None, "seed {seed}");
        disk.set_faults(Faults::default());
        disk.set_capacity(u64::MAX);
        disk = if random.percent(50) { disk.reopen() } else { disk.restart() };
        let open = |options| DurableNode::open(disk.clone(), Some(&params), options, CLOCK, watch(), &mut |_| {});
        let mut opened = open(options);
        while let Err(DurableError::Journal(JournalError::Full { .. }) | DurableError::Full { .. }) = opened {
            options.journal.bytes_max += segment_bytes;
            opened = open(options);
        }
        let (again, found) = opened.unwrap_or_else(|error| panic!("seed {seed}: not opened: {error}"));
        node = again;
        seen.from_snapshot += u64::from(found.snapshot.is_some());
        let acknowledged = model.acknowledged;
        let compared = model.recovered(node.engine(), node.next(), acknowledged);
        compared.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    seen
}

#[test]
fn ledgers_with_threads_lose_nothing() {
    let seen = (0..300).into_par_iter().map(lives).reduce(Seen::default, Seen::add);
    println!("{seen:?}");
    let Seen { snapshots, stopped, broken, full, from_snapshot } = seen;
    assert!([snapshots, stopped, broken, full, from_snapshot].iter().all(|&times| times > 0), "{seen:?}");
}
