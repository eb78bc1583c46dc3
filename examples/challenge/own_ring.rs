//! joulebook's book behind the C interface of the matching challenge, in batches, with joulebook's own ring.
//! `profiling/challenge.sh` builds and runs it.
//!
//! The ring carries records of 32 bytes, and they become the harness's reports of 64 on the reader's side. A trade leaves out
//! what the acknowledgement before it has said: its sequence number and who the taker is.
//!
//! A batch is carried out message by message, without a look at the messages to come.

#![allow(unsafe_code)]

mod abi;
mod exports;
mod matcher;

use abi::{Kind, Message, Report, Transport};
use joulebook::ring::{self, Consumer, Producer};
use joulebook::types::Side;
use std::cell::UnsafeCell;
use std::ffi::c_void;

/// Records after which the index is published.
const INTERVAL: usize = 32;

/// A report on its way.
#[repr(C, align(32))]
#[derive(Clone, Copy)]
struct Record {
    sequence: u64,
    order: u64,
    price: i64,
    quantity: u32,
    kind: u8,
    side: u8,
}

const _: () = assert!(size_of::<Record>() == 32);

/// Both ends of the ring, and what the reader remembers.
struct Channel {
    producer: UnsafeCell<Producer<Record>>,
    reader: UnsafeCell<Reader>,
}

struct Reader {
    consumer: Consumer<Record>,
    /// The last acknowledgement: the order that trades come from.
    taker: u64,
    sequence: u64,
}

extern "C" fn create(capacity: u32) -> *mut c_void {
    let (producer, consumer) = ring::bounded((capacity as usize).next_power_of_two(), INTERVAL);
    let reader = Reader { consumer, taker: 0, sequence: 0 };
    Box::into_raw(Box::new(Channel { producer: UnsafeCell::new(producer), reader: UnsafeCell::new(reader) })).cast()
}

/// The matcher writes records, not reports: nobody calls this.
unsafe extern "C" fn push(_handle: *mut c_void, _report: *const Report) -> i32 {
    0
}

/// # Safety
/// `handle` is of `create`, `out` has room for `max` reports, and one thread only calls this.
unsafe extern "C" fn drain(handle: *mut c_void, out: *mut Report, max: u32) -> u32 {
    // SAFETY: a channel of `create`, whose reader is this thread's alone.
    let Reader { consumer, taker, sequence } = unsafe { &mut *(*handle.cast::<Channel>()).reader.get() };
    let (mut at, mut last) = (0, std::ptr::null());
    let read = consumer.drain(max as usize, |record| {
        last = record;
        let is_trade = record.kind == Kind::Trade as u8;
        if !is_trade {
            (*taker, *sequence) = (record.order, record.sequence);
        }
        let report = Report {
            kind: record.kind,
            side: record.side,
            reserved: [0; 6],
            sequence_number: *sequence,
            order_id: if is_trade { 0 } else { record.order },
            price_ticks: record.price,
            quantity: record.quantity,
            reserved2: 0,
            maker_order_id: if is_trade { record.order } else { 0 },
            taker_order_id: if is_trade { *taker } else { 0 },
            reserved3: 0,
        };
        // SAFETY: at most `max` records are read, and `out` has room for them.
        unsafe { out.add(at).write(report) };
        at += 1;
    });
    // More than it wanted: what comes next lies in the ring for long, and a reader that is slower than the matcher should not wait for
    // memory, too.
    if read == max as usize {
        (1..=read).for_each(|ahead| prefetch(last.wrapping_add(ahead)));
    }
    read as u32
}

/// Asks for the memory of a record, whatever is there.
#[inline(always)]
fn prefetch(record: *const Record) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing for the program and does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(record.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = record;
}

/// # Safety
/// `handle` is of `create`, and this is the matcher's thread.
unsafe extern "C" fn flush(handle: *mut c_void) {
    // SAFETY: a channel of `create`, whose producer is this thread's alone.
    unsafe { (*(*handle.cast::<Channel>()).producer.get()).publish() };
}

/// # Safety
/// `handle` is of `create` and not used again.
unsafe extern "C" fn destroy(handle: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(handle.cast::<Channel>()) });
}

static TRANSPORT: Transport = Transport { create, push: Some(push), drain, flush, destroy };

#[unsafe(no_mangle)]
extern "C" fn engine_get_transport() -> *const Transport {
    &raw const TRANSPORT
}

/// Writes records into the ring.
pub struct Outlet {
    producer: *mut Producer<Record>,
}

impl Outlet {
    /// # Safety
    /// `sink` is of `create`, and the matcher's thread calls this.
    pub unsafe fn new(_transport: *const Transport, sink: *mut c_void) -> Self {
        // SAFETY: a channel of `create`; the pointer is used by the matcher's thread only.
        Outlet { producer: unsafe { (*sink.cast::<Channel>()).producer.get() } }
    }

    #[inline(always)]
    fn push(&mut self, record: Record) {
        // SAFETY: the channel outlives the engine, and its producer is this thread's alone.
        let producer = unsafe { &mut *self.producer };
        producer.push_spin(record).unwrap_or_else(|_| unreachable!("the harness reads on"));
    }
}

impl matcher::Outlet for Outlet {
    #[inline(always)]
    fn about(&mut self, kind: Kind, side: Side, sequence: u64, order: u64, price: i64, quantity: u32) {
        self.push(Record { sequence, order, price, quantity, kind: kind as u8, side: side as u8 });
    }

    #[inline(always)]
    fn trade(&mut self, _sequence: u64, maker: u64, _taker: u64, price: i64, quantity: u32) {
        self.push(Record { sequence: 0, order: maker, price, quantity, kind: Kind::Trade as u8, side: 0 });
    }
}

/// # Safety
/// `messages` points to `count` messages that are valid for this call.
#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_batch(messages: *const Message, count: u32) {
    let matcher = exports::engine();
    // SAFETY: the harness's promise.
    for message in unsafe { std::slice::from_raw_parts(messages, count as usize) } {
        // SAFETY: `kind` says which of the three it is.
        unsafe {
            match message.kind {
                0 => matcher.new_order(&message.body.new),
                1 => matcher.cancel(&message.body.cancel),
                _ => matcher.modify(&message.body.modify),
            }
        }
    }
}
