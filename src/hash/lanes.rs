//! SHA-256 over lanes: the rounds, written once for every register that holds several words.
//!
//! Each lane is a message of its own. A kernel says what its register is ([`Lanes`]) and instantiates the functions here
//! and in its neighbours `batch` and `scan` inside a function with its CPU features; all of them are inlined there.

use super::Digest;
use super::fips::K;

/// Repeats a body with a constant index, so that every array index in it is constant and arrays become registers.
macro_rules! unrolled {
    ($index:ident in [$($value:literal)*] $body:block) => { $({ const $index: usize = $value; $body })* };
}
pub(super) use unrolled;

/// An array whose items are given by their constant index. (`array::from_fn` with a closure is not always inlined, and then its
/// array lies in memory.)
macro_rules! array {
    ($index:ident in [$($value:literal)*] $item:expr) => { [$({ const $index: usize = $value; $item }),*] };
}
pub(super) use array;

/// The same words in all lanes.
#[inline(always)]
pub(super) fn splat_state<V: Lanes>(cpu: V::Cpu, state: &[u32; 8]) -> [V; 8] {
    array!(I in [0 1 2 3 4 5 6 7] V::splat(cpu, state[I]))
}

/// Several 32-bit words, one per lane. A value of [`Lanes::Cpu`] can only be had where the CPU has the instructions, so
/// whoever holds it, or lanes made with it, may use them.
pub(super) trait Lanes: Copy {
    /// Proof that this CPU has the instructions.
    type Cpu: Copy;
    /// Number of lanes, at most 64.
    const COUNT: usize;
    /// The same word in all lanes.
    fn splat(cpu: Self::Cpu, word: u32) -> Self;
    /// `first` in lane 0 and one more in each lane after it.
    fn counting(cpu: Self::Cpu, first: u32) -> Self;
    /// The big-endian words of `COUNT` blocks, message by lane.
    fn load(cpu: Self::Cpu, blocks: &[&[u8; 64]]) -> [Self; 16];
    /// The big-endian bytes of `COUNT` states.
    fn store(state: [Self; 8], out: &mut [Digest]);
    /// Sum modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// `self ^ b ^ c`.
    fn xor3(self, b: Self, c: Self) -> Self;
    /// Where `self` has a one, `b`, elsewhere `c`.
    fn choose(self, b: Self, c: Self) -> Self;
    /// What at least two of them have.
    fn majority(self, b: Self, c: Self) -> Self;
    /// Rotates right.
    fn rotate<const BITS: i32>(self) -> Self;
    /// Shifts right.
    fn shift<const BITS: i32>(self) -> Self;
    /// Bytes of each word in the other order.
    fn swap_bytes(self) -> Self;
    /// A bit for each lane that is at most `limit`, unsigned.
    fn at_most(self, limit: Self) -> u64;
    /// The same words, about which the compiler knows nothing: it cannot regroup the sum that they are.
    fn opaque(self) -> Self {
        self
    }
    /// The same words, which the compiler may compute only after those that were pinned before.
    fn pinned(self) -> Self {
        self
    }
}

/// Two registers as one of twice the lanes: their instructions alternate, so that each hides the latency of the other.
#[derive(Clone, Copy)]
pub(super) struct Pair<V>(V, V);

impl<V: Lanes> Lanes for Pair<V> {
    type Cpu = V::Cpu;
    const COUNT: usize = 2 * V::COUNT;

    #[inline(always)]
    fn splat(cpu: V::Cpu, word: u32) -> Self {
        Pair(V::splat(cpu, word), V::splat(cpu, word))
    }

    #[inline(always)]
    fn counting(cpu: V::Cpu, first: u32) -> Self {
        Pair(V::counting(cpu, first), V::counting(cpu, first.wrapping_add(V::COUNT as u32)))
    }

    #[inline(always)]
    fn load(cpu: V::Cpu, blocks: &[&[u8; 64]]) -> [Self; 16] {
        let (first, second) = blocks.split_at(V::COUNT);
        let (first, second) = (V::load(cpu, first), V::load(cpu, second));
        array!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] Pair(first[I], second[I]))
    }

    #[inline(always)]
    fn store(state: [Self; 8], out: &mut [Digest]) {
        let (first, second) = out.split_at_mut(V::COUNT);
        V::store(array!(I in [0 1 2 3 4 5 6 7] state[I].0), first);
        V::store(array!(I in [0 1 2 3 4 5 6 7] state[I].1), second);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Pair(self.0.add(other.0), self.1.add(other.1))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Pair(self.0.xor3(b.0, c.0), self.1.xor3(b.1, c.1))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        Pair(self.0.choose(b.0, c.0), self.1.choose(b.1, c.1))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        Pair(self.0.majority(b.0, c.0), self.1.majority(b.1, c.1))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        Pair(self.0.rotate::<BITS>(), self.1.rotate::<BITS>())
    }

    #[inline(always)]
    fn shift<const BITS: i32>(self) -> Self {
        Pair(self.0.shift::<BITS>(), self.1.shift::<BITS>())
    }

    #[inline(always)]
    fn swap_bytes(self) -> Self {
        Pair(self.0.swap_bytes(), self.1.swap_bytes())
    }

    #[inline(always)]
    fn at_most(self, limit: Self) -> u64 {
        self.0.at_most(limit.0) | self.1.at_most(limit.1) << V::COUNT
    }

    #[inline(always)]
    fn opaque(self) -> Self {
        Pair(self.0.opaque(), self.1.opaque())
    }

    #[inline(always)]
    fn pinned(self) -> Self {
        Pair(self.0.pinned(), self.1.pinned())
    }
}

/// Small sigma 0.
#[inline(always)]
pub(super) fn small0<V: Lanes>(x: V) -> V {
    x.rotate::<7>().xor3(x.rotate::<18>(), x.shift::<3>())
}

/// Small sigma 1.
#[inline(always)]
pub(super) fn small1<V: Lanes>(x: V) -> V {
    x.rotate::<17>().xor3(x.rotate::<19>(), x.shift::<10>())
}

/// Big sigma 0.
#[inline(always)]
fn big0<V: Lanes>(x: V) -> V {
    x.rotate::<2>().xor3(x.rotate::<13>(), x.rotate::<22>())
}

/// Big sigma 1.
#[inline(always)]
fn big1<V: Lanes>(x: V) -> V {
    x.rotate::<6>().xor3(x.rotate::<11>(), x.rotate::<25>())
}

/// Where a round finds the word that the standard calls `a` (0) to `h` (7): the state's array stands still, names move.
pub(super) const fn at(round: usize, name: usize) -> usize {
    (name + 64 - round) % 8
}

/// Round `I`, given `K + W`.
#[inline(always)]
pub(super) fn round<V: Lanes, const I: usize>(s: &mut [V; 8], k_and_w: V) {
    let name = |name| at(I, name);
    let (e, f, g) = (s[name(4)], s[name(5)], s[name(6)]);
    let t1 = s[name(7)].add(k_and_w).opaque().add(e.choose(f, g)).add(big1(e));
    let (a, b, c) = (s[name(0)], s[name(1)], s[name(2)]);
    s[name(3)] = s[name(3)].add(t1);
    s[name(7)] = big0(a).add(a.majority(b, c)).add(t1);
}

/// Round `I` without the new `a`, for rounds so late that it would not be used.
#[inline(always)]
pub(super) fn round_e<V: Lanes, const I: usize>(s: &mut [V; 8], k_and_w: V) {
    let name = |name| at(I, name);
    let (e, f, g) = (s[name(4)], s[name(5)], s[name(6)]);
    s[name(3)] = s[name(3)].add(s[name(7)].add(k_and_w)).add(e.choose(f, g)).add(big1(e));
}

/// Round `I` where `d` and `h` are the same in all lanes: `d + h + K` and `h + K` are known before. `w` is what varies, if
/// anything does.
#[inline(always)]
pub(super) fn round_known<V: Lanes, const I: usize>(s: &mut [V; 8], w: Option<V>, d_h_k: V, h_k: V) {
    let name = |name| at(I, name);
    let (e, f, g) = (s[name(4)], s[name(5)], s[name(6)]);
    let sum = e.choose(f, g).add(big1(e));
    let sum = w.map_or(sum, |w| sum.add(w));
    let (a, b, c) = (s[name(0)], s[name(1)], s[name(2)]);
    s[name(3)] = sum.add(d_h_k);
    s[name(7)] = big0(a).add(a.majority(b, c)).add(sum.add(h_k));
}

/// The word of the schedule that replaces `w[I % 16]`, which is 16 rounds old.
#[inline(always)]
pub(super) fn next_word<V: Lanes, const I: usize>(w: &mut [V; 16]) -> V {
    let word = w[I % 16].add(small0(w[(I + 1) % 16])).add(w[(I + 9) % 16]).add(small1(w[(I + 14) % 16]));
    w[I % 16] = word;
    word
}

/// Compresses one block into the state.
#[inline(always)]
pub(super) fn compress<V: Lanes>(cpu: V::Cpu, state: &mut [V; 8], mut w: [V; 16]) {
    let mut s = *state;
    unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
        round::<V, I>(&mut s, w[I].add(V::splat(cpu, K[I])));
    });
    // A loop of three, not unrolled: a third of the code stays in the cache of decoded instructions.
    for k in K.as_chunks::<16>().0[1..].iter() {
        unrolled!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
            let word = next_word::<V, I>(&mut w);
            round::<V, I>(&mut s, word.add(V::splat(cpu, k[I])));
        });
    }
    *state = array!(I in [0 1 2 3 4 5 6 7] state[I].add(s[I]));
}

/// Compresses a block that is the same in all lanes, given its `K + W`.
#[inline(always)]
pub(super) fn compress_known<V: Lanes>(cpu: V::Cpu, state: &mut [V; 8], k_and_w: &[u32; 64]) {
    let mut s = *state;
    for k_and_w in k_and_w.as_chunks::<8>().0 {
        unrolled!(I in [0 1 2 3 4 5 6 7] { round::<V, I>(&mut s, V::splat(cpu, k_and_w[I])); });
    }
    *state = array!(I in [0 1 2 3 4 5 6 7] state[I].add(s[I]));
}
