//! The one door out: what a command caused, its fixed 32-byte encoding, and the reasons for a refusal.
//!
//! ```text
//!  0  kind    1  code (token, reason or flags)    2..4  zero    4..8  account (u32)    8..16  order or amount (u64)
//!  16..20  price (i32)    20..24  wh (u32)    24..32  fee or locked (u64)              all integers little-endian
//! ```
//!
//! A command causes either one [`Event::Rejected`], and then nothing changed, or one or more other events. An accepted
//! order causes its fills in order (with a `Cancelled` where self-trade prevention takes a maker away) and then, unless the
//! last fill says `taker_done`, one `Rested` or `Expired`.

use crate::types::{AccountId, DecodeError, OrderId, Ticks, Token, Wh};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The command was refused and changed nothing.
    Rejected {
        /// The first reason, in [`Reject`]'s order.
        reason: Reject,
    },
    /// An account was opened.
    Opened {
        /// Its number.
        account: AccountId,
    },
    /// A balance after a command that is not an order. A transfer causes two, the payer's first.
    Balance {
        /// Which token.
        token: Token,
        /// Whose.
        account: AccountId,
        /// Free to use.
        available: u64,
        /// In escrow, or staked.
        locked: u64,
    },
    /// A trade at the maker's price, settled with it: delivery versus payment.
    Fill {
        /// The resting order.
        maker: OrderId,
        /// Its owner.
        maker_account: AccountId,
        /// The maker's price.
        price: Ticks,
        /// How much.
        wh: Wh,
        /// Grid fee, in 10^-8 WATT, paid by the buyer.
        fee: u64,
        /// The maker has nothing left and is gone from the book.
        maker_done: bool,
        /// The taker has nothing left.
        taker_done: bool,
    },
    /// What is left of an incoming order rests in the book.
    Rested {
        /// Which order.
        order: OrderId,
        /// Its limit.
        price: Ticks,
        /// What is left.
        wh: Wh,
    },
    /// What is left of an incoming order is dropped.
    Expired {
        /// Which order.
        order: OrderId,
        /// What is left.
        wh: Wh,
        /// Why.
        reason: Expiry,
    },
    /// A resting order left the book untraded.
    Cancelled {
        /// Which order.
        order: OrderId,
        /// Its owner.
        account: AccountId,
        /// Its limit.
        price: Ticks,
        /// What was left of it.
        wh: Wh,
        /// `true` if self-trade prevention did it, `false` if its owner asked.
        self_trade: bool,
    },
    /// A resting order was changed.
    Replaced {
        /// Which order.
        order: OrderId,
        /// Its new limit.
        price: Ticks,
        /// Its new open quantity.
        wh: Wh,
        /// `true` if it kept its place in the queue; otherwise its fills and what became of the rest follow.
        kept_priority: bool,
    },
}

/// Why what is left of an incoming order was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Expiry {
    /// Nothing (more) to trade with at an acceptable price.
    NoLiquidity = 0,
    /// A market order could not pay its next fill in WATT.
    InsufficientWatt = 1,
    /// A market order could not deliver its next fill's ENERGY.
    InsufficientEnergy = 2,
    /// It met an order of its own account.
    SelfTrade = 3,
}

/// Why a command was refused. **The order of the variants is the order of precedence**: where several apply, the first is
/// reported, so that two implementations refuse alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reject {
    /// The acting account is not open.
    UnknownAccount = 1,
    /// The receiving account is not open.
    UnknownReceiver = 2,
    /// Payer and receiver are the same account.
    SameAccount = 3,
    /// The amount or the quantity is zero.
    ZeroAmount = 4,
    /// The quantity is not a multiple of the lot.
    OffLot = 5,
    /// The limit price lies outside the price band.
    PriceOutOfBand = 6,
    /// The limit price is not a multiple of the tick.
    OffTick = 7,
    /// A market order that is not IOC, or post-only on an order that is not a good-till-cancelled limit order.
    ConflictingTerms = 8,
    /// The order is not in the book (never was, or is filled or cancelled).
    UnknownOrder = 9,
    /// The order belongs to another account.
    NotOwner = 10,
    /// The address has an account already.
    AddressInUse = 11,
    /// All accounts that the market can hold are open.
    AccountLimit = 12,
    /// A good-till-cancelled order while as many orders rest in the book as it can hold.
    OrderLimit = 13,
    /// The supply of the token would pass 2^64 - 1 smallest units.
    SupplyLimit = 14,
    /// Not enough available WATT.
    InsufficientWatt = 15,
    /// Not enough available ENERGY.
    InsufficientEnergy = 16,
    /// Not enough available (or, to unstake, staked) GRID.
    InsufficientGrid = 17,
    /// A post-only order that would trade at once.
    WouldTrade = 18,
    /// The order would trade with one of its own account, and the market's policy is to refuse it.
    SelfTrade = 19,
    /// A fill-or-kill order that cannot be filled as a whole.
    NotFillable = 20,
}

impl Reject {
    /// Every reason, in order of precedence.
    pub const ALL: [Reject; 20] = [
        Reject::UnknownAccount,
        Reject::UnknownReceiver,
        Reject::SameAccount,
        Reject::ZeroAmount,
        Reject::OffLot,
        Reject::PriceOutOfBand,
        Reject::OffTick,
        Reject::ConflictingTerms,
        Reject::UnknownOrder,
        Reject::NotOwner,
        Reject::AddressInUse,
        Reject::AccountLimit,
        Reject::OrderLimit,
        Reject::SupplyLimit,
        Reject::InsufficientWatt,
        Reject::InsufficientEnergy,
        Reject::InsufficientGrid,
        Reject::WouldTrade,
        Reject::SelfTrade,
        Reject::NotFillable,
    ];

    /// The reason in words, as reports and JSON print it.
    pub fn name(self) -> &'static str {
        match self {
            Reject::UnknownAccount => "unknown-account",
            Reject::UnknownReceiver => "unknown-receiver",
            Reject::SameAccount => "same-account",
            Reject::ZeroAmount => "zero-amount",
            Reject::OffLot => "off-lot",
            Reject::PriceOutOfBand => "price-out-of-band",
            Reject::OffTick => "off-tick",
            Reject::ConflictingTerms => "conflicting-terms",
            Reject::UnknownOrder => "unknown-order",
            Reject::NotOwner => "not-owner",
            Reject::AddressInUse => "address-in-use",
            Reject::AccountLimit => "account-limit",
            Reject::OrderLimit => "order-limit",
            Reject::SupplyLimit => "supply-limit",
            Reject::InsufficientWatt => "insufficient-watt",
            Reject::InsufficientEnergy => "insufficient-energy",
            Reject::InsufficientGrid => "insufficient-grid",
            Reject::WouldTrade => "would-trade",
            Reject::SelfTrade => "self-trade",
            Reject::NotFillable => "not-fillable",
        }
    }
}

impl Event {
    /// Length of the fixed encoding.
    pub const ENCODED_LEN: usize = 32;

    /// The fixed encoding, drawn at the head of this module.
    #[inline]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let (kind, code, account, long, price, wh, last) = match *self {
            Event::Rejected { reason } => (1, reason as u8, 0, 0, 0, 0, 0),
            Event::Opened { account } => (2, 0, account.0, 0, 0, 0, 0),
            Event::Balance { token, account, available, locked } => {
                (3, token as u8, account.0, available, 0, 0, locked)
            }
            Event::Fill { maker, maker_account, price, wh, fee, maker_done, taker_done } => {
                (4, u8::from(maker_done) + 2 * u8::from(taker_done), maker_account.0, maker.0, price, wh, fee)
            }
            Event::Rested { order, price, wh } => (5, 0, 0, order.0, price, wh, 0),
            Event::Expired { order, wh, reason } => (6, reason as u8, 0, order.0, 0, wh, 0),
            Event::Cancelled { order, account, price, wh, self_trade } => {
                (7, u8::from(self_trade), account.0, order.0, price, wh, 0)
            }
            Event::Replaced { order, price, wh, kept_priority } => {
                (8, u8::from(kept_priority), 0, order.0, price, wh, 0)
            }
        };
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0] = kind;
        out[1] = code;
        out[4..8].copy_from_slice(&account.to_le_bytes());
        out[8..16].copy_from_slice(&long.to_le_bytes());
        out[16..20].copy_from_slice(&price.to_le_bytes());
        out[20..24].copy_from_slice(&wh.to_le_bytes());
        out[24..32].copy_from_slice(&last.to_le_bytes());
        out
    }

    /// The inverse of [`encode`](Self::encode); accepts exactly its image.
    ///
    /// # Errors
    /// An unknown tag, or non-zero bytes where this kind has none.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Event, DecodeError> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let code = bytes[1];
        let (account, order) = (AccountId(word(4)), OrderId(long(8)));
        let (price, wh) = (word(16) as i32, word(20));
        let event = match bytes[0] {
            1 => {
                let reason = Reject::ALL.into_iter().find(|&reason| reason as u8 == code);
                let reason = reason.ok_or(DecodeError::Unknown { field: "reject reason", value: code })?;
                Event::Rejected { reason }
            }
            2 => Event::Opened { account },
            3 => {
                let token = Token::ALL.into_iter().find(|&token| token as u8 == code);
                let token = token.ok_or(DecodeError::Unknown { field: "token", value: code })?;
                Event::Balance { token, account, available: long(8), locked: long(24) }
            }
            4 => Event::Fill {
                maker: order,
                maker_account: account,
                price,
                wh,
                fee: long(24),
                maker_done: code & 1 != 0,
                taker_done: code & 2 != 0,
            },
            5 => Event::Rested { order, price, wh },
            6 => {
                let reason = match code {
                    0 => Expiry::NoLiquidity,
                    1 => Expiry::InsufficientWatt,
                    2 => Expiry::InsufficientEnergy,
                    3 => Expiry::SelfTrade,
                    value => return Err(DecodeError::Unknown { field: "expiry reason", value }),
                };
                Event::Expired { order, wh, reason }
            }
            7 => Event::Cancelled { order, account, price, wh, self_trade: code != 0 },
            8 => Event::Replaced { order, price, wh, kept_priority: code != 0 },
            value => return Err(DecodeError::Unknown { field: "event kind", value }),
        };
        if event.encode() == *bytes { Ok(event) } else { Err(DecodeError::NotCanonical { kind: bytes[0] }) }
    }
}

/// The events of a run of commands as two columns: command `i` caused `events[ends[i - 1]..ends[i]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// All events, in order.
    pub events: Vec<Event>,
    /// End offset in `events` of each command.
    pub ends: Vec<u32>,
}

impl EventLog {
    /// Number of commands logged.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no command was logged.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.ends.clear();
    }

    /// Marks the events pushed since the last call as the outcome of one more command.
    ///
    /// # Panics
    /// If the log holds 2^32 events: callers bound their batches.
    #[inline]
    pub fn close_command(&mut self) {
        assert!(self.events.len() <= u32::MAX as usize, "an event log holds less than 2^32 events");
        self.ends.push(self.events.len() as u32);
    }

    /// What command `index` caused.
    ///
    /// # Panics
    /// If fewer commands were logged.
    #[inline]
    pub fn outcome(&self, index: usize) -> &[Event] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.events[start..self.ends[index] as usize]
    }

    /// Appends the last `count` outcomes of another log.
    ///
    /// # Panics
    /// If it has fewer; or as [`close_command`](Self::close_command).
    pub fn extend_from_end_of(&mut self, other: &EventLog, count: usize) {
        let first = other.len() - count;
        let start = if first == 0 { 0 } else { other.ends[first - 1] };
        let offset = self.events.len();
        self.events.extend_from_slice(&other.events[start as usize..]);
        assert!(self.events.len() <= u32::MAX as usize, "an event log holds less than 2^32 events");
        self.ends.extend(other.ends[first..].iter().map(|end| end - start + offset as u32));
    }

    /// What each command caused, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = &[Event]> {
        (0..self.len()).map(|index| self.outcome(index))
    }
}

/// Whether these are the events of an accepted command, that is of a transaction.
#[inline]
pub fn is_accepted(outcome: &[Event]) -> bool {
    !matches!(outcome, [Event::Rejected { .. }])
}

const _: () = assert!(size_of::<Event>() == 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_a_fill() {
        let fill = Event::Fill {
            maker: OrderId(0x0102),
            maker_account: AccountId(3),
            price: -1,
            wh: 4,
            fee: 5,
            maker_done: true,
            taker_done: true,
        };
        let mut expected = [0u8; 32];
        expected[..28].copy_from_slice(&[
            4, 3, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0, 5, 0, 0, 0,
        ]);
        assert_eq!(fill.encode(), expected);
    }

    #[test]
    fn every_kind_round_trips_and_every_stray_bit_is_refused_or_means_something_else() {
        let (order, account) = (OrderId(9), AccountId(8));
        let mut events = vec![
            Event::Opened { account },
            Event::Fill {
                maker: order,
                maker_account: account,
                price: 7,
                wh: 6,
                fee: 5,
                maker_done: true,
                taker_done: false,
            },
            Event::Rested { order, price: i32::MIN, wh: u32::MAX },
            Event::Cancelled { order, account, price: -1, wh: 1, self_trade: true },
            Event::Replaced { order, price: 1, wh: 2, kept_priority: true },
        ];
        events.extend(Reject::ALL.map(|reason| Event::Rejected { reason }));
        events.extend(Token::ALL.map(|token| Event::Balance { token, account, available: u64::MAX, locked: 1 }));
        use Expiry::*;
        let expiries = [NoLiquidity, InsufficientWatt, InsufficientEnergy, SelfTrade];
        events.extend(expiries.map(|reason| Event::Expired { order, wh: 3, reason }));
        for event in events {
            let bytes = event.encode();
            assert_eq!(Event::decode(&bytes), Ok(event));
            for bit in 0..256 {
                let mut damaged = bytes;
                damaged[bit / 8] ^= 1 << (bit % 8);
                if let Ok(other) = Event::decode(&damaged) {
                    assert_ne!(other, event);
                    assert_eq!(other.encode(), damaged);
                }
            }
        }
    }

    #[test]
    fn reject_reasons_are_listed_in_order_and_named_once() {
        assert!(Reject::ALL.is_sorted_by_key(|&reason| reason as u8));
        let names: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reject::ALL.len());
    }
}
