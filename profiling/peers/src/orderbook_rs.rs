//! `orderbook-rs` 0.15: a book that many threads may share, with skip lists, a concurrent hash map and locks. Here, one
//! does.
//!
//! What a replace fills is told to a listener only, and a listener costs every order something: a cancel and a new
//! order, whose fills are returned, are the same here.

use crate::lab::contender::{Peer, Room, Tally};
use ::orderbook_rs::{Id, OrderBook, OrderType, StubClock, TimeInForce};
use joulebook::types::{Side, Ticks, Wh};
use pricelevel::{Hash32, MatchResult, Price, Quantity, TimestampMs};
use std::sync::Arc;

pub struct OrderBookRs(OrderBook<()>);

fn side_of(side: Side) -> ::orderbook_rs::Side {
    match side {
        Side::Buy => ::orderbook_rs::Side::Buy,
        Side::Sell => ::orderbook_rs::Side::Sell,
    }
}

fn count(result: &MatchResult, taker: u32, tally: &mut Tally) {
    for trade in result.trades().as_vec() {
        let maker = trade.maker_order_id().as_u64().expect("ids are numbers");
        tally.fill(maker as u32, taker, trade.price().as_u128() as Ticks, trade.quantity().as_u64() as Wh);
    }
}

impl Peer for OrderBookRs {
    fn new(_: Room) -> Self {
        // Its clock that counts instead of asking the system. Nothing can be reserved.
        OrderBookRs(OrderBook::with_clock("ENERGY", Arc::new(StubClock::new())))
    }

    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally) {
        let order = OrderType::Standard {
            id: Id::sequential(u64::from(id)),
            price: Price::new(price as u128),
            quantity: Quantity::new(u64::from(wh)),
            side: side_of(side),
            user_id: Hash32::zero(),
            timestamp: TimestampMs::new(0),
            time_in_force: if ioc { TimeInForce::Ioc } else { TimeInForce::Gtc },
            extra_fields: (),
        };
        match self.0.add_order_with_committed(order) {
            Ok((_, Some(trades))) => count(&trades.match_result, id, tally),
            // An IOC order that is not filled as a whole.
            Err(failure) => {
                if let Some(trades) = failure.committed {
                    count(&trades.match_result, id, tally);
                }
            }
            Ok((_, None)) => {}
        }
    }

    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally) {
        let id_there = Id::sequential(u64::from(id));
        if let Ok(result) = self.0.submit_market_order(id_there, u64::from(wh), side_of(side)) {
            count(&result, id, tally);
        }
    }

    fn cancel(&mut self, id: u32) {
        self.0.cancel_order(Id::sequential(u64::from(id))).expect("a cancel cannot fail");
    }

    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally) {
        let cancelled = self.0.cancel_order(Id::sequential(u64::from(id))).expect("a cancel cannot fail");
        if let Some(order) = cancelled {
            let side = if order.side() == ::orderbook_rs::Side::Buy { Side::Buy } else { Side::Sell };
            self.place(id, side, price, wh, false, tally);
        }
    }

    fn levels(&self) -> Vec<(Side, Ticks, u64)> {
        let (bids, asks) = self.0.get_volume_by_price().expect("no level is broken");
        let of = |(side, levels): (Side, std::collections::HashMap<u128, u64>)| {
            levels.into_iter().map(move |(price, wh)| (side, price as Ticks, wh))
        };
        [(Side::Buy, bids), (Side::Sell, asks)].into_iter().flat_map(of).collect()
    }
}
