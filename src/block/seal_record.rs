//! The seal record: the message of a block's first leaf, which commits to the state after the block.
//!
//! ```text
//!  0      'S' (0x53)      8..16  height (u64)          32..40  last sequence (u64)
//!  1..4   zero            16..24 extra nonce (u64)     40..72  state root
//!  4..8   transactions    24..32 first sequence (u64)  72..76  accounts (u32)      76..80  zero
//! ```
//!
//! Leaves and nodes cannot be taken for each other: an inner node's message has 64 bytes, a seal record's 80 and begins with
//! 'S', a transaction's at least 96 (a command and an event) and begins with a command kind.

use crate::hash::Digest;
use crate::types::Sequence;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealRecord {
    /// Number of transactions, that is of leaves but the first.
    pub transactions: u32,
    /// Number of blocks before this one.
    pub height: u64,
    /// Raised when all nonces are used up.
    pub extra_nonce: u64,
    /// Sequence of the first transaction.
    pub first_sequence: Sequence,
    /// Sequence of the last transaction.
    pub last_sequence: Sequence,
    /// Merkle root over the account records after the block, in id order.
    pub state_root: Digest,
    /// Number of those records.
    pub accounts: u32,
}

const TAG: u8 = b'S';

impl SealRecord {
    /// Length of the encoding.
    pub const ENCODED_LEN: usize = 80;

    /// The 80 bytes.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0] = TAG;
        out[4..8].copy_from_slice(&self.transactions.to_le_bytes());
        out[8..16].copy_from_slice(&self.height.to_le_bytes());
        out[16..24].copy_from_slice(&self.extra_nonce.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[32..40].copy_from_slice(&self.last_sequence.to_le_bytes());
        out[40..72].copy_from_slice(&self.state_root);
        out[72..76].copy_from_slice(&self.accounts.to_le_bytes());
        out
    }

    /// The inverse of [`encode`](Self::encode); `None` for bytes that are none.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let record = SealRecord {
            transactions: word(4),
            height: long(8),
            extra_nonce: long(16),
            first_sequence: long(24),
            last_sequence: long(32),
            state_root: bytes[40..72].try_into().expect("32 bytes"),
            accounts: word(72),
        };
        (record.encode() == *bytes).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_and_every_stray_bit() {
        let record = SealRecord {
            transactions: 0x0403_0201,
            height: 0x11,
            extra_nonce: 0x22,
            first_sequence: 0x33,
            last_sequence: 0x44,
            state_root: [0x55; 32],
            accounts: 0x66,
        };
        let mut expected = [0u8; 80];
        expected[..8].copy_from_slice(&[0x53, 0, 0, 0, 1, 2, 3, 4]);
        (expected[8], expected[16], expected[24], expected[32]) = (0x11, 0x22, 0x33, 0x44);
        expected[40..72].fill(0x55);
        expected[72] = 0x66;
        assert_eq!(record.encode(), expected);
        assert_eq!(SealRecord::decode(&expected), Some(record));
        for bit in 0..640 {
            let mut damaged = expected;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let reserved = bit / 8 < 4 || bit / 8 >= 76;
            let found = SealRecord::decode(&damaged);
            assert_eq!(found.is_none(), reserved, "bit {bit}");
            assert_ne!(found, Some(record));
        }
    }
}
