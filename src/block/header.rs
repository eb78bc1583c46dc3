//! Block headers: 80 bytes in Bitcoin's layout, so that the world's headers are test vectors.

use super::Target;
use crate::hash::{Digest, sha256d};
use crate::types::TimeNs;

/// A block's header.
///
/// ```text
/// 0..4 version   4..36 previous hash   36..68 Merkle root   68..72 time (s)   72..76 bits   76..80 nonce
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`Header::VERSION`] in this chain.
    pub version: u32,
    /// Hash of the header before; of the first block, the hash of the chain's parameters.
    pub previous: Digest,
    /// Root over the block's leaves.
    pub merkle_root: Digest,
    /// Seconds since 1970, of the last transaction.
    pub time: u32,
    /// Compact target.
    pub bits: u32,
    /// What was searched.
    pub nonce: u32,
}

impl Header {
    /// Length of the encoding.
    pub const ENCODED_LEN: usize = 80;
    /// The version of all blocks of this chain.
    pub const VERSION: u32 = 1;

    /// A header to be completed: no Merkle root, no nonce.
    pub fn new(previous: Digest, time: u32, bits: u32) -> Self {
        Header { version: Self::VERSION, previous, merkle_root: Digest::default(), time, bits, nonce: 0 }
    }

    /// A command's time as a header's: whole seconds, up to the year 2106.
    pub fn seconds(time: TimeNs) -> u32 {
        u32::try_from(time / 1_000_000_000).unwrap_or(u32::MAX)
    }

    /// The 80 bytes.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0..4].copy_from_slice(&self.version.to_le_bytes());
        out[4..36].copy_from_slice(&self.previous);
        out[36..68].copy_from_slice(&self.merkle_root);
        out[68..72].copy_from_slice(&self.time.to_le_bytes());
        out[72..76].copy_from_slice(&self.bits.to_le_bytes());
        out[76..80].copy_from_slice(&self.nonce.to_le_bytes());
        out
    }

    /// The header that 80 bytes are; every 80 bytes are one.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Header {
            version: word(0),
            previous: bytes[4..36].try_into().expect("32 bytes"),
            merkle_root: bytes[36..68].try_into().expect("32 bytes"),
            time: word(68),
            bits: word(72),
            nonce: word(76),
        }
    }

    /// Its hash.
    pub fn hash(&self) -> Digest {
        sha256d(&self.encode())
    }

    /// Expected number of hashes that its target asks for; zero if it has no valid target.
    pub fn work(&self) -> f64 {
        Target::from_bits(self.bits).map_or(0.0, |target| target.work())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::hash::to_hex_reversed;
    use data_encoding::HEXLOWER;

    /// Bitcoin's first block.
    pub fn bitcoin_genesis() -> Header {
        let merkle_root = HEXLOWER.decode(b"3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a").unwrap();
        Header {
            version: 1,
            previous: [0; 32],
            merkle_root: merkle_root.try_into().unwrap(),
            time: 1_231_006_505,
            bits: 0x1d00_ffff,
            nonce: 2_083_236_893,
        }
    }

    #[test]
    fn bitcoins_genesis_header() {
        let header = bitcoin_genesis();
        let hash = header.hash();
        assert_eq!(to_hex_reversed(&hash), "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
        assert!(Target::from_bits(header.bits).unwrap().is_met_by(&hash));
        assert_eq!(Header::decode(&header.encode()), header);
    }
}
