//! An engine of the challenge in a shared library, or the one that does nothing, through the interface's functions.
//!
//! The library's code is not checked by anything here: that it keeps to the interface is its word, and what `SAFETY` below
//! calls the engine's promise.

#![allow(unsafe_code)]

use crate::abi::{CancelMessage, Kind, Message, ModifyMessage, NewOrderMessage, Report, Transport};
use crate::transport::{self, BLANK};
use libloading::Library;
use std::ffi::c_void;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What the engine that does nothing is called instead of a path.
pub const NOTHING: &str = "nothing";

/// The functions of an engine, and the transport that it reports through.
pub struct Engine {
    init: unsafe extern "C" fn(u64, *const Transport, *mut c_void),
    shutdown: unsafe extern "C" fn(),
    on_new_order: unsafe extern "C" fn(*const NewOrderMessage),
    on_cancel: unsafe extern "C" fn(*const CancelMessage),
    on_modify: unsafe extern "C" fn(*const ModifyMessage),
    flush: unsafe extern "C" fn(),
    on_batch: Option<unsafe extern "C" fn(*const Message, u32)>,
    prebuild: Option<unsafe extern "C" fn(u8, *const c_void)>,
    transport: &'static Transport,
}

/// An engine whose transport exists; the thread that made it is the matcher's.
pub struct Running<'a> {
    engine: &'a Engine,
    sink: *mut c_void,
}

/// The transport's other end, for one other thread.
pub struct Reader {
    drain: unsafe extern "C" fn(*mut c_void, *mut Report, u32) -> u32,
    sink: *mut c_void,
}

// SAFETY: the interface has the drainer on another thread than the engine, and gives `drain` to it alone.
unsafe impl Send for Reader {}

/// What a library must have under this name.
///
/// # Safety
/// `T` is the type that the interface gives the name.
unsafe fn required<T: Copy>(library: &Library, name: &str) -> Result<T, String> {
    // SAFETY: the caller's promise.
    unsafe { optional(library, name) }.ok_or_else(|| format!("it has no {name}, so it is no engine of the challenge"))
}

/// What a library may have under this name.
///
/// # Safety
/// `T` is the type that the interface gives the name.
unsafe fn optional<T: Copy>(library: &Library, name: &str) -> Option<T> {
    // SAFETY: the caller's promise.
    unsafe { library.get::<T>(name) }.ok().map(|symbol| *symbol)
}

impl Engine {
    /// The engine in a file, or, for [`NOTHING`], the one that acknowledges every message and has no book.
    ///
    /// # Errors
    /// The file is not there, is no shared library of this machine, or lacks a function that the interface demands; in words.
    pub fn open(path: &str) -> Result<Engine, String> {
        if path == NOTHING {
            return Ok(Engine::nothing());
        }
        // With its folder: a bare name would be looked for where the system keeps its libraries.
        let file = Path::new(path).canonicalize().map_err(|error| format!("{path} cannot be opened: {error}"))?;
        let library = load(&file).map_err(|error| format!("{path} cannot be loaded: {error}"))?;
        // Never unloaded: a runtime with threads of its own seldom survives that. The process plays one engine, and ends.
        let library = Box::leak(Box::new(library));
        Engine::bind(library).map_err(|error| format!("{path} cannot be played: {error}"))
    }

    fn bind(library: &'static Library) -> Result<Engine, String> {
        // SAFETY: the names and types of the interface.
        let (mut engine, own) = unsafe {
            let engine = Engine {
                init: required(library, "engine_init")?,
                shutdown: required(library, "engine_shutdown")?,
                on_new_order: required(library, "engine_on_new_order")?,
                on_cancel: required(library, "engine_on_cancel")?,
                on_modify: required(library, "engine_on_modify")?,
                flush: required(library, "engine_flush")?,
                on_batch: optional(library, "engine_on_batch"),
                prebuild: optional(library, "engine_prebuild"),
                transport: &transport::PLAIN,
            };
            let own: Option<unsafe extern "C" fn() -> *const Transport> = optional(library, "engine_get_transport");
            (engine, own)
        };
        // SAFETY: the engine's promise: null, or a transport that lives as long as the library, which stays loaded.
        if let Some(own) = own.and_then(|own| unsafe { own().as_ref() }) {
            engine.transport = own;
        }
        Ok(engine)
    }

    fn nothing() -> Engine {
        Engine {
            init: nothing_init,
            shutdown: nothing_else,
            on_new_order: nothing_on_new_order,
            on_cancel: nothing_on_cancel,
            on_modify: nothing_on_modify,
            flush: nothing_else,
            on_batch: None,
            prebuild: None,
            transport: &transport::PLAIN,
        }
    }

    /// How it is driven, in words.
    pub fn manner(&self) -> String {
        let calls = if self.on_batch.is_some() { "batches" } else { "one call per message" };
        let ring = if std::ptr::eq(self.transport, &transport::PLAIN) { "this program's ring" } else { "its own ring" };
        let prebuilds = if self.prebuild.is_some() { ", builds messages beforehand" } else { "" };
        format!("{calls}, {ring}{prebuilds}")
    }

    /// Makes the transport, for so many reports in flight.
    ///
    /// # Errors
    /// The engine's own transport refuses.
    pub fn start(&self, capacity: u32) -> Result<(Running<'_>, Reader), String> {
        let sink = (self.transport.create)(capacity);
        if sink.is_null() {
            return Err(format!("its transport cannot be made for {capacity} reports"));
        }
        Ok((Running { engine: self, sink }, Reader { drain: self.transport.drain, sink }))
    }
}

#[cfg(unix)]
fn load(file: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // At once, not at the first call of each function, which would be in the measured time.
    // SAFETY: the library's own initialization runs; that is what the user asked for.
    unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

#[cfg(not(unix))]
fn load(file: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: the library's own initialization runs; that is what the user asked for.
    unsafe { Library::new(file) }
}

impl Running<'_> {
    /// Before any message.
    pub fn init(&self, nonce: u64) {
        // SAFETY: the transport and its handle live until the process ends.
        unsafe { (self.engine.init)(nonce, self.engine.transport, self.sink) };
    }

    /// Lets an engine that wants to see all messages beforehand, in order, and turns them into its own form.
    pub fn prebuild(&self, messages: &[Message]) {
        let Some(prebuild) = self.engine.prebuild else { return };
        for message in messages {
            // SAFETY: a message of its kind, valid for this call.
            unsafe { prebuild(message.kind, (&raw const message.body).cast()) };
        }
    }

    /// Messages that are due: as one batch, or one by one.
    #[inline(always)]
    pub fn hand_over(&self, messages: &[Message]) {
        let engine = self.engine;
        if let Some(on_batch) = engine.on_batch {
            // SAFETY: so many messages, valid for this call.
            return unsafe { on_batch(messages.as_ptr(), messages.len() as u32) };
        }
        for message in messages {
            let body = &raw const message.body;
            // SAFETY: `kind` says which of the three it is; valid for this call.
            unsafe {
                match message.kind {
                    0 => (engine.on_new_order)(body.cast()),
                    1 => (engine.on_cancel)(body.cast()),
                    _ => (engine.on_modify)(body.cast()),
                }
            }
        }
    }

    /// All that was handed over is carried out, and its reports are there for the reader, when this returns. The interface
    /// promises it for the two together only.
    #[inline(always)]
    pub fn flush(&self) {
        // SAFETY: the matcher's thread, between `init` and `shutdown`; the handle is the transport's own.
        unsafe {
            (self.engine.flush)();
            (self.engine.transport.flush)(self.sink);
        }
    }

    /// After the last message. The transport stays: its reader may still look.
    pub fn shutdown(self) {
        // SAFETY: the matcher's thread; nothing is called after it.
        unsafe { (self.engine.shutdown)() };
    }
}

impl Reader {
    /// Appends up to `max` reports; how many there were. It never appends more than `reports` has room for.
    ///
    /// # Panics
    /// If the transport says that it wrote more than it was allowed.
    #[inline(always)]
    pub fn drain(&mut self, reports: &mut Vec<Report>, max: usize) -> usize {
        let room = reports.spare_capacity_mut();
        let max = room.len().min(max);
        // SAFETY: room for `max` reports, and this is the only thread that drains.
        let read = unsafe { (self.drain)(self.sink, room.as_mut_ptr().cast(), max as u32) } as usize;
        assert!(read <= max, "the transport gave {read} reports where {max} were asked for");
        // SAFETY: the engine's promise: so many were written.
        unsafe { reports.set_len(reports.len() + read) };
        read
    }
}

/// Where the engine that does nothing reports.
static NOTHING_SINK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" fn nothing_init(_nonce: u64, _transport: *const Transport, sink: *mut c_void) {
    NOTHING_SINK.store(sink, Ordering::Relaxed);
}

unsafe extern "C" fn nothing_else() {}

#[inline(always)]
fn acknowledge(kind: Kind, sequence_number: u64, order_id: u64) {
    let report = Report { kind: kind as u8, sequence_number, order_id, ..BLANK };
    // SAFETY: the handle of `nothing_init`, and this is the matcher's thread.
    while unsafe { transport::push(NOTHING_SINK.load(Ordering::Relaxed), &report) } == 0 {
        std::hint::spin_loop();
    }
}

unsafe extern "C" fn nothing_on_new_order(message: *const NewOrderMessage) {
    // SAFETY: the caller's promise: valid for this call.
    let message = unsafe { &*message };
    acknowledge(Kind::OrderAck, message.sequence_number, message.order_id);
}

unsafe extern "C" fn nothing_on_cancel(message: *const CancelMessage) {
    // SAFETY: the caller's promise: valid for this call.
    let message = unsafe { &*message };
    acknowledge(Kind::CancelAck, message.sequence_number, message.order_id);
}

unsafe extern "C" fn nothing_on_modify(message: *const ModifyMessage) {
    // SAFETY: the caller's promise: valid for this call.
    let message = unsafe { &*message };
    acknowledge(Kind::ModifyAck, message.sequence_number, message.order_id);
}
