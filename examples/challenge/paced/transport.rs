//! The transport for engines that have none: joulebook's ring, with whole reports.
//!
//! Each report is published as it is pushed, as the challenge's own queue does it. So `flush` has nothing to do, and an engine
//! may push from a thread of its own.

#![allow(unsafe_code)]

use crate::abi::{Report, Transport};
use joulebook::ring::{self, Consumer, Producer};
use std::cell::UnsafeCell;
use std::ffi::c_void;

/// The transport of this program.
pub static PLAIN: Transport = Transport { create, push: Some(push), drain, flush, destroy };

/// A report that says nothing.
pub const BLANK: Report = Report {
    kind: 0,
    side: 0,
    reserved: [0; 6],
    sequence_number: 0,
    order_id: 0,
    price_ticks: 0,
    quantity: 0,
    reserved2: 0,
    maker_order_id: 0,
    taker_order_id: 0,
    reserved3: 0,
};

struct Channel {
    producer: UnsafeCell<Producer<Report>>,
    consumer: UnsafeCell<Consumer<Report>>,
}

extern "C" fn create(capacity: u32) -> *mut c_void {
    let (producer, consumer) = ring::bounded((capacity as usize).next_power_of_two(), 1);
    Box::into_raw(Box::new(Channel { producer: UnsafeCell::new(producer), consumer: UnsafeCell::new(consumer) })).cast()
}

/// Puts a report in: 1, or 0 if the ring is full.
///
/// # Safety
/// `handle` is of `create`, `report` is valid for this call, and only one thread at a time pushes.
pub unsafe extern "C" fn push(handle: *mut c_void, report: *const Report) -> i32 {
    // SAFETY: a channel of `create`, whose producer is this thread's alone.
    let (producer, report) = unsafe { (&mut *(*handle.cast::<Channel>()).producer.get(), *report) };
    i32::from(producer.push(report).is_ok())
}

/// # Safety
/// `handle` is of `create`, `out` has room for `max` reports, and one thread only calls this.
unsafe extern "C" fn drain(handle: *mut c_void, out: *mut Report, max: u32) -> u32 {
    // SAFETY: a channel of `create`, whose consumer is this thread's alone.
    let consumer = unsafe { &mut *(*handle.cast::<Channel>()).consumer.get() };
    let mut at = 0;
    let read = consumer.drain(max as usize, |report| {
        // SAFETY: at most `max` are read, and `out` has room for them.
        unsafe { out.add(at).write(*report) };
        at += 1;
    });
    read as u32
}

unsafe extern "C" fn flush(_handle: *mut c_void) {}

/// # Safety
/// `handle` is of `create` and not used again.
unsafe extern "C" fn destroy(handle: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(handle.cast::<Channel>()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_arrive_in_order_and_a_full_ring_refuses() {
        let handle = create(3);
        let report = |sequence_number| Report { sequence_number, ..BLANK };
        let mut out = [BLANK; 8];
        // SAFETY: the handle is of `create`, there is room for eight, and this is the only thread.
        unsafe {
            assert_eq!((0..5).map(|at| push(handle, &report(at))).collect::<Vec<_>>(), [1, 1, 1, 1, 0]);
            assert_eq!(drain(handle, out.as_mut_ptr(), 3), 3);
            assert_eq!(push(handle, &report(9)), 1);
            // What the reader knew of, then what came since.
            assert_eq!(drain(handle, out.as_mut_ptr().add(3), 5), 1);
            assert_eq!(drain(handle, out.as_mut_ptr().add(4), 4), 1);
            destroy(handle);
        }
        assert_eq!(out.map(|report| report.sequence_number), [0, 1, 2, 3, 9, 0, 0, 0]);
    }
}
