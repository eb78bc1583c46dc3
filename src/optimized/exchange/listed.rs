//! One book of an exchange, with the ids of its orders.

use super::terms::{Action, BookId, BookSpec, Event, Message, Refusal, Terms};
use crate::optimized::book::{Book, Fill, NewOrder, Placed, Tag};
use crate::optimized::order_ids::OrderIds;
use crate::optimized::prefetch::prefetch_address;
use crate::types::{OrderId, Ticks, Wh};

const LINE_BYTES: usize = 64;

/// A book takes memory as its orders come.
#[derive(Debug)]
pub(super) struct Listed {
    id: BookId,
    pub(super) book: Book,
    ids: OrderIds,
}

impl Listed {
    pub(super) fn new(id: BookId, BookSpec { band, orders_max }: BookSpec) -> Self {
        Listed { id, book: Book::sparse(band, orders_max), ids: OrderIds::sparse() }
    }

    /// Bytes in use.
    pub(super) fn memory(&self) -> usize {
        self.book.memory() + self.ids.memory()
    }

    /// Asks for the book itself.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        let start = std::ptr::from_ref(self).addr();
        (0..size_of::<Self>()).step_by(LINE_BYTES).for_each(|offset| prefetch_address(start + offset));
    }

    /// Asks for what leads to what a message needs. The book itself is there already.
    #[inline(always)]
    pub(super) fn prefetch_way(&self) {
        self.book.prefetch_front();
        self.ids.prefetch_stayers();
    }

    /// Asks for the slots that are taken next. Here and below, the way there was asked for before.
    #[inline(always)]
    pub(super) fn prefetch_free(&self) {
        self.book.prefetch_free();
    }

    /// Asks for the place of a message's order in the table of ids.
    #[inline(always)]
    pub(super) fn prefetch_id(&self, message: &Message) {
        self.ids.prefetch(message.order);
    }

    /// Asks for the price at which a message's order may come to rest.
    #[inline(always)]
    pub(super) fn prefetch_price(&self, message: &Message) {
        if let Action::Place(Terms { side, limit: Some(limit), .. }) = message.action {
            self.book.prefetch_price(side, limit);
        }
    }

    #[inline(always)]
    pub(super) fn carry_out(&mut self, message: &Message, log: &mut Vec<Event>) {
        let Message { book, order, action } = *message;
        let done = if book != self.id {
            // An earlier book, whose slot this one has now.
            Err(Refusal::UnknownBook)
        } else {
            match action {
                Action::Place(terms) => self.place(order, terms, log),
                Action::Cancel => self.cancel(order, log),
                Action::Replace { price, wh } => self.replace(order, price, wh, log),
            }
        };
        if let Err(refusal) = done {
            log.push(Event::Refused(refusal));
        }
    }

    #[inline(always)]
    fn find(&self, id: OrderId) -> Option<u32> {
        self.ids.get(id, |handle| self.book.tag(handle).is_some_and(|tag| tag.0 == id.0))
    }

    #[inline(always)]
    fn place(&mut self, id: OrderId, terms: Terms, log: &mut Vec<Event>) -> Result<(), Refusal> {
        if self.find(id).is_some() {
            return Err(Refusal::IdInUse);
        }
        let Terms { side, limit, wh, time_in_force, post_only } = terms;
        let order = NewOrder { side, limit, wh, time_in_force, post_only, tag: Tag(id.0, 0) };
        let Listed { book, ids, .. } = self;
        match book.place(&order, &mut |fill: &Fill| filled(fill, ids, log))? {
            Placed { filled, rests: Some(handle) } => {
                self.rest(id, handle);
                log.push(Event::Rested { wh: wh - filled });
            }
            Placed { filled, rests: None } if filled < wh => log.push(Event::Expired { wh: wh - filled }),
            _ => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn rest(&mut self, id: OrderId, handle: u32) {
        let book = &self.book;
        self.ids.insert(id, handle, book);
    }

    #[inline(always)]
    fn cancel(&mut self, id: OrderId, log: &mut Vec<Event>) -> Result<(), Refusal> {
        let Listed { book, ids, .. } = self;
        let order = ids.take(Tag(id.0, 0), book).ok_or(Refusal::UnknownOrder)?;
        log.push(Event::Cancelled { wh: order.wh });
        Ok(())
    }

    #[inline(always)]
    fn replace(&mut self, id: OrderId, price: Ticks, wh: Wh, log: &mut Vec<Event>) -> Result<(), Refusal> {
        let handle = self.find(id).ok_or(Refusal::UnknownOrder)?;
        let old = self.book.get(handle).expect("it rests");
        let in_place = price == old.price && wh <= old.wh;
        let before = log.len();
        log.push(Event::Replaced { in_place });
        let Listed { book, ids, .. } = self;
        let replaced = book.replace(handle, price, wh, &mut |fill: &Fill| filled(fill, ids, log));
        let replaced = replaced.inspect_err(|_| log.truncate(before))?;
        let Placed { filled, rests } = replaced.expect("it rests");
        if rests != Some(handle) {
            self.ids.remove(id, handle);
            rests.into_iter().for_each(|handle| self.rest(id, handle));
        }
        if rests.is_some() && !in_place {
            log.push(Event::Rested { wh: wh - filled });
        }
        Ok(())
    }
}

#[inline(always)]
fn filled(fill: &Fill, ids: &mut OrderIds, log: &mut Vec<Event>) {
    let Fill { maker, wh, taker_left } = *fill;
    let (id, maker_done) = (OrderId(maker.tag.0), fill.maker_done());
    if maker_done {
        ids.remove(id, maker.handle);
    }
    log.push(Event::Filled { maker: id, price: maker.price, wh, maker_done, taker_done: taker_left == 0 });
}
