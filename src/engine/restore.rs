//! An engine made again from its parts: what is wrong with parts that no engine can have. The checks stand here once, for
//! every engine and ledger; these only put away what has passed.
//!
//! What is left to them is what their own indexes find on the way: an address, or an order's id, that comes twice.

use super::{AccountRecord, Escrow, Ledger, MarketStats, OrderView, escrow_of};
use crate::types::{AccountId, Address, OrderId, Rules, RulesError, Side, Ticks, Token, Wh};
use std::hint::black_box;
use thiserror::Error;

/// Why no engine with these rules can have these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum RestoreError {
    #[error("the rules cannot be used: {0}")]
    Rules(#[from] RulesError),
    #[error("there is no account; the operator has one from genesis")]
    NoOperator,
    #[error("account 0 is not the operator's: it has another address than the rules say")]
    OperatorAddress { found: Address },
    #[error("account {} stands where account {} belongs", .found.0, .expected.0)]
    AccountOutOfOrder { expected: AccountId, found: AccountId },
    #[error("accounts {} and {} have the same address", .first.0, .second.0)]
    AddressTwice { first: AccountId, second: AccountId },
    #[error("there are more accounts than the {limit} that the rules allow")]
    AccountLimit { limit: u32 },
    #[error("the {token:?} balances of accounts 0 to {} sum to more than 64 bits", .account.0)]
    SupplyLimit { token: Token, account: AccountId },
    #[error("there are {found} GRID; the rules say {expected}")]
    GridSupply { expected: u64, found: u64 },
    #[error("an order has the id 0, which no command has")]
    OrderIdZero,
    #[error("the id of order {} comes twice", .order.0)]
    OrderTwice { order: OrderId },
    #[error("order {} is of account {}, which is not open", .order.0, .account.0)]
    UnknownAccount { order: OrderId, account: AccountId },
    #[error("nothing is left of order {}", .order.0)]
    ZeroQuantity { order: OrderId },
    #[error("order {} has {wh} Wh left, which are no whole lots of {lot} Wh", .order.0)]
    OffLot { order: OrderId, wh: Wh, lot: Wh },
    #[error("order {} has a limit of {price} ticks, which lies outside the price band", .order.0)]
    PriceOutOfBand { order: OrderId, price: Ticks },
    #[error("order {} has a limit of {price} ticks, which is no multiple of {tick}", .order.0)]
    OffTick { order: OrderId, price: Ticks, tick: Ticks },
    #[error("more orders rest than the {limit} that the rules allow")]
    OrderLimit { limit: u32 },
    #[error("order {} ({side:?}, {price} ticks) stands behind one that it goes before", .order.0)]
    OutOfPlace { order: OrderId, side: Side, price: Ticks },
    #[error("the book is crossed: bid {bid}, ask {ask} ticks")]
    Crossed { bid: Ticks, ask: Ticks },
    #[error("the orders of account {} hold more {token:?} than 64 bits", .account.0)]
    EscrowLimit { account: AccountId, token: Token },
    #[error("account {} has {locked} {token:?} in escrow, its orders hold {held} (smallest units)", .account.0)]
    Escrow { account: AccountId, token: Token, locked: u64, held: u64 },
    #[error("{found} orders rest, the statistics count {counted}")]
    OpenOrders { counted: u32, found: u32 },
    #[error("no trades make these statistics: {stats:?}")]
    Trades { stats: MarketStats },
}

/// Looks at accounts as they come, in order of their ids, and sums up supplies.
#[derive(Debug)]
pub struct AccountCheck {
    operator: Address,
    limit: u32,
    grid_supply: u64,
    accounts: u32,
    supply: [u64; 3],
}

impl AccountCheck {
    /// Before the first account.
    pub fn new(rules: &Rules) -> Self {
        let Rules { limits, grid_supply, operator, .. } = *rules;
        AccountCheck { operator, limit: limits.accounts, grid_supply, accounts: 0, supply: [0; 3] }
    }

    /// Looks at the next account. Whether its address is new is for the ledger to find out.
    ///
    /// # Errors
    /// [`RestoreError::AccountOutOfOrder`], [`AccountLimit`](RestoreError::AccountLimit),
    /// [`OperatorAddress`](RestoreError::OperatorAddress), [`SupplyLimit`](RestoreError::SupplyLimit).
    #[inline]
    pub fn see(&mut self, record: &AccountRecord) -> Result<(), RestoreError> {
        let AccountRecord { account, balances, .. } = record;
        if self.accounts == self.limit {
            return Err(RestoreError::AccountLimit { limit: self.limit });
        }
        if account.0 != self.accounts {
            return Err(RestoreError::AccountOutOfOrder { expected: AccountId(self.accounts), found: *account });
        }
        if *account == AccountId::OPERATOR && record.address != self.operator {
            return Err(RestoreError::OperatorAddress { found: record.address });
        }
        for token in Token::ALL {
            let at = token as usize;
            let sum = self.supply[at].checked_add(balances.available[at]);
            self.supply[at] = sum
                .and_then(|sum| sum.checked_add(balances.locked[at]))
                .ok_or(RestoreError::SupplyLimit { token, account: *account })?;
        }
        self.accounts += 1;
        Ok(())
    }

    /// The supplies, by [`Token`], after the last account.
    ///
    /// # Errors
    /// [`RestoreError::NoOperator`], [`GridSupply`](RestoreError::GridSupply).
    pub fn finish(self) -> Result<[u64; 3], RestoreError> {
        if self.accounts == 0 {
            return Err(RestoreError::NoOperator);
        }
        let (expected, found) = (self.grid_supply, self.supply[Token::Grid as usize]);
        if found != expected {
            return Err(RestoreError::GridSupply { expected, found });
        }
        Ok(self.supply)
    }
}

/// Looks at resting orders as they come, all bids before all asks, each side best first, and sums up what they hold.
#[derive(Debug)]
pub struct OrderCheck {
    rules: Rules,
    /// By account.
    held: Vec<Escrow>,
    previous: Option<(Side, Ticks)>,
    best_bid: Option<Ticks>,
    orders: u32,
}

impl OrderCheck {
    /// Before the first order of a market with so many accounts.
    pub fn new(rules: &Rules, accounts: u32) -> Self {
        let held = vec![Escrow::default(); accounts as usize];
        OrderCheck { rules: *rules, held, previous: None, best_bid: None, orders: 0 }
    }

    /// Says that an order of this account will be looked at soon. Accounts come in no order: one look at a time, each would
    /// wait for memory. Any number will do.
    #[inline]
    pub fn prefetch(&self, account: AccountId) {
        black_box(self.held.get(account.index()).copied());
    }

    /// Looks at the next order. Whether its id is new is for the engine to find out.
    ///
    /// # Errors
    /// What no resting order can be, or not in this place.
    #[inline]
    pub fn see(&mut self, side: Side, order: &OrderView) -> Result<(), RestoreError> {
        let Rules { price_min, price_max, tick, lot, fee_ppm, limits, .. } = self.rules;
        let OrderView { order, account, price, wh } = *order;
        if self.orders == limits.orders {
            return Err(RestoreError::OrderLimit { limit: limits.orders });
        }
        if order.0 == 0 {
            return Err(RestoreError::OrderIdZero);
        }
        let Some(sums) = self.held.get_mut(account.index()) else {
            return Err(RestoreError::UnknownAccount { order, account });
        };
        if wh == 0 {
            return Err(RestoreError::ZeroQuantity { order });
        }
        if !wh.is_multiple_of(lot) {
            return Err(RestoreError::OffLot { order, wh, lot });
        }
        if price < price_min || price > price_max {
            return Err(RestoreError::PriceOutOfBand { order, price });
        }
        if price % tick != 0 {
            return Err(RestoreError::OffTick { order, price, tick });
        }
        let in_place = match (self.previous, side) {
            (None, _) | (Some((Side::Buy, _)), Side::Sell) => true,
            (Some((Side::Buy, before)), Side::Buy) => price <= before,
            (Some((Side::Sell, before)), Side::Sell) => price >= before,
            (Some((Side::Sell, _)), Side::Buy) => false,
        };
        if !in_place {
            return Err(RestoreError::OutOfPlace { order, side, price });
        }
        self.previous = Some((side, price));
        match (side, self.best_bid) {
            (Side::Buy, None) => self.best_bid = Some(price),
            (Side::Sell, Some(bid)) if bid >= price => return Err(RestoreError::Crossed { bid, ask: price }),
            _ => {}
        }
        let held = escrow_of(side, wh, price, fee_ppm);
        let add = |token, sum: u64, more| sum.checked_add(more).ok_or(RestoreError::EscrowLimit { account, token });
        *sums = Escrow {
            watt: add(Token::Watt, sums.watt, held.watt)?,
            energy: add(Token::Energy, sums.energy, held.energy)?,
        };
        self.orders += 1;
        Ok(())
    }

    /// After the last order: compares what the orders hold with what the accounts have in escrow, and the statistics with
    /// themselves and the orders.
    ///
    /// # Errors
    /// [`RestoreError::Escrow`], [`OpenOrders`](RestoreError::OpenOrders), [`Trades`](RestoreError::Trades).
    pub fn finish<L: Ledger>(self, ledger: &L, stats: &MarketStats) -> Result<(), RestoreError> {
        for (account, held) in (0..).map(AccountId).zip(&self.held) {
            let locked = ledger.balances(account).expect("as many accounts as there are").locked;
            for (token, held) in [(Token::Watt, held.watt), (Token::Energy, held.energy)] {
                let locked = locked[token as usize];
                if locked != held {
                    return Err(RestoreError::Escrow { account, token, locked, held });
                }
            }
        }
        if stats.open_orders != self.orders {
            return Err(RestoreError::OpenOrders { counted: stats.open_orders, found: self.orders });
        }
        if !self.can_be(stats) {
            return Err(RestoreError::Trades { stats: *stats });
        }
        Ok(())
    }

    /// Whether some trades make these statistics. A fill is of one lot at least, at a resting order's price.
    fn can_be(&self, stats: &MarketStats) -> bool {
        let MarketStats { last, high, low, trades, volume_wh, .. } = *stats;
        let Rules { price_min, price_max, tick, lot, .. } = self.rules;
        if trades == 0 {
            return [last, high, low] == [0; 3] && volume_wh == 0;
        }
        let sorted = price_min <= low && low <= last && last <= high && high <= price_max;
        let on_tick = [last, high, low].iter().all(|price| price % tick == 0);
        sorted && on_tick && volume_wh.is_multiple_of(u64::from(lot)) && volume_wh / u64::from(lot) >= trades
    }
}
