//! The order book: price-time priority. It stands alone: it knows handles, sides, ticks and quantities; what an order means
//! to its owner is an opaque [`Tag`], and who hears of its fills is a [`Sink`] that costs nothing.
//!
//! ```text
//! side --best--> key --ladder--> level <--> order <--> order <--> ... back to the level
//! ```
//!
//! A *key* is the price counted from the best possible one: from the top of the band for bids, from its bottom for asks.
//! So the smallest key is the best price on both sides, and both run the same code.
//!
//! ```
//! use joulebook::optimized::book::{Band, Book, Fill, NewOrder, Tag};
//! use joulebook::types::{Side, TimeInForce};
//!
//! // Limit prices from -500 to 4,000 ticks, at most 1,000 orders.
//! let mut book = Book::new(Band { min: -500, max: 4_000, tick: 1 }, 1_000);
//! let mut fills = Vec::new();
//! let ask = NewOrder { limit: Some(20), ..NewOrder::new(Side::Sell, 300, Tag(1, 0)) };
//! let placed = book.place(&ask, &mut |fill: &Fill| fills.push(*fill)).unwrap();
//! assert_eq!(book.best_price(Side::Sell), Some(20));
//!
//! // A market order for more than there is: what is left of it is not kept.
//! let buy = NewOrder { time_in_force: TimeInForce::Ioc, ..NewOrder::new(Side::Buy, 500, Tag(2, 0)) };
//! let bought = book.place(&buy, &mut |fill: &Fill| fills.push(*fill)).unwrap();
//! assert_eq!((bought.filled, bought.rests), (300, None));
//! assert_eq!((fills[0].maker.tag, fills[0].maker.price, fills[0].wh), (Tag(1, 0), 20, 300));
//! assert_eq!(book.cancel(placed.rests.unwrap()), None, "it is filled");
//! ```

mod arena;
mod ladder;
mod terms;
mod top;

use crate::engine::LevelView;
use crate::types::{Side, Ticks, TimeInForce, Wh};
use arena::{Arena, Order};
use ladder::{Ladder, NONE};
use std::hint::select_unpredictable;
use std::ops::ControlFlow;
use top::Touched;

pub use arena::Tag;
pub use terms::{Band, Fill, Maker, Meeting, NewOrder, Placed, Refused, Resting, Sink};

/// Leaves of a side's ladder up to which the empty ones keep their places: enough for a band in which prices come and go (68 KiB),
/// and where there are many books (3 KiB).
const LEAVES_KEPT: usize = 256;
const SPARSE_LEAVES_KEPT: usize = 12;

/// An order book over a band of prices. A `WATCHED` one remembers where its levels change, for [`Book::refresh_top`]; whoever does not read
/// the top after every batch need not pay for that.
#[derive(Clone, Debug)]
pub struct Book<const WATCHED: bool = false> {
    arena: Arena,
    ladders: [Ladder; 2],
    /// Smallest key with orders by side; [`NONE`] if there are none.
    best: [u32; 2],
    /// Where something changed since [`Book::refresh_top`], if that is [`WATCHED`](Self).
    touched: [Touched; 2],
    band: Band,
    /// Largest key of the band.
    last_key: u32,
    orders_max: u32,
}

impl Book {
    /// Most steps of a [`Band`].
    pub const STEPS_MAX: u32 = Ladder::KEYS_MAX;

    /// An empty book with address space for `orders_max` orders (memory that is not used is not touched): for one large book.
    ///
    /// # Panics
    /// If the band is empty, off its tick, or has more than [`STEPS_MAX`](Self::STEPS_MAX) steps.
    pub fn new(band: Band, orders_max: u32) -> Self {
        Self::with(Arena::new(orders_max as usize), LEAVES_KEPT, band, orders_max)
    }

    /// An empty book that takes memory as its orders come: one of many.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn sparse(band: Band, orders_max: u32) -> Self {
        Self::with(Arena::new(0), SPARSE_LEAVES_KEPT, band, orders_max)
    }
}

impl Book<true> {
    /// As [`Book::new`], with a top that is cheap to read again and again.
    ///
    /// # Panics
    /// As [`Book::new`].
    pub fn watched(band: Band, orders_max: u32) -> Self {
        Self::with(Arena::new(orders_max as usize), LEAVES_KEPT, band, orders_max)
    }
}

impl<const WATCHED: bool> Book<WATCHED> {
    fn with(arena: Arena, leaves_kept: usize, band: Band, orders_max: u32) -> Self {
        let Band { min, max, tick } = band;
        assert!(tick >= 1 && min <= max, "an empty price band: {band:?}");
        let distance = max.wrapping_sub(min) as u32;
        assert!(distance.is_multiple_of(tick as u32), "the ends of a price band lie whole ticks apart: {band:?}");
        let last_key = distance / tick as u32;
        assert!(last_key < Ladder::KEYS_MAX, "{band:?} is wider than {} ticks", Ladder::KEYS_MAX);
        Book {
            arena,
            ladders: [Ladder::new(leaves_kept), Ladder::new(leaves_kept)],
            best: [NONE; 2],
            touched: [Touched::NOTHING; 2],
            band,
            last_key,
            orders_max,
        }
    }

    /// Number of resting orders.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.arena.orders() as usize
    }

    /// Whether nothing rests here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    fn key(&self, side: Side, price: Ticks) -> u32 {
        debug_assert!(self.find_key(side, price).is_ok(), "{price} in {:?}", self.band);
        self.mirrored(side, self.steps(price))
    }

    /// Steps from the bottom of the band; anything for a price that is not in it.
    #[inline(always)]
    fn steps(&self, price: Ticks) -> u32 {
        // Differences in u32 arithmetic: a band may be wider than an i32.
        let from_min = price.wrapping_sub(self.band.min) as u32;
        if self.band.tick == 1 { from_min } else { from_min / self.band.tick as u32 }
    }

    #[inline(always)]
    fn price(&self, side: Side, key: u32) -> Ticks {
        self.band.min.wrapping_add((self.mirrored(side, key) * self.band.tick as u32) as i32)
    }

    /// Counts from the other end of the band for bids. Its own inverse.
    #[inline(always)]
    fn mirrored(&self, side: Side, steps: u32) -> u32 {
        if side == Side::Buy { self.last_key - steps } else { steps }
    }

    /// The worst key of the other side at which an order trades.
    #[inline(always)]
    fn limit_key(&self, side: Side, limit: Option<Ticks>) -> u32 {
        self.limit_of(limit.map(|price| self.key(side, price)))
    }

    /// The same from the key of the limit.
    #[inline(always)]
    fn limit_of(&self, key: Option<u32>) -> u32 {
        self.last_key - key.unwrap_or(0)
    }

    /// The best price of a side.
    #[inline(always)]
    pub fn best_price(&self, side: Side) -> Option<Ticks> {
        let best = self.best[side as usize];
        (best != NONE).then(|| self.price(side, best))
    }

    /// Whether an order with this limit (`None`: any price) would trade at once. A limit must be in the band and on the tick,
    /// here and below.
    #[inline(always)]
    pub fn crosses(&self, side: Side, limit: Option<Ticks>) -> bool {
        self.best[side.opposite() as usize] <= self.limit_key(side, limit)
    }

    /// Places an order: fills what trades, lets the rest rest or expire. It expires, too, where the sink says stop, because it
    /// would cross the book. A fill-or-kill order counts on every maker: a sink that does not trade with all of them can leave
    /// it filled in part.
    ///
    /// # Errors
    /// Says why the order is refused.
    #[inline(always)]
    pub fn place(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Result<Placed, Refused> {
        let key = self.check(order)?;
        let NewOrder { side, limit, wh, time_in_force, tag, .. } = *order;
        if time_in_force == TimeInForce::Fok && !self.can_fill(side, limit, wh) {
            return Err(Refused::NotFillable);
        }
        let (left, stopped) = self.trade(side, self.limit_of(key), wh, sink);
        // Only a limit order may be GTC.
        let rests = match key {
            Some(key) if left > 0 && !stopped && time_in_force == TimeInForce::Gtc => {
                Some(self.insert_at(side, key, left, tag))
            }
            _ => None,
        };
        Ok(Placed { filled: wh - left, rests })
    }

    /// Returns the key of its limit.
    #[inline(always)]
    fn check(&self, order: &NewOrder) -> Result<Option<u32>, Refused> {
        let NewOrder { side, limit, wh, time_in_force, post_only, .. } = *order;
        if wh == 0 {
            return Err(Refused::ZeroQuantity);
        }
        let key = limit.map(|limit| self.find_key(side, limit)).transpose()?;
        if limit.is_none() && time_in_force != TimeInForce::Ioc || post_only && time_in_force != TimeInForce::Gtc {
            return Err(Refused::ConflictingTerms);
        }
        if self.arena.orders() >= self.orders_max && time_in_force == TimeInForce::Gtc {
            return Err(Refused::Full);
        }
        if post_only && self.crosses(side, limit) {
            return Err(Refused::WouldTrade);
        }
        Ok(key)
    }

    /// The key of a price that may be none of the book's.
    #[inline(always)]
    fn find_key(&self, side: Side, price: Ticks) -> Result<u32, Refused> {
        let Band { min, max, tick } = self.band;
        if price < min || price > max {
            return Err(Refused::OutOfBand);
        }
        let from_min = price.wrapping_sub(min) as u32;
        if tick == 1 {
            return Ok(self.mirrored(side, from_min));
        }
        let steps = from_min / tick as u32;
        if steps * tick as u32 != from_min {
            return Err(Refused::OffTick);
        }
        Ok(self.mirrored(side, steps))
    }

    /// Takes an order out of the book; `None` if no order has this handle. Handles are used again: who keeps them for longer
    /// than their orders live should look at the tag, too ([`take`](Self::take)).
    #[inline(always)]
    pub fn cancel(&mut self, handle: u32) -> Option<Resting> {
        self.take_order(handle, None)
    }

    /// As [`cancel`](Self::cancel), if this is the order's tag; `None` otherwise.
    #[inline(always)]
    pub fn take(&mut self, handle: u32, tag: Tag) -> Option<Resting> {
        self.take_order(handle, Some(tag))
    }

    #[inline(always)]
    fn take_order(&mut self, handle: u32, tag: Option<Tag>) -> Option<Resting> {
        let (order, level_gone) = self.arena.take_order(handle, tag)?;
        let (side, key) = (side_of(order.place), order.place / 2);
        self.touch(side, key);
        if level_gone {
            let ladder = &mut self.ladders[side as usize];
            let first = ladder.remove(key);
            let best = &mut self.best[side as usize];
            *best = if key == *best { first } else { *best };
        }
        Some(self.resting(order))
    }

    /// Changes the limit and the quantity left of an order. A pure decrease keeps its priority and its handle; otherwise it
    /// is placed anew, with the same tag, and may trade. `None` if no order has this handle.
    ///
    /// # Errors
    /// Says why the new terms are refused; the order then stays as it was.
    pub fn replace(
        &mut self,
        handle: u32,
        price: Ticks,
        wh: Wh,
        sink: &mut impl Sink,
    ) -> Result<Option<Placed>, Refused> {
        let Some(old) = self.get(handle) else { return Ok(None) };
        if wh == 0 {
            return Err(Refused::ZeroQuantity);
        }
        let key = self.find_key(old.side, price)?;
        if price == old.price && wh <= old.wh {
            self.reduce(handle, old.wh - wh);
            return Ok(Some(Placed { filled: 0, rests: Some(handle) }));
        }
        self.remove(handle);
        let (left, stopped) = self.trade(old.side, self.limit_of(Some(key)), wh, sink);
        let rests = (left > 0 && !stopped).then(|| self.insert_at(old.side, key, left, old.tag));
        Ok(Some(Placed { filled: wh - left, rests }))
    }

    /// Matches an order without letting it rest. Returns what is left of it.
    #[inline(always)]
    pub fn execute(&mut self, side: Side, limit: Option<Ticks>, wh: Wh, sink: &mut impl Sink) -> Wh {
        self.trade(side, self.limit_key(side, limit), wh, sink).0
    }

    /// `limit` is a key of the other side. Returns what is left, and whether the sink said stop.
    #[inline(always)]
    fn trade(&mut self, side: Side, limit: u32, mut wh: Wh, sink: &mut impl Sink) -> (Wh, bool) {
        let makers = side.opposite();
        let mut rung = match self.best[makers as usize] {
            best if best <= limit && wh > 0 => self.ladders[makers as usize].rung(best),
            _ => return (wh, false),
        };
        loop {
            let price = self.price(makers, rung.key);
            let mut front = self.arena.front(self.ladders[makers as usize].at(rung));
            let mut stopped = false;
            loop {
                let maker = front.maker(&self.arena, price);
                match sink.meet(wh, &maker) {
                    Meeting::Trade => {
                        let cut = wh.min(maker.wh);
                        wh -= cut;
                        front.take(&mut self.arena, cut, cut == maker.wh);
                        sink.fill(&Fill { maker, wh: cut, taker_left: wh });
                    }
                    Meeting::Stop => stopped = true,
                    meeting => {
                        front.take(&mut self.arena, maker.wh, true);
                        sink.cancelled(&maker);
                        stopped = meeting == Meeting::CancelMakerAndStop;
                    }
                }
                if wh == 0 || stopped || front.is_end() {
                    break;
                }
            }
            self.touch(makers, rung.key);
            if !front.close(&mut self.arena) {
                return (wh, stopped);
            }
            rung = self.ladders[makers as usize].remove_first(rung);
            self.best[makers as usize] = rung.key;
            if wh == 0 || stopped || rung.key > limit {
                return (wh, stopped);
            }
        }
    }

    #[inline(always)]
    fn front_at(&self, side: Side, key: u32) -> Maker {
        let handle = self.arena.first(self.ladders[side as usize].get(key));
        let Order { tag, wh, .. } = self.arena.order(handle).expect("a level has orders");
        Maker { handle, price: self.price(side, key), wh, tag }
    }

    /// The order that trades next.
    #[inline(always)]
    pub fn front(&self, side: Side) -> Option<Maker> {
        let best = self.best[side as usize];
        (best != NONE).then(|| self.front_at(side, best))
    }

    /// Whether so much rests within a limit. Looks at levels, not at orders.
    pub fn can_fill(&self, side: Side, limit: Option<Ticks>, wh: Wh) -> bool {
        let (makers, limit) = (side.opposite(), self.limit_key(side, limit));
        let ladder = &self.ladders[makers as usize];
        let mut key = self.best[makers as usize];
        let mut missing = u64::from(wh);
        while key <= limit {
            let there = self.arena.level(ladder.get(key)).wh;
            if there >= missing {
                return true;
            }
            missing -= there;
            key = ladder.next_after(key);
        }
        missing == 0
    }

    /// An order by its handle.
    #[inline(always)]
    pub fn get(&self, handle: u32) -> Option<Resting> {
        self.arena.order(handle).map(|order| self.resting(order))
    }

    #[inline(always)]
    fn resting(&self, Order { tag, wh, place }: Order) -> Resting {
        let side = side_of(place);
        Resting { tag, wh, side, price: self.price(side, place / 2) }
    }

    /// The mark on an order.
    #[inline(always)]
    pub fn tag(&self, handle: u32) -> Option<Tag> {
        self.arena.order(handle).map(|order| order.tag)
    }

    /// The marks of all orders, in order of their handles. Handles that are nobody's may be among them, with any mark.
    pub fn tags(&self) -> impl Iterator<Item = (u32, Tag)> {
        self.arena.tags()
    }

    /// The handles of the orders at the best price of a side, oldest first.
    #[inline(always)]
    pub fn front_handles(&self, side: Side) -> impl Iterator<Item = u32> {
        let best = self.best[side as usize];
        let level = (best != NONE).then(|| self.ladders[side as usize].get(best));
        level.map(|level| self.arena.handles(level)).into_iter().flatten()
    }

    /// Asks for the memory of an order that will be needed soon. Any number will do.
    #[inline(always)]
    pub fn prefetch(&self, handle: u32) {
        self.arena.prefetch(handle);
    }

    /// A number for where an order with this limit would stand. Any limit will do.
    #[inline(always)]
    pub fn place_hint(&self, side: Side, price: Ticks) -> u32 {
        let steps = self.steps(price).min(self.last_key);
        select_unpredictable(side == Side::Buy, self.last_key - steps, steps) * 2 + side as u32
    }

    /// The handle of the level that probably is at a [place](Self::place_hint); of anything if there is none.
    #[inline(always)]
    pub fn level_hint(&self, place: u32) -> u32 {
        self.ladders[side_of(place) as usize].get(place / 2)
    }

    /// Asks for what taking an order out, or putting one at the end of a level, will touch beside it. Any number will do.
    #[inline(always)]
    pub fn prefetch_neighbours(&self, handle: u32) {
        self.arena.prefetch_neighbours(handle);
    }

    /// Asks for what leads to the best prices and to the next free slots: for a book that is about to be used again.
    #[inline(always)]
    pub fn prefetch_front(&self) {
        for (ladder, best) in self.ladders.iter().zip(self.best) {
            ladder.prefetch_way(best);
        }
        self.arena.prefetch_stacks();
    }

    /// Asks for the next free slots. What leads to them should be there already.
    #[inline(always)]
    pub fn prefetch_free(&self) {
        self.arena.prefetch_free();
    }

    /// Asks for the memory of a price at which an order may come to rest soon. Any price will do.
    #[inline(always)]
    pub fn prefetch_price(&self, side: Side, price: Ticks) {
        self.ladders[side as usize].prefetch(self.place_hint(side, price) / 2);
    }

    /// Puts an order behind all others of its price, whatever rests on the other side, and returns its handle, which stays
    /// valid until it is removed. What [`place`](Self::place) refuses is for the caller to look at: a quantity of zero, a price
    /// off the tick, a full book.
    ///
    /// # Panics
    /// If the price lies outside the band.
    #[inline(always)]
    pub fn insert(&mut self, side: Side, price: Ticks, wh: Wh, tag: Tag) -> u32 {
        debug_assert!(wh > 0, "an order for nothing");
        let key = self.key(side, price);
        assert!(key <= self.last_key, "a price of {price} ticks lies outside {:?}", self.band);
        self.insert_at(side, key, wh, tag)
    }

    #[inline(always)]
    fn insert_at(&mut self, side: Side, key: u32, wh: Wh, tag: Tag) -> u32 {
        let (slot, spare) = self.arena.next_two();
        let level = self.ladders[side as usize].get_or_insert(key, spare);
        self.arena.push_order(slot, level, Order { tag, wh, place: key * 2 + side as u32 });
        self.best[side as usize] = self.best[side as usize].min(key);
        self.touch(side, key);
        slot
    }

    /// Takes energy off an order; it keeps its priority, and leaves the book when nothing is left. Returns whether it left.
    ///
    /// # Panics
    /// If there is no such order, or not so much left of it.
    #[inline(always)]
    pub fn reduce(&mut self, handle: u32, wh: Wh) -> bool {
        let left = self.arena.order(handle).expect("an order has this handle").wh;
        assert!(wh <= left, "{wh} Wh of an order that has {left} Wh left");
        if wh == left {
            self.remove(handle);
            return true;
        }
        self.cut(handle, wh);
        false
    }

    #[inline(always)]
    fn cut(&mut self, handle: u32, wh: Wh) {
        let place = self.arena.reduce(handle, wh);
        self.touch(side_of(place), place / 2);
    }

    /// Takes an order out of the book.
    ///
    /// # Panics
    /// If there is no such order.
    #[inline(always)]
    pub fn remove(&mut self, handle: u32) -> Resting {
        self.cancel(handle).expect("an order has this handle")
    }

    #[inline(always)]
    fn touch(&mut self, side: Side, key: u32) {
        if WATCHED {
            self.touched[side as usize].add(key);
        }
    }

    /// Shows the orders of a side in price-time priority until `see` breaks.
    pub fn walk(&self, side: Side, mut see: impl FnMut(Ticks, Resting) -> ControlFlow<()>) {
        let ladder = &self.ladders[side as usize];
        let mut key = self.best[side as usize];
        while key != NONE {
            let price = self.price(side, key);
            for handle in self.arena.handles(ladder.get(key)) {
                let order = self.get(handle).expect("a level's orders rest");
                if see(price, order).is_break() {
                    return;
                }
            }
            key = ladder.next_after(key);
        }
    }

    /// Writes the best levels of a side to `out`, best first, and returns how many there were. Looks at levels, not at orders.
    pub fn depth(&self, side: Side, out: &mut [LevelView]) -> usize {
        let ladder = &self.ladders[side as usize];
        let mut key = self.best[side as usize];
        for (count, view) in out.iter_mut().enumerate() {
            if key == NONE {
                return count;
            }
            *view = self.level_view(side, key, ladder.get(key));
            key = ladder.next_after(key);
        }
        out.len()
    }

    /// What rests at one price, if anything does.
    pub fn level(&self, side: Side, price: Ticks) -> Option<LevelView> {
        let key = self.find_key(side, price).ok()?;
        self.ladders[side as usize].find(key).map(|level| self.level_view(side, key, level))
    }

    #[inline(always)]
    fn level_view(&self, side: Side, key: u32, level: u32) -> LevelView {
        let level = self.arena.level(level);
        LevelView { price: self.price(side, key), orders: level.orders, wh: level.wh }
    }

    /// Bytes in use: what is allocated, less address space that was never touched.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.arena.memory() + self.ladders.iter().map(Ladder::memory).sum::<usize>()
    }

    /// Panics unless the book is whole: sums of levels, order of arrival, ladders that lead to all levels and no others, best
    /// prices. For tests; looks at everything.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        self.ladders.iter().for_each(Ladder::check);
        let mut best = [NONE; 2];
        let mut levels = 0;
        for (place, level) in self.arena.check() {
            let (side, key) = (side_of(place), place / 2);
            assert_eq!(self.ladders[side as usize].find(key), Some(level), "{side:?} level of key {key}");
            best[side as usize] = best[side as usize].min(key);
            levels += 1;
        }
        assert_eq!(self.best, best);
        for (ladder, mut key) in self.ladders.iter().zip(best) {
            while key != NONE {
                levels -= 1;
                key = ladder.next_after(key);
            }
        }
        assert_eq!(levels, 0, "a ladder leads to a level that is not there");
    }
}

#[inline(always)]
fn side_of(place: u32) -> Side {
    if place & 1 == Side::Buy as u32 { Side::Buy } else { Side::Sell }
}
