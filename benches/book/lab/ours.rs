//! Our book, and the loop that makes an engine of it.

use super::contender::{Peer, Room, Tally};
use joulebook::engine::LevelView;
use joulebook::optimized::book::Book;
use joulebook::optimized::order_ids::OrderIds;
use joulebook::types::{OrderId, Side, Ticks, Wh};

pub struct Ours {
    /// Orders are marked with their ids.
    book: Book<u32>,
    ids: OrderIds,
}

impl Ours {
    pub fn len(&self) -> usize {
        self.book.len()
    }

    fn find(&self, id: u32) -> Option<u32> {
        self.ids.get(order_id(id), |handle| self.book.get(handle).is_some_and(|order| order.tag == id))
    }

    #[inline(always)]
    fn enter(&mut self, id: u32, side: Side, limit: Ticks, mut wh: Wh, ioc: bool, tally: &mut Tally) {
        while wh > 0
            && let Some(front) = self.book.front(side.opposite())
            && accepts(side, limit, front.price)
        {
            let fill = wh.min(front.wh);
            tally.fill(front.tag, id, front.price, fill);
            if self.book.reduce(front.handle, fill) {
                self.ids.remove(order_id(front.tag), front.handle);
            }
            wh -= fill;
        }
        if wh > 0 && !ioc {
            let handle = self.book.insert(side, limit, wh, id);
            let book = &self.book;
            self.ids.insert(order_id(id), handle, |other| order_id(book.get(other).expect("it rests").tag));
        }
    }
}

fn order_id(id: u32) -> OrderId {
    OrderId(u64::from(id))
}

#[inline(always)]
fn accepts(side: Side, limit: Ticks, price: Ticks) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

impl Peer for Ours {
    fn new(room: Room) -> Self {
        Ours { book: Book::new(room.prices[0], room.prices[1], 1, room.orders), ids: OrderIds::new() }
    }

    #[inline(always)]
    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally) {
        self.enter(id, side, price, wh, ioc, tally);
    }

    #[inline(always)]
    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally) {
        let limit = match side {
            Side::Buy => Ticks::MAX,
            Side::Sell => Ticks::MIN,
        };
        self.enter(id, side, limit, wh, true, tally);
    }

    #[inline(always)]
    fn cancel(&mut self, id: u32) {
        if let Some(handle) = self.find(id) {
            self.book.remove(handle);
            self.ids.remove(order_id(id), handle);
        }
    }

    #[inline(always)]
    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally) {
        if let Some(handle) = self.find(id) {
            let side = self.book.remove(handle).side;
            self.ids.remove(order_id(id), handle);
            self.enter(id, side, price, wh, false, tally);
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
