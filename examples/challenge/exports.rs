//! The functions that the harness calls, over the one matcher of this library. `crate::Outlet` says where reports go.
//!
//! SAFETY of each `unsafe(no_mangle)`, here and beside: the harness looks these names up in this library alone, and nothing else in it
//! has them.

use crate::Outlet;
use crate::abi::{CancelMessage, ModifyMessage, NewOrderMessage, Transport};
use crate::matcher::Matcher;
use joulebook::types::Side;
use std::cell::UnsafeCell;
use std::ffi::c_void;

struct Engine(UnsafeCell<Option<Matcher<Outlet>>>);

// SAFETY: the harness calls the engine from one thread only; the other one calls the transport only.
unsafe impl Sync for Engine {}

static ENGINE: Engine = Engine(UnsafeCell::new(None));

/// The matcher, between `engine_init` and `engine_shutdown`.
#[inline(always)]
pub fn engine() -> &'static mut Matcher<Outlet> {
    // SAFETY: one thread only (see above), and no reference outlives the call of the harness that it was made for.
    unsafe { (*ENGINE.0.get()).as_mut().expect("engine_init was called") }
}

#[unsafe(no_mangle)]
extern "C" fn engine_init(_seed: u64, transport: *const Transport, sink: *mut c_void) {
    // SAFETY: one thread only. Transport and handle are the harness's, valid until `engine_shutdown`.
    unsafe { *ENGINE.0.get() = Some(Matcher::new(Outlet::new(transport, sink))) };
}

#[unsafe(no_mangle)]
extern "C" fn engine_shutdown() {
    // SAFETY: one thread only, and no reference is alive between two calls.
    unsafe { *ENGINE.0.get() = None };
}

/// # Safety
/// `message` is valid for this call.
#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_new_order(message: *const NewOrderMessage) {
    // SAFETY: the harness's promise.
    engine().new_order(unsafe { &*message });
}

/// # Safety
/// `message` is valid for this call.
#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_cancel(message: *const CancelMessage) {
    // SAFETY: the harness's promise.
    engine().cancel(unsafe { &*message });
}

/// # Safety
/// `message` is valid for this call.
#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_modify(message: *const ModifyMessage) {
    // SAFETY: the harness's promise.
    engine().modify(unsafe { &*message });
}

/// Each message is carried out within its own call, and its reports are pushed there: nothing is left to do.
#[unsafe(no_mangle)]
extern "C" fn engine_flush() {}

#[unsafe(no_mangle)]
extern "C" fn engine_query_best_bid() -> i64 {
    engine().best(Side::Buy).unwrap_or(i64::MIN)
}

#[unsafe(no_mangle)]
extern "C" fn engine_query_best_ask() -> i64 {
    engine().best(Side::Sell).unwrap_or(i64::MAX)
}

#[unsafe(no_mangle)]
extern "C" fn engine_query_depth_at(price: i64, side: u8) -> u64 {
    engine().depth_at(price, side)
}
