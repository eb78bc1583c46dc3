//! The nonce search's inner loop: hashes a header with as many nonces at a time as there are lanes, and looks at one word of
//! each digest.
//!
//! What no nonce touches is done once per header: the first block, rounds 0 to 2 and what round 3 adds to the nonce, words
//! 16 and 17 of the schedule and the known parts of those up to 33. Of the second hash, only what its last word needs is
//! done. Searching versions beside nonces would share one schedule between lanes of different first blocks: it takes a
//! `Job` whose state is in lanes and whose schedule is not, and nothing else of what is here.

use super::fips::{END_MARK, K, round, round_sums, sigma0, sigma1};
use super::lanes::{
    Lanes, next_word, round as lanes_round, round_known, second_hash_last_word, small0, small1, unrolled,
};
use super::portable::HeaderHasher;

/// Length in bits of a header.
const HEADER_BITS: u32 = 640;

/// What a header's hash is made of before the nonce is known.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// State after the first block.
    midstate: [u32; 8],
    /// State that round 4 starts from; `a` and `e` lack the nonce's word.
    state: [u32; 8],
    /// `d + h + K + W` and `h + K + W` of rounds 4 to 6, in which `d` and `h` still know no nonce.
    d_h_k: [u32; 3],
    h_k: [u32; 3],
    /// Words 16 and 17.
    w16: u32,
    w17: u32,
    /// `K + W` of rounds 16 and 17.
    k_w16: u32,
    k_w17: u32,
    /// The known parts of words 18, 19, 31 and 32.
    w18: u32,
    w19: u32,
    w31: u32,
    w32: u32,
}

impl Job {
    pub fn new(header: &HeaderHasher) -> Self {
        let midstate = *header.midstate();
        let w = header.tail_words();
        let before = (0..3).fold(midstate, |state, i| round(&state, K[i].wrapping_add(w[i])));
        // Round 3, but for its word.
        let [a, b, c, d, e, f, g, _] = before;
        let (t1, t2) = round_sums(&before);
        let t1 = t1.wrapping_add(K[3]);
        let state = [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g];
        let h_k = [g.wrapping_add(K[4]).wrapping_add(END_MARK), f.wrapping_add(K[5]), e.wrapping_add(K[6])];
        let d_h_k = [c.wrapping_add(h_k[0]), b.wrapping_add(h_k[1]), a.wrapping_add(h_k[2])];
        let w16 = sigma0(w[1]).wrapping_add(w[0]);
        let w17 = sigma1(HEADER_BITS).wrapping_add(sigma0(w[2])).wrapping_add(w[1]);
        Job {
            midstate,
            state,
            d_h_k,
            h_k,
            w16,
            w17,
            k_w16: K[16].wrapping_add(w16),
            k_w17: K[17].wrapping_add(w17),
            w18: sigma1(w16).wrapping_add(w[2]),
            w19: sigma1(w17).wrapping_add(sigma0(END_MARK)),
            w31: sigma0(w16).wrapping_add(HEADER_BITS),
            w32: sigma0(w17).wrapping_add(w16),
        }
    }
}

/// Lanes whose digests may be low enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidates {
    /// Nonce of lane 0.
    pub first: u32,
    /// One bit per lane.
    pub lanes: u64,
}

/// Tries `batches` times `COUNT` nonces from `first` on, past the last one from zero again. Stops at the first batch in
/// which a digest's top word is at most `top`.
#[inline(always)]
pub(super) fn scan<V: Lanes>(cpu: V::Cpu, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
    let limit = V::splat(cpu, top);
    let mut nonce = first;
    for _ in 0..batches {
        let last_word = second_hash_last_word(cpu, first_hash(cpu, job, V::counting(cpu, nonce)));
        let lanes = last_word.swap_bytes().at_most(limit);
        if lanes != 0 {
            return Some(Candidates { first: nonce, lanes });
        }
        nonce = nonce.wrapping_add(V::COUNT as u32);
    }
    None
}

/// The header's first hash, as words.
#[inline(always)]
fn first_hash<V: Lanes>(cpu: V::Cpu, job: &Job, nonce: V) -> [V; 8] {
    let splat = |word| V::splat(cpu, word);
    // A header holds its nonce little-endian; SHA-256 reads big-endian words.
    let w3 = nonce.swap_bytes();
    // The state's array stands as in round 4: there, `a` to `h` are words 4, 5, 6, 7, 0, 1, 2, 3.
    let mut s: [V; 8] = std::array::from_fn(|i| splat(job.state[(i + 4) % 8]));
    s[4] = s[4].add(w3);
    s[0] = s[0].add(w3);
    unrolled!(I in [4 5 6] { round_known::<V, I>(&mut s, None, splat(job.d_h_k[I - 4]), splat(job.h_k[I - 4])); });
    unrolled!(I in [7 8 9 10 11 12 13 14] { lanes_round::<V, I>(&mut s, splat(K[I])); });
    lanes_round::<V, 15>(&mut s, splat(K[15].wrapping_add(HEADER_BITS)));
    lanes_round::<V, 16>(&mut s, splat(job.k_w16));
    lanes_round::<V, 17>(&mut s, splat(job.k_w17));

    let mut w = [splat(0); 16];
    w[2] = small0(w3).add(splat(job.w18));
    w[3] = w3.add(splat(job.w19));
    w[4] = small1(w[2]).add(splat(END_MARK));
    w[5] = small1(w[3]);
    unrolled!(I in [18 19 20 21] { lanes_round::<V, I>(&mut s, w[I - 16].add(splat(K[I]))); });
    w[6] = small1(w[4]).add(splat(HEADER_BITS));
    lanes_round::<V, 22>(&mut s, w[6].add(splat(K[22])));
    w[7] = small1(w[5]).add(splat(job.w16));
    lanes_round::<V, 23>(&mut s, w[7].add(splat(K[23])));
    w[8] = small1(w[6]).add(splat(job.w17));
    lanes_round::<V, 24>(&mut s, w[8].add(splat(K[24])));
    unrolled!(I in [25 26 27 28 29] {
        w[I - 16] = small1(w[I - 18]).add(w[I - 23]);
        lanes_round::<V, I>(&mut s, w[I - 16].add(splat(K[I])));
    });
    w[14] = small1(w[12]).add(w[7]).add(splat(sigma0(HEADER_BITS)));
    lanes_round::<V, 30>(&mut s, w[14].add(splat(K[30])));
    w[15] = small1(w[13]).add(w[8]).add(splat(job.w31));
    lanes_round::<V, 31>(&mut s, w[15].add(splat(K[31])));
    w[0] = small1(w[14]).add(w[9]).add(splat(job.w32));
    lanes_round::<V, 32>(&mut s, w[0].add(splat(K[32])));
    w[1] = small1(w[15]).add(w[10]).add(small0(w[2])).add(splat(job.w17));
    lanes_round::<V, 33>(&mut s, w[1].add(splat(K[33])));
    unrolled!(I in [34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63] {
        let word = next_word::<V, I>(&mut w);
        lanes_round::<V, I>(&mut s, word.add(splat(K[I])));
    });
    std::array::from_fn(|i| s[i].add(splat(job.midstate[i])))
}
