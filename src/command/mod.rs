//! The one door in: everything that can be asked of the ledger, and its fixed 64-byte encoding.
//!
//! ```text
//!  0      kind          4..8   account (u32)         24..56  body, by kind, the rest zero
//!  1      side / token  8..16  sequence (u64)        56..64  zero
//!  2      time in force 16..24 time, ns (u64)
//!  3      flags: 1 market, 2 post-only               all integers little-endian
//! ```

mod request;
mod short;

pub use request::{Refusal, Request};

use crate::types::{AccountId, Address, DecodeError, OrderId, Sequence, Side, Ticks, TimeInForce, TimeNs, Token, Wh};

/// What can be asked of the ledger. Amounts are in the token's smallest unit (10^-8 WATT, Wh, 1 GRID).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens the next account.
    OpenAccount {
        /// Ed25519 public key; each can be used once.
        address: Address,
    },
    /// Creates WATT against fiat money paid in, 1:1.
    Mint {
        /// Who receives it.
        account: AccountId,
        /// Units of 10^-8 WATT.
        amount: u64,
    },
    /// Destroys WATT against fiat money paid out, 1:1.
    Burn {
        /// Who pays it in.
        account: AccountId,
        /// Units of 10^-8 WATT.
        amount: u64,
    },
    /// A meter reading of energy fed in: creates ENERGY, 1 kWh = 1 token.
    MeterCredit {
        /// The meter's owner.
        account: AccountId,
        /// Wh.
        amount: u64,
    },
    /// A meter reading of energy used: destroys ENERGY.
    MeterConsume {
        /// The meter's owner.
        account: AccountId,
        /// Wh.
        amount: u64,
    },
    /// Locks GRID.
    Stake {
        /// Whose.
        account: AccountId,
        /// GRID.
        amount: u64,
    },
    /// Unlocks GRID.
    Unstake {
        /// Whose.
        account: AccountId,
        /// GRID.
        amount: u64,
    },
    /// Moves available tokens between accounts.
    Transfer {
        /// Which token.
        token: Token,
        /// Who pays.
        from: AccountId,
        /// Who receives.
        to: AccountId,
        /// In the token's smallest unit.
        amount: u64,
    },
    /// Places an order; its id is this command's sequence.
    Place(NewOrder),
    /// Takes a resting order out of the book.
    Cancel {
        /// The order's owner.
        account: AccountId,
        /// Which order.
        order: OrderId,
    },
    /// Changes a resting order. At the same price and not more energy it keeps its priority; anything else re-enters the
    /// book as a new good-till-cancelled limit order with the same id.
    Replace {
        /// The order's owner.
        account: AccountId,
        /// Which order.
        order: OrderId,
        /// The new limit price.
        price: Ticks,
        /// The new open quantity (not counting what was filled before).
        wh: Wh,
        /// Refuse it if it would trade at once.
        post_only: bool,
    },
}

/// The terms of a new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Who trades.
    pub account: AccountId,
    /// Which way.
    pub side: Side,
    /// The worst price accepted; `None` for a market order, which must be [`TimeInForce::Ioc`].
    pub limit: Option<Ticks>,
    /// Quantity.
    pub wh: Wh,
    /// What happens to the part that does not trade at once.
    pub time_in_force: TimeInForce,
    /// Refuse it if it would trade at once; good-till-cancelled limit orders only.
    pub post_only: bool,
}

/// Consecutively sequenced commands: the first has sequence `first`, and all were sequenced at one reading of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Sequence of `commands[0]`.
    pub first: Sequence,
    /// When they were sequenced.
    pub time: TimeNs,
    /// The commands, in order.
    pub commands: &'a [Command],
}

/// A command with its place in the order of things: what a block stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Position, from 1.
    pub sequence: Sequence,
    /// When it was sequenced.
    pub time: TimeNs,
    /// What was asked.
    pub command: Command,
}

const FLAG_MARKET: u8 = 1;
const FLAG_POST_ONLY: u8 = 2;

impl Sequenced {
    /// Length of the fixed encoding.
    pub const ENCODED_LEN: usize = 64;

    /// The fixed encoding, drawn at the head of this module.
    #[inline]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.time.to_le_bytes());
        let mut with_amount = |kind: u8, account: AccountId, amount: u64| {
            out[0] = kind;
            out[4..8].copy_from_slice(&account.0.to_le_bytes());
            out[24..32].copy_from_slice(&amount.to_le_bytes());
        };
        match self.command {
            Command::OpenAccount { address } => {
                out[0] = 1;
                out[24..56].copy_from_slice(&address);
            }
            Command::Mint { account, amount } => with_amount(2, account, amount),
            Command::Burn { account, amount } => with_amount(3, account, amount),
            Command::MeterCredit { account, amount } => with_amount(4, account, amount),
            Command::MeterConsume { account, amount } => with_amount(5, account, amount),
            Command::Stake { account, amount } => with_amount(6, account, amount),
            Command::Unstake { account, amount } => with_amount(7, account, amount),
            Command::Transfer { token, from, to, amount } => {
                with_amount(8, from, amount);
                out[1] = token as u8;
                out[32..36].copy_from_slice(&to.0.to_le_bytes());
            }
            Command::Place(NewOrder { account, side, limit, wh, time_in_force, post_only }) => {
                out[0] = 9;
                out[1] = side as u8;
                out[2] = time_in_force as u8;
                out[3] = u8::from(limit.is_none()) * FLAG_MARKET + u8::from(post_only) * FLAG_POST_ONLY;
                out[4..8].copy_from_slice(&account.0.to_le_bytes());
                out[24..28].copy_from_slice(&limit.unwrap_or(0).to_le_bytes());
                out[28..32].copy_from_slice(&wh.to_le_bytes());
            }
            Command::Cancel { account, order } => with_amount(10, account, order.0),
            Command::Replace { account, order, price, wh, post_only } => {
                with_amount(11, account, order.0);
                out[3] = u8::from(post_only) * FLAG_POST_ONLY;
                out[32..36].copy_from_slice(&price.to_le_bytes());
                out[36..40].copy_from_slice(&wh.to_le_bytes());
            }
        }
        out
    }

    /// The inverse of [`encode`](Self::encode); accepts exactly its image.
    ///
    /// # Errors
    /// An unknown tag, or non-zero bytes where this kind has none.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Sequenced, DecodeError> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let account = AccountId(word(4));
        let amount = long(24);
        let post_only = bytes[3] & FLAG_POST_ONLY != 0;
        let command = match bytes[0] {
            1 => Command::OpenAccount { address: bytes[24..56].try_into().expect("32 bytes") },
            2 => Command::Mint { account, amount },
            3 => Command::Burn { account, amount },
            4 => Command::MeterCredit { account, amount },
            5 => Command::MeterConsume { account, amount },
            6 => Command::Stake { account, amount },
            7 => Command::Unstake { account, amount },
            8 => {
                let token = match bytes[1] {
                    0 => Token::Watt,
                    1 => Token::Energy,
                    2 => Token::Grid,
                    value => return Err(DecodeError::Unknown { field: "token", value }),
                };
                Command::Transfer { token, from: account, to: AccountId(word(32)), amount }
            }
            9 => {
                let side = match bytes[1] {
                    0 => Side::Buy,
                    1 => Side::Sell,
                    value => return Err(DecodeError::Unknown { field: "side", value }),
                };
                let time_in_force = match bytes[2] {
                    0 => TimeInForce::Gtc,
                    1 => TimeInForce::Ioc,
                    2 => TimeInForce::Fok,
                    value => return Err(DecodeError::Unknown { field: "time in force", value }),
                };
                let limit = (bytes[3] & FLAG_MARKET == 0).then_some(word(24) as i32);
                Command::Place(NewOrder { account, side, limit, wh: word(28), time_in_force, post_only })
            }
            10 => Command::Cancel { account, order: OrderId(amount) },
            11 => Command::Replace { account, order: OrderId(amount), price: word(32) as i32, wh: word(36), post_only },
            value => return Err(DecodeError::Unknown { field: "command kind", value }),
        };
        let decoded = Sequenced { sequence: long(8), time: long(16), command };
        // Encoding again is the one definition of which bytes may be set.
        if decoded.encode() == *bytes { Ok(decoded) } else { Err(DecodeError::NotCanonical { kind: bytes[0] }) }
    }
}

const _: () = assert!(size_of::<Command>() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Command> {
        let account = AccountId(7);
        let order = OrderId(0x0102_0304_0506_0708);
        let place = |limit, time_in_force, post_only| {
            Command::Place(NewOrder { account, side: Side::Sell, limit, wh: 5_000, time_in_force, post_only })
        };
        vec![
            Command::OpenAccount { address: [0xab; 32] },
            Command::Mint { account, amount: 1 },
            Command::Burn { account, amount: u64::MAX },
            Command::MeterCredit { account, amount: 2 },
            Command::MeterConsume { account, amount: 3 },
            Command::Stake { account, amount: 4 },
            Command::Unstake { account, amount: 5 },
            Command::Transfer { token: Token::Energy, from: account, to: AccountId(9), amount: 6 },
            place(Some(-250), TimeInForce::Gtc, true),
            place(None, TimeInForce::Ioc, false),
            Command::Cancel { account, order },
            Command::Replace { account, order, price: i32::MIN, wh: 1, post_only: true },
        ]
    }

    #[test]
    fn short_forms_round_trip_and_every_cut_and_stray_bit_is_another_command_or_none() {
        let mut all = Vec::new();
        for command in samples() {
            let mut bytes = Vec::new();
            command.encode_short(|short| bytes.extend_from_slice(short));
            assert!((Command::SHORT_MIN..=Command::SHORT_MAX).contains(&bytes.len()));
            for length in 0..bytes.len() {
                assert_eq!(Command::decode_short(&mut &bytes[..length]), Err(DecodeError::Cut));
            }
            for bit in 0..8 * bytes.len() {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(Command::decode_short(&mut &damaged[..]), Ok(command), "{command:?} bit {bit}");
            }
            all.extend(bytes);
        }
        let mut rest = &all[..];
        for command in samples() {
            assert_eq!(Command::decode_short(&mut rest), Ok(command));
        }
        assert!(rest.is_empty());
        let place = samples()[8];
        place.encode_short(|short| {
            assert_eq!(short, [9, 1, 0, 2, 7, 0, 0, 0, 0x06, 0xff, 0xff, 0xff, 0x88, 0x13, 0, 0])
        });
    }

    #[test]
    fn every_kind_round_trips_and_every_stray_byte_is_refused() {
        for command in samples() {
            let sequenced = Sequenced { sequence: 11, time: 12, command };
            let bytes = sequenced.encode();
            assert_eq!(Sequenced::decode(&bytes), Ok(sequenced));
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut damaged = bytes;
                    damaged[at] ^= 1 << bit;
                    // A flipped bit is refused or is another command; it never reads as the same one.
                    if let Ok(other) = Sequenced::decode(&damaged) {
                        assert_ne!(other, sequenced, "byte {at} bit {bit} of {command:?}");
                        assert_eq!(other.encode(), damaged);
                    }
                }
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let order = NewOrder {
            account: AccountId(0x0403_0201),
            side: Side::Sell,
            limit: Some(-2),
            wh: 0x1122_3344,
            time_in_force: TimeInForce::Gtc,
            post_only: true,
        };
        let place = Sequenced { sequence: 0x1817_1615_1413_1211, time: 9, command: Command::Place(order) };
        let mut expected = [0u8; 64];
        expected[..32].copy_from_slice(&[
            9, 1, 0, 2, 1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 9, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff,
            0xff, 0xff, 0x44, 0x33, 0x22, 0x11,
        ]);
        assert_eq!(place.encode(), expected);
    }

    #[test]
    fn unknown_tags_are_named() {
        let unknown = |at: usize, value: u8, base: usize| {
            let mut bytes = Sequenced { sequence: 1, time: 1, command: samples()[base] }.encode();
            bytes[at] = value;
            Sequenced::decode(&bytes).unwrap_err()
        };
        assert_eq!(unknown(0, 12, 0), DecodeError::Unknown { field: "command kind", value: 12 });
        assert_eq!(unknown(1, 3, 7), DecodeError::Unknown { field: "token", value: 3 });
        assert_eq!(unknown(1, 2, 8), DecodeError::Unknown { field: "side", value: 2 });
        assert_eq!(unknown(2, 3, 8), DecodeError::Unknown { field: "time in force", value: 3 });
        assert_eq!(unknown(63, 1, 9), DecodeError::NotCanonical { kind: 9 });
    }
}
