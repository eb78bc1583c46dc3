//! The books of one core.

use super::listed::Listed;
use super::terms::{Event, Message, Refusal};
use crate::optimized::book::Book;
use slab::Slab;
use std::ops::Range;

/// The shard that refuses what is sent to slots without a book.
pub(super) const ANSWERS_FOR_NOBODY: usize = 0;

/// Groups of messages: one for no book, then the books by their keys; and a mark for what others do.
const NOBODY: u32 = 0;
const ELSEWHERE: u32 = u32::MAX;

/// A message of the batch that is this shard's.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// Where in the batch.
    index: u32,
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
    order: Vec<u32>,
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
        let mut start = 0;
        for group in 0..self.ends.len() {
            let end = self.ends[group] as usize;
            if start < end {
                self.carry_out(group, start..end, messages);
            }
            start = end;
        }
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
            own[count] = Own { index, group };
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
        order.resize(order.len().max(own.len()), 0);
        own.iter().for_each(|own| ends[own.group as usize + 1] += 1);
        let mut sum = 0;
        for end in ends.iter_mut() {
            sum += *end;
            *end = sum;
        }
        for (at, own) in (0..).zip(own) {
            let end = &mut ends[own.group as usize];
            order[*end as usize] = at;
            *end += 1;
        }
        ends.pop();
    }

    /// Carries out a group's messages.
    fn carry_out(&mut self, group: usize, range: Range<usize>, messages: &[Message]) {
        let Shard { books, own, order, log, spans, .. } = self;
        let mut listed = (group != NOBODY as usize).then(|| &mut books[group - 1]);
        for at in order[range].iter().map(|&at| at as usize) {
            let start = log.len() as u32;
            match &mut listed {
                Some(listed) => listed.carry_out(&messages[own[at].index as usize], log),
                None => log.push(Event::Refused(Refusal::UnknownBook)),
            }
            spans[at] = Span { start, end: log.len() as u32 };
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
