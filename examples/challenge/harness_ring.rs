//! joulebook's book behind the C interface of the matching challenge, one call per message, with the harness's own ring.
//! `profiling/challenge.sh` builds and runs it.

#![allow(unsafe_code)]

mod abi;
mod exports;
mod matcher;

use abi::{Kind, Report, Transport};
use joulebook::types::Side;
use std::ffi::c_void;

/// Pushes into the harness's ring.
pub struct Outlet {
    push: unsafe extern "C" fn(*mut c_void, *const Report) -> i32,
    sink: *mut c_void,
}

impl Outlet {
    /// # Panics
    /// If there is no transport, or none that takes reports.
    ///
    /// # Safety
    /// `transport` is null or valid until `engine_shutdown`.
    pub unsafe fn new(transport: *const Transport, sink: *mut c_void) -> Self {
        // SAFETY: the harness's, valid until `engine_shutdown`, or null.
        let transport = unsafe { transport.as_ref() }.expect("the harness gives a transport");
        Outlet { push: transport.push.expect("the harness's transport takes reports"), sink }
    }

    /// Pushes a report, given as words of eight bytes.
    #[inline(always)]
    fn push(&self, words: [u64; 8]) {
        let line = Line::new(words);
        let report = (&raw const line).cast::<Report>();
        // SAFETY: the harness's function and the handle that belongs to it; a line has the size of a report, and every byte is set.
        while unsafe { (self.push)(self.sink, report) } == 0 {
            std::hint::spin_loop();
        }
    }
}

/// The memory of a report. The harness copies it 16 bytes at a time as soon as it is written, and a load that needs the bytes of more
/// than one store waits until all of them are in the cache: so it is written 16 bytes at a time, too.
#[repr(C, align(64))]
struct Line([Pair; 4]);

const _: () = assert!(size_of::<Line>() == size_of::<Report>() && align_of::<Line>() >= align_of::<Report>());

#[cfg(target_arch = "x86_64")]
type Pair = std::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Pair = [u64; 2];

impl Line {
    #[inline(always)]
    fn new([a, b, c, d, e, f, g, h]: [u64; 8]) -> Self {
        Line([pair(a, b), pair(c, d), pair(e, f), pair(g, h)])
    }
}

#[inline(always)]
fn pair(low: u64, high: u64) -> Pair {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has the instruction (SSE2).
    unsafe {
        std::arch::x86_64::_mm_set_epi64x(high as i64, low as i64)
    }
    #[cfg(not(target_arch = "x86_64"))]
    [low, high]
}

/// The first word of a report.
#[inline(always)]
fn head(kind: Kind, side: u8) -> u64 {
    u64::from_ne_bytes([kind as u8, side, 0, 0, 0, 0, 0, 0])
}

/// The word of a quantity and its padding.
#[inline(always)]
fn padded(quantity: u32) -> u64 {
    let [a, b, c, d] = quantity.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

impl matcher::Outlet for Outlet {
    #[inline(always)]
    fn about(&mut self, kind: Kind, side: Side, sequence: u64, order: u64, price: i64, quantity: u32) {
        self.push([head(kind, side as u8), sequence, order, price as u64, padded(quantity), 0, 0, 0]);
    }

    #[inline(always)]
    fn trade(&mut self, sequence: u64, maker: u64, taker: u64, price: i64, quantity: u32) {
        self.push([head(Kind::Trade, 0), sequence, 0, price as u64, padded(quantity), maker, taker, 0]);
    }
}
