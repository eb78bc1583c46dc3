//! A set of small integers with a constant-time "smallest member": the price index of one side of a book.

/// A set over `0..len` as a tree of 64-bit words: a bit of level `k + 1` says that a word of level `k` is not zero, so that
/// the smallest member is one `trailing_zeros` per level away. At most four levels for the widest price band.
#[derive(Clone, Debug)]
pub struct Bitmap {
    /// `levels[0]` holds the members; the last level is one word.
    levels: Vec<Vec<u64>>,
}

impl Bitmap {
    /// The empty set over `0..len`.
    pub fn new(len: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = len.max(1);
        loop {
            words = words.div_ceil(64);
            levels.push(vec![0; words]);
            if words == 1 {
                return Bitmap { levels };
            }
        }
    }

    /// Adds a member.
    #[inline(always)]
    pub fn insert(&mut self, member: u32) {
        let mut index = member as usize;
        for level in &mut self.levels {
            let word = &mut level[index / 64];
            let was_empty = *word == 0;
            *word |= 1 << (index % 64);
            if !was_empty {
                return;
            }
            index /= 64;
        }
    }

    /// Removes a member.
    #[inline(always)]
    pub fn remove(&mut self, member: u32) {
        let mut index = member as usize;
        for level in &mut self.levels {
            let word = &mut level[index / 64];
            *word &= !(1 << (index % 64));
            if *word != 0 {
                return;
            }
            index /= 64;
        }
    }

    /// The smallest member.
    #[inline(always)]
    pub fn first(&self) -> Option<u32> {
        let top = self.levels.len() - 1;
        if self.levels[top][0] == 0 { None } else { Some(self.descend(top, 0)) }
    }

    /// The smallest member greater than `member`.
    #[inline(always)]
    pub fn next_after(&self, member: u32) -> Option<u32> {
        let mut index = member as usize;
        for (height, level) in self.levels.iter().enumerate() {
            // Shifted in two steps because a shift by 64 is not one.
            let above = level[index / 64] & (!0 << (index % 64) << 1);
            if above != 0 {
                let found = (index / 64) * 64 + above.trailing_zeros() as usize;
                return Some(if height == 0 { found as u32 } else { self.descend(height - 1, found) });
            }
            index /= 64;
        }
        None
    }

    /// The smallest member below word `word` of level `height`, which is not empty.
    #[inline(always)]
    fn descend(&self, height: usize, word: usize) -> u32 {
        let mut index = word;
        for level in self.levels[..=height].iter().rev() {
            index = index * 64 + level[index].trailing_zeros() as usize;
        }
        index as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng, rand_core::SeedableRng};
    use std::collections::BTreeSet;

    #[test]
    fn agrees_with_a_sorted_set_at_every_depth() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for len in [1u32, 2, 63, 64, 65, 4_095, 4_096, 4_097, 262_145, 1 << 20] {
            let mut bitmap = Bitmap::new(len as usize);
            let mut set = BTreeSet::new();
            for step in 0..4_000 {
                let member =
                    if step % 3 == 0 { len - 1 - random.next_u32() % len.min(9) } else { random.next_u32() % len };
                if random.next_u32() % 5 < 3 {
                    bitmap.insert(member);
                    set.insert(member);
                } else {
                    let member = set.range(member..).next().copied().unwrap_or(member);
                    bitmap.remove(member);
                    set.remove(&member);
                }
                assert_eq!(bitmap.first(), set.first().copied(), "len {len}");
                assert_eq!(
                    bitmap.next_after(member),
                    set.range(member + 1..).next().copied(),
                    "len {len} after {member}"
                );
            }
        }
    }
}
