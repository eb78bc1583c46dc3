//! The lowest nonce of a range whose digest is low enough.

use super::portable::HeaderHasher;
use super::scan::Job;
use super::{Digest, Platform};
use std::ops::RangeInclusive;

/// A header, prepared for the search of its nonce.
#[derive(Clone, Debug)]
pub struct NonceSearch {
    header: HeaderHasher,
    job: Job,
    target: Digest,
    /// The target's highest word.
    top: u32,
}

impl NonceSearch {
    /// Prepares a header, whose own nonce does not matter, for digests that are at most `target`, both read as
    /// little-endian numbers.
    pub fn new(header: &[u8; 80], target: &Digest) -> Self {
        let header = HeaderHasher::new(header);
        let job = Job::new(&header);
        let [.., a, b, c, d] = *target;
        NonceSearch { header, job, target: *target, top: u32::from_le_bytes([a, b, c, d]) }
    }

    /// The lowest nonce of the range that wins. The kernel only proposes: the reference checks every one in full.
    ///
    /// A kernel starts and ends with some work that it throws away, so a range should have 4,096 nonces or more; see
    /// [`chunk`](Self::chunk).
    pub fn lowest(&self, platform: Platform, range: RangeInclusive<u32>) -> Option<u32> {
        let lanes = platform.search_lanes() as u64;
        let (mut next, end) = (u64::from(*range.start()), u64::from(*range.end()) + 1);
        while next < end {
            // The last batch may reach past the range, and past the last nonce: what it finds there is left out.
            let batches = (end - next).div_ceil(lanes).min(u64::from(u32::MAX));
            let Some(found) = platform.scan(&self.header, &self.job, next as u32, batches as u32, self.top) else {
                // One lane's 2^32 batches are one more than fit: go on behind those that were tried.
                next += batches * lanes;
                continue;
            };
            let first = next + u64::from(found.first.wrapping_sub(next as u32));
            let mut left = found.lanes;
            while left != 0 {
                let nonce = first + u64::from(left.trailing_zeros());
                if nonce >= end {
                    return None;
                }
                if self.wins(nonce as u32) {
                    return Some(nonce as u32);
                }
                left &= left - 1;
            }
            next = first + lanes;
        }
        None
    }

    /// How many nonces a platform should be given at a time: so many that starting and ending costs nothing, so few that it
    /// takes less than half a millisecond.
    pub fn chunk(platform: Platform) -> u32 {
        1_024 * (platform.search_lanes() as u32).max(4)
    }

    /// Whether this nonce's digest is low enough.
    pub fn wins(&self, nonce: u32) -> bool {
        self.header.hash(nonce).iter().rev().le(self.target.iter().rev())
    }
}
