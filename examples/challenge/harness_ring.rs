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

    #[inline(always)]
    fn push(&self, report: &Report) {
        // SAFETY: the harness's function and the handle that belongs to it.
        while unsafe { (self.push)(self.sink, report) } == 0 {
            std::hint::spin_loop();
        }
    }
}

const NOTHING: Report = Report {
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

impl matcher::Outlet for Outlet {
    #[inline(always)]
    fn about(&mut self, kind: Kind, side: Side, sequence_number: u64, order_id: u64, price_ticks: i64, quantity: u32) {
        let (kind, side) = (kind as u8, side as u8);
        self.push(&Report { kind, side, sequence_number, order_id, price_ticks, quantity, ..NOTHING });
    }

    #[inline(always)]
    fn trade(&mut self, sequence_number: u64, maker: u64, taker: u64, price_ticks: i64, quantity: u32) {
        self.push(&Report {
            kind: Kind::Trade as u8,
            sequence_number,
            price_ticks,
            quantity,
            maker_order_id: maker,
            taker_order_id: taker,
            ..NOTHING
        });
    }
}
