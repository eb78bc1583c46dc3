//! Orders that a younger one took the place of in the [window of ids](super::order_ids).
//!
//! ```text
//! counts[place]  2 bits: how many orders of this place are here; 3 says three or more, or once so many
//! table          hash of the id -> (id, handle)
//! ```
//!
//! Most questions are about ids that are nowhere: whether a new order's is in use. So each place of the window says whether somebody of it is
//! here at all, and the table, whose memory is cold where there are many of them, is seldom looked at.

use super::prefetch::prefetch;
use crate::types::OrderId;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Bits per count, and counts per byte.
const BITS: usize = 2;
const PER_BYTE: usize = 8 / BITS;

/// A count that has stopped: only a new window starts again.
const MANY: u8 = (1 << BITS) - 1;

const LINE_BYTES: usize = 64;

/// A map from [`OrderId`] to `u32` handles.
#[derive(Clone, Debug)]
pub(super) struct Stayers {
    /// Of each place of the window.
    counts: Vec<u8>,
    /// The hash has a random key: a node counts ids, but whoever makes up a chain file can choose them, and must not be able to make
    /// its verification slow. No result depends on it.
    table: HashTable<(OrderId, u32)>,
    hash_builder: DefaultHashBuilder,
}

impl Stayers {
    /// None yet, beside a window of so many places.
    pub(super) fn new(places: usize) -> Self {
        let counts = vec![0; places.div_ceil(PER_BYTE)];
        Stayers { counts, table: HashTable::new(), hash_builder: DefaultHashBuilder::default() }
    }

    /// Touches the memory that a window of so many places needs here, and makes room for those of so many orders that will stay: every
    /// sixth, where all orders live equally long and the window has six places for each.
    pub(super) fn warm(&mut self, places: usize, orders: usize) {
        let used = self.counts.len();
        self.counts.resize(places.div_ceil(PER_BYTE).max(used), 1);
        self.counts.truncate(used);
        self.make_room(orders / 6);
    }

    /// Room for so many, at most half full, so that the table cleans up after removals in place: a warm one does not allocate.
    fn make_room(&mut self, orders: usize) {
        let Stayers { table, hash_builder, .. } = self;
        if 2 * orders > table.capacity() {
            table.reserve(2 * orders - table.len(), |(id, _)| hash_builder.hash_one(id));
        }
    }

    #[inline(always)]
    fn count(&self, place: usize) -> u8 {
        self.counts[place / PER_BYTE] >> (place % PER_BYTE * BITS) & MANY
    }

    /// Counts one more of a place, or one less, as `step` says.
    fn step(&mut self, place: usize, step: fn(u8, u8) -> u8) {
        if self.count(place) < MANY {
            let counts = &mut self.counts[place / PER_BYTE];
            *counts = step(*counts, 1 << (place % PER_BYTE * BITS));
        }
    }

    /// Adds an id of a place that is not here.
    pub(super) fn insert(&mut self, id: OrderId, place: usize, handle: u32) {
        let orders = self.table.len() + 1;
        if 2 * orders > self.table.capacity() {
            self.make_room(orders + 16);
        }
        let Stayers { table, hash_builder, .. } = self;
        table.insert_unique(hash_builder.hash_one(id), (id, handle), |(id, _)| hash_builder.hash_one(id));
        self.step(place, |counts, one| counts + one);
    }

    /// The handle of an id of this place, if it is here.
    #[inline(always)]
    pub(super) fn find(&self, id: OrderId, place: usize) -> Option<u32> {
        if self.count(place) == 0 { None } else { self.look_up(id) }
    }

    #[inline(never)]
    fn look_up(&self, id: OrderId) -> Option<u32> {
        let hash = self.hash_builder.hash_one(id);
        self.table.find(hash, |&(stayer, _)| stayer == id).map(|&(_, handle)| handle)
    }

    /// Removes an id that is here.
    #[inline(never)]
    pub(super) fn remove(&mut self, id: OrderId, place: usize) {
        let hash = self.hash_builder.hash_one(id);
        let found = self.table.find_entry(hash, |&(stayer, _)| stayer == id);
        found.expect("an order that rests has an entry").remove();
        self.step(place, |counts, one| counts - one);
    }

    /// The window has so many places now. `place` says in which of them somebody still has to stay, or gives him one.
    pub(super) fn grow(&mut self, places: usize, mut place: impl FnMut(OrderId, u32) -> Option<usize>) {
        self.counts.clear();
        self.counts.resize(places.div_ceil(PER_BYTE), 0);
        let mut table = std::mem::take(&mut self.table);
        table.retain(|&mut (id, handle)| {
            let place = place(id, handle);
            place.into_iter().for_each(|place| self.step(place, |counts, one| counts + one));
            place.is_some()
        });
        self.table = table;
    }

    /// Asks for the counts, where they fit two cache lines.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        prefetch(&self.counts, 0);
        prefetch(&self.counts, LINE_BYTES);
    }

    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes that are allocated.
    pub(super) fn memory(&self) -> usize {
        self.counts.capacity() + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_knows_that_somebody_of_it_is_here() {
        let mut stayers = Stayers::new(16);
        let id = |number: u64| OrderId(5 + 16 * number);
        for here in 0..10 {
            assert_eq!(stayers.find(id(here), 5), None);
            stayers.insert(id(here), 5, here as u32);
            assert_eq!(stayers.count(5), (here as u8 + 1).min(MANY));
        }
        for gone in 0..10 {
            stayers.remove(id(gone), 5);
            assert_eq!(stayers.find(id(gone), 5), None);
            (gone + 1..10).for_each(|here| assert_eq!(stayers.find(id(here), 5), Some(here as u32)));
        }
        assert_eq!((stayers.len(), stayers.count(5), stayers.count(4), stayers.count(6)), (0, MANY, 0, 0));
        // A wider window counts anew.
        stayers.insert(id(0), 5, 0);
        stayers.insert(id(1), 5, 1);
        stayers.grow(32, |id, _| (id.0 >= 16).then_some(id.0 as usize % 32));
        assert_eq!((stayers.len(), stayers.count(5), stayers.count(21)), (1, 0, 1));
        stayers.remove(id(1), 21);
        assert_eq!((stayers.len(), stayers.count(21)), (0, 0));
    }

    #[test]
    fn warm_counts_grow_where_they_are() {
        let mut stayers = Stayers::new(64);
        stayers.warm(1 << 16, 1_000);
        let (start, memory) = (stayers.counts.as_ptr(), stayers.memory());
        stayers.grow(1 << 16, |_, _| None);
        assert_eq!((stayers.counts.as_ptr(), stayers.memory()), (start, memory));
        assert!(stayers.counts.iter().all(|&counts| counts == 0), "nothing is left of warming");
    }
}
