//! The market's rules over the optimized book: check, reserve, match, settle.
//!
//! The structure follows `baseline.rs` on purpose, so that the two can be read side by side; what differs is what it costs.
//! The path of a new order and of a cancel is one function after inlining (`inline(always)`, here and below): as separate
//! functions, its parts pass their arguments through memory, and a command takes a sixth longer.

use super::book::{Band, Book, Tag};
use super::columns::Columns;
use super::look_ahead::GROUP;
use super::market_data::{LEVELS_KEPT, MarketData};
use super::order_ids::OrderIds;
use super::settle::{Pricing, Settle, Taker};
use crate::command::{Batch, Command, NewOrder};
use crate::engine::{
    AccountRecord, Balances, BestPrices, Engine, Escrow, Ledger, LevelView, MarketStats, OrderCheck, OrderView,
    RestoreError, apply_to_ledger, open_genesis,
};
use crate::event::{Event, EventLog, Expiry, Reject};
use crate::types::{AccountId, OrderId, Rules, SelfTrade, Side, Ticks, TimeInForce, Token, Wh};
use std::ops::ControlFlow;

/// The optimized engine over a ledger `L`.
#[derive(Clone)]
pub struct Market<L> {
    rules: Rules,
    pub(super) ledger: L,
    pub(super) book: Book<true>,
    pub(super) ids: OrderIds,
    stats: MarketStats,
    market_data: MarketData,
}

/// What the book keeps for the market with each order: its id and its owner.
#[inline(always)]
fn tag(id: OrderId, account: AccountId) -> Tag {
    Tag(id.0, account.0)
}

impl<L: Ledger> Engine for Market<L> {
    type Probe = L::Probe;

    fn new(rules: Rules) -> Self {
        rules.validate().expect("valid market rules");
        let mut ledger = L::new(&rules);
        open_genesis(&mut ledger, &rules);
        Market::with_empty_book(rules, ledger, OrderIds::new())
    }

    fn restore(
        rules: Rules,
        stats: MarketStats,
        accounts: impl Iterator<Item = AccountRecord>,
        mut orders: impl Iterator<Item = (Side, OrderView)>,
    ) -> Result<Self, RestoreError> {
        rules.validate()?;
        let ledger = L::restore(&rules, accounts)?;
        let room = orders.size_hint().0.min(rules.limits.orders as usize);
        let mut check = OrderCheck::new(&rules, ledger.accounts());
        let mut market = Market::with_empty_book(rules, ledger, OrderIds::with_room(room));
        let mut twice = None;
        let mut group = Vec::with_capacity(GROUP);
        loop {
            group.clear();
            group.extend(orders.by_ref().take(GROUP));
            for (_, OrderView { order, account, .. }) in &group {
                market.ids.prefetch(*order);
                check.prefetch(*account);
            }
            for (side, view) in &group {
                check.see(*side, view)?;
                if !market.put_back(*side, view) {
                    twice = twice.or(Some(view.order));
                }
            }
            if group.len() < GROUP {
                break;
            }
        }
        check.finish(&market.ledger, &stats)?;
        if let Some(order) = twice {
            return Err(RestoreError::OrderTwice { order });
        }
        market.stats = stats;
        market.market_data.refresh(&mut market.book);
        Ok(market)
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
            see(OrderView { order: OrderId(order.tag.0), account: AccountId(order.tag.1), price, wh: order.wh });
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

impl Market<Columns> {
    /// Bytes in use for accounts, orders and levels, without address space that was reserved and never touched.
    pub fn memory(&self) -> usize {
        self.ledger.memory()
            + self.book.memory()
            + self.ids.memory()
            + size_of::<MarketStats>()
            + size_of::<MarketData>()
    }
}

impl<L: Ledger> Market<L> {
    fn with_empty_book(rules: Rules, ledger: L, ids: OrderIds) -> Self {
        let Rules { price_min, price_max, tick, limits, .. } = rules;
        let book = Book::watched(Band { min: price_min, max: price_max, tick }, limits.orders);
        Market { rules, ledger, book, ids, stats: MarketStats::default(), market_data: MarketData::new() }
    }

    /// Puts an order that is checked behind all others of its price, unless there is one with its id.
    fn put_back(&mut self, side: Side, view: &OrderView) -> bool {
        let OrderView { order: id, account, price, wh } = *view;
        let Market { book, ids, .. } = self;
        if ids.get(id, |handle| book.tag(handle).is_some_and(|tag| tag.0 == id.0)).is_some() {
            return false;
        }
        let handle = book.insert(side, price, wh, tag(id, account));
        ids.insert(id, handle, book);
        true
    }

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
        self.hold(account, side, wh, limit)?;
        if let Err(reason) = self.check_book(&order) {
            self.release(account, side, wh, limit);
            return Err(reason);
        }
        self.enter(Taker { id, account, side, limit }, wh, rests, events);
        Ok(())
    }

    #[inline(always)]
    fn cancel(&mut self, account: AccountId, id: OrderId, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.check_account(account)?;
        let Market { ids, book, .. } = self;
        let Some(order) = ids.take(Tag(id.0, account.0), book) else {
            return Err(self.find_own(account, id).expect_err("it was not found"));
        };
        self.release(account, order.side, order.wh, Some(order.price));
        events.push(Event::Cancelled { order: id, account, price: order.price, wh: order.wh, self_trade: false });
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
        let old = self.book.get(handle).expect("found");
        let side = old.side;
        let old_held = self.pricing().escrow(side, old.wh, Some(old.price));
        let new_held = self.pricing().escrow(side, wh, Some(price));
        let kept_priority = price == old.price && wh <= old.wh;
        self.ledger.escrow(account, old_held, new_held)?;
        if kept_priority {
            self.book.reduce(handle, old.wh - wh);
            events.push(Event::Replaced { order: id, price, wh, kept_priority });
            return Ok(());
        }
        let time_in_force = TimeInForce::Gtc;
        let order = NewOrder { account, side, limit: Some(price), wh, time_in_force, post_only };
        if let Err(reason) = self.check_book(&order) {
            self.ledger.escrow(account, new_held, old_held).expect("what was held before fits again");
            return Err(reason);
        }
        self.book.remove(handle);
        self.ids.remove(id, handle);
        events.push(Event::Replaced { order: id, price, wh, kept_priority });
        self.enter(Taker { id, account, side, limit: Some(price) }, wh, true, events);
        Ok(())
    }

    /// Matches an order whose terms are checked and whose escrow is held, and lets the rest of it rest or expire.
    #[inline(always)]
    fn enter(&mut self, taker: Taker, wh: Wh, rests: bool, events: &mut Vec<Event>) {
        let Taker { id, account, side, limit } = taker;
        let pricing = self.pricing();
        let Market { rules, ledger, book, ids, stats, .. } = self;
        let mut settle =
            Settle { taker, pricing, self_trade: rules.self_trade, ledger, ids, stats, events, stopped: None };
        let left = book.execute(side, limit, wh, &mut settle);
        let stopped = settle.stopped;
        if left == 0 {
            return;
        }
        if let Some(reason) = stopped.or((!rests).then_some(Expiry::NoLiquidity)) {
            self.release(account, side, left, limit);
            events.push(Event::Expired { order: id, wh: left, reason });
        } else {
            let price = limit.expect("only limit orders rest");
            let handle = self.book.insert(side, price, left, tag(id, account));
            let Market { book, ids, .. } = self;
            ids.insert(id, handle, book);
            events.push(Event::Rested { order: id, price, wh: left });
        }
    }

    /// Holds what an order may cost.
    #[inline(always)]
    fn hold(&mut self, account: AccountId, side: Side, wh: Wh, limit: Option<Ticks>) -> Result<(), Reject> {
        match limit {
            Some(price) if price >= 0 => {
                let (token, amount) = self.pricing().one_token(side, wh, price);
                self.ledger.lock(token, account, amount)
            }
            _ => self.ledger.escrow(account, Escrow::default(), self.pricing().escrow(side, wh, limit)),
        }
    }

    /// Gives back what an order holds.
    #[inline(always)]
    fn release(&mut self, account: AccountId, side: Side, wh: Wh, limit: Option<Ticks>) {
        let released = match limit {
            Some(price) if price >= 0 => {
                let (token, amount) = self.pricing().one_token(side, wh, price);
                self.ledger.unlock(token, account, amount)
            }
            _ => self.ledger.escrow(account, self.pricing().escrow(side, wh, limit), Escrow::default()),
        };
        released.expect("a release cannot fail");
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

    /// The refusals that depend on what rests on the other side. Most orders do not trade at once, and then neither a level
    /// nor an order is looked at.
    #[inline(always)]
    fn check_book(&self, order: &NewOrder) -> Result<(), Reject> {
        let fill_or_kill = order.time_in_force == TimeInForce::Fok;
        if !self.book.crosses(order.side, order.limit) {
            return if fill_or_kill { Err(Reject::NotFillable) } else { Ok(()) };
        }
        if order.post_only {
            return Err(Reject::WouldTrade);
        }
        let front = self.book.front(order.side.opposite()).expect("there is a best price");
        let filled_by_first = front.tag.1 != order.account.0 && front.wh >= order.wh;
        if !filled_by_first && (fill_or_kill || self.rules.self_trade == SelfTrade::RejectTaker) {
            self.walk_makers(order)?;
        }
        Ok(())
    }

    fn walk_makers(&self, order: &NewOrder) -> Result<(), Reject> {
        let mut fillable: Wh = 0;
        let mut met_own = false;
        self.book.walk(order.side.opposite(), |price, maker| {
            if fillable >= order.wh || !trades(order.side, order.limit, price) {
                return ControlFlow::Break(());
            }
            if maker.tag.1 != order.account.0 {
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

    #[inline(always)]
    fn pricing(&self) -> Pricing {
        Pricing { fee_ppm: self.rules.fee_ppm }
    }

    #[inline(always)]
    fn find_own(&self, account: AccountId, id: OrderId) -> Result<u32, Reject> {
        let is_it = |handle| self.book.tag(handle).is_some_and(|tag| tag.0 == id.0);
        let handle = self.ids.get(id, is_it).ok_or(Reject::UnknownOrder)?;
        let owner = self.book.tag(handle).expect("found").1;
        if owner == account.0 { Ok(handle) } else { Err(Reject::NotOwner) }
    }
}

/// Whether a taker of this side with this limit (`None`: any) trades with a maker at `price`.
#[inline(always)]
fn trades(side: Side, limit: Option<Ticks>, price: Ticks) -> bool {
    limit.is_none_or(|limit| if side == Side::Buy { price <= limit } else { price >= limit })
}
