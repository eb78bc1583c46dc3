//! Ledgers that begin with a state that an engine has.

use super::schedule::{ID, PLAN};
use joulebook::block::ChainParams;
use joulebook::command::{Batch, Command, Request};
use joulebook::engine::{Engine, state_digest};
use joulebook::event::EventLog;
use joulebook::hash::Digest;
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::{SECTOR, Storage};
use joulebook::journal::{Options, SyncPolicy};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Memory, check};
use joulebook::node::{BlockPolicy, Clock};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::types::Rules;
use joulebook::workload::{Chaos, ChaosProfile};
use std::sync::Arc;

const BEFORE: usize = 1_500;
const FIRST: &str = "snapshot-0000001501";

type Node = DurableNode<Optimized, SimStorage>;

/// A state after some commands, the commands that follow, and the state after these.
struct Case {
    params: ChainParams,
    engine: Optimized,
    requests: Vec<Request>,
    end: Digest,
}

fn case() -> Case {
    let profile = ChaosProfile::by_number(3);
    let commands = Chaos::new(profile, 5).commands(BEFORE + 400);
    let (before, behind) = commands.split_at(BEFORE);
    let mut engine = Optimized::new(profile.rules);
    engine.apply(Batch { first: 1, time: 0, commands: before }, &mut EventLog::default());
    let mut later = engine.clone();
    later.apply(Batch { first: BEFORE as u64 + 1, time: 0, commands: behind }, &mut EventLog::default());
    let request = |(number, command): (u64, &Command)| Request { client: 7, number, command: *command };
    let requests = (1..).zip(behind).map(request).collect();
    Case { params: ChainParams::fixed(profile.rules, 0x207f_ffff), engine, requests, end: state_digest(&later) }
}

fn options(beside: bool) -> DurableOptions {
    let segment_bytes = 128 * SECTOR as u64;
    let journal =
        Options { policy: SyncPolicy::EveryGroup, segment_bytes, bytes_max: 8 * segment_bytes, spares_max: 1 };
    let policy = BlockPolicy { transactions: 50, interval: None, plan: PLAN };
    DurableOptions { policy, journal, memory: Memory::default(), snapshot_commands: u64::MAX, beside }
}

const CLOCK: Clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 100 };

fn create(case: &Case, disk: &SimStorage, beside: bool) -> Result<Node, DurableError> {
    let next = BEFORE as u64 + 1;
    let watch = Arc::new(Watch::new());
    DurableNode::create_from(disk.clone(), ID, case.params, &case.engine, next, options(beside), CLOCK, watch)
}

fn open(case: &Case, disk: &SimStorage) -> Result<(Node, joulebook::node::durable::Found), DurableError> {
    let watch = Arc::new(Watch::new());
    DurableNode::open(disk.clone(), Some(&case.params), options(false), CLOCK, watch, &mut |_| {})
}

#[test]
fn a_ledger_goes_on_from_a_state_and_is_recovered() {
    let case = case();
    for beside in [false, true] {
        let disk = SimStorage::new(1, SECTOR);
        let mut node = create(&case, &disk, beside).unwrap();
        node.wait_for_segments().unwrap();
        assert_eq!((state_digest(node.engine()), node.next()), (state_digest(&case.engine), BEFORE as u64 + 1));
        let before = node.written();
        let (mut answers, half) = (0, case.requests.len() / 2);
        node.submit(&case.requests[..half], &mut |_| answers += 1).unwrap();
        // All that there is is sealed, and everything is durable.
        node.seal(&mut |_| answers += 1).unwrap();
        let sealed = node.written();
        assert_eq!(answers, half);
        assert!(sealed.frames > before.frames + 1 && sealed.syncs > before.syncs);
        assert_eq!((sealed.bytes - before.bytes) % SECTOR as u64, 0);
        node.seal(&mut |_| unreachable!("all is answered")).unwrap();
        assert_eq!(node.written(), sealed, "nothing was left to seal");
        node.submit(&case.requests[half..], &mut |_| answers += 1).unwrap();
        node.settle(&mut |_| answers += 1).unwrap();
        assert_eq!(answers, case.requests.len());
        drop(node);
        // The power goes.
        let disk = disk.reopen();
        let checked = check::<Optimized, _>(&disk, Some(&case.params), Memory::default(), &mut |_| {}).unwrap();
        assert!(checked.meta.from_state && checked.found.blocks > 0);
        assert_eq!(state_digest(&checked.engine), case.end);
        let (node, found) = open(&case, &disk).unwrap();
        assert_eq!((state_digest(node.engine()), found.snapshot), (case.end, Some(0)));
        assert_eq!(found.commands, case.requests.len() as u64);
        // What stops cleanly has nothing to do again.
        let stopped = node.stop(&mut |_| {}).unwrap();
        assert_eq!(state_digest(&stopped.engine), case.end);
        let (node, found) = open(&case, &disk).unwrap();
        assert_eq!((state_digest(node.engine()), found.commands), (case.end, 0));
    }
}

/// Wherever the power goes while it is being made, it is there with its state, or not at all, and can be made again.
#[test]
fn a_ledger_with_a_state_is_made_as_a_whole_or_not_at_all() {
    let case = case();
    let mut crashes = 0;
    for operation in 1.. {
        let disk = SimStorage::new(operation, 512);
        disk.crash_at(operation);
        let made = create(&case, &disk, false).map(drop);
        if !disk.is_gone() {
            made.unwrap();
            break;
        }
        crashes += 1;
        let disk = disk.reopen();
        let node = match open(&case, &disk) {
            Ok((node, _)) => node,
            Err(DurableError::Absent { .. }) => create(&case, &disk, false).unwrap(),
            Err(error) => panic!("operation {operation}: {error}"),
        };
        assert_eq!(state_digest(node.engine()), state_digest(&case.engine), "operation {operation}");
    }
    assert!(crashes > 20, "{crashes}");
}

/// Without its state it is not taken for an empty ledger, also if nothing was sent to it.
#[test]
fn a_lost_state_is_refused() {
    let case = case();
    for sent in [0, 100] {
        for lost in [true, false] {
            let disk = SimStorage::new(1, SECTOR);
            let mut node = create(&case, &disk, false).unwrap();
            node.submit(&case.requests[..sent], &mut |_| {}).unwrap();
            drop(node);
            if lost {
                disk.remove(FIRST).unwrap();
            } else {
                disk.damage(FIRST, 2 * SECTOR as u64, |byte| byte ^ 1);
            }
            match open(&case, &disk).map(drop) {
                Err(DurableError::NoStart { why }) => assert!(why.contains(if lost { "none" } else { FIRST }), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
    let mut other = case;
    other.params = ChainParams::fixed(Rules { fee_ppm: 1, ..other.params.rules }, 0x207f_ffff);
    let refused = create(&other, &SimStorage::new(1, SECTOR), false).map(drop);
    assert!(matches!(refused, Err(DurableError::Options(_))), "{refused:?}");
}
