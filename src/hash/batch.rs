//! Double hashes of as many messages of one length as there are lanes.

use super::Digest;
use super::fips::{INITIAL_STATE, padding_block, schedule};
use super::lanes::{Lanes, compress, compress_known, second_hash};
use super::portable::{pad, tail_len};

/// The most lanes that a kernel has.
pub(super) const LANES_MAX: usize = 32;

/// The schedules of the padding behind messages of one to four whole blocks: a leaf with a command and two, four or six
/// events, an inner node.
static PADDING: [[u32; 64]; 4] = [
    schedule(padding_block(64)),
    schedule(padding_block(128)),
    schedule(padding_block(192)),
    schedule(padding_block(256)),
];

/// `out[i] = sha256d(messages[i])`; both have one item per lane, and all messages the same length.
#[inline(always)]
pub(super) fn sha256d_lanes<V: Lanes>(cpu: V::Cpu, messages: &[&[u8]], out: &mut [Digest]) {
    debug_assert!(messages.len() == V::COUNT && out.len() == V::COUNT);
    let length = messages[0].len();
    let mut state = INITIAL_STATE.map(|word| V::splat(cpu, word));
    let mut blocks = [&[0u8; 64]; LANES_MAX];
    for start in (0..length / 64).map(|block| 64 * block) {
        for (block, message) in blocks.iter_mut().zip(messages) {
            *block = message[start..].first_chunk().expect("all messages have this length");
        }
        compress(cpu, &mut state, V::load(cpu, &blocks[..V::COUNT]));
    }
    let rest = length % 64;
    if let (0, Some(k_and_w)) = (rest, (length / 64).checked_sub(1).and_then(|at| PADDING.get(at))) {
        compress_known(cpu, &mut state, k_and_w);
    } else {
        let mut tails = [[0u8; 128]; LANES_MAX];
        for (tail, message) in tails.iter_mut().zip(messages) {
            pad(tail, &message[length - rest..], length);
        }
        for start in (0..tail_len(rest)).step_by(64) {
            for (block, tail) in blocks.iter_mut().zip(&tails) {
                *block = tail[start..].first_chunk().expect("two blocks");
            }
            compress(cpu, &mut state, V::load(cpu, &blocks[..V::COUNT]));
        }
    }
    V::store(second_hash(cpu, state), out);
}
