//! The price ladder of one side of a book: from a key (see [`book`](super)) to the level that stands there, and to the next
//! one, in a constant number of steps.
//!
//! ```text
//! key = block (3 bits) | word (6 bits) | leaf (6 bits) | rung (6 bits)
//!
//! top --> blocks[block] --> fork { summary, words[word], at[word, leaf] } --> leaf { members, at[rung] } --> level
//! ```
//!
//! At every height, bits say which places are in use. So the smallest key in use is four `trailing_zeros` away, and a ladder's
//! memory is that of the places it uses: a level far from all others costs a leaf, and in a block of its own a
//! fork: 9 KiB.
//!
//! Leaf 0 is empty, and so is the fork that stands for all that were not built. Whatever does not exist leads there, so that a search for what is not there needs no
//! questions on its way. A leaf that loses its last member keeps its place, because prices come back. When there are many
//! such leaves and another place needs one, a hand that goes round all of them, as in a clock, takes the next empty one.
//!
//! **What the unchecked accesses rely on**: `Fork::at` holds numbers of leaves; they only ever grow, and `members`, `rungs` and `places` are equally long.

#![allow(unsafe_code)]

use crate::optimized::prefetch::prefetch;
use std::hint::select_unpredictable;

/// No key.
pub const NONE: u32 = u32::MAX;

/// The empty leaf.
const EMPTY: u32 = 0;

/// Keys per leaf, and leaves per word of a fork.
const WIDTH: u32 = 64;

/// Words per fork.
const WORDS: u32 = 64;

/// Keys per fork: so many that the prices of a day seldom lie in two. Where they do, nobody can guess which fork runs empty.
const BLOCK: u32 = WORDS * WIDTH * WIDTH;

/// Forks of a ladder.
const BLOCKS: usize = 8;

/// For each leaf that is in use, so many more of the empty ones keep their places.
const KEPT_PER_LIVE: usize = 6;

#[derive(Clone, Copy, Debug)]
struct Fork {
    /// Bit `n` says that `words[n]` is not zero.
    summary: u64,
    /// A bit for each leaf with members.
    words: [u64; WORDS as usize],
    at: [u16; (WORDS * WIDTH) as usize],
}

static EMPTY_FORK: Fork = Fork { summary: 0, words: [0; WORDS as usize], at: [EMPTY as u16; (WORDS * WIDTH) as usize] };

/// Where a key stands.
#[derive(Clone, Copy, Debug)]
pub struct Rung {
    /// The key.
    pub key: u32,
    leaf: u32,
}

const _: () = assert!(Ladder::KEYS_MAX / WIDTH < u16::MAX as u32, "a fork has 16 bits for a leaf");

/// A sorted map from keys `0..KEYS_MAX` to `u32` handles.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Bit `n` says that the fork of block `n` is not empty.
    top: u32,
    /// Fork of each block that had one. It stays.
    blocks: [Option<Box<Fork>>; BLOCKS],
    /// Of each leaf: bit `n` says that its rung `n` is in use.
    members: Vec<u64>,
    /// Of each leaf: the handles on its rungs.
    rungs: Vec<[u32; WIDTH as usize]>,
    /// Of each leaf: its place, that is its keys without the last digit.
    places: Vec<u32>,
    /// Leaves with members.
    live: usize,
    /// The leaf that the hand looked at last.
    hand: usize,
    /// Leaves up to which the empty ones keep their places.
    kept: usize,
    /// The last key of a block that ran empty: what comes next is probably near it.
    last: u32,
}

impl Ladder {
    /// Most keys that a ladder can have.
    pub const KEYS_MAX: u32 = BLOCKS as u32 * BLOCK;

    /// An empty ladder. Up to so many leaves, of 268 bytes each, those that run empty keep their places.
    pub fn new(kept: usize) -> Self {
        // Address space for the kept ones; memory that is not used is not touched.
        let leaves = 1 + kept;
        let mut ladder = Ladder {
            top: 0,
            blocks: [const { None }; BLOCKS],
            members: Vec::with_capacity(leaves),
            rungs: Vec::with_capacity(leaves),
            places: Vec::with_capacity(leaves),
            live: 0,
            hand: 0,
            kept,
            last: 0,
        };
        ladder.add_leaf();
        ladder
    }

    #[inline(always)]
    fn fork(&self, key: u32) -> &Fork {
        self.blocks[block(key)].as_deref().unwrap_or(&EMPTY_FORK)
    }

    /// The fork of a key that has one.
    #[inline(always)]
    fn fork_mut(&mut self, key: u32) -> &mut Fork {
        self.blocks[block(key)].as_deref_mut().expect("it was built")
    }

    /// The number of a key's leaf.
    #[inline(always)]
    fn leaf(&self, key: u32) -> u32 {
        u32::from(self.fork(key).at[place_in_fork(key)])
    }

    #[inline(always)]
    fn members(&self, leaf: u32) -> u64 {
        debug_assert!((leaf as usize) < self.members.len());
        // SAFETY: forks hold numbers of leaves, and the callers' numbers are from forks.
        unsafe { *self.members.get_unchecked(leaf as usize) }
    }

    #[inline(always)]
    fn members_mut(&mut self, leaf: u32) -> &mut u64 {
        debug_assert!((leaf as usize) < self.members.len());
        // SAFETY: as above.
        unsafe { self.members.get_unchecked_mut(leaf as usize) }
    }

    #[inline(always)]
    fn rungs(&self, leaf: u32) -> &[u32; WIDTH as usize] {
        debug_assert!((leaf as usize) < self.rungs.len());
        // SAFETY: as above; there are as many sets of rungs as of members.
        unsafe { self.rungs.get_unchecked(leaf as usize) }
    }

    #[inline(always)]
    fn rungs_mut(&mut self, leaf: u32) -> &mut [u32; WIDTH as usize] {
        debug_assert!((leaf as usize) < self.rungs.len());
        // SAFETY: as above.
        unsafe { self.rungs.get_unchecked_mut(leaf as usize) }
    }

    /// The handle at a key that is in use; anything at any other.
    #[inline(always)]
    pub fn get(&self, key: u32) -> u32 {
        self.rungs(self.leaf(key))[digit(key)]
    }

    /// Asks for the memory of a key.
    #[inline(always)]
    pub fn prefetch(&self, key: u32) {
        let leaf = self.leaf(key);
        prefetch(&self.members, leaf as usize);
        prefetch(self.rungs(leaf), digit(key));
    }

    /// Asks for what leads to the smallest key in use, or where there was one (`first`: that key, or [`NONE`]), and to others that are not
    /// far from it: to the cache lines before or behind, whichever is nearer.
    #[inline(always)]
    pub fn prefetch_way(&self, first: u32) {
        let key = select_unpredictable(first == NONE, self.last, first);
        let fork = self.fork(key);
        let (place, word) = (place_in_fork(key), word(key));
        // Half a cache line of each before and behind: one of the two is on the key's own line.
        for (place, word) in [(place.wrapping_sub(16), word.wrapping_sub(4)), (place + 16, word + 4)] {
            prefetch(&fork.at, place);
            prefetch(&fork.words, word);
        }
        prefetch(std::slice::from_ref(&fork.summary), 0);
    }

    /// The handle at a key, if it is in use.
    #[inline(always)]
    pub fn find(&self, key: u32) -> Option<u32> {
        let leaf = self.leaf(key);
        (self.members(leaf) >> digit(key) & 1 != 0).then(|| self.rungs(leaf)[digit(key)])
    }

    /// The handle at a key; `fresh` is put there if the key was not in use. Returns the handle and whether it is `fresh`.
    /// Nobody could predict a branch on that, so the compiler is asked for none.
    #[inline(always)]
    pub fn get_or_insert(&mut self, key: u32, fresh: u32) -> (u32, bool) {
        let Some(fork) = &mut self.blocks[block(key)] else { return self.build(key, fresh) };
        let leaf = u32::from(fork.at[place_in_fork(key)]);
        if leaf == EMPTY {
            return self.build(key, fresh);
        }
        fork.words[word(key)] |= 1 << digit(key / WIDTH);
        let was_empty = fork.summary == 0;
        fork.summary |= 1 << word(key);
        if was_empty {
            self.top |= 1 << block(key);
        }
        let members = self.members_mut(leaf);
        let bit = 1 << digit(key);
        let is_fresh = *members & bit == 0;
        let newly_live = *members == 0;
        *members |= bit;
        self.live += usize::from(newly_live);
        let rung = &mut self.rungs_mut(leaf)[digit(key)];
        let handle = select_unpredictable(is_fresh, fresh, *rung);
        *rung = handle;
        (handle, is_fresh)
    }

    /// Takes a key that is in use out of use. Returns the smallest key in use, or [`NONE`], if `key` was that; otherwise any
    /// number. Mostly the next one is on the same leaf, and where that is guessed right nobody waits for the search.
    #[inline(always)]
    pub fn remove(&mut self, key: u32) -> u32 {
        let leaf = self.leaf(key);
        let members = self.members_mut(leaf);
        *members &= !(1 << digit(key));
        if *members != 0 {
            return (key & !(WIDTH - 1)) + members.trailing_zeros();
        }
        self.remove_leaf(key)
    }

    /// Says at all heights that the leaf of a key is empty, and returns what [`remove`](Self::remove) does. What was just written stays
    /// in registers, and the way to the next key begins there: it is the longest chain of loads in a book.
    #[inline(always)]
    fn remove_leaf(&mut self, key: u32) -> u32 {
        self.live -= 1;
        let fork = self.fork_mut(key);
        let bits = &mut fork.words[word(key)];
        *bits &= !(1 << digit(key / WIDTH));
        let word_empty = u64::from(*bits == 0);
        let summary = fork.summary & !(word_empty << word(key));
        fork.summary = summary;
        if summary == 0 {
            return self.first_of_others(key);
        }
        let word = summary.trailing_zeros();
        let at = word * WIDTH + fork.words[word as usize % WORDS as usize].trailing_zeros();
        let leaf = u32::from(fork.at[at as usize % (WORDS * WIDTH) as usize]);
        (key & !(BLOCK - 1)) + at * WIDTH + self.members(leaf).trailing_zeros()
    }

    /// Where a key stands that is in use.
    #[inline(always)]
    pub fn rung(&self, key: u32) -> Rung {
        Rung { key, leaf: self.leaf(key) }
    }

    /// The handle on a rung.
    #[inline(always)]
    pub fn at(&self, rung: Rung) -> u32 {
        self.rungs(rung.leaf)[digit(rung.key)]
    }

    /// Takes the smallest key in use out of use, and returns the next one, or [`NONE`]. For somebody who goes up the ladder: mostly the
    /// next one is on the same leaf, and where that is guessed right nobody waits for the search. Otherwise as [`remove`](Self::remove).
    #[inline(always)]
    pub fn remove_first(&mut self, rung: Rung) -> Rung {
        let Rung { key, leaf } = rung;
        let members = self.members_mut(leaf);
        let left = *members & (*members - 1);
        if left != 0 {
            *members = left;
            return Rung { key: (key & !(WIDTH - 1)) + left.trailing_zeros(), leaf };
        }
        let key = self.remove(key);
        if key == NONE { Rung { key, leaf: EMPTY } } else { self.rung(key) }
    }

    /// Says that the block of a key is empty, and returns the smallest key in use, or [`NONE`].
    #[cold]
    #[inline(never)]
    fn first_of_others(&mut self, key: u32) -> u32 {
        self.top &= !(1 << block(key));
        self.last = key;
        self.first()
    }

    /// The smallest key in use, or [`NONE`].
    pub fn first(&self) -> u32 {
        if self.top == 0 { NONE } else { self.first_in_block(self.top.trailing_zeros()) }
    }

    fn first_in_block(&self, block: u32) -> u32 {
        let fork = self.fork(block * BLOCK);
        let word = fork.summary.trailing_zeros();
        self.first_in_word(block * WORDS + word, fork.words[word as usize % WORDS as usize])
    }

    /// `word` counts from the beginning of the ladder; `bits` are its bits, or some of them.
    #[inline(always)]
    fn first_in_word(&self, word: u32, bits: u64) -> u32 {
        let key = (word * WIDTH + bits.trailing_zeros()) * WIDTH;
        key + self.members(self.leaf(key)).trailing_zeros()
    }

    /// The smallest key in use after `key`, or [`NONE`].
    #[inline(always)]
    pub fn next_after(&self, key: u32) -> u32 {
        let above = above(self.members(self.leaf(key)), digit(key));
        if above != 0 { (key & !(WIDTH - 1)) + above.trailing_zeros() } else { self.next_leaf(key) }
    }

    fn next_leaf(&self, key: u32) -> u32 {
        let (fork, block) = (self.fork(key), key / BLOCK);
        let leaves = above(fork.words[word(key)], digit(key / WIDTH));
        if leaves != 0 {
            return self.first_in_word(key / (WIDTH * WIDTH), leaves);
        }
        let words = above(fork.summary, word(key));
        if words != 0 {
            let word = words.trailing_zeros();
            return self.first_in_word(block * WORDS + word, fork.words[word as usize]);
        }
        let blocks = above(u64::from(self.top), block as usize);
        if blocks != 0 { self.first_in_block(blocks.trailing_zeros()) } else { NONE }
    }

    /// Makes what is missing of the fork and the leaf of a key, and goes on there.
    #[cold]
    #[inline(never)]
    fn build(&mut self, key: u32, fresh: u32) -> (u32, bool) {
        let block = block(key);
        self.blocks[block].get_or_insert_with(|| Box::new(EMPTY_FORK));
        let leaf = self.spare_leaf();
        self.places[leaf as usize] = key / WIDTH;
        self.fork_mut(key).at[place_in_fork(key)] = leaf as u16;
        self.get_or_insert(key, fresh)
    }

    /// A leaf that is not in use: one that is empty and kept its place until now, or a new one.
    fn spare_leaf(&mut self) -> u32 {
        if self.members.len() > KEPT_PER_LIVE * self.live + self.kept {
            loop {
                self.hand = if self.hand + 1 < self.members.len() { self.hand + 1 } else { 1 };
                if self.members[self.hand] == 0 {
                    let key = self.places[self.hand] * WIDTH;
                    self.fork_mut(key).at[place_in_fork(key)] = EMPTY as u16;
                    return self.hand as u32;
                }
            }
        }
        self.add_leaf();
        self.members.len() as u32 - 1
    }

    fn add_leaf(&mut self) {
        self.members.push(0);
        self.rungs.push([0; WIDTH as usize]);
        self.places.push(0);
    }

    /// Panics unless the bits of all heights agree, and every leaf has its place.
    #[doc(hidden)]
    pub fn check(&self) {
        let (mut placed, mut live) = (0, 0);
        for (block, fork) in self.blocks.iter().enumerate() {
            let Some(fork) = fork else {
                assert!(self.top >> block & 1 == 0, "block {block} has no fork");
                continue;
            };
            for (place, &leaf) in fork.at.iter().enumerate() {
                let members = self.members[leaf as usize];
                assert_eq!(
                    fork.words[place / 64] >> (place % 64) & 1 != 0,
                    members != 0,
                    "leaf {place} of block {block}"
                );
                placed += usize::from(u32::from(leaf) != EMPTY);
                live += usize::from(members != 0);
            }
            for (word, bits) in fork.words.iter().enumerate() {
                assert_eq!(fork.summary >> word & 1 != 0, *bits != 0, "word {word} of block {block}");
            }
            assert_eq!(self.top >> block & 1 != 0, fork.summary != 0, "block {block}");
        }
        assert_eq!((placed, live), (self.members.len() - 1, self.live), "leaves");
        assert_eq!(self.members[EMPTY as usize], 0, "the empty leaf is empty");
    }

    /// Bytes in use: what is allocated, less address space that was never touched.
    pub fn memory(&self) -> usize {
        size_of::<Fork>() * self.blocks.iter().flatten().count()
            + touched(&self.members)
            + touched(&self.rungs)
            + touched(&self.places)
    }
}

/// Bytes of a column as if it had grown by doubling: not all of a reserved one has been touched.
fn touched<T>(column: &Vec<T>) -> usize {
    size_of::<T>() * column.len().next_power_of_two().min(column.capacity())
}

/// The lowest six bits of a number.
#[inline(always)]
fn digit(number: u32) -> usize {
    (number % WIDTH) as usize
}

/// Which block a key belongs to.
#[inline(always)]
fn block(key: u32) -> usize {
    (key / BLOCK) as usize % BLOCKS
}

/// Which word of its fork a key belongs to.
#[inline(always)]
fn word(key: u32) -> usize {
    (key / (WIDTH * WIDTH) % WORDS) as usize
}

/// Which place of its fork a key belongs to.
#[inline(always)]
fn place_in_fork(key: u32) -> usize {
    (key / WIDTH % (WORDS * WIDTH)) as usize
}

/// The bits of a word above one of them.
#[inline(always)]
fn above(word: u64, bit: usize) -> u64 {
    word & (!1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng, rand_core::SeedableRng};
    use std::collections::BTreeMap;

    #[test]
    fn agrees_with_a_sorted_map_at_every_width() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for keys in [
            1u32,
            2,
            63,
            64,
            65,
            4_095,
            4_097,
            32_767,
            32_768,
            32_769,
            (1 << 18) - 1,
            1 << 18,
            (1 << 18) + 1,
            1 << 20,
            Ladder::KEYS_MAX,
        ] {
            let mut ladder = Ladder::new(64);
            let mut map = BTreeMap::new();
            for step in 0..6_000u32 {
                let key =
                    if step % 3 == 0 { keys - 1 - random.next_u32() % keys.min(9) } else { random.next_u32() % keys };
                if random.next_u32() % 5 < 3 {
                    let expected = *map.entry(key).or_insert(step);
                    assert_eq!(ladder.get_or_insert(key, step), (expected, expected == step), "{keys} keys");
                } else if let Some((&used, _)) = map.range(key..).next() {
                    let was_first = map.keys().next() == Some(&used);
                    let first = ladder.remove(used);
                    map.remove(&used);
                    assert!(!was_first || first == map.keys().next().copied().unwrap_or(NONE), "{keys} keys");
                }
                assert_eq!(ladder.find(key), map.get(&key).copied(), "{keys} keys");
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
        let mut ladder = Ladder::new(64);
        assert!(ladder.memory() < 1 << 10, "{}", ladder.memory());
        // Few levels that are far apart.
        for level in 0..16 {
            ladder.get_or_insert(level * 1_000, level);
        }
        assert!(ladder.memory() < 80 << 10, "{}", ladder.memory());
        // One more at a time, all over the band: forks stay where it has been, leaves do not.
        for key in (1..keys).step_by(61).filter(|key| key % 1_000 != 0) {
            ladder.get_or_insert(key, key);
            ladder.remove(key);
        }
        assert!(ladder.members.len() <= KEPT_PER_LIVE * 17 + 64 + 1, "{}", ladder.members.len());
        ladder.check();
    }
}
