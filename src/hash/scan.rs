//! The nonce search's inner loop: hashes a header with as many nonces at a time as there are lanes, and looks at one word of
//! each digest.
//!
//! What no nonce touches is done once per header: the first block, rounds 0 to 2 and what round 3 adds to the nonce, words
//! 16 and 17 of the schedule and the known parts of those up to 33. Of the second hash, only what its last word needs is
//! done. Searching versions beside nonces would share one schedule between lanes of different first blocks: it takes a
//! `Job` whose state is in lanes and whose schedule is not, and nothing else of what is here.

use super::fips::{self, DIGEST_PADDING, END_MARK, INITIAL_STATE, K, round_sums, schedule, sigma0, sigma1};
use super::lanes::{Lanes, array, at, next_word, round, round_e, round_known, small0, small1, splat_state, unrolled};
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
    /// Words 16 and 17, and `K + W` of their rounds.
    w: [u32; 2],
    k_w: [u32; 2],
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
        let before = (0..3).fold(midstate, |state, i| fips::round(&state, K[i].wrapping_add(w[i])));
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
            w: [w16, w17],
            k_w: [K[16].wrapping_add(w16), K[17].wrapping_add(w17)],
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
///
/// A round waits for the one before, so one hash at a time leaves half of the CPU idle. Here the first hash of the next batch
/// and the second hash of this one alternate round by round: two chains, in code as short as one. (Two batches side by
/// side would be two chains as well, but twice the code, which does not fit the cache of decoded instructions.) They are
/// half a hash apart, so that the early rounds of one, which have no schedule, fill up with late rounds of the other.
#[inline(always)]
pub(super) fn scan<V: Lanes>(cpu: V::Cpu, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
    let limit = V::splat(cpu, top);
    let step = V::COUNT as u32;
    let mut ahead = FirstHash::<V>::begin(cpu, job, first);
    unrolled!(I in [4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
        41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63] { ahead.round::<I>(cpu, job); });
    let mut digest = ahead.digest(cpu, job);
    ahead = FirstHash::begin(cpu, job, first.wrapping_add(step));
    unrolled!(I in [4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33] { ahead.round::<I>(cpu, job); });
    let mut nonce = first;
    for _ in 0..batches {
        let mut second = SecondHash::<V>::begin(cpu, digest);
        unrolled!(I in [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30] {
            second.round::<I>(cpu);
            ahead.round::<{ I + 33 }>(cpu, job);
        });
        digest = ahead.digest(cpu, job);
        ahead = FirstHash::begin(cpu, job, nonce.wrapping_add(2 * step));
        unrolled!(I in [31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60] {
            second.round::<I>(cpu);
            ahead.round::<{ I - 27 }>(cpu, job);
        });
        let lanes = second.last_word(cpu).swap_bytes().at_most(limit);
        if lanes != 0 {
            return Some(Candidates { first: nonce, lanes });
        }
        nonce = nonce.wrapping_add(step);
    }
    None
}

/// A header's first hash under way.
struct FirstHash<V> {
    state: [V; 8],
    /// The schedule's last 16 words; which of them are known is the rounds' knowledge.
    w: [V; 16],
}

impl<V: Lanes> FirstHash<V> {
    /// All that round 3 leaves, for nonces from `nonce` on.
    #[inline(always)]
    fn begin(cpu: V::Cpu, job: &Job, nonce: u32) -> Self {
        // A header holds its nonce little-endian; SHA-256 reads big-endian words.
        let w3 = V::counting(cpu, nonce).swap_bytes();
        // The array stands as it does after round 3: see `at`.
        let mut state: [V; 8] = array!(I in [0 1 2 3 4 5 6 7] V::splat(cpu, job.state[(I + 4) % 8]));
        state[at(4, 0)] = state[at(4, 0)].add(w3);
        state[at(4, 4)] = state[at(4, 4)].add(w3);
        let mut w = [V::splat(cpu, 0); 16];
        w[3] = w3;
        FirstHash { state, w }
    }

    /// Round `I`, 4 to 63, in its place among the other hash's rounds.
    #[inline(always)]
    fn round<const I: usize>(&mut self, cpu: V::Cpu, job: &Job) {
        self.free_round::<I>(cpu, job);
        pin::<V, I>(&mut self.state);
    }

    /// Round `I`. A term of the schedule that is zero is left out, a known one folded.
    #[inline(always)]
    fn free_round<const I: usize>(&mut self, cpu: V::Cpu, job: &Job) {
        let splat = |word| V::splat(cpu, word);
        let (s, w) = (&mut self.state, &mut self.w);
        match I {
            4..=6 => return round_known::<V, I>(s, None, splat(job.d_h_k[I - 4]), splat(job.h_k[I - 4])),
            7..=14 => return round::<V, I>(s, splat(K[I])),
            15 => return round::<V, I>(s, splat(K[15].wrapping_add(HEADER_BITS))),
            16 | 17 => return round::<V, I>(s, splat(job.k_w[I - 16])),
            _ => {}
        }
        w[I % 16] = match I {
            18 => small0(w[3]).add(splat(job.w18)),
            19 => w[3].add(splat(job.w19)),
            20 => small1(w[2]).add(splat(END_MARK)),
            21 => small1(w[3]),
            22 => small1(w[4]).add(splat(HEADER_BITS)),
            23 | 24 => small1(w[I - 18]).add(splat(job.w[I - 23])),
            25..=29 => small1(w[I - 18]).add(w[I - 23]),
            30 => small1(w[12]).add(w[7]).add(splat(sigma0(HEADER_BITS))),
            31 => small1(w[13]).add(w[8]).add(splat(job.w31)),
            32 => small1(w[14]).add(w[9]).add(splat(job.w32)),
            33 => small1(w[15]).add(w[10]).add(small0(w[2])).add(splat(job.w[1])),
            _ => next_word::<V, I>(w),
        };
        round::<V, I>(s, w[I % 16].add(splat(K[I])));
    }

    #[inline(always)]
    fn digest(&self, cpu: V::Cpu, job: &Job) -> [V; 8] {
        array!(I in [0 1 2 3 4 5 6 7] self.state[I].add(V::splat(cpu, job.midstate[I])))
    }
}

/// Keeps what round `I` made in its place. Without this, the compiler sorts the two hashes apart again, which saves it registers
/// and costs 40 % of the speed.
#[inline(always)]
fn pin<V: Lanes, const I: usize>(state: &mut [V; 8]) {
    state[at(I + 1, 4)] = state[at(I + 1, 4)].pinned();
    state[at(I + 1, 0)] = state[at(I + 1, 0)].pinned();
}

/// What the second hash knows before it has seen the first: state and constants of its early rounds.
struct Second {
    /// `a` and `e` after round 0, but for the word.
    a: u32,
    e: u32,
    /// `d + h + K` and `h + K` of rounds 1 to 3.
    d_h_k: [u32; 3],
    h_k: [u32; 3],
    /// `K + W` of the padding in rounds 8 to 15.
    k_w: [u32; 64],
}

const SECOND: Second = {
    let [a, b, c, d, e, f, g, _] = INITIAL_STATE;
    let (t1, t2) = round_sums(&INITIAL_STATE);
    let t1 = t1.wrapping_add(K[0]);
    // Rounds 1, 2 and 3 have the h that round 0 had as g, f, e, and the d that it had as c, b, a.
    let h_k = [g.wrapping_add(K[1]), f.wrapping_add(K[2]), e.wrapping_add(K[3])];
    let d_h_k = [c.wrapping_add(h_k[0]), b.wrapping_add(h_k[1]), a.wrapping_add(h_k[2])];
    let [mark, .., bits] = DIGEST_PADDING;
    let k_w = schedule([0, 0, 0, 0, 0, 0, 0, 0, mark, 0, 0, 0, 0, 0, 0, bits]);
    Second { a: t1.wrapping_add(t2), e: d.wrapping_add(t1), d_h_k, h_k, k_w }
};

/// Length in bits of a digest.
const DIGEST_BITS: u32 = DIGEST_PADDING[7];

/// The second hash under way, of which only the last word is wanted.
struct SecondHash<V> {
    state: [V; 8],
    w: [V; 16],
}

impl<V: Lanes> SecondHash<V> {
    /// All that round 0 leaves.
    #[inline(always)]
    fn begin(cpu: V::Cpu, first: [V; 8]) -> Self {
        let mut state = splat_state::<V>(cpu, &INITIAL_STATE);
        state[at(1, 0)] = first[0].add(V::splat(cpu, SECOND.a));
        state[at(1, 4)] = first[0].add(V::splat(cpu, SECOND.e));
        let mut w = [V::splat(cpu, 0); 16];
        w[..8].copy_from_slice(&first);
        SecondHash { state, w }
    }

    /// Round `I`, 1 to 60, in its place among the other hash's rounds.
    #[inline(always)]
    fn round<const I: usize>(&mut self, cpu: V::Cpu) {
        self.free_round::<I>(cpu);
        pin::<V, I>(&mut self.state);
    }

    /// Round `I`, as above.
    #[inline(always)]
    fn free_round<const I: usize>(&mut self, cpu: V::Cpu) {
        let splat = |word| V::splat(cpu, word);
        let (s, w) = (&mut self.state, &mut self.w);
        match I {
            1..=3 => return round_known::<V, I>(s, Some(w[I]), splat(SECOND.d_h_k[I - 1]), splat(SECOND.h_k[I - 1])),
            4..=7 => return round::<V, I>(s, w[I].add(splat(K[I]))),
            8..=15 => return round::<V, I>(s, splat(SECOND.k_w[I])),
            _ => {}
        }
        w[I % 16] = match I {
            16 => small0(w[1]).add(w[0]),
            17 => small0(w[2]).add(w[1]).add(splat(sigma1(DIGEST_BITS))),
            18..=21 => small0(w[I - 15]).add(w[I - 16]).add(small1(w[I - 18])),
            22 => small0(w[7]).add(w[6]).add(splat(DIGEST_BITS)).add(small1(w[4])),
            23 => w[7].add(splat(sigma0(END_MARK))).add(w[0]).add(small1(w[5])),
            24 => w[1].add(splat(END_MARK)).add(small1(w[6])),
            25..=29 => w[I - 23].add(small1(w[I - 18])),
            30 => w[7].add(splat(sigma0(DIGEST_BITS))).add(small1(w[12])),
            31 => small0(w[0]).add(splat(DIGEST_BITS)).add(w[8]).add(small1(w[13])),
            _ => next_word::<V, I>(w),
        };
        let k_and_w = w[I % 16].add(splat(K[I]));
        // The last word is the e that round 60 makes; no a that is newer than round 56's comes into it.
        if I < 57 { round::<V, I>(s, k_and_w) } else { round_e::<V, I>(s, k_and_w) }
    }

    /// The digest's last word, its top word when it is read as a number, with its highest byte as the digest's last but
    /// three.
    #[inline(always)]
    fn last_word(&self, cpu: V::Cpu) -> V {
        self.state[at(61, 4)].add(V::splat(cpu, INITIAL_STATE[7]))
    }
}
