//! The market, written to be read. Start here.
//!
//! This engine does everything in the most obvious way: two sorted queues of orders with linear insertion and search, hash
//! maps for accounts, a fresh aggregation for every depth query. It is the oracle of every differential test and the
//! "before" of every measurement. The optimized engine must give exactly the same events and state.

use crate::command::{Batch, Command, NewOrder};
use crate::engine::{
    AccountCheck, AccountRecord, Balances, BestPrices, Engine, Escrow, Ledger, LevelView, MarketStats, OrderCheck,
    OrderView, RestoreError, Settlement, apply_to_ledger, escrow_of, fee, insufficient, open_genesis,
};
use crate::event::{Event, EventLog, Expiry, Reject};
use crate::measure::Off;
use crate::types::{AccountId, Address, OrderId, Rules, SelfTrade, Side, Ticks, TimeInForce, Token, Wh, cost};
use std::collections::{HashMap, HashSet, VecDeque};

/// The readable engine.
pub type Baseline = Market<MapLedger>;

/// The same over any ledger, so that a ledger that is looked at can take its place.
#[derive(Clone)]
pub struct Market<L> {
    rules: Rules,
    ledger: L,
    /// Resting orders by side, best price first and oldest first within a price.
    books: [VecDeque<Order>; 2],
    stats: MarketStats,
}

#[derive(Clone, Copy)]
struct Order {
    id: OrderId,
    account: AccountId,
    price: Ticks,
    wh: Wh,
}

impl<L: Ledger> Engine for Market<L> {
    type Probe = L::Probe;

    fn new(rules: Rules) -> Self {
        rules.validate().expect("valid market rules");
        let mut ledger = L::new(&rules);
        open_genesis(&mut ledger, &rules);
        Market { rules, ledger, books: Default::default(), stats: MarketStats::default() }
    }

    fn restore(
        rules: Rules,
        stats: MarketStats,
        accounts: impl Iterator<Item = AccountRecord>,
        orders: impl Iterator<Item = (Side, OrderView)>,
    ) -> Result<Self, RestoreError> {
        rules.validate()?;
        let ledger = L::restore(&rules, accounts)?;
        let mut books = [VecDeque::new(), VecDeque::new()];
        let mut check = OrderCheck::new(&rules, ledger.accounts());
        for (side, view) in orders {
            check.see(side, &view)?;
            let OrderView { order: id, account, price, wh } = view;
            books[side as usize].push_back(Order { id, account, price, wh });
        }
        check.finish(&ledger, &stats)?;
        let mut ids = HashSet::new();
        for &Order { id: order, .. } in books.iter().flatten() {
            if !ids.insert(order) {
                return Err(RestoreError::OrderTwice { order });
            }
        }
        Ok(Market { rules, ledger, books, stats })
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn apply(&mut self, batch: Batch<'_>, log: &mut EventLog) -> u32 {
        let mut accepted = 0;
        for (sequence, command) in (batch.first..).zip(batch.commands) {
            let events_before = log.events.len();
            match self.carry_out(sequence, command, &mut log.events) {
                Ok(()) => accepted += 1,
                Err(reason) => {
                    assert_eq!(log.events.len(), events_before, "a refused command causes nothing else");
                    log.events.push(Event::Rejected { reason });
                }
            }
            log.close_command();
        }
        self.stats.open_orders = self.open_orders();
        accepted
    }

    fn best(&self) -> BestPrices {
        let best = |side| levels(&self.books[side as usize], 1).first().copied();
        BestPrices { bid: best(Side::Buy), ask: best(Side::Sell) }
    }

    fn with_depth<R>(&self, count: usize, read: impl FnOnce(&[LevelView], &[LevelView]) -> R) -> R {
        let [bids, asks] = &self.books;
        read(&levels(bids, count), &levels(asks, count))
    }

    fn depth_into(&self, side: Side, out: &mut [LevelView]) -> usize {
        let levels = levels(&self.books[side as usize], out.len());
        out[..levels.len()].copy_from_slice(&levels);
        levels.len()
    }

    fn balances(&self, account: AccountId) -> Option<Balances> {
        self.ledger.balances(account)
    }

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
        for &Order { id, account, price, wh } in &self.books[side as usize] {
            see(OrderView { order: id, account, price, wh });
        }
    }

    fn record(&self, account: AccountId) -> Option<AccountRecord> {
        self.ledger.record(account)
    }

    fn supply(&self, token: Token) -> u64 {
        self.ledger.supply(token)
    }
}

impl<L: Ledger> Market<L> {
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

    fn place(&mut self, id: OrderId, order: NewOrder, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.check_account(order.account)?;
        self.check_terms(order.wh, order.limit)?;
        let rests = order.limit.is_some() && order.time_in_force == TimeInForce::Gtc;
        if (order.limit.is_none() && order.time_in_force != TimeInForce::Ioc) || (order.post_only && !rests) {
            return Err(Reject::ConflictingTerms);
        }
        if rests && self.open_orders() >= self.rules.limits.orders {
            return Err(Reject::OrderLimit);
        }
        let held = self.escrow(order.side, order.wh, order.limit);
        self.ledger.escrow(order.account, Escrow::default(), held)?;
        if let Err(reason) = self.check_book(&order) {
            self.ledger.escrow(order.account, held, Escrow::default()).expect("a release cannot fail");
            return Err(reason);
        }
        self.enter(id, order, events);
        Ok(())
    }

    fn cancel(&mut self, account: AccountId, id: OrderId, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.check_account(account)?;
        let (side, position) = self.find_own(account, id)?;
        self.cancel_at(side, position, false, events);
        Ok(())
    }

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
        let (side, position) = self.find_own(account, id)?;
        let old = self.books[side as usize][position];
        let old_held = self.escrow(side, old.wh, Some(old.price));
        let new_held = self.escrow(side, wh, Some(price));
        let kept_priority = price == old.price && wh <= old.wh;
        self.ledger.escrow(account, old_held, new_held)?;
        if kept_priority {
            self.books[side as usize][position].wh = wh;
            events.push(Event::Replaced { order: id, price, wh, kept_priority });
            return Ok(());
        }
        let time_in_force = TimeInForce::Gtc;
        let order = NewOrder { account, side, limit: Some(price), wh, time_in_force, post_only };
        if let Err(reason) = self.check_book(&order) {
            self.ledger.escrow(account, new_held, old_held).expect("what was held before fits again");
            return Err(reason);
        }
        self.books[side as usize].remove(position);
        events.push(Event::Replaced { order: id, price, wh, kept_priority });
        self.enter(id, order, events);
        Ok(())
    }

    /// Matches an order whose terms are checked and whose escrow is held, and lets the rest of it rest or expire.
    fn enter(&mut self, id: OrderId, order: NewOrder, events: &mut Vec<Event>) {
        let NewOrder { account, side, limit, mut wh, time_in_force, .. } = order;
        let mut expiry = (limit.is_none() || time_in_force != TimeInForce::Gtc).then_some(Expiry::NoLiquidity);
        while wh > 0 {
            let Some(&maker) = self.books[side.opposite() as usize].front() else { break };
            if !trades(side, limit, maker.price) {
                break;
            }
            if maker.account == account {
                self.cancel_at(side.opposite(), 0, true, events);
                if self.rules.self_trade == SelfTrade::CancelBoth {
                    expiry = Some(Expiry::SelfTrade);
                    break;
                }
                continue;
            }
            let filled = wh.min(maker.wh);
            let cost = cost(filled, maker.price);
            let fee = fee(cost, self.rules.fee_ppm);
            if limit.is_none()
                && let Some(reason) = self.cannot_pay(account, side, filled, cost, fee)
            {
                expiry = Some(reason);
                break;
            }
            // Each side's order now holds escrow for less energy; the difference is released to pay this fill.
            let taker_release = self.escrow_released(side, wh, filled, limit);
            let maker_release = self.escrow_released(side.opposite(), maker.wh, filled, Some(maker.price));
            let (buyer, seller, buyer_release, seller_release) = match side {
                Side::Buy => (account, maker.account, taker_release, maker_release),
                Side::Sell => (maker.account, account, maker_release, taker_release),
            };
            self.ledger.settle(&Settlement { buyer, seller, wh: filled, cost, fee, buyer_release, seller_release });
            self.stats.record_fill(maker.price, filled);
            wh -= filled;
            let maker_done = filled == maker.wh;
            if maker_done {
                self.books[side.opposite() as usize].pop_front();
            } else {
                self.books[side.opposite() as usize][0].wh -= filled;
            }
            events.push(Event::Fill {
                maker: maker.id,
                maker_account: maker.account,
                price: maker.price,
                wh: filled,
                fee,
                maker_done,
                taker_done: wh == 0,
            });
        }
        if wh == 0 {
            return;
        }
        if let Some(reason) = expiry {
            let held = self.escrow(side, wh, limit);
            self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
            events.push(Event::Expired { order: id, wh, reason });
        } else {
            let price = limit.expect("only limit orders rest");
            events.push(Event::Rested { order: id, price, wh });
            let book = &mut self.books[side as usize];
            // Behind every order that is better or as good.
            let position = book.iter().position(|resting| is_better(side, price, resting.price)).unwrap_or(book.len());
            book.insert(position, Order { id, account, price, wh });
        }
    }

    fn check_account(&self, account: AccountId) -> Result<(), Reject> {
        if account.0 < self.ledger.accounts() { Ok(()) } else { Err(Reject::UnknownAccount) }
    }

    fn check_terms(&self, wh: Wh, limit: Option<Ticks>) -> Result<(), Reject> {
        let Rules { price_min, price_max, tick, lot, .. } = self.rules;
        if wh == 0 {
            return Err(Reject::ZeroAmount);
        }
        if !wh.is_multiple_of(lot) {
            return Err(Reject::OffLot);
        }
        match limit {
            Some(price) if price < price_min || price > price_max => Err(Reject::PriceOutOfBand),
            Some(price) if price % tick != 0 => Err(Reject::OffTick),
            _ => Ok(()),
        }
    }

    /// The refusals that depend on what rests on the other side.
    fn check_book(&self, order: &NewOrder) -> Result<(), Reject> {
        let mut fillable: Wh = 0;
        for maker in &self.books[order.side.opposite() as usize] {
            if fillable >= order.wh || !trades(order.side, order.limit, maker.price) {
                break;
            }
            if order.post_only {
                return Err(Reject::WouldTrade);
            }
            if maker.account == order.account {
                match self.rules.self_trade {
                    SelfTrade::RejectTaker => return Err(Reject::SelfTrade),
                    SelfTrade::CancelMaker => continue,
                    SelfTrade::CancelBoth => break,
                }
            }
            fillable = fillable.saturating_add(maker.wh);
        }
        if order.time_in_force == TimeInForce::Fok && fillable < order.wh {
            return Err(Reject::NotFillable);
        }
        Ok(())
    }

    /// Why a market order's account cannot pay a fill from what it has available, if so.
    fn cannot_pay(&self, account: AccountId, side: Side, wh: Wh, cost: i64, fee: u64) -> Option<Expiry> {
        let available = self.ledger.balances(account).expect("the account is open").available;
        let (watt, energy) = match side {
            Side::Buy => (if cost > 0 { cost as u64 + fee } else { 0 }, 0),
            Side::Sell => ((-cost).max(0) as u64, u64::from(wh)),
        };
        if available[Token::Watt as usize] < watt {
            Some(Expiry::InsufficientWatt)
        } else if available[Token::Energy as usize] < energy {
            Some(Expiry::InsufficientEnergy)
        } else {
            None
        }
    }

    /// What an order holds; nothing for market orders.
    fn escrow(&self, side: Side, wh: Wh, limit: Option<Ticks>) -> Escrow {
        limit.map_or(Escrow::default(), |limit| escrow_of(side, wh, limit, self.rules.fee_ppm))
    }

    fn escrow_released(&self, side: Side, wh: Wh, filled: Wh, limit: Option<Ticks>) -> Escrow {
        let (before, after) = (self.escrow(side, wh, limit), self.escrow(side, wh - filled, limit));
        Escrow { watt: before.watt - after.watt, energy: before.energy - after.energy }
    }

    fn find_own(&self, account: AccountId, id: OrderId) -> Result<(Side, usize), Reject> {
        for side in Side::BOTH {
            if let Some(position) = self.books[side as usize].iter().position(|order| order.id == id) {
                let owner = self.books[side as usize][position].account;
                return if owner == account { Ok((side, position)) } else { Err(Reject::NotOwner) };
            }
        }
        Err(Reject::UnknownOrder)
    }

    fn cancel_at(&mut self, side: Side, position: usize, self_trade: bool, events: &mut Vec<Event>) {
        let Order { id, account, price, wh } = self.books[side as usize].remove(position).expect("found before");
        let held = self.escrow(side, wh, Some(price));
        self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
        events.push(Event::Cancelled { order: id, account, price, wh, self_trade });
    }

    fn open_orders(&self) -> u32 {
        (self.books[0].len() + self.books[1].len()) as u32
    }
}

/// Whether a taker of this side with this limit (`None`: any) trades with a maker at `price`.
fn trades(side: Side, limit: Option<Ticks>, price: Ticks) -> bool {
    limit.is_none_or(|limit| if side == Side::Buy { price <= limit } else { price >= limit })
}

fn is_better(side: Side, price: Ticks, than: Ticks) -> bool {
    if side == Side::Buy { price > than } else { price < than }
}

/// The best `count` levels of a sorted queue.
fn levels(book: &VecDeque<Order>, count: usize) -> Vec<LevelView> {
    let mut levels: Vec<LevelView> = Vec::new();
    for order in book {
        if let Some(level) = levels.last_mut()
            && level.price == order.price
        {
            level.orders += 1;
            level.wh += u64::from(order.wh);
        } else if levels.len() < count {
            levels.push(LevelView { price: order.price, orders: 1, wh: u64::from(order.wh) });
        } else {
            break;
        }
    }
    levels
}

/// Accounts in hash maps, one record each.
#[derive(Clone)]
pub struct MapLedger {
    accounts: HashMap<AccountId, AccountRecord>,
    by_address: HashMap<Address, AccountId>,
    supply: [u64; 3],
    accounts_max: u32,
}

impl MapLedger {
    fn entry(&mut self, account: AccountId) -> &mut Balances {
        &mut self.accounts.get_mut(&account).expect("the account is open").balances
    }
}

/// Takes `amount` from a balance if it is there.
fn take(balance: &mut u64, token: Token, amount: u64) -> Result<(), Reject> {
    *balance = balance.checked_sub(amount).ok_or(insufficient(token))?;
    Ok(())
}

impl Ledger for MapLedger {
    type Probe = Off;

    fn new(rules: &Rules) -> Self {
        let accounts_max = rules.limits.accounts;
        MapLedger { accounts: HashMap::new(), by_address: HashMap::new(), supply: [0; 3], accounts_max }
    }

    fn restore(rules: &Rules, accounts: impl Iterator<Item = AccountRecord>) -> Result<Self, RestoreError> {
        let mut ledger = MapLedger::new(rules);
        let mut check = AccountCheck::new(rules);
        for record in accounts {
            check.see(&record)?;
            ledger.accounts.insert(record.account, record);
        }
        ledger.supply = check.finish()?;
        for second in (0..ledger.accounts()).map(AccountId) {
            if let Some(first) = ledger.by_address.insert(ledger.accounts[&second].address, second) {
                return Err(RestoreError::AddressTwice { first, second });
            }
        }
        Ok(ledger)
    }

    fn accounts(&self) -> u32 {
        self.accounts.len() as u32
    }

    fn open(&mut self, address: &Address) -> Result<AccountId, Reject> {
        if self.by_address.contains_key(address) {
            return Err(Reject::AddressInUse);
        }
        if self.accounts() == self.accounts_max {
            return Err(Reject::AccountLimit);
        }
        let account = AccountId(self.accounts());
        self.by_address.insert(*address, account);
        self.accounts.insert(account, AccountRecord { account, address: *address, balances: Balances::default() });
        Ok(account)
    }

    fn record(&self, account: AccountId) -> Option<AccountRecord> {
        self.accounts.get(&account).copied()
    }

    fn balances(&self, account: AccountId) -> Option<Balances> {
        self.accounts.get(&account).map(|record| record.balances)
    }

    fn supply(&self, token: Token) -> u64 {
        self.supply[token as usize]
    }

    fn create(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        let supply = &mut self.supply[token as usize];
        *supply = supply.checked_add(amount).ok_or(Reject::SupplyLimit)?;
        self.entry(account).available[token as usize] += amount;
        Ok(())
    }

    fn destroy(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        take(&mut self.entry(account).available[token as usize], token, amount)?;
        self.supply[token as usize] -= amount;
        Ok(())
    }

    fn transfer(&mut self, token: Token, from: AccountId, to: AccountId, amount: u64) -> Result<(), Reject> {
        take(&mut self.entry(from).available[token as usize], token, amount)?;
        self.entry(to).available[token as usize] += amount;
        Ok(())
    }

    fn lock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        take(&mut self.entry(account).available[token as usize], token, amount)?;
        self.entry(account).locked[token as usize] += amount;
        Ok(())
    }

    fn unlock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        take(&mut self.entry(account).locked[token as usize], token, amount)?;
        self.entry(account).available[token as usize] += amount;
        Ok(())
    }

    fn escrow(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject> {
        let mut balances = *self.entry(account);
        for (token, old, new) in [(Token::Watt, old.watt, new.watt), (Token::Energy, old.energy, new.energy)] {
            balances.available[token as usize] += old;
            balances.locked[token as usize] -= old;
            take(&mut balances.available[token as usize], token, new)?;
            balances.locked[token as usize] += new;
        }
        *self.entry(account) = balances;
        Ok(())
    }

    fn settle(&mut self, settlement: &Settlement) {
        let Settlement { buyer, seller, wh, cost, fee, buyer_release, seller_release } = *settlement;
        let [watt, energy] = [Token::Watt as usize, Token::Energy as usize];
        for (account, release) in [(buyer, buyer_release), (seller, seller_release)] {
            let balances = self.entry(account);
            balances.locked[watt] -= release.watt;
            balances.available[watt] += release.watt;
            balances.locked[energy] -= release.energy;
            balances.available[energy] += release.energy;
        }
        let (payer, payee) = if cost >= 0 { (buyer, seller) } else { (seller, buyer) };
        self.entry(payer).available[watt] -= cost.unsigned_abs();
        self.entry(payee).available[watt] += cost.unsigned_abs();
        self.entry(buyer).available[watt] -= fee;
        self.entry(AccountId::OPERATOR).available[watt] += fee;
        self.entry(seller).available[energy] -= u64::from(wh);
        self.entry(buyer).available[energy] += u64::from(wh);
    }

    /// Every account, since it does not remember which ones changed: hashing all of them is its way to a state root.
    fn take_changed(&mut self, out: &mut Vec<AccountRecord>) {
        out.extend((0..self.accounts()).map(|id| self.accounts[&AccountId(id)]));
    }
}
