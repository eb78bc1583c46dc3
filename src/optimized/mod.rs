//! The engine built for speed: the same market as [`baseline`](crate::baseline), event for event.
//!
//! | part | holds | shape |
//! |---|---|---|
//! | [`book`] | resting orders in price-time priority; stands alone | rings of orders in one array, a 64-way ladder of prices |
//! | [`order_ids`] | order id -> handle | a window of recent ids, a hash table for those who stay |
//! | [`exchange`] | many books, sharded over cores; matching only | a slab of books per shard, a view over their logs |
//! | [`columns`] | balances with escrow | struct of arrays |
//! | [`market`] | the rules: check, reserve, match | generic over the ledger |
//! | `settle` | what a fill does: delivery versus payment | the book's sink |
//! | [`market_data`] | the best levels, kept current | two small arrays |

pub mod book;
pub mod columns;
pub mod exchange;
mod list;
mod look_ahead;
pub mod market;
pub mod market_data;
pub mod order_ids;
mod prefetch;
mod settle;
mod stayers;

pub use columns::Columns;
pub use market::Market;

/// The optimized engine.
pub type Optimized = Market<Columns>;
