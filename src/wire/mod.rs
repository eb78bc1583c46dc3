//! Requests and answers as they go in and out: JSON lines for people and scripts, binary frames for speed.
//!
//! ```text
//!                 JSON lines                                        binary, little-endian
//! a request       one object a line, of at most 4 KiB               64 bytes: `command::Request`
//! an answer       one object a line                                 32 bytes, then 32 per event: see below
//!
//! money           "12.50000000"  WATT, a string                     u64, 10^-8 WATT
//! price           "-0.00250"     WATT/kWh, a string                 i32, ticks of 10^-5 WATT/kWh
//! energy          5000           Wh, an integer                     u32 in orders and fills, u64 elsewhere
//! GRID            3              an integer                         u64
//! account         7              an integer                         u32
//! order           120            its sequence, an integer           u64
//! address         "00..ff"       64 hex digits                      32 bytes
//! token           "watt", "energy", "grid"                          0, 1, 2
//! ```
//!
//! Money and prices are strings, because a JSON number is a float to most who read one: `"0.1"` is exactly 10,000 ticks. They
//! may have fewer decimals than a unit has (8 and 5), never more; no exponent, no `+`, no bare `.5` or `5.`; money has no sign.
//! What the ledger writes has all decimals. Integers are up to 2^64 - 1 where the binary form has 64 bits; whoever reads with
//! JavaScript's own numbers keeps his client id and amounts below 2^53. A field's name has underscores, a value's has dashes.
//!
//! Every request has `client`, `number` and `command`; the rest, in any order, is the command's:
//!
//! ```text
//! command          fields                                           not needed
//! "open-account"   address
//! "mint"           account watt
//! "burn"           account watt
//! "meter-credit"   account wh
//! "meter-consume"  account wh
//! "stake"          account grid
//! "unstake"        account grid
//! "transfer"       token from to amount
//! "place"          account side wh limit                            limit           (absent or null: a market order)
//!                  time_in_force post_only                          time_in_force   "gtc" (or "ioc", "fok")
//!                                                                   post_only       false
//! "cancel"         account order
//! "replace"        account order price wh post_only                 post_only       false
//! ```
//!
//! `side` is `"buy"` or `"sell"`. A transfer's `amount` is in its token's own form: a string of WATT, an integer of Wh, an integer
//! of GRID; the wrong form is refused, so that nobody pays Wh where WATT are meant. A market order has to say `"ioc"`: with the
//! default, the ledger refuses it (`conflicting-terms`), so a forgotten limit alone makes no market order. A field that the
//! command has not, a field twice, or a string where an integer belongs is refused by name.
//!
//! ```text
//! {"client":7,"number":1,"command":"place","account":3,"side":"buy","limit":"0.15000","wh":5000}
//! {"client":7,"number":1,"sequence":120,"repeat":false,"events":[{"event":"rested","order":120,"price":"0.15000","wh":5000}]}
//!
//! event            fields
//! "rejected"       reason: as `event::Reject::name`, "insufficient-watt" for example
//! "opened"         account
//! "balance"        token account available locked: both in the token's own form, as a transfer's amount
//! "fill"           maker maker_account price wh fee maker_done taker_done: fee is money
//! "rested"         order price wh
//! "expired"        order wh reason: "no-liquidity", "insufficient-watt", "insufficient-energy", "self-trade"
//! "cancelled"      order account price wh self_trade
//! "replaced"       order price wh kept_priority
//! ```
//!
//! A request that is not carried out (`command::Refusal`) comes back without events:
//!
//! ```text
//! {"client":7,"number":9,"refused":"gap","expected":3}              its number is not the next; `expected` is
//! {"client":7,"number":1,"refused":"forgotten"}                     it was carried out long ago
//! {"client":8,"number":1,"refused":"too-many-clients"}
//! ```
//!
//! The binary form of an answer:
//!
//! ```text
//!  0        4        8        16       24         32            64
//!  +--------+--------+--------+--------+----------+-------------+----
//!  | events | flags  | client | number | sequence | event 0     | ...      flags: 1 repeat
//!  | u32    | u32    | u64    | u64    | u64      | 32 bytes    |             2 gap: `sequence` is the number expected
//!  +--------+--------+--------+--------+----------+-------------+----         4 forgotten  8 too many clients
//! ```

mod answer;
mod answer_reader;
pub mod decimal;
mod line;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod text;
mod vocabulary;

pub use answer::{Answer, Refused, Reply};
pub use answer_reader::{AnswerError, AnswerReader};
pub use line::LineError;
pub use reader::{LINE_MAX, RequestReader, WireError};
pub use request::{parse_request, write_request};

use crate::command::Request;

/// In which form requests come and answers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, one object a line.
    Lines,
    /// Fixed binary encodings.
    Frames,
}

impl Form {
    /// Appends a request.
    pub fn write_request(self, request: &Request, out: &mut Vec<u8>) {
        match self {
            Form::Lines => write_request(request, out),
            Form::Frames => out.extend_from_slice(&request.encode()),
        }
    }

    /// Appends an answer or a refusal.
    ///
    /// # Panics
    /// As [`Answer::encode_into`].
    pub fn write_reply(self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match (self, reply) {
            (Form::Lines, Reply::Answer(answer)) => answer.write_line(out),
            (Form::Lines, Reply::Refused(refused)) => refused.write_line(out),
            (Form::Frames, Reply::Answer(answer)) => answer.encode_into(out),
            (Form::Frames, Reply::Refused(refused)) => refused.encode_into(out),
        }
    }
}
