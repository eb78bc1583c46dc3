//! An engine made again from its parts is the engine it was; parts that no engine can have are refused, by name.

use joulebook::baseline::{Baseline, MapLedger};
use joulebook::command::{Batch, Command, NewOrder};
use joulebook::engine::{
    AccountRecord, Engine, LevelView, MarketStats, OrderView, RestoreError, audit, escrow_of, state_digest,
};
use joulebook::event::{Event, EventLog};
use joulebook::hash::Digest;
use joulebook::optimized::{Market, Optimized};
use joulebook::types::{AccountId, OrderId, Rules, RulesError, SelfTrade, Side, TimeInForce, Token};
use joulebook::workload::{Chaos, ChaosProfile, Random};

const PROFILES: u64 = 18;

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    rules: Rules,
    stats: MarketStats,
    accounts: Vec<AccountRecord>,
    orders: Vec<(Side, OrderView)>,
}

impl Parts {
    fn of<E: Engine>(engine: &E) -> Parts {
        let record = |id| engine.record(AccountId(id)).unwrap();
        let accounts = (0..engine.accounts()).map(record).collect();
        let mut orders = Vec::new();
        for side in Side::BOTH {
            engine.for_each_order(side, |order| orders.push((side, order)));
        }
        Parts { rules: *engine.rules(), stats: engine.stats(), accounts, orders }
    }

    fn restore<E: Engine>(&self) -> Result<E, RestoreError> {
        E::restore(self.rules, self.stats, self.accounts.iter().copied(), self.orders.iter().copied())
    }

    /// Where the first order of a side stands.
    fn first(&self, side: Side) -> usize {
        self.orders.iter().position(|order| order.0 == side).unwrap()
    }
}

/// All that can be asked about an engine.
fn view<E: Engine>(engine: &E) -> (Digest, String) {
    audit(engine).unwrap();
    let mut view = format!("{:?} {:?}", engine.best(), engine.stats());
    for levels in [0, 1, 16, 17, 1_000] {
        view += &engine.with_depth(levels, |bids, asks| format!(" {bids:?} {asks:?}"));
        for side in Side::BOTH {
            let mut out = vec![LevelView::default(); levels];
            let found = engine.depth_into(side, &mut out);
            view += &format!(" {:?}", &out[..found]);
        }
    }
    (state_digest(engine), view)
}

fn changed<E: Engine>(engine: &mut E) -> Vec<u32> {
    let mut records = Vec::new();
    engine.take_changed(&mut records);
    let mut ids: Vec<_> = records.iter().map(|record| record.account.0).collect();
    ids.sort_unstable();
    ids
}

fn apply<E: Engine>(engine: &mut E, first: u64, commands: &[Command]) -> EventLog {
    let mut log = EventLog::default();
    engine.apply(Batch { first, time: first, commands }, &mut log);
    log
}

/// The three engines in the same state.
struct Three {
    baseline: Baseline,
    over_maps: Market<MapLedger>,
    optimized: Optimized,
}

impl Three {
    fn new(rules: Rules) -> Three {
        Three { baseline: Baseline::new(rules), over_maps: Market::new(rules), optimized: Optimized::new(rules) }
    }

    fn parts(&self) -> [Parts; 3] {
        [Parts::of(&self.baseline), Parts::of(&self.over_maps), Parts::of(&self.optimized)]
    }

    /// Each engine from the parts of the one that `parts` has in its place.
    fn restore(parts: [&Parts; 3]) -> Three {
        Three {
            baseline: parts[0].restore().unwrap(),
            over_maps: parts[1].restore().unwrap(),
            optimized: parts[2].restore().unwrap(),
        }
    }

    fn views(&self) -> [(Digest, String); 3] {
        [view(&self.baseline), view(&self.over_maps), view(&self.optimized)]
    }

    fn apply(&mut self, first: u64, commands: &[Command]) -> [EventLog; 3] {
        let Three { baseline, over_maps, optimized } = self;
        [apply(baseline, first, commands), apply(over_maps, first, commands), apply(optimized, first, commands)]
    }
}

/// Random commands, with an end now and then: each engine is made again from each engine's parts, and goes on from there
/// beside those that never ended. Returns how many orders rested at all ends together.
fn ends_do_not_matter(profile: ChaosProfile, seed: u64, chunk: usize, ends: usize) -> usize {
    let commands = Chaos::new(profile, seed).commands(chunk * (ends + 1));
    let mut control = Three::new(profile.rules);
    // Together, all pairs: each engine from each engine's parts.
    let mut lives: Vec<Three> = Vec::new();
    let mut resting = 0;
    for (at, commands) in commands.chunks(chunk).enumerate() {
        let first = (at * chunk) as u64 + 1;
        let [expected, ..] = control.apply(first, commands);
        let expected_view = view(&control.baseline);
        let touched = changed(&mut control.optimized);
        for three in &mut lives {
            for log in three.apply(first, commands) {
                assert!(log == expected, "events differ: {profile:?}, seed {seed}, from command {first} on");
            }
            assert_eq!(changed(&mut three.optimized), touched);
            assert!(three.views().iter().all(|view| *view == expected_view), "{profile:?}, seed {seed}, at {first}");
        }
        // What is made again is, from the second end on, what was made again before.
        let sources = lives.last().unwrap_or(&control).parts();
        let [a, b, c] = &sources;
        resting += a.orders.len();
        lives = [[a, b, c], [b, c, a], [c, a, b]].map(Three::restore).into();
        for three in &mut lives {
            assert!(three.views().iter().all(|view| *view == expected_view), "{profile:?}, seed {seed}, at {first}");
            assert_eq!(changed(&mut three.optimized), [0; 0], "nothing has changed yet");
            assert_eq!(changed(&mut three.baseline).len() as u32, three.baseline.accounts());
        }
    }
    resting
}

#[test]
fn an_engine_made_again_from_any_engines_parts_goes_on_as_before() {
    for number in 0..PROFILES {
        let profile = ChaosProfile::by_number(number);
        let resting = ends_do_not_matter(profile, 300 + number, 1_000, 8);
        assert!(resting > 20, "profile {number}: {resting} orders in all");
    }
}

#[test]
fn an_engine_made_again_after_every_command_goes_on_as_before() {
    for number in 0..6 {
        ends_do_not_matter(ChaosProfile::by_number(number), 400 + number, 1, 400);
    }
}

#[test]
fn genesis_can_be_made_again() {
    let three = Three::new(Rules::default());
    let [a, b, c] = &three.parts();
    assert!(a == b && b == c && a.orders.is_empty());
    assert_eq!(Three::restore([b, c, a]).views(), three.views());
}

/// Ids that share their low halves, and ids that lie far apart, so that the id table keeps most of them outside its window.
#[test]
fn orders_are_found_again_whatever_their_ids() {
    let mut three = Three::new(Rules::default());
    let account = AccountId(0);
    three.apply(1, &[Command::MeterCredit { account, amount: 1 << 40 }]);
    let id = |number: u64| 7 + number * (1 << 32) + number / 1_000 * 65_536;
    for number in 0..3_000 {
        let (side, time_in_force) = (Side::Sell, TimeInForce::Gtc);
        let limit = Some(number as i32 * 7_919 % 1_000);
        let order = NewOrder { account, side, limit, wh: 5, time_in_force, post_only: false };
        apply(&mut three.optimized, id(number), &[Command::Place(order)]);
    }
    let parts = Parts::of(&three.optimized);
    let mut again: Optimized = parts.restore().unwrap();
    assert_eq!(view(&again), view(&three.optimized));
    for number in (0..3_000).rev() {
        let log = apply(&mut again, 1, &[Command::Cancel { account, order: OrderId(id(number)) }]);
        assert!(matches!(log.events[..], [Event::Cancelled { .. }]), "{number}: {log:?}");
    }
    assert_eq!(again.stats().open_orders, 0);
}

/// A market with ticks, lots and orders on both sides, at several prices each, of several accounts.
fn example() -> Parts {
    let mut profile = ChaosProfile::by_number(3);
    profile.funds = 1 << 36;
    profile.rules.self_trade = SelfTrade::CancelMaker;
    let mut engine = Baseline::new(profile.rules);
    apply(&mut engine, 1, &Chaos::new(profile, 4).commands(1_500));
    let parts = Parts::of(&engine);
    for side in Side::BOTH {
        let prices: Vec<_> = parts.orders.iter().filter(|order| order.0 == side).map(|order| order.1.price).collect();
        assert!(prices.len() > 3 && prices[0] != prices[prices.len() - 1], "{side:?} {prices:?}");
    }
    assert!(parts.stats.trades > 10 && parts.accounts.len() > 5);
    parts
}

/// What every engine says, and that it is the same.
fn refusal(parts: &Parts) -> Option<RestoreError> {
    let by_baseline = parts.restore::<Baseline>().err();
    assert_eq!(parts.restore::<Market<MapLedger>>().err(), by_baseline);
    assert_eq!(parts.restore::<Optimized>().err(), by_baseline);
    by_baseline
}

/// Why parts are refused after a change.
fn refused(change: impl FnOnce(&mut Parts)) -> RestoreError {
    let mut parts = example();
    assert_eq!(refusal(&parts), None);
    change(&mut parts);
    let reason = refusal(&parts).expect("refused");
    assert!(!reason.to_string().is_empty());
    reason
}

#[test]
fn rules_that_cannot_be_used_are_refused() {
    let reason = refused(|parts| parts.rules.tick = 0);
    assert!(matches!(reason, RestoreError::Rules(RulesError::TickOrLot { tick: 0, .. })));
}

#[test]
fn accounts_that_no_engine_can_have_are_refused_by_name() {
    const LOCKED_GRID: fn(&mut Parts) -> &mut u64 =
        |parts| &mut parts.accounts[2].balances.locked[Token::Grid as usize];
    let (one, two) = (AccountId(1), AccountId(2));
    assert_eq!(refused(|parts| parts.accounts.clear()), RestoreError::NoOperator);
    let found = [7; 32];
    assert_eq!(refused(|parts| parts.accounts[0].address = found), RestoreError::OperatorAddress { found });
    let swapped = refused(|parts| parts.accounts.swap(1, 2));
    assert_eq!(swapped, RestoreError::AccountOutOfOrder { expected: one, found: two });
    let missing = refused(|parts| {
        parts.accounts.remove(1);
    });
    assert_eq!(missing, RestoreError::AccountOutOfOrder { expected: one, found: two });
    let without_operator = refused(|parts| {
        parts.accounts.remove(0);
    });
    assert_eq!(without_operator, RestoreError::AccountOutOfOrder { expected: AccountId(0), found: one });
    let twice = refused(|parts| parts.accounts[2].address = parts.accounts[1].address);
    assert_eq!(twice, RestoreError::AddressTwice { first: one, second: two });
    let operators = refused(|parts| parts.accounts[2].address = parts.rules.operator);
    assert_eq!(operators, RestoreError::AddressTwice { first: AccountId(0), second: two });
    let too_many = refused(|parts| parts.rules.limits.accounts = parts.accounts.len() as u32 - 1);
    assert_eq!(too_many, RestoreError::AccountLimit { limit: example().accounts.len() as u32 - 1 });
    for token in Token::ALL {
        // Each balance fits, and so does an account's, but not all together.
        let available = refused(|parts| parts.accounts[2].balances.available[token as usize] = u64::MAX);
        assert!(matches!(available, RestoreError::SupplyLimit { token: found, .. } if found == token), "{available:?}");
        let locked = refused(|parts| {
            let balances = &mut parts.accounts[1].balances;
            balances.available[token as usize] = u64::MAX / 2;
            balances.locked[token as usize] = u64::MAX / 2 + 2;
        });
        assert_eq!(locked, RestoreError::SupplyLimit { token, account: one });
    }
    let expected = example().rules.grid_supply;
    let more = refused(|parts| *LOCKED_GRID(parts) += 1);
    assert_eq!(more, RestoreError::GridSupply { expected, found: expected + 1 });
    let fewer = refused(|parts| parts.rules.grid_supply += 1);
    assert_eq!(fewer, RestoreError::GridSupply { expected: expected + 1, found: expected });
}

#[test]
fn orders_that_no_book_can_hold_are_refused_by_name() {
    let parts = example();
    let (bid, ask) = (parts.orders[0].1, parts.orders[parts.first(Side::Sell)].1);
    let order = bid.order;
    let first = |change: fn(&mut OrderView)| refused(|parts| change(&mut parts.orders[0].1));
    assert_eq!(first(|bid| bid.order = OrderId(0)), RestoreError::OrderIdZero);
    let account = AccountId(parts.accounts.len() as u32);
    let unknown = refused(|parts| parts.orders[0].1.account = account);
    assert_eq!(unknown, RestoreError::UnknownAccount { order, account });
    let account = AccountId(u32::MAX);
    let unknown = refused(|parts| parts.orders[0].1.account = account);
    assert_eq!(unknown, RestoreError::UnknownAccount { order, account });
    assert_eq!(first(|bid| bid.wh = 0), RestoreError::ZeroQuantity { order });
    assert_eq!(first(|bid| bid.wh += 1), RestoreError::OffLot { order, wh: bid.wh + 1, lot: 1_000 });
    for price in [parts.rules.price_max + 5, parts.rules.price_min - 5, i32::MIN, i32::MAX] {
        let reason = refused(|parts| parts.orders[0].1.price = price);
        assert_eq!(reason, RestoreError::PriceOutOfBand { order, price });
    }
    assert_eq!(first(|bid| bid.price += 1), RestoreError::OffTick { order, price: bid.price + 1, tick: 5 });
    let limit = parts.orders.len() as u32 - 1;
    assert_eq!(refused(|parts| parts.rules.limits.orders = limit), RestoreError::OrderLimit { limit });

    // On the same side and on the other one, next to each other and far apart.
    for at in [1, parts.orders.len() - 1] {
        let twice = refused(|parts| parts.orders[at].1.order = order);
        assert_eq!(twice, RestoreError::OrderTwice { order });
    }
    // Another id with the same low half is another id.
    let mut same_low_half = example();
    same_low_half.orders[0].1.order.0 = parts.orders[1].1.order.0 + (1 << 32);
    assert_eq!(refusal(&same_low_half), None);

    for side in Side::BOTH {
        let at = parts.first(side);
        let worse = parts.orders[at..].iter().position(|order| order.1.price != parts.orders[at].1.price).unwrap() + at;
        let behind = refused(|parts| parts.orders.swap(at, worse));
        assert!(matches!(behind, RestoreError::OutOfPlace { side: found, .. } if found == side), "{behind:?}");
    }
    let asks_first = refused(|parts| {
        let bids = parts.first(Side::Sell);
        parts.orders.rotate_left(bids);
    });
    assert_eq!(asks_first, RestoreError::OutOfPlace { order, side: Side::Buy, price: bid.price });
    for price in [ask.price, ask.price + 5] {
        let crossed = refused(|parts| parts.orders[0].1.price = price);
        assert_eq!(crossed, RestoreError::Crossed { bid: price, ask: ask.price });
    }
}

#[test]
fn escrow_that_is_not_what_the_orders_hold_is_refused() {
    let parts = example();
    let ask = parts.orders[parts.first(Side::Sell)].1;
    for (token, at) in [(Token::Watt, parts.orders[0].1.account), (Token::Energy, ask.account)] {
        let locked = parts.accounts[at.index()].balances.locked[token as usize];
        // Supplies stay what they were: only the halves of a balance are no longer what they should be.
        let reason = refused(|parts| {
            let balances = &mut parts.accounts[at.index()].balances;
            balances.locked[token as usize] -= 1;
            balances.available[token as usize] += 1;
        });
        assert_eq!(reason, RestoreError::Escrow { account: at, token, locked: locked - 1, held: locked });
    }
    let fewer = refused(|parts| {
        parts.orders.remove(0);
    });
    assert!(
        matches!(fewer, RestoreError::Escrow { account, token: Token::Watt, .. } if account == parts.orders[0].1.account)
    );

    // Bids of one account that hold more than any account can have.
    let mut parts = Parts::of(&Baseline::new(Rules {
        price_min: i32::MAX - 10,
        price_max: i32::MAX,
        fee_ppm: 1_000_000,
        ..Rules::default()
    }));
    let (account, price, wh) = (AccountId(0), i32::MAX, u32::MAX);
    assert!(escrow_of(Side::Buy, wh, price, 1_000_000).watt > u64::MAX / 2);
    parts.orders = [1, 2].map(|id| (Side::Buy, OrderView { order: OrderId(id), account, price, wh })).into();
    assert_eq!(refusal(&parts), Some(RestoreError::EscrowLimit { account, token: Token::Watt }));
}

#[test]
fn statistics_that_contradict_the_book_or_themselves_are_refused() {
    let parts = example();
    let counted = parts.stats.open_orders;
    let more = refused(|parts| parts.stats.open_orders += 1);
    assert_eq!(more, RestoreError::OpenOrders { counted: counted + 1, found: counted });
    let changes: [fn(&mut MarketStats); 9] = [
        |stats| stats.trades = 0,
        |stats| (stats.trades, stats.volume_wh, stats.last) = (0, 0, 0),
        |stats| stats.trades = u64::MAX,
        |stats| stats.volume_wh = 0,
        |stats| stats.volume_wh += 1,
        |stats| stats.last = stats.high + 5,
        |stats| stats.last = stats.low - 5,
        |stats| stats.high = i32::MAX,
        |stats| stats.high += 1,
    ];
    for change in changes {
        let reason = refused(|parts| change(&mut parts.stats));
        let mut stats = parts.stats;
        change(&mut stats);
        assert_eq!(reason, RestoreError::Trades { stats });
    }
}

/// Whatever is changed, nothing panics, every engine says the same, and what passes is whole.
#[test]
fn random_changes_are_refused_alike_or_leave_an_engine_that_is_whole() {
    let original = example();
    let mut random = Random::new(6, 1);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut parts = original.clone();
        for _ in 0..=random.below(2) {
            change(&mut parts, &mut random);
        }
        match refusal(&parts) {
            Some(_) => refused += 1,
            None => {
                passed += 1;
                let mut engine: Optimized = parts.restore().unwrap();
                audit(&engine).unwrap();
                let chaos = Chaos::new(ChaosProfile::by_number(3), 1).commands(100);
                apply(&mut engine, 1 << 40, &chaos);
                audit(&engine).unwrap();
            }
        }
    }
    assert!(passed > 100 && refused > 1_000, "{passed} passed, {refused} refused");
}

fn change(parts: &mut Parts, random: &mut Random) {
    let account = random.below(parts.accounts.len() as u64) as usize;
    let order = random.below(parts.orders.len() as u64) as usize;
    let (other_account, other_order) = (account / 2, order / 2);
    let word = [random.word(), random.below(3_000), 1 << random.below(64)][random.below(3) as usize];
    let token = random.below(3) as usize;
    let record = &mut parts.accounts[account];
    let view = &mut parts.orders[order].1;
    match random.below(18) {
        0 => record.account.0 ^= word as u32,
        1 => record.address[word as usize % 32] ^= 1,
        2 => record.balances.available[token] ^= word,
        3 => record.balances.locked[token] ^= word,
        4 => std::mem::swap(&mut record.balances.available[token], &mut record.balances.locked[token]),
        5 => view.order.0 ^= word,
        6 => view.account.0 ^= word as u32 % 64,
        7 => view.price ^= word as i32,
        8 => view.wh ^= word as u32,
        9 => view.price += 5,
        10 => parts.orders[order].0 = parts.orders[order].0.opposite(),
        11 => parts.orders.swap(order, other_order),
        12 => {
            parts.orders.remove(order);
        }
        13 => parts.orders.insert(order, parts.orders[other_order]),
        14 => parts.accounts.swap(account, other_account),
        15 => parts.stats.trades ^= word,
        16 => parts.stats.last ^= word as i32,
        _ => parts.stats.volume_wh ^= word,
    }
}
