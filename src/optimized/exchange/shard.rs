//! The books of one core.

use super::listed::Listed;
use super::terms::{Event, Message, Refusal};
use crate::optimized::book::Book;
use crate::optimized::prefetch::prefetch;
use slab::Slab;

/// The shard that refuses what is sent to slots without a book.
pub(super) const ANSWERS_FOR_NOBODY: usize = 0;

/// Groups of messages: one for no book, then the books by their keys; and a mark for what others do.
const NOBODY: u32 = 0;
const ELSEWHERE: u32 = u32::MAX;

/// How many messages ahead a message and the book that it is for are asked for, the way into that book, and what the message needs
/// of it.
const FAR: usize = 48;
const MIDDLE: usize = 36;
const NEAR: usize = 24;

/// Books of a shard that the caches hold: some 30 KiB each, of which their messages touch a part. Where there are no more of them, asking
/// for what a message needs of its book gains nothing and costs about 4 ns, most of it the branch on what the message is.
const BOOKS_CACHED: usize = 100;

/// A message of the batch that is this shard's.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// Where in the batch.
    index: u32,
    /// Where among the shard's own.
    at: u32,
    group: u32,
}

/// Where a message's events are in the log.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// Some books, and what the last batch did to them. On cache lines of its own, because others run beside it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    books: Slab<Listed>,
    /// Group of each slot, and of the slots that were never used.
    groups: Vec<u32>,
    beyond: u32,
    /// This shard's messages, in their order, and as many unused places as the largest batch had.
    own: Vec<Own>,
    /// By group: where its messages end in `order`.
    ends: Vec<u32>,
    /// Places in `own`, group by group.
    order: Vec<Own>,
    log: Vec<Event>,
    /// At the place in `own`.
    spans: Vec<Span>,
}

impl Shard {
    pub(super) fn new(number: usize) -> Self {
        let beyond = if number == ANSWERS_FOR_NOBODY { NOBODY } else { ELSEWHERE };
        let (books, groups, own, ends) = (Slab::new(), Vec::new(), Vec::new(), Vec::new());
        Shard { books, groups, beyond, own, ends, order: Vec::new(), log: Vec::new(), spans: Vec::new() }
    }

    pub(super) fn books(&self) -> usize {
        self.books.len()
    }

    pub(super) fn book(&self, key: usize) -> &Book {
        &self.books[key].book
    }

    pub(super) fn memory(&self) -> usize {
        self.books.iter().map(|(_, listed)| listed.memory()).sum()
    }

    pub(super) fn open(&mut self, listed: Listed) -> usize {
        self.books.insert(listed)
    }

    pub(super) fn close(&mut self, key: usize) {
        self.books.remove(key);
    }

    /// A slot has a book now: under this key, or in another shard.
    pub(super) fn route(&mut self, slot: u32, key: Option<usize>) {
        let slot = slot as usize;
        if slot >= self.groups.len() {
            self.groups.resize(slot + 1, self.beyond);
        }
        self.groups[slot] = key.map_or(ELSEWHERE, |key| key as u32 + 1);
    }

    /// A slot has no book any more.
    pub(super) fn unroute(&mut self, slot: u32) {
        self.groups[slot as usize] = self.beyond;
    }

    /// Carries out the messages that are for books of this shard.
    pub(super) fn apply(&mut self, messages: &[Message]) {
        let own = self.pick(messages);
        self.group(own);
        self.log.clear();
        self.spans.resize(self.spans.len().max(own), Span::default());
        self.carry_out(own, messages);
        assert!(u32::try_from(self.log.len()).is_ok(), "a batch caused {} events", self.log.len());
    }

    /// Lists the messages that are for this shard, without a branch on which they are: nobody can predict it. Returns how
    /// many there are.
    fn pick(&mut self, messages: &[Message]) -> usize {
        let Shard { groups, own, beyond, .. } = self;
        own.resize(own.len().max(messages.len() + 1), Own::default());
        let mut count = 0;
        for (index, message) in (0..).zip(messages) {
            let group = groups.get(message.book.slot as usize).copied().unwrap_or(*beyond);
            own[count] = Own { index, at: count as u32, group };
            count += usize::from(group != ELSEWHERE);
        }
        count
    }

    /// Sorts them by group, each group in its order.
    fn group(&mut self, own: usize) {
        let Shard { books, own: all, ends, order, .. } = self;
        let own = &all[..own];
        ends.clear();
        ends.resize(books.capacity() + 2, 0);
        order.resize(order.len().max(own.len()), Own::default());
        own.iter().for_each(|own| ends[own.group as usize + 1] += 1);
        let mut sum = 0;
        for end in ends.iter_mut() {
            sum += *end;
            *end = sum;
        }
        for &own in own {
            let end = &mut ends[own.group as usize];
            order[*end as usize] = own;
            *end += 1;
        }
    }

    /// Carries out this shard's messages, group by group, and asks for the memory of those to come.
    fn carry_out(&mut self, own: usize, messages: &[Message]) {
        let Shard { books, order, log, spans, .. } = self;
        let order = &order[..own];
        let many = books.len() > BOOKS_CACHED;
        let (mut asked, mut entered) = (NOBODY, NOBODY);
        for (now, &Own { index, at, group }) in order.iter().enumerate() {
            if let Some(ahead) = order.get(now + FAR) {
                // Neighbours in a group are far from each other in the batch.
                prefetch(messages, ahead.index as usize);
                prefetch(spans, ahead.at as usize);
                if many && ahead.group != asked {
                    asked = ahead.group;
                    key(asked).and_then(|key| books.get(key)).into_iter().for_each(Listed::prefetch);
                }
            }
            if many
                && let Some(ahead) = order.get(now + MIDDLE)
                && ahead.group != entered
            {
                entered = ahead.group;
                key(entered).and_then(|key| books.get(key)).into_iter().for_each(|listed| listed.book.prefetch_front());
            }
            if many
                && let Some(ahead) = order.get(now + NEAR)
                && let Some(listed) = key(ahead.group).and_then(|key| books.get(key))
            {
                listed.prefetch_for(&messages[ahead.index as usize]);
            }
            let start = log.len() as u32;
            match key(group).and_then(|key| books.get_mut(key)) {
                Some(listed) => listed.carry_out(&messages[index as usize], log),
                None => log.push(Event::Refused(Refusal::UnknownBook)),
            }
            spans[at as usize] = Span { start, end: log.len() as u32 };
        }
    }

    /// The events of this shard's message number `at` of the last batch.
    pub(super) fn events(&self, at: usize) -> &[Event] {
        let Span { start, end } = self.spans[at];
        &self.log[start as usize..end as usize]
    }

    /// Number of events of the last batch.
    pub(super) fn logged(&self) -> usize {
        self.log.len()
    }
}

/// Key of a group's book.
#[inline(always)]
fn key(group: u32) -> Option<usize> {
    (group as usize).checked_sub(1)
}
