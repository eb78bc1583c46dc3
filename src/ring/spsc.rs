//! The ring itself, generic over the memory that it lives in, so that the model checks this code and not a copy of it.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, slice_from_raw_parts_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lines are fetched in pairs: two of 64 bytes.
const LINE: usize = 128;

/// Tries of `push_spin` before it gives its core away: some microseconds.
const SPINS: u64 = 100;

/// What a ring is made of: [`Native`], or a model of it in the tests.
pub trait Memory {
    /// An index that one side writes and the other reads.
    type Index: Index + Send + Sync;
    /// Room for a record.
    type Slot<T: Copy>: Slot<T>;
}

/// An index that one side writes and the other reads.
pub trait Index {
    /// An index that begins at `value`.
    fn new(value: usize) -> Self;
    /// As [`AtomicUsize::load`].
    fn load(&self, ordering: Ordering) -> usize;
    /// As [`AtomicUsize::store`].
    fn store(&self, value: usize, ordering: Ordering);
}

/// Room for a record.
pub trait Slot<T> {
    /// Room for a record, and none in it.
    fn empty() -> Self;

    /// Puts a record in.
    ///
    /// # Safety
    /// Nobody else reads or writes the slot meanwhile.
    unsafe fn write(&self, record: T);

    /// Shows the record.
    ///
    /// # Safety
    /// It was written before, and nobody writes the slot meanwhile.
    unsafe fn read(&self, show: impl FnOnce(&T));
}

/// Atomics and memory as they are.
#[derive(Debug)]
pub struct Native;

impl Memory for Native {
    type Index = AtomicUsize;
    type Slot<T: Copy> = UnsafeCell<MaybeUninit<T>>;
}

impl Index for AtomicUsize {
    fn new(value: usize) -> Self {
        AtomicUsize::new(value)
    }

    #[inline(always)]
    fn load(&self, ordering: Ordering) -> usize {
        AtomicUsize::load(self, ordering)
    }

    #[inline(always)]
    fn store(&self, value: usize, ordering: Ordering) {
        AtomicUsize::store(self, value, ordering);
    }
}

impl<T: Copy> Slot<T> for UnsafeCell<MaybeUninit<T>> {
    fn empty() -> Self {
        UnsafeCell::new(MaybeUninit::uninit())
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn write(&self, record: T) {
        // SAFETY: the caller's promise; the pointer is the cell's own.
        unsafe { self.get().write(MaybeUninit::new(record)) };
    }

    // SAFETY: as the trait asks.
    #[inline(always)]
    unsafe fn read(&self, show: impl FnOnce(&T)) {
        // SAFETY: the caller's promise: initialized, and not written while the reference lives, which ends with the
        // call.
        show(unsafe { (*self.get()).assume_init_ref() });
    }
}

/// A cell that fails the model when it is read while it may be written. Here and not in `model.rs`, because
/// implementing an `unsafe` method counts as unsafe code.
#[cfg(test)]
impl<T: Copy> Slot<T> for loom::cell::Cell<Option<T>> {
    fn empty() -> Self {
        loom::cell::Cell::new(None)
    }

    // SAFETY: nothing here is unsafe; the model itself looks for two who meet.
    unsafe fn write(&self, record: T) {
        self.set(Some(record));
    }

    // SAFETY: as above.
    unsafe fn read(&self, show: impl FnOnce(&T)) {
        show(&self.get().expect("a slot that was written"));
    }
}

/// Slots that begin on a line and whose pages are there.
struct Slots<S> {
    first: NonNull<S>,
    capacity: usize,
}

impl<S> Slots<S> {
    fn layout(capacity: usize) -> Layout {
        Layout::array::<S>(capacity)
            .and_then(|layout| layout.align_to(LINE))
            .expect("a ring that fits the address space")
    }

    fn new(capacity: usize, empty: impl Fn() -> S) -> Self {
        let layout = Self::layout(capacity);
        assert!(layout.size() > 0, "records of no size need no ring");
        // SAFETY: the size is not zero.
        let bytes = unsafe { alloc(layout) };
        let Some(first) = NonNull::new(bytes.cast::<S>()) else { handle_alloc_error(layout) };
        for offset in 0..layout.size() {
            // SAFETY: within the allocation. Volatile, because nothing else would keep the compiler from leaving it
            // out.
            unsafe { bytes.add(offset).write_volatile(0) };
        }
        for at in 0..capacity {
            // SAFETY: within the allocation, which has the layout of so many slots.
            unsafe { first.add(at).write(empty()) };
        }
        Slots { first, capacity }
    }
}

impl<S> Drop for Slots<S> {
    fn drop(&mut self) {
        // SAFETY: `new` allocated this, with this layout, and wrote every slot; both handles are gone.
        unsafe {
            slice_from_raw_parts_mut(self.first.as_ptr(), self.capacity).drop_in_place();
            dealloc(self.first.as_ptr().cast(), Self::layout(self.capacity));
        }
    }
}

/// What one side writes and the other reads.
#[repr(align(128))]
struct Side<I> {
    /// Records that it published or gave back since the beginning, modulo 2^64.
    count: I,
    /// 1 once it is dropped.
    gone: I,
}

struct Shared<T: Copy, M: Memory> {
    producer: Side<M::Index>,
    consumer: Side<M::Index>,
    /// Held for both handles, which know the first slot by themselves.
    _slots: Slots<M::Slot<T>>,
}

/// The end that records go in at.
#[repr(align(128))]
pub struct Producer<T: Copy, M: Memory = Native> {
    slots: NonNull<M::Slot<T>>,
    mask: usize,
    /// Records pushed so far.
    next: usize,
    /// `next` at which the ring would be full, as far as is known.
    limit: usize,
    /// The interval of publishing, less one.
    interval_mask: usize,
    shared: Arc<Shared<T, M>>,
}

/// The end that records come out of.
#[repr(align(128))]
pub struct Consumer<T: Copy, M: Memory = Native> {
    slots: NonNull<M::Slot<T>>,
    mask: usize,
    /// Records read so far.
    next: usize,
    /// Records published, as far as is known.
    published: usize,
    shared: Arc<Shared<T, M>>,
}

// SAFETY: a handle reaches slots that are its own for the time being, indices that are atomic, and its own fields. The
// records go to another thread, so they must be `Send`. (Neither handle is `Sync` or `Clone`: each side is one thread.)
unsafe impl<T: Copy + Send, M: Memory> Send for Producer<T, M> {}
// SAFETY: as above.
unsafe impl<T: Copy + Send, M: Memory> Send for Consumer<T, M> {}

/// A ring for `capacity` records, published every `interval` records at the latest.
///
/// # Panics
/// If one of the two is no power of two, if the interval is above the capacity, or if a record has no size.
pub fn bounded<T: Copy>(capacity: usize, interval: usize) -> (Producer<T>, Consumer<T>) {
    starting_at(0, capacity, interval)
}

/// A ring whose indices begin at `start`, so that the tests see them overflow.
pub(super) fn starting_at<T: Copy, M: Memory>(
    start: usize,
    capacity: usize,
    interval: usize,
) -> (Producer<T, M>, Consumer<T, M>) {
    assert!(capacity.is_power_of_two(), "a capacity of {capacity} is no power of two");
    assert!(interval.is_power_of_two(), "an interval of {interval} is no power of two");
    assert!(interval <= capacity, "an interval of {interval} is above the capacity of {capacity}");
    let side = || Side { count: M::Index::new(start), gone: M::Index::new(0) };
    let slots = Slots::new(capacity, M::Slot::empty);
    let (first, mask) = (slots.first, capacity - 1);
    let shared = Arc::new(Shared { producer: side(), consumer: side(), _slots: slots });
    let producer = Producer {
        slots: first,
        mask,
        next: start,
        limit: start.wrapping_add(capacity),
        interval_mask: interval - 1,
        shared: shared.clone(),
    };
    (producer, Consumer { slots: first, mask, next: start, published: start, shared })
}

impl<T: Copy, M: Memory> Producer<T, M> {
    /// Puts a record in, to be published with its batch. Gives it back if the ring is full; then all before it is
    /// published.
    #[inline(always)]
    pub fn push(&mut self, record: T) -> Result<(), T> {
        if self.next == self.limit {
            self.limit = self.shared.publish_and_look(self.next, self.mask);
            if self.next == self.limit {
                return Err(record);
            }
        }
        // SAFETY: `next` is below `limit`: the consumer gave this slot back, by a release that `publish_and_look`
        // acquired, or never had it, and gets it when `publish` says so.
        unsafe { self.slot(self.next).as_ref().write(record) };
        self.next = self.next.wrapping_add(1);
        if self.next & self.interval_mask == 0 {
            self.publish();
        }
        Ok(())
    }

    /// Shows the consumer everything pushed so far.
    #[inline(always)]
    pub fn publish(&mut self) {
        self.shared.producer.count.store(self.next, Ordering::Release);
    }

    /// Whether the consumer is gone: nobody will read what is pushed.
    pub fn is_closed(&self) -> bool {
        self.shared.consumer.gone.load(Ordering::Acquire) == 1
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> NonNull<M::Slot<T>> {
        // SAFETY: masked, so it is one of the slots, which live as long as `shared`.
        unsafe { self.slots.add(at & self.mask) }
    }
}

impl<T: Copy> Producer<T> {
    /// Pushes, and waits while the ring is full: turns for some microseconds, then lets other threads have the core
    /// between its tries. Gives the record back if the ring is full and nobody will ever read it.
    #[inline(always)]
    pub fn push_spin(&mut self, mut record: T) -> Result<(), T> {
        let mut tries = 0;
        while let Err(back) = self.push(record) {
            if !self.shared.wait_for_reader(tries) {
                return Err(back);
            }
            (record, tries) = (back, tries + 1);
        }
        Ok(())
    }
}

impl<T: Copy, M: Memory> Drop for Producer<T, M> {
    fn drop(&mut self) {
        self.publish();
        self.shared.producer.gone.store(1, Ordering::Release);
    }
}

impl<T: Copy, M: Memory> Shared<T, M> {
    /// Publishes, so that a full ring is one that the consumer can empty, and looks how far it has come: the new limit.
    /// Gets copies and gives one back, so that a producer's fields can stay in registers.
    #[cold]
    #[inline(never)]
    fn publish_and_look(&self, next: usize, mask: usize) -> usize {
        self.producer.count.store(next, Ordering::Release);
        self.consumer.count.load(Ordering::Acquire).wrapping_add(mask + 1)
    }

    /// Lets some time pass, unless nobody reads any more.
    #[cold]
    #[inline(never)]
    fn wait_for_reader(&self, tries: u64) -> bool {
        if tries < SPINS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        self.consumer.gone.load(Ordering::Acquire) == 0
    }
}

impl<T: Copy, M: Memory> Consumer<T, M> {
    /// Shows up to `max` published records, oldest first, and then gives their places back all at once; how many there
    /// were. If `each` panics, none are given back: they come again.
    #[inline]
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&T)) -> usize {
        if self.next == self.published {
            self.published = self.shared.producer.count.load(Ordering::Acquire);
        }
        let count = self.published.wrapping_sub(self.next).min(max);
        if count == 0 {
            return 0;
        }
        // Up to the last slot, and from the first one on.
        let at = self.next & self.mask;
        let before_the_end = count.min(self.mask + 1 - at);
        for (at, count) in [(at, before_the_end), (0, count - before_the_end)] {
            // SAFETY: these are some of the slots, which live as long as `shared`.
            let slots = unsafe { NonNull::slice_from_raw_parts(self.slots.add(at), count).as_ref() };
            for slot in slots {
                // SAFETY: it was written before the release that `published` was acquired from, and is given back
                // below.
                unsafe { slot.read(&mut each) };
            }
        }
        self.next = self.next.wrapping_add(count);
        self.shared.consumer.count.store(self.next, Ordering::Release);
        count
    }

    /// Whether nothing will come any more: the producer is gone, and all that it pushed was read.
    pub fn is_closed(&mut self) -> bool {
        // In this order: what it published before it went is seen after.
        if self.next == self.published && self.shared.producer.gone.load(Ordering::Acquire) == 1 {
            self.published = self.shared.producer.count.load(Ordering::Acquire);
            return self.next == self.published;
        }
        false
    }
}

impl<T: Copy, M: Memory> Drop for Consumer<T, M> {
    fn drop(&mut self) {
        self.shared.consumer.gone.store(1, Ordering::Release);
    }
}
