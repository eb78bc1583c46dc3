//! What goes into a book and what comes out: orders and refusals, fills and who hears of them.

use super::Tag;
use crate::types::{Side, Ticks, TimeInForce, Wh};
use thiserror::Error;

/// The limit prices of a book: `min..=max` in steps of `tick`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Lowest limit price.
    pub min: Ticks,
    /// Highest limit price; a multiple of `tick` above `min`.
    pub max: Ticks,
    /// Step between prices, at least 1.
    pub tick: Ticks,
}

/// An order to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Which side it takes.
    pub side: Side,
    /// Worst price at which it trades; `None` for a market order, which must be [`TimeInForce::Ioc`].
    pub limit: Option<Ticks>,
    /// How much.
    pub wh: Wh,
    /// What happens to the part that does not trade at once.
    pub time_in_force: TimeInForce,
    /// Refuse it if it would trade at once.
    pub post_only: bool,
    /// The owner's mark.
    pub tag: Tag,
}

impl NewOrder {
    /// A good-till-cancelled order that still needs a limit.
    pub fn new(side: Side, wh: Wh, tag: Tag) -> Self {
        NewOrder { side, limit: None, wh, time_in_force: TimeInForce::Gtc, post_only: false, tag }
    }
}

/// What became of an order that was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What traded at once.
    pub filled: Wh,
    /// Handle of the rest, if it rests; otherwise the rest, if there is one, has expired.
    pub rests: Option<u32>,
}

/// Why an order was refused. In order of precedence; a refused order changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// A quantity of zero.
    #[error("an order needs a quantity of at least 1 Wh")]
    ZeroQuantity,
    /// The limit lies outside the band.
    #[error("the limit lies outside the price band of the book")]
    OutOfBand,
    /// The limit is not a multiple of the tick away from the bottom of the band.
    #[error("the limit is not on the tick of the book")]
    OffTick,
    /// A market order that is not IOC, or a post-only order that may not rest.
    #[error("a market order must be IOC, and a post-only order a GTC limit order")]
    ConflictingTerms,
    /// The book holds as many orders as it may.
    #[error("the book is full")]
    Full,
    /// A post-only order that would trade.
    #[error("a post-only order would trade at once")]
    WouldTrade,
    /// A fill-or-kill order for more than is there.
    #[error("a fill-or-kill order cannot be filled whole")]
    NotFillable,
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The owner's mark.
    pub tag: Tag,
    /// What is left of it.
    pub wh: Wh,
    /// Which side it rests on.
    pub side: Side,
    /// Its limit.
    pub price: Ticks,
}

/// The oldest order at the best price of a side: the one that trades next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Its handle.
    pub handle: u32,
    /// Its price.
    pub price: Ticks,
    /// What is left of it.
    pub wh: Wh,
    /// Its owner's mark.
    pub tag: Tag,
}

/// One fill, at the maker's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The resting order as it was before.
    pub maker: Maker,
    /// How much changed hands.
    pub wh: Wh,
    /// What is left of the taker.
    pub taker_left: Wh,
}

impl Fill {
    /// Whether the maker has left the book.
    #[inline(always)]
    pub fn maker_done(&self) -> bool {
        self.wh == self.maker.wh
    }
}

/// What to do about a maker that an order has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Trade with it.
    Trade,
    /// Take it out of the book, and go on.
    CancelMaker,
    /// Take it out of the book, and stop.
    CancelMakerAndStop,
    /// Stop.
    Stop,
}

/// Who hears of fills, while they happen. A closure `FnMut(&Fill)` is one.
pub trait Sink {
    /// An order with `left` to fill has met a maker. By default it trades.
    #[inline(always)]
    fn meet(&mut self, left: Wh, maker: &Maker) -> Meeting {
        let _ = (left, maker);
        Meeting::Trade
    }

    /// A fill has happened.
    fn fill(&mut self, fill: &Fill);

    /// A maker has left the book because [`meet`](Self::meet) said so.
    #[inline(always)]
    fn cancelled(&mut self, maker: &Maker) {
        let _ = maker;
    }
}

impl<F: FnMut(&Fill)> Sink for F {
    #[inline(always)]
    fn fill(&mut self, fill: &Fill) {
        self(fill);
    }
}
