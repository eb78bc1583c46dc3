//! AVX-512: 16 lanes a register, two registers interleaved. Rotation and every three-operand logic are one instruction each.
#![allow(unsafe_code)]

use super::Digest;
use super::batch::{Times, hash_lanes};
use super::lanes::{Lanes, Pair, array, unrolled};
use super::scan::{Candidates, Job, scan};
use std::arch::asm;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX-512 F, BW, VL and DQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512(());

type Wide = Pair<Words>;

impl Avx512 {
    /// Lanes of a full batch of messages.
    pub const LANES: usize = Wide::COUNT;
    /// Lanes of the nonce search.
    pub const SEARCH_LANES: usize = Words::COUNT;

    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        found.then_some(Avx512(()))
    }

    /// Hashes into `out` 32 or 16 messages of one length.
    pub fn hash(self, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
        let kernel = if messages.len() == Wide::COUNT { hash_32 } else { hash_16 };
        // SAFETY: `self` was made by `detect`, so the CPU has the features that both are compiled for.
        unsafe { kernel(self, times, messages, out) }
    }

    /// See [`scan`].
    pub fn scan(self, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
        // SAFETY: `self` was made by `detect`, so the CPU has the features that this function is compiled for.
        unsafe { scan_16(self, job, first, batches, top) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn hash_32(cpu: Avx512, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
    hash_lanes::<Wide, 32>(cpu, times, messages, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn hash_16(cpu: Avx512, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
    hash_lanes::<Words, 16>(cpu, times, messages, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn scan_16(cpu: Avx512, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
    scan::<Words>(cpu, job, first, batches, top)
}

/// 16 words. Made only by functions that take an [`Avx512`], or from such words.
#[derive(Clone, Copy)]
struct Words(__m512i);

/// Truth tables of `vpternlog`: bit `4a + 2b + c` is the result for these bits of the operands.
const XOR3: i32 = 0b1001_0110;
const CHOOSE: i32 = 0b1100_1010;
const MAJORITY: i32 = 0b1110_1000;

/// Runs an instruction of the features that [`Avx512`] proves.
macro_rules! simd {
    ($instruction:expr) => {
        // SAFETY: the caller holds an `Avx512`, or `Words` that were made with one, so the CPU has this instruction. None of
        // these instructions touches memory.
        unsafe { $instruction }
    };
}

impl Lanes for Words {
    type Cpu = Avx512;
    const COUNT: usize = 16;

    #[inline(always)]
    fn splat(_: Avx512, word: u32) -> Self {
        Words(simd!(_mm512_set1_epi32(word as i32)))
    }

    #[inline(always)]
    fn counting(_: Avx512, first: u32) -> Self {
        let steps = simd!(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        Words(simd!(_mm512_add_epi32(_mm512_set1_epi32(first as i32), steps)))
    }

    #[inline(always)]
    fn load(_: Avx512, blocks: &[&[u8; 64]]) -> [Self; 16] {
        let blocks: &[&[u8; 64]; 16] = blocks.try_into().expect("one block per lane");
        let rows = array!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
            // SAFETY: the block has the 64 bytes that this reads, at any alignment, and the CPU has AVX-512.
            unsafe { _mm512_loadu_si512(blocks[I].as_ptr().cast()) }
        });
        let pairs = interleave(rows);
        // Lane L of `pairs[4 g + j]` holds column 4 L + j of rows 4 g to 4 g + 3; next, lanes 0 to 3 of four g become one.
        let mut words = [Words(rows[0]); 16];
        unrolled!(J in [0 1 2 3] {
            let [a, b, c, d] = [pairs[J], pairs[4 + J], pairs[8 + J], pairs[12 + J]];
            let (ab_low, cd_low) = simd!((_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d)));
            let (ab_high, cd_high) = simd!((_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d)));
            words[J] = Words(simd!(_mm512_shuffle_i32x4::<0x88>(ab_low, cd_low)));
            words[4 + J] = Words(simd!(_mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low)));
            words[8 + J] = Words(simd!(_mm512_shuffle_i32x4::<0x88>(ab_high, cd_high)));
            words[12 + J] = Words(simd!(_mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high)));
        });
        array!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] words[I].swap_bytes())
    }

    #[inline(always)]
    fn store(state: [Self; 8], out: &mut [Digest]) {
        let out: &mut [Digest; 16] = out.try_into().expect("one digest per lane");
        let words = array!(I in [0 1 2 3 4 5 6 7] state[I].swap_bytes().0);
        let columns = interleave(words);
        unrolled!(J in [0 1 2 3] {
            // Digest 4 L + j is lane L of the two halves.
            let (low, high) = (columns[J], columns[4 + J]);
            let even = simd!(_mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11));
            let odd = simd!(_mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15));
            let first = simd!(_mm512_permutex2var_epi64(low, even, high));
            let second = simd!(_mm512_permutex2var_epi64(low, odd, high));
            // SAFETY: both are 64 bytes, and any bytes are digests.
            let digests = unsafe { std::mem::transmute::<[__m512i; 2], [Digest; 4]>([first, second]) };
            unrolled!(LANE in [0 1 2 3] { out[4 * LANE + J] = digests[LANE]; });
        });
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Words(simd!(_mm512_add_epi32(self.0, other.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Words(simd!(_mm512_ternarylogic_epi32::<XOR3>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        Words(simd!(_mm512_ternarylogic_epi32::<CHOOSE>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        Words(simd!(_mm512_ternarylogic_epi32::<MAJORITY>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        Words(simd!(_mm512_ror_epi32::<BITS>(self.0)))
    }

    #[inline(always)]
    fn shift<const BITS: i32>(self) -> Self {
        Words(simd!(_mm512_srl_epi32(self.0, _mm_cvtsi32_si128(BITS))))
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        let order = simd!(_mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203));
        Words(simd!(_mm512_shuffle_epi8(self.0, order)))
    }

    #[inline(always)]
    fn at_most(self, limit: Self) -> u64 {
        u64::from(simd!(_mm512_cmple_epu32_mask(self.0, limit.0)))
    }

    #[inline(always)]
    fn opaque(self) -> Self {
        Words(simd!(opaque(self.0)))
    }

    #[inline(always)]
    fn pinned(self) -> Self {
        Words(simd!(pinned(self.0)))
    }
}

/// Transposes the 4 x 4 words in each 128-bit lane of each four rows.
#[inline(always)]
fn interleave<const ROWS: usize>(rows: [__m512i; ROWS]) -> [__m512i; ROWS] {
    let mut out = rows;
    unrolled!(G in [0 1 2 3] {
        if 4 * G < ROWS {
            let [a, b, c, d] = [rows[4 * G], rows[4 * G + 1], rows[4 * G + 2], rows[4 * G + 3]];
            let (low, low2) = simd!((_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d)));
            let (high, high2) = simd!((_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d)));
            out[4 * G] = simd!(_mm512_unpacklo_epi64(low, low2));
            out[4 * G + 1] = simd!(_mm512_unpackhi_epi64(low, low2));
            out[4 * G + 2] = simd!(_mm512_unpacklo_epi64(high, high2));
            out[4 * G + 3] = simd!(_mm512_unpackhi_epi64(high, high2));
        }
    });
    out
}

/// No instruction, but one that the compiler must keep in its place among others of its kind.
#[inline]
#[target_feature(enable = "avx512f")]
fn pinned(mut words: __m512i) -> __m512i {
    // SAFETY: nothing is executed.
    unsafe { asm!("/* {0} */", inout(zmm_reg) words, options(nomem, nostack, preserves_flags)) };
    words
}

/// No instruction, and the compiler cannot look through it.
#[inline]
#[target_feature(enable = "avx512f")]
fn opaque(mut words: __m512i) -> __m512i {
    // SAFETY: nothing is executed.
    unsafe { asm!("/* {0} */", inout(zmm_reg) words, options(pure, nomem, nostack, preserves_flags)) };
    words
}
