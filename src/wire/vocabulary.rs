//! The names that stand in JSON, in one place for both directions.

use crate::event::Expiry;
use crate::types::{Side, TimeInForce, Token};

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    Client,
    Number,
    Command,
    Address,
    Account,
    Watt,
    Wh,
    Grid,
    Token,
    From,
    To,
    Amount,
    Side,
    Limit,
    TimeInForce,
    PostOnly,
    Order,
    Price,
}

impl Field {
    pub const COUNT: usize = 18;

    const ALL: [(Field, &'static str); Self::COUNT] = [
        (Field::Client, "client"),
        (Field::Number, "number"),
        (Field::Command, "command"),
        (Field::Address, "address"),
        (Field::Account, "account"),
        (Field::Watt, "watt"),
        (Field::Wh, "wh"),
        (Field::Grid, "grid"),
        (Field::Token, "token"),
        (Field::From, "from"),
        (Field::To, "to"),
        (Field::Amount, "amount"),
        (Field::Side, "side"),
        (Field::Limit, "limit"),
        (Field::TimeInForce, "time_in_force"),
        (Field::PostOnly, "post_only"),
        (Field::Order, "order"),
        (Field::Price, "price"),
    ];

    /// The fields of every request.
    pub const OF_ALL: [Field; 3] = [Field::Client, Field::Number, Field::Command];

    pub fn all() -> impl Iterator<Item = Field> {
        Self::ALL.into_iter().map(|(field, _)| field)
    }

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    pub fn by_name(name: &str) -> Option<Field> {
        Self::ALL.into_iter().find(|&(_, known)| known == name).map(|(field, _)| field)
    }
}

/// Which command a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    OpenAccount,
    Mint,
    Burn,
    MeterCredit,
    MeterConsume,
    Stake,
    Unstake,
    Transfer,
    Place,
    Cancel,
    Replace,
}

impl Kind {
    /// Name and fields of each, in the order of the variants.
    const ALL: [(Kind, &'static str, &'static [Field]); 11] = {
        use Field::*;
        [
            (Kind::OpenAccount, "open-account", &[Address]),
            (Kind::Mint, "mint", &[Account, Watt]),
            (Kind::Burn, "burn", &[Account, Watt]),
            (Kind::MeterCredit, "meter-credit", &[Account, Wh]),
            (Kind::MeterConsume, "meter-consume", &[Account, Wh]),
            (Kind::Stake, "stake", &[Account, Grid]),
            (Kind::Unstake, "unstake", &[Account, Grid]),
            (Kind::Transfer, "transfer", &[Field::Token, From, To, Amount]),
            (Kind::Place, "place", &[Account, Field::Side, Limit, Wh, Field::TimeInForce, PostOnly]),
            (Kind::Cancel, "cancel", &[Account, Order]),
            (Kind::Replace, "replace", &[Account, Order, Price, Wh, PostOnly]),
        ]
    };

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The fields that only some commands have; these are this one's.
    pub fn fields(self) -> &'static [Field] {
        Self::ALL[self as usize].2
    }

    pub fn by_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|&(_, known, _)| known == name).map(|(kind, ..)| kind)
    }

    /// All names, for a message.
    pub fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|&(_, name, _)| name).collect();
        names.join(", ")
    }
}

/// Names of fields, for a message.
pub(super) fn listed(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    names.join(", ")
}

pub(super) fn token_name(token: Token) -> &'static str {
    match token {
        Token::Watt => "watt",
        Token::Energy => "energy",
        Token::Grid => "grid",
    }
}

pub(super) fn token_by_name(name: &str) -> Option<Token> {
    Token::ALL.into_iter().find(|&token| token_name(token) == name)
}

pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(super) fn side_by_name(name: &str) -> Option<Side> {
    Side::BOTH.into_iter().find(|&side| side_name(side) == name)
}

pub(super) fn time_in_force_name(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
    }
}

pub(super) fn time_in_force_by_name(name: &str) -> Option<TimeInForce> {
    use TimeInForce::*;
    [Gtc, Ioc, Fok].into_iter().find(|&time_in_force| time_in_force_name(time_in_force) == name)
}

/// As `Reject::name` calls the same reasons.
pub(super) fn expiry_name(reason: Expiry) -> &'static str {
    match reason {
        Expiry::NoLiquidity => "no-liquidity",
        Expiry::InsufficientWatt => "insufficient-watt",
        Expiry::InsufficientEnergy => "insufficient-energy",
        Expiry::SelfTrade => "self-trade",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_their_variants() {
        for (at, (field, name)) in Field::ALL.into_iter().enumerate() {
            assert_eq!((field as usize, Field::by_name(name)), (at, Some(field)));
        }
        for (at, (kind, name, _)) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, Kind::by_name(name)), (at, Some(kind)));
        }
    }
}
