//! SHA-NI: an instruction for two rounds, four messages interleaved, because each instruction waits long for the one before.
#![allow(unsafe_code)]

use super::Digest;
use super::batch::{PADDING, Tails, Times};
use super::fips::{DIGEST_PADDING, INITIAL_STATE, K, round};
use super::lanes::{array, unrolled};
use super::portable::HeaderHasher;
use super::scan::Candidates;
use std::arch::x86_64::*;

/// Proof that this CPU has SHA-NI, and SSSE3 and SSE4.1 with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShaNi(());

/// Messages that are hashed beside one another.
const STREAMS: usize = 4;

/// A register for each message.
type Each = [__m128i; STREAMS];

/// States as the instructions want them: `f e b a`, `h g d c`, from the lowest word up.
#[derive(Clone, Copy)]
struct States {
    abef: Each,
    cdgh: Each,
}

impl ShaNi {
    /// Messages of a batch.
    pub const LANES: usize = STREAMS;

    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        found.then_some(ShaNi(()))
    }

    /// Hashes into `out` 4 messages of one length.
    pub fn hash(self, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
        // SAFETY: `self` was made by `detect`, so the CPU has the features that this function is compiled for.
        unsafe { hash_4(times, messages, out) }
    }

    /// As the lanes' scan does; the header is prepared here because nothing but the first block is worth keeping.
    pub fn scan(self, header: &HeaderHasher, first: u32, batches: u32, top: u32) -> Option<Candidates> {
        // SAFETY: `self` was made by `detect`, so the CPU has the features that this function is compiled for.
        unsafe { scan_4(header, first, batches, top) }
    }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn hash_4(times: Times, messages: &[&[u8]], out: &mut [Digest]) {
    let messages: &[&[u8]; STREAMS] = messages.try_into().expect("one message per stream");
    let length = messages[0].len();
    let mut states = splat(&INITIAL_STATE);
    for start in (0..length / 64).map(|block| 64 * block) {
        compress(&mut states, load(messages.map(|message| message[start..].first_chunk().expect("a whole block"))));
    }
    let rest = length % 64;
    if let (0, Some(k_and_w)) = (rest, (length / 64).checked_sub(1).and_then(|at| PADDING.get(at))) {
        compress_known(&mut states, k_and_w);
    } else {
        let mut tails = Tails::<STREAMS>::ZERO;
        tails.fill(messages);
        for block in 0..tails.blocks {
            compress(&mut states, load(array!(I in [0 1 2 3] tails.block(I, block))));
        }
    }
    if times == Times::Twice {
        let words = digest_blocks(&states);
        states = splat(&INITIAL_STATE);
        compress(&mut states, words);
    }
    for (digest, stream) in out.iter_mut().zip(0..STREAMS) {
        let (low, high) = words(&states, stream);
        let bytes = [swap_bytes(low), swap_bytes(high)];
        // SAFETY: both are 32 bytes, and any bytes are a digest.
        *digest = unsafe { std::mem::transmute::<[__m128i; 2], Digest>(bytes) };
    }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn scan_4(header: &HeaderHasher, first: u32, batches: u32, top: u32) -> Option<Candidates> {
    let tail = header.tail_words();
    // Rounds 0 and 1 know no nonce.
    let before = round(header.midstate(), K[0].wrapping_add(tail[0]));
    let before = splat(&round(&before, K[1].wrapping_add(tail[1])));
    let midstate = splat(header.midstate());
    let word = |i: usize| tail[i] as i32;
    let rows = array!(I in [0 1 2 3] _mm_setr_epi32(word(4 * I), word(4 * I + 1), word(4 * I + 2), word(4 * I + 3)));
    let mut nonce = first;
    for _ in 0..batches {
        let w3 = |i: u32| nonce.wrapping_add(i).swap_bytes() as i32;
        let with_nonce = array!(I in [0 1 2 3] _mm_insert_epi32::<3>(rows[0], w3(I as u32)));
        let w = [with_nonce, [rows[1]; STREAMS], [rows[2]; STREAMS], [rows[3]; STREAMS]];
        let mut states = before;
        // Rounds 2 and 3, of the four that the first register holds.
        unrolled!(I in [0 1 2 3] {
            let k_and_w = _mm_add_epi32(with_nonce[I], constants(0));
            two_rounds_of(&mut states, I, _mm_shuffle_epi32::<0x0e>(k_and_w));
        });
        std::mem::swap(&mut states.abef, &mut states.cdgh);
        compress_rest::<false>(&mut states, w);
        let states = add(&states, &midstate);

        let mut second = splat(&INITIAL_STATE);
        let w = digest_blocks(&states);
        four_rounds(&mut second, w[0], 0);
        compress_rest::<true>(&mut second, w);
        // Rounds 62 and 63 were left out: they move e, which round 60 made, from f's place to h's.
        let mut lanes = 0;
        unrolled!(I in [0 1 2 3] {
            let last_word = (_mm_extract_epi32::<0>(second.abef[I]) as u32).wrapping_add(INITIAL_STATE[7]);
            lanes |= u64::from(last_word.swap_bytes() <= top) << I;
        });
        if lanes != 0 {
            return Some(Candidates { first: nonce, lanes });
        }
        nonce = nonce.wrapping_add(STREAMS as u32);
    }
    None
}

/// `K` of four rounds.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn constants(first: usize) -> __m128i {
    let k = |i: usize| K[first + i] as i32;
    _mm_setr_epi32(k(0), k(1), k(2), k(3))
}

/// The same state for all messages.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn splat(state: &[u32; 8]) -> States {
    let [a, b, c, d, e, f, g, h] = state.map(|word| word as i32);
    States { abef: [_mm_setr_epi32(f, e, b, a); STREAMS], cdgh: [_mm_setr_epi32(h, g, d, c); STREAMS] }
}

/// A message's state as words 0 to 3 and 4 to 7.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn words(states: &States, stream: usize) -> (__m128i, __m128i) {
    let feba = _mm_shuffle_epi32::<0x1b>(states.abef[stream]);
    let hgdc = _mm_shuffle_epi32::<0xb1>(states.cdgh[stream]);
    // feba is now a b e f, hgdc is g h c d.
    (_mm_blend_epi16::<0xf0>(feba, hgdc), _mm_alignr_epi8::<8>(hgdc, feba))
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn swap_bytes(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_set_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203))
}

/// The big-endian words of a block of each message.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn load(blocks: [&[u8; 64]; STREAMS]) -> [Each; 4] {
    array!(ROW in [0 1 2 3] array!(I in [0 1 2 3] {
        let (rows, _) = blocks[I].as_chunks::<16>();
        // SAFETY: a row has the 16 bytes that this reads, at any alignment.
        swap_bytes(unsafe { _mm_loadu_si128(rows[ROW].as_ptr().cast()) })
    }))
}

/// The blocks of the second hash over the digests that the states are.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn digest_blocks(states: &States) -> [Each; 4] {
    let [m, a, b, c, d, e, f, bits] = DIGEST_PADDING.map(|word| word as i32);
    let padding = [_mm_setr_epi32(m, a, b, c), _mm_setr_epi32(d, e, f, bits)];
    let digests = array!(I in [0 1 2 3] words(states, I));
    let first = array!(I in [0 1 2 3] digests[I].0);
    let second = array!(I in [0 1 2 3] digests[I].1);
    [first, second, [padding[0]; STREAMS], [padding[1]; STREAMS]]
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn add(a: &States, b: &States) -> States {
    States {
        abef: array!(I in [0 1 2 3] _mm_add_epi32(a.abef[I], b.abef[I])),
        cdgh: array!(I in [0 1 2 3] _mm_add_epi32(a.cdgh[I], b.cdgh[I])),
    }
}

/// Two rounds of one message. The instruction's result is the new `abef`, and the old one is the new `cdgh`: so it is put
/// into `cdgh`, and whoever does rounds in pairs swaps the names.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn two_rounds_of(states: &mut States, stream: usize, k_and_w: __m128i) {
    states.cdgh[stream] = _mm_sha256rnds2_epu32(states.cdgh[stream], states.abef[stream], k_and_w);
}

/// Four rounds of each message, from round `first` on.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn four_rounds(states: &mut States, w: Each, first: usize) {
    let constants = constants(first);
    four_rounds_known(states, array!(I in [0 1 2 3] _mm_add_epi32(w[I], constants)));
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn four_rounds_known(states: &mut States, k_and_w: Each) {
    unrolled!(I in [0 1 2 3] { two_rounds_of(states, I, k_and_w[I]); });
    unrolled!(I in [0 1 2 3] {
        let k_and_w = _mm_shuffle_epi32::<0x0e>(k_and_w[I]);
        states.abef[I] = _mm_sha256rnds2_epu32(states.abef[I], states.cdgh[I], k_and_w);
    });
}

/// The next four words of each message's schedule, in the place of the oldest four, `w[0]`.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn next_words(w: &mut [Each; 4], at: usize) -> Each {
    let [w0, w1, w2, w3] = array!(I in [0 1 2 3] w[(at + I) % 4]);
    w[at % 4] = array!(I in [0 1 2 3] {
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0[I], w1[I]), _mm_alignr_epi8::<4>(w3[I], w2[I]));
        _mm_sha256msg2_epu32(sum, w3[I])
    });
    w[at % 4]
}

/// Compresses one block of each message.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress(states: &mut States, w: [Each; 4]) {
    let before = *states;
    four_rounds(states, w[0], 0);
    compress_rest::<false>(states, w);
    *states = add(states, &before);
}

/// Rounds 4 to 63, or to 61 if only the `TOP` word of the digest is wanted.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress_rest<const TOP: bool>(states: &mut States, mut w: [Each; 4]) {
    four_rounds(states, w[1], 4);
    four_rounds(states, w[2], 8);
    four_rounds(states, w[3], 12);
    for group in 4..15 {
        let words = next_words(&mut w, group);
        four_rounds(states, words, 4 * group);
    }
    let words = next_words(&mut w, 15);
    if TOP {
        let constants = constants(60);
        unrolled!(I in [0 1 2 3] { two_rounds_of(states, I, _mm_add_epi32(words[I], constants)); });
        std::mem::swap(&mut states.abef, &mut states.cdgh);
    } else {
        four_rounds(states, words, 60);
    }
}

/// Compresses a block that is the same for all messages, given its `K + W`.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress_known(states: &mut States, k_and_w: &[u32; 64]) {
    let before = *states;
    for &[a, b, c, d] in k_and_w.as_chunks::<4>().0 {
        four_rounds_known(states, [_mm_setr_epi32(a as i32, b as i32, c as i32, d as i32); STREAMS]);
    }
    *states = add(states, &before);
}
