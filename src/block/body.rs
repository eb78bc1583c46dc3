//! What a node collects for one block: commands with their stamps and the events they caused, as columns.

use super::leaves::append_leaves;
use crate::command::{Batch, Command, Sequenced};
use crate::event::{Event, EventLog, is_accepted};
use crate::hash::{Digest, Hashing, Sha256, sha256, sha256d};
use crate::types::{Sequence, TimeNs};
use rayon::prelude::*;
use std::ops::Range;

/// Commands that one thread turns into leaves at a time when several do.
const COMMANDS_PER_TASK: usize = 512;
/// Transactions with up to this many events are hashed from the stack.
const STACK_EVENTS: usize = 5;

/// Consecutive commands that were sequenced together.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Index of the first of them in the block.
    pub start: u32,
    /// Its sequence.
    pub first: Sequence,
    /// When they were sequenced.
    pub time: TimeNs,
}

/// The commands of a block, refused ones included until they are hashed or written, when they are left out.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Commands, in order.
    pub commands: Vec<Command>,
    /// Their stamps.
    pub stamps: Vec<Stamp>,
    /// What they caused.
    pub log: EventLog,
}

impl Body {
    /// Appends commands; their events must be in `log` by then.
    #[inline]
    pub fn push(&mut self, batch: Batch<'_>) {
        let start = self.commands.len() as u32;
        let continues = |stamp: &Stamp| {
            stamp.time == batch.time && stamp.first + Sequence::from(start - stamp.start) == batch.first
        };
        if !self.stamps.last().is_some_and(continues) {
            self.stamps.push(Stamp { start, first: batch.first, time: batch.time });
        }
        self.commands.extend_from_slice(batch.commands);
        debug_assert_eq!(self.commands.len(), self.log.len());
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.stamps.clear();
        self.log.clear();
    }

    /// The accepted commands, in order, with their events.
    pub fn transactions(&self) -> impl DoubleEndedIterator<Item = (Sequenced, &[Event])> {
        self.transactions_in(0..self.commands.len())
    }

    fn transactions_in(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = (Sequenced, &[Event])> {
        range.filter_map(|index| {
            let events = self.log.outcome(index);
            is_accepted(events).then(|| (self.sequenced(index), events))
        })
    }

    #[inline]
    fn sequenced(&self, index: usize) -> Sequenced {
        // Few stamps in large batches, many in small ones: a binary search serves both.
        let after = self.stamps.partition_point(|stamp| stamp.start as usize <= index);
        let Stamp { start, first, time } = self.stamps[after - 1];
        Sequenced { sequence: first + (index - start as usize) as Sequence, time, command: self.commands[index] }
    }

    /// Sequences of the first and of the last transaction, if there is one.
    pub fn sequences(&self) -> Option<(Sequence, Sequence)> {
        let first = self.transactions().next()?.0.sequence;
        Some((first, self.transactions().next_back()?.0.sequence))
    }

    /// Time of the last transaction, if there is one.
    pub fn last_time(&self) -> Option<TimeNs> {
        self.transactions().next_back().map(|(last, _)| last.time)
    }

    /// Appends the leaf of each transaction.
    pub fn leaves(&self, out: &mut Vec<Digest>, Hashing { platform, parallel }: Hashing) {
        let commands = self.commands.len();
        if parallel && commands >= 2 * COMMANDS_PER_TASK {
            let tasks = (0..commands.div_ceil(COMMANDS_PER_TASK)).into_par_iter();
            let range = |task: usize| task * COMMANDS_PER_TASK..((task + 1) * COMMANDS_PER_TASK).min(commands);
            out.par_extend(tasks.flat_map_iter(|task| {
                let mut leaves = Vec::with_capacity(COMMANDS_PER_TASK);
                append_leaves(platform, self.transactions_in(range(task)), &mut leaves);
                leaves
            }));
        } else {
            append_leaves(platform, self.transactions(), out);
        }
    }
}

/// A transaction's message: the encoding of its command, then those of its events.
pub fn transaction_message(command: &Sequenced, events: &[Event]) -> Vec<u8> {
    let mut message = Vec::with_capacity(Sequenced::ENCODED_LEN + events.len() * Event::ENCODED_LEN);
    message.extend_from_slice(&command.encode());
    events.iter().for_each(|event| message.extend_from_slice(&event.encode()));
    message
}

/// A transaction's leaf: the double hash of its message, so that one proof shows an order and its fills.
#[inline]
pub fn leaf(command: &Sequenced, events: &[Event]) -> Digest {
    if events.len() > STACK_EVENTS {
        // Piece by piece: a sweep through the book must not ask for memory either.
        let mut hash = Sha256::new();
        hash.update(&command.encode());
        events.iter().for_each(|event| hash.update(&event.encode()));
        return sha256(&hash.finish());
    }
    let mut message = [0u8; Sequenced::ENCODED_LEN + STACK_EVENTS * Event::ENCODED_LEN];
    message[..Sequenced::ENCODED_LEN].copy_from_slice(&command.encode());
    let mut length = Sequenced::ENCODED_LEN;
    for event in events {
        message[length..length + Event::ENCODED_LEN].copy_from_slice(&event.encode());
        length += Event::ENCODED_LEN;
    }
    sha256d(&message[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reject;
    use crate::hash::Platform;
    use crate::types::AccountId;

    #[test]
    fn leaves_leave_refused_commands_out_and_are_the_same_in_parallel() {
        let mut body = Body::default();
        let mut expected = Vec::new();
        let mut sequence = 10;
        for index in 0..3_000u64 {
            let (account, amount) = (AccountId(1), index);
            let command = Command::Mint { account, amount };
            let refused = index % 7 == 3;
            let event =
                if refused { Event::Rejected { reason: Reject::ZeroAmount } } else { Event::Opened { account } };
            // Up to eight events, so that both ways of hashing are taken.
            let count = if refused { 1 } else { 1 + index % 8 };
            let events = vec![event; count as usize];
            sequence += if index % 50 == 0 { 5 } else { 1 };
            let time = index / 20;
            body.log.events.extend(&events);
            body.log.close_command();
            body.push(Batch { first: sequence, time, commands: &[command] });
            if !refused {
                let sequenced = Sequenced { sequence, time, command };
                expected.push((sequenced, events));
            }
        }
        assert!(body.stamps.len() < 300, "consecutive commands share a stamp");
        let found: Vec<_> = body.transactions().map(|(command, events)| (command, events.to_vec())).collect();
        assert_eq!(found, expected);
        let by_definition: Vec<Digest> =
            expected.iter().map(|(command, events)| sha256(&sha256(&transaction_message(command, events)))).collect();
        for platform in Platform::available() {
            for parallel in [false, true] {
                let hashing = Hashing { platform, parallel };
                let mut leaves = Vec::new();
                body.leaves(&mut leaves, hashing);
                assert_eq!(leaves, by_definition, "{hashing:?}");
            }
        }
        assert_eq!(body.sequences(), Some((15, expected.last().unwrap().0.sequence)));
        assert_eq!(body.last_time(), Some(2_999 / 20));
    }
}
