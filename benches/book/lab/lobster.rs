//! `lobster` 0.7: an arena of orders, a hash map of ids, levels in two `BTreeMap`s that keep every price ever used.
//!
//! It has no IOC and no replace. IOC is a limit order and, if something is left, a cancel. A replace is a cancel and a
//! limit order, and because it can be asked neither whether an order rests nor on which side, a table of sides is its
//! user's.

use super::contender::{Peer, Room, Tally};
use ::lobster::{FillMetadata, OrderBook, OrderEvent, OrderType};
use joulebook::types::{Side, Ticks, Wh};

pub struct Lobster {
    book: OrderBook,
    /// By id, if it rests.
    sides: Vec<Option<Side>>,
}

impl Lobster {
    fn count(&mut self, fills: &[FillMetadata], tally: &mut Tally) {
        for fill in fills {
            tally.fill(fill.order_2 as u32, fill.order_1 as u32, fill.price as Ticks, fill.qty as Wh);
            if fill.total_fill {
                self.sides[fill.order_2 as usize] = None;
            }
        }
    }
}

fn side_of(side: Side) -> ::lobster::Side {
    match side {
        Side::Buy => ::lobster::Side::Bid,
        Side::Sell => ::lobster::Side::Ask,
    }
}

impl Peer for Lobster {
    fn new(room: Room) -> Self {
        // Ten places per level is its own default.
        Lobster { book: OrderBook::new(room.orders, 10, false), sides: vec![None; room.ids + 1] }
    }

    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally) {
        let (price, qty) = (price as u64, u64::from(wh));
        let event = self.book.execute(OrderType::Limit { id: u128::from(id), side: side_of(side), qty, price });
        let rests = match event {
            OrderEvent::Filled { fills, .. } => {
                self.count(&fills, tally);
                false
            }
            OrderEvent::PartiallyFilled { fills, .. } => {
                self.count(&fills, tally);
                true
            }
            _ => true,
        };
        if rests && ioc {
            self.book.execute(OrderType::Cancel { id: u128::from(id) });
        }
        self.sides[id as usize] = (rests && !ioc).then_some(side);
    }

    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally) {
        let order = OrderType::Market { id: u128::from(id), side: side_of(side), qty: u64::from(wh) };
        if let OrderEvent::Filled { fills, .. } | OrderEvent::PartiallyFilled { fills, .. } = self.book.execute(order) {
            self.count(&fills, tally);
        }
    }

    fn cancel(&mut self, id: u32) {
        self.sides[id as usize] = None;
        self.book.execute(OrderType::Cancel { id: u128::from(id) });
    }

    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally) {
        if let Some(side) = self.sides[id as usize] {
            self.cancel(id);
            self.place(id, side, price, wh, false, tally);
        }
    }

    fn levels(&self) -> Vec<(Side, Ticks, u64)> {
        let depth = self.book.depth(0);
        let sides = [(Side::Buy, depth.bids), (Side::Sell, depth.asks)];
        let of = |(side, levels): (Side, Vec<::lobster::BookLevel>)| {
            levels.into_iter().map(move |level| (side, level.price as Ticks, level.qty))
        };
        sides.into_iter().flat_map(of).collect()
    }
}
