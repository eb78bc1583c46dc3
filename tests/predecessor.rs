//! What the project that the scenarios come from got wrong; each defect is a test by name, on both engines where it is
//! about the market.

use joulebook::baseline::Baseline;
use joulebook::block::{BlockError, ChainParams, ChainReader, LastTransaction, Tip, check_block};
use joulebook::command::{Batch, Command, NewOrder};
use joulebook::engine::{Engine, audit, state_digest};
use joulebook::event::{Event, EventLog, Reject};
use joulebook::optimized::Optimized;
use joulebook::scenario::{Kind, Options, Reading, RunReport, StackChoice, run};
use joulebook::types::{AccountId, OrderId, Rules, SelfTrade, Side, TimeInForce, Token};
use std::sync::Arc;

/// An engine with accounts 1 to 3, each with 10^9 units of money and 10^6 Wh.
struct Market<E> {
    engine: E,
    next: u64,
}

impl<E: Engine> Market<E> {
    fn new(self_trade: SelfTrade) -> Self {
        let mut market = Market { engine: E::new(Rules { self_trade, ..Rules::default() }), next: 1 };
        for id in 1..=3u32 {
            let account = AccountId(id);
            market.accept(Command::OpenAccount { address: [id as u8; 32] });
            market.accept(Command::Mint { account, amount: 1_000_000_000 });
            market.accept(Command::MeterCredit { account, amount: 1_000_000 });
        }
        market
    }

    fn send(&mut self, command: Command) -> Vec<Event> {
        let mut log = EventLog::default();
        self.engine.apply(Batch { first: self.next, time: 0, commands: &[command] }, &mut log);
        self.next += 1;
        audit(&self.engine).expect("the invariants hold");
        log.events
    }

    fn accept(&mut self, command: Command) -> Vec<Event> {
        let events = self.send(command);
        assert!(!matches!(events[0], Event::Rejected { .. }), "{command:?}: {events:?}");
        events
    }

    fn place(&mut self, account: u32, side: Side, price: i32, wh: u32) -> Vec<Event> {
        let (account, limit) = (AccountId(account), Some(price));
        let time_in_force = TimeInForce::Gtc;
        self.send(Command::Place(NewOrder { account, side, limit, wh, time_in_force, post_only: false }))
    }

    fn available(&self, account: u32, token: Token) -> u64 {
        self.engine.balances(AccountId(account)).unwrap().available[token as usize]
    }

    fn resting(&self) -> usize {
        let mut count = 0;
        Side::BOTH.into_iter().for_each(|side| self.engine.for_each_order(side, |_| count += 1));
        count
    }
}

fn on_both_engines(test: fn(&str)) {
    test("baseline");
    test("optimized");
}

macro_rules! on_both {
    ($name:ident, $market:ident => $body:block) => {
        #[test]
        fn $name() {
            fn on<E: Engine>() {
                #[allow(unused_mut)]
                let mut $market = Market::<E>::new(SelfTrade::RejectTaker);
                $body
            }
            on_both_engines(|name| if name == "baseline" { on::<Baseline>() } else { on::<Optimized>() });
        }
    };
}

on_both!(a_cancel_takes_the_order_out_of_the_book, market => {
    market.place(1, Side::Sell, 100, 1_000);
    let order = OrderId(market.next - 1);
    assert_eq!(market.resting(), 1);
    let events = market.accept(Command::Cancel { account: AccountId(1), order });
    assert!(matches!(events[..], [Event::Cancelled { wh: 1_000, .. }]));
    assert_eq!((market.resting(), market.engine.best().ask), (0, None));
    // Nothing is left to trade with, and nothing to cancel.
    assert!(matches!(market.place(2, Side::Buy, 100, 1_000)[..], [Event::Rested { .. }]));
    let again = market.send(Command::Cancel { account: AccountId(1), order });
    assert_eq!(again, [Event::Rejected { reason: Reject::UnknownOrder }]);
});

on_both!(a_trade_against_a_resting_bid_prints_at_the_bid, market => {
    market.place(1, Side::Buy, 100, 1_000);
    let events = market.place(2, Side::Sell, 90, 1_000);
    assert!(matches!(events[..], [Event::Fill { price: 100, wh: 1_000, .. }]), "{events:?}");
    market.place(2, Side::Sell, 90, 1_000);
    let events = market.place(1, Side::Buy, 100, 1_000);
    assert!(matches!(events[..], [Event::Fill { price: 90, wh: 1_000, .. }]), "{events:?}");
    // The improvement of 10 ticks went back to the buyer: 1,000 Wh x 100 and x 90, and 0.5 % fee on each.
    assert_eq!(market.available(1, Token::Watt), 1_000_000_000 - 100_000 - 500 - 90_000 - 450);
});

on_both!(energy_goes_from_the_seller_to_the_buyer_and_money_back, market => {
    market.place(1, Side::Sell, 200, 5_000);
    market.place(2, Side::Buy, 200, 5_000);
    assert_eq!(market.available(1, Token::Energy), 1_000_000 - 5_000);
    assert_eq!(market.available(2, Token::Energy), 1_000_000 + 5_000);
    assert_eq!(market.available(1, Token::Watt), 1_000_000_000 + 1_000_000);
    assert_eq!(market.available(2, Token::Watt), 1_000_000_000 - 1_000_000 - 5_000);
    assert_eq!(market.available(0, Token::Watt), 5_000, "the grid fee is the operator's");
});

on_both!(no_number_is_not_a_number, market => {
    // All quantities are integers; the bits of a NaN are just a large one, and refused where it cannot be paid.
    let before = state_digest(&market.engine);
    let amount = f64::NAN.to_bits();
    let events = market.send(Command::Burn { account: AccountId(1), amount });
    assert_eq!(events, [Event::Rejected { reason: Reject::InsufficientWatt }]);
    let price = f32::NAN.to_bits() as i32;
    assert_eq!(market.place(1, Side::Buy, price, 1), [Event::Rejected { reason: Reject::PriceOutOfBand }]);
    assert_eq!(state_digest(&market.engine), before);
});

on_both!(a_stake_counts_once, market => {
    let operator = AccountId::OPERATOR;
    let supply = market.engine.rules().grid_supply;
    market.accept(Command::Stake { account: operator, amount: supply });
    let again = market.send(Command::Stake { account: operator, amount: 1 });
    assert_eq!(again, [Event::Rejected { reason: Reject::InsufficientGrid }], "what is staked cannot be staked again");
    market.accept(Command::Unstake { account: operator, amount: supply });
    let again = market.send(Command::Unstake { account: operator, amount: 1 });
    assert_eq!(again, [Event::Rejected { reason: Reject::InsufficientGrid }]);
});

#[test]
fn a_self_trade_does_not_wedge_the_book() {
    fn on<E: Engine>() {
        for policy in [SelfTrade::RejectTaker, SelfTrade::CancelMaker, SelfTrade::CancelBoth] {
            let mut market = Market::<E>::new(policy);
            market.place(1, Side::Sell, 100, 1_000);
            market.place(2, Side::Sell, 100, 1_000);
            let own = market.place(1, Side::Buy, 100, 1_500);
            let expected_resting = match policy {
                SelfTrade::RejectTaker => {
                    assert_eq!(own, [Event::Rejected { reason: Reject::SelfTrade }]);
                    2
                }
                SelfTrade::CancelMaker => {
                    assert!(matches!(
                        own[..],
                        [
                            Event::Cancelled { self_trade: true, .. },
                            Event::Fill { wh: 1_000, .. },
                            Event::Rested { wh: 500, .. }
                        ]
                    ));
                    1
                }
                SelfTrade::CancelBoth => {
                    assert!(matches!(
                        own[..],
                        [Event::Cancelled { self_trade: true, .. }, Event::Expired { wh: 1_500, .. }]
                    ));
                    1
                }
            };
            assert_eq!(market.resting(), expected_resting);
            // The market goes on: another account trades as if nothing had been.
            let other =
                market.place(3, if policy == SelfTrade::CancelMaker { Side::Sell } else { Side::Buy }, 100, 500);
            assert!(matches!(other[..], [Event::Fill { wh: 500, taker_done: true, .. }]), "{policy:?}: {other:?}");
        }
    }
    on::<Baseline>();
    on::<Optimized>();
}

fn options(scenarios: &[Kind]) -> Options {
    Options {
        scenarios: scenarios.to_vec(),
        stacks: StackChoice::Both,
        users: 10,
        orders: 20,
        operations: Some(2_000),
        seed: 7,
        difficulty_bits: 4,
        block_transactions: 100,
        block_interval_ms: None,
        rounds: Some(2),
        quick: true,
        attribution: false,
        callgrind: None,
        chain: None,
        durable: None,
    }
}

fn report(options: &Options) -> RunReport {
    let report = run(options, &mut |_| {}, &Arc::default()).expect("a report");
    assert!(report.complete);
    report
}

#[test]
fn settlement_settles() {
    let report = report(&options(&[Kind::Settlement]));
    assert_eq!(report.scenarios.len(), 2);
    for result in &report.scenarios {
        let work = &result.work;
        assert_eq!(work.fills, result.operations, "every operation is a trade");
        assert_eq!(work.orders_accepted, 2 * work.fills);
        assert_eq!(work.transfers, 3 * work.fills, "energy, cost and fee of every trade");
        assert_eq!(work.transactions, 2 * work.fills, "both orders of every trade are in blocks");
        assert!(work.blocks >= work.transactions.div_ceil(100) && work.hashes >= work.blocks);
        assert!(work.fees > 0 && work.energy_wh > 0 && work.tip.len() == 64);
    }
    assert!(report.scenarios[1].operations > report.scenarios[0].operations);
}

#[test]
fn error_rates_are_counted_not_written_down() {
    // Ten accounts often meet themselves, two more often still: the rate must follow.
    let few = report(&Options { users: 2, ..options(&[Kind::Writes]) });
    let many = report(&options(&[Kind::Writes]));
    for result in few.scenarios.iter().chain(&many.scenarios) {
        let refused: u64 = result.rejects.values().sum();
        assert_eq!(result.error_rate, refused as f64 / result.work.commands as f64);
    }
    assert!(few.scenarios[1].error_rate > 2.0 * many.scenarios[1].error_rate);
    assert!(many.scenarios[1].error_rate > 0.0);
    assert!(many.scenarios[1].rejects.contains_key(Reject::SelfTrade.name()));
}

#[test]
fn memory_is_read_or_said_to_be_unavailable() {
    let report = report(&options(&[Kind::Writes]));
    for result in &report.scenarios {
        match &result.resources.peak_rss_mib {
            Reading::Value(mib) => assert!(*mib > 1.0 && cfg!(target_os = "linux")),
            Reading::Unavailable(reason) => assert!(!reason.is_empty()),
        }
    }
}

#[test]
fn throughput_is_timed_over_batches_and_latency_in_a_pass_of_its_own() {
    let report = report(&options(&[Kind::Reads, Kind::Writes]));
    for result in &report.scenarios {
        let latency = result.latency_ns.as_ref().expect("sampled");
        assert!(latency.samples <= result.operations, "one pass, not every round");
        let by_wall = result.operations as f64 / result.resources.wall_seconds;
        let [slowest, fastest] = result.ops_per_second_range;
        assert!((slowest * 0.999..=fastest * 1.001).contains(&by_wall), "{by_wall} {slowest} {fastest}");
    }
}

#[test]
fn the_bottleneck_is_computed_from_shares_that_sum_to_one() {
    let report = report(&options(&[Kind::Settlement]));
    let shares: f64 = report.components.iter().filter_map(|part| part.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    for part in &report.components {
        assert!(part.ops_per_second.is_none_or(|rate| (rate * part.ns_per_operation - 1e9).abs() < 1.0));
        let parts: f64 = part.parts.iter().map(|part| part.ns_per_operation).sum();
        assert!(part.parts.is_empty() || (parts - part.ns_per_operation).abs() < 1e-6, "{part:?}");
    }
    let dearest = report.components.iter().max_by(|a, b| a.share.partial_cmp(&b.share).unwrap()).unwrap();
    assert_eq!(report.components.iter().filter(|part| part.name == "sealing" && part.parts.len() == 4).count(), 1);
    assert!(report.bottleneck.unwrap().starts_with(&dearest.name));
}

#[test]
fn an_unmined_block_is_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    report(&Options { chain: Some(path.clone()), stacks: StackChoice::Optimized, ..options(&[Kind::Settlement]) });
    let mut reader = ChainReader::open(std::fs::File::open(&path).unwrap()).unwrap();
    let params: ChainParams = *reader.params();
    let mut block = reader.next_block().unwrap().unwrap();
    check_block(&block, &Tip::genesis(params), LastTransaction::default()).expect("as sealed");
    // Four bits of work: most other nonces do not have it.
    block.header.nonce = (block.header.nonce + 1..)
        .find(|&nonce| {
            block.header.nonce = nonce;
            block.header.hash()[31] >> 4 != 0
        })
        .unwrap();
    let refused = check_block(&block, &Tip::genesis(params), LastTransaction::default()).unwrap_err();
    assert!(matches!(refused, BlockError::Work { .. }), "{refused}");
}
