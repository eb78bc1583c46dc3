//! From order ids to handles.
//!
//! Ids come from a counter, and most orders are cancelled or filled while they are young. So recent ids have a window of
//! their own: a ring in which an id's place is its low bits. Nothing is hashed or searched there, and new orders fill it
//! line by line. When the counter comes round to the place of an order that still rests, the old one moves to the place beside it, if
//! that is free, and otherwise into a hash table (`stayers.rs`) for those who stay longer. The place beside is on the same cache line, and
//! a look there costs less than the table. But beside a small table, whoever is displaced a second time goes there, too, because he would
//! go to and fro for ever.
//!
//! A place in the window is 4 bytes, the handle alone. Whose it is says the order, which is looked at next anyway; and of two orders
//! in the same memory, half as many meet.

use super::book::{Book, Resting, Tag};
use super::prefetch::prefetch;
use super::stayers::Stayers;
use crate::types::OrderId;
use std::hint::select_unpredictable;

/// No order: a handle is stored plus one. All bits are 0, so that fresh tables are zero pages.
const EMPTY: u32 = 0;

/// Size of the first window, a power of two; and where there are many maps, most of them small.
const WINDOW_MIN: usize = 1 << 10;
const SPARSE_WINDOW_MIN: usize = 1 << 6;

/// Windows of fewer places (1 MiB) may be mostly empty.
const WIDE_BELOW: usize = 1 << 18;

/// A table of so few that stay (48 KiB) is in the cache, if it is not one of many, as it may be where the window has fewer places.
const FEW_STAYERS: usize = 1 << 11;
const LONE_FROM: usize = 1 << 12;

/// A map from [`OrderId`] to `u32` handles, which knows the ids of those who stay only: the others' are the [orders'](Orders) own.
#[derive(Clone, Debug)]
pub struct OrderIds {
    /// At `id mod length`: the handle plus one.
    window: Vec<u32>,
    /// Orders that outlived their place in the window.
    stayers: Stayers,
    /// So many more orders may come before the window is too narrow for all of them, there or not.
    room: usize,
}

/// The orders that a map's handles are of.
pub trait Orders {
    /// The id of an order, whose handle this is.
    fn id(&self, handle: u32) -> OrderId;
    /// All orders with their ids, best as they stand in memory. Handles that are nobody's may be among them, with any id.
    fn all(&self) -> impl Iterator<Item = (u32, OrderId)>;
}

/// Orders whose tags begin with their ids.
impl<const WATCHED: bool> Orders for Book<WATCHED> {
    #[inline(always)]
    fn id(&self, handle: u32) -> OrderId {
        OrderId(self.tag(handle).expect("it rests").0)
    }

    fn all(&self) -> impl Iterator<Item = (u32, OrderId)> {
        self.tags().map(|(handle, tag)| (handle, OrderId(tag.0)))
    }
}

impl OrderIds {
    /// An empty map.
    pub fn new() -> Self {
        Self::with_places(WINDOW_MIN)
    }

    /// An empty map that takes memory as its orders come: one of many.
    pub fn sparse() -> Self {
        Self::with_places(SPARSE_WINDOW_MIN)
    }

    /// An empty map with room for so many orders, which come in any order of their ids.
    pub fn with_room(orders: usize) -> Self {
        Self::with_places((3 * orders + 1).next_power_of_two().max(WINDOW_MIN))
    }

    /// Touches the memory of a window that is wide enough for so many orders, and does not use it yet: growing will not wait for it, and as
    /// long as there are few orders, they lie close together.
    pub fn warm(&mut self, orders: usize) {
        // As far as `insert` and `stay` let it grow for them.
        let places = (3 * orders + 1).next_power_of_two().max((8 * orders).next_power_of_two().min(WIDE_BELOW));
        let used = self.window.len();
        self.window.resize(places.max(used), EMPTY + 1);
        self.window.truncate(used);
        self.stayers.warm(places, orders);
    }

    fn with_places(places: usize) -> Self {
        OrderIds { window: vec![EMPTY; places], stayers: Stayers::new(places), room: most(places) }
    }

    #[inline(always)]
    fn place(&self, id: OrderId) -> usize {
        id.0 as usize & (self.window.len() - 1)
    }

    /// Adds an id that is not there yet. `orders` are those whose ids are, and this one.
    #[inline(always)]
    pub fn insert(&mut self, id: OrderId, handle: u32, orders: &impl Orders) {
        if self.room == 0 {
            self.grow(orders);
        }
        self.room -= 1;
        let at = self.place(id);
        let before = std::mem::replace(&mut self.window[at], handle + 1);
        if before != EMPTY {
            self.stay(before - 1, at, orders);
        }
    }

    /// Finds another place for an order that a younger one took the place of.
    #[cold]
    #[inline(never)]
    fn stay(&mut self, handle: u32, at: usize, orders: &impl Orders) {
        // Where there are many, no look at an order that is not in the cache either.
        let few = self.window.len() >= LONE_FROM && self.stayers.len() < FEW_STAYERS;
        let again = few && self.place(orders.id(handle)) != at;
        let beside = &mut self.window[beside(at)];
        if *beside == EMPTY && !again {
            *beside = handle + 1;
        } else {
            let id = orders.id(handle);
            self.stayers.insert(id, self.place(id), handle);
        }
        // In a larger window, fewer are displaced. One that fits the cache anyway may have many places per order.
        let places = self.window.len();
        if places < WIDE_BELOW && places < 8 * (most(places) - self.room) {
            self.grow(orders);
        }
    }

    /// Doubles the window, where it is. Of those in it, each stays or goes as far again from the beginning, as one bit of its id says;
    /// those that were displaced come back where there is room. The orders are asked one after the other, because they stand so in memory.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, orders: &impl Orders) {
        let places = self.window.len();
        self.window.resize(2 * places, EMPTY);
        let (old, new) = self.window.split_at_mut(places);
        // Those in the window, of which some are still to be found: a book may have room for many more behind them.
        let mut left = most(places) - self.room - self.stayers.len();
        for (handle, id) in orders.all() {
            let place = id.0 as usize & (places - 1);
            // Nobody can predict which go: no branch. Who does not stand here stays, is nobody, or is about to come.
            let [at_home, beside_it] = [place, beside(place)].map(|at| old[at] == handle + 1);
            let at = select_unpredictable(at_home, place, beside(place));
            let stands = at_home | beside_it;
            let goes = stands & (id.0 as usize & places != 0);
            new[at] = select_unpredictable(goes, old[at], new[at]);
            old[at] = select_unpredictable(goes, EMPTY, old[at]);
            left -= usize::from(stands);
            if left == 0 {
                break;
            }
        }
        debug_assert_eq!(left, 0, "somebody in the window is not among the orders");
        let (window, mask) = (&mut self.window, 2 * places - 1);
        self.stayers.grow(2 * places, |id, handle| {
            let place = id.0 as usize & mask;
            let free = [place, beside(place)].into_iter().find(|&at| window[at] == EMPTY);
            free.into_iter().for_each(|at| window[at] = handle + 1);
            free.is_none().then_some(place)
        });
        self.room += most(2 * places) - most(places);
    }

    /// Asks for the memory in which an id is, or would be.
    #[inline(always)]
    pub fn prefetch(&self, id: OrderId) {
        prefetch(&self.window, self.place(id));
    }

    /// A handle that is probably that of an id: a hint for prefetching.
    #[inline(always)]
    pub fn guess(&self, id: OrderId) -> u32 {
        self.window[self.place(id)].wrapping_sub(1)
    }

    /// The handle of an id: `verify` says whether a handle is this order's. It is also asked about `u32::MAX`, which nobody's is.
    #[inline(always)]
    pub fn get(&self, id: OrderId, verify: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.guess(id);
        if verify(found) { Some(found) } else { self.find_displaced(id, verify).map(|(handle, _)| handle) }
    }

    /// The handle of an order that does not stand at its place, and where in the window it stands instead, if it does.
    #[inline(always)]
    fn find_displaced(&self, id: OrderId, verify: impl Fn(u32) -> bool) -> Option<(u32, Option<usize>)> {
        let at = beside(self.place(id));
        let found = self.window[at].wrapping_sub(1);
        if verify(found) { Some((found, Some(at))) } else { Some((self.stayers.find(id, self.place(id))?, None)) }
    }

    /// Asks for what says whether there are others of an id's place.
    #[inline(always)]
    pub fn prefetch_stayers(&self) {
        self.stayers.prefetch();
    }

    /// Takes the order with this tag, whose first part is its id, out of a book, and the id out of here.
    #[inline(always)]
    pub fn take<const WATCHED: bool>(&mut self, tag: Tag, book: &mut Book<WATCHED>) -> Option<Resting> {
        let id = OrderId(tag.0);
        if let Some(order) = book.take(self.guess(id), tag) {
            self.vacate(id, Some(self.place(id)));
            return Some(order);
        }
        self.take_displaced(tag, book)
    }

    #[inline(never)]
    fn take_displaced<const WATCHED: bool>(&mut self, tag: Tag, book: &mut Book<WATCHED>) -> Option<Resting> {
        let id = OrderId(tag.0);
        let (handle, at) = self.find_displaced(id, |handle| book.tag(handle) == Some(tag))?;
        let order = book.take(handle, tag)?;
        self.vacate(id, at);
        Some(order)
    }

    /// The order of an id has gone from here in the window, or from among those who stay.
    #[inline(always)]
    fn vacate(&mut self, id: OrderId, at: Option<usize>) {
        self.room += 1;
        match at {
            Some(at) => self.window[at] = EMPTY,
            None => self.stayers.remove(id, self.place(id)),
        }
    }

    /// Bytes that are allocated.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + size_of::<u32>() * self.window.capacity() + self.stayers.memory()
    }

    /// Removes an id that is there with this handle.
    #[inline(always)]
    pub fn remove(&mut self, id: OrderId, handle: u32) {
        // Nobody else has this handle.
        let place = self.place(id);
        let stands = |&at: &usize| self.window[at] == handle + 1;
        let at = if stands(&place) { Some(place) } else { Some(beside(place)).filter(stands) };
        self.vacate(id, at);
    }
}

/// The other place of a pair: on the same cache line.
#[inline(always)]
fn beside(place: usize) -> usize {
    place ^ 1
}

/// Orders for which so many places are enough: three each.
fn most(places: usize) -> usize {
    places / 3
}

impl Default for OrderIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimized::book::Band;
    use crate::types::Side;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng, rand_core::SeedableRng};
    use std::collections::HashMap;

    /// Ids by handle, and a handle that is nobody's.
    #[derive(Default)]
    struct Known(HashMap<u32, u64>);

    impl Known {
        fn add(&mut self, ids: &mut OrderIds, id: OrderId, handle: u32) {
            self.0.insert(handle, id.0);
            ids.insert(id, handle, self);
        }
    }

    impl Orders for Known {
        fn id(&self, handle: u32) -> OrderId {
            OrderId(self.0[&handle])
        }

        fn all(&self) -> impl Iterator<Item = (u32, OrderId)> {
            let nobody = (u32::MAX - 1, OrderId(u64::MAX));
            self.0.iter().map(|(&handle, &id)| (handle, OrderId(id))).chain([nobody])
        }
    }

    #[test]
    fn agrees_with_a_hash_map_also_where_low_halves_collide() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut ids = OrderIds::new();
        let mut model: HashMap<u64, u32> = HashMap::new();
        let mut orders = Known::default();
        for step in 0..200_000u32 {
            let id = u64::from(random.next_u32() % 3_000 + 1) + (u64::from(random.next_u32() % 3) << 32);
            let found = ids.get(OrderId(id), |handle| orders.0.get(&handle) == Some(&id));
            assert_eq!(found, model.get(&id).copied());
            match found {
                Some(handle) if random.next_u32() % 2 == 0 => {
                    ids.remove(OrderId(id), handle);
                    model.remove(&id);
                    orders.0.remove(&handle);
                }
                None if model.len() < 2_000 => {
                    orders.add(&mut ids, OrderId(id), step);
                    model.insert(id, step);
                }
                _ => {}
            }
        }
        assert!(model.len() > 500);
    }

    #[test]
    fn a_warm_window_grows_where_it_is() {
        // Ids in any order: those below 2^14, of which few are displaced, and others, of which many are, which makes the window wider.
        for (id, wide) in [
            ((|step| OrderId(u64::from(step * 5_741 % (1 << 14)))) as fn(u32) -> OrderId, 3 * 10_000),
            (|step| OrderId(u64::from(step.wrapping_mul(0x9e37_79b1) >> 8)), 8 * 10_000),
        ] {
            let mut ids = OrderIds::new();
            ids.warm(10_000);
            let (capacity, start) = (ids.window.capacity(), ids.window.as_ptr());
            let mut orders = Known::default();
            (0..10_000).for_each(|step| orders.add(&mut ids, id(step), step));
            assert!(ids.window.len() >= wide, "{}", ids.window.len());
            assert_eq!((ids.window.as_ptr(), ids.window.capacity()), (start, capacity));
            for step in 0..10_000 {
                assert_eq!(ids.get(id(step), |handle| handle == step), Some(step));
                ids.remove(id(step), step);
            }
            assert!(ids.window.iter().all(|&place| place == EMPTY), "nothing is left of growing");
        }
    }

    #[test]
    fn displaced_orders_are_taken_and_not_those_in_their_places() {
        // Ids of one place: the oldest order goes beside it, the next one to the table. Then comes one whose place that beside it is.
        for neighbour in [None, Some(Tag(4, 1))] {
            let mut book = Book::new(Band { min: 0, max: 10, tick: 1 }, 8);
            let mut ids = OrderIds::new();
            let same = [0, 1, 2].map(|high| Tag(5 + (high << 32), 1));
            let tags: Vec<Tag> = same.into_iter().chain(neighbour).collect();
            for &tag in &tags {
                let handle = book.insert(Side::Buy, 5, 10, tag);
                ids.insert(OrderId(tag.0), handle, &book);
            }
            let stayers = 1 + usize::from(neighbour.is_some());
            assert_eq!(ids.stayers.len(), stayers);
            for stranger in tags.iter().map(|tag| Tag(tag.0, 2)).chain([Tag(5 + (3 << 32), 1)]) {
                assert_eq!(ids.take(stranger, &mut book), None);
            }
            for tag in tags {
                assert_eq!(ids.take(tag, &mut book).map(|order| order.tag), Some(tag));
                assert_eq!(ids.take(tag, &mut book), None, "it has gone");
            }
            assert!(book.is_empty() && ids.stayers.len() == 0 && ids.window.iter().all(|&place| place == EMPTY));
        }
    }

    #[test]
    fn an_order_displaced_again_goes_among_a_few_that_stay_and_home_if_they_are_many() {
        let cases =
            [(LONE_FROM / 2, 0, 0), (LONE_FROM, 0, 1), (LONE_FROM, FEW_STAYERS - 1, 1), (LONE_FROM, FEW_STAYERS, 0)];
        for (places, staying, more) in cases {
            let mut ids = OrderIds::with_places(places);
            let mut orders = Known::default();
            let of_place = |place: u64, number: u32| OrderId(place + (u64::from(number) << 32));
            // One in its place, one beside it, and the rest.
            (0..staying as u32 + 2).for_each(|number| orders.add(&mut ids, of_place(9, number), number));
            assert_eq!(ids.stayers.len(), staying);
            let [old, younger, neighbour] = [u32::MAX - 4, u32::MAX - 3, u32::MAX - 2];
            orders.add(&mut ids, of_place(5, 0), old);
            orders.add(&mut ids, of_place(5, 1), younger);
            assert_eq!((ids.stayers.len(), ids.window[4], ids.window[5]), (staying, old + 1, younger + 1));
            ids.remove(of_place(5, 1), younger);
            orders.0.remove(&younger);
            orders.add(&mut ids, of_place(4, 0), neighbour);
            assert_eq!((ids.stayers.len(), ids.window[5] == EMPTY), (staying + more, more == 1));
            for (id, handle) in [(of_place(4, 0), neighbour), (of_place(5, 0), old)] {
                assert_eq!(ids.get(id, |found| found == handle), Some(handle));
                ids.remove(id, handle);
            }
            assert_eq!(ids.stayers.len(), staying);
        }
    }

    #[test]
    fn ids_that_look_the_same_in_the_window_cost_no_more_than_others() {
        // As whoever makes up a chain could choose them: all in one place. 200,000 of them one after the other in a list
        // would take minutes.
        let id = |step: u32| OrderId(7 + (u64::from(step) << 32));
        let mut ids = OrderIds::new();
        let mut orders = Known::default();
        (0..200_000).for_each(|step| orders.add(&mut ids, id(step), step));
        for step in (0..200_000).rev() {
            assert_eq!(ids.get(id(step), |handle| handle == step), Some(step));
            ids.remove(id(step), step);
            assert_eq!(ids.get(id(step), |handle| handle == step), None);
        }
    }
}
