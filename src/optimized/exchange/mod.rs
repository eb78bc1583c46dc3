//! Many books: one per product, that is per delivery slot and zone. Matching only: an order has an id and terms, and nobody
//! asks whose it is.
//!
//! ```text
//!                  shard 0: pick own messages -> group them by book -> match, book by book -> log
//! batch of messages                                                                               -> Outcome
//!                  shard 1: pick own messages -> group them by book -> match, book by book -> log
//! ```
//!
//! Books have nothing in common, so each lives in one shard, and shards run side by side. A shard carries a book's messages
//! out in their order, but one book after the other: a batch brings a book into the cache once, not once per message. Each
//! shard writes its own log; nothing is copied together. The [`Outcome`] is a view that walks the messages in their order and
//! shows what each caused, so what it shows is the same for every number of shards and in batches of any size.
//!
//! Delivery slots open and close. A [`BookId`] names one opening of a place, and a late message to a book that is closed is
//! refused, whoever has the place now.
//!
//! ```
//! use joulebook::optimized::book::Band;
//! use joulebook::optimized::exchange::{Action, BookSpec, Event, Exchange, Message, Terms};
//! use joulebook::types::{OrderId, Side};
//!
//! let mut exchange = Exchange::new(2);
//! let spec = BookSpec { band: Band { min: -500, max: 4_000, tick: 1 }, orders_max: 1_000 };
//! let (noon, evening) = (exchange.open_book(spec), exchange.open_book(spec));
//! let place = |book, order, side, limit, wh| {
//!     let action = Action::Place(Terms { limit: Some(limit), ..Terms::new(side, wh) });
//!     Message { book, order: OrderId(order), action }
//! };
//! let batch = [
//!     place(noon, 1, Side::Sell, 20, 300),
//!     place(evening, 1, Side::Buy, 90, 50),
//!     place(noon, 2, Side::Buy, 25, 300),
//! ];
//! let outcome = exchange.apply(&batch);
//! let last = outcome.iter().last().unwrap().1;
//! assert_eq!(last, [Event::Filled { maker: OrderId(1), price: 20, wh: 300, maker_done: true, taker_done: true }]);
//! assert!(exchange.close_book(evening).is_err(), "an order rests there");
//! exchange.close_book(noon).unwrap();
//! ```

mod listed;
mod shard;
mod terms;

use super::book::Book;
use listed::Listed;
use shard::Shard;
use slab::Slab;
use smallvec::SmallVec;

pub use terms::{Action, BookId, BookSpec, CloseRefused, Event, Message, Refusal, Terms};

/// Shards for which walking an [`Outcome`] needs no memory of its own.
const SHARDS_INLINE: usize = 16;

/// Where a book lives.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: BookId,
    shard: usize,
    /// In the shard's slab.
    key: usize,
}

/// Books by id, sharded.
#[derive(Debug)]
pub struct Exchange {
    shards: Vec<Shard>,
    /// At a book's slot. The slots do not depend on the number of shards.
    places: Slab<Place>,
    /// Books opened so far.
    openings: u32,
}

impl Exchange {
    /// An exchange without books. More shards than threads of rayon's pool are of no use; one shard uses no other thread.
    ///
    /// # Panics
    /// If there are no shards.
    pub fn new(shards: usize) -> Self {
        assert!(shards > 0, "books need a shard");
        Exchange { shards: (0..shards).map(Shard::new).collect(), places: Slab::new(), openings: 0 }
    }

    /// Opens a book, in the shard that has the fewest. The same openings and closings give the same ids, whatever the number
    /// of shards.
    ///
    /// # Panics
    /// As [`Book::new`], and after 2^32 openings.
    pub fn open_book(&mut self, spec: BookSpec) -> BookId {
        let entry = self.places.vacant_entry();
        let id = BookId { slot: entry.key() as u32, opening: self.openings };
        self.openings = self.openings.checked_add(1).expect("an opening has a number of its own");
        let (shard, emptiest) =
            self.shards.iter_mut().enumerate().min_by_key(|(_, shard)| shard.books()).expect("there is a shard");
        let key = emptiest.open(Listed::new(id, spec));
        entry.insert(Place { id, shard, key });
        self.shards.iter_mut().enumerate().for_each(|(at, other)| other.route(id.slot, (at == shard).then_some(key)));
        id
    }

    /// Closes a book in which nothing rests. Whoever wants to close a book with orders cancels them by messages first, so
    /// that each of them has its event; [`Book::walk`] shows which they are.
    ///
    /// # Errors
    /// If there is no such book, or orders rest in it.
    pub fn close_book(&mut self, id: BookId) -> Result<(), CloseRefused> {
        let Place { shard, key, .. } = *self.place(id).ok_or(CloseRefused::UnknownBook)?;
        let orders = self.shards[shard].book(key).len();
        if orders > 0 {
            return Err(CloseRefused::OrdersRest(orders));
        }
        self.places.remove(id.slot as usize);
        self.shards[shard].close(key);
        self.shards.iter_mut().for_each(|shard| shard.unroute(id.slot));
        Ok(())
    }

    fn place(&self, id: BookId) -> Option<&Place> {
        self.places.get(id.slot as usize).filter(|place| place.id == id)
    }

    /// An open book, to be read.
    pub fn book(&self, id: BookId) -> Option<&Book> {
        self.place(id).map(|place| self.shards[place.shard].book(place.key))
    }

    /// Number of open books.
    pub fn books(&self) -> usize {
        self.places.len()
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Bytes that open books use: their own, and their tables of ids.
    pub fn memory(&self) -> usize {
        self.shards.iter().map(Shard::memory).sum()
    }

    /// Carries out a batch: one shard on this thread, the others on rayon's. A message that makes no sense is refused, and
    /// changes nothing. Waking threads takes some 50 us, so batches of a few thousand messages gain nothing from shards.
    ///
    /// # Panics
    /// If the batch has 2^32 messages or more.
    pub fn apply<'a>(&'a mut self, messages: &'a [Message]) -> Outcome<'a> {
        assert!(u32::try_from(messages.len()).is_ok(), "a batch of {} messages", messages.len());
        match &mut self.shards[..] {
            [only] => only.apply(messages),
            // This thread has a shard of its own: it would only wait.
            [mine, others @ ..] => rayon::in_place_scope(|scope| {
                others.iter_mut().for_each(|shard| scope.spawn(|_| shard.apply(messages)));
                mine.apply(messages);
            }),
            [] => unreachable!("there is a shard"),
        }
        Outcome { exchange: self, messages }
    }
}

/// What a batch caused.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    exchange: &'a Exchange,
    messages: &'a [Message],
}

impl<'a> Outcome<'a> {
    /// Each message with its events, of which there is at least one, in the order of the messages.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Message, &'a [Event])> + use<'a> {
        let Outcome { exchange, messages } = *self;
        // How far each shard's messages have been shown.
        let mut shown: SmallVec<[usize; SHARDS_INLINE]> = SmallVec::from_elem(0, exchange.shards.len());
        messages.iter().map(move |message| {
            let place = exchange.places.get(message.book.slot as usize);
            let shard = place.map_or(shard::ANSWERS_FOR_NOBODY, |place| place.shard);
            let at = &mut shown[shard];
            *at += 1;
            (message, exchange.shards[shard].events(*at - 1))
        })
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.exchange.shards.iter().map(Shard::logged).sum()
    }
}
