//! The baseline is the oracle: every stack's engine gives the same events and state, on millions of random commands.
//!
//! `cargo test --test differential` runs 5.4 million commands; `--ignored` runs ten times as many on other seeds.

use joulebook::baseline::{Baseline, MapLedger};
use joulebook::command::{Batch, Command};
use joulebook::engine::{Engine, LevelView, audit, state_digest};
use joulebook::event::{Event, EventLog, Reject};
use joulebook::optimized::{Market, Optimized};
use joulebook::types::{AccountId, Rules, SelfTrade, Side};
use joulebook::workload::{Chaos, ChaosProfile, Population, Stream};
use std::collections::BTreeMap;

const PROFILES: u64 = 18;
const BATCH: usize = 500;

/// Runs commands through one engine, with audits between batches.
fn run<E: Engine>(rules: Rules, commands: &[Command], log: &mut EventLog) -> Result<E, String> {
    let mut engine = E::new(rules);
    let mut first = 1;
    for batch in commands.chunks(BATCH) {
        engine.apply(Batch { first, time: first, commands: batch }, log);
        audit(&engine).map_err(|problem| format!("after command {}: {problem}", first as usize + batch.len() - 1))?;
        first += batch.len() as u64;
    }
    Ok(engine)
}

/// How an engine differs from the baseline on these commands, if it does.
fn difference<E: Engine>(rules: Rules, commands: &[Command]) -> Option<String> {
    let (mut expected, mut actual) = (EventLog::default(), EventLog::default());
    let baseline = run::<Baseline>(rules, commands, &mut expected).expect("the baseline's invariants hold");
    let outcome = run::<E>(rules, commands, &mut actual);
    let differs = (0..actual.len()).find(|&at| expected.outcome(at) != actual.outcome(at));
    if let Some(at) = differs {
        let (wanted, found) = (expected.outcome(at), actual.outcome(at));
        return Some(format!("command {}: {:?}\n  baseline: {wanted:?}\n  engine:   {found:?}", at + 1, commands[at]));
    }
    match outcome {
        Err(problem) => Some(problem),
        Ok(engine) if state_digest(&engine) != state_digest(&baseline) => Some("the final states differ".to_string()),
        Ok(engine) => {
            let views = |engine: &dyn Fn() -> String| engine();
            let baseline_view = views(&|| market_view(&baseline));
            let engine_view = views(&|| market_view(&engine));
            (baseline_view != engine_view).then(|| format!("reads differ:\n  {baseline_view}\n  {engine_view}"))
        }
    }
}

/// Everything that a reader can ask about the market.
fn market_view<E: Engine>(engine: &E) -> String {
    let mut view = format!("{:?} {:?}", engine.best(), engine.stats());
    for levels in [0, 1, 5, 16, 17, 1_000] {
        view += &engine.with_depth(levels, |bids, asks| format!(" {bids:?} {asks:?}"));
        for side in Side::BOTH {
            let mut out = vec![LevelView::default(); levels];
            let found = engine.depth_into(side, &mut out);
            view += &format!(" {found} {out:?}");
        }
    }
    view + &format!(" {:?} {:?}", engine.balances(AccountId(0)), engine.balances(AccountId(u32::MAX)))
}

/// Removes whatever is not needed for a difference. What is removed becomes a command that is always refused, so that the
/// order ids of the others stay what they were.
fn shrink(commands: &[Command], differs: impl Fn(&[Command]) -> Option<String>) -> (Vec<Command>, String) {
    const NOTHING: Command = Command::Burn { account: AccountId(u32::MAX), amount: 0 };
    let mut kept = commands.to_vec();
    let mut message = differs(&kept).expect("differs before shrinking");
    let mut chunk = kept.len().div_ceil(2);
    loop {
        for start in (0..kept.len()).step_by(chunk) {
            let mut fewer = kept.clone();
            let end = (start + chunk).min(fewer.len());
            fewer[start..end].fill(NOTHING);
            if fewer != kept
                && let Some(found) = differs(&fewer)
            {
                (kept, message) = (fewer, found);
            }
        }
        if chunk == 1 {
            break;
        }
        chunk = chunk.div_ceil(2);
    }
    let listed: Vec<_> = kept
        .iter()
        .enumerate()
        .filter(|(_, command)| **command != NOTHING)
        .map(|(at, c)| format!("  {}: {c:?}", at + 1))
        .collect();
    (kept, format!("{message}\nafter only these commands:\n{}", listed.join("\n")))
}

fn assert_equal<E: Engine>(profile: u64, seed: u64, commands: usize) -> EventLog {
    let chaos = ChaosProfile::by_number(profile);
    let sent = Chaos::new(chaos, seed).commands(commands);
    if let Some(found) = difference::<E>(chaos.rules, &sent) {
        // Cut behind the first difference before shrinking: most of the commands are behind it.
        let needed = (1..)
            .map(|power| (1usize << power).min(sent.len()))
            .find(|&count| count == sent.len() || difference::<E>(chaos.rules, &sent[..count]).is_some());
        let (_, report) =
            shrink(&sent[..needed.expect("all of them differ")], |fewer| difference::<E>(chaos.rules, fewer));
        panic!("profile {profile}, seed {seed}: {found}\nshrunk to: {report}");
    }
    let mut log = EventLog::default();
    run::<E>(chaos.rules, &sent, &mut log).expect("audited before");
    log
}

fn all_profiles<E: Engine>(seed: u64, commands_each: usize) {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for profile in 0..PROFILES {
        let log = assert_equal::<E>(profile, seed + profile, commands_each);
        for event in &log.events {
            let name = match event {
                Event::Rejected { reason } => reason.name(),
                Event::Opened { .. } => "Opened",
                Event::Balance { .. } => "Balance",
                Event::Fill { .. } => "Fill",
                Event::Rested { .. } => "Rested",
                Event::Expired { .. } => "Expired",
                Event::Cancelled { self_trade: true, .. } => "Cancelled by self-trade prevention",
                Event::Cancelled { .. } => "Cancelled",
                Event::Replaced { kept_priority: true, .. } => "Replaced in place",
                Event::Replaced { .. } => "Replaced",
            };
            *seen.entry(name).or_default() += 1;
        }
    }
    println!("{} commands: {seen:?}", PROFILES as usize * commands_each);
    // A comparison that never reached a case proves nothing about it.
    for reason in Reject::ALL {
        assert!(seen.get(reason.name()).is_some_and(|&count| count > 20), "{} is hardly exercised", reason.name());
    }
    assert_eq!(seen.len(), Reject::ALL.len() + 9, "every kind of event occurs");
}

#[test]
fn optimized_equals_baseline_on_millions_of_commands() {
    all_profiles::<Optimized>(1_000, 300_000);
}

/// The middle rung of the ladder: the optimized book over the baseline's ledger.
#[test]
fn optimized_book_over_maps_equals_baseline() {
    all_profiles::<Market<MapLedger>>(2_000, 300_000);
}

/// A book of 80,000 orders, with which the optimized engine looks ahead and its id table is filled as in large markets. At
/// first every cancel hits; then random commands come in between and shift the ids, so that most refer to others' orders.
#[test]
fn optimized_equals_baseline_on_a_deep_book() {
    for (seed, self_trade) in [(1, SelfTrade::RejectTaker), (2, SelfTrade::CancelMaker)] {
        let stream = Stream::writes(Population { users: 3_000, orders: 80_000, seed }, 20_000);
        let rules = Rules { self_trade, ..stream.rules };
        let mut chaos = Chaos::new(ChaosProfile { accounts: 3_000, rules, ..ChaosProfile::by_number(0) }, seed);
        let mut commands = stream.setup;
        let (hits, mixed) = stream.commands.split_at(10_000);
        commands.extend_from_slice(hits);
        commands.extend(mixed.iter().flat_map(|&command| [command, chaos.command()]));
        if let Some(found) = difference::<Optimized>(rules, &commands) {
            panic!("seed {seed}: {found}");
        }
    }
}

#[test]
#[ignore = "long: 54 million commands, half a minute to two minutes"]
fn long_run_on_other_seeds() {
    for round in 0..10 {
        all_profiles::<Optimized>(10_000 + 100 * round, 300_000);
    }
}

#[test]
fn batch_boundaries_do_not_matter() {
    let chaos = ChaosProfile::by_number(0);
    let commands = Chaos::new(chaos, 77).commands(20_000);
    let mut whole = EventLog::default();
    let expected = state_digest(&run::<Optimized>(chaos.rules, &commands, &mut whole).unwrap());
    let (mut engine, mut log) = (Optimized::new(chaos.rules), EventLog::default());
    let mut first = 1usize;
    for size in (1..=7).cycle() {
        let end = (first - 1 + size).min(commands.len());
        engine.apply(Batch { first: first as u64, time: 5, commands: &commands[first - 1..end] }, &mut log);
        first = end + 1;
        if end == commands.len() {
            break;
        }
    }
    assert!(log == whole);
    assert_eq!(state_digest(&engine), expected);
}

fn rejects_change_nothing<E: Engine>() {
    let mut rejected = 0;
    for profile in 0..6 {
        let chaos = ChaosProfile::by_number(profile);
        let mut engine = E::new(chaos.rules);
        let mut log = EventLog::default();
        let mut before = state_digest(&engine);
        for (at, command) in Chaos::new(chaos, 5).commands(3_000).iter().enumerate() {
            log.clear();
            let batch = Batch { first: at as u64 + 1, time: 0, commands: std::slice::from_ref(command) };
            let accepted = engine.apply(batch, &mut log) == 1;
            let after = state_digest(&engine);
            if !accepted {
                rejected += 1;
                assert_eq!(before, after, "{command:?} was refused with {:?} and changed something", log.events);
            }
            before = after;
        }
    }
    assert!(rejected > 3_000, "{rejected}");
}

#[test]
fn rejected_commands_change_nothing() {
    rejects_change_nothing::<Baseline>();
    rejects_change_nothing::<Optimized>();
}

#[test]
fn the_shrinker_finds_a_small_cause() {
    // A difference that needs exactly these two commands, in this order.
    let needles =
        [Command::Mint { account: AccountId(1), amount: 111 }, Command::Mint { account: AccountId(2), amount: 222 }];
    let mut commands = Chaos::new(ChaosProfile::by_number(0), 3).commands(1_000);
    commands[400] = needles[0];
    commands[700] = needles[1];
    let (kept, report) = shrink(&commands, |candidate| {
        let first = candidate.iter().position(|command| *command == needles[0])?;
        candidate[first..].contains(&needles[1]).then(|| "differs".to_string())
    });
    assert_eq!((kept[400], kept[700]), (needles[0], needles[1]));
    assert_eq!(report.lines().count(), 4, "{report}");
}
