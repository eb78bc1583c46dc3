//! Floor 0: the units, ids and market rules that every other module speaks in.
//!
//! Every quantity is an integer. A price of one tick is 10^-5 WATT/kWh and one energy unit is 1 Wh, so that
//! `Wh x ticks` *is* the cost in units of 10^-8 WATT: exact, without rounding.

mod decode;
mod rules;

pub use decode::DecodeError;
pub use rules::{Limits, Rules, RulesError};

/// Energy of one order or fill, in Wh. Totals are `u64`. One ENERGY token is 1 kWh, that is 1,000.
pub type Wh = u32;
/// A price in ticks of 10^-5 WATT/kWh (0.01 WATT/MWh). Signed: negative electricity prices are real.
pub type Ticks = i32;
/// Money, in units of 10^-8 WATT.
pub type Units = u64;
/// Position of a command in the order in which commands were sequenced; the first is 1.
pub type Sequence = u64;
/// Nanoseconds since 1970-01-01T00:00:00Z, read once, when a command is sequenced.
pub type TimeNs = u64;
/// An account's address: its 32-byte Ed25519 public key.
pub type Address = [u8; 32];

/// Units of money in one WATT.
pub const UNITS_PER_WATT: u64 = 100_000_000;
/// Wh in one ENERGY token (1 kWh).
pub const WH_PER_KWH: u64 = 1_000;
/// Ticks in one WATT/kWh.
pub const TICKS_PER_WATT_PER_KWH: i64 = 100_000;
/// Parts per million in one whole: the grid fee's denominator and its maximum.
pub const PPM: u32 = 1_000_000;

/// A dense account number: accounts are numbered in the order in which they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

impl AccountId {
    /// The grid operator, who exists from genesis, receives the fees and holds the initial GRID supply.
    pub const OPERATOR: AccountId = AccountId(0);

    /// The id as an index into a column.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An order's id: the [`Sequence`] of the command that placed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub u64);

/// The side of the book that an order stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Buys energy for money.
    Buy = 0,
    /// Sells energy for money.
    Sell = 1,
}

impl Side {
    /// Both sides, buyers first.
    pub const BOTH: [Side; 2] = [Side::Buy, Side::Sell];

    /// The side that an order of this side trades with.
    #[inline]
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

/// The three tokens of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Token {
    /// Money, in [`Units`]; `locked` is what open buy orders hold in escrow (and sell orders at negative prices).
    Watt = 0,
    /// Energy, in Wh; `locked` is what open sell orders hold in escrow.
    Energy = 1,
    /// The governance token; `locked` is what is staked.
    Grid = 2,
}

impl Token {
    /// All tokens, in the order of their columns.
    pub const ALL: [Token; 3] = [Token::Watt, Token::Energy, Token::Grid];
}

/// What happens to an order after it met the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// Good till cancelled: what is left rests in the book.
    Gtc = 0,
    /// Immediate or cancel: what is left expires.
    Ioc = 1,
    /// Fill or kill: all of it at once, or refused.
    Fok = 2,
}

/// What the market does when an order would trade with a resting order of the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SelfTrade {
    /// The incoming order is refused as a whole, before anything happens.
    RejectTaker = 0,
    /// The resting order is cancelled and matching goes on.
    CancelMaker = 1,
    /// The resting order is cancelled and what is left of the incoming one expires.
    CancelBoth = 2,
}

/// What a fill costs before fees: `wh x price`, negative where the seller pays.
///
/// Exact for every input: 32 x 31 bits fit an `i64`.
#[inline]
pub fn cost(wh: Wh, price: Ticks) -> i64 {
    i64::from(wh) * i64::from(price)
}

const _: () = {
    assert!(size_of::<AccountId>() == 4 && size_of::<OrderId>() == 8);
    // 1 Wh at 1 tick is 1 unit: 10^-3 kWh x 10^-5 WATT/kWh = 10^-8 WATT.
    assert!(WH_PER_KWH * TICKS_PER_WATT_PER_KWH as u64 == UNITS_PER_WATT);
};
