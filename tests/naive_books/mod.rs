//! Books that can only be read: sorted maps of queues, one message at a time.

use joulebook::optimized::book::{Band, Refused};
use joulebook::optimized::exchange::{Action, BookId, BookSpec, Event, Message, Refusal, Terms};
use joulebook::types::{OrderId, Side, Ticks, TimeInForce, Wh};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Orders by side and price, oldest first.
#[derive(Default)]
struct NaiveBook {
    sides: [BTreeMap<Ticks, VecDeque<(OrderId, Wh)>>; 2],
}

/// Any number of books with the same rules.
pub struct NaiveBooks {
    spec: BookSpec,
    books: HashMap<BookId, NaiveBook>,
}

impl NaiveBooks {
    pub fn new(spec: BookSpec) -> Self {
        NaiveBooks { spec, books: HashMap::new() }
    }

    pub fn open(&mut self, id: BookId) {
        assert!(self.books.insert(id, NaiveBook::default()).is_none());
    }

    pub fn close(&mut self, id: BookId) {
        self.books.remove(&id).expect("it is open");
    }

    /// The ids of the orders that rest in a book.
    pub fn resting(&self, id: BookId) -> Vec<OrderId> {
        let sides = self.books[&id].sides.iter();
        sides.flat_map(|side| side.values()).flatten().map(|&(order, _)| order).collect()
    }

    pub fn carry_out(&mut self, message: &Message) -> Vec<Event> {
        let Message { book, order, action } = *message;
        let mut events = Vec::new();
        let done = match self.books.get_mut(&book) {
            None => Err(Refusal::UnknownBook),
            Some(book) => match action {
                Action::Place(terms) => book.place(order, terms, &self.spec, &mut events),
                Action::Cancel => book.cancel(order, &mut events),
                Action::Replace { price, wh } => book.replace(order, (price, wh), &self.spec, &mut events),
            },
        };
        if let Err(refusal) = done {
            assert!(events.is_empty(), "what is refused does nothing");
            events.push(Event::Refused(refusal));
        }
        events
    }
}

impl NaiveBook {
    /// Side, price and quantity of an order.
    fn find(&self, id: OrderId) -> Option<(Side, Ticks, Wh)> {
        let on = |side: Side| {
            let mut levels = self.sides[side as usize].iter();
            levels
                .find_map(|(&price, queue)| queue.iter().find(|order| order.0 == id).map(|&(_, wh)| (side, price, wh)))
        };
        on(Side::Buy).or_else(|| on(Side::Sell))
    }

    fn remove(&mut self, id: OrderId, side: Side, price: Ticks) {
        let levels = &mut self.sides[side as usize];
        let queue = levels.get_mut(&price).unwrap();
        queue.retain(|order| order.0 != id);
        if queue.is_empty() {
            levels.remove(&price);
        }
    }

    fn best(&self, side: Side) -> Option<Ticks> {
        let levels = &self.sides[side as usize];
        if side == Side::Buy { levels.keys().next_back().copied() } else { levels.keys().next().copied() }
    }

    /// What rests on the other side at acceptable prices.
    fn within(&self, side: Side, limit: Option<Ticks>) -> u64 {
        let levels = self.sides[side.opposite() as usize].iter();
        let acceptable = levels.filter(|&(&price, _)| accepts(side, limit, price));
        acceptable.flat_map(|(_, queue)| queue).map(|&(_, wh)| u64::from(wh)).sum()
    }

    fn place(&mut self, id: OrderId, terms: Terms, spec: &BookSpec, events: &mut Vec<Event>) -> Result<(), Refusal> {
        let Terms { side, limit, wh, time_in_force, post_only } = terms;
        if self.find(id).is_some() {
            return Err(Refusal::IdInUse);
        }
        if wh == 0 {
            Err(Refused::ZeroQuantity)?;
        }
        if let Some(limit) = limit {
            check_price(limit, spec.band)?;
        }
        if limit.is_none() && time_in_force != TimeInForce::Ioc || post_only && time_in_force != TimeInForce::Gtc {
            Err(Refused::ConflictingTerms)?;
        }
        let resting: usize = self.sides.iter().flat_map(|side| side.values()).map(VecDeque::len).sum();
        if time_in_force == TimeInForce::Gtc && resting >= spec.orders_max as usize {
            Err(Refused::Full)?;
        }
        if post_only && self.within(side, limit) > 0 {
            Err(Refused::WouldTrade)?;
        }
        if time_in_force == TimeInForce::Fok && self.within(side, limit) < u64::from(wh) {
            Err(Refused::NotFillable)?;
        }
        let left = self.trade(side, limit, wh, events);
        match limit {
            Some(price) if time_in_force == TimeInForce::Gtc => self.rest(id, side, price, left, events),
            _ if left > 0 => events.push(Event::Expired { wh: left }),
            _ => {}
        }
        Ok(())
    }

    fn trade(&mut self, side: Side, limit: Option<Ticks>, mut left: Wh, events: &mut Vec<Event>) -> Wh {
        while left > 0
            && let Some(price) = self.best(side.opposite()).filter(|&price| accepts(side, limit, price))
        {
            let queue = self.sides[side.opposite() as usize].get_mut(&price).unwrap();
            let (maker, open) = &mut queue[0];
            let (maker, wh) = (*maker, left.min(*open));
            (left, *open) = (left - wh, *open - wh);
            let (maker_done, taker_done) = (*open == 0, left == 0);
            events.push(Event::Filled { maker, price, wh, maker_done, taker_done });
            if maker_done {
                self.remove(maker, side.opposite(), price);
            }
        }
        left
    }

    fn rest(&mut self, id: OrderId, side: Side, price: Ticks, wh: Wh, events: &mut Vec<Event>) {
        if wh > 0 {
            self.sides[side as usize].entry(price).or_default().push_back((id, wh));
            events.push(Event::Rested { wh });
        }
    }

    fn cancel(&mut self, id: OrderId, events: &mut Vec<Event>) -> Result<(), Refusal> {
        let (side, price, wh) = self.find(id).ok_or(Refusal::UnknownOrder)?;
        self.remove(id, side, price);
        events.push(Event::Cancelled { wh });
        Ok(())
    }

    fn replace(
        &mut self,
        id: OrderId,
        (price, wh): (Ticks, Wh),
        spec: &BookSpec,
        events: &mut Vec<Event>,
    ) -> Result<(), Refusal> {
        let (side, old_price, old_wh) = self.find(id).ok_or(Refusal::UnknownOrder)?;
        if wh == 0 {
            Err(Refused::ZeroQuantity)?;
        }
        check_price(price, spec.band)?;
        let in_place = price == old_price && wh <= old_wh;
        events.push(Event::Replaced { in_place });
        if in_place {
            let queue = self.sides[side as usize].get_mut(&price).unwrap();
            queue.iter_mut().find(|order| order.0 == id).unwrap().1 = wh;
            return Ok(());
        }
        self.remove(id, side, old_price);
        let left = self.trade(side, Some(price), wh, events);
        self.rest(id, side, price, left, events);
        Ok(())
    }
}

fn accepts(side: Side, limit: Option<Ticks>, price: Ticks) -> bool {
    limit.is_none_or(|limit| if side == Side::Buy { price <= limit } else { price >= limit })
}

fn check_price(price: Ticks, Band { min, max, tick }: Band) -> Result<(), Refused> {
    if price < min || price > max {
        return Err(Refused::OutOfBand);
    }
    if (price - min) % tick != 0 { Err(Refused::OffTick) } else { Ok(()) }
}
