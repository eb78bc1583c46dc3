//! The best price levels of both sides, kept current so that a read copies nothing and searches nothing.

use super::book::Book;
use crate::engine::LevelView;
use crate::types::Side;

/// Levels per side that are kept; deeper reads walk the book.
pub const LEVELS_KEPT: usize = 16;

#[derive(Clone, Debug)]
struct TopLevels {
    levels: [LevelView; LEVELS_KEPT],
    count: usize,
}

/// The top of the book as of the last refresh.
#[derive(Clone, Debug)]
pub struct MarketData {
    sides: [TopLevels; 2],
}

impl MarketData {
    /// The top of an empty book.
    pub fn new() -> Self {
        let empty = TopLevels { levels: [LevelView::default(); LEVELS_KEPT], count: 0 };
        MarketData { sides: [empty.clone(), empty] }
    }

    /// The kept levels of a side, best first.
    #[inline]
    pub fn levels(&self, side: Side) -> &[LevelView] {
        let top = &self.sides[side as usize];
        &top.levels[..top.count]
    }

    /// Brings both sides up to date with the book. Once per batch, not per command.
    #[inline]
    pub fn refresh(&mut self, book: &mut Book<true>) {
        for side in Side::BOTH {
            let top = &mut self.sides[side as usize];
            top.count = book.refresh_top(side, &mut top.levels, top.count);
        }
    }
}

impl Default for MarketData {
    fn default() -> Self {
        Self::new()
    }
}
