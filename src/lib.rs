//! A data-oriented, verifiable energy-trading ledger engine with a performance laboratory built in.
//!
//! The `mod` list below is the floor plan: groups separated by blank lines are floors, and a module uses lower floors
//! only, never a neighbour, never upwards. `tests/house.rs` reads this list and enforces it; `ARCHITECTURE.md` says why.

pub mod types;

pub mod command;
pub mod event;
pub mod hash;
pub mod measure;
pub mod ring;

pub mod block;
pub mod engine;
pub mod feed;
pub mod journal;
pub mod wire;

pub mod baseline;
pub mod optimized;
pub mod seal;

pub mod node;
pub mod workload;

pub mod compare;
pub mod scenario;

pub mod report;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
