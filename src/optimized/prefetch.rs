//! Asks the CPU for memory before it is needed. A hint only: no result depends on it.

#![allow(unsafe_code)]

/// Starts loading the cache line in which `column[index]` begins. The index may lie outside.
#[inline(always)]
pub fn prefetch<T>(column: &[T], index: usize) {
    prefetch_address(column.as_ptr().addr().wrapping_add(index.wrapping_mul(size_of::<T>())));
}

/// Starts loading the cache line of an address, whatever is there.
#[inline(always)]
pub fn prefetch_address(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch gives the program nothing to read and does not fault, whatever the address; every x86-64 CPU
        // has it (SSE).
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
    }
    // Stable Rust has no prefetch for other CPUs: they are left to their out-of-order windows.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
