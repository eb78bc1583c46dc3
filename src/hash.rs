//! SHA-256, double SHA-256 of short messages, and nonce hashing with a midstate.
//!
//! All rounds are `sha2`'s; what is ours is what surrounds them: padding on the stack, constant padding for the second
//! hash, and a header's first 64 bytes compressed once for all its nonces.

use data_encoding::HEXLOWER;
use sha2::Digest as _;
use sha2::digest::generic_array::{GenericArray, typenum::U64};

/// A 32-byte hash.
pub type Digest = [u8; 32];

type Block = GenericArray<u8, U64>;

/// FIPS 180-4, section 5.3.3.
const INITIAL_STATE: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// SHA-256 of a message that comes in pieces.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of what was appended.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// SHA-256.
pub fn sha256(message: &[u8]) -> Digest {
    sha2::Sha256::digest(message).into()
}

/// SHA-256 of the SHA-256: Bitcoin's hash, which has no length extension.
#[inline]
pub fn sha256d(message: &[u8]) -> Digest {
    let (blocks, rest) = message.as_chunks::<64>();
    let mut state = INITIAL_STATE;
    for block in blocks {
        compress(&mut state, block);
    }
    // What is left, a mark and the length in bits fill one block, or two if the length has no room in the first.
    let mut tail = [0u8; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    tail[end - 8..end].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    for block in tail[..end].chunks_exact(64) {
        compress(&mut state, block);
    }
    second_hash(&state)
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
fn compress(state: &mut [u32; 8], block: &[u8]) {
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
}

/// A digest in hex, as its bytes stand.
pub fn to_hex(digest: &Digest) -> String {
    HEXLOWER.encode(digest)
}

/// A digest in hex as Bitcoin displays it: the last byte first, so that work shows as leading zeros.
pub fn to_hex_reversed(digest: &Digest) -> String {
    let mut reversed = *digest;
    reversed.reverse();
    HEXLOWER.encode(&reversed)
}

/// What computes SHA-256 on this machine, in words.
pub fn backend() -> &'static str {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    {
        // Exactly what sha2 asks for, so that this says which of its two ways it takes.
        let shani = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        if shani { "sha2 0.10, SHA-NI instructions" } else { "sha2 0.10, assembly without SHA instructions" }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let armv8 = std::arch::is_aarch64_feature_detected!("sha2");
        if armv8 { "sha2 0.10, ARMv8 SHA-2 instructions" } else { "sha2 0.10, portable code" }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    "sha2 0.10, portable code"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nist_vectors() {
        assert_eq!(to_hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(to_hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut pieces = Sha256::new();
        pieces.update(b"abcdbcdecdefdefgefghfghighijhijk");
        pieces.update(b"ijkljklmklmnlmnomnopnopq");
        let expected = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
        assert_eq!(to_hex(&pieces.finish()), expected);
    }

    #[test]
    fn messages_of_every_length_agree_with_sha2() {
        let message: Vec<u8> = (0..1_100u32).map(|index| (index * 7 + 3) as u8).collect();
        for length in 0..=message.len() {
            let message = &message[..length];
            assert_eq!(sha256d(message), sha256(&sha256(message)), "length {length}");
        }
    }

    #[test]
    fn pairs_and_headers_agree_with_sha2() {
        for seed in 0..50u8 {
            let left = sha256(&[seed]);
            let right = sha256(&[seed, 1]);
            assert_eq!(sha256d_pair(&left, &right), sha256(&sha256(&[left, right].concat())));
            let mut header = [seed; 80];
            header[10] = 99;
            let hasher = HeaderHasher::new(&header);
            for nonce in [0, 1, u32::from(seed) << 20, u32::MAX] {
                header[76..].copy_from_slice(&nonce.to_le_bytes());
                assert_eq!(hasher.hash(nonce), sha256(&sha256(&header)));
            }
        }
    }
}
