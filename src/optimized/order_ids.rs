//! From order ids to handles: an open-addressing hash table with linear probing.
//!
//! An entry is 8 bytes: the low half of the id beside the handle, so that a probe does not touch the order. Ids come from
//! a counter, so an attacker cannot choose them; a multiplication spreads them (Fibonacci hashing, Knuth, TAOCP vol. 3,
//! section 6.4), because the plain low bits would put long-lived orders of consecutive ids into one long run.

use super::prefetch::prefetch;
use crate::types::OrderId;

/// No order: a handle is stored plus one. All bits are 0, so that fresh tables are zero pages.
const EMPTY: u64 = 0;

/// Tables of fewer entries (512 KiB) are kept sparse.
const SPARSE_BELOW: usize = 1 << 16;

/// A map from [`OrderId`] to `u32` handles. Ids that share their low 32 bits, a long-lived order's and its successor's
/// 2^32 commands later, both have entries; `verify` tells them apart.
#[derive(Clone, Debug)]
pub struct OrderIds {
    /// `low half of the id << 32 | handle + 1`.
    entries: Vec<u64>,
    live: usize,
}

impl OrderIds {
    /// An empty map.
    pub fn new() -> Self {
        OrderIds { entries: vec![EMPTY; 64], live: 0 }
    }

    #[inline(always)]
    fn home(&self, low: u32) -> usize {
        let spread = u64::from(low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (64 - self.entries.len().trailing_zeros())) as usize
    }

    #[inline(always)]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    /// Adds an id that is not there yet.
    #[inline(always)]
    pub fn insert(&mut self, id: OrderId, handle: u32) {
        // At most two thirds full: a hit then costs 2 probes on average, a miss 5. A table that fits the cache anyway stays
        // three quarters empty: most probes end where they begin, and their branches are predicted.
        let (live, entries) = (self.live + 1, self.entries.len());
        if if entries < SPARSE_BELOW { 4 * live > entries } else { 3 * live > 2 * entries } {
            self.grow();
        }
        self.live += 1;
        self.place(u64::from(id.0 as u32) << 32 | u64::from(handle + 1));
    }

    #[inline(always)]
    fn place(&mut self, entry: u64) {
        let mut at = self.home((entry >> 32) as u32);
        while self.entries[at] != EMPTY {
            at = self.next(at);
        }
        self.entries[at] = entry;
    }

    /// Asks for the memory in which an id is, or would be.
    #[inline(always)]
    pub fn prefetch(&self, id: OrderId) {
        prefetch(&self.entries, self.home(id.0 as u32));
    }

    /// A handle that is probably that of an id: a hint for prefetching, without a walk along the run.
    #[inline(always)]
    pub fn guess(&self, id: OrderId) -> u32 {
        (self.entries[self.home(id.0 as u32)] as u32).wrapping_sub(1)
    }

    /// The handle of an id for which `verify` holds.
    #[inline(always)]
    pub fn get(&self, id: OrderId, mut verify: impl FnMut(u32) -> bool) -> Option<u32> {
        let low = id.0 as u32;
        let mut at = self.home(low);
        loop {
            let entry = self.entries[at];
            if entry == EMPTY {
                return None;
            }
            let handle = (entry as u32).wrapping_sub(1);
            if (entry >> 32) as u32 == low && verify(handle) {
                return Some(handle);
            }
            at = self.next(at);
        }
    }

    /// Removes an id that is there with this handle.
    #[inline(always)]
    pub fn remove(&mut self, id: OrderId, handle: u32) {
        let entry = u64::from(id.0 as u32) << 32 | u64::from(handle + 1);
        let mut hole = self.home(id.0 as u32);
        while self.entries[hole] != entry {
            assert_ne!(self.entries[hole], EMPTY, "order {} is in the table", id.0);
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

    #[cold]
    fn grow(&mut self) {
        let doubled = vec![EMPTY; 2 * self.entries.len()];
        for entry in std::mem::replace(&mut self.entries, doubled) {
            if entry != EMPTY {
                self.place(entry);
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
