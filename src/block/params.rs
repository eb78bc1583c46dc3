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
