//! Bitcoin's Merkle tree: an odd last node is paired with itself.
//!
//! That rule lets two lists of leaves have one root (CVE-2012-2459); a block's seal record, its first leaf, holds the
//! number of transactions, so here only one of them is valid.

use crate::hash::{Digest, Hashing, Platform, sha256d_each, sha256d_pair};
use rayon::prelude::*;

/// Pairs that one thread hashes at a time when several do.
const PAIRS_PER_TASK: usize = 512;
/// Pairs that are hashed before their level is written over.
const PAIRS_AT_ONCE: usize = 64;

/// The root over leaves; all zeros over none.
pub fn root(leaves: &[Digest]) -> Digest {
    root_by(Hashing::on_one_core(), leaves)
}

/// [`root`], hashed this way.
pub fn root_by(hashing: Hashing, leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        fold_level(&mut level, hashing);
    }
    level.first().copied().unwrap_or_default()
}

/// The hashes beside the path from leaf `index` to the root, lowest first.
///
/// # Panics
/// If there is no such leaf.
pub fn branch(leaves: &[Digest], mut index: usize) -> Vec<Digest> {
    assert!(index < leaves.len(), "leaf {index} of {}", leaves.len());
    let mut level = leaves.to_vec();
    let mut branch = Vec::new();
    while level.len() > 1 {
        branch.push(level[(index ^ 1).min(level.len() - 1)]);
        fold_level(&mut level, Hashing::on_one_core());
        index /= 2;
    }
    branch
}

/// The root that a leaf and its branch lead to.
pub fn fold_branch(leaf: Digest, mut index: usize, branch: &[Digest]) -> Digest {
    branch.iter().fold(leaf, |node, sibling| {
        let parent = if index.is_multiple_of(2) { sha256d_pair(&node, sibling) } else { sha256d_pair(sibling, &node) };
        index /= 2;
        parent
    })
}

/// [`fold_branch`] for a branch that somebody else claims: `None` if no tree of so many leaves has it.
///
/// A node is paired with itself exactly where it is an odd last one. Without this check, a proof of leaf 2 of 3 would also
/// pass as one of leaf 3 of 4.
pub fn fold_claimed_branch(leaf: Digest, index: usize, leaves: usize, branch: &[Digest]) -> Option<Digest> {
    if index >= leaves || branch.len() != branch_len(leaves) {
        return None;
    }
    let (mut node, mut at, mut width) = (leaf, index, leaves);
    for sibling in branch {
        let odd_last = at % 2 == 0 && at + 1 == width;
        if (*sibling == node) != odd_last {
            return None;
        }
        node = fold_branch(node, at % 2, std::slice::from_ref(sibling));
        (at, width) = (at / 2, width.div_ceil(2));
    }
    Some(node)
}

/// The branch of the first leaf. Reduces `leaves` to the root, which leaf 0 and this branch lead to: so the root for
/// another first leaf (an extra nonce) takes one hash per level.
pub fn fold_with_first_branch(leaves: &mut Vec<Digest>, hashing: Hashing) -> Vec<Digest> {
    let mut branch = Vec::with_capacity(32);
    while leaves.len() > 1 {
        branch.push(leaves[1]);
        fold_level(leaves, hashing);
    }
    branch
}

/// Length of the branch of every leaf in a tree of this many leaves.
pub fn branch_len(leaves: usize) -> usize {
    leaves.max(1).next_power_of_two().trailing_zeros() as usize
}

/// Replaces a level by the one above it.
fn fold_level(level: &mut Vec<Digest>, Hashing { platform, parallel }: Hashing) {
    let pairs = level.len().div_ceil(2);
    if parallel && pairs >= 2 * PAIRS_PER_TASK {
        let mut above = vec![Digest::default(); pairs];
        let tasks = above.par_chunks_mut(PAIRS_PER_TASK).zip(level.par_chunks(2 * PAIRS_PER_TASK));
        tasks.for_each(|(parents, nodes)| hash_pairs(platform, nodes, parents));
        *level = above;
        return;
    }
    let mut parents = [Digest::default(); PAIRS_AT_ONCE];
    for start in (0..pairs).step_by(PAIRS_AT_ONCE) {
        let end = (start + PAIRS_AT_ONCE).min(pairs);
        let parents = &mut parents[..end - start];
        hash_pairs(platform, &level[2 * start..(2 * end).min(level.len())], parents);
        // Behind what is still to be read.
        level[start..end].copy_from_slice(parents);
    }
    level.truncate(pairs);
}

/// Hashes each two nodes, and an odd last one with itself.
fn hash_pairs(platform: Platform, nodes: &[Digest], parents: &mut [Digest]) {
    let (pairs, _) = nodes.as_flattened().as_chunks::<64>();
    sha256d_each(platform, pairs, &mut parents[..pairs.len()]);
    if let (Some(odd), true) = (nodes.last(), nodes.len() % 2 == 1) {
        parents[pairs.len()] = sha256d_pair(odd, odd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{sha256, sha256d, to_hex_reversed};
    use data_encoding::HEXLOWER;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count as u64).map(|index| sha256(&index.to_le_bytes())).collect()
    }

    /// The definition: split below the largest power of two, fill up the right side with its own copy.
    fn by_definition(leaves: &[Digest], height: u32) -> Digest {
        if height == 0 {
            return leaves[0];
        }
        let half = 1 << (height - 1);
        let left = by_definition(&leaves[..half.min(leaves.len())], height - 1);
        let right = if leaves.len() > half { by_definition(&leaves[half..], height - 1) } else { left };
        sha256d(&[left, right].concat())
    }

    #[test]
    fn bitcoins_block_100000() {
        let ids = [
            "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
            "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
            "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
            "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
        ];
        let leaves = ids.map(|id| {
            let mut digest: Digest = HEXLOWER.decode(id.as_bytes()).unwrap().try_into().unwrap();
            digest.reverse();
            digest
        });
        let expected = "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766";
        assert_eq!(to_hex_reversed(&root(&leaves)), expected);
    }

    #[test]
    fn every_small_tree_agrees_with_the_definition_and_every_branch_leads_to_the_root() {
        assert_eq!(root(&[]), [0; 32]);
        for count in 1..=70 {
            let leaves = leaves(count);
            let expected = by_definition(&leaves, branch_len(count) as u32);
            assert_eq!(root(&leaves), expected, "{count} leaves");
            for index in 0..count {
                let branch = branch(&leaves, index);
                assert_eq!(branch.len(), branch_len(count));
                assert_eq!(fold_branch(leaves[index], index, &branch), expected, "leaf {index} of {count}");
                assert_eq!(fold_claimed_branch(leaves[index], index, count, &branch), Some(expected));
            }
        }
    }

    #[test]
    fn a_claimed_branch_stands_in_one_place_only() {
        for count in 2..=33 {
            let leaves = leaves(count);
            let expected = Some(root(&leaves));
            for index in 0..count {
                let branch = branch(&leaves, index);
                // Every other index, in trees of other sizes too: another root, or none.
                for claimed in 1..=2 * count {
                    for other in (0..claimed).filter(|&other| other != index) {
                        let found = fold_claimed_branch(leaves[index], other, claimed, &branch);
                        assert_ne!(found, expected, "leaf {index} of {count} as {other} of {claimed}");
                    }
                }
                assert_eq!(fold_claimed_branch(leaves[index], count, count, &branch), None);
                assert_eq!(fold_claimed_branch(leaves[index], index, count, &branch[1..]), None);
            }
        }
    }

    #[test]
    fn every_way_of_hashing_gives_the_same_root_and_first_branch() {
        for count in (1..=1_025).chain([4_097, 65_536, 100_001]) {
            let leaves = leaves(count);
            let expected = root_by(Hashing::NAIVE, &leaves);
            for platform in Platform::available() {
                for parallel in [false, true] {
                    let hashing = Hashing { platform, parallel };
                    let mut folded = leaves.clone();
                    let branch = fold_with_first_branch(&mut folded, hashing);
                    assert_eq!(folded, [expected], "{count} leaves, {hashing:?}");
                    assert_eq!(fold_branch(leaves[0], 0, &branch), expected);
                    assert_eq!(root_by(hashing, &leaves), expected);
                }
            }
        }
    }
}
