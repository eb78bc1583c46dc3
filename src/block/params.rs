//! What identifies a chain: the market's rules and the difficulty. Their hash is the first block's parent.

use super::{Target, TargetError};
use crate::hash::{Digest, sha256d};
use crate::types::{Rules, RulesError};
use thiserror::Error;

/// A chain's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainParams {
    /// The market's rules.
    pub rules: Rules,
    /// Compact target of every block.
    pub bits: u32,
}

/// Why 80 bytes are no chain parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParamsError {
    /// The rules cannot be used.
    #[error("market rules: {0}")]
    Rules(#[from] RulesError),
    /// The target cannot be used.
    #[error("difficulty: {0}")]
    Target(#[from] TargetError),
}

impl ChainParams {
    /// Length of the encoding.
    pub const ENCODED_LEN: usize = Rules::ENCODED_LEN + 4;

    /// The rules, then the bits.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[..Rules::ENCODED_LEN].copy_from_slice(&self.rules.encode());
        out[Rules::ENCODED_LEN..].copy_from_slice(&self.bits.to_le_bytes());
        out
    }

    /// The inverse of [`encode`](Self::encode).
    ///
    /// # Errors
    /// Rules or a target that cannot be used.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Self, ParamsError> {
        let (rules, bits) = bytes.split_first_chunk().expect("the rules come first");
        let bits = u32::from_le_bytes(bits.try_into().expect("4 bytes"));
        Target::from_bits(bits)?;
        Ok(ChainParams { rules: Rules::decode(rules)?, bits })
    }

    /// What block 0 has as its previous hash: a chain is bound to its rules.
    pub fn hash(&self) -> Digest {
        sha256d(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_round_trip_and_every_byte_changes_the_hash() {
        let params = ChainParams { rules: Rules::default(), bits: 0x1f00_ffff };
        let bytes = params.encode();
        assert_eq!(ChainParams::decode(&bytes), Ok(params));
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            // Where the change is still a chain's parameters, it is another chain.
            if let Ok(other) = ChainParams::decode(&changed) {
                assert_eq!(other.encode(), changed);
                assert_ne!(other.hash(), params.hash(), "byte {at}");
            }
        }
    }

    #[test]
    fn bad_parameters_are_refused_by_name() {
        let good = ChainParams { rules: Rules::default(), bits: 0x1f00_ffff };
        let refused = |params: ChainParams| ChainParams::decode(&params.encode()).unwrap_err();
        let bits = 0x1f80_ffff;
        assert_eq!(refused(ChainParams { bits, ..good }), ParamsError::Target(TargetError::Negative { bits }));
        let rules = Rules { lot: 0, ..good.rules };
        assert!(matches!(refused(ChainParams { rules, ..good }), ParamsError::Rules(RulesError::TickOrLot { .. })));
    }
}
