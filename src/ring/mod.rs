//! Floor 1: a bounded ring from one thread to one other, for records that are copied: what a matcher hands a publisher.
//!
//! ```
//! let (mut producer, mut consumer) = joulebook::ring::bounded::<[u64; 4]>(1 << 12, 32);
//! let publisher = std::thread::spawn(move || {
//!     let mut sum = 0;
//!     while !consumer.is_closed() {
//!         // Up to 256 records, given back to the producer all at once.
//!         if consumer.drain(256, |record| sum += record[0]) == 0 {
//!             std::hint::spin_loop();
//!         }
//!     }
//!     sum
//! });
//! for number in 0..100_000 {
//!     // Published every 32 records; `publish` does it at once, and so does dropping the producer.
//!     producer.push_spin([number, 0, 0, 0]).expect("the publisher reads on");
//! }
//! drop(producer);
//! assert_eq!(publisher.join().unwrap(), 99_999 * 100_000 / 2);
//! ```
//!
//! Two indices count what was ever published and what was ever given back. Each is written by one side only, on cache
//! lines of its own, and each side keeps a copy of the other's, which it renews only when the copy says "full" or
//! "empty". What travels between the cores is therefore the records, and an index once per batch.
//!
//! - **A batch is published** when the count of records reaches a multiple of the interval, when the ring is full, by
//!   [`Producer::publish`], and when the producer is dropped. So a record waits for at most `interval - 1` others, and
//!   a matcher that has no more work publishes.
//! - **After creation nothing is allocated**, and every page was written to, so none is fetched on the way.
//! - **Whoever drops its end closes the ring**; the other sees it by `is_closed`. A consumer still reads what was
//!   published.
//!
//! `model.rs` tries every order of events of a small ring, `tests/planted_bugs.rs` that it would see a wrong one, and
//! `cargo bench --bench ring` compares with `rtrb` and `crossbeam`.

#[cfg(test)]
mod model;
mod spsc;
#[cfg(test)]
mod tests;

pub use spsc::{Consumer, Producer, bounded};
