//! What readers and audits see of a market.

use crate::types::{AccountId, OrderId, Ticks, Wh};

/// Best bid and ask, with the energy that rests there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BestPrices {
    /// Highest bid.
    pub bid: Option<LevelView>,
    /// Lowest ask.
    pub ask: Option<LevelView>,
}

/// One price level as a reader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LevelView {
    /// Its price.
    pub price: Ticks,
    /// Number of orders that rest there.
    pub orders: u32,
    /// Energy that rests there, in Wh.
    pub wh: u64,
}

/// One resting order as audits see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Its id.
    pub order: OrderId,
    /// Its owner.
    pub account: AccountId,
    /// Its limit.
    pub price: Ticks,
    /// What is left of it.
    pub wh: Wh,
}

/// What a market has done since genesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketStats {
    /// Price of the last fill; the three prices are zero while `trades` is.
    pub last: Ticks,
    /// Highest price of a fill.
    pub high: Ticks,
    /// Lowest price of a fill.
    pub low: Ticks,
    /// Orders that rest in the book now.
    pub open_orders: u32,
    /// Number of fills.
    pub trades: u64,
    /// Energy traded, in Wh.
    pub volume_wh: u64,
}

impl MarketStats {
    /// Counts one fill.
    #[inline]
    pub fn record_fill(&mut self, price: Ticks, wh: Wh) {
        self.high = if self.trades == 0 { price } else { self.high.max(price) };
        self.low = if self.trades == 0 { price } else { self.low.min(price) };
        self.last = price;
        self.trades += 1;
        self.volume_wh += u64::from(wh);
    }
}
