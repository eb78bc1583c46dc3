//! A request as a line of JSON, both ways.

use super::LineError;
use super::decimal::{DecimalError, parse_price, parse_watt};
use super::line::{Fields, Value, clipped};
use super::text::Object;
use super::vocabulary::{
    Field, Kind, side_by_name, side_name, time_in_force_by_name, time_in_force_name, token_by_name, token_name,
};
use crate::command::{Command, NewOrder, Request};
use crate::types::{AccountId, Address, OrderId, Ticks, TimeInForce, Token, Units, Wh};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

const INTEGER_64: &str = "an integer from 0 to 18446744073709551615";
const ACCOUNT: &str = "an account's number, an integer from 0 to 4294967295";
const ORDER: &str = "an order's id, an integer: the sequence of the request that placed it";
const ENERGY_64: &str = "Wh, an integer from 0 to 18446744073709551615";
const ENERGY_32: &str = "Wh, an integer from 0 to 4294967295";
const GRID: &str = "GRID, an integer from 0 to 18446744073709551615";
const WATT: &str = "WATT, a string from \"0\" to \"184467440737.09551615\" with at most 8 decimals";
const PRICE: &str = "WATT/kWh, a string from \"-21474.83648\" to \"21474.83647\" with at most 5 decimals";
const LIMIT: &str =
    "WATT/kWh, a string from \"-21474.83648\" to \"21474.83647\" with at most 5 decimals, or null for a market order";
const ADDRESS: &str = "an Ed25519 public key, a string of 64 hex digits";
const TOKEN: &str = "\"watt\", \"energy\" or \"grid\"";
const SIDE: &str = "\"buy\" or \"sell\"";
const TIME_IN_FORCE: &str = "\"gtc\", \"ioc\" or \"fok\"";
const FLAG: &str = "true or false";

/// Reads one line: a JSON object as the [module](crate::wire) says, without a newline or with one at its end.
///
/// # Errors
/// The field that is wrong, and what would be right.
pub fn parse_request(line: &[u8]) -> Result<Request, LineError> {
    let fields = Fields::parse(line)?;
    fields.check_once()?;
    if fields.get(Field::Command).is_none() {
        fields.check_known(None)?;
    }
    let kind = fields.command()?;
    fields.check_known(Some(kind))?;
    let client = fields.integer(Field::Client, INTEGER_64)?;
    let number = fields.integer(Field::Number, INTEGER_64)?;
    Ok(Request { client, number, command: command(&fields, kind)? })
}

fn command(fields: &Fields<'_>, kind: Kind) -> Result<Command, LineError> {
    let account = || fields.account(Field::Account);
    let order = || fields.integer(Field::Order, ORDER).map(OrderId);
    let watt = || fields.watt(Field::Watt);
    let energy = || fields.integer(Field::Wh, ENERGY_64);
    let wh = || -> Result<Wh, LineError> { fields.integer_32(Field::Wh, ENERGY_32) };
    let grid = || fields.integer(Field::Grid, GRID);
    Ok(match kind {
        Kind::OpenAccount => Command::OpenAccount { address: fields.address()? },
        Kind::Mint => Command::Mint { account: account()?, amount: watt()? },
        Kind::Burn => Command::Burn { account: account()?, amount: watt()? },
        Kind::MeterCredit => Command::MeterCredit { account: account()?, amount: energy()? },
        Kind::MeterConsume => Command::MeterConsume { account: account()?, amount: energy()? },
        Kind::Stake => Command::Stake { account: account()?, amount: grid()? },
        Kind::Unstake => Command::Unstake { account: account()?, amount: grid()? },
        Kind::Transfer => {
            let token = fields.named(Field::Token, TOKEN, token_by_name)?;
            let (from, to) = (fields.account(Field::From)?, fields.account(Field::To)?);
            let amount = match token {
                Token::Watt => fields.watt(Field::Amount)?,
                Token::Energy => fields.integer(Field::Amount, ENERGY_64)?,
                Token::Grid => fields.integer(Field::Amount, GRID)?,
            };
            Command::Transfer { token, from, to, amount }
        }
        Kind::Place => Command::Place(NewOrder {
            account: account()?,
            side: fields.named(Field::Side, SIDE, side_by_name)?,
            limit: fields.limit()?,
            wh: wh()?,
            time_in_force: match fields.get(Field::TimeInForce) {
                Some(_) => fields.named(Field::TimeInForce, TIME_IN_FORCE, time_in_force_by_name)?,
                None => TimeInForce::Gtc,
            },
            post_only: fields.post_only()?,
        }),
        Kind::Cancel => Command::Cancel { account: account()?, order: order()? },
        Kind::Replace => Command::Replace {
            account: account()?,
            order: order()?,
            price: fields.price(Field::Price, PRICE)?,
            wh: wh()?,
            post_only: fields.post_only()?,
        },
    })
}

impl Fields<'_> {
    fn needed(&self, field: Field, right: &str) -> Result<&Value<'_>, LineError> {
        self.get(field).ok_or_else(|| LineError::Missing { field: field.name(), right: right.to_string() })
    }

    fn command(&self) -> Result<Kind, LineError> {
        let value = self.get(Field::Command);
        let value = value.ok_or_else(|| LineError::Missing { field: "command", right: Kind::names() })?;
        let Value::Text(name) = value else {
            let right = "the name of a command, \"place\" for example";
            return Err(LineError::Value { field: "command", found: value.found(), right });
        };
        Kind::by_name(name).ok_or_else(|| LineError::UnknownCommand { command: clipped(name) })
    }

    fn integer(&self, field: Field, right: &'static str) -> Result<u64, LineError> {
        match self.needed(field, right)? {
            Value::Integer(value) => Ok(*value),
            other => Err(wrong(field, other, right)),
        }
    }

    fn integer_32(&self, field: Field, right: &'static str) -> Result<u32, LineError> {
        let value = self.integer(field, right)?;
        u32::try_from(value).map_err(|_| wrong(field, &Value::Integer(value), right))
    }

    fn account(&self, field: Field) -> Result<AccountId, LineError> {
        self.integer_32(field, ACCOUNT).map(AccountId)
    }

    fn named<T>(&self, field: Field, right: &'static str, by_name: fn(&str) -> Option<T>) -> Result<T, LineError> {
        let value = self.needed(field, right)?;
        let named = if let Value::Text(name) = value { by_name(name) } else { None };
        named.ok_or_else(|| wrong(field, value, right))
    }

    fn decimal<T>(
        &self,
        field: Field,
        right: &'static str,
        parse: fn(&str) -> Result<T, DecimalError>,
    ) -> Result<T, LineError> {
        match self.needed(field, right)? {
            Value::Text(text) => parse(text).map_err(|fault| {
                let (field, found) = (field.name(), clipped(text));
                LineError::Decimal { field, found, fault, right }
            }),
            other => Err(wrong(field, other, right)),
        }
    }

    fn watt(&self, field: Field) -> Result<Units, LineError> {
        self.decimal(field, WATT, parse_watt)
    }

    fn price(&self, field: Field, right: &'static str) -> Result<Ticks, LineError> {
        self.decimal(field, right, parse_price)
    }

    fn limit(&self) -> Result<Option<Ticks>, LineError> {
        match self.get(Field::Limit) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.price(Field::Limit, LIMIT).map(Some),
        }
    }

    fn post_only(&self) -> Result<bool, LineError> {
        match self.get(Field::PostOnly) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(wrong(Field::PostOnly, other, FLAG)),
        }
    }

    fn address(&self) -> Result<Address, LineError> {
        let value = self.needed(Field::Address, ADDRESS)?;
        let Value::Text(text) = value else { return Err(wrong(Field::Address, value, ADDRESS)) };
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| wrong(Field::Address, value, ADDRESS))
    }
}

fn wrong(field: Field, found: &Value<'_>, right: &'static str) -> LineError {
    LineError::Value { field: field.name(), found: found.found(), right }
}

/// Appends a request as one line, with all of its fields and a newline. [`parse_request`] reads the same request from it.
pub fn write_request(request: &Request, out: &mut Vec<u8>) {
    let Request { client, number, command } = *request;
    let mut object = Object(out);
    object.integer("{\"client\":", client).integer(",\"number\":", number).raw(",\"command\":");
    // The command's name, and the account that most commands begin with.
    let mut of = |kind: Kind, account: AccountId| {
        object.name("", kind.name()).integer(",\"account\":", account.0);
    };
    match command {
        Command::OpenAccount { address } => {
            object.name("", Kind::OpenAccount.name()).name(",\"address\":", &HEXLOWER.encode(&address));
        }
        Command::Mint { account, amount } => {
            of(Kind::Mint, account);
            object.watt(",\"watt\":", amount);
        }
        Command::Burn { account, amount } => {
            of(Kind::Burn, account);
            object.watt(",\"watt\":", amount);
        }
        Command::MeterCredit { account, amount } => {
            of(Kind::MeterCredit, account);
            object.integer(",\"wh\":", amount);
        }
        Command::MeterConsume { account, amount } => {
            of(Kind::MeterConsume, account);
            object.integer(",\"wh\":", amount);
        }
        Command::Stake { account, amount } => {
            of(Kind::Stake, account);
            object.integer(",\"grid\":", amount);
        }
        Command::Unstake { account, amount } => {
            of(Kind::Unstake, account);
            object.integer(",\"grid\":", amount);
        }
        Command::Transfer { token, from, to, amount } => {
            object.name("", Kind::Transfer.name()).name(",\"token\":", token_name(token));
            object.integer(",\"from\":", from.0).integer(",\"to\":", to.0).amount(",\"amount\":", token, amount);
        }
        Command::Place(NewOrder { account, side, limit, wh, time_in_force, post_only }) => {
            of(Kind::Place, account);
            object.name(",\"side\":", side_name(side));
            match limit {
                Some(limit) => object.price(",\"limit\":", limit),
                None => object.raw(",\"limit\":null"),
            };
            object.integer(",\"wh\":", wh).name(",\"time_in_force\":", time_in_force_name(time_in_force));
            object.flag(",\"post_only\":", post_only);
        }
        Command::Cancel { account, order } => {
            of(Kind::Cancel, account);
            object.integer(",\"order\":", order.0);
        }
        Command::Replace { account, order, price, wh, post_only } => {
            of(Kind::Replace, account);
            object.integer(",\"order\":", order.0).price(",\"price\":", price).integer(",\"wh\":", wh);
            object.flag(",\"post_only\":", post_only);
        }
    }
    object.raw("}\n");
}
