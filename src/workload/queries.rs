//! Market-data reads.

use super::{Population, Random};
use crate::engine::{Engine, LevelView};
use crate::types::AccountId;

/// What a reader asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Best bid and ask.
    Best,
    /// The best ten levels of each side.
    Depth,
    /// An account's six balances.
    Balances(AccountId),
    /// Last price, high, low, volume, trade count, open orders.
    Stats,
}

/// Levels per side of a depth query.
pub const DEPTH_LEVELS: usize = 10;

impl Query {
    /// A random query: 40 % best prices, 30 % depth, 20 % balances, 10 % statistics.
    pub fn random(random: &mut Random, population: &Population) -> Query {
        match random.below(10) {
            0..4 => Query::Best,
            4..7 => Query::Depth,
            7..9 => Query::Balances(population.account(random)),
            _ => Query::Stats,
        }
    }

    /// Asks an engine and sums up every field of the answer, so that nothing of it can be skipped.
    #[inline]
    pub fn answer<E: Engine>(self, engine: &E) -> u64 {
        match self {
            Query::Best => {
                let best = engine.best();
                sum_of(best.bid.as_slice()).wrapping_add(sum_of(best.ask.as_slice()))
            }
            Query::Depth => engine.with_depth(DEPTH_LEVELS, |bids, asks| sum_of(bids).wrapping_add(sum_of(asks))),
            Query::Balances(account) => engine.balances(account).map_or(0, |balances| {
                balances.available.iter().chain(&balances.locked).fold(0, |sum, &value| sum.wrapping_add(value))
            }),
            Query::Stats => {
                let stats = engine.stats();
                let prices = (stats.last as u64).wrapping_add(stats.high as u64).wrapping_add(stats.low as u64);
                prices
                    .wrapping_add(stats.volume_wh)
                    .wrapping_add(stats.trades)
                    .wrapping_add(u64::from(stats.open_orders))
            }
        }
    }
}

/// Both 8-byte halves of every level, so that nothing of a level can be left out.
#[inline]
fn sum_of(levels: &[LevelView]) -> u64 {
    let (mut heads, mut energies) = (0u64, 0u64);
    for level in levels {
        heads = heads.wrapping_add(u64::from(level.orders) << 32 | u64::from(level.price as u32));
        energies = energies.wrapping_add(level.wh);
    }
    heads.wrapping_add(energies)
}
