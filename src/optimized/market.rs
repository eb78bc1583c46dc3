//! The market's rules over the optimized book: check, reserve, match, settle.
//!
//! The structure follows `baseline.rs` on purpose, so that the two can be read side by side; what differs is what it costs.
//! The path of a new order and of a cancel is one function after inlining (`inline(always)`, here and below): as separate
//! functions, its parts pass their arguments through memory, and a command takes a sixth longer.

use super::book::{Book, Front};
use super::look_ahead::GROUP;
use super::market_data::{LEVELS_KEPT, MarketData};
use super::order_ids::OrderIds;
use crate::command::{Batch, Command, NewOrder};
use crate::engine::{
    AccountRecord, Balances, BestPrices, Engine, Escrow, Ledger, LevelView, MarketStats, OrderView, Settlement,
    apply_to_ledger, open_genesis,
};
use crate::event::{Event, EventLog, Expiry, Reject};
use crate::types::{AccountId, OrderId, PPM, Rules, SelfTrade, Side, Ticks, TimeInForce, Token, Wh, cost};
use std::ops::ControlFlow;

/// The optimized engine over a ledger `L`.
#[derive(Clone)]
pub struct Market<L> {
    rules: Rules,
    pub(super) ledger: L,
    pub(super) book: Book<Tag>,
    pub(super) ids: OrderIds,
    stats: MarketStats,
    market_data: MarketData,
}

/// What the book keeps for the market with each order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
}

/// An order on its way into the book.
struct Taker {
    id: OrderId,
    account: AccountId,
    side: Side,
    limit: Option<Ticks>,
    wh: Wh,
    rests: bool,
}

impl<L: Ledger> Engine for Market<L> {
    fn new(rules: Rules) -> Self {
        rules.validate().expect("valid market rules");
        let mut ledger = L::new(&rules);
        open_genesis(&mut ledger, &rules);
        let Rules { price_min, price_max, tick, limits, .. } = rules;
        Market {
            rules,
            ledger,
            book: Book::new(price_min, price_max, tick, limits.orders as usize),
            ids: OrderIds::new(),
            stats: MarketStats::default(),
            market_data: MarketData::new(),
        }
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn apply(&mut self, batch: Batch<'_>, log: &mut EventLog) -> u32 {
        let mut look_ahead = self.look_ahead(batch);
        let mut accepted = 0;
        for (number, group) in batch.commands.chunks(GROUP).enumerate() {
            let first = batch.first + (number * GROUP) as u64;
            if let Some(look) = &mut look_ahead {
                self.fetch_behind(look, batch, number);
            }
            for (sequence, command) in (first..).zip(group) {
                match self.carry_out(sequence, command, &mut log.events) {
                    Ok(()) => accepted += 1,
                    Err(reason) => log.events.push(Event::Rejected { reason }),
                }
                log.close_command();
            }
        }
        self.stats.open_orders = self.book.len() as u32;
        self.market_data.refresh(&mut self.book);
        accepted
    }
    #[inline(always)]
    fn best(&self) -> BestPrices {
        let best = |side| self.market_data.levels(side).first().copied();
        BestPrices { bid: best(Side::Buy), ask: best(Side::Sell) }
    }

    #[inline(always)]
    fn with_depth<R>(&self, count: usize, read: impl FnOnce(&[LevelView], &[LevelView]) -> R) -> R {
        if count <= LEVELS_KEPT {
            let top = |side| {
                let kept = self.market_data.levels(side);
                &kept[..count.min(kept.len())]
            };
            return read(top(Side::Buy), top(Side::Sell));
        }
        let walk = |side| {
            let mut levels = vec![LevelView::default(); count];
            let found = self.depth_into(side, &mut levels);
            levels.truncate(found);
            levels
        };
        read(&walk(Side::Buy), &walk(Side::Sell))
    }

    fn depth_into(&self, side: Side, out: &mut [LevelView]) -> usize {
        self.book.depth(side, out)
    }

    #[inline(always)]
    fn balances(&self, account: AccountId) -> Option<Balances> {
        self.ledger.balances(account)
    }

    #[inline(always)]
    fn stats(&self) -> MarketStats {
        self.stats
    }

    fn accounts(&self) -> u32 {
        self.ledger.accounts()
    }

    fn take_changed(&mut self, out: &mut Vec<AccountRecord>) {
        self.ledger.take_changed(out);
    }

    fn for_each_order(&self, side: Side, mut see: impl FnMut(OrderView)) {
        self.book.walk(side, |price, order| {
            see(OrderView { order: order.tag.id, account: order.tag.account, price, wh: order.wh });
            ControlFlow::Continue(())
        });
    }

    fn record(&self, account: AccountId) -> Option<AccountRecord> {
        self.ledger.record(account)
    }

    fn supply(&self, token: Token) -> u64 {
        self.ledger.supply(token)
    }
}

impl<L: Ledger> Market<L> {
    #[inline(always)]
    fn carry_out(&mut self, sequence: u64, command: &Command, events: &mut Vec<Event>) -> Result<(), Reject> {
        match *command {
            Command::Place(order) => self.place(OrderId(sequence), order, events),
            Command::Cancel { account, order } => self.cancel(account, order, events),
            Command::Replace { account, order, price, wh, post_only } => {
                self.replace(account, order, price, wh, post_only, events)
            }
            _ => apply_to_ledger(&mut self.ledger, command, events),
        }
    }

    #[inline(always)]
    fn place(&mut self, id: OrderId, order: NewOrder, events: &mut Vec<Event>) -> Result<(), Reject> {
        let NewOrder { account, side, limit, wh, time_in_force, .. } = order;
        self.check_account(account)?;
        self.check_terms(wh, limit)?;
        let rests = limit.is_some() && time_in_force == TimeInForce::Gtc;
        if (limit.is_none() && time_in_force != TimeInForce::Ioc) || (order.post_only && !rests) {
            return Err(Reject::ConflictingTerms);
        }
        if rests && self.book.len() >= self.rules.limits.orders as usize {
            return Err(Reject::OrderLimit);
        }
        let held = self.escrow(side, wh, limit);
        self.ledger.escrow(account, Escrow::default(), held)?;
        match self.check_book(&order) {
            Ok(trades_now) => self.enter(Taker { id, account, side, limit, wh, rests }, trades_now, events),
            Err(reason) => {
                self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
                return Err(reason);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn cancel(&mut self, account: AccountId, id: OrderId, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.check_account(account)?;
        let handle = self.find_own(account, id)?;
        self.cancel_at(handle, false, events);
        Ok(())
    }

    #[inline(never)]
    fn replace(
        &mut self,
        account: AccountId,
        id: OrderId,
        price: Ticks,
        wh: Wh,
        post_only: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        self.check_account(account)?;
        self.check_terms(wh, Some(price))?;
        let handle = self.find_own(account, id)?;
        let old = *self.book.get(handle).expect("found");
        let (side, old_price) = (old.side, self.book.price_of(&old));
        let old_held = self.escrow(side, old.wh, Some(old_price));
        let new_held = self.escrow(side, wh, Some(price));
        let kept_priority = price == old_price && wh <= old.wh;
        self.ledger.escrow(account, old_held, new_held)?;
        if kept_priority {
            self.book.reduce(handle, old.wh - wh);
            events.push(Event::Replaced { order: id, price, wh, kept_priority });
            return Ok(());
        }
        let time_in_force = TimeInForce::Gtc;
        let order = NewOrder { account, side, limit: Some(price), wh, time_in_force, post_only };
        let trades_now = match self.check_book(&order) {
            Ok(trades_now) => trades_now,
            Err(reason) => {
                self.ledger.escrow(account, new_held, old_held).expect("what was held before fits again");
                return Err(reason);
            }
        };
        self.book.remove(handle);
        self.ids.remove(id, handle);
        events.push(Event::Replaced { order: id, price, wh, kept_priority });
        self.enter(Taker { id, account, side, limit: Some(price), wh, rests: true }, trades_now, events);
        Ok(())
    }

    /// Matches an order whose terms are checked and whose escrow is held, and lets the rest of it rest or expire.
    #[inline(always)]
    fn enter(&mut self, mut taker: Taker, trades_now: bool, events: &mut Vec<Event>) {
        let mut expiry = (!taker.rests).then_some(Expiry::NoLiquidity);
        while trades_now && taker.wh > 0 {
            let Some(maker) = self.book.front(taker.side.opposite()) else { break };
            if !trades(taker.side, taker.limit, maker.price) {
                break;
            }
            if maker.tag.account == taker.account {
                self.cancel_at(maker.handle, true, events);
                if self.rules.self_trade == SelfTrade::CancelBoth {
                    expiry = Some(Expiry::SelfTrade);
                    break;
                }
                continue;
            }
            if let Err(reason) = self.fill(&mut taker, &maker, events) {
                expiry = Some(reason);
                break;
            }
        }
        let Taker { id, account, side, limit, wh, .. } = taker;
        if wh == 0 {
            return;
        }
        if let Some(reason) = expiry {
            let held = self.escrow(side, wh, limit);
            self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
            events.push(Event::Expired { order: id, wh, reason });
        } else {
            let price = limit.expect("only limit orders rest");
            let handle = self.book.insert(side, price, wh, Tag { id, account });
            let Market { book, ids, .. } = self;
            ids.insert(id, handle, |handle| book.get(handle).expect("it rests").tag.id);
            events.push(Event::Rested { order: id, price, wh });
        }
    }

    /// One fill: delivery versus payment, then the book. A market order that cannot pay changes nothing.
    #[inline(always)]
    fn fill(&mut self, taker: &mut Taker, maker: &Front<Tag>, events: &mut Vec<Event>) -> Result<(), Expiry> {
        let wh = taker.wh.min(maker.wh);
        let cost = cost(wh, maker.price);
        let fee = self.fee(cost.unsigned_abs());
        if taker.limit.is_none() {
            self.check_payment(taker, wh, cost, fee)?;
        }
        // Each side's order now holds escrow for less energy; the difference is released to pay this fill.
        let taker_release = self.escrow_released(taker.side, taker.wh, wh, taker.limit);
        let maker_release = self.escrow_released(taker.side.opposite(), maker.wh, wh, Some(maker.price));
        let (buyer, seller, buyer_release, seller_release) = match taker.side {
            Side::Buy => (taker.account, maker.tag.account, taker_release, maker_release),
            Side::Sell => (maker.tag.account, taker.account, maker_release, taker_release),
        };
        self.ledger.settle(&Settlement { buyer, seller, wh, cost, fee, buyer_release, seller_release });
        self.stats.record_fill(maker.price, wh);
        taker.wh -= wh;
        let maker_done = self.book.reduce(maker.handle, wh);
        if maker_done {
            self.ids.remove(maker.tag.id, maker.handle);
        }
        events.push(Event::Fill {
            maker: maker.tag.id,
            maker_account: maker.tag.account,
            price: maker.price,
            wh,
            fee,
            maker_done,
            taker_done: taker.wh == 0,
        });
        Ok(())
    }

    #[inline(always)]
    fn check_account(&self, account: AccountId) -> Result<(), Reject> {
        if account.0 < self.ledger.accounts() { Ok(()) } else { Err(Reject::UnknownAccount) }
    }

    #[inline(always)]
    fn check_terms(&self, wh: Wh, limit: Option<Ticks>) -> Result<(), Reject> {
        let Rules { price_min, price_max, tick, lot, .. } = self.rules;
        if wh == 0 {
            return Err(Reject::ZeroAmount);
        }
        // Most markets have lots of 1 Wh and ticks of 1: a comparison is cheaper than a division by a variable.
        if lot != 1 && !wh.is_multiple_of(lot) {
            return Err(Reject::OffLot);
        }
        match limit {
            Some(price) if price < price_min || price > price_max => Err(Reject::PriceOutOfBand),
            Some(price) if tick != 1 && price % tick != 0 => Err(Reject::OffTick),
            _ => Ok(()),
        }
    }

    /// The refusals that depend on what rests on the other side; otherwise, whether it trades at once. Most orders do not,
    /// and then neither a level nor an order is looked at.
    #[inline(always)]
    fn check_book(&self, order: &NewOrder) -> Result<bool, Reject> {
        let fill_or_kill = order.time_in_force == TimeInForce::Fok;
        let makers = order.side.opposite();
        if !self.book.best_price(makers).is_some_and(|price| trades(order.side, order.limit, price)) {
            return if fill_or_kill { Err(Reject::NotFillable) } else { Ok(false) };
        }
        if order.post_only {
            return Err(Reject::WouldTrade);
        }
        let front = self.book.front(makers).expect("there is a best price");
        let filled_by_first = front.tag.account != order.account && front.wh >= order.wh;
        if !filled_by_first && (fill_or_kill || self.rules.self_trade == SelfTrade::RejectTaker) {
            self.walk_makers(order)?;
        }
        Ok(true)
    }

    fn walk_makers(&self, order: &NewOrder) -> Result<(), Reject> {
        let mut fillable: Wh = 0;
        let mut met_own = false;
        self.book.walk(order.side.opposite(), |price, maker| {
            if fillable >= order.wh || !trades(order.side, order.limit, price) {
                return ControlFlow::Break(());
            }
            if maker.tag.account != order.account {
                fillable = fillable.saturating_add(maker.wh);
                return ControlFlow::Continue(());
            }
            met_own = true;
            let goes_on = self.rules.self_trade == SelfTrade::CancelMaker;
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if met_own && self.rules.self_trade == SelfTrade::RejectTaker {
            return Err(Reject::SelfTrade);
        }
        if order.time_in_force == TimeInForce::Fok && fillable < order.wh {
            return Err(Reject::NotFillable);
        }
        Ok(())
    }

    /// Whether a market order can pay a fill from what its account has available.
    fn check_payment(&self, taker: &Taker, wh: Wh, cost: i64, fee: u64) -> Result<(), Expiry> {
        let available = self.ledger.balances(taker.account).expect("the account is open").available;
        let (watt, energy) = match taker.side {
            Side::Buy => (if cost > 0 { cost as u64 + fee } else { 0 }, 0),
            Side::Sell => (cost.min(0).unsigned_abs(), u64::from(wh)),
        };
        if available[Token::Watt as usize] < watt {
            Err(Expiry::InsufficientWatt)
        } else if available[Token::Energy as usize] < energy {
            Err(Expiry::InsufficientEnergy)
        } else {
            Ok(())
        }
    }

    /// `floor(cost x ppm / 10^6)`, in 64 bits where the product fits: the division is then a multiplication.
    #[inline(always)]
    fn fee(&self, cost: u64) -> u64 {
        if cost <= u64::MAX / PPM as u64 {
            cost * u64::from(self.rules.fee_ppm) / u64::from(PPM)
        } else {
            (u128::from(cost) * u128::from(self.rules.fee_ppm) / u128::from(PPM)) as u64
        }
    }

    /// What an order holds; nothing for market orders.
    #[inline(always)]
    fn escrow(&self, side: Side, wh: Wh, limit: Option<Ticks>) -> Escrow {
        let Some(limit) = limit else { return Escrow::default() };
        let cost = cost(wh, limit);
        match side {
            Side::Buy => {
                let cost = cost.max(0) as u64;
                Escrow { watt: cost + self.fee(cost), energy: 0 }
            }
            Side::Sell => Escrow { watt: cost.min(0).unsigned_abs(), energy: u64::from(wh) },
        }
    }

    #[inline(always)]
    fn escrow_released(&self, side: Side, wh: Wh, filled: Wh, limit: Option<Ticks>) -> Escrow {
        let (before, after) = (self.escrow(side, wh, limit), self.escrow(side, wh - filled, limit));
        Escrow { watt: before.watt - after.watt, energy: before.energy - after.energy }
    }

    #[inline(always)]
    fn find_own(&self, account: AccountId, id: OrderId) -> Result<u32, Reject> {
        let is_it = |handle| self.book.get(handle).is_some_and(|order| order.tag.id == id);
        let handle = self.ids.get(id, is_it).ok_or(Reject::UnknownOrder)?;
        let owner = self.book.get(handle).expect("found").tag.account;
        if owner == account { Ok(handle) } else { Err(Reject::NotOwner) }
    }

    #[inline(always)]
    fn cancel_at(&mut self, handle: u32, self_trade: bool, events: &mut Vec<Event>) {
        let order = self.book.remove(handle);
        let Tag { id, account } = order.tag;
        self.ids.remove(id, handle);
        let price = self.book.price_of(&order);
        let held = self.escrow(order.side, order.wh, Some(price));
        self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
        events.push(Event::Cancelled { order: id, account, price, wh: order.wh, self_trade });
    }
}

/// Whether a taker of this side with this limit (`None`: any) trades with a maker at `price`.
#[inline(always)]
fn trades(side: Side, limit: Option<Ticks>, price: Ticks) -> bool {
    limit.is_none_or(|limit| if side == Side::Buy { price <= limit } else { price >= limit })
}
