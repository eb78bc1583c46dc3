//! The end of a chain of headers: what the next header must build on, and how difficult it must be.

use super::{BlockError, ChainParams, Header, Target};
use crate::hash::{Digest, to_hex_reversed};

/// A chain of valid headers, as far as the next one depends on it.
///
/// **Time.** A header's time is not before its parent's. So it is never before the median of the eleven headers before it,
/// which is all that Bitcoin asks for: nobody can set the clock back to make blocks easier.
///
/// **Difficulty.** Without [`Retarget`](super::Retarget), every block has the target of the parameters. With it, the target
/// changes after each `blocks` blocks in the proportion of the time that they took to the time that they should have taken,
/// by at most a factor of four. Unlike Bitcoin's, a window begins where the one before it ended, so that its length is
/// `blocks` intervals (the first window, whose beginning no block marks, has one interval less).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    params: ChainParams,
    height: u64,
    hash: Digest,
    time: u32,
    bits: u32,
    /// Time from which the current window is measured: that of the last block before it.
    measured_from: u32,
}

impl Tip {
    /// The end of a chain without blocks.
    pub fn genesis(params: ChainParams) -> Tip {
        Tip { params, height: 0, hash: params.hash(), time: 0, bits: params.bits, measured_from: 0 }
    }

    /// Length of the encoding.
    pub const ENCODED_LEN: usize = 56;

    /// Height (u64), hash, time, bits, start of the window (u32 each), 4 zero bytes; not the parameters. Little-endian.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0..8].copy_from_slice(&self.height.to_le_bytes());
        out[8..40].copy_from_slice(&self.hash);
        for (at, word) in [self.time, self.bits, self.measured_from].into_iter().enumerate() {
            out[40 + 4 * at..44 + 4 * at].copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The inverse of [`encode`](Self::encode), for a chain with these parameters; `None` for bytes that are no tip of any chain.
    pub fn decode(params: ChainParams, bytes: &[u8; Self::ENCODED_LEN]) -> Option<Tip> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let height = u64::from_le_bytes(bytes[0..8].try_into().expect("8 bytes"));
        let hash = bytes[8..40].try_into().expect("32 bytes");
        let tip = Tip { params, height, hash, time: word(40), bits: word(44), measured_from: word(48) };
        let genesis = height > 0 || tip == Tip::genesis(params);
        (genesis && tip.encode() == *bytes && Target::from_bits(tip.bits).is_ok()).then_some(tip)
    }

    /// Number of blocks.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Hash of the last header; without one, of the chain's parameters.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// Compact target of the next header.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The next header, to be completed: no Merkle root, no nonce.
    pub fn next(&self, time: u32) -> Header {
        Header::new(self.hash, time, self.bits)
    }

    /// Checks that a header can be the next: version, linkage, target, work, time. Returns its hash.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, header: &Header) -> Result<Digest, BlockError> {
        let (block, bits) = (self.height, self.bits);
        if header.version != Header::VERSION {
            return Err(BlockError::Version { block, found: header.version });
        }
        if header.previous != self.hash {
            let (expected, found) = (to_hex_reversed(&self.hash), to_hex_reversed(&header.previous));
            return Err(BlockError::Link { block, expected, found });
        }
        if header.bits != bits {
            return Err(BlockError::Bits { block, expected: bits, found: header.bits });
        }
        let hash = header.hash();
        // Bits that are no target are met by nothing.
        if !Target::from_bits(bits).is_ok_and(|target| target.is_met_by(&hash)) {
            return Err(BlockError::Work { block, hash: to_hex_reversed(&hash), bits });
        }
        if header.time < self.time {
            return Err(BlockError::Time { block, expected: self.time, found: header.time });
        }
        Ok(hash)
    }

    /// Goes on to a header that [`check`](Self::check) accepted, whose hash it returned.
    pub fn extend(&mut self, header: &Header, hash: Digest) {
        self.height += 1;
        (self.hash, self.time) = (hash, header.time);
        let Some(retarget) = self.params.retarget else { return };
        if self.height == 1 {
            self.measured_from = header.time;
        }
        let window = u64::from(retarget.blocks);
        if self.height.is_multiple_of(window) {
            let intervals = if self.height == window { window - 1 } else { window };
            let expected = intervals * u64::from(retarget.seconds);
            // In quarters of a second, so that a quarter of the expected time is exact.
            let taken = (4 * u64::from(self.time - self.measured_from)).clamp(expected, 16 * expected);
            let target = Target::from_bits(self.bits).expect("it was met by a hash");
            self.bits = target.scaled(taken, 4 * expected).to_bits();
            self.measured_from = self.time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Retarget, sample};
    use super::*;
    use crate::types::Rules;

    const EASY: u32 = 0x207f_ffff;

    fn params(bits: u32, retarget: Option<Retarget>) -> ChainParams {
        ChainParams { rules: Rules::default(), bits, retarget }
    }

    /// Mines blocks with these times and returns the target bits of each and of the one behind them.
    fn mined(params: ChainParams, times: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut tip = Tip::genesis(params);
        let mut bits = vec![tip.bits()];
        for time in times {
            let header = sample::mine(tip.next(time));
            let hash = tip.check(&header).unwrap();
            tip.extend(&header, hash);
            bits.push(tip.bits());
        }
        bits
    }

    #[test]
    fn a_tip_goes_on_from_its_encoding() {
        let params = params(Target::from_leading_zero_bits(2).to_bits(), Some(Retarget { blocks: 4, seconds: 10 }));
        let mut tip = Tip::genesis(params);
        for block in 0..11u32 {
            let bytes = tip.encode();
            assert_eq!(Tip::decode(params, &bytes), Some(tip.clone()));
            let mut stray = bytes;
            stray[55] = 1;
            assert_eq!(Tip::decode(params, &stray), None);
            let header = sample::mine(tip.next(1_000 + block * 7));
            let hash = tip.check(&header).unwrap();
            tip.extend(&header, hash);
        }
        let mut golden = [0u8; 56];
        golden[..8].copy_from_slice(&[11, 0, 0, 0, 0, 0, 0, 0]);
        golden[8..40].copy_from_slice(&tip.hash());
        golden[40..44].copy_from_slice(&1_070u32.to_le_bytes());
        golden[44..48].copy_from_slice(&tip.bits().to_le_bytes());
        golden[48..52].copy_from_slice(&1_049u32.to_le_bytes());
        assert_eq!(tip.encode(), golden);
    }

    fn work(bits: u32) -> f64 {
        Target::from_bits(bits).unwrap().work()
    }

    #[test]
    fn without_retargeting_the_target_stays() {
        assert_eq!(mined(params(EASY, None), [0, 0, 500, 1_000_000]), [EASY; 5]);
    }

    #[test]
    fn blocks_in_time_keep_the_target_and_others_change_it_by_four_at_most() {
        let bits = Target::from_leading_zero_bits(4).to_bits();
        let params = params(bits, Some(Retarget { blocks: 4, seconds: 10 }));
        let every = |seconds: u32| mined(params, (0..9).map(move |block| 1_000 + block * seconds));
        assert_eq!(every(10), vec![bits; 10], "also over the first window, which has one interval less");
        let ratio = |found: &[u32], at: usize| work(found[at]) / work(bits);
        let twice_as_fast = every(5);
        assert_eq!(twice_as_fast[..4], [bits; 4]);
        assert!((ratio(&twice_as_fast, 4) / 2.0 - 1.0).abs() < 0.01, "{twice_as_fast:x?}");
        assert!((ratio(&twice_as_fast, 8) / 4.0 - 1.0).abs() < 0.01, "{twice_as_fast:x?}");
        assert!((ratio(&every(0), 4) / 4.0 - 1.0).abs() < 0.01, "no faster than a factor of four");
        assert!((ratio(&every(15), 4) * 1.5 - 1.0).abs() < 0.01);
        assert!((ratio(&every(1_000), 4) * 4.0 - 1.0).abs() < 0.01, "no slower either");
    }

    #[test]
    fn a_target_never_gets_easier_than_the_easiest() {
        let params = params(EASY, Some(Retarget { blocks: 2, seconds: 1 }));
        assert_eq!(mined(params, (0..6).map(|block| block * 1_000)), [EASY; 7]);
    }

    #[test]
    fn a_header_with_the_target_of_before_is_refused_after_a_change() {
        let bits = Target::from_leading_zero_bits(2).to_bits();
        let mut tip = Tip::genesis(params(bits, Some(Retarget { blocks: 2, seconds: 100 })));
        for time in [7, 8] {
            let header = sample::mine(tip.next(time));
            let hash = tip.check(&header).unwrap();
            tip.extend(&header, hash);
        }
        let expected = tip.bits();
        assert_ne!(expected, bits);
        let stale = sample::mine(Header { bits, ..tip.next(9) });
        assert_eq!(tip.check(&stale), Err(BlockError::Bits { block: 2, expected, found: bits }));
        // Back in time, to a second of which the median of all headers would not complain.
        let early = sample::mine(tip.next(7));
        assert_eq!(tip.check(&early), Err(BlockError::Time { block: 2, expected: 8, found: 7 }));
    }
}
