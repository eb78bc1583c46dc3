//! The best levels of a side, kept by whoever reads them often, and brought up to date with what changed.

use super::ladder::{Ladder, NONE};
use super::{Book, LevelView};
use crate::types::Side;
use std::hint::select_unpredictable;

/// Where something changed on a side: the smallest key, and the bits of all keys. No key has a bit that the smallest one lacks only
/// if all are that one: so `bits == low` says that one level changed, and costs one instruction each time. Until something
/// changes, the smallest is [`NONE`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    low: u32,
    bits: u32,
}

impl Touched {
    pub const NOTHING: Touched = Touched { low: NONE, bits: 0 };

    #[inline(always)]
    pub fn add(&mut self, key: u32) {
        // Nobody could predict a branch on that.
        self.low = select_unpredictable(key < self.low, key, self.low);
        self.bits |= key;
    }
}

/// The smallest key in use from this one on, or [`NONE`].
#[inline(always)]
fn first_from(ladder: &Ladder, key: u32) -> u32 {
    if ladder.find(key).is_some() { key } else { ladder.next_after(key) }
}

impl Book<true> {
    /// Brings the best levels of a side up to date. `levels[..count]` are what this function, or [`depth`](Book::depth), said
    /// when it was called last for this side; now they are as `depth` would say, and how many there are is returned. The list
    /// must always have the same length: room for so many levels is kept.
    ///
    /// What it costs depends on what changed since: nothing, or only behind the last level that is kept, costs a comparison; one
    /// level, a look at it, and a move of those behind it if it is new or gone; several, the levels from the first of them on are
    /// read again.
    #[inline]
    pub fn refresh_top(&mut self, side: Side, levels: &mut [LevelView], count: usize) -> usize {
        let Touched { low, bits } = std::mem::replace(&mut self.touched[side as usize], Touched::NOTHING);
        let is_full = count == levels.len();
        if low == NONE || is_full && levels.last().is_none_or(|last| low > self.key(side, last.price)) {
            return count;
        }
        let at = levels[..count].partition_point(|level| self.key(side, level.price) < low);
        if bits != low {
            return self.read_from(side, low, levels, at);
        }
        let was_there = at < count && self.key(side, levels[at].price) == low;
        let ladder = &self.ladders[side as usize];
        match (ladder.find(low), was_there) {
            (Some(level), true) => {
                levels[at] = self.level_view(side, low, level);
                count
            }
            (Some(level), false) => {
                let kept = count.min(levels.len() - 1);
                levels.copy_within(at..kept, at + 1);
                levels[at] = self.level_view(side, low, level);
                kept + 1
            }
            (None, true) => {
                levels.copy_within(at + 1..count, at);
                let kept = count - 1;
                // A full list may have left some out: the next one moves up.
                let last = levels[..kept].last().map_or(low, |last| self.key(side, last.price));
                if is_full { self.read_from(side, last.saturating_add(1), levels, kept) } else { kept }
            }
            // It came and went.
            (None, false) => count,
        }
    }

    /// Reads levels from a key on into `levels[at..]`; says how many there are in all.
    fn read_from(&self, side: Side, key: u32, levels: &mut [LevelView], at: usize) -> usize {
        if key > self.last_key || self.best[side as usize] == NONE {
            return at;
        }
        let ladder = &self.ladders[side as usize];
        let mut key = first_from(ladder, key);
        for (count, view) in levels.iter_mut().enumerate().skip(at) {
            if key == NONE {
                return count;
            }
            *view = self.level_view(side, key, ladder.get(key));
            key = ladder.next_after(key);
        }
        levels.len()
    }
}
