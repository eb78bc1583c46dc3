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
    /// Compact target of the first block, and of all if it is not adjusted.
    pub bits: u32,
    /// How the target is adjusted to the time that blocks take, if it is.
    pub retarget: Option<Retarget>,
}

/// Adjusts the target so that a block takes a given time. See [`Tip`](super::Tip).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retarget {
    /// The target changes after each so many blocks; 2 to [`Retarget::BLOCKS_MAX`].
    pub blocks: u32,
    /// Seconds that a block shall take; 1 to [`Retarget::SECONDS_MAX`].
    pub seconds: u32,
}

impl Retarget {
    /// Most blocks of a window.
    pub const BLOCKS_MAX: u32 = 1 << 20;
    /// Most seconds a block may take: somewhat more than a week.
    pub const SECONDS_MAX: u32 = 1 << 20;
}

/// Why bytes are no chain parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParamsError {
    /// The rules cannot be used.
    #[error("market rules: {0}")]
    Rules(#[from] RulesError),
    /// The target cannot be used.
    #[error("difficulty: {0}")]
    Target(#[from] TargetError),
    /// The adjustment of the target cannot be used.
    #[error(
        "difficulty: adjusted every {blocks} blocks to {seconds} s a block; 2 to {} blocks and 1 to {} s can be used",
        Retarget::BLOCKS_MAX,
        Retarget::SECONDS_MAX
    )]
    Retarget {
        /// Blocks of a window.
        blocks: u32,
        /// Seconds of a block.
        seconds: u32,
    },
}

impl ChainParams {
    /// Length of the encoding.
    pub const ENCODED_LEN: usize = Rules::ENCODED_LEN + 12;

    /// Parameters whose target is the same for all blocks.
    pub fn fixed(rules: Rules, bits: u32) -> Self {
        ChainParams { rules, bits, retarget: None }
    }

    /// Checks that a chain can be made with these parameters.
    ///
    /// # Errors
    /// Names the first that cannot be used.
    pub fn validate(&self) -> Result<(), ParamsError> {
        self.rules.validate()?;
        Target::from_bits(self.bits)?;
        if let Some(Retarget { blocks, seconds }) = self.retarget
            && !((2..=Retarget::BLOCKS_MAX).contains(&blocks) && (1..=Retarget::SECONDS_MAX).contains(&seconds))
        {
            return Err(ParamsError::Retarget { blocks, seconds });
        }
        Ok(())
    }

    /// The rules, the bits, then blocks and seconds of the adjustment, both zero without one.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        let (rules, rest) = out.split_at_mut(Rules::ENCODED_LEN);
        rules.copy_from_slice(&self.rules.encode());
        rest[0..4].copy_from_slice(&self.bits.to_le_bytes());
        if let Some(Retarget { blocks, seconds }) = self.retarget {
            rest[4..8].copy_from_slice(&blocks.to_le_bytes());
            rest[8..12].copy_from_slice(&seconds.to_le_bytes());
        }
        out
    }

    /// The inverse of [`encode`](Self::encode).
    ///
    /// # Errors
    /// Parameters that [`validate`](Self::validate) refuses.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Self, ParamsError> {
        let (rules, rest) = bytes.split_first_chunk().expect("the rules come first");
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("4 bytes"));
        let (bits, blocks, seconds) = (word(0), word(4), word(8));
        let retarget = (blocks != 0 || seconds != 0).then_some(Retarget { blocks, seconds });
        let params = ChainParams { rules: Rules::decode(rules)?, bits, retarget };
        params.validate()?;
        Ok(params)
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
        let retarget = Some(Retarget { blocks: 144, seconds: 2 });
        let params = ChainParams { rules: Rules::default(), bits: 0x1f00_ffff, retarget };
        let fixed = ChainParams { retarget: None, ..params };
        assert_eq!(ChainParams::decode(&fixed.encode()), Ok(fixed));
        assert_ne!(fixed.hash(), params.hash());
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
        let good = ChainParams::fixed(Rules::default(), 0x1f00_ffff);
        let refused = |params: ChainParams| ChainParams::decode(&params.encode()).unwrap_err();
        let bits = 0x1f80_ffff;
        assert_eq!(refused(ChainParams { bits, ..good }), ParamsError::Target(TargetError::Negative { bits }));
        let limit = 1 << 20;
        for (blocks, seconds) in [(1, 10), (0, 10), (limit + 1, 10), (144, 0), (144, limit + 1)] {
            let retarget = Some(Retarget { blocks, seconds });
            assert_eq!(refused(ChainParams { retarget, ..good }), ParamsError::Retarget { blocks, seconds });
        }
        let rules = Rules { lot: 0, ..good.rules };
        assert!(matches!(refused(ChainParams { rules, ..good }), ParamsError::Rules(RulesError::TickOrLot { .. })));
    }
}
