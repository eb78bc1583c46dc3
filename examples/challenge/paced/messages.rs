//! The flow as the interface has it, and what was reported about it as one digest.

use crate::abi::{Body, CancelMessage, Kind, Message, ModifyMessage, NewOrderMessage, Report};
use joulebook::hash::{Digest, Sha256};
use joulebook::types::Side;
use joulebook::workload::{FlowMessage, FlowShape};

/// Messages, and how much can be said about them.
pub struct Play {
    /// Message `i` has the sequence number `i + 1`.
    pub messages: Vec<Message>,
    /// Reports that no engine exceeds.
    pub reports_max: usize,
}

impl Play {
    /// The flow of so many orders.
    pub fn new(shape: FlowShape, orders: u32, seed: u64) -> Play {
        let flow = shape.messages(orders, seed);
        let mut sides = vec![0u8; orders as usize + 1];
        let mut reports_max = 0;
        let messages = flow.iter().zip(1..).map(|(message, sequence_number)| {
            if let FlowMessage::New { id, side, .. } = *message {
                sides[id as usize] = u8::from(side == Side::Sell);
            }
            // Each fill uses up one of its two orders, so there are no more fills than orders that entered the book. A new order
            // is acknowledged and may expire, a modify is an order that enters again.
            reports_max += match message {
                FlowMessage::New { .. } => 3,
                FlowMessage::Modify { .. } => 2,
                FlowMessage::Cancel { .. } => 1,
            };
            to_message(message, sequence_number, &sides)
        });
        Play { messages: messages.collect(), reports_max }
    }
}

fn to_message(message: &FlowMessage, sequence_number: u64, sides: &[u8]) -> Message {
    let (kind, body) = match *message {
        FlowMessage::New { id, price, wh, ioc, .. } => {
            let new = NewOrderMessage {
                order_id: u64::from(id),
                sequence_number,
                price_ticks: i64::from(price),
                quantity: wh,
                side: sides[id as usize],
                ioc: u8::from(ioc),
                reserved: [0; 2],
            };
            (0, Body { new })
        }
        FlowMessage::Cancel { id } => (1, Body { cancel: CancelMessage { order_id: u64::from(id), sequence_number } }),
        FlowMessage::Modify { id, price, wh } => {
            let modify = ModifyMessage {
                order_id: u64::from(id),
                sequence_number,
                new_price_ticks: i64::from(price),
                new_quantity: wh,
                side: sides[id as usize],
                reserved: [0; 3],
            };
            (2, Body { modify })
        }
    };
    Message { kind, reserved: [0; 7], body }
}

/// SHA-256 over all reports: what the challenge compares of each, which are the fields that the interface gives a meaning for
/// its kind. Reports of one message go by their kind, because an engine may send a fill before or after the acknowledgement;
/// fills stay in their order.
///
/// Sorts its input, and is no hash that the challenge publishes.
pub fn digest(reports: &mut [Report]) -> Digest {
    reports.sort_by_key(|report| (report.sequence_number, report.kind));
    let mut hash = Sha256::new();
    for report in reports.iter() {
        let Report { kind, side, sequence_number, order_id, price_ticks, quantity, .. } = *report;
        let (about, price) = (u64::from(kind) | u64::from(side) << 8, price_ticks as u64);
        let is = |wanted: Kind| kind == wanted as u8;
        let words = if is(Kind::Trade) {
            [
                u64::from(kind) | u64::from(quantity) << 32,
                sequence_number,
                price,
                report.maker_order_id,
                report.taker_order_id,
            ]
        } else if is(Kind::CancelAck) {
            // What was left of the order is not compared.
            [about, sequence_number, price, order_id, 0]
        } else if is(Kind::CancelReject) || is(Kind::ModifyReject) {
            [u64::from(kind), sequence_number, 0, order_id, 0]
        } else {
            [about | u64::from(quantity) << 32, sequence_number, price, order_id, 0]
        };
        hash.update(words.map(u64::to_le_bytes).as_flattened());
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::BLANK;

    fn report(kind: Kind, sequence_number: u64, maker_order_id: u64) -> Report {
        Report { kind: kind as u8, sequence_number, order_id: 5, quantity: 7, side: 1, maker_order_id, ..BLANK }
    }

    #[test]
    fn digests_compare_what_the_challenge_compares() {
        let ack = report(Kind::ModifyAck, 1, 0);
        let [first, second] = [1, 2].map(|maker| report(Kind::Trade, 1, maker));
        let cancel = report(Kind::CancelAck, 2, 0);
        let of = |reports: &[Report]| digest(&mut reports.to_vec());
        let all = of(&[ack, first, second, cancel]);
        assert_eq!(of(&[first, second, ack, cancel]), all, "a fill before the acknowledgement");
        assert_eq!(of(&[ack, first, second, Report { quantity: 9, ..cancel }]), all, "what was left of it");
        assert_eq!(of(&[ack, Report { side: 0, ..first }, second, cancel]), all, "a fill's side");
        assert_ne!(of(&[ack, second, first, cancel]), all, "fills in another order");
        assert_ne!(of(&[Report { quantity: 9, ..ack }, first, second, cancel]), all, "another quantity");
        assert_ne!(of(&[ack, first, second]), all, "one report fewer");
    }

    #[test]
    fn every_message_of_the_flow_is_there() {
        let flow = FlowShape::Normal.messages(1_000, 67);
        let play = Play::new(FlowShape::Normal, 1_000, 67);
        assert_eq!(play.messages.len(), flow.len());
        let kinds = |wanted: u8| play.messages.iter().filter(|message| message.kind == wanted).count();
        assert_eq!(kinds(0), 1_000);
        assert!(kinds(1) > 0 && kinds(2) > 0);
        assert_eq!(play.reports_max, 3 * kinds(0) + kinds(1) + 2 * kinds(2));
    }
}
