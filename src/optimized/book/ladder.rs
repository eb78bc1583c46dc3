//! The price ladder of one side of a book: from a key (see [`book`](super)) to the level that stands there, and to
//! the next one, in a constant number of steps.
//!
//! ```text
//! key = block (8 bits, or as many as needed) | leaf (6 bits) | rung (6 bits)
//!
//! top --> words --bits of blocks--> blocks[block] --> node { members, at[leaf] } --> node { members, at[rung] } --> level
//! ```
//!
//! A node is 64-way: which of its places are in use, as bits, and where they lead. So the smallest key in use is four
//! `trailing_zeros` away, and a ladder's memory is that of the places it uses: an empty one of 2^20 keys is 2 KiB, a level far
//! from all others costs a fork and a leaf, 536 bytes.
//!
//! Fork 0 and leaf 0 are the empty ones. Whatever does not exist leads there, so that a search for what is not there needs no
//! questions on its way. A leaf that loses its last member keeps its place, because prices come back. When three quarters of
//! the leaves are empty and another place needs one, a hand that goes round them, as in a clock, takes the next empty one.

use crate::optimized::prefetch::prefetch;
use std::hint::select_unpredictable;

/// No key.
pub const NONE: u32 = u32::MAX;

/// The empty fork and the empty leaf.
const EMPTY: u32 = 0;

/// Keys per leaf, and leaves per fork.
const WIDTH: u32 = 64;

/// Keys per fork.
const BLOCK: u32 = WIDTH * WIDTH;

/// Leaves up to which the empty ones keep their places, and how many more for each that is in use.
const LEAVES_KEPT: usize = 32;
const KEPT_PER_LIVE: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Bit `n` says that `at[n]` leads to a member.
    members: u64,
    at: [u32; WIDTH as usize],
    /// Key of the first place, in units of a place.
    first: u32,
}

const EMPTY_NODE: Node = Node { members: 0, at: [EMPTY; WIDTH as usize], first: 0 };

/// Where a key's path goes through.
#[derive(Clone, Copy)]
struct Path {
    block: usize,
    fork: usize,
    leaf: usize,
}

/// A sorted map from keys `0..keys` to `u32` handles.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Bit `n` says that `words[n]` is not zero.
    top: u64,
    /// A bit for each block with members.
    words: Vec<u64>,
    /// Fork of each block.
    blocks: Vec<u32>,
    /// From a block's leaves to the places of these. One that was made stays.
    forks: Vec<Node>,
    /// From keys to handles.
    leaves: Vec<Node>,
    /// Leaves with members.
    live: usize,
    /// The leaf that the hand looked at last.
    hand: usize,
}

impl Ladder {
    /// Most keys that a ladder can have.
    pub const KEYS_MAX: u32 = BLOCK * 64 * 64;

    /// An empty ladder for keys `0..keys`.
    ///
    /// # Panics
    /// If there are more than [`KEYS_MAX`](Self::KEYS_MAX).
    pub fn new(keys: u32) -> Self {
        assert!(keys <= Self::KEYS_MAX, "{keys} keys: at most {} are supported", Self::KEYS_MAX);
        let blocks = keys.div_ceil(BLOCK).max(1) as usize;
        Ladder {
            top: 0,
            words: vec![0; blocks.div_ceil(64)],
            blocks: vec![EMPTY; blocks],
            forks: vec![EMPTY_NODE],
            leaves: vec![EMPTY_NODE],
            live: 0,
            hand: 0,
        }
    }

    #[inline(always)]
    fn path(&self, key: u32) -> Path {
        let block = (key / BLOCK) as usize;
        let fork = self.blocks[block] as usize;
        let leaf = self.forks[fork].at[rung(key / WIDTH)] as usize;
        Path { block, fork, leaf }
    }

    /// The handle at a key that is in use.
    #[inline(always)]
    pub fn get(&self, key: u32) -> u32 {
        self.leaves[self.path(key).leaf].at[rung(key)]
    }

    /// Asks for the memory of a key.
    #[inline(always)]
    pub fn prefetch(&self, key: u32) {
        let leaf = self.path(key).leaf;
        prefetch(&self.leaves, leaf);
        if let Some(leaf) = self.leaves.get(leaf) {
            prefetch(&leaf.at, rung(key));
        }
    }

    /// The handle at a key, if it is in use.
    #[inline(always)]
    pub fn find(&self, key: u32) -> Option<u32> {
        let leaf = &self.leaves[self.path(key).leaf];
        (leaf.members >> rung(key) & 1 != 0).then(|| leaf.at[rung(key)])
    }

    /// The handle at a key; `fresh` is put there if the key was not in use. Returns the handle and whether it is `fresh`.
    /// There is no branch on that, because nobody could predict it.
    #[inline(always)]
    pub fn get_or_insert(&mut self, key: u32, fresh: u32) -> (u32, bool) {
        let mut path = self.path(key);
        if path.leaf == EMPTY as usize {
            path = self.build(key);
        }
        let leaf = &mut self.leaves[path.leaf];
        let bit = 1 << rung(key);
        let is_fresh = leaf.members & bit == 0;
        let place = &mut leaf.at[rung(key)];
        let handle = select_unpredictable(is_fresh, fresh, *place);
        *place = handle;
        self.live += usize::from(leaf.members == 0);
        leaf.members |= bit;
        let fork = &mut self.forks[path.fork].members;
        let was_empty = *fork == 0;
        *fork |= 1 << rung(key / WIDTH);
        if was_empty {
            self.show(path.block);
        }
        (handle, is_fresh)
    }

    #[cold]
    fn show(&mut self, block: usize) {
        self.words[block / 64] |= 1 << (block % 64);
        self.top |= 1 << (block / 64);
    }

    #[cold]
    fn hide(&mut self, block: usize) {
        let word = &mut self.words[block / 64];
        *word &= !(1 << (block % 64));
        let word_empty = u64::from(*word == 0);
        self.top &= !(word_empty << (block / 64));
    }

    /// Takes a key that is in use out of use.
    #[inline(always)]
    pub fn remove(&mut self, key: u32) {
        let path = self.path(key);
        let leaf = &mut self.leaves[path.leaf].members;
        *leaf &= !(1 << rung(key));
        let leaf_empty = u64::from(*leaf == 0);
        self.live -= leaf_empty as usize;
        let fork = &mut self.forks[path.fork].members;
        *fork &= !(leaf_empty << rung(key / WIDTH));
        if *fork == 0 {
            self.hide(path.block);
        }
    }

    /// The smallest key in use, or [`NONE`], if there is none below `key`.
    #[inline(always)]
    pub fn first_from(&self, key: u32) -> u32 {
        let block = key / BLOCK;
        let fork = &self.forks[self.blocks[block as usize] as usize];
        if fork.members == 0 { self.first() } else { self.first_in_fork(block, fork) }
    }

    /// The smallest key in use, or [`NONE`].
    #[cold]
    pub fn first(&self) -> u32 {
        if self.top == 0 { NONE } else { self.first_from_word(self.top.trailing_zeros()) }
    }

    #[inline(always)]
    fn first_from_word(&self, word: u32) -> u32 {
        self.first_in_block(word * 64 + self.words[word as usize].trailing_zeros())
    }

    #[inline(always)]
    fn first_in_block(&self, block: u32) -> u32 {
        self.first_in_fork(block, &self.forks[self.blocks[block as usize] as usize])
    }

    #[inline(always)]
    fn first_in_fork(&self, block: u32, fork: &Node) -> u32 {
        let at = fork.members.trailing_zeros();
        block * BLOCK + at * WIDTH + self.leaves[fork.at[rung(at)] as usize].members.trailing_zeros()
    }

    /// The smallest key in use after `key`, or [`NONE`].
    #[inline(always)]
    pub fn next_after(&self, key: u32) -> u32 {
        let path = self.path(key);
        let above = above(self.leaves[path.leaf].members, key);
        if above != 0 {
            return (key & !(WIDTH - 1)) + above.trailing_zeros();
        }
        self.next_leaf(path, key)
    }

    fn next_leaf(&self, path: Path, key: u32) -> u32 {
        let fork = &self.forks[path.fork];
        let leaves = above(fork.members, key / WIDTH);
        if leaves != 0 {
            let at = leaves.trailing_zeros();
            let leaf = &self.leaves[fork.at[rung(at)] as usize];
            return (key & !(BLOCK - 1)) + at * WIDTH + leaf.members.trailing_zeros();
        }
        let block = path.block as u32;
        let word = block / 64;
        let blocks = above(self.words[word as usize], block);
        if blocks != 0 {
            return self.first_in_block(word * 64 + blocks.trailing_zeros());
        }
        let words = above(self.top, word);
        if words != 0 { self.first_from_word(words.trailing_zeros()) } else { NONE }
    }

    /// Makes the nodes on the path of a key.
    #[cold]
    #[inline(never)]
    fn build(&mut self, key: u32) -> Path {
        let block = (key / BLOCK) as usize;
        if self.blocks[block] == EMPTY {
            self.blocks[block] = self.forks.len() as u32;
            self.forks.push(EMPTY_NODE);
        }
        let leaf = self.spare_leaf();
        self.leaves[leaf].first = key / WIDTH;
        let fork = self.blocks[block] as usize;
        self.forks[fork].at[rung(key / WIDTH)] = leaf as u32;
        Path { block, fork, leaf }
    }

    /// A leaf that is not in use: one that is empty and kept its place until now, or a new one.
    fn spare_leaf(&mut self) -> usize {
        if self.leaves.len() > KEPT_PER_LIVE * self.live + LEAVES_KEPT {
            loop {
                self.hand = if self.hand + 1 < self.leaves.len() { self.hand + 1 } else { 1 };
                let leaf = &self.leaves[self.hand];
                if leaf.members == 0 {
                    let fork = self.blocks[(leaf.first / WIDTH) as usize] as usize;
                    self.forks[fork].at[rung(leaf.first)] = EMPTY;
                    return self.hand;
                }
            }
        }
        self.leaves.push(EMPTY_NODE);
        self.leaves.len() - 1
    }

    /// Panics unless the bits of all heights agree.
    #[doc(hidden)]
    pub fn check(&self) {
        let (mut placed, mut live) = (0, 0);
        for (block, &fork) in self.blocks.iter().enumerate() {
            let fork = &self.forks[fork as usize];
            for (rung, &leaf) in fork.at.iter().enumerate() {
                let members = self.leaves[leaf as usize].members;
                assert_eq!(fork.members >> rung & 1 != 0, members != 0, "leaf {rung} of block {block}");
                placed += usize::from(leaf != EMPTY);
                live += usize::from(members != 0);
            }
            let bit = self.words[block / 64] >> (block % 64) & 1 != 0;
            assert_eq!(bit, fork.members != 0, "block {block}");
        }
        for (at, word) in self.words.iter().enumerate() {
            assert_eq!(self.top >> at & 1 != 0, *word != 0, "word {at}");
        }
        assert_eq!((placed, live), (self.leaves.len() - 1, self.live), "leaves");
        let empty = [&self.forks[EMPTY as usize], &self.leaves[EMPTY as usize]];
        assert!(empty.iter().all(|node| node.members == 0), "the empty nodes are empty");
        assert!(empty[0].at.iter().all(|&leaf| leaf == EMPTY), "the empty fork leads nowhere");
    }

    /// Bytes that this ladder has allocated.
    pub fn memory(&self) -> usize {
        8 * self.words.capacity()
            + 4 * self.blocks.capacity()
            + size_of::<Node>() * (self.forks.capacity() + self.leaves.capacity())
    }
}

/// Which of a node's places a number's low digit is.
#[inline(always)]
fn rung(number: u32) -> usize {
    (number % WIDTH) as usize
}

/// The bits of a word above the place of a number's low digit.
#[inline(always)]
fn above(word: u64, number: u32) -> u64 {
    // In two steps, because a shift by 64 is not one.
    word & (!1 << rung(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng, rand_core::SeedableRng};
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_sorted_map_at_every_width() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for keys in [1u32, 2, 63, 64, 65, 4_095, 4_096, 4_097, 262_145, 1 << 20, Ladder::KEYS_MAX] {
            let mut ladder = Ladder::new(keys);
            let mut map = BTreeMap::new();
            for step in 0..6_000u32 {
                let key =
                    if step % 3 == 0 { keys - 1 - random.next_u32() % keys.min(9) } else { random.next_u32() % keys };
                if random.next_u32() % 5 < 3 {
                    let expected = *map.entry(key).or_insert(step);
                    assert_eq!(ladder.get_or_insert(key, step), (expected, expected == step), "{keys} keys");
                } else if let Some((&used, _)) = map.range(key..).next() {
                    ladder.remove(used);
                    map.remove(&used);
                }
                assert_eq!(ladder.find(key), map.get(&key).copied(), "{keys} keys");
                let first = map.keys().next().copied();
                assert_eq!(ladder.first_from(first.unwrap_or(key)), first.unwrap_or(NONE), "{keys} keys");
                assert_eq!(ladder.first(), map.keys().next().copied().unwrap_or(NONE), "{keys} keys");
                let next = map.range(key + 1..).next().map_or(NONE, |(&next, _)| next);
                assert_eq!(ladder.next_after(key), next, "{keys} keys, after {key}");
            }
            ladder.check();
        }
    }

    #[test]
    fn a_ladder_costs_what_it_uses() {
        let keys = 1 << 20;
        let mut ladder = Ladder::new(keys);
        assert!(ladder.memory() < 2 << 10, "{}", ladder.memory());
        // Few levels that are far apart.
        for level in 0..16 {
            ladder.get_or_insert(level * 65_000, level);
        }
        assert!(ladder.memory() < 28 << 10, "{}", ladder.memory());
        // One more at a time, all over the band: forks stay where it has been, leaves do not.
        for key in (1..keys).step_by(61).filter(|key| key % 65_000 != 0) {
            ladder.get_or_insert(key, key);
            ladder.remove(key);
        }
        assert!(ladder.leaves.len() <= KEPT_PER_LIVE * 17 + LEAVES_KEPT + 1, "{}", ladder.leaves.len());
        ladder.check();
    }
}
