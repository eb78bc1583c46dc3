//! `cargo bench --bench book` of the package above, with `orderbook-rs` besides.

#[path = "../../../benches/book/lab/mod.rs"]
mod lab;
mod orderbook_rs;

use lab::contender::Entry;

fn main() {
    let other = Entry { whole_flows: false, ..Entry::of::<self::orderbook_rs::OrderBookRs>("orderbook-rs") };
    let size = if cfg!(debug_assertions) { lab::SMOKE } else { lab::FULL };
    lab::run(&[lab::ENTRIES, &[other]].concat(), &size);
}
