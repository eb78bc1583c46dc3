//! The order book as one writes it to be understood: for each side a sorted map of queues.
//!
//! It answers as `Book` does. Handles are the book's to choose, so whoever adds an order says which one it has.

use joulebook::engine::LevelView;
use joulebook::optimized::book::{Band, Fill, Maker, Meeting, NewOrder, Placed, Refused, Resting};
use joulebook::types::{Side, Ticks, TimeInForce, Wh};
use std::collections::{BTreeMap, VecDeque};

/// What a sink hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Met { left: Wh, maker: Maker },
    Filled(Fill),
    Cancelled(Maker),
}

/// How a sink decides about makers; mood 0 trades with all of them.
#[derive(Clone, Copy, Debug)]
pub struct Mood(pub u64);

impl Mood {
    pub fn decide(self, maker: &Maker) -> Meeting {
        match (maker.tag.0 ^ self.0) % 8 {
            _ if self.0 == 0 => Meeting::Trade,
            0 | 1 => Meeting::CancelMaker,
            2 => Meeting::CancelMakerAndStop,
            3 => Meeting::Stop,
            _ => Meeting::Trade,
        }
    }
}

pub struct Model {
    pub band: Band,
    pub orders_max: usize,
    /// Orders by price, oldest first.
    sides: [BTreeMap<Ticks, VecDeque<Maker>>; 2],
    /// Where the order with a handle waits.
    homes: BTreeMap<u32, (Side, Ticks)>,
}

impl Model {
    pub fn new(band: Band, orders_max: usize) -> Self {
        Model { band, orders_max, sides: Default::default(), homes: BTreeMap::new() }
    }

    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Its queues, best price first.
    fn queues(&self, side: Side) -> Box<dyn Iterator<Item = (Ticks, &VecDeque<Maker>)> + '_> {
        let queues = self.sides[side as usize].iter().map(|(&price, queue)| (price, queue));
        match side {
            Side::Buy => Box::new(queues.rev()),
            Side::Sell => Box::new(queues),
        }
    }

    pub fn walk(&self, side: Side) -> impl Iterator<Item = Maker> {
        self.queues(side).flat_map(|(_, queue)| queue.iter().copied())
    }

    pub fn front(&self, side: Side) -> Option<Maker> {
        self.walk(side).next()
    }

    pub fn front_handles(&self, side: Side) -> Vec<u32> {
        self.queues(side).take(1).flat_map(|(_, queue)| queue.iter().map(|order| order.handle)).collect()
    }

    pub fn depth(&self, side: Side) -> impl Iterator<Item = LevelView> {
        self.queues(side).map(|(price, queue)| {
            let wh = queue.iter().map(|order| u64::from(order.wh)).sum();
            LevelView { price, orders: queue.len() as u32, wh }
        })
    }

    pub fn get(&self, handle: u32) -> Option<Resting> {
        let &(side, price) = self.homes.get(&handle)?;
        let order = self.sides[side as usize][&price].iter().find(|order| order.handle == handle)?;
        Some(Resting { tag: order.tag, wh: order.wh, side, price })
    }

    /// The handle of an order: `start`, or the next one that there is.
    pub fn handle_from(&self, start: u32) -> Option<u32> {
        self.homes.range(start..).chain(&self.homes).next().map(|(&handle, _)| handle)
    }

    pub fn crossed(&self) -> bool {
        let best = |side| self.front(side).map(|order| order.price);
        best(Side::Buy).zip(best(Side::Sell)).is_some_and(|(bid, ask)| bid >= ask)
    }

    /// What rests within a limit.
    pub fn available(&self, side: Side, limit: Option<Ticks>) -> u64 {
        self.depth(side.opposite()).take_while(|level| trades(side, limit, level.price)).map(|level| level.wh).sum()
    }

    pub fn price_refusal(&self, price: Ticks) -> Option<Refused> {
        let Band { min, max, tick } = self.band;
        if price < min || price > max {
            Some(Refused::OutOfBand)
        } else if (i64::from(price) - i64::from(min)) % i64::from(tick) != 0 {
            Some(Refused::OffTick)
        } else {
            None
        }
    }

    fn refusal(&self, order: &NewOrder) -> Option<Refused> {
        let NewOrder { side, limit, wh, time_in_force, post_only, .. } = *order;
        let (gtc, ioc) = (time_in_force == TimeInForce::Gtc, time_in_force == TimeInForce::Ioc);
        let reasons = [
            (wh == 0).then_some(Refused::ZeroQuantity),
            limit.and_then(|price| self.price_refusal(price)),
            ((limit.is_none() && !ioc) || (post_only && !gtc)).then_some(Refused::ConflictingTerms),
            (gtc && self.len() >= self.orders_max).then_some(Refused::Full),
            (post_only && self.available(side, limit) > 0).then_some(Refused::WouldTrade),
            (!gtc && !ioc && self.available(side, limit) < u64::from(wh)).then_some(Refused::NotFillable),
        ];
        reasons.into_iter().flatten().next()
    }

    /// `handle` is the one that the book gave to what rests.
    pub fn place(
        &mut self,
        order: &NewOrder,
        mood: Mood,
        handle: u32,
        heard: &mut Vec<Heard>,
    ) -> Result<Placed, Refused> {
        match self.refusal(order) {
            Some(refused) => Err(refused),
            None => Ok(self.enter(order, mood, handle, heard)),
        }
    }

    /// Matches an order; what is left of it rests if it may, and if the sink did not stop it.
    fn enter(&mut self, order: &NewOrder, mood: Mood, handle: u32, heard: &mut Vec<Heard>) -> Placed {
        let NewOrder { side, limit, wh, tag, .. } = *order;
        let (left, stopped) = self.execute(side, limit, wh, mood, heard);
        let rests = left > 0 && !stopped && order.time_in_force == TimeInForce::Gtc;
        if rests {
            let price = limit.expect("only limit orders rest");
            self.insert(side, Maker { handle, price, wh: left, tag });
        }
        Placed { filled: wh - left, rests: rests.then_some(handle) }
    }

    pub fn replace(
        &mut self,
        handle: u32,
        (price, wh): (Ticks, Wh),
        mood: Mood,
        new_handle: u32,
        heard: &mut Vec<Heard>,
    ) -> Result<Option<Placed>, Refused> {
        let Some(old) = self.get(handle) else { return Ok(None) };
        if wh == 0 {
            return Err(Refused::ZeroQuantity);
        }
        if let Some(refused) = self.price_refusal(price) {
            return Err(refused);
        }
        if price == old.price && wh <= old.wh {
            self.reduce(handle, old.wh - wh);
            return Ok(Some(Placed { filled: 0, rests: Some(handle) }));
        }
        self.remove(handle);
        let order = NewOrder { limit: Some(price), ..NewOrder::new(old.side, wh, old.tag) };
        Ok(Some(self.enter(&order, mood, new_handle, heard)))
    }

    /// Returns what is left, and whether the sink said stop.
    pub fn execute(
        &mut self,
        side: Side,
        limit: Option<Ticks>,
        mut wh: Wh,
        mood: Mood,
        heard: &mut Vec<Heard>,
    ) -> (Wh, bool) {
        while wh > 0 {
            let Some(maker) = self.front(side.opposite()).filter(|maker| trades(side, limit, maker.price)) else {
                break;
            };
            heard.push(Heard::Met { left: wh, maker });
            match mood.decide(&maker) {
                Meeting::Trade => {
                    let cut = wh.min(maker.wh);
                    self.reduce(maker.handle, cut);
                    wh -= cut;
                    heard.push(Heard::Filled(Fill { maker, wh: cut, taker_left: wh }));
                }
                Meeting::Stop => return (wh, true),
                meeting => {
                    self.remove(maker.handle);
                    heard.push(Heard::Cancelled(maker));
                    if meeting == Meeting::CancelMakerAndStop {
                        return (wh, true);
                    }
                }
            }
        }
        (wh, false)
    }

    pub fn insert(&mut self, side: Side, order: Maker) {
        let before = self.homes.insert(order.handle, (side, order.price));
        assert_eq!(before, None, "the book gave handle {} to two orders", order.handle);
        self.sides[side as usize].entry(order.price).or_default().push_back(order);
    }

    /// Returns whether the order left.
    pub fn reduce(&mut self, handle: u32, wh: Wh) -> bool {
        let (side, price) = self.homes[&handle];
        let queue = self.sides[side as usize].get_mut(&price).expect("it waits there");
        let order = queue.iter_mut().find(|order| order.handle == handle).expect("it waits there");
        order.wh -= wh;
        let done = order.wh == 0;
        if done {
            self.remove(handle);
        }
        done
    }

    /// Takes an order out, if there is one.
    pub fn remove(&mut self, handle: u32) -> Option<Resting> {
        let order = self.get(handle)?;
        let queues = &mut self.sides[order.side as usize];
        let queue = queues.get_mut(&order.price).expect("it waits there");
        queue.retain(|other| other.handle != handle);
        if queue.is_empty() {
            queues.remove(&order.price);
        }
        self.homes.remove(&handle);
        Some(order)
    }
}

/// Whether an order with this limit (`None`: any price) trades at a price.
fn trades(side: Side, limit: Option<Ticks>, price: Ticks) -> bool {
    limit.is_none_or(|limit| match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    })
}
