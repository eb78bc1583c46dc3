//! One ledger, and everything that can happen to it, one thing at a time.

use super::model::Model;
use super::schedule::{ID, PLAN, everything};
use joulebook::block::ChainParams;
use joulebook::command::{Command, Request};
use joulebook::engine::state_digest;
use joulebook::hash::{sha256, to_hex};
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::{SECTOR, Storage};
use joulebook::journal::{JournalId, Options};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Found, Memory, check};
use joulebook::node::{BlockPolicy, Clock};
use joulebook::optimized::Optimized;
use joulebook::seal::Watch;
use joulebook::types::{AccountId, Rules};
use joulebook::workload::Random;
use rayon::prelude::*;
use std::sync::Arc;

type Node = DurableNode<Optimized, SimStorage>;

const SEGMENT: u64 = 64 * SECTOR as u64;

fn options() -> DurableOptions {
    DurableOptions {
        policy: BlockPolicy { transactions: 20, interval: None, plan: PLAN },
        journal: Options { segment_bytes: SEGMENT, bytes_max: 16 * SEGMENT, ..Options::default() },
        memory: Memory { clients_max: 10, answers: 40 },
        snapshot_commands: 70,
        beside: false,
    }
}

const CLOCK: Clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 1_000 };

fn create(disk: &SimStorage, params: ChainParams) -> Result<Node, DurableError> {
    DurableNode::create(disk.clone(), ID, params, options(), CLOCK, Arc::new(Watch::new()))
}

fn open(disk: &SimStorage, params: &ChainParams) -> Result<(Node, Found), DurableError> {
    DurableNode::open(disk.clone(), Some(params), options(), CLOCK, Arc::new(Watch::new()), &mut |_| {})
}

/// 64 groups of a few requests; every third time all of them are waited for. Returns whether all went well.
fn work(node: &mut Node, model: &mut Model) -> Result<bool, String> {
    let mut random = Random::new(3, 3);
    for group in 0..64 {
        let requests = model.requests(1 + group % 9, &mut random);
        model.submit(&requests);
        let submitted = node.submit(&requests, &mut |reply| model.reply(reply));
        let settled = submitted.and_then(|(taken, full)| {
            assert!(taken == requests.len() && full.is_none(), "{full:?}");
            if group % 3 == 0 { node.settle(&mut |reply| model.reply(reply)) } else { Ok(()) }
        });
        if let Some(wrong) = model.wrong.take() {
            return Err(wrong);
        }
        if settled.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Plays a life in which something happens at an operation, and looks at what is there after it.
fn life(prepare: impl Fn(&SimStorage), after: impl Fn(&SimStorage) -> SimStorage) -> Result<(), String> {
    let disk = SimStorage::new(1, 512);
    let mut model = Model::new(5, 40);
    let params = model.params;
    prepare(&disk);
    let created = create(&disk, params);
    let done = created.ok().map(|mut node| work(&mut node, &mut model)).transpose()?;
    let disk = after(&disk);
    let opened = match open(&disk, &params) {
        // Nothing was ever acknowledged.
        Err(DurableError::Absent { .. }) if done.is_none() => {
            create(&disk, params).map(|node| (node, Found::default()))
        }
        opened => opened,
    };
    let (mut node, _) = opened.map_err(|error| format!("not opened: {error}"))?;
    let acknowledged = model.acknowledged;
    model.recovered(node.engine(), node.next(), acknowledged)?;
    if !work(&mut node, &mut model)? {
        return Err("it does not go on".to_string());
    }
    node.settle(&mut |reply| model.reply(reply)).map_err(|error| error.to_string())?;
    let all = model.waiting() == 0 && state_digest(node.engine()) == model.digest();
    if all { Ok(()) } else { Err(format!("{} are not answered, or the state is another", model.waiting())) }
}

fn operations() -> u64 {
    let disk = SimStorage::new(1, 512);
    let mut model = Model::new(5, 40);
    let mut node = create(&disk, model.params).unwrap();
    assert!(work(&mut node, &mut model).unwrap());
    disk.operation_count()
}

#[test]
fn every_operation_is_a_point_to_crash_at() {
    let operations = operations();
    println!("{operations} operations");
    assert!(operations > 150);
    let points = (1..=operations).flat_map(|at| (0..6).map(move |fate| (at, fate)));
    let points: Vec<(u64, u64)> = points.collect();
    points.into_par_iter().for_each(|(at, fate)| {
        let after = |disk: &SimStorage| match fate {
            0 => disk.restart(),
            // The seed decides over what was not durable.
            fate => disk.fork(fate).reopen(),
        };
        life(|disk| disk.crash_at(at), after).unwrap_or_else(|what| panic!("crash at {at}, fate {fate}: {what}"));
    });
}

#[test]
fn every_operation_fails_once() {
    let operations = operations();
    (1..=operations.min(400)).into_par_iter().for_each(|at| {
        for power_loss in [false, true] {
            let after = |disk: &SimStorage| if power_loss { disk.reopen() } else { disk.restart() };
            life(|disk| disk.fail_at(at), after).unwrap_or_else(|what| panic!("failure at {at}: {what}"));
        }
    });
}

/// A ledger that was stopped: two snapshots, and what follows the older one in the journal.
fn stopped() -> (SimStorage, Model, u64) {
    let disk = SimStorage::new(1, 512);
    let mut model = Model::new(5, 40);
    let params = model.params;
    let mut node = create(&disk, params).unwrap();
    assert!(work(&mut node, &mut model).unwrap());
    let next = node.next();
    let stopped = node.stop(&mut |reply| model.reply(reply)).unwrap();
    assert!(stopped.snapshots >= 2 && stopped.snapshot_failed.is_none(), "{}", stopped.snapshots);
    let disk = disk.restart();
    (disk, model, next)
}

fn snapshots(disk: &SimStorage) -> Vec<String> {
    let mut names = disk.names().unwrap();
    names.retain(|name| name.starts_with("snapshot-"));
    names.sort();
    names
}

fn look(disk: &SimStorage, params: &ChainParams) -> Result<(u64, [u8; 32], Found), DurableError> {
    let checked = check::<Optimized, _>(disk, Some(params), options().memory, &mut |_| {})?;
    Ok((checked.next, state_digest(&checked.engine), checked.found))
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_older_one() {
    let (disk, model, next) = stopped();
    let names = snapshots(&disk);
    assert_eq!(names.len(), 2);
    let sound = look(&disk, &model.params).unwrap();
    assert_eq!((sound.0, sound.1, sound.2.commands), (next, model.digest(), 0), "nothing is to be done again");
    let newest = &names[1];
    let bits = 8 * disk.bytes(newest).len() as u64;
    println!("{bits} bits of {newest}");
    // That reading it sees every bit is tested beside the reader; here, that the older one then takes its place.
    (0..bits / 11).into_par_iter().for_each_init(
        || disk.fork(1),
        |disk, eleventh| {
            let bit = 11 * eleventh;
            disk.flip_bit(newest, bit);
            let (at, digest, found) = look(disk, &model.params).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
            disk.flip_bit(newest, bit);
            let older = found.damaged.len() == 1 && found.damaged[0].starts_with(newest) && found.commands > 0;
            assert!(older && (at, digest) == (next, model.digest()), "bit {bit}: {found:?}");
        },
    );
    // One sector of two that say the same.
    (0..8 * 256).into_par_iter().for_each_init(
        || disk.fork(1),
        |disk, bit| {
            disk.flip_bit("ledger", bit);
            assert_eq!(look(disk, &model.params).unwrap().0, next, "bit {bit}");
            disk.flip_bit("ledger", bit);
        },
    );
    // Both of them, in different places.
    disk.flip_bit("ledger", 8 * 40);
    disk.flip_bit("ledger", 8 * (SECTOR as u64 + 41));
    let damaged = look(&disk, &model.params).unwrap_err();
    assert!(matches!(damaged, DurableError::Meta { .. }), "{damaged}");
}

#[test]
fn every_length_of_a_snapshot_that_is_cut_counts() {
    let (disk, model, next) = stopped();
    let newest = &snapshots(&disk)[1];
    let bytes = disk.bytes(newest);
    for length in (0..bytes.len()).step_by(SECTOR) {
        let disk = disk.fork(1);
        replace(&disk, newest, &bytes[..length]);
        let (at, digest, found) = look(&disk, &model.params).unwrap();
        assert!((at, digest) == (next, model.digest()) && found.damaged.len() == 1, "{length} bytes: {found:?}");
    }
    // Longer is damaged, too.
    let longer = [&bytes[..], &[0; SECTOR]].concat();
    replace(&disk, newest, &longer);
    assert_eq!(look(&disk, &model.params).unwrap().2.damaged.len(), 1);
}

/// Whoever can write a snapshot with the right checks still cannot give money away: the accounts have another root than the one that
/// was sealed.
#[test]
fn a_forged_snapshot_is_not_what_was_sealed() {
    let (disk, model, _) = stopped();
    let newest = &snapshots(&disk)[1];
    let mut bytes = disk.bytes(newest);
    let long = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // What two accounts have available of one token changes owners: sums and escrow are as they were.
    let available = |account: usize, token: usize| SECTOR + 96 * account + 40 + 8 * token;
    let accounts = u32::from_le_bytes(bytes[184..188].try_into().unwrap()) as usize;
    let pairs = (0..2).flat_map(|token| (1..accounts).map(move |account| (token, account)));
    let differ = |&(token, account): &(usize, usize)| {
        long(&bytes, available(account, token)) != long(&bytes, available(account - 1, token))
    };
    let (token, account) = pairs.into_iter().find(differ).expect("not all have the same");
    for byte in 0..8 {
        bytes.swap(available(account, token) + byte, available(account - 1, token) + byte);
    }
    let body = long(&bytes, 216) as usize;
    let check = joulebook::journal::frame::check(&bytes[SECTOR..SECTOR + body]);
    bytes[SECTOR + body..SECTOR + body + 8].copy_from_slice(&check.to_le_bytes());
    let root = sha256(&[&bytes[..224], &bytes[SECTOR + body..]].concat());
    bytes[224..256].copy_from_slice(&root);
    replace(&disk, newest, &bytes);
    let refused = look(&disk, &model.params).unwrap_err();
    assert!(matches!(refused, DurableError::StateRoot { .. }), "{refused}");
}

/// Gives a file other bytes.
fn replace(disk: &SimStorage, name: &str, bytes: &[u8]) {
    use joulebook::journal::Buffer;
    use joulebook::journal::storage::{Access, StoredFile};
    disk.remove(name).unwrap();
    let mut file = disk.create(name, Access::Write).unwrap();
    let mut buffer = Buffer::new();
    buffer.extend(bytes);
    assert_eq!(file.write_at(0, buffer.as_bytes()).unwrap(), bytes.len());
}

#[test]
fn folders_that_are_no_such_ledger_are_refused_by_name_and_left_as_they_are() {
    let (disk, model, _) = stopped();
    let params = model.params;
    let refused = |change: &dyn Fn(&SimStorage), params: &ChainParams| {
        let disk = disk.fork(1);
        change(&disk);
        let before = everything(&disk);
        let error = open(&disk, params).err().expect("it is refused").to_string();
        let looked = look(&disk, params).expect_err("it is refused").to_string();
        assert_eq!(error, looked);
        assert!(before == everything(&disk), "it was changed: {error}");
        error
    };
    let other = ChainParams::fixed(Rules { fee_ppm: 1, ..params.rules }, params.bits);
    let error = refused(&|_| {}, &other);
    assert!(error.contains(&to_hex(&other.hash())) && error.contains(&to_hex(&params.hash())), "{error}");
    let version = |version: u8| {
        move |disk: &SimStorage| [8, SECTOR as u64 + 8].iter().for_each(|&at| disk.damage("ledger", at, |_| version))
    };
    for found in [0, 2] {
        let error = refused(&version(found), &params);
        assert_eq!(error, format!("the ledger has format version {found}; this program reads version 1"));
    }
    let gone = |name: &'static str| move |disk: &SimStorage| disk.remove(name).unwrap();
    let error = refused(&gone("ledger"), &params);
    assert!(error.starts_with("the file \"ledger\" is missing, but segment-000000000"), "{error}");
    let names = disk.names().unwrap();
    let newest_segment = names.iter().filter(|name| name.starts_with("segment-")).max().unwrap().clone();
    let error = refused(&|disk| disk.remove(&newest_segment).unwrap(), &params);
    assert!(error.contains("does not belong here") || error.contains("is missing"), "{error}");
    let everything_gone = |disk: &SimStorage| disk.names().unwrap().iter().for_each(|name| disk.remove(name).unwrap());
    let error = refused(&everything_gone, &params);
    assert_eq!(error, "there is no ledger here: the folder is empty");
    // Without snapshots, the journal has everything from the beginning, or it says what is missing.
    let fork = disk.fork(1);
    snapshots(&fork).iter().for_each(|name| fork.remove(name).unwrap());
    match look(&fork, &params) {
        Ok((_, digest, found)) => assert!(digest == model.digest() && found.snapshot.is_none()),
        Err(error) => assert!(error.to_string().contains("is missing"), "{error}"),
    }
    let another = SimStorage::new(9, 512);
    let id = JournalId(*b"another ledger..");
    DurableNode::<Optimized, _>::create(another.clone(), id, params, options(), CLOCK, Arc::new(Watch::new())).unwrap();
    let foreign = |disk: &SimStorage| replace(disk, "ledger", &another.bytes("ledger"));
    let error = refused(&foreign, &params);
    assert!(error.contains("does not belong here") || error.contains("belongs to another"), "{error}");
    // And nothing is made where something is.
    let occupied = create(&disk, params).err().expect("it is refused");
    assert!(matches!(occupied, DurableError::Occupied { .. }), "{occupied}");
}

#[test]
fn a_full_disk_refuses_before_anything_is_accepted() {
    let first = SimStorage::new(1, 512);
    let model = Model::new(5, 40);
    create(&first, model.params).unwrap();
    let used = first.used();
    let free = |sectors: u64| {
        let disk = SimStorage::new(1, 512);
        let mut model = Model::new(5, 40);
        let params = model.params;
        let mut node = create(&disk, params).unwrap();
        disk.set_capacity(used + sectors * SECTOR as u64);
        let (mut full, mut random) = (0, Random::new(3, 4));
        for _ in 0..60 {
            let requests = model.requests(40, &mut random);
            model.submit(&requests);
            let (taken, why) = node.submit(&requests, &mut |reply| model.reply(reply)).unwrap();
            model.unsubmit(&requests[taken..]);
            assert!(taken == requests.len() || matches!(why, Some(DurableError::Full { .. })), "{why:?}");
            full += u64::from(why.is_some());
        }
        node.settle(&mut |reply| model.reply(reply)).unwrap();
        assert_eq!((model.wrong.take(), model.waiting()), (None, 0), "{sectors} sectors");
        assert_eq!(state_digest(node.engine()), model.digest(), "{sectors} sectors");
        disk.set_capacity(u64::MAX);
        if full > 0 {
            let requests = model.requests(40, &mut random);
            model.submit(&requests);
            let taken = node.submit(&requests, &mut |reply| model.reply(reply)).unwrap();
            assert!(taken.0 == requests.len() && taken.1.is_none(), "with room again, it goes on");
        }
        drop(node);
        let disk = disk.reopen();
        let (node, _) = open(&disk, &params).unwrap();
        let acknowledged = model.acknowledged;
        model.recovered(node.engine(), node.next(), acknowledged).unwrap_or_else(|what| panic!("{sectors}: {what}"));
        full
    };
    let full: u64 = (0..256u64).into_par_iter().map(free).sum();
    assert!(full > 1_000, "{full} refusals");
}

/// Bytes of the journal count, not commands: one client that waits for each answer takes two sectors for each, and commands that
/// are all refused close no block. Both go on for ever in a journal that may have a few segments; with threads, in one that has room
/// for what is sent while two snapshots are written.
#[test]
fn small_groups_and_refusals_do_not_fill_the_journal_for_good() {
    for (refused, beside) in [(false, false), (true, false), (false, true), (true, true)] {
        let disk = SimStorage::new(1, 512);
        let params = ChainParams::fixed(Rules::default(), 0x207f_ffff);
        let options = DurableOptions {
            policy: BlockPolicy { transactions: 100_000, interval: None, plan: PLAN },
            journal: Options {
                segment_bytes: SEGMENT,
                bytes_max: if beside { 16 } else { 4 } * SEGMENT,
                ..Options::default()
            },
            snapshot_commands: u64::MAX,
            beside,
            ..options()
        };
        let watch = || Arc::new(Watch::new());
        let mut node = Node::create(disk.clone(), ID, params, options, CLOCK, watch()).unwrap();
        for number in 1..=1_000 {
            let command = match number {
                1 => Command::OpenAccount { address: [1; 32] },
                _ if refused => Command::Burn { account: AccountId(1), amount: 1 },
                _ => Command::Mint { account: AccountId(1), amount: 1 },
            };
            let (taken, full) = node.submit(&[Request { client: 1, number, command }], &mut |_| {}).unwrap();
            assert!(taken == 1 && full.is_none(), "{number}: {full:?}");
        }
        let stopped = node.stop(&mut |_| {}).unwrap();
        assert!(stopped.snapshots > if beside { 2 } else { 5 }, "{} snapshots", stopped.snapshots);
        let (node, _) = Node::open(disk.restart(), Some(&params), options, CLOCK, watch(), &mut |_| {}).unwrap();
        assert_eq!((state_digest(node.engine()), node.next()), (state_digest(&stopped.engine), 1_001));
    }
}

/// A ledger that is the same whenever it is made: the bytes of its files are part of the format.
#[test]
fn golden_files() {
    let disk = SimStorage::new(1, 512);
    let params = ChainParams::fixed(Rules::default(), 0x207f_ffff);
    let mut node = create(&disk, params).unwrap();
    let commands = [
        Command::OpenAccount { address: [1; 32] },
        Command::Mint { account: AccountId(1), amount: 12_345 },
        Command::Burn { account: AccountId(2), amount: 1 },
    ];
    let requests: Vec<Request> =
        (1..).zip(commands).map(|(number, command)| Request { client: 77, number, command }).collect();
    node.submit(&requests, &mut |_| {}).unwrap();
    node.stop(&mut |_| {}).unwrap();
    let digest = |name: &str| to_hex(&sha256(&disk.bytes(name)));
    assert_eq!(disk.names().unwrap().len(), 3, "what it is, a segment, a snapshot");
    let names = ["ledger", "snapshot-0000000004", "segment-0000000001"];
    assert_eq!(names.map(digest), GOLDEN);
}

// SHA-256 of each file. Another digest is another format: then its version number changes, too.
const GOLDEN: [&str; 3] = [
    "154708ad1e7cf151986d0f8ecbc0d783d79fc211ab6799d337b26e0b4057e80f",
    "df8e486f8b1dc83a3aa82084ddcbac83676d02fb06941632e5b132d948d17d00",
    "5f8c94bf4e47c37daa9eaa308204df2d1f894f4eb1adfaf09aea1389bca5c976",
];
