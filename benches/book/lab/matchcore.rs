//! `matchcore` 0.4: hash map of orders, levels in two `BTreeMap`s, queues with marks of those who left. It gives ids
//! itself, the sequences of its commands, so the tables from our ids and back are the user's: two vectors.

use super::contender::{Peer, Room, Tally};
use ::matchcore::{
    AmendCmd, AmendPatch, CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder,
    LimitOrderPatch, MarketOrder, NewOrder, OrderBook, OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy,
    SequenceNumber, SubmitCmd, TimeInForce, Timestamp,
};
use joulebook::types::{Side, Ticks, Wh};

pub struct MatchCore {
    book: OrderBook,
    /// By our id; an id that was never used is that of a command in the far future.
    theirs: Vec<OrderId>,
    /// By sequence.
    ours: Vec<u32>,
}

impl MatchCore {
    #[inline]
    fn execute(&mut self, id: u32, kind: CommandKind, tally: &mut Tally) {
        let sequence_number = SequenceNumber(self.ours.len() as u64);
        self.ours.push(id);
        let command = Command { meta: CommandMeta { sequence_number, timestamp: Timestamp(0) }, kind };
        let CommandOutcome::Applied(CommandReport::Submit(effects) | CommandReport::Amend(effects)) =
            self.book.execute(&command)
        else {
            return;
        };
        for trade in effects.target_order().match_result().map_or(&[][..], |result| result.trades()) {
            let maker = self.ours[trade.maker_order_id().0 as usize];
            tally.fill(maker, id, trade.price().0 as Ticks, trade.quantity().0 as Wh);
        }
    }

    #[inline]
    fn submit(&mut self, id: u32, order: NewOrder, tally: &mut Tally) {
        self.theirs[id as usize] = OrderId(self.ours.len() as u64);
        self.execute(id, CommandKind::Submit(SubmitCmd { order }), tally);
    }
}

fn side_of(side: Side) -> ::matchcore::Side {
    match side {
        Side::Buy => ::matchcore::Side::Buy,
        Side::Sell => ::matchcore::Side::Sell,
    }
}

fn all_of(wh: Wh) -> QuantityPolicy {
    QuantityPolicy::Standard { quantity: Quantity(u64::from(wh)) }
}

impl Peer for MatchCore {
    fn new(room: Room) -> Self {
        MatchCore {
            book: OrderBook::new("ENERGY"),
            theirs: vec![OrderId(u64::MAX); room.ids + 1],
            ours: Vec::with_capacity(room.commands),
        }
    }

    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally) {
        let until = if ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
        let flags = OrderFlags::new(side_of(side), false, until);
        self.submit(id, NewOrder::Limit(LimitOrder::new(Price(price as u64), all_of(wh), flags)), tally);
    }

    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally) {
        self.submit(id, NewOrder::Market(MarketOrder::new(Quantity(u64::from(wh)), side_of(side), false)), tally);
    }

    fn cancel(&mut self, id: u32) {
        let cancel = CancelCmd { order_id: self.theirs[id as usize], order_kind: OrderKind::Limit };
        self.execute(id, CommandKind::Cancel(cancel), &mut Tally::default());
    }

    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally) {
        let patch = LimitOrderPatch::new().with_price(Price(price as u64)).with_quantity_policy(all_of(wh));
        let amend = AmendCmd { order_id: self.theirs[id as usize], patch: AmendPatch::Limit(patch) };
        self.execute(id, CommandKind::Amend(amend), tally);
    }

    fn levels(&self) -> Vec<(Side, Ticks, u64)> {
        let limit = self.book.limit();
        let sides = [(Side::Buy, limit.bids()), (Side::Sell, limit.asks())];
        let level =
            |side, price: &Price, level: &usize| (side, price.0 as Ticks, limit.levels()[*level].total_quantity().0);
        sides.iter().flat_map(|&(side, levels)| levels.iter().map(move |(price, at)| level(side, price, at))).collect()
    }
}
