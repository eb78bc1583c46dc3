//! Leaves of transactions, many at a time: messages of one length wait until they fill the lanes.

use super::body::leaf;
use crate::command::Sequenced;
use crate::event::Event;
use crate::hash::{Digest, Platform, sha256d_each};

/// Messages that wait at most: as many as the widest kernel has lanes.
const WAITING: usize = 32;
/// Length of a message with this many events.
const fn message_len(events: usize) -> usize {
    Sequenced::ENCODED_LEN + events * Event::ENCODED_LEN
}

/// Appends the leaf of each transaction, in order.
pub(super) fn append_leaves<'a>(
    platform: Platform,
    transactions: impl Iterator<Item = (Sequenced, &'a [Event])>,
    out: &mut Vec<Digest>,
) {
    if platform == Platform::PORTABLE {
        out.extend(transactions.map(|(command, events)| leaf(&command, events)));
        return;
    }
    // Nearly all transactions have one to three events: rested; filled and rested; a transfer's two balances.
    let mut one = Waiting::<{ message_len(1) }>::new();
    let mut two = Waiting::<{ message_len(2) }>::new();
    let mut three = Waiting::<{ message_len(3) }>::new();
    let mut four = Waiting::<{ message_len(4) }>::new();
    for (command, events) in transactions {
        let place = out.len();
        out.push(Digest::default());
        match events.len() {
            1 => one.push(platform, &command, events, place, out),
            2 => two.push(platform, &command, events, place, out),
            3 => three.push(platform, &command, events, place, out),
            4 => four.push(platform, &command, events, place, out),
            _ => out[place] = leaf(&command, events),
        }
    }
    one.flush(platform, out);
    two.flush(platform, out);
    three.flush(platform, out);
    four.flush(platform, out);
}

/// Messages of `N` bytes whose hashes are still to come, and where they belong.
struct Waiting<const N: usize> {
    messages: [[u8; N]; WAITING],
    places: [usize; WAITING],
    count: usize,
}

impl<const N: usize> Waiting<N> {
    fn new() -> Self {
        Waiting { messages: [[0; N]; WAITING], places: [0; WAITING], count: 0 }
    }

    #[inline]
    fn push(&mut self, platform: Platform, command: &Sequenced, events: &[Event], place: usize, out: &mut [Digest]) {
        let (head, tail) = self.messages[self.count].split_at_mut(Sequenced::ENCODED_LEN);
        head.copy_from_slice(&command.encode());
        for (event, bytes) in events.iter().zip(tail.as_chunks_mut().0) {
            *bytes = event.encode();
        }
        self.places[self.count] = place;
        self.count += 1;
        if self.count == platform.lanes() {
            self.flush(platform, out);
        }
    }

    fn flush(&mut self, platform: Platform, out: &mut [Digest]) {
        let mut hashes = [Digest::default(); WAITING];
        let hashes = &mut hashes[..self.count];
        sha256d_each(platform, &self.messages[..self.count], hashes);
        for (&place, hash) in self.places.iter().zip(hashes) {
            out[place] = *hash;
        }
        self.count = 0;
    }
}
