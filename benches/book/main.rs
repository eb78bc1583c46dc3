//! `cargo bench --bench book`: the order book beside other order books of crates.io, on the same commands. Each fill
//! and the book that is left must be the same for all; where a crate is known to do something else, it is shown what
//! and how often. `cargo bench --bench book -- match` measures the cases whose names contain a word. Under `cargo
//! test`, everything runs once, small.
//!
//! `orderbook-rs` needs a newer Rust than joulebook. It has a program of its own, with all of this: `cargo run --release
//! --bin book` in `profiling/peers`.

mod lab;

fn main() {
    let size = if std::env::args().any(|argument| argument == "--bench") { lab::FULL } else { lab::SMOKE };
    lab::run(lab::ENTRIES, &size);
}
