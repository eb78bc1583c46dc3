//! What a request is answered with, in both forms.

use super::text::Object;
use super::vocabulary::expiry_name;
use crate::command::Refusal;
use crate::event::Event;
use crate::types::Sequence;

/// The answer to a request: what its command caused, and its place in the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The request's client.
    pub client: u64,
    /// The request's number.
    pub number: u64,
    /// Where the ledger put the command: an order's id, if it placed one.
    pub sequence: Sequence,
    /// The request had been carried out before: this is the first answer again.
    pub repeat: bool,
    /// What the command caused.
    pub events: &'a [Event],
}

/// That a request was not carried out, and why: what comes instead of an [`Answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The request's client.
    pub client: u64,
    /// The request's number.
    pub number: u64,
    /// Why.
    pub why: Refusal,
}

/// What comes back for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// It was carried out, now or before.
    Answer(Answer<'a>),
    /// It was not.
    Refused(Refused),
}

pub(super) const FLAG_REPEAT: u32 = 1;
pub(super) const FLAG_GAP: u32 = 2;
pub(super) const FLAG_FORGOTTEN: u32 = 4;
pub(super) const FLAG_TOO_MANY_CLIENTS: u32 = 8;

/// A reply's first 32 bytes.
fn header(count: u32, flags: u32, client: u64, number: u64, sequence: u64) -> [u8; Answer::HEADER_LEN] {
    let mut header = [0u8; Answer::HEADER_LEN];
    header[..4].copy_from_slice(&count.to_le_bytes());
    header[4..8].copy_from_slice(&flags.to_le_bytes());
    header[8..16].copy_from_slice(&client.to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    header[24..32].copy_from_slice(&sequence.to_le_bytes());
    header
}

impl Refused {
    /// Appends the binary form: an answer without events, whose flags say why.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let Refused { client, number, why } = *self;
        let (flags, expected) = match why {
            Refusal::Gap { expected } => (FLAG_GAP, expected),
            Refusal::Forgotten => (FLAG_FORGOTTEN, 0),
            Refusal::TooManyClients => (FLAG_TOO_MANY_CLIENTS, 0),
        };
        out.extend_from_slice(&header(0, flags, client, number, expected));
    }

    /// Appends it as one line of JSON with a newline.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let Refused { client, number, why } = *self;
        let mut object = Object(out);
        object.integer("{\"client\":", client).integer(",\"number\":", number);
        match why {
            Refusal::Gap { expected } => object.name(",\"refused\":", "gap").integer(",\"expected\":", expected),
            Refusal::Forgotten => object.name(",\"refused\":", "forgotten"),
            Refusal::TooManyClients => object.name(",\"refused\":", "too-many-clients"),
        };
        object.raw("}\n");
    }
}

impl Answer<'_> {
    /// Length of the binary form before the events.
    pub const HEADER_LEN: usize = 32;

    /// Appends the binary form, drawn at the head of [`wire`](crate::wire).
    ///
    /// # Panics
    /// If there are 2^32 events or more: a command's come from one batch, which holds fewer.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.events.len()).expect("an answer has fewer than 2^32 events");
        let flags = u32::from(self.repeat) * FLAG_REPEAT;
        out.reserve(Self::HEADER_LEN + self.events.len() * Event::ENCODED_LEN);
        out.extend_from_slice(&header(count, flags, self.client, self.number, self.sequence));
        self.events.iter().for_each(|event| out.extend_from_slice(&event.encode()));
    }

    /// Appends the answer as one line of JSON with a newline.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let Answer { client, number, sequence, repeat, events } = *self;
        let mut object = Object(out);
        object.integer("{\"client\":", client).integer(",\"number\":", number).integer(",\"sequence\":", sequence);
        object.flag(",\"repeat\":", repeat).raw(",\"events\":[");
        for (at, event) in events.iter().enumerate() {
            if at > 0 {
                object.raw(",");
            }
            write_event(event, &mut object);
        }
        object.raw("]}\n");
    }
}

fn write_event(event: &Event, object: &mut Object<'_>) {
    match *event {
        Event::Rejected { reason } => object.raw("{\"event\":\"rejected\"").name(",\"reason\":", reason.name()),
        Event::Opened { account } => object.raw("{\"event\":\"opened\"").integer(",\"account\":", account.0),
        Event::Balance { token, account, available, locked } => object
            .raw("{\"event\":\"balance\"")
            .token(token)
            .integer(",\"account\":", account.0)
            .amount(",\"available\":", token, available)
            .amount(",\"locked\":", token, locked),
        Event::Fill { maker, maker_account, price, wh, fee, maker_done, taker_done } => object
            .integer("{\"event\":\"fill\",\"maker\":", maker.0)
            .integer(",\"maker_account\":", maker_account.0)
            .price(",\"price\":", price)
            .integer(",\"wh\":", wh)
            .watt(",\"fee\":", fee)
            .flag(",\"maker_done\":", maker_done)
            .flag(",\"taker_done\":", taker_done),
        Event::Rested { order, price, wh } => object
            .integer("{\"event\":\"rested\",\"order\":", order.0)
            .price(",\"price\":", price)
            .integer(",\"wh\":", wh),
        Event::Expired { order, wh, reason } => object
            .integer("{\"event\":\"expired\",\"order\":", order.0)
            .integer(",\"wh\":", wh)
            .name(",\"reason\":", expiry_name(reason)),
        Event::Cancelled { order, account, price, wh, self_trade } => object
            .integer("{\"event\":\"cancelled\",\"order\":", order.0)
            .integer(",\"account\":", account.0)
            .price(",\"price\":", price)
            .integer(",\"wh\":", wh)
            .flag(",\"self_trade\":", self_trade),
        Event::Replaced { order, price, wh, kept_priority } => object
            .integer("{\"event\":\"replaced\",\"order\":", order.0)
            .price(",\"price\":", price)
            .integer(",\"wh\":", wh)
            .flag(",\"kept_priority\":", kept_priority),
    };
    object.raw("}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Expiry, Reject};
    use crate::types::{AccountId, OrderId, Token};

    #[test]
    fn golden_bytes() {
        let events = [Event::Opened { account: AccountId(5) }];
        let answer =
            Answer { client: 0x0102_0304_0506_0708, number: 0x11, sequence: 0x22, repeat: true, events: &events };
        let mut expected = [0u8; 64];
        expected[..26]
            .copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0]);
        (expected[32], expected[36]) = (2, 5);
        let mut out = Vec::new();
        answer.encode_into(&mut out);
        assert_eq!(out, expected);
        out.clear();
        Answer { repeat: false, events: &[], ..answer }.encode_into(&mut out);
        (expected[0], expected[4]) = (0, 0);
        assert_eq!(out, expected[..32]);
    }

    #[test]
    fn golden_lines() {
        let (order, account) = (OrderId(120), AccountId(3));
        let fill = Event::Fill {
            maker: order,
            maker_account: account,
            price: -250,
            wh: 4_000,
            fee: 1_234,
            maker_done: true,
            taker_done: false,
        };
        let balance = |token| Event::Balance { token, account, available: 150_000_000, locked: 7 };
        let lines = [
            (Event::Rejected { reason: Reject::OffTick }, r#""rejected","reason":"off-tick""#),
            (Event::Opened { account }, r#""opened","account":3"#),
            (
                balance(Token::Watt),
                r#""balance","token":"watt","account":3,"available":"1.50000000","locked":"0.00000007""#,
            ),
            (balance(Token::Energy), r#""balance","token":"energy","account":3,"available":150000000,"locked":7"#),
            (balance(Token::Grid), r#""balance","token":"grid","account":3,"available":150000000,"locked":7"#),
            (
                fill,
                r#""fill","maker":120,"maker_account":3,"price":"-0.00250","wh":4000,"fee":"0.00001234","maker_done":true,"taker_done":false"#,
            ),
            (Event::Rested { order, price: 15_000, wh: 9 }, r#""rested","order":120,"price":"0.15000","wh":9"#),
            (
                Event::Expired { order, wh: 9, reason: Expiry::NoLiquidity },
                r#""expired","order":120,"wh":9,"reason":"no-liquidity""#,
            ),
            (
                Event::Cancelled { order, account, price: 1, wh: 9, self_trade: true },
                r#""cancelled","order":120,"account":3,"price":"0.00001","wh":9,"self_trade":true"#,
            ),
            (
                Event::Replaced { order, price: 1, wh: 9, kept_priority: false },
                r#""replaced","order":120,"price":"0.00001","wh":9,"kept_priority":false"#,
            ),
        ];
        let mut out = Vec::new();
        for (event, text) in lines {
            out.clear();
            Answer { client: 7, number: 1, sequence: 121, repeat: false, events: &[event, event] }.write_line(&mut out);
            let head = r#"{"client":7,"number":1,"sequence":121,"repeat":false,"events":["#;
            let expected = format!("{head}{{\"event\":{text}}},{{\"event\":{text}}}]}}\n");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        let refusals = [
            (Refusal::Gap { expected: 3 }, r#""gap","expected":3"#),
            (Refusal::Forgotten, r#""forgotten""#),
            (Refusal::TooManyClients, r#""too-many-clients""#),
        ];
        for (why, text) in refusals {
            out.clear();
            Refused { client: 7, number: 9, why }.write_line(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("{{\"client\":7,\"number\":9,\"refused\":{text}}}\n"));
        }
        out.clear();
        Answer { client: 7, number: 1, sequence: 121, repeat: true, events: &[] }.write_line(&mut out);
        assert_eq!(out, b"{\"client\":7,\"number\":1,\"sequence\":121,\"repeat\":true,\"events\":[]}\n");
    }
}
