//! SHA-256, double SHA-256 of many short messages at a time, and the nonce search.
//!
//! One message of any length is hashed by `sha2`, the portable path and the reference. Many of one length go into lanes:
//! the rounds are written once (`lanes`), instantiated thinly per instruction set (`avx512`, `avx2`; `sha_ni` has rounds of
//! its own), and chosen in one place (`platform`). Every kernel gives the same digests, bit for bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
// Elsewhere no kernel has lanes yet, so nothing uses these: aarch64 goes through sha2, which has its instructions.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod batch;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod fips;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod lanes;
mod many;
mod platform;
mod portable;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod scan;
mod search;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;

pub use many::{Hashing, sha256_each, sha256d_each};
pub use platform::{Platform, PlatformError};
pub use portable::{HeaderHasher, sha256d, sha256d_pair};
pub use search::NonceSearch;

use data_encoding::HEXLOWER;
use sha2::Digest as _;

/// A 32-byte hash.
pub type Digest = [u8; 32];

/// SHA-256 of a message that comes in pieces.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of what was appended.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// SHA-256.
pub fn sha256(message: &[u8]) -> Digest {
    sha2::Sha256::digest(message).into()
}

/// A digest in hex, as its bytes stand.
pub fn to_hex(digest: &Digest) -> String {
    HEXLOWER.encode(digest)
}

/// A digest in hex as Bitcoin displays it: the last byte first, so that work shows as leading zeros.
pub fn to_hex_reversed(digest: &Digest) -> String {
    let mut reversed = *digest;
    reversed.reverse();
    HEXLOWER.encode(&reversed)
}

/// What computes SHA-256 on this machine, in words.
pub fn backend() -> &'static str {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    {
        // Exactly what sha2 asks for, so that this says which of its two ways it takes.
        let shani = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        if shani { "sha2 0.10, SHA-NI instructions" } else { "sha2 0.10, assembly without SHA instructions" }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let armv8 = std::arch::is_aarch64_feature_detected!("sha2");
        if armv8 { "sha2 0.10, ARMv8 SHA-2 instructions" } else { "sha2 0.10, portable code" }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    "sha2 0.10, portable code"
}
