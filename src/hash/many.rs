//! Many short messages of one length, in lanes.

use super::batch::{LANES_MAX, Times};
use super::{Digest, Platform};

/// How many messages are hashed: by what, and on how many cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// By what.
    pub platform: Platform,
    /// On all cores, where there is enough to do for it.
    pub parallel: bool,
}

impl Hashing {
    /// One message after another by `sha2` alone: the baseline.
    pub const NAIVE: Hashing = Hashing { platform: Platform::PORTABLE, parallel: false };

    /// The process's platform on all cores.
    pub fn fast() -> Hashing {
        Hashing { platform: Platform::chosen(), parallel: true }
    }

    /// The process's platform on the caller's core alone.
    pub fn on_one_core() -> Hashing {
        Hashing { platform: Platform::chosen(), parallel: false }
    }
}

/// `out[i]` is the [`sha256d`](super::sha256d) of message `i`. The messages may lie anywhere.
///
/// # Panics
/// If `out` has another length than there are messages.
pub fn sha256d_each<'a, const N: usize>(
    platform: Platform,
    messages: impl IntoIterator<Item = &'a [u8; N]>,
    out: &mut [Digest],
) {
    hash_each(platform, Times::Twice, messages, out);
}

/// `out[i]` is the [`sha256`](super::sha256) of message `i`: what trees that hash once want. Otherwise as [`sha256d_each`].
///
/// # Panics
/// If `out` has another length than there are messages.
pub fn sha256_each<'a, const N: usize>(
    platform: Platform,
    messages: impl IntoIterator<Item = &'a [u8; N]>,
    out: &mut [Digest],
) {
    hash_each(platform, Times::Once, messages, out);
}

fn hash_each<'a, const N: usize>(
    platform: Platform,
    times: Times,
    messages: impl IntoIterator<Item = &'a [u8; N]>,
    out: &mut [Digest],
) {
    let mut messages = messages.into_iter();
    let lanes = platform.lanes();
    let mut batch: [&[u8]; LANES_MAX] = [&[0; N]; LANES_MAX];
    for out in out.chunks_mut(lanes) {
        for place in &mut batch[..out.len()] {
            *place = messages.next().expect("as many messages as digests");
        }
        platform.hash_batch(times, &batch[..out.len()], out);
    }
    assert!(messages.next().is_none(), "as many digests as messages");
}
