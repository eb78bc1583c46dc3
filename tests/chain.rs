//! Chains: every stack seals the same one, anybody can verify it, and whoever damages it is found out by block and reason.

use joulebook::block::{
    Body, ChainParams, ChainReader, ChainWriter, HeaderChain, Retarget, SealRecord, StoredBlock, Target, TradeProof,
};
use joulebook::command::{Command, Request};
use joulebook::engine::{Engine, state_digest};
use joulebook::event::Event;
use joulebook::hash::Digest;
use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::SECTOR;
use joulebook::journal::{JournalId, Kind, Options, SyncPolicy, scan};
use joulebook::measure::{Probe, Seen, Stage};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Memory};
use joulebook::node::verify::{Verified, VerifyError, verify};
use joulebook::node::{BlockPolicy, BlockSink, Clock, Durability, EngineVisitor, Node, NodeError, SealTotals, Stack};
use joulebook::optimized::Optimized;
use joulebook::seal::{Search, Watch};
use joulebook::types::AccountId;
use joulebook::workload::{Chaos, ChaosProfile};
use std::sync::{Arc, Mutex};

/// Six leading zero bits.
const BITS: u32 = 0x2003_ffff;

/// Plays random commands on a stack from genesis and returns the chain file, what was sealed and the state's digest.
struct Play<'a> {
    stack: Stack,
    profile: ChaosProfile,
    commands: &'a [Command],
    transactions: u32,
    interval: Option<u64>,
    retarget: Option<Retarget>,
}

struct Played {
    file: Vec<u8>,
    totals: SealTotals,
    digest: Digest,
    looked_at: Option<Seen>,
}

impl EngineVisitor for Play<'_> {
    type Output = Played;

    fn visit<E: Engine, P: Probe>(self) -> Played {
        P::start(2);
        let params = ChainParams { retarget: self.retarget, ..ChainParams::fixed(self.profile.rules, BITS) };
        let writer = Arc::new(Mutex::new(Some(ChainWriter::create(Shared::default(), &params).unwrap())));
        let file = writer.lock().unwrap().as_ref().unwrap().get_ref().clone();
        let shared = writer.clone();
        let sink: BlockSink = Box::new(move |header, seal, body| {
            shared.lock().unwrap().as_mut().unwrap().append(header, seal, body).map_err(|error| error.to_string())
        });
        let policy = BlockPolicy { transactions: self.transactions, interval: self.interval, plan: self.stack.plan };
        let clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 10_000_000 };
        let never = Arc::new(Watch::new());
        let node = Node::new(E::new(self.profile.rules), 1, params, policy, clock, never, Some(sink));
        let mut node = node.probed::<P>();
        // Uneven batches, so that blocks end within them.
        for batch in self.commands.chunks(37) {
            node.submit(batch, 1).unwrap();
        }
        let (engine, totals) = node.finish().unwrap();
        writer.lock().unwrap().take().unwrap().finish().unwrap();
        let file = file.0.lock().unwrap().clone();
        Played { file, totals, digest: state_digest(&engine), looked_at: P::finish() }
    }
}

/// A file in memory that two can hold.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn play(stack: Stack, profile: u64, count: usize, transactions: u32, interval: Option<u64>) -> Played {
    let profile = ChaosProfile::by_number(profile);
    let commands = Chaos::new(profile, 11).commands(count);
    stack.engine.visit(Play { stack, profile, commands: &commands, transactions, interval, retarget: None })
}

fn checked(file: &[u8]) -> Result<Verified, VerifyError> {
    verify(file, &mut |_| {})
}

fn blocks(file: &[u8]) -> (ChainParams, Vec<StoredBlock>) {
    let mut reader = ChainReader::open(file).unwrap();
    let blocks = std::iter::from_fn(|| reader.next_block().unwrap()).collect();
    (*reader.params(), blocks)
}

#[test]
fn every_stack_seals_the_same_chain() {
    for profile in 0..6 {
        let mut first: Option<Played> = None;
        for stack in Stack::LADDER {
            let played = play(stack, profile, 4_000, 60, None);
            assert!(played.totals.blocks > 2, "profile {profile}: {} blocks", played.totals.blocks);
            let verified = checked(&played.file).expect("a sealed chain is valid");
            assert_eq!((verified.blocks, verified.transactions), (played.totals.blocks, played.totals.transactions));
            assert_eq!(verified.tip, played.totals.tip);
            if let Some(first) = &first {
                assert!(played.file == first.file, "profile {profile}: {} seals another chain", stack.name);
                assert_eq!(played.totals.hashes, first.totals.hashes);
                assert_eq!(played.digest, first.digest);
            } else {
                first = Some(played);
            }
        }
    }
}

#[test]
fn a_stack_that_is_looked_at_seals_the_same_chain() {
    for stack in Stack::LADDER {
        let profile = ChaosProfile::by_number(1);
        let commands = Chaos::new(profile, 11).commands(20_000);
        let play = || Play { stack, profile, commands: &commands, transactions: 600, interval: None, retarget: None };
        let plain = stack.engine.visit(play());
        let looked_at = stack.engine.visit_probed(play());
        assert!(plain.file == looked_at.file && plain.digest == looked_at.digest, "{}: not the same", stack.name);
        assert_eq!(plain.looked_at, None);
        let times = looked_at.looked_at.expect("it was looked at").times;
        // How they divide is for runs that are long enough; here they were found at all.
        let market = times.stage_ns[Stage::Match] + times.stage_ns[Stage::Tokens];
        assert!(market > 0.0 && times.stage_ns[Stage::Wait] > 0.0, "{}: {times:?}", stack.name);
    }
}

/// The durable stack's chain: what it sealed, header and seal record as they are in its journal, and the state's digest.
fn play_durable(stack: Stack, profile: u64, count: usize, transactions: u32) -> (SealTotals, Vec<Vec<u8>>, Digest) {
    let Durability::Journal { policy } = stack.durability else { panic!("{} has no journal", stack.name) };
    let profile = ChaosProfile::by_number(profile);
    let commands = Chaos::new(profile, 11).commands(count);
    let (storage, id) = (SimStorage::new(1, SECTOR), JournalId(*b"a chain's ledger"));
    let options = DurableOptions {
        policy: BlockPolicy { transactions, interval: None, plan: stack.plan },
        journal: Options { policy, segment_bytes: 4 << 20, ..Options::default() },
        memory: Memory::default(),
        snapshot_commands: u64::MAX,
        beside: true,
    };
    let clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 10_000_000 };
    let (params, never) = (ChainParams::fixed(profile.rules, BITS), Arc::new(Watch::new()));
    let mut node = DurableNode::<Optimized, _>::create(storage.clone(), id, params, options, clock, never).unwrap();
    let (mut number, mut answers) = (0, 0);
    for batch in commands.chunks(37) {
        let request = |&command: &Command| {
            number += 1;
            Request { client: 1, number, command }
        };
        let requests: Vec<Request> = batch.iter().map(request).collect();
        node.submit(&requests, &mut |_| answers += 1).unwrap();
    }
    let stopped = node.stop(&mut |_| answers += 1).unwrap();
    assert_eq!(answers, commands.len());
    let mut seals = Vec::new();
    let mut see = |header: &joulebook::journal::Header, payload: &[u8]| {
        if header.label.kind == Kind::Seal {
            seals.push(payload.to_vec());
        }
    };
    scan(&storage, &id, 1, &mut see).unwrap();
    (stopped.sealed, seals, state_digest(&stopped.engine))
}

#[test]
fn the_durable_stack_seals_the_same_chain() {
    for profile in 0..3 {
        let played = play(Stack::OPTIMIZED, profile, 4_000, 60, None);
        let seal = |block: &StoredBlock| [block.header.encode(), block.seal.encode()].concat();
        let expected: Vec<Vec<u8>> = blocks(&played.file).1.iter().map(seal).collect();
        for policy in
            [SyncPolicy::EveryGroup, SyncPolicy::Interval(std::time::Duration::from_millis(2)), SyncPolicy::Never]
        {
            let (totals, seals, digest) = play_durable(Stack::durable(policy), profile, 4_000, 60);
            assert_eq!((totals.tip, totals.hashes), (played.totals.tip, played.totals.hashes), "{policy:?}");
            assert!(seals == expected, "profile {profile}, {policy:?}: other seals in the journal");
            assert_eq!(digest, played.digest);
        }
    }
}

/// Also while a snapshot waits for the block whose nonce nobody finds.
#[test]
fn a_cancelled_search_stops_the_durable_node() {
    let profile = ChaosProfile::by_number(0);
    let commands = Chaos::new(profile, 11).commands(400);
    let params = ChainParams::fixed(profile.rules, Target::from_leading_zero_bits(200).to_bits());
    let options = DurableOptions {
        policy: BlockPolicy { transactions: 20, interval: None, plan: Stack::OPTIMIZED.plan },
        journal: Options { segment_bytes: 4 << 20, ..Options::default() },
        memory: Memory::default(),
        snapshot_commands: 1,
        beside: true,
    };
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (storage, id, watch) =
            (SimStorage::new(1, SECTOR), JournalId(*b"a chain's ledger"), Arc::new(Watch::new()));
        let clock = Clock::system();
        let mut node = DurableNode::<Optimized, _>::create(storage, id, params, options, clock, watch.clone()).unwrap();
        let request = |(number, &command)| Request { client: 1, number, command };
        let requests: Vec<Request> = (1..).zip(&commands).map(request).collect();
        // One request, so that a snapshot is due, and more than close a block: one is being sealed, another waits.
        node.submit(&requests[..1], &mut |_| {}).unwrap();
        node.submit(&requests[1..50], &mut |_| {}).unwrap();
        watch.cancel();
        done.send(node.stop(&mut |_| {}).map(drop)).unwrap();
    });
    let ended =
        ended.recv_timeout(std::time::Duration::from_secs(20)).expect("it does not wait for a block that never comes");
    assert!(matches!(ended, Err(DurableError::Node(NodeError::Cancelled))), "{ended:?}");
}

/// A node whose chain adjusts its difficulty: a block a second or less, where one every two seconds is asked for.
#[test]
fn difficulty_follows_the_block_interval_and_is_verified() {
    let profile = ChaosProfile::by_number(0);
    let commands = Chaos::new(profile, 11).commands(3_000);
    // A command every 10 ms: 40 transactions take about a second, refused commands included.
    let retarget = Some(Retarget { blocks: 4, seconds: 2 });
    let play = |stack: Stack| {
        stack.engine.visit(Play { stack, profile, commands: &commands, transactions: 40, interval: None, retarget })
    };
    let (optimized, baseline) = (play(Stack::OPTIMIZED), play(Stack::BASELINE));
    assert!(optimized.file.len() > 100_000 && checked(&baseline.file).is_ok());
    let verified = checked(&optimized.file).expect("valid");
    let (_, blocks) = blocks(&optimized.file);
    assert!(verified.blocks > 20);
    let work: Vec<f64> = blocks.iter().map(|block| block.header.work()).collect();
    assert!(work[..4].iter().all(|&same| same == work[0]));
    assert!(work[4] > 1.4 * work[0], "too fast at first, so more work: {work:?}");
    for window in work.chunks(4) {
        assert!(window.iter().all(|&same| same == window[0]), "the target changes between windows only: {work:?}");
    }
    // The same blocks under other parameters are another chain.
    let mut fixed = ChainParams::fixed(profile.rules, BITS);
    assert!(refusal(&write(&fixed, &blocks)).starts_with("block 0: its parent is"));
    fixed.retarget = Some(Retarget { blocks: 4, seconds: 3 });
    assert!(refusal(&write(&fixed, &blocks)).starts_with("block 0: its parent is"));
}

#[test]
fn blocks_close_at_their_age() {
    // A command every 10 ms, in batches of 37: blocks of 1 s hold about 100 commands, refused ones included.
    let by_age = play(Stack::OPTIMIZED, 0, 5_000, 100_000, Some(1_000_000_000));
    let by_count = play(Stack::OPTIMIZED, 0, 5_000, 100_000, None);
    assert_eq!(by_count.totals.blocks, 1);
    assert!((35..=50).contains(&by_age.totals.blocks), "{}", by_age.totals.blocks);
    assert_eq!(by_age.totals.transactions, by_count.totals.transactions);
    checked(&by_age.file).expect("valid");
}

#[test]
fn floods_of_refused_commands_do_not_pile_up() {
    let params = ChainParams::fixed(ChaosProfile::by_number(0).rules, Target::from_leading_zero_bits(1).to_bits());
    let policy = BlockPolicy { transactions: 10, interval: None, plan: Stack::OPTIMIZED.plan };
    let never = Arc::new(Watch::new());
    let engine = joulebook::optimized::Optimized::new(params.rules);
    let mut node = Node::new(engine, 1, params, policy, Clock::system(), never, None);
    let refused = Command::Burn { account: AccountId(9), amount: 1 };
    for _ in 0..100 {
        node.submit(&[refused; 50], 1).unwrap();
    }
    node.submit(&[Command::OpenAccount { address: [1; 32] }], 1).unwrap();
    for _ in 0..100 {
        node.submit(&[refused; 50], 1).unwrap();
    }
    let (engine, totals) = node.finish().unwrap();
    assert_eq!((engine.accounts(), totals.blocks, totals.transactions), (2, 1, 1));
}

#[test]
fn a_cancelled_search_and_a_failing_sink_stop_the_node_with_their_reason() {
    for beside in [false, true] {
        let profile = ChaosProfile::by_number(0);
        let commands = Chaos::new(profile, 11).commands(2_000);
        let run = |bits: u32, cancel: bool, sink: Option<BlockSink>| {
            let stop = Arc::new(Watch::new());
            let params = ChainParams::fixed(profile.rules, Target::from_leading_zero_bits(bits).to_bits());
            let plan = joulebook::node::SealPlan { beside, ..Stack::OPTIMIZED.plan };
            let policy = BlockPolicy { transactions: 20, interval: None, plan };
            let engine = joulebook::optimized::Optimized::new(profile.rules);
            let mut node = Node::new(engine, 1, params, policy, Clock::system(), stop.clone(), sink);
            if cancel {
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    stop.cancel();
                });
            }
            let ended = commands.chunks(10).try_for_each(|batch| node.submit(batch, 1));
            ended.and_then(|()| node.finish().map(drop))
        };
        assert_eq!(run(200, true, None), Err(NodeError::Cancelled), "nobody finds 200 bits");
        let full: BlockSink = Box::new(|_, seal, _| if seal.height < 3 { Ok(()) } else { Err("no space".to_string()) });
        assert_eq!(run(1, false, Some(full)), Err(NodeError::Sink { height: 3, reason: "no space".to_string() }));
    }
}

fn refusal(file: &[u8]) -> String {
    match checked(file) {
        Ok(verified) => panic!("a damaged chain is valid: {verified:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused() {
    let file = play(Stack::OPTIMIZED, 0, 400, 40, None).file;
    checked(&file).expect("valid before it is damaged");
    assert!(file.len() > 10_000, "{}", file.len());
    for length in 0..file.len() {
        let why = refusal(&file[..length]);
        let named = ["block", "not a joulebook chain file", "in the middle of its head"];
        assert!(named.iter().any(|name| why.contains(name)), "cut at {length}: {why}");
    }
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        refusal(&damaged);
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(refusal(&longer).contains("behind the file's tail"));
}

#[test]
fn damage_is_named() {
    let file = play(Stack::OPTIMIZED, 0, 1_000, 40, None).file;
    assert!(refusal(b"").contains("not a joulebook chain file"));
    assert!(refusal(b"PK\x03\x04 something else").contains("not a joulebook chain file"));
    let mut newer = file.clone();
    newer[8] = 2;
    assert!(refusal(&newer).contains("version 2"));
    let damage = |change: &dyn Fn(&mut Vec<StoredBlock>)| {
        let (params, mut blocks) = blocks(&file);
        change(&mut blocks);
        refusal(&write(&params, &blocks))
    };
    // Each of these files is well-formed: only what it says is wrong.
    let unmined = damage(&|blocks| {
        let header = &mut blocks[3].header;
        while Target::from_bits(header.bits).unwrap().is_met_by(&header.hash()) {
            header.nonce += 1;
        }
    });
    assert!(unmined.starts_with("block 3 is not mined"), "{unmined}");
    let swapped = damage(&|blocks| blocks.swap(4, 5));
    assert!(swapped.starts_with("block 4: its parent is"), "{swapped}");
    let dropped = damage(&|blocks| drop(blocks.remove(0)));
    assert!(dropped.starts_with("block 0: its parent is"), "{dropped}");
    let richer = damage(&|blocks| {
        for (command, event) in blocks[2].commands.iter_mut().zip(0..) {
            if let Command::Mint { amount, .. } = &mut command.command {
                *amount += event + 1;
                return;
            }
        }
        panic!("block 2 has a mint");
    });
    assert!(richer.starts_with("block 2: its contents have Merkle root"), "{richer}");
    let easier = damage(&|blocks| blocks[1].header.bits = 0x2100_ffff);
    assert!(easier.starts_with("block 1: its target bits"), "{easier}");
}

/// Even whoever does the work again cannot change what commands cause, or the state they lead to.
#[test]
fn resealed_lies_are_found_by_replay() {
    let file = play(Stack::OPTIMIZED, 0, 1_000, 40, None).file;
    let reseal = |change: &dyn Fn(&mut StoredBlock)| {
        let (params, mut blocks) = blocks(&file);
        let last = blocks.len() - 1;
        let block = &mut blocks[last];
        change(block);
        let (header, target) = (block.header, Target::from_bits(params.bits).unwrap());
        let branch = joulebook::block::merkle::branch(&block.leaves(), 0);
        let never = Watch::new();
        let sealed =
            joulebook::seal::seal(header, &mut block.seal, &branch, &target, Search::Parallel, &never).unwrap();
        block.header = sealed.header;
        refusal(&write(&params, &blocks))
    };
    let fee = reseal(&|block| {
        let fill = block.events.iter_mut().find(|event| matches!(event, Event::Fill { .. })).expect("a fill");
        let Event::Fill { fee, .. } = fill else { unreachable!() };
        *fee += 1;
    });
    assert!(fee.contains("replay gives [Fill"), "{fee}");
    let root = reseal(&|block| block.seal.state_root[0] ^= 1);
    assert!(root.contains("replay gives state root"), "{root}");
    let accounts = reseal(&|block| block.seal.accounts += 1);
    assert!(accounts.contains("replay opens"), "{accounts}");
}

/// Writes blocks as a file, whatever they say.
fn write(params: &ChainParams, blocks: &[StoredBlock]) -> Vec<u8> {
    let file = Shared::default();
    let mut writer = ChainWriter::create(file.clone(), params).unwrap();
    for block in blocks {
        writer.append(&block.header, &block.seal, &body(block)).unwrap();
    }
    writer.finish().unwrap();
    std::mem::take(&mut *file.0.lock().unwrap())
}

fn body(block: &StoredBlock) -> Body {
    let mut body = Body::default();
    for (command, events) in block.transactions() {
        body.log.events.extend_from_slice(events);
        body.log.close_command();
        let commands = std::slice::from_ref(&command.command);
        body.push(joulebook::command::Batch { first: command.sequence, time: command.time, commands });
    }
    body
}

#[test]
fn proofs_hold_against_the_headers_alone_and_against_nothing_else() {
    let file = play(Stack::OPTIMIZED, 0, 2_000, 64, None).file;
    let (params, blocks) = blocks(&file);
    let headers = HeaderChain { params, headers: blocks.iter().map(|block| block.header).collect() };
    let mut proven = 0;
    for block in &blocks {
        for (command, events) in block.transactions() {
            let proof = TradeProof::of(block, command.sequence).expect("it is in this block");
            assert_eq!(proof.check(&headers), Ok((command, events.to_vec())));
            proven += 1;
        }
    }
    assert!(proven > 500);
    let block =
        blocks.iter().find(|block| block.events.iter().any(|event| matches!(event, Event::Fill { .. }))).unwrap();
    let proof = TradeProof::of(block, block.commands[5].sequence).unwrap();
    assert_eq!(TradeProof::of(block, 0), None);
    let fails = |change: &dyn Fn(&mut TradeProof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        changed.check(&headers).unwrap_err().to_string()
    };
    let flip = |text: &mut String, at: usize| {
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        text.replace_range(at..=at, digit);
    };
    assert!(fails(&|proof| flip(&mut proof.message, 20)).contains("leads to Merkle root"));
    assert!(fails(&|proof| flip(&mut proof.branch[2], 7)).contains("leads to Merkle root"));
    assert!(fails(&|proof| proof.index += 1).contains("leads to Merkle root"));
    assert!(fails(&|proof| proof.height += 1).contains("leads to Merkle root"));
    assert!(fails(&|proof| proof.height = 1 << 40).contains("there are"));
    assert!(fails(&|proof| drop(proof.branch.pop())).contains("no tree has it"));
    assert!(fails(&|proof| proof.index = 0).contains("no tree has it"));
    assert!(fails(&|proof| proof.leaves = 3).contains("no tree has it"));
    assert!(fails(&|proof| proof.message.push('x')).contains("not hex"));
    assert!(fails(&|proof| proof.schema.push('2')).contains("schema"));
    let mut forged = headers.clone();
    forged.headers[1].merkle_root[0] ^= 1;
    assert!(proof.check(&forged).unwrap_err().to_string().contains("not a valid chain"));
    let json = serde_json::to_string(&proof).unwrap();
    assert_eq!(serde_json::from_str::<TradeProof>(&json).unwrap(), proof);
}

#[test]
fn seal_records_have_one_encoding() {
    let (_, blocks) = blocks(&play(Stack::OPTIMIZED, 0, 300, 40, None).file);
    let record = blocks[1].seal;
    let bytes = record.encode();
    assert_eq!(SealRecord::decode(&bytes), Some(record));
    for at in [0, 1, 3, 76, 79] {
        let mut damaged = bytes;
        damaged[at] ^= 0x40;
        assert_eq!(SealRecord::decode(&damaged), None, "byte {at}");
    }
}
