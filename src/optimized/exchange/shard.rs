//! The books of one core.

use super::listed::Listed;
use super::terms::{Action, Event, Message, Refusal};
use crate::optimized::book::Book;
use crate::optimized::list::List;
use crate::optimized::prefetch::prefetch;
use slab::Slab;
use std::ops::Range;

/// The shard that refuses what is sent to slots without a book.
pub(super) const ANSWERS_FOR_NOBODY: usize = 0;

/// Groups of messages: one for no book, then the books by their keys; and a mark for what others do.
const NOBODY: u32 = 0;
const ELSEWHERE: u32 = u32::MAX;

/// How many messages ahead a message and the book that it is for are asked for, the way into that book, and what the message needs
/// of it.
const FAR: u32 = 48;
const MIDDLE: u32 = 32;
const NEAR: u32 = 16;

/// Messages of one book that are fetched for together, at most.
const RUN: u32 = 16;

/// Books of a shard that the second-level cache holds: some 30 KiB each. Where there are no more of them, asking
/// for what a message needs of its book gains nothing and costs up to 1.3 ns (with one book).
const BOOKS_CACHED: usize = 30;

/// A message of the batch that is this shard's.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// Where in the batch.
    index: u32,
    group: u32,
}

/// Messages of a group, one behind the other in `order`.
#[derive(Clone, Copy, Debug)]
struct Run {
    group: u32,
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
    /// By group: how many messages it has; then, where the next one goes in `order`.
    next: Vec<u32>,
    /// Where this shard's messages are in the batch, group by group.
    order: Vec<u32>,
    /// All of `order`, group by group.
    runs: Vec<Run>,
    /// Where each of `own` is in `order`.
    at: Vec<u32>,
    /// Events, in the order of `order`.
    log: Vec<Event>,
    /// Where the events of each message of `order` end in the log.
    ends: Vec<u32>,
}

impl Shard {
    pub(super) fn new(number: usize) -> Self {
        Shard {
            books: Slab::new(),
            groups: Vec::new(),
            beyond: if number == ANSWERS_FOR_NOBODY { NOBODY } else { ELSEWHERE },
            own: Vec::new(),
            next: Vec::new(),
            order: Vec::new(),
            runs: Vec::new(),
            at: Vec::new(),
            log: Vec::new(),
            ends: Vec::new(),
        }
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
        self.carry_out(messages);
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
        let Shard { books, own: all, next, order, runs, at, ends, .. } = self;
        let own = &all[..own];
        let places = order.len().max(own.len());
        [&mut *order, &mut *at, &mut *ends].into_iter().for_each(|column| column.resize(places, 0));
        next.clear();
        next.resize(books.capacity() + 1, 0);
        own.iter().for_each(|own| next[own.group as usize] += 1);
        runs.clear();
        let mut end = 0;
        for (group, next) in (0..).zip(next.iter_mut()) {
            let mut start = end;
            end += std::mem::replace(next, start);
            while end - start > RUN {
                runs.push(Run { group, start, end: start + RUN });
                start += RUN;
            }
            // Whether a group has messages in a short batch, nobody can predict.
            runs.push(Run { group, start, end });
            runs.truncate(runs.len() - usize::from(start == end));
        }
        for (own, at) in own.iter().zip(at) {
            let next = &mut next[own.group as usize];
            order[*next as usize] = own.index;
            *at = *next;
            *next += 1;
        }
    }

    /// Carries out this shard's messages, group by group, and asks for the memory of those to come.
    fn carry_out(&mut self, messages: &[Message]) {
        let Shard { books, order, runs, log, ends, .. } = self;
        let many = books.len() > BOOKS_CACHED;
        let [mut far, mut middle, mut near] = std::array::from_fn(|_| runs.iter().peekable());
        log.clear();
        for run in runs.iter() {
            while let Some(ahead) = far.next_if(|ahead| ahead.start < run.end + FAR) {
                // Neighbours in a group are far from each other in the batch.
                order[ahead.range()].iter().for_each(|&index| prefetch(messages, index as usize));
                if many {
                    ahead.listed(books).into_iter().for_each(Listed::prefetch);
                }
            }
            if many {
                while let Some(ahead) = middle.next_if(|ahead| ahead.start < run.end + MIDDLE) {
                    ahead.listed(books).into_iter().for_each(Listed::prefetch_way);
                }
                while let Some(ahead) = near.next_if(|ahead| ahead.start < run.end + NEAR) {
                    let listed = ahead.listed(books);
                    listed.into_iter().for_each(|listed| ask_for_needs(listed, &order[ahead.range()], messages));
                }
            }
            let listed = key(run.group).and_then(|key| books.get_mut(key));
            let ends = &mut ends[run.range()];
            if let Some(listed) = listed {
                for (&index, end) in order[run.range()].iter().zip(ends) {
                    listed.carry_out(&messages[index as usize], log);
                    *end = log.len() as u32;
                }
            } else {
                for end in ends {
                    log.push(Event::Refused(Refusal::UnknownBook));
                    *end = log.len() as u32;
                }
            }
        }
    }

    /// The events of this shard's message number `at` of the last batch.
    pub(super) fn events(&self, at: usize) -> &[Event] {
        let at = self.at[at] as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.log[start as usize..self.ends[at] as usize]
    }

    /// Number of events of the last batch.
    pub(super) fn logged(&self) -> usize {
        self.log.len()
    }
}

impl Run {
    #[inline(always)]
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    #[inline(always)]
    fn listed(self, books: &Slab<Listed>) -> Option<&Listed> {
        key(self.group).and_then(|key| books.get(key))
    }
}

/// Asks for what the messages of a run will need of their book. A wrong guess which of them place an order takes longer than the hints.
fn ask_for_needs(listed: &Listed, indices: &[u32], messages: &[Message]) {
    listed.prefetch_free();
    let mut placing = List::<_, { RUN as usize }>::of(0);
    for &index in indices {
        let message = &messages[index as usize];
        listed.prefetch_id(message);
        placing.push_if(matches!(message.action, Action::Place(_)), index);
    }
    placing.iter().for_each(|index| listed.prefetch_price(&messages[index as usize]));
}

/// Key of a group's book.
#[inline(always)]
fn key(group: u32) -> Option<usize> {
    (group as usize).checked_sub(1)
}
