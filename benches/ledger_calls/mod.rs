//! What a ledger is asked while a market plays a stream, so that balances can be measured without a market.

use joulebook::command::Command;
use joulebook::engine::{Escrow, Ledger, Settlement, escrow_of};
use joulebook::event::{Event, EventLog};
use joulebook::types::{AccountId, Side, Token, cost};
use joulebook::workload::Stream;
use std::collections::HashMap;

/// What the ledger is asked, in the order in which a market asks it.
pub enum Call {
    /// What an order holds at a price that is not negative.
    Lock(Token, AccountId, u64),
    /// What it holds at any other.
    Escrow(AccountId, Escrow),
    /// A fill.
    Settle(Settlement),
}

/// An order as far as its escrow goes.
struct Held {
    account: AccountId,
    side: Side,
    limit: i32,
    wh: u32,
}

/// The calls that the commands of a stream of limit orders make, from the events of its setup and of its commands; those of the
/// setup are left out.
pub fn calls(stream: &Stream, setup: &EventLog, log: &EventLog) -> Vec<Call> {
    let fee_ppm = stream.rules.fee_ppm;
    let mut orders: HashMap<u64, Held> = HashMap::new();
    let mut calls = Vec::new();
    let all = stream.setup.iter().zip(setup.outcomes());
    let all = all.chain(stream.commands.iter().zip(log.outcomes()));
    for (sequence, (command, events)) in (1..).zip(all) {
        let Command::Place(order) = command else { continue };
        if let [Event::Rejected { .. }] = events {
            continue;
        }
        let limit = order.limit.expect("the stream has limit orders");
        let escrow = escrow_of(order.side, order.wh, limit, fee_ppm);
        let call = match order.side {
            _ if limit < 0 => Call::Escrow(order.account, escrow),
            Side::Buy => Call::Lock(Token::Watt, order.account, escrow.watt),
            Side::Sell => Call::Lock(Token::Energy, order.account, escrow.energy),
        };
        calls.push((sequence, call));
        orders.insert(sequence, Held { account: order.account, side: order.side, limit, wh: order.wh });
        for event in events {
            let &Event::Fill { maker, price, wh, fee, .. } = event else { continue };
            let mut release = |id: u64| {
                let held = orders.get_mut(&id).expect("what is filled was placed");
                let old = escrow_of(held.side, held.wh, held.limit, fee_ppm);
                held.wh -= wh;
                let new = escrow_of(held.side, held.wh, held.limit, fee_ppm);
                (held.side, held.account, Escrow { watt: old.watt - new.watt, energy: old.energy - new.energy })
            };
            let (taken, given) = (release(sequence), release(maker.0));
            let (buyer, seller) = if taken.0 == Side::Buy { (taken, given) } else { (given, taken) };
            let cost = cost(wh, price);
            let (buyer_release, seller_release) = (buyer.2, seller.2);
            let (buyer, seller) = (buyer.1, seller.1);
            let settlement = Settlement { buyer, seller, wh, cost, fee, buyer_release, seller_release };
            calls.push((sequence, Call::Settle(settlement)));
        }
    }
    let first = 1 + stream.setup.len() as u64;
    calls.into_iter().filter(|(sequence, _)| *sequence >= first).map(|(_, call)| call).collect()
}

/// Makes them.
///
/// # Panics
/// If the ledger lacks what the engine's ledger had.
pub fn carry_out(ledger: &mut impl Ledger, calls: &[Call]) {
    for call in calls {
        match call {
            Call::Lock(token, account, amount) => {
                ledger.lock(*token, *account, *amount).expect("the engine had it too");
            }
            Call::Escrow(account, new) => {
                ledger.escrow(*account, Escrow::default(), *new).expect("the engine had it too");
            }
            Call::Settle(settlement) => ledger.settle(settlement),
        }
    }
}
