//! What an engine is: commands in, events out, reads from current state. Both engines implement [`Engine`]; the account
//! side is a trait of its own, [`Ledger`], so that the ladder can change the book and the balances one at a time.

use crate::command::Batch;
use crate::event::{EventLog, Reject};
use crate::hash::{Digest, Sha256};
use crate::types::{AccountId, Address, OrderId, PPM, Rules, Side, Ticks, Token, Wh, cost};

/// An energy market with its ledger. A deterministic state machine: the same commands give the same events and state.
pub trait Engine: Clone + Send {
    /// An engine at genesis: the operator's account is open and holds all GRID.
    ///
    /// # Panics
    /// If [`Rules::validate`] refuses the rules.
    fn new(rules: Rules) -> Self;

    /// The rules it was made with.
    fn rules(&self) -> &Rules;

    /// Carries out the commands in order and appends what each caused to `log`. Returns how many were accepted.
    fn apply(&mut self, batch: Batch<'_>, log: &mut EventLog) -> u32;

    /// Best bid and ask.
    fn best(&self) -> BestPrices;

    /// Shows `read` the best `levels` price levels of each side, best first: bids, then asks.
    fn with_depth<R>(&self, levels: usize, read: impl FnOnce(&[LevelView], &[LevelView]) -> R) -> R;

    /// An account's balances, or `None` if it is not open.
    fn balances(&self, account: AccountId) -> Option<Balances>;

    /// What the market has done since genesis.
    fn stats(&self) -> MarketStats;

    /// Number of open accounts; their ids are `0..accounts()`.
    fn accounts(&self) -> u32;

    /// Appends the records of accounts that may have changed since the last call, in any order, each once.
    fn take_changed(&mut self, out: &mut Vec<AccountRecord>);

    /// Shows every resting order of a side in price-time order.
    fn for_each_order(&self, side: Side, see: impl FnMut(OrderView));

    /// An account's record as the state root commits to it, or `None` if it is not open.
    fn record(&self, account: AccountId) -> Option<AccountRecord>;

    /// Supply of a token: what was created less what was destroyed.
    fn supply(&self, token: Token) -> u64;
}

/// The account side of an engine: balances with escrow. Callers have checked that the accounts exist.
pub trait Ledger: Clone + Send {
    /// A ledger without accounts.
    fn new(rules: &Rules) -> Self;

    /// Number of open accounts.
    fn accounts(&self) -> u32;

    /// Opens the next account.
    ///
    /// # Errors
    /// [`Reject::AddressInUse`], [`Reject::AccountLimit`].
    fn open(&mut self, address: &Address) -> Result<AccountId, Reject>;

    /// An account's record, or `None` if it is not open.
    fn record(&self, account: AccountId) -> Option<AccountRecord>;

    /// An account's balances, or `None` if it is not open.
    fn balances(&self, account: AccountId) -> Option<Balances>;

    /// Supply of a token.
    fn supply(&self, token: Token) -> u64;

    /// Creates tokens.
    ///
    /// # Errors
    /// [`Reject::SupplyLimit`]. Since a supply fits 64 bits, no balance can overflow.
    fn create(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Destroys available tokens.
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn destroy(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Moves available tokens.
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn transfer(&mut self, token: Token, from: AccountId, to: AccountId, amount: u64) -> Result<(), Reject>;

    /// Moves available tokens to locked (staking).
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn lock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Moves locked tokens to available (unstaking).
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn unlock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Turns the escrow `old` of an account's order into `new`, or changes nothing.
    ///
    /// # Errors
    /// [`Reject::InsufficientWatt`] before [`Reject::InsufficientEnergy`].
    fn escrow(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject>;

    /// Delivery versus payment of one fill.
    fn settle(&mut self, settlement: &Settlement);

    /// See [`Engine::take_changed`].
    fn take_changed(&mut self, out: &mut Vec<AccountRecord>);
}

/// What an order holds in escrow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Escrow {
    /// Units of 10^-8 WATT.
    pub watt: u64,
    /// Wh.
    pub energy: u64,
}

/// One fill as the ledger sees it. What is released and not paid returns to its owner: price improvement, rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Receives the energy, pays the cost and the fee.
    pub buyer: AccountId,
    /// Delivers the energy, receives the cost (or pays it, where it is negative).
    pub seller: AccountId,
    /// Energy.
    pub wh: Wh,
    /// `wh x price`, in 10^-8 WATT.
    pub cost: i64,
    /// Grid fee, to the operator.
    pub fee: u64,
    /// What the buyer's order releases for this fill; zero for market orders, which pay from what is available.
    pub buyer_release: Escrow,
    /// What the seller's order releases for this fill.
    pub seller_release: Escrow,
}

/// An account's six balances, in the tokens' smallest units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Free to use, by [`Token`].
    pub available: [u64; 3],
    /// In escrow (WATT, ENERGY) or staked (GRID), by [`Token`].
    pub locked: [u64; 3],
}

/// An account as the state root commits to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub account: AccountId,
    /// Its key.
    pub address: Address,
    /// Its balances.
    pub balances: Balances,
}

/// Best bid and ask, with the energy that rests there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BestPrices {
    /// Highest bid.
    pub bid: Option<LevelView>,
    /// Lowest ask.
    pub ask: Option<LevelView>,
}

/// One price level as a reader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelView {
    /// Its price.
    pub price: Ticks,
    /// Number of orders that rest there.
    pub orders: u32,
    /// Energy that rests there, in Wh.
    pub wh: u64,
}

/// One resting order as audits see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Its id.
    pub order: OrderId,
    /// Its owner.
    pub account: AccountId,
    /// Its limit.
    pub price: Ticks,
    /// What is left of it.
    pub wh: Wh,
}

/// What a market has done since genesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketStats {
    /// Price of the last fill; the three prices are zero while `trades` is.
    pub last: Ticks,
    /// Highest price of a fill.
    pub high: Ticks,
    /// Lowest price of a fill.
    pub low: Ticks,
    /// Orders that rest in the book now.
    pub open_orders: u32,
    /// Number of fills.
    pub trades: u64,
    /// Energy traded, in Wh.
    pub volume_wh: u64,
}

impl MarketStats {
    /// Counts one fill.
    #[inline]
    pub fn record_fill(&mut self, price: Ticks, wh: Wh) {
        self.high = if self.trades == 0 { price } else { self.high.max(price) };
        self.low = if self.trades == 0 { price } else { self.low.min(price) };
        self.last = price;
        self.trades += 1;
        self.volume_wh += u64::from(wh);
    }
}

impl AccountRecord {
    /// Length of the fixed encoding.
    pub const ENCODED_LEN: usize = 96;

    /// The fixed encoding: id (u32), 4 zero bytes, address, then the available and locked balances by token (u64 each),
    /// 8 zero bytes. Little-endian.
    #[inline]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0..4].copy_from_slice(&self.account.0.to_le_bytes());
        out[8..40].copy_from_slice(&self.address);
        for (slot, value) in self.balances.available.iter().chain(&self.balances.locked).enumerate() {
            out[40 + 8 * slot..48 + 8 * slot].copy_from_slice(&value.to_le_bytes());
        }
        out
    }
}

/// The reason for having too little of a token.
#[inline]
pub fn insufficient(token: Token) -> Reject {
    match token {
        Token::Watt => Reject::InsufficientWatt,
        Token::Energy => Reject::InsufficientEnergy,
        Token::Grid => Reject::InsufficientGrid,
    }
}

/// The grid fee on a fill's cost, `floor(|cost| x ppm / 10^6)`: the plain form that the optimized engine is checked against.
pub fn fee(cost: i64, fee_ppm: u32) -> u64 {
    (u128::from(cost.unsigned_abs()) * u128::from(fee_ppm) / u128::from(PPM)) as u64
}

/// What a limit order holds: a buyer its cost at the limit and the fee on that, a seller its energy; whoever could have to
/// pay a negative price, that price.
pub fn escrow_of(side: Side, wh: Wh, limit: Ticks, fee_ppm: u32) -> Escrow {
    let cost = cost(wh, limit);
    match side {
        Side::Buy => Escrow { watt: cost.max(0) as u64 + fee(cost.max(0), fee_ppm), energy: 0 },
        Side::Sell => Escrow { watt: (-cost).max(0) as u64, energy: u64::from(wh) },
    }
}

/// A digest of the whole state: rules, statistics, every account and every resting order in priority. Two engines in the
/// same state have the same digest, whatever their data structures.
pub fn state_digest<E: Engine>(engine: &E) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(&engine.rules().encode());
    let stats = engine.stats();
    for price in [stats.last, stats.high, stats.low] {
        hasher.update(&price.to_le_bytes());
    }
    hasher.update(&stats.open_orders.to_le_bytes());
    for total in [stats.trades, stats.volume_wh] {
        hasher.update(&total.to_le_bytes());
    }
    for token in Token::ALL {
        hasher.update(&engine.supply(token).to_le_bytes());
    }
    for id in 0..engine.accounts() {
        hasher.update(&engine.record(AccountId(id)).expect("ids are dense").encode());
    }
    for side in Side::BOTH {
        engine.for_each_order(side, |order| {
            hasher.update(&[side as u8]);
            hasher.update(&order.order.0.to_le_bytes());
            hasher.update(&order.account.0.to_le_bytes());
            hasher.update(&order.price.to_le_bytes());
            hasher.update(&order.wh.to_le_bytes());
        });
    }
    hasher.finish()
}

/// Checks what must hold after every command: each token's balances sum to its supply, each account's escrow equals what
/// its resting orders hold, the book is sorted and not crossed, and the counters agree with it.
///
/// # Errors
/// The first invariant that does not hold, in words with its figures.
pub fn audit<E: Engine>(engine: &E) -> Result<(), String> {
    let accounts = engine.accounts() as usize;
    let mut escrow = vec![[0u128; 2]; accounts];
    let mut open_orders = 0u32;
    let mut best = [None; 2];
    let rules = *engine.rules();
    for side in Side::BOTH {
        let mut previous: Option<OrderView> = None;
        let mut problem = None;
        engine.for_each_order(side, |order| {
            open_orders += 1;
            best[side as usize].get_or_insert(order.price);
            let held = escrow_of(side, order.wh, order.price, rules.fee_ppm);
            escrow[order.account.index()][0] += u128::from(held.watt);
            escrow[order.account.index()][1] += u128::from(held.energy);
            let improves = |better: Ticks| if side == Side::Buy { order.price > better } else { order.price < better };
            if previous.is_some_and(|before| improves(before.price)) || order.wh == 0 {
                problem.get_or_insert(format!("{side:?} order {order:?} after {previous:?}: out of place or empty"));
            }
            previous = Some(order);
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
    }
    if let [Some(bid), Some(ask)] = best
        && bid >= ask
    {
        return Err(format!("the book is crossed: bid {bid}, ask {ask}"));
    }
    if open_orders != engine.stats().open_orders {
        return Err(format!("{open_orders} orders rest, {} are counted", engine.stats().open_orders));
    }
    let mut sums = [0i128; 3];
    for (id, escrow) in escrow.iter().enumerate() {
        let balances = engine.balances(AccountId(id as u32)).ok_or_else(|| format!("account {id} is missing"))?;
        for (token, sum) in sums.iter_mut().enumerate() {
            *sum += i128::from(balances.available[token]) + i128::from(balances.locked[token]);
        }
        for (token, held) in escrow.iter().enumerate() {
            if u128::from(balances.locked[token]) != *held {
                let locked = balances.locked[token];
                return Err(format!("account {id} token {token}: {locked} in escrow, its orders hold {held}"));
            }
        }
    }
    for token in Token::ALL {
        let (sum, supply) = (sums[token as usize], engine.supply(token));
        if sum != i128::from(supply) {
            return Err(format!("{token:?} is not conserved: balances sum to {sum}, supply is {supply}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_round_down_and_never_pass_the_reserve() {
        assert_eq!(fee(199, 5_000), 0);
        assert_eq!(fee(200, 5_000), 1);
        assert_eq!(fee(-200, 5_000), 1);
        assert_eq!(fee(i64::MIN, PPM), 1 << 63);
        // Split anywhere, the fees of the parts never pass the fee of the whole.
        for part in 0..=1_000i64 {
            assert!(fee(part * 7, 333_333) + fee((1_000 - part) * 7, 333_333) <= fee(7_000, 333_333));
        }
    }

    #[test]
    fn escrow_at_the_ends_of_the_range_fits() {
        let held = escrow_of(Side::Buy, Wh::MAX, Ticks::MAX, PPM);
        assert_eq!(held.watt, 2 * u64::from(Wh::MAX) * Ticks::MAX as u64);
        assert_eq!(escrow_of(Side::Buy, 10, -5, 5_000), Escrow::default());
        assert_eq!(escrow_of(Side::Sell, 10, -5, 5_000), Escrow { watt: 50, energy: 10 });
        assert_eq!(escrow_of(Side::Sell, 10, 5, 5_000), Escrow { watt: 0, energy: 10 });
    }
}
