//! The engine built for speed: the same market as [`baseline`](crate::baseline), event for event.
//!
//! | part | holds | shape |
//! |---|---|---|
//! | [`book`] | resting orders in price-time priority | slab arena, level vectors, bitmap of prices |
//! | [`order_ids`] | order id -> handle | a window of recent ids, a hash table for those who stay |
//! | [`columns`] | balances with escrow | struct of arrays |
//! | [`market`] | the rules: check, reserve, match, settle | generic over the ledger |
//! | [`market_data`] | the best levels, kept current | two small arrays |

pub mod bitmap;
pub mod book;
pub mod columns;
pub mod level;
mod look_ahead;
pub mod market;
pub mod market_data;
pub mod order_ids;
mod prefetch;

pub use columns::Columns;
pub use market::Market;

/// The optimized engine.
pub type Optimized = Market<Columns>;
