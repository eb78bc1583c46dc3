//! One price level: a first-in-first-out queue of order handles as a vector, with removal anywhere in constant time.

use smallvec::SmallVec;

/// Marks a place in a queue whose order was removed from the middle.
const REMOVED: u32 = u32::MAX;

/// Handles kept inside the level itself, without a heap allocation. Most levels of a sparse book hold one to four orders.
const INLINE: usize = 4;

/// The orders of one price, oldest first.
///
/// A removed order leaves a mark behind, so that nobody's position shifts; when the vector is full and at least half of it
/// is marks, it is compacted instead of grown, so a push costs constant time on average. An emptied level keeps its memory:
/// the price will be used again, and a warm book does not allocate.
#[derive(Debug, Default)]
pub struct Level {
    queue: SmallVec<[u32; INLINE]>,
    /// Index of the oldest order, if there is one.
    head: u32,
    orders: u32,
    wh: u64,
}

/// A clone has the capacity of its original, so that it is as warm.
impl Clone for Level {
    fn clone(&self) -> Self {
        let mut queue = SmallVec::with_capacity(self.queue.capacity());
        queue.extend_from_slice(&self.queue);
        Level { queue, ..*self }
    }
}

impl Level {
    /// Number of orders.
    #[inline(always)]
    pub fn orders(&self) -> u32 {
        self.orders
    }

    /// Energy of all its orders, in Wh.
    #[inline(always)]
    pub fn wh(&self) -> u64 {
        self.wh
    }

    /// Handle of the oldest order; the level must not be empty.
    #[inline(always)]
    pub fn front(&self) -> u32 {
        self.queue[self.head as usize]
    }

    /// Handles from oldest to newest.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.queue[self.head as usize..].iter().copied().filter(|&handle| handle != REMOVED)
    }

    /// Appends an order and returns its place. `moved` is told the new place of every order that compaction moves.
    #[inline(always)]
    pub fn push(&mut self, handle: u32, wh: u32, moved: impl FnMut(u32, u32)) -> u32 {
        if self.queue.len() == self.queue.capacity() && self.queue.len() >= 2 * self.orders as usize {
            self.compact(moved);
        }
        let place = self.queue.len() as u32;
        self.queue.push(handle);
        self.orders += 1;
        self.wh += u64::from(wh);
        place
    }

    /// Takes energy off an order that stays.
    #[inline(always)]
    pub fn reduce(&mut self, wh: u32) {
        self.wh -= u64::from(wh);
    }

    /// Removes the order at a place that [`push`](Self::push) gave, with the energy it still had. Returns whether the level
    /// is empty now.
    #[inline(always)]
    pub fn remove(&mut self, place: u32, wh: u32) -> bool {
        self.wh -= u64::from(wh);
        self.orders -= 1;
        if self.orders == 0 {
            self.queue.clear();
            self.head = 0;
            return true;
        }
        self.queue[place as usize] = REMOVED;
        while self.queue[self.head as usize] == REMOVED {
            self.head += 1;
        }
        false
    }

    #[cold]
    fn compact(&mut self, mut moved: impl FnMut(u32, u32)) {
        let mut place = 0;
        for index in self.head as usize..self.queue.len() {
            let handle = self.queue[index];
            if handle != REMOVED {
                self.queue[place] = handle;
                moved(handle, place as u32);
                place += 1;
            }
        }
        self.queue.truncate(place);
        self.head = 0;
    }
}

const _: () = assert!(size_of::<Level>() == 40);
