//! What goes into an exchange and what comes out.

use crate::optimized::book::{Band, Refused};
use crate::types::{OrderId, Side, Ticks, TimeInForce, Wh};
use thiserror::Error;

/// Names a book: its slot, which is used again when the book is closed, and the number of its opening, which is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BookId {
    pub(super) slot: u32,
    pub(super) opening: u32,
}

/// What a book is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookSpec {
    /// Its limit prices.
    pub band: Band,
    /// Most orders that rest in it at once.
    pub orders_max: u32,
}

/// Something to be done in a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// In which book.
    pub book: BookId,
    /// With which order. Ids are a book's own: orders of two books may have the same.
    pub order: OrderId,
    /// What.
    pub action: Action,
}

const _: () = assert!(size_of::<Message>() == 32, "two to a cache line");

/// What is done with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It enters the book, under an id that no order has that rests there.
    Place(Terms),
    /// It leaves the book.
    Cancel,
    /// It gets a new limit and a new open quantity. A pure decrease keeps its place; otherwise it enters anew and may trade.
    Replace {
        /// Its new limit.
        price: Ticks,
        /// Its new open quantity.
        wh: Wh,
    },
}

/// The terms of a new order, as in [`NewOrder`](crate::optimized::book::NewOrder).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Which side it takes.
    pub side: Side,
    /// Worst price at which it trades; `None` for a market order.
    pub limit: Option<Ticks>,
    /// How much.
    pub wh: Wh,
    /// What happens to the part that does not trade at once.
    pub time_in_force: TimeInForce,
    /// Refuse it if it would trade at once.
    pub post_only: bool,
}

impl Terms {
    /// A good-till-cancelled order that still needs a limit.
    pub fn new(side: Side, wh: Wh) -> Self {
        Terms { side, limit: None, wh, time_in_force: TimeInForce::Gtc, post_only: false }
    }
}

/// What a message caused: one `Refused`, and then nothing changed, or other events. An order that enters causes its fills, in
/// order, and then, unless the last one says `taker_done`, one `Rested` or `Expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was refused.
    Refused(Refusal),
    /// The order traded with one that rested.
    Filled {
        /// The one that rested.
        maker: OrderId,
        /// The maker's price.
        price: Ticks,
        /// How much.
        wh: Wh,
        /// Whether nothing is left of the maker.
        maker_done: bool,
        /// Whether nothing is left of the order.
        taker_done: bool,
    },
    /// The order rests, with so much left.
    Rested {
        /// What is left.
        wh: Wh,
    },
    /// The rest of the order was not kept.
    Expired {
        /// What was left.
        wh: Wh,
    },
    /// The order has left the book.
    Cancelled {
        /// What was left of it.
        wh: Wh,
    },
    /// The order has its new terms. If it has lost its place, what an order that enters causes follows.
    Replaced {
        /// Whether it has kept its place.
        in_place: bool,
    },
}

const _: () = assert!(size_of::<Event>() == 24);

/// Why a message was refused. In order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such book is open.
    #[error("no such book is open")]
    UnknownBook,
    /// No order with this id rests in the book.
    #[error("no order with this id rests in the book")]
    UnknownOrder,
    /// An order with this id rests in the book already.
    #[error("an order with this id rests in the book")]
    IdInUse,
    /// The book refused the order.
    #[error(transparent)]
    Book(#[from] Refused),
}

impl Refusal {
    /// A number for encodings.
    pub fn code(self) -> u32 {
        match self {
            Refusal::UnknownBook => 1,
            Refusal::UnknownOrder => 2,
            Refusal::IdInUse => 3,
            Refusal::Book(refused) => 4 + refused as u32,
        }
    }
}

/// Why a book was not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CloseRefused {
    /// No such book is open.
    #[error("no such book is open")]
    UnknownBook,
    /// Orders rest in it.
    #[error("{0} orders rest in the book")]
    OrdersRest(usize),
}
