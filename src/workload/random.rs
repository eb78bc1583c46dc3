//! The random numbers of every workload.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// xoshiro256++ with the few draws that workloads need. They are written out here, because a general crate may change how
/// it draws from a range between versions, and a seed must mean the same commands for good.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The generator of a seed. `stream` separates uses of the same seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Uniform over all 64-bit values.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform over `0..n` up to a bias of n / 2^64 (Lemire's multiplication). `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform over `low..=high`.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = (i64::from(high) - i64::from(low) + 1) as u64;
        (i64::from(low) + self.below(span) as i64) as i32
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// 32 random bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        self.0.fill_bytes(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_draws_for_good() {
        let mut random = Random::new(42, 0);
        assert_eq!([random.below(1_000), random.below(1_000), random.below(1_000)], [814, 318, 983]);
        assert_ne!(Random::new(42, 0).word(), Random::new(42, 1).word());
        assert!((0..1_000).all(|_| (-3..=3).contains(&random.between(-3, 3))));
        assert_eq!(random.between(i32::MIN, i32::MIN), i32::MIN);
    }
}
