//! The difficulty of a block: a 256-bit target, and Bitcoin's compact form of it.

use crate::hash::Digest;
use thiserror::Error;

/// A 256-bit number, little-endian as digests are read. A header's hash must not be above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target([u8; 32]);

/// Why compact bits are no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// The sign bit is set.
    #[error("compact target {bits:#010x} is negative")]
    Negative {
        /// The bits.
        bits: u32,
    },
    /// It is zero, so that no hash meets it.
    #[error("compact target {bits:#010x} is zero")]
    Zero {
        /// The bits.
        bits: u32,
    },
    /// It does not fit 256 bits.
    #[error("compact target {bits:#010x} does not fit 256 bits")]
    Overflow {
        /// The bits.
        bits: u32,
    },
}

impl Target {
    /// Decodes compact bits: a byte of length, then the three highest bytes of a big-endian number of that length.
    ///
    /// # Errors
    /// Negative, zero or too large targets, which Bitcoin's `SetCompact` reports the same way.
    pub fn from_bits(bits: u32) -> Result<Target, TargetError> {
        let (length, mut mantissa) = ((bits >> 24) as i32, bits & 0x007f_ffff);
        if length < 3 {
            // A short number keeps its highest bytes only.
            mantissa &= !(0x00ff_ffff >> (8 * length));
        }
        // After the cut: what is cut to zero has no sign.
        if bits & 0x0080_0000 != 0 && mantissa != 0 {
            return Err(TargetError::Negative { bits });
        }
        let mut target = [0u8; 32];
        for (place, byte) in mantissa.to_le_bytes()[..3].iter().enumerate() {
            match usize::try_from(length - 3 + place as i32) {
                Ok(at) if at < 32 => target[at] = *byte,
                Ok(_) if *byte != 0 => return Err(TargetError::Overflow { bits }),
                // Zeros above, or bytes that a short length cuts off below.
                _ => {}
            }
        }
        if target == [0; 32] { Err(TargetError::Zero { bits }) } else { Ok(Target(target)) }
    }

    /// The compact form; of a target that has one exactly, its own.
    pub fn to_bits(&self) -> u32 {
        let length = 32 - self.0.iter().rev().take_while(|&&byte| byte == 0).count();
        let byte = |from_top: usize| if from_top < length { u32::from(self.0[length - 1 - from_top]) } else { 0 };
        let mantissa = byte(0) << 16 | byte(1) << 8 | byte(2);
        // A set top bit would read as a sign: shift it down a byte.
        if mantissa & 0x0080_0000 != 0 {
            (length as u32 + 1) << 24 | mantissa >> 8
        } else {
            (length as u32) << 24 | mantissa
        }
    }

    /// The largest compact target below 2^(256 - bits): hashes meet it once in a bit more than 2^bits.
    ///
    /// # Panics
    /// If `bits` is above 224.
    pub fn from_leading_zero_bits(bits: u32) -> Target {
        assert!(bits <= 224, "{bits} leading zero bits leave no room for a target");
        let mut target = [0u8; 32];
        let zeros = (bits / 8) as usize;
        target[31 - zeros] = 0xff >> (bits % 8);
        if zeros < 31 {
            target[30 - zeros] = 0xff;
        }
        // As precise as compact bits are: what is left of three bytes.
        Target::from_bits(Target(target).to_bits()).expect("a valid target")
    }

    /// The easiest compact target: every second hash meets it.
    pub const EASIEST_BITS: u32 = 0x207f_ffff;

    /// `self x numerator / denominator`, rounded down, but at least 1 and at most the easiest target.
    ///
    /// # Panics
    /// If the denominator is zero.
    pub fn scaled(&self, numerator: u64, denominator: u64) -> Target {
        // Digits of 32 bits, the highest first, as with pen and paper: first the product, then the quotient.
        let mut product = [0u32; 10];
        let mut carry = 0u128;
        for (digit, out) in
            self.0.as_chunks::<4>().0.iter().map(|d| u32::from_le_bytes(*d)).zip(product.iter_mut().rev())
        {
            let sum = u128::from(digit) * u128::from(numerator) + carry;
            *out = sum as u32;
            carry = sum >> 32;
        }
        (product[1], product[0]) = (carry as u32, (carry >> 32) as u32);
        let mut remainder = 0u128;
        let mut quotient = [0u32; 10];
        for (digit, out) in product.iter().zip(&mut quotient) {
            let part = remainder << 32 | u128::from(*digit);
            *out = (part / u128::from(denominator)) as u32;
            remainder = part % u128::from(denominator);
        }
        let easiest = Target::from_bits(Self::EASIEST_BITS).expect("a valid target");
        if quotient[..2] != [0, 0] {
            return easiest;
        }
        let mut bytes = [0u8; 32];
        for (digit, bytes) in quotient.iter().rev().zip(bytes.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&digit.to_le_bytes());
        }
        if bytes == [0; 32] {
            bytes[0] = 1;
        }
        if bytes.iter().rev().gt(easiest.0.iter().rev()) { easiest } else { Target(bytes) }
    }

    /// The number's bytes, the lowest first.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a hash is at or below the target.
    #[inline]
    pub fn is_met_by(&self, hash: &Digest) -> bool {
        hash.iter().rev().le(self.0.iter().rev())
    }

    /// Expected number of hashes until one meets the target.
    pub fn work(&self) -> f64 {
        let target = self.0.iter().rev().fold(0.0, |number, &byte| number * 256.0 + f64::from(byte));
        2f64.powi(256) / (target + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big_endian_hex(target: Target) -> String {
        crate::hash::to_hex_reversed(&target.0)
    }

    #[test]
    fn bitcoins_vectors() {
        let genesis = Target::from_bits(0x1d00_ffff).unwrap();
        assert_eq!(big_endian_hex(genesis), format!("00000000ffff{}", "0".repeat(52)));
        assert_eq!(genesis.to_bits(), 0x1d00_ffff);
        let target = Target::from_bits(0x1b04_04cb).unwrap();
        assert_eq!(big_endian_hex(target), format!("00000000000404cb{}", "0".repeat(48)));
        assert_eq!(Target::from_bits(0x0500_9234).unwrap().to_bits(), 0x0500_9234);
        assert_eq!(Target::from_bits(0x0492_3456), Err(TargetError::Negative { bits: 0x0492_3456 }));
        assert_eq!(Target::from_bits(0x01fe_dcba), Err(TargetError::Negative { bits: 0x01fe_dcba }));
        // Bitcoin Core's arith_uint256_tests lists these as zero; the second line's sign bit stands on nothing.
        for bits in [
            [0, 0x0012_3456, 0x0100_3456, 0x0200_0056, 0x0300_0000, 0x0400_0000],
            [0x0092_3456, 0x0180_3456, 0x0280_0056, 0x0380_0000, 0x0480_0000, 0xff80_0000],
        ]
        .concat()
        {
            assert_eq!(Target::from_bits(bits), Err(TargetError::Zero { bits }), "{bits:#x}");
        }
        for (bits, back) in [
            (0x0112_3456, 0x0112_0000),
            (0x0212_3456, 0x0212_3400),
            (0x0312_3456, 0x0312_3456),
            (0x0412_3456, 0x0412_3456),
            (0x2012_3456, 0x2012_3456),
        ] {
            assert_eq!(Target::from_bits(bits).unwrap().to_bits(), back);
        }
        assert_eq!(Target::from_bits(0xff12_3456), Err(TargetError::Overflow { bits: 0xff12_3456 }));
        assert_eq!(Target::from_bits(0x2101_0000), Err(TargetError::Overflow { bits: 0x2101_0000 }));
        assert!((genesis.work() - 4_295_032_833.0).abs() < 1.0);
    }

    #[test]
    fn compact_bits_round_trip() {
        for length in 3..=32u32 {
            for mantissa in [0x00_8000, 0x01_0000, 0x12_3456, 0x7f_ffff] {
                let bits = length << 24 | mantissa;
                assert_eq!(Target::from_bits(bits).unwrap().to_bits(), bits, "{bits:#010x}");
            }
        }
    }

    #[test]
    fn leading_zero_bits() {
        assert_eq!(Target::from_leading_zero_bits(16).to_bits(), 0x1f00_ffff);
        assert_eq!(Target::from_leading_zero_bits(0).to_bits(), 0x2100_ffff);
        for bits in 0..=224 {
            let target = Target::from_leading_zero_bits(bits);
            assert!((target.work() / 2f64.powi(bits as i32) - 1.0).abs() < 0.01, "{bits}: {}", target.work());
        }
    }

    #[test]
    fn scaling_is_exact_and_keeps_to_the_limits() {
        let target = |bits: u32| Target::from_bits(bits).unwrap();
        assert_eq!(target(0x1d00_ffff).scaled(1, 1), target(0x1d00_ffff));
        assert_eq!(target(0x1d00_fffe).scaled(1, 2), target(0x1c7f_ff00));
        assert_eq!(target(0x1d00_ffff).scaled(256, 1), target(0x1e00_ffff));
        // Bitcoin's first change, block 32,256: 1d00ffff became 1d00d86a after 1,023,848 of 1,209,600 seconds.
        let first_change = target(0x1d00_ffff).scaled(1_262_152_739 - 1_261_130_161, 1_209_600);
        assert_eq!(first_change.to_bits(), 0x1d00_d86a);
        assert_eq!(target(0x0300_0001).scaled(1, u64::MAX), target(0x0300_0001), "never zero");
        let easiest = target(Target::EASIEST_BITS);
        assert_eq!(easiest.scaled(u64::MAX, 1), easiest);
        assert_eq!(target(0x2100_ffff).scaled(1, 1), easiest);
        // Against floating point, over all sizes.
        for length in 4..=32u32 {
            for (numerator, denominator) in [(1, 4), (4, 1), (1_234_567, 7_654_321), (1 << 42, 1 << 40), (3, 2)] {
                let before = target(length << 24 | 0x01_2345);
                let after = before.scaled(numerator, denominator);
                let wanted = before.work() * denominator as f64 / numerator as f64;
                assert!(after.work() >= wanted * 0.999_99 || after == easiest, "{length} {numerator}/{denominator}");
                assert!(length < 8 || after == easiest || after.work() <= wanted * 1.000_1, "{length}");
            }
        }
    }

    #[test]
    fn a_hash_on_the_target_meets_it_and_one_above_does_not() {
        let target = Target::from_bits(0x1d00_ffff).unwrap();
        let mut hash = target.0;
        assert!(target.is_met_by(&hash));
        hash[0] = 1;
        assert!(!target.is_met_by(&hash));
        hash[26] = 0xfe;
        assert!(target.is_met_by(&hash));
    }
}
