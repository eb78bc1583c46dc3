//! The order book: price-time priority over an arena of orders. It knows handles, sides, ticks and quantities; what an
//! order means to its owner is an opaque `tag`.
//!
//! ```text
//! side --best--> key --level_of--> level { handle, handle, ... } --> orders[handle] { key, wh, place, side, tag }
//!                 ^ bitmap: next best key
//! ```
//!
//! A *key* is the price counted from the best possible one: from the top of the band for bids, from its bottom for asks.
//! So the smallest key is the best price on both sides, and both run the same code.

use super::bitmap::Bitmap;
use super::level::Level;
use super::prefetch::prefetch_address;
use crate::engine::LevelView;
use crate::types::{Side, Ticks, Wh};
use slab::Slab;
use std::ops::ControlFlow;

/// No level at this key yet.
const NONE: u32 = u32::MAX;

/// A resting order.
#[derive(Clone, Copy, Debug)]
pub struct Resting<T> {
    /// The owner's mark.
    pub tag: T,
    /// What is left of it.
    pub wh: Wh,
    key: u32,
    place: u32,
    /// Which side it rests on.
    pub side: Side,
}

/// The oldest order at the best price of a side.
#[derive(Clone, Copy, Debug)]
pub struct Front<T> {
    /// Its handle.
    pub handle: u32,
    /// Its price.
    pub price: Ticks,
    /// What is left of it.
    pub wh: Wh,
    /// Its owner's mark.
    pub tag: T,
}

/// Where the orders of a book are in memory. Good for prefetching only: it is not told when they move.
#[derive(Clone, Copy, Debug)]
pub struct ArenaHint {
    start: usize,
    stride: usize,
}

impl ArenaHint {
    /// Asks for the memory of an order that will be needed soon.
    #[inline(always)]
    pub fn prefetch(&self, handle: u32) {
        prefetch_address(self.start.wrapping_add(handle as usize * self.stride));
    }
}

/// What a slab's entry is: the spare values of `Side` hold its tag, so that a resting order is half a cache line.
#[allow(dead_code)]
enum SlabEntry<T> {
    Vacant(usize),
    Occupied(Resting<T>),
}

/// An order book over a band of prices.
#[derive(Debug)]
pub struct Book<T> {
    orders: Slab<Resting<T>>,
    sides: [BookSide; 2],
    price_min: Ticks,
    price_max: Ticks,
    tick: Ticks,
}

#[derive(Clone, Debug)]
struct BookSide {
    keys: Bitmap,
    /// Smallest key with orders; `NONE` if there are none.
    best: u32,
    /// Smallest key at which something changed since [`Book::take_touched`].
    touched: u32,
    /// Index in `levels` by key. Zero-filled lazily by the system, so that an unused part of the band costs no memory;
    /// hence the index is stored plus one.
    level_of: Vec<u32>,
    levels: Vec<Level>,
}

impl BookSide {
    fn new(keys: usize) -> Self {
        BookSide { keys: Bitmap::new(keys), best: NONE, touched: NONE, level_of: vec![0; keys], levels: Vec::new() }
    }

    #[inline(always)]
    fn level(&self, key: u32) -> &Level {
        &self.levels[self.level_of[key as usize] as usize - 1]
    }

    #[inline(always)]
    fn level_mut(&mut self, key: u32) -> &mut Level {
        self.touched = self.touched.min(key);
        &mut self.levels[self.level_of[key as usize] as usize - 1]
    }

    /// The level of a key, made if this is the first use of that price.
    #[inline(always)]
    fn level_or_new(&mut self, key: u32) -> &mut Level {
        if self.level_of[key as usize] == 0 {
            self.levels.push(Level::default());
            self.level_of[key as usize] = self.levels.len() as u32;
        }
        self.level_mut(key)
    }

    #[inline(always)]
    fn emptied(&mut self, key: u32) {
        self.keys.remove(key);
        if key == self.best {
            self.best = self.keys.first().unwrap_or(NONE);
        }
    }
}

/// A clone has the capacity of its original, so that it is as warm.
impl<T: Clone> Clone for Book<T> {
    fn clone(&self) -> Self {
        let mut orders = self.orders.clone();
        orders.reserve(self.orders.capacity() - self.orders.len());
        Book { orders, sides: self.sides.clone(), ..*self }
    }
}

impl<T: Copy> Book<T> {
    /// An empty book for limit prices `price_min..=price_max` in steps of `tick`, with room for `orders` orders reserved
    /// (memory that is not used is not touched).
    pub fn new(price_min: Ticks, price_max: Ticks, tick: Ticks, orders: usize) -> Self {
        let keys = ((i64::from(price_max) - i64::from(price_min)) / i64::from(tick)) as usize + 1;
        let sides = [BookSide::new(keys), BookSide::new(keys)];
        Book { orders: Slab::with_capacity(orders), sides, price_min, price_max, tick }
    }

    /// Number of resting orders.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether nothing rests here.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    #[inline(always)]
    fn key(&self, side: Side, price: Ticks) -> u32 {
        // Differences in u32 arithmetic: a band may be wider than an i32.
        let distance = match side {
            Side::Buy => self.price_max.wrapping_sub(price) as u32,
            Side::Sell => price.wrapping_sub(self.price_min) as u32,
        };
        if self.tick == 1 { distance } else { distance / self.tick as u32 }
    }

    #[inline(always)]
    fn price(&self, side: Side, key: u32) -> Ticks {
        let distance = (key * self.tick as u32) as i32;
        match side {
            Side::Buy => self.price_max.wrapping_sub(distance),
            Side::Sell => self.price_min.wrapping_add(distance),
        }
    }

    /// The best price of a side.
    #[inline(always)]
    pub fn best_price(&self, side: Side) -> Option<Ticks> {
        let best = self.sides[side as usize].best;
        (best != NONE).then(|| self.price(side, best))
    }

    /// The order that trades next.
    #[inline(always)]
    pub fn front(&self, side: Side) -> Option<Front<T>> {
        let book = &self.sides[side as usize];
        if book.best == NONE {
            return None;
        }
        let handle = book.level(book.best).front();
        let order = &self.orders[handle as usize];
        Some(Front { handle, price: self.price(side, book.best), wh: order.wh, tag: order.tag })
    }

    /// An order by the handle that [`insert`](Self::insert) gave.
    #[inline(always)]
    pub fn get(&self, handle: u32) -> Option<&Resting<T>> {
        self.orders.get(handle as usize)
    }

    /// The handles of the orders at the best price of a side, oldest first.
    #[inline(always)]
    pub fn front_handles(&self, side: Side) -> impl Iterator<Item = u32> {
        let book = &self.sides[side as usize];
        (book.best != NONE).then(|| book.level(book.best).iter()).into_iter().flatten()
    }

    /// Where orders are, for prefetching.
    pub fn arena_hint(&self) -> ArenaHint {
        // A slab shows the place of an order that rests; the others stand at their distances from it.
        let stride = size_of::<SlabEntry<T>>();
        let known = Side::BOTH.into_iter().find_map(|side| self.front_handles(side).next());
        let start = known.map_or(0, |handle| {
            let order = &self.orders[handle as usize];
            std::ptr::from_ref(order).addr().wrapping_sub(handle as usize * stride)
        });
        ArenaHint { start, stride }
    }

    /// The limit price of an order.
    #[inline(always)]
    pub fn price_of(&self, order: &Resting<T>) -> Ticks {
        self.price(order.side, order.key)
    }

    /// Puts an order behind all others of its price and returns its handle, which stays valid until it is removed. The
    /// price must be in the band and on the tick.
    #[inline(always)]
    pub fn insert(&mut self, side: Side, price: Ticks, wh: Wh, tag: T) -> u32 {
        let key = self.key(side, price);
        let book = &mut self.sides[side as usize];
        let handle = self.orders.vacant_key() as u32;
        let orders = &mut self.orders;
        let level = book.level_or_new(key);
        let place = level.push(handle, wh, |moved, place| orders[moved as usize].place = place);
        let first = level.orders() == 1;
        orders.insert(Resting { tag, wh, key, place, side });
        if first {
            book.keys.insert(key);
            book.best = book.best.min(key);
        }
        handle
    }

    /// Takes energy off an order; it keeps its priority, and leaves the book when nothing is left. Returns whether it left.
    #[inline(always)]
    pub fn reduce(&mut self, handle: u32, wh: Wh) -> bool {
        let order = &mut self.orders[handle as usize];
        debug_assert!(wh <= order.wh);
        if order.wh == wh {
            self.remove(handle);
            return true;
        }
        order.wh -= wh;
        self.sides[order.side as usize].level_mut(order.key).reduce(wh);
        false
    }

    /// Takes an order out of the book.
    ///
    /// # Panics
    /// If there is no such order.
    #[inline(always)]
    pub fn remove(&mut self, handle: u32) -> Resting<T> {
        let order = self.orders.remove(handle as usize);
        let book = &mut self.sides[order.side as usize];
        if book.level_mut(order.key).remove(order.place, order.wh) {
            book.emptied(order.key);
        }
        order
    }

    /// Shows the orders of a side in price-time priority until `see` breaks.
    pub fn walk(&self, side: Side, mut see: impl FnMut(Ticks, &Resting<T>) -> ControlFlow<()>) {
        let book = &self.sides[side as usize];
        let mut key = book.best;
        while key != NONE {
            let price = self.price(side, key);
            for handle in book.level(key).iter() {
                if see(price, &self.orders[handle as usize]).is_break() {
                    return;
                }
            }
            key = book.keys.next_after(key).unwrap_or(NONE);
        }
    }

    /// Writes the best levels of a side to `out`, best first, and returns how many there were.
    pub fn depth(&self, side: Side, out: &mut [LevelView]) -> usize {
        let book = &self.sides[side as usize];
        let mut key = book.best;
        for (count, view) in out.iter_mut().enumerate() {
            if key == NONE {
                return count;
            }
            let level = book.level(key);
            *view = LevelView { price: self.price(side, key), orders: level.orders(), wh: level.wh() };
            key = book.keys.next_after(key).unwrap_or(NONE);
        }
        out.len()
    }

    /// Whether anything changed on this side since the last call at `price` or a better one (`None`: at any price).
    #[inline(always)]
    pub fn take_touched(&mut self, side: Side, price: Option<Ticks>) -> bool {
        let worst = price.map_or(NONE - 1, |price| self.key(side, price));
        std::mem::replace(&mut self.sides[side as usize].touched, NONE) <= worst
    }
}

/// The largest tag that keeps an order at half a cache line.
type TagOf12Bytes = [u32; 3];
const _: () = assert!(size_of::<Resting<TagOf12Bytes>>() == 28 && size_of::<SlabEntry<TagOf12Bytes>>() == 32);
