//! Memory that starts at a multiple of a sector, as direct writes want it.

use super::storage::SECTOR;
use bytemuck::allocation::zeroed_vec;
use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Page([u8; SECTOR]);

const _: () = assert!(size_of::<Page>() == SECTOR && align_of::<Page>() == SECTOR);

/// A growing run of bytes whose first has an address that is a multiple of [`SECTOR`].
#[derive(Clone, Default)]
pub struct Buffer {
    pages: Vec<Page>,
    length: usize,
}

impl Buffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets what it holds and keeps the memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Makes it shorter, or longer by bytes that are zero.
    pub fn resize(&mut self, length: usize) {
        let fresh = self.pages.is_empty();
        self.ensure(length);
        // Fresh memory is zero, and is not touched before it is used.
        if length > self.length && !fresh {
            let from = self.length;
            self.all_mut()[from..length].fill(0);
        }
        self.length = length;
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        let (from, to) = (self.length, self.length + bytes.len());
        self.ensure(to);
        self.all_mut()[from..to].copy_from_slice(bytes);
        self.length = to;
    }

    #[inline]
    fn ensure(&mut self, length: usize) {
        let pages = length.div_ceil(SECTOR);
        if self.pages.is_empty() {
            self.pages = zeroed_vec(pages);
        } else if pages > self.pages.len() {
            // Vec's growth: by twice as much.
            self.pages.resize(pages.max(2 * self.pages.len()), Page::zeroed());
        }
    }

    /// What it holds.
    pub fn as_bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.pages)[..self.length]
    }

    /// What it holds, to change.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        let length = self.length;
        &mut self.all_mut()[..length]
    }

    fn all_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.pages)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_in_place_keeps_alignment_and_shows_no_old_bytes() {
        let mut buffer = Buffer::new();
        for round in 0..100u8 {
            buffer.extend(&[round; 100]);
            assert_eq!(buffer.as_bytes().as_ptr() as usize % SECTOR, 0);
        }
        assert!((0..100).all(|round| buffer.as_bytes()[100 * round..][..100].iter().all(|&b| b == round as u8)));
        buffer.clear();
        buffer.resize(20_000);
        assert!(buffer.as_bytes().iter().all(|&byte| byte == 0), "what was there before is gone");
    }
}
