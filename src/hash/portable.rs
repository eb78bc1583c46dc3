//! The portable path and the reference: one message after another, all rounds `sha2`'s. What is ours is what surrounds
//! them: padding on the stack, constant padding for the second hash, and a header's first 64 bytes compressed once.

use super::Digest;
use super::fips::INITIAL_STATE;
use sha2::digest::generic_array::{GenericArray, typenum::U64};

type Block = GenericArray<u8, U64>;

/// SHA-256 of the SHA-256: Bitcoin's hash, which has no length extension. One message of any length; for many of one
/// length see [`sha256d_each`](super::sha256d_each).
#[inline]
pub fn sha256d(message: &[u8]) -> Digest {
    let (blocks, rest) = message.as_chunks::<64>();
    let mut state = INITIAL_STATE;
    for block in blocks {
        compress(&mut state, block);
    }
    let mut tail = [0u8; 128];
    let end = pad(&mut tail, rest, message.len());
    for block in tail[..end].chunks_exact(64) {
        compress(&mut state, block);
    }
    second_hash(&state)
}

/// Puts what whole blocks leave of a message, a mark and the length in bits into a zeroed tail of one block, or two if the
/// length has no room in the first; returns where the tail ends.
#[inline]
pub(super) fn pad(tail: &mut [u8; 128], rest: &[u8], message_len: usize) -> usize {
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    tail[end - 8..end].copy_from_slice(&(8 * message_len as u64).to_be_bytes());
    end
}

/// The hash of an inner node of a Merkle tree.
#[inline]
pub fn sha256d_pair(left: &Digest, right: &Digest) -> Digest {
    let mut message = [0u8; 64];
    message[..32].copy_from_slice(left);
    message[32..].copy_from_slice(right);
    let mut padding = [0u8; 64];
    padding[0] = 0x80;
    padding[56..].copy_from_slice(&512u64.to_be_bytes());
    let mut state = INITIAL_STATE;
    sha2::compress256(&mut state, &[message.into(), padding.into()]);
    second_hash(&state)
}

/// Hashes the digest that `state` is.
#[inline]
fn second_hash(state: &[u32; 8]) -> Digest {
    let mut block = [0u8; 64];
    write_state(state, &mut block);
    block[32] = 0x80;
    block[56..].copy_from_slice(&256u64.to_be_bytes());
    let mut second = INITIAL_STATE;
    compress(&mut second, &block);
    let mut digest = [0u8; 32];
    write_state(&second, &mut digest);
    digest
}

#[inline]
pub(super) fn compress(state: &mut [u32; 8], block: &[u8]) {
    sha2::compress256(state, std::slice::from_ref(Block::from_slice(block)));
}

#[inline]
fn write_state(state: &[u32; 8], out: &mut [u8]) {
    for (word, bytes) in state.iter().zip(out.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}

/// Hashes one 80-byte header with many nonces: its first 64 bytes, which no nonce touches, are compressed once.
#[derive(Clone, Debug)]
pub struct HeaderHasher {
    midstate: [u32; 8],
    /// The last 16 bytes, the nonce among them, and the padding of an 80-byte message.
    tail: [u8; 64],
}

impl HeaderHasher {
    /// Prepares a header; the nonce in it does not matter.
    pub fn new(header: &[u8; 80]) -> Self {
        let mut midstate = INITIAL_STATE;
        compress(&mut midstate, &header[..64]);
        let mut tail = [0u8; 64];
        tail[..16].copy_from_slice(&header[64..]);
        tail[16] = 0x80;
        tail[56..].copy_from_slice(&640u64.to_be_bytes());
        HeaderHasher { midstate, tail }
    }

    /// `sha256d` of the header with this nonce.
    #[inline]
    pub fn hash(&self, nonce: u32) -> Digest {
        let mut block = self.tail;
        block[12..16].copy_from_slice(&nonce.to_le_bytes());
        let mut state = self.midstate;
        compress(&mut state, &block);
        second_hash(&state)
    }

    /// State after the first 64 bytes.
    pub(super) fn midstate(&self) -> &[u32; 8] {
        &self.midstate
    }

    /// The second block, its nonce being the one it was made with.
    pub(super) fn tail_words(&self) -> [u32; 16] {
        let (words, _) = self.tail.as_chunks::<4>();
        std::array::from_fn(|i| u32::from_be_bytes(words[i]))
    }
}
