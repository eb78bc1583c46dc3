//! Our book, and the table of ids that makes an engine of it.

use super::contender::{Peer, Room, Tally};
use joulebook::engine::LevelView;
use joulebook::optimized::book::{Band, Book, Fill, NewOrder, Resting, Tag};
use joulebook::optimized::order_ids::OrderIds;
use joulebook::types::{OrderId, Side, Ticks, TimeInForce, Wh};

pub struct Ours {
    /// Orders are marked with their ids.
    book: Book,
    ids: OrderIds,
}

impl Ours {
    pub fn len(&self) -> usize {
        self.book.len()
    }

    #[inline(always)]
    fn take(&mut self, id: u32) -> Option<Resting> {
        self.ids.take(Tag(u64::from(id), 0), &mut self.book)
    }

    #[inline(always)]
    fn enter(&mut self, id: u32, side: Side, limit: Option<Ticks>, wh: Wh, ioc: bool, tally: &mut Tally) {
        let Ours { book, ids } = self;
        let time_in_force = if ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
        let order = NewOrder { limit, time_in_force, ..NewOrder::new(side, wh, Tag(u64::from(id), 0)) };
        let mut on_fill = |fill: &Fill| {
            let maker = fill.maker.tag.0;
            tally.fill(maker as u32, id, fill.maker.price, fill.wh);
            if fill.maker_done() {
                ids.remove(OrderId(maker), fill.maker.handle);
            }
        };
        let placed = book.place(&order, &mut on_fill).expect("an order that the book takes");
        if let Some(handle) = placed.rests {
            ids.insert(order_id(id), handle, book);
        }
    }
}

fn order_id(id: u32) -> OrderId {
    OrderId(u64::from(id))
}

impl Peer for Ours {
    fn new(room: Room) -> Self {
        let [min, max] = room.prices;
        Ours { book: Book::new(Band { min, max, tick: 1 }, room.orders as u32), ids: OrderIds::new() }
    }

    #[inline(always)]
    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally) {
        self.enter(id, side, Some(price), wh, ioc, tally);
    }

    #[inline(always)]
    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally) {
        self.enter(id, side, None, wh, true, tally);
    }

    #[inline(always)]
    fn cancel(&mut self, id: u32) {
        self.take(id);
    }

    #[inline(always)]
    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally) {
        if let Some(Resting { side, .. }) = self.take(id) {
            self.enter(id, side, Some(price), wh, false, tally);
        }
    }

    fn levels(&self) -> Vec<(Side, Ticks, u64)> {
        let mut levels = Vec::new();
        for side in Side::BOTH {
            let mut views = vec![LevelView::default(); self.book.len()];
            let count = self.book.depth(side, &mut views);
            levels.extend(views[..count].iter().map(|level| (side, level.price, level.wh)));
        }
        levels
    }
}
