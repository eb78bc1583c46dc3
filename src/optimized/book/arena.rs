//! The memory of a book: one array of slots, in which orders and levels stand side by side.
//!
//! ```text
//!        next  prev  owner  place  x                                  y
//! order  ----  ----  level  key*   what is left | tag.1 (high half)   tag.0
//! level  first last  LEVEL         Wh of its orders                   number of its orders      * key x 2 + side
//! free               FREE
//! ```
//!
//! The orders of a level form a ring that the level itself closes, so that an order is taken out of the middle, the front or
//! the end by the same two stores. A slot is half a cache line. Once a level, it stays one: when its last order goes, what is left is a ring of
//! itself, and sums of nothing, which is what a new level has to be.
//!
//! The numbers of free slots are stacks, one of orders and one of levels: what was just used, and is in the cache, is used again first. They
//! stand beside the slots, so that a burst of orders, which has to wait for slots that are not in the cache, waits for several at a time.
//!
//! **What the unchecked accesses rely on**: `next`, `prev` and `owner` of a slot hold numbers of slots, [`FREE`] or [`LEVEL`]; a stack has room
//! for all slots of its kind, and its free ones, [`Stack::spare`] of them, are numbers of slots. Slots are never taken away. Numbers from
//! outside are checked.

#![allow(unsafe_code)]

use super::terms::Maker;
use crate::optimized::prefetch::prefetch;
use crate::types::{Ticks, Wh};
use std::hint::select_unpredictable;

/// Instead of a level, in `owner`: the slot is free, or a level itself.
const FREE: u32 = u32::MAX;
const LEVEL: u32 = u32::MAX - 1;

/// Slots of orders, and of levels, that are added at a time.
const GROWTH: usize = 64;
const LEVEL_GROWTH: usize = 16;

/// Cache lines, of two slots each, that are asked for around a slot that is taken next.
const PREFETCHED: usize = 4;

/// The owner's mark on an order: twelve bytes of which the book knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(pub u64, pub u32);

#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Slot {
    next: u32,
    prev: u32,
    owner: u32,
    place: u32,
    x: u64,
    /// In two halves, because a level counts in the lower one: as one word, the compiler adds to `x` and `y` at once, with a load
    /// as wide as both, which has to wait for the two stores before it.
    y: [u32; 2],
}

const _: () = assert!(size_of::<Slot>() == 32);

/// An order, read from its slot.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The owner's mark.
    pub tag: Tag,
    /// What is left of it.
    pub wh: Wh,
    /// Key x 2 + side.
    pub place: u32,
}

/// A level, read from its slot.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Number of its orders.
    pub orders: u32,
    /// Energy of its orders.
    pub wh: u64,
}

/// The numbers of the free slots of a kind.
#[derive(Debug)]
struct Stack {
    /// The first `spare` of them. As long as there are slots of the kind.
    free: Vec<u32>,
    spare: usize,
}

/// A clone has the capacity of its original, so that it is as warm.
impl Clone for Stack {
    fn clone(&self) -> Self {
        Stack { free: clone_with_capacity(&self.free), ..*self }
    }
}

fn clone_with_capacity<T: Clone>(of: &Vec<T>) -> Vec<T> {
    let mut clone = Vec::with_capacity(of.capacity());
    clone.extend_from_slice(of);
    clone
}

impl Stack {
    fn new(slots: usize) -> Self {
        Stack { free: Vec::with_capacity(slots), spare: 0 }
    }

    /// The slot that is taken next. One must be there.
    #[inline(always)]
    fn top(&self) -> u32 {
        debug_assert!(self.spare > 0);
        // SAFETY: below `spare`, and so below its length.
        unsafe { *self.free.get_unchecked(self.spare - 1) }
    }

    /// Puts a slot on it that was in use until now.
    #[inline(always)]
    fn put_back(&mut self, slot: u32) {
        debug_assert!(self.spare < self.free.len());
        // SAFETY: this slot was in use: the stack has room for all slots of its kind.
        unsafe { *self.free.get_unchecked_mut(self.spare) = slot };
        self.spare += 1;
    }

    /// Slots in use.
    #[inline(always)]
    fn used(&self) -> usize {
        self.free.len() - self.spare
    }
}

/// Orders and levels in one array.
#[derive(Debug)]
pub struct Arena {
    slots: Vec<Slot>,
    orders: Stack,
    levels: Stack,
}

impl Clone for Arena {
    fn clone(&self) -> Self {
        Arena { slots: clone_with_capacity(&self.slots), orders: self.orders.clone(), levels: self.levels.clone() }
    }
}

impl Arena {
    /// An arena with address space for so many orders, and some levels; memory that is not used is not touched.
    pub fn new(orders: usize) -> Self {
        // More levels, if they are needed, move the array once.
        let levels = orders / 8;
        Arena { slots: Vec::with_capacity(orders + levels), orders: Stack::new(orders), levels: Stack::new(levels) }
    }

    /// Number of orders.
    #[inline(always)]
    pub fn orders(&self) -> u32 {
        self.orders.used() as u32
    }

    /// A slot whose number was read in a slot.
    #[inline(always)]
    fn at(&self, slot: u32) -> &Slot {
        debug_assert!((slot as usize) < self.slots.len());
        // SAFETY: such numbers are of slots.
        unsafe { self.slots.get_unchecked(slot as usize) }
    }

    #[inline(always)]
    fn at_mut(&mut self, slot: u32) -> &mut Slot {
        debug_assert!((slot as usize) < self.slots.len());
        // SAFETY: such numbers are of slots.
        unsafe { self.slots.get_unchecked_mut(slot as usize) }
    }

    /// The two slots that will be taken next: for an order, and for a level if it needs one.
    #[inline(always)]
    pub fn next_two(&mut self) -> (u32, u32) {
        if self.orders.spare == 0 || self.levels.spare == 0 {
            self.grow();
        }
        (self.orders.top(), self.levels.top())
    }

    /// Adds free slots, above those that are there, to the stack that has none.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let empty = Slot { next: 0, prev: 0, owner: FREE, place: 0, x: 0, y: [0; 2] };
        for (stack, growth, owner) in [(&mut self.orders, GROWTH, FREE), (&mut self.levels, LEVEL_GROWTH, LEVEL)] {
            if stack.spare > 0 {
                continue;
            }
            let start = self.slots.len() as u32;
            assert!(start < LEVEL - growth as u32, "the book has no handles left");
            let end = start + growth as u32;
            self.slots.extend((start..end).map(|slot| Slot { next: slot, prev: slot, owner, ..empty }));
            stack.free.resize(stack.free.len() + growth, 0);
            stack.spare = growth;
            (start..end).rev().zip(&mut stack.free).for_each(|(slot, free)| *free = slot);
        }
    }

    /// Takes the first, or both, of the slots that [`next_two`](Self::next_two) gave, and puts an order into the first one,
    /// as the last one of a level: `level` if there is one, the second slot (`fresh`) if not.
    #[inline(always)]
    pub fn push_order(&mut self, slot: u32, (level, fresh): (u32, bool), order: Order) {
        debug_assert_eq!(slot, self.orders.top());
        self.orders.spare -= 1;
        // Whether a price has orders already is anybody's guess.
        self.levels.spare -= usize::from(fresh);
        let at = &mut self.slots[level as usize];
        let last = std::mem::replace(&mut at.prev, slot);
        at.x += u64::from(order.wh);
        at.y[0] += 1;
        self.at_mut(last).next = slot;
        self.slots[slot as usize] = Slot {
            next: level,
            prev: last,
            owner: level,
            place: order.place,
            x: u64::from(order.wh) | u64::from(order.tag.1) << 32,
            y: [order.tag.0 as u32, (order.tag.0 >> 32) as u32],
        };
    }

    /// Takes an order out, if this is the handle of one, and its tag this one, if any; if it was the last one of its level, the level too. Returns the
    /// order and whether the level is gone.
    #[inline(always)]
    pub fn take_order(&mut self, handle: u32, tag: Option<Tag>) -> Option<(Order, bool)> {
        let slot = self.slots.get_mut(handle as usize)?;
        let Slot { next, prev, owner, .. } = *slot;
        let order = order(slot);
        if owner >= LEVEL || tag.is_some_and(|tag| tag != order.tag) {
            return None;
        }
        slot.owner = FREE;
        self.at_mut(prev).next = next;
        self.at_mut(next).prev = prev;
        self.orders.put_back(handle);
        let level = self.at_mut(owner);
        level.x -= u64::from(order.wh);
        level.y[0] -= 1;
        let gone = level.y[0] == 0;
        if gone {
            self.levels.put_back(owner);
        }
        Some((order, gone))
    }

    /// The front of a level's queue, to take orders off it.
    #[inline(always)]
    pub fn front(&self, level: u32) -> Front {
        let Slot { next, prev, .. } = *self.at(level);
        Front { level, order: next, back: prev, orders: 0, wh: 0 }
    }

    /// Takes energy off an order that keeps some. Returns its place.
    #[inline(always)]
    pub fn reduce(&mut self, handle: u32, wh: Wh) -> u32 {
        let order = &mut self.slots[handle as usize];
        debug_assert!(order.owner < LEVEL && wh < order.x as u32);
        order.x -= u64::from(wh);
        let (level, place) = (order.owner, order.place);
        self.slots[level as usize].x -= u64::from(wh);
        place
    }

    /// An order, if this is the handle of one.
    #[inline(always)]
    pub fn order(&self, handle: u32) -> Option<Order> {
        let slot = self.slots.get(handle as usize)?;
        (slot.owner < LEVEL).then(|| order(slot))
    }

    /// All slots, with the tags of those that are orders'.
    pub fn tags(&self) -> impl Iterator<Item = (u32, Tag)> {
        (0..).zip(&self.slots).map(|(handle, slot)| (handle, order(slot).tag))
    }

    /// A level by its handle.
    #[inline(always)]
    pub fn level(&self, handle: u32) -> Level {
        let slot = &self.slots[handle as usize];
        Level { orders: slot.y[0], wh: slot.x }
    }

    /// The oldest order of a level.
    #[inline(always)]
    pub fn first(&self, level: u32) -> u32 {
        self.slots[level as usize].next
    }

    /// The handles of a level's orders, oldest first.
    #[inline(always)]
    pub fn handles(&self, level: u32) -> impl Iterator<Item = u32> {
        let next = move |slot: u32| Some(self.slots[slot as usize].next).filter(|&next| next != level);
        std::iter::successors(next(level), move |&slot| next(slot))
    }

    /// Asks for the memory of a slot. Any number will do.
    #[inline(always)]
    pub fn prefetch(&self, handle: u32) {
        prefetch(&self.slots, self.any(handle));
    }

    /// Asks for what says which slots are taken next.
    #[inline(always)]
    pub fn prefetch_stacks(&self) {
        for stack in [&self.orders, &self.levels] {
            prefetch(&stack.free, stack.spare.wrapping_sub(1));
        }
    }

    /// Asks for the slots that are taken next, and for those beside them: where there are few orders, these are most of the others.
    #[inline(always)]
    pub fn prefetch_free(&self) {
        for stack in [&self.orders, &self.levels] {
            if stack.spare > 0 {
                let top = self.any(stack.top());
                (0..PREFETCHED).for_each(|line| prefetch(&self.slots, (top + 2 * line).wrapping_sub(PREFETCHED)));
            }
        }
    }

    /// The place of a slot, or of the first one in place of one that is not there: an address that is not mapped costs a walk through
    /// the page tables.
    #[inline(always)]
    fn any(&self, handle: u32) -> usize {
        select_unpredictable((handle as usize) < self.slots.len(), handle as usize, 0)
    }

    /// Asks for the slots beside one, and for its level: beside a level, for its first and its last order. Any number will do.
    #[inline(always)]
    pub fn prefetch_neighbours(&self, handle: u32) {
        if let Some(slot) = self.slots.get(self.any(handle)) {
            self.prefetch(slot.next);
            self.prefetch(slot.prev);
            self.prefetch(slot.owner);
        }
    }

    /// Bytes that this arena has touched.
    pub fn memory(&self) -> usize {
        (size_of::<Slot>() + size_of::<u32>()) * self.slots.len()
    }

    /// Panics unless each slot is free, or a level's, or one of its orders', and sums agree. Returns the levels.
    #[doc(hidden)]
    pub fn check(&self) -> Vec<(u32, u32)> {
        let mut known = vec![false; self.slots.len()];
        let mut see = |slot: u32| assert!(!std::mem::replace(&mut known[slot as usize], true), "slot {slot} twice");
        let mut levels = Vec::new();
        let mut orders = 0;
        for (handle, level) in (0..).zip(&self.slots).filter(|(_, slot)| slot.owner == LEVEL) {
            let (mut wh, mut count, mut prev) = (0, 0, handle);
            let place = self.slots[level.next as usize].place;
            for handle in self.handles(handle) {
                see(handle);
                let slot = &self.slots[handle as usize];
                assert_eq!((slot.prev, slot.place), (prev, place), "order {handle}");
                assert!(slot.x as u32 > 0, "order {handle} is filled");
                (wh, count, prev) = (wh + (slot.x & 0xffff_ffff), count + 1, handle);
            }
            assert_eq!((level.x, u64::from(level.y[0]), level.prev), (wh, count, prev), "level {handle}");
            orders += count;
            // Those without orders are on their stack.
            if count > 0 {
                see(handle);
                levels.push((place, handle));
            }
        }
        assert_eq!((orders as usize, levels.len()), (self.orders.used(), self.levels.used()));
        for (stack, owner) in [(&self.orders, FREE), (&self.levels, LEVEL)] {
            for &free in &stack.free[..stack.spare] {
                see(free);
                assert_eq!(self.slots[free as usize].owner, owner);
            }
        }
        assert_eq!(self.orders.free.len() + self.levels.free.len(), self.slots.len());
        assert!(known.iter().all(|&known| known), "a slot is lost");
        levels
    }
}

/// The front of a level's queue while orders are taken off it: what the level has less is summed up, and written when it is closed.
pub struct Front {
    level: u32,
    /// The order at the front; the level itself behind the last one.
    order: u32,
    /// An order that will be there soon, if the level is taken whole. From order to order it is a chain of loads, each of which waits for the
    /// one before: from both ends, it is half as long.
    back: u32,
    /// Taken off.
    orders: u32,
    /// Their energy, and what was taken off one that stays.
    wh: u64,
}

impl Front {
    /// Whether no order is left.
    #[inline(always)]
    pub fn is_end(&self) -> bool {
        self.order == self.level
    }

    /// The order at the front, which must be there.
    #[inline(always)]
    pub fn maker(&self, arena: &Arena, price: Ticks) -> Maker {
        debug_assert!(!self.is_end());
        let Order { tag, wh, .. } = order(arena.at(self.order));
        Maker { handle: self.order, price, wh, tag }
    }

    /// Takes energy off the order at the front; if it was `all` of it, the order, too.
    #[inline(always)]
    pub fn take(&mut self, arena: &mut Arena, wh: Wh, all: bool) {
        self.wh += u64::from(wh);
        let slot = arena.at_mut(self.order);
        if all {
            let next = slot.next;
            slot.owner = FREE;
            prefetch(&arena.slots, self.back as usize);
            self.back = arena.at(self.back).prev;
            arena.orders.put_back(self.order);
            self.orders += 1;
            self.order = next;
        } else {
            slot.x -= u64::from(wh);
        }
    }

    /// Writes what the level has left; if that is nothing, takes it out, and says so.
    #[inline(always)]
    pub fn close(self, arena: &mut Arena) -> bool {
        let gone = self.is_end();
        let level = arena.at_mut(self.level);
        level.x -= self.wh;
        level.y[0] -= self.orders;
        level.next = self.order;
        // Of a level without orders, this is the level itself.
        arena.at_mut(self.order).prev = self.level;
        if gone {
            arena.levels.put_back(self.level);
        }
        gone
    }
}

#[inline(always)]
fn order(slot: &Slot) -> Order {
    let id = u64::from(slot.y[0]) | u64::from(slot.y[1]) << 32;
    Order { tag: Tag(id, (slot.x >> 32) as u32), wh: slot.x as Wh, place: slot.place }
}
