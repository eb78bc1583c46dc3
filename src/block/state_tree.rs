//! The state root: a Merkle tree over the account records in id order, of which only what changed is hashed again.

use crate::hash::{Digest, Hashing, Platform, sha256d_each};
use rayon::prelude::*;

/// Length of an account record.
const RECORD_LEN: usize = 96;
/// Records that one thread hashes at a time when several do.
const RECORDS_PER_TASK: usize = 128;
/// Hashes that are made before they are put into the tree: what bounds the memory for them, 512 KiB.
const HASHES_AT_ONCE: usize = 1 << 14;

/// The tree, all levels kept: 64 bytes an account.
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    /// `levels[0]` are the leaves, each next level the hashes of pairs, the last one the root.
    levels: Vec<Vec<Digest>>,
    /// Nodes of the level being hashed that changed, and their new hashes; kept for their memory.
    dirty: Vec<u32>,
    hashes: Vec<Digest>,
}

impl StateTree {
    /// The tree of no accounts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The root; all zeros without accounts.
    pub fn root(&self) -> Digest {
        self.levels.last().map_or([0; 32], |level| level[0])
    }

    /// Takes in records by account id, in any order (they are sorted), each at most once. Ids stay dense: those that are
    /// new continue the ones there are.
    ///
    /// # Panics
    /// If ids are given twice or leave a gap.
    pub fn update(&mut self, records: &mut [(u32, [u8; RECORD_LEN])], hashing: Hashing) {
        if records.is_empty() {
            return;
        }
        records.sort_unstable_by_key(|&(id, _)| id);
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        let leaves = &mut self.levels[0];
        self.dirty.clear();
        for records in records.chunks(HASHES_AT_ONCE) {
            hash_all(hashing, records, &mut self.hashes, |platform, records, hashes| {
                sha256d_each(platform, records.iter().map(|(_, record)| record), hashes);
            });
            for (&(id, _), &hash) in records.iter().zip(&self.hashes) {
                assert!(self.dirty.last() != Some(&id), "account {id} is given twice");
                self.dirty.push(id);
                let at = id as usize;
                assert!(at <= leaves.len(), "account {id} leaves a gap behind {} accounts", leaves.len());
                if at == leaves.len() { leaves.push(hash) } else { leaves[at] = hash }
            }
        }
        let mut height = 0;
        while self.levels[height].len() > 1 {
            self.rehash_parents(height, hashing);
            height += 1;
        }
    }

    /// Hashes the parents of a level's dirty nodes, which become the dirty ones.
    fn rehash_parents(&mut self, height: usize, hashing: Hashing) {
        if self.levels.len() == height + 1 {
            self.levels.push(Vec::new());
        }
        let (below, above) = self.levels.split_at_mut(height + 1);
        let (nodes, parents) = (&below[height], &mut above[0]);
        self.dirty.iter_mut().for_each(|node| *node /= 2);
        self.dirty.dedup();
        parents.resize(nodes.len().div_ceil(2), [0; 32]);
        // An odd last node is paired with itself; all others lie beside their sibling.
        let last = nodes[nodes.len() - 1];
        let (bytes, odd) = (nodes.as_flattened(), [last, last]);
        let pair = |&parent: &u32| {
            let both = bytes[64 * parent as usize..].first_chunk::<64>();
            both.unwrap_or_else(|| odd.as_flattened().first_chunk().expect("two digests"))
        };
        for dirty in self.dirty.chunks(HASHES_AT_ONCE) {
            hash_all(hashing, dirty, &mut self.hashes, |platform, dirty, hashes| {
                sha256d_each(platform, dirty.iter().map(pair), hashes);
            });
            dirty.iter().zip(&self.hashes).for_each(|(&parent, &hash)| parents[parent as usize] = hash);
        }
    }
}

/// Fills `hashes` with the hash of each item, on all cores if that is asked for and worth it.
fn hash_all<T: Sync>(
    Hashing { platform, parallel }: Hashing,
    items: &[T],
    hashes: &mut Vec<Digest>,
    hash: impl Fn(Platform, &[T], &mut [Digest]) + Sync,
) {
    hashes.resize(items.len(), [0; 32]);
    if parallel && items.len() >= 2 * RECORDS_PER_TASK {
        let tasks = hashes.par_chunks_mut(RECORDS_PER_TASK).zip(items.par_chunks(RECORDS_PER_TASK));
        tasks.for_each(|(hashes, items)| hash(platform, items, hashes));
    } else {
        hash(platform, items, hashes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::merkle;
    use crate::hash::sha256d;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn ways() -> impl Iterator<Item = Hashing> {
        let platforms = Platform::available().into_iter();
        platforms.flat_map(|platform| [false, true].map(|parallel| Hashing { platform, parallel }))
    }

    #[test]
    fn incremental_roots_equal_hashing_everything() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        for hashing in ways() {
            let mut tree = StateTree::new();
            let mut leaves: Vec<Digest> = Vec::new();
            assert_eq!(tree.root(), merkle::root(&leaves));
            for step in 0..200u32 {
                // Growth by nothing, by one, by many; changes anywhere.
                let grown = leaves.len() as u32 + [0, 1, 1, 3, 70][(step % 5) as usize];
                let mut ids: Vec<u32> = (leaves.len() as u32..grown).collect();
                if !leaves.is_empty() {
                    let many = if step % 17 == 0 { 2_000 } else { 5 };
                    ids.extend((0..many).map(|_| random.next_u32() % leaves.len() as u32));
                }
                ids.sort_unstable();
                ids.dedup();
                let mut records: Vec<_> = ids.iter().rev().map(|&id| (id, [random.next_u32() as u8; 96])).collect();
                for &(id, record) in records.iter().rev() {
                    let hash = sha256d(&record);
                    if id as usize == leaves.len() { leaves.push(hash) } else { leaves[id as usize] = hash }
                }
                tree.update(&mut records, hashing);
                assert_eq!(tree.root(), merkle::root_by(Hashing::NAIVE, &leaves), "{hashing:?}, step {step}");
            }
            assert!(leaves.len() > 2_000);
        }
    }

    #[test]
    fn a_warm_tree_keeps_its_memory() {
        let mut tree = StateTree::new();
        let mut records: Vec<_> = (0..5_000).map(|id| (id, [id as u8; 96])).collect();
        tree.update(&mut records, Hashing::fast());
        let places = |tree: &StateTree| {
            let levels: Vec<_> = tree.levels.iter().map(|level| level.as_ptr()).collect();
            (levels, tree.dirty.as_ptr(), tree.hashes.as_ptr())
        };
        let before = places(&tree);
        for hashing in ways() {
            records.iter_mut().for_each(|(_, record)| record[95] ^= 1);
            tree.update(&mut records, hashing);
            assert_eq!(places(&tree), before, "{hashing:?}");
        }
    }

    #[test]
    #[should_panic(expected = "is given twice")]
    fn an_account_given_twice_is_refused() {
        StateTree::new().update(&mut [(0, [0; 96]), (0, [1; 96])], Hashing::NAIVE);
    }

    #[test]
    #[should_panic(expected = "leaves a gap")]
    fn a_gap_is_refused() {
        StateTree::new().update(&mut [(1, [0; 96])], Hashing::NAIVE);
    }
}
