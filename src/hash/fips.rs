//! The constants of FIPS 180-4, and what follows from them before any message is known.

/// Section 5.3.3: the state before the first block.
pub(super) const INITIAL_STATE: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Section 4.2.2: one constant a round.
pub(super) const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, //
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, //
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, //
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, //
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, //
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, //
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, //
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The bit that ends every message.
pub(super) const END_MARK: u32 = 0x8000_0000;

/// Small sigma 0 of section 4.1.2.
pub(super) const fn sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

/// Small sigma 1.
pub(super) const fn sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// What a round adds to `h` besides `K` and `W`, and what it adds to that for the new `a`.
pub(super) const fn round_sums(state: &[u32; 8]) -> (u32, u32) {
    let [a, b, c, _, e, f, g, h] = *state;
    let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let choice = g ^ (e & (f ^ g));
    let majority = (a & b) | (c & (a | b));
    (h.wrapping_add(sum1).wrapping_add(choice), sum0.wrapping_add(majority))
}

/// One round of one message.
pub(super) const fn round(state: &[u32; 8], k_and_w: u32) -> [u32; 8] {
    let [a, b, c, d, e, f, g, _] = *state;
    let (t1, t2) = round_sums(state);
    let t1 = t1.wrapping_add(k_and_w);
    [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
}

/// `K + W` of all rounds of a block that is known.
pub(super) const fn schedule(block: [u32; 16]) -> [u32; 64] {
    let mut w = [0u32; 64];
    let mut i = 0;
    while i < 64 {
        w[i] = if i < 16 {
            block[i]
        } else {
            let sum = sigma1(w[i - 2]).wrapping_add(w[i - 7]);
            sum.wrapping_add(sigma0(w[i - 15])).wrapping_add(w[i - 16])
        };
        i += 1;
    }
    let mut i = 0;
    while i < 64 {
        w[i] = w[i].wrapping_add(K[i]);
        i += 1;
    }
    w
}

/// The block that follows a message of whole blocks: the mark, zeros, the length in bits.
pub(super) const fn padding_block(message_len: usize) -> [u32; 16] {
    let mut block = [0u32; 16];
    block[0] = END_MARK;
    block[15] = 8 * message_len as u32;
    block
}

/// What follows a digest when it is hashed.
pub(super) const DIGEST_PADDING: [u32; 8] = [END_MARK, 0, 0, 0, 0, 0, 0, 256];

#[cfg(test)]
mod tests {
    use super::*;

    /// Fractional parts of the square and cube roots of the first primes, as the standard defines them.
    #[test]
    fn constants_follow_their_definition() {
        let primes: Vec<u64> = (2..312u64).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
        assert_eq!(primes.len(), 64);
        // The largest r with r^power <= prime * 2^(32 * power) is the root with 32 bits behind the point.
        let root = |prime: u64, power: u32| {
            let (mut low, mut high) = (0u128, 1u128 << 37);
            while high - low > 1 {
                let middle = (low + high) / 2;
                let below = if power == 2 {
                    middle * middle <= u128::from(prime) << 64
                } else {
                    middle * middle * middle <= u128::from(prime) << 96
                };
                if below { low = middle } else { high = middle }
            }
            low as u32
        };
        for (i, &prime) in primes.iter().enumerate() {
            assert_eq!(K[i], root(prime, 3), "K {i}");
            if i < 8 {
                assert_eq!(INITIAL_STATE[i], root(prime, 2), "H {i}");
            }
        }
    }

    #[test]
    fn rounds_of_a_known_block_are_the_compression() {
        let block: [u32; 16] = std::array::from_fn(|i| (i as u32 + 1).wrapping_mul(0x9e37_79b9));
        let rounds = schedule(block).iter().fold(INITIAL_STATE, |state, &k_and_w| round(&state, k_and_w));
        let mut expected = INITIAL_STATE;
        let bytes: Vec<u8> = block.iter().flat_map(|word| word.to_be_bytes()).collect();
        super::super::portable::compress(&mut expected, &bytes);
        let found: [u32; 8] = std::array::from_fn(|i| rounds[i].wrapping_add(INITIAL_STATE[i]));
        assert_eq!(found, expected);
    }
}
