//! From order ids to handles.
//!
//! Ids come from a counter, and most orders are cancelled or filled while they are young. So recent ids have a window of
//! their own: a ring in which an id's place is its low bits. Nothing is hashed or searched there, and new orders fill it
//! line by line. When the counter comes round to the place of an order that still rests, the old one moves to a hash table
//! for those who stay longer.
//!
//! An entry is 8 bytes: the low half of the id beside the handle, so that a lookup does not touch the order.

use super::prefetch::prefetch;
use crate::types::OrderId;

/// No order: a handle is stored plus one. All bits are 0, so that fresh tables are zero pages.
const EMPTY: u64 = 0;

/// Size of the first window, a power of two.
const WINDOW_MIN: usize = 1 << 10;

/// Windows of fewer places (1 MiB) may be mostly empty.
const WIDE_BELOW: usize = 1 << 17;

/// A map from [`OrderId`] to `u32` handles. Ids that share their low 32 bits, a long-lived order's and its successor's
/// 2^32 commands later, both have entries; `verify` tells them apart.
#[derive(Clone, Debug)]
pub struct OrderIds {
    /// At `id mod length`: `low half of the id << 32 | handle + 1`.
    window: Vec<u64>,
    stayers: Stayers,
    /// Ids in both.
    live: usize,
}

impl OrderIds {
    /// An empty map.
    pub fn new() -> Self {
        OrderIds { window: vec![EMPTY; WINDOW_MIN], stayers: Stayers::new(), live: 0 }
    }

    #[inline(always)]
    fn place(&self, low: u32) -> usize {
        low as usize & (self.window.len() - 1)
    }

    /// Adds an id that is not there yet.
    #[inline(always)]
    pub fn insert(&mut self, id: OrderId, handle: u32) {
        self.live += 1;
        let at = self.place(id.0 as u32);
        let before = std::mem::replace(&mut self.window[at], entry(id, handle));
        if before != EMPTY {
            self.displaced(before);
        }
    }

    /// Finds another place for an entry that a younger one took the place of.
    #[cold]
    #[inline(never)]
    fn displaced(&mut self, entry: u64) {
        self.stayers.insert(entry);
        // In a larger window, fewer are displaced. One that fits the cache anyway may have many places per order.
        let places = self.window.len();
        if if places < WIDE_BELOW { places < 8 * self.live } else { 2 * places < 3 * self.live } {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let doubled = vec![EMPTY; 2 * self.window.len()];
        let stayers = std::mem::replace(&mut self.stayers, Stayers::new());
        let young = std::mem::replace(&mut self.window, doubled);
        // Those in the window have places of their own in the larger one, too; the others come back where there is room.
        for entry in young.into_iter().chain(stayers.entries).filter(|&entry| entry != EMPTY) {
            let at = self.place((entry >> 32) as u32);
            if self.window[at] == EMPTY { self.window[at] = entry } else { self.stayers.insert(entry) }
        }
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
    pub fn get(&self, id: OrderId, mut verify: impl FnMut(u32) -> bool) -> Option<u32> {
        let low = id.0 as u32;
        let found = self.window[self.place(low)];
        // An empty place may look like id 0's, with a handle that no order has.
        if (found >> 32) as u32 == low && verify(handle(found)) {
            return Some(handle(found));
        }
        self.stayers.get(low, verify)
    }

    /// Removes an id that is there with this handle.
    #[inline(always)]
    pub fn remove(&mut self, id: OrderId, handle: u32) {
        self.live -= 1;
        let (at, entry) = (self.place(id.0 as u32), entry(id, handle));
        if self.window[at] == entry {
            self.window[at] = EMPTY;
        } else {
            self.stayers.remove(entry);
        }
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

/// Entries of orders that outlived their place in the window: an open-addressing hash table with linear probing, at most
/// two thirds full. A hit costs 2 probes on average, a miss 5.
///
/// An attacker cannot choose ids, so any hash does: a multiplication (Fibonacci hashing, Knuth, TAOCP vol. 3, section 6.4).
#[derive(Clone, Debug)]
struct Stayers {
    entries: Vec<u64>,
    live: usize,
}

impl Stayers {
    fn new() -> Self {
        Stayers { entries: vec![EMPTY; 64], live: 0 }
    }

    #[inline]
    fn home(&self, low: u32) -> usize {
        let spread = u64::from(low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (64 - self.entries.len().trailing_zeros())) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    fn insert(&mut self, entry: u64) {
        if 3 * (self.live + 1) > 2 * self.entries.len() {
            let doubled = vec![EMPTY; 2 * self.entries.len()];
            for entry in std::mem::replace(&mut self.entries, doubled) {
                if entry != EMPTY {
                    self.place(entry);
                }
            }
        }
        self.live += 1;
        self.place(entry);
    }

    fn place(&mut self, entry: u64) {
        let mut at = self.home((entry >> 32) as u32);
        while self.entries[at] != EMPTY {
            at = self.next(at);
        }
        self.entries[at] = entry;
    }

    #[inline]
    fn get(&self, low: u32, mut verify: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(low);
        loop {
            let entry = self.entries[at];
            if entry == EMPTY {
                return None;
            }
            if (entry >> 32) as u32 == low && verify(handle(entry)) {
                return Some(handle(entry));
            }
            at = self.next(at);
        }
    }

    #[inline(never)]
    fn remove(&mut self, entry: u64) {
        let mut hole = self.home((entry >> 32) as u32);
        while self.entries[hole] != entry {
            assert_ne!(self.entries[hole], EMPTY, "an order that rests has an entry");
            hole = self.next(hole);
        }
        self.live -= 1;
        // Close the hole with the next entry of the run that may stand there (TAOCP vol. 3, 6.4, algorithm R), so that
        // no marks of removed entries pile up.
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = self.next(at);
            let entry = self.entries[at];
            if entry == EMPTY {
                self.entries[hole] = EMPTY;
                return;
            }
            let displacement = at.wrapping_sub(self.home((entry >> 32) as u32)) & mask;
            if displacement >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = at;
            }
        }
    }
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
                    ids.insert(OrderId(id), step);
                    model.insert(id, step);
                    by_handle.insert(step, id);
                }
                _ => {}
            }
        }
        assert!(model.len() > 500);
    }
}
