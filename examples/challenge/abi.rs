//! The C interface of the matching challenge (flash1-dev/matching-engine-benchmark, `api/matching_engine_api.h`), as far as
//! an engine sees it.

use std::ffi::c_void;

/// A new order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NewOrderMessage {
    pub order_id: u64,
    pub sequence_number: u64,
    pub price_ticks: i64,
    pub quantity: u32,
    /// 0 = buy, 1 = sell.
    pub side: u8,
    /// 1 = immediate or cancel.
    pub ioc: u8,
    pub reserved: [u8; 2],
}

/// A cancel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CancelMessage {
    pub order_id: u64,
    pub sequence_number: u64,
}

/// A modify: cancel and insert anew.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModifyMessage {
    pub order_id: u64,
    pub sequence_number: u64,
    pub new_price_ticks: i64,
    pub new_quantity: u32,
    pub side: u8,
    pub reserved: [u8; 3],
}

/// One message of a batch: `kind` tells which it is.
#[repr(C)]
pub struct Message {
    /// 0 = new, 1 = cancel, 2 = modify.
    pub kind: u8,
    pub reserved: [u8; 7],
    pub body: Body,
}

/// What a [`Message`] holds.
#[repr(C)]
pub union Body {
    pub new: NewOrderMessage,
    pub cancel: CancelMessage,
    pub modify: ModifyMessage,
}

/// What kind of report it is.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OrderAck = 0,
    Trade = 1,
    CancelAck = 2,
    ModifyAck = 3,
    CancelReject = 4,
    ModifyReject = 5,
}

/// One report, a cache line.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Report {
    pub kind: u8,
    pub side: u8,
    pub reserved: [u8; 6],
    pub sequence_number: u64,
    pub order_id: u64,
    pub price_ticks: i64,
    pub quantity: u32,
    pub reserved2: u32,
    pub maker_order_id: u64,
    pub taker_order_id: u64,
    pub reserved3: u64,
}

/// How reports get from the engine to the harness.
#[repr(C)]
pub struct Transport {
    pub create: extern "C" fn(capacity: u32) -> *mut c_void,
    /// None, where the engine writes into its own transport without it.
    pub push: Option<unsafe extern "C" fn(handle: *mut c_void, report: *const Report) -> i32>,
    pub drain: unsafe extern "C" fn(handle: *mut c_void, out: *mut Report, max: u32) -> u32,
    pub flush: unsafe extern "C" fn(handle: *mut c_void),
    pub destroy: unsafe extern "C" fn(handle: *mut c_void),
}

const _: () = assert!(size_of::<NewOrderMessage>() == 32 && size_of::<CancelMessage>() == 16);
const _: () = assert!(size_of::<ModifyMessage>() == 32 && size_of::<Message>() == 40 && size_of::<Report>() == 64);
