//! Hashes of as many messages of one length as there are lanes.

use super::Digest;
use super::fips::{DIGEST_PADDING, INITIAL_STATE, padding_block, schedule};
use super::lanes::{Lanes, array, compress, compress_known, splat_state};
use super::portable::pad;

/// The most lanes that a kernel has.
pub(super) const LANES_MAX: usize = 32;

/// The schedules of the padding behind messages of one to four whole blocks: a leaf with a command and two, four or six
/// events, an inner node.
pub(super) static PADDING: [[u32; 64]; 4] = [
    schedule(padding_block(64)),
    schedule(padding_block(128)),
    schedule(padding_block(192)),
    schedule(padding_block(256)),
];

/// The padded ends of some messages of one length: each as much as whole blocks leave, a mark and the length.
///
/// Aligned as the widest registers are. Not only for the loads: a function without such a local may keep what does not fit the
/// registers at odd addresses, and then every access to it touches two cache lines.
#[repr(align(64))]
pub(super) struct Tails<const COUNT: usize> {
    /// A block to begin the copy in, then the tail.
    rows: [[u8; 192]; COUNT],
    /// Blocks of each tail.
    pub blocks: usize,
}

impl<const COUNT: usize> Tails<COUNT> {
    /// None yet.
    pub const ZERO: Self = Tails { rows: [[0; 192]; COUNT], blocks: 0 };

    /// In place: up to six KiB are not to be moved.
    #[inline]
    pub fn fill(&mut self, messages: &[&[u8]]) {
        let length = messages[0].len();
        let rest = length % 64;
        let mut padding = [0; 128];
        let end = pad(&mut padding, &messages[0][length - rest..], length);
        for (row, message) in self.rows.iter_mut().zip(messages) {
            row[64..].copy_from_slice(&padding);
            // The last 64 bytes, whatever the rest is: a copy of a known length is one instruction, not a call.
            match message.last_chunk::<64>() {
                Some(last) => row[rest..rest + 64].copy_from_slice(last),
                None => row[64..64 + rest].copy_from_slice(message),
            }
        }
        self.blocks = end / 64;
    }

    /// A block of a message's tail.
    #[inline(always)]
    pub fn block(&self, message: usize, block: usize) -> &[u8; 64] {
        &self.rows[message].as_chunks().0[1 + block]
    }
}

/// How often a message is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// SHA-256.
    Once,
    /// And the digest again.
    Twice,
}

/// Hashes `messages` into `out`; both have one item per lane, and all messages the same length.
///
/// Every block goes through the one place that compresses, the second hash's too: what is inlined once stays in the cache of
/// decoded instructions, and that is worth more than the few operations that the second hash's padding would save.
///
/// `LANES` is `V::COUNT`, which cannot be the length of an array.
#[inline(always)]
pub(super) fn hash_lanes<V: Lanes, const LANES: usize>(
    cpu: V::Cpu,
    times: Times,
    messages: &[&[u8]],
    out: &mut [Digest],
) {
    const { assert!(V::COUNT == LANES) };
    debug_assert!(messages.len() == V::COUNT && out.len() == V::COUNT);
    let length = messages[0].len();
    let (whole, rest) = (length / 64, length % 64);
    let known_padding = if rest == 0 { whole.checked_sub(1).and_then(|at| PADDING.get(at)) } else { None };
    let mut place;
    let tails = if known_padding.is_none() {
        // As many as there are lanes: zeroing 32 rows for 8 of them was a third of AVX2's instructions per leaf.
        place = Tails::<LANES>::ZERO;
        place.fill(messages);
        Some(&place)
    } else {
        None
    };
    let blocks = whole + tails.map_or(0, |tails| tails.blocks);
    let initial = splat_state::<V>(cpu, &INITIAL_STATE);
    let mut state = initial;
    let blocks_in_all = blocks + usize::from(times == Times::Twice);
    for block in 0..blocks_in_all {
        let words = if block < blocks {
            let mut lanes = [&[0u8; 64]; LANES];
            match (tails, block.checked_sub(whole)) {
                (Some(tails), Some(block)) => {
                    for (message, lane) in lanes.iter_mut().enumerate() {
                        *lane = tails.block(message, block);
                    }
                }
                _ => {
                    for (lane, message) in lanes.iter_mut().zip(messages) {
                        *lane = &message.as_chunks().0[block];
                    }
                }
            }
            V::load(cpu, &lanes)
        } else {
            let first = std::mem::replace(&mut state, initial);
            array!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] if I < 8 { first[I % 8] } else { V::splat(cpu, DIGEST_PADDING[I % 8]) })
        };
        compress(cpu, &mut state, words);
        if let (true, Some(k_and_w)) = (block + 1 == blocks, known_padding) {
            compress_known(cpu, &mut state, k_and_w);
        }
    }
    V::store(state, out);
}
