//! The challenge's rules over [`Book`]: which reports a message causes.

use crate::abi::{CancelMessage, Kind, ModifyMessage, NewOrderMessage};
use joulebook::optimized::book::{Band, Book, Fill, NewOrder, Placed, Resting, Tag};
use joulebook::optimized::order_ids::OrderIds;
use joulebook::types::{OrderId, Side, Ticks, TimeInForce};

/// Prices that the book takes: signed, 2^21 ticks. (The challenge stays within 0 to 200,000.)
const BAND: Band = Band { min: -(1 << 20), max: (1 << 20) - 1, tick: 1 };

/// Orders for which address space is reserved; half of the challenge's million would do.
const ORDERS: u32 = 1 << 20;

/// Orders that a book is warm for.
const WARM: usize = 1 << 16;

/// Where reports go.
pub trait Outlet {
    /// A report about the message's own order.
    fn about(&mut self, kind: Kind, side: Side, sequence: u64, order: u64, price: i64, quantity: u32);
    /// A fill of the message's order, `taker`; its acknowledgement came before.
    fn trade(&mut self, sequence: u64, maker: u64, taker: u64, price: i64, quantity: u32);
}

/// A book, the ids of its orders, and where to report.
pub struct Matcher<O> {
    book: Book,
    ids: OrderIds,
    pub outlet: O,
}

impl<O: Outlet> Matcher<O> {
    /// An empty book, warm: so many orders have come and gone, so that the first of a day do not wait for fresh memory.
    pub fn new(outlet: O) -> Self {
        let mut book = Book::new(BAND, ORDERS);
        let warm: Vec<u32> = (0..WARM).map(|_| book.insert(Side::Buy, 0, 1, Tag::default())).collect();
        // The slot that was taken first is the first one again.
        warm.into_iter().rev().for_each(|handle| _ = book.remove(handle));
        let mut ids = OrderIds::new();
        ids.warm(WARM);
        Matcher { book, ids, outlet }
    }

    #[inline(always)]
    pub fn new_order(&mut self, message: &NewOrderMessage) {
        let NewOrderMessage { order_id, sequence_number, price_ticks, quantity, side, ioc, .. } = *message;
        let side = self::side(side);
        self.outlet.about(Kind::OrderAck, side, sequence_number, order_id, price_ticks, quantity);
        let time_in_force = if ioc != 0 { TimeInForce::Ioc } else { TimeInForce::Gtc };
        let rests = self.enter(side, order_id, sequence_number, price_ticks, quantity, time_in_force);
        if !rests {
            self.outlet.about(Kind::CancelAck, side, sequence_number, order_id, price_ticks, quantity);
        }
    }

    #[inline(always)]
    pub fn cancel(&mut self, message: &CancelMessage) {
        let CancelMessage { order_id, sequence_number } = *message;
        let Some(order) = self.take(order_id) else {
            return self.outlet.about(Kind::CancelReject, Side::Buy, sequence_number, order_id, 0, 0);
        };
        let price = i64::from(order.price);
        self.outlet.about(Kind::CancelAck, order.side, sequence_number, order_id, price, order.wh);
    }

    #[inline(always)]
    pub fn modify(&mut self, message: &ModifyMessage) {
        let ModifyMessage { order_id, sequence_number, new_price_ticks, new_quantity, .. } = *message;
        let Some(Resting { side, .. }) = self.take(order_id) else {
            return self.outlet.about(Kind::ModifyReject, Side::Buy, sequence_number, order_id, 0, 0);
        };
        self.outlet.about(Kind::ModifyAck, side, sequence_number, order_id, new_price_ticks, new_quantity);
        self.enter(side, order_id, sequence_number, new_price_ticks, new_quantity, TimeInForce::Gtc);
    }

    /// Matches an order and lets the rest of it rest, if it may. Returns whether nothing of it expired.
    #[inline(always)]
    fn enter(
        &mut self,
        side: Side,
        id: u64,
        sequence: u64,
        price: i64,
        quantity: u32,
        time_in_force: TimeInForce,
    ) -> bool {
        let Matcher { book, ids, outlet } = self;
        // A price that no tick of the book has expires unfilled.
        let Ok(limit) = Ticks::try_from(price) else { return false };
        let order = NewOrder { limit: Some(limit), time_in_force, ..NewOrder::new(side, quantity, Tag(id, 0)) };
        let mut on_fill = |fill: &Fill| {
            let maker = fill.maker.tag.0;
            if fill.maker_done() {
                ids.remove(OrderId(maker), fill.maker.handle);
            }
            outlet.trade(sequence, maker, id, i64::from(fill.maker.price), fill.wh);
        };
        match book.place(&order, &mut on_fill) {
            Ok(Placed { rests: Some(handle), .. }) => {
                ids.insert(OrderId(id), handle, book);
                true
            }
            Ok(Placed { filled, .. }) => filled == quantity,
            Err(_) => false,
        }
    }

    #[inline(always)]
    fn take(&mut self, id: u64) -> Option<Resting> {
        self.ids.take(Tag(id, 0), &mut self.book)
    }

    pub fn best(&self, side: Side) -> Option<i64> {
        self.book.best_price(side).map(i64::from)
    }

    pub fn depth_at(&self, price: i64, side: u8) -> u64 {
        let level = Ticks::try_from(price).ok().and_then(|price| self.book.level(self::side(side), price));
        level.map_or(0, |level| level.wh)
    }
}

#[inline(always)]
fn side(side: u8) -> Side {
    if side == 0 { Side::Buy } else { Side::Sell }
}
