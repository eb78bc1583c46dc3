//! From order ids to handles.
//!
//! Ids come from a counter, and most orders are cancelled or filled while they are young. So recent ids have a window of
//! their own: a ring in which an id's place is its low bits. Nothing is hashed or searched there, and new orders fill it
//! line by line. When the counter comes round to the place of an order that still rests, the old one moves to a hash table
//! for those who stay longer.
//!
//! An entry of the window is 8 bytes: the low half of the id beside the handle, so that a lookup does not touch the order.

use super::prefetch::prefetch;
use crate::types::OrderId;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// No order: a handle is stored plus one. All bits are 0, so that fresh tables are zero pages.
const EMPTY: u64 = 0;

/// Size of the first window, a power of two; and where there are many maps, most of them small.
const WINDOW_MIN: usize = 1 << 10;
const SPARSE_WINDOW_MIN: usize = 1 << 6;

/// Windows of fewer places (1 MiB) may be mostly empty.
const WIDE_BELOW: usize = 1 << 17;

/// A map from [`OrderId`] to `u32` handles. In the window, ids that share their low 32 bits, a long-lived order's and its
/// successor's 2^32 commands later, look the same: `verify` tells them apart.
#[derive(Clone, Debug)]
pub struct OrderIds {
    /// At `id mod length`: `low half of the id << 32 | handle + 1`.
    window: Vec<u64>,
    /// Orders that outlived their place in the window. The hash has a random key: a node counts ids, but whoever makes up a
    /// chain file can choose them, and must not be able to make its verification slow. No result depends on it.
    stayers: HashTable<(OrderId, u32)>,
    hash_builder: DefaultHashBuilder,
    /// Ids in both.
    live: usize,
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
        Self::with_places((orders + orders / 2 + 1).next_power_of_two().max(WINDOW_MIN))
    }

    fn with_places(places: usize) -> Self {
        OrderIds {
            window: vec![EMPTY; places],
            stayers: HashTable::new(),
            hash_builder: DefaultHashBuilder::default(),
            live: 0,
        }
    }

    #[inline(always)]
    fn place(&self, low: u32) -> usize {
        low as usize & (self.window.len() - 1)
    }

    /// Adds an id that is not there yet. `id_of` tells the whole id of an order that is.
    #[inline(always)]
    pub fn insert(&mut self, id: OrderId, handle: u32, id_of: impl Fn(u32) -> OrderId) {
        self.live += 1;
        if self.is_narrow() {
            self.grow();
        }
        let at = self.place(id.0 as u32);
        let before = std::mem::replace(&mut self.window[at], entry(id, handle));
        if before != EMPTY {
            let displaced = self::handle(before);
            self.stay(id_of(displaced), displaced);
        }
    }

    /// Finds another place for an order that a younger one took the place of.
    #[cold]
    #[inline(never)]
    fn stay(&mut self, id: OrderId, handle: u32) {
        let OrderIds { stayers, hash_builder, .. } = self;
        // At most half full, so that the table cleans up after removals in place: a warm one does not allocate.
        if 2 * (stayers.len() + 1) > stayers.capacity() {
            stayers.reserve(stayers.len() + 32, |(id, _)| hash_builder.hash_one(id));
        }
        stayers.insert_unique(hash_builder.hash_one(id), (id, handle), |(id, _)| hash_builder.hash_one(id));
        // In a larger window, fewer are displaced. One that fits the cache anyway may have many places per order.
        let places = self.window.len();
        if places < WIDE_BELOW && places < 8 * self.live {
            self.grow();
        }
    }

    /// Whether there is less than one and a half places per order.
    #[inline(always)]
    fn is_narrow(&self) -> bool {
        2 * self.window.len() < 3 * self.live
    }

    /// Doubles the window. Those in it have places of their own in the larger one, too; the others come back where there is
    /// room.
    #[cold]
    fn grow(&mut self) {
        let places = self.window.len();
        // One more bit of the id says which half of the larger window it goes to. No branch: which places are empty, and which
        // bits are set, nobody can predict.
        let half = |young: u64, upper: u64| if young >> 32 & places as u64 == upper { young } else { EMPTY };
        let lower = self.window.iter().map(|&young| half(young, 0));
        let upper = self.window.iter().map(|&young| half(young, places as u64));
        self.window = lower.chain(upper).collect();
        let mut stayers = std::mem::take(&mut self.stayers);
        stayers.retain(|&mut (id, handle)| {
            let at = self.place(id.0 as u32);
            let stays = self.window[at] != EMPTY;
            if !stays {
                self.window[at] = entry(id, handle);
            }
            stays
        });
        self.stayers = stayers;
    }

    /// Asks for the memory in which an id is, or would be.
    #[inline(always)]
    pub fn prefetch(&self, id: OrderId) {
        prefetch(&self.window, self.place(id.0 as u32));
    }

    /// A handle that is probably that of an id: a hint for prefetching.
    #[inline(always)]
    pub fn guess(&self, id: OrderId) -> u32 {
        handle(self.window[self.place(id.0 as u32)])
    }

    /// The handle of an id for which `verify` holds.
    #[inline(always)]
    pub fn get(&self, id: OrderId, verify: impl FnOnce(u32) -> bool) -> Option<u32> {
        let low = id.0 as u32;
        let found = self.window[self.place(low)];
        // An empty place may look like id 0's, with a handle that no order has.
        if (found >> 32) as u32 == low && verify(handle(found)) {
            return Some(handle(found));
        }
        self.find_stayer(id)
    }

    #[inline(never)]
    fn find_stayer(&self, id: OrderId) -> Option<u32> {
        let hash = self.hash_builder.hash_one(id);
        self.stayers.find(hash, |&(stayer, _)| stayer == id).map(|&(_, handle)| handle)
    }

    /// Bytes that are allocated.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + size_of::<u64>() * self.window.len() + self.stayers.allocation_size()
    }

    /// Removes an id that is there with this handle.
    #[inline(always)]
    pub fn remove(&mut self, id: OrderId, handle: u32) {
        self.live -= 1;
        let at = self.place(id.0 as u32);
        if self.window[at] == entry(id, handle) {
            self.window[at] = EMPTY;
        } else {
            self.remove_stayer(id);
        }
    }

    #[inline(never)]
    fn remove_stayer(&mut self, id: OrderId) {
        let hash = self.hash_builder.hash_one(id);
        let found = self.stayers.find_entry(hash, |&(stayer, _)| stayer == id);
        found.expect("an order that rests has an entry").remove();
    }
}

#[inline(always)]
fn entry(id: OrderId, handle: u32) -> u64 {
    u64::from(id.0 as u32) << 32 | u64::from(handle + 1)
}

#[inline(always)]
fn handle(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

impl Default for OrderIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng, rand_core::SeedableRng};
    use std::collections::HashMap;

    #[test]
    fn agrees_with_a_hash_map_also_where_low_halves_collide() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut ids = OrderIds::new();
        let mut model: HashMap<u64, u32> = HashMap::new();
        let mut by_handle: HashMap<u32, u64> = HashMap::new();
        for step in 0..200_000u32 {
            let id = u64::from(random.next_u32() % 3_000 + 1) + (u64::from(random.next_u32() % 3) << 32);
            let found = ids.get(OrderId(id), |handle| by_handle[&handle] == id);
            assert_eq!(found, model.get(&id).copied());
            match found {
                Some(handle) if random.next_u32() % 2 == 0 => {
                    ids.remove(OrderId(id), handle);
                    model.remove(&id);
                    by_handle.remove(&handle);
                }
                None if model.len() < 2_000 => {
                    ids.insert(OrderId(id), step, |handle| OrderId(by_handle[&handle]));
                    model.insert(id, step);
                    by_handle.insert(step, id);
                }
                _ => {}
            }
        }
        assert!(model.len() > 500);
    }
    #[test]
    fn ids_that_look_the_same_in_the_window_cost_no_more_than_others() {
        // As whoever makes up a chain could choose them: all in one place. 200,000 of them one after the other in a list
        // would take minutes.
        let id = |step: u32| OrderId(7 + (u64::from(step) << 32));
        let mut ids = OrderIds::new();
        (0..200_000).for_each(|step| ids.insert(id(step), step, id));
        for step in (0..200_000).rev() {
            assert_eq!(ids.get(id(step), |handle| handle == step), Some(step));
            ids.remove(id(step), step);
            assert_eq!(ids.get(id(step), |handle| handle == step), None);
        }
    }
}
