//! AVX2: 8 lanes a register. No rotation and no three-operand logic: each takes two to four instructions.
#![allow(unsafe_code)]

use super::Digest;
use super::batch::{Times, hash_lanes};
use super::lanes::{Lanes, array, unrolled};
use super::scan::{Candidates, Job, scan};
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Lanes of a batch.
    pub const LANES: usize = Words::COUNT;

    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }

    /// Hashes into `out` 8 messages of one length.
    pub fn hash(self, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
        // SAFETY: `self` was made by `detect`, so the CPU has the feature that this function is compiled for.
        unsafe { hash_8(self, times, messages, out) }
    }

    /// See [`scan`].
    pub fn scan(self, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
        // SAFETY: `self` was made by `detect`, so the CPU has the feature that this function is compiled for.
        unsafe { scan_8(self, job, first, batches, top) }
    }
}

#[target_feature(enable = "avx2")]
fn hash_8(cpu: Avx2, times: Times, messages: &[&[u8]], out: &mut [Digest]) {
    hash_lanes::<Words, 8>(cpu, times, messages, out);
}

#[target_feature(enable = "avx2")]
fn scan_8(cpu: Avx2, job: &Job, first: u32, batches: u32, top: u32) -> Option<Candidates> {
    scan::<Words>(cpu, job, first, batches, top)
}

/// 8 words. Made only by functions that take an [`Avx2`], or from such words.
#[derive(Clone, Copy)]
struct Words(__m256i);

/// Runs an instruction of the feature that [`Avx2`] proves.
macro_rules! simd {
    ($instruction:expr) => {
        // SAFETY: the caller holds an `Avx2`, or `Words` that were made with one, so the CPU has this instruction. None of
        // these instructions touches memory.
        unsafe { $instruction }
    };
}

impl Lanes for Words {
    type Cpu = Avx2;
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(_: Avx2, word: u32) -> Self {
        Words(simd!(_mm256_set1_epi32(word as i32)))
    }

    #[inline(always)]
    fn counting(_: Avx2, first: u32) -> Self {
        let steps = simd!(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        Words(simd!(_mm256_add_epi32(_mm256_set1_epi32(first as i32), steps)))
    }

    #[inline(always)]
    fn load(_: Avx2, blocks: &[&[u8; 64]]) -> [Self; 16] {
        let blocks: &[&[u8; 64]; 8] = blocks.try_into().expect("one block per lane");
        let rows = |at: usize| {
            array!(I in [0 1 2 3 4 5 6 7] {
                let (halves, _) = blocks[I].as_chunks::<32>();
                // SAFETY: half a block has the 32 bytes that this reads, at any alignment, and the CPU has AVX2.
                unsafe { _mm256_loadu_si256(halves[at].as_ptr().cast()) }
            })
        };
        let (first, second) = (transpose(rows(0)), transpose(rows(1)));
        array!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] Words(if I < 8 { first[I % 8] } else { second[I % 8] }).swap_bytes())
    }

    #[inline(always)]
    fn store(state: [Self; 8], out: &mut [Digest]) {
        let out: &mut [Digest; 8] = out.try_into().expect("one digest per lane");
        let rows = transpose(array!(I in [0 1 2 3 4 5 6 7] state[I].swap_bytes().0));
        unrolled!(I in [0 1 2 3 4 5 6 7] {
            // SAFETY: both are 32 bytes, and any bytes are a digest.
            out[I] = unsafe { std::mem::transmute::<__m256i, Digest>(rows[I]) };
        });
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Words(simd!(_mm256_add_epi32(self.0, other.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Words(simd!(_mm256_xor_si256(_mm256_xor_si256(self.0, b.0), c.0)))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        Words(simd!(_mm256_xor_si256(c.0, _mm256_and_si256(self.0, _mm256_xor_si256(b.0, c.0)))))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        // This round's `b ^ c` is the last one's `a ^ b`: the compiler keeps it.
        let (ab, bc) = simd!((_mm256_xor_si256(self.0, b.0), _mm256_xor_si256(b.0, c.0)));
        Words(simd!(_mm256_xor_si256(b.0, _mm256_and_si256(ab, bc))))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        let right = self.shift::<BITS>();
        let left = simd!(_mm256_sll_epi32(self.0, _mm_cvtsi32_si128(32 - BITS)));
        Words(simd!(_mm256_xor_si256(right.0, left)))
    }

    #[inline(always)]
    fn shift<const BITS: i32>(self) -> Self {
        Words(simd!(_mm256_srli_epi32::<BITS>(self.0)))
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        let order = simd!(_mm256_set_epi32(
            0x0c0d_0e0f,
            0x0809_0a0b,
            0x0405_0607,
            0x0001_0203,
            0x0c0d_0e0f,
            0x0809_0a0b,
            0x0405_0607,
            0x0001_0203
        ));
        Words(simd!(_mm256_shuffle_epi8(self.0, order)))
    }

    #[inline(always)]
    fn at_most(self, limit: Self) -> u64 {
        // Unsigned: at most is where the smaller of both is the word itself.
        let at_most = simd!(_mm256_cmpeq_epi32(_mm256_min_epu32(self.0, limit.0), self.0));
        u64::from(simd!(_mm256_movemask_ps(_mm256_castsi256_ps(at_most))) as u32)
    }
}

/// Transposes 8 x 8 words.
#[inline(always)]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut columns = rows;
    unrolled!(G in [0 1] {
        let [a, b, c, d] = [rows[4 * G], rows[4 * G + 1], rows[4 * G + 2], rows[4 * G + 3]];
        let (low, low2) = simd!((_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d)));
        let (high, high2) = simd!((_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d)));
        columns[4 * G] = simd!(_mm256_unpacklo_epi64(low, low2));
        columns[4 * G + 1] = simd!(_mm256_unpackhi_epi64(low, low2));
        columns[4 * G + 2] = simd!(_mm256_unpacklo_epi64(high, high2));
        columns[4 * G + 3] = simd!(_mm256_unpackhi_epi64(high, high2));
    });
    let mut out = rows;
    unrolled!(J in [0 1 2 3] {
        out[J] = simd!(_mm256_permute2x128_si256::<0x20>(columns[J], columns[4 + J]));
        out[4 + J] = simd!(_mm256_permute2x128_si256::<0x31>(columns[J], columns[4 + J]));
    });
    out
}
