//! The account side of an engine: balances with escrow, and the commands that touch nothing else.

use super::RestoreError;
use crate::command::Command;
use crate::event::{Event, Reject};
use crate::measure::Probe;
use crate::types::{AccountId, Address, PPM, Rules, Side, Ticks, Token, Wh, cost};

/// The account side of an engine: balances with escrow. Callers have checked that the accounts exist.
pub trait Ledger: Clone + Send + Sync + 'static {
    /// What looks at the thread that uses it.
    type Probe: Probe;

    /// A ledger without accounts.
    fn new(rules: &Rules) -> Self;

    /// A ledger with these accounts, which come in order of their ids. Their balances, in the tokens' smallest units, sum to
    /// the supplies. A ledger that remembers which accounts changed starts with none.
    ///
    /// # Errors
    /// What [`AccountCheck`](super::AccountCheck) finds; then, if an address comes twice, [`RestoreError::AddressTwice`].
    fn restore(rules: &Rules, accounts: impl Iterator<Item = AccountRecord>) -> Result<Self, RestoreError>;

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

    /// Moves available tokens to locked: a stake, or what an order holds at a price that is not negative, which is of one token.
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn lock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Moves locked tokens to available: a stake, or what an order of one token held.
    ///
    /// # Errors
    /// The token's [`insufficient`] reason.
    fn unlock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject>;

    /// Says that what an account pays with on this side will be needed soon. A hint: it changes nothing, and may do nothing.
    fn prefetch(&self, _account: AccountId) {}

    /// Turns the escrow `old` of an account's order into `new`, or changes nothing.
    ///
    /// # Errors
    /// [`Reject::InsufficientWatt`] before [`Reject::InsufficientEnergy`].
    fn escrow(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject>;

    /// Delivery versus payment of one fill.
    fn settle(&mut self, settlement: &Settlement);

    /// See [`Engine::take_changed`](super::Engine::take_changed).
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

impl AccountRecord {
    /// The inverse of [`encode`](Self::encode); `None` for bytes that are no record.
    #[inline]
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Option<Self> {
        let long = |slot: usize| u64::from_le_bytes(bytes[40 + 8 * slot..48 + 8 * slot].try_into().expect("8 bytes"));
        let record = AccountRecord {
            account: AccountId(u32::from_le_bytes(bytes[0..4].try_into().expect("4 bytes"))),
            address: bytes[8..40].try_into().expect("32 bytes"),
            balances: Balances { available: [long(0), long(1), long(2)], locked: [long(3), long(4), long(5)] },
        };
        (record.encode() == *bytes).then_some(record)
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

/// Opens the operator's account and gives it all GRID: the state before the first command.
pub fn open_genesis<L: Ledger>(ledger: &mut L, rules: &Rules) {
    let operator = ledger.open(&rules.operator).expect("the first account has a place");
    ledger.create(Token::Grid, operator, rules.grid_supply).expect("the first supply fits");
}

/// Carries out a command that is no order. It stands here once, not in each engine: what differs between them, and is
/// checked against each other, is the [`Ledger`] below it.
///
/// # Errors
/// The first reason to refuse it, in [`Reject`]'s order; then nothing has changed.
///
/// # Panics
/// On an order command: those are the engines' own.
pub fn apply_to_ledger<L: Ledger>(ledger: &mut L, command: &Command, events: &mut Vec<Event>) -> Result<(), Reject> {
    let exists = |ledger: &L, account: AccountId| account.0 < ledger.accounts();
    let check = |ledger: &L, account: AccountId, amount: u64| {
        if !exists(ledger, account) {
            Err(Reject::UnknownAccount)
        } else if amount == 0 {
            Err(Reject::ZeroAmount)
        } else {
            Ok(())
        }
    };
    let (token, account) = match *command {
        Command::OpenAccount { address } => {
            let account = ledger.open(&address)?;
            events.push(Event::Opened { account });
            return Ok(());
        }
        Command::Mint { account, amount } => {
            check(ledger, account, amount)?;
            ledger.create(Token::Watt, account, amount)?;
            (Token::Watt, account)
        }
        Command::Burn { account, amount } => {
            check(ledger, account, amount)?;
            ledger.destroy(Token::Watt, account, amount)?;
            (Token::Watt, account)
        }
        Command::MeterCredit { account, amount } => {
            check(ledger, account, amount)?;
            ledger.create(Token::Energy, account, amount)?;
            (Token::Energy, account)
        }
        Command::MeterConsume { account, amount } => {
            check(ledger, account, amount)?;
            ledger.destroy(Token::Energy, account, amount)?;
            (Token::Energy, account)
        }
        Command::Stake { account, amount } => {
            check(ledger, account, amount)?;
            ledger.lock(Token::Grid, account, amount)?;
            (Token::Grid, account)
        }
        Command::Unstake { account, amount } => {
            check(ledger, account, amount)?;
            ledger.unlock(Token::Grid, account, amount)?;
            (Token::Grid, account)
        }
        Command::Transfer { token, from, to, amount } => {
            if !exists(ledger, from) {
                return Err(Reject::UnknownAccount);
            } else if !exists(ledger, to) {
                return Err(Reject::UnknownReceiver);
            } else if from == to {
                return Err(Reject::SameAccount);
            } else if amount == 0 {
                return Err(Reject::ZeroAmount);
            }
            ledger.transfer(token, from, to, amount)?;
            events.push(balance_event(ledger, token, from));
            (token, to)
        }
        Command::Place(_) | Command::Cancel { .. } | Command::Replace { .. } => {
            unreachable!("orders are the engine's own")
        }
    };
    events.push(balance_event(ledger, token, account));
    Ok(())
}

fn balance_event<L: Ledger>(ledger: &L, token: Token, account: AccountId) -> Event {
    let balances = ledger.balances(account).expect("checked by the caller");
    let (available, locked) = (balances.available[token as usize], balances.locked[token as usize]);
    Event::Balance { token, account, available, locked }
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
