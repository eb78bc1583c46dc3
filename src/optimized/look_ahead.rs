//! Looking ahead in a batch: asks for the memory of commands to come while those before them are carried out.
//!
//! A market that outgrows the caches spends most of its time waiting for memory: a command touches an entry of the id table,
//! an order and an account's balances, each at a random place. What is needed is known from the command alone, or one step
//! later, so it is fetched in two stages, group by group: while one group of commands is carried out, the next one waits
//! for the orders that it names, and the one after that for its entries of the id table and its balances.
//!
//! The loops ask for the same of every command, needed or not: a hint costs less than a branch that nobody can predict.

use super::market::Market;
use crate::command::{Batch, Command, NewOrder};
use crate::engine::Ledger;
use crate::types::{AccountId, OrderId, Sequence, Side};

/// Commands that are fetched for together: a group takes longer than a memory access, and what was fetched for two groups
/// fits the first-level cache.
pub(super) const GROUP: usize = 32;

/// Bytes of orders, ids and balances above which looking ahead pays: somewhat more than a second-level cache. Below it, the
/// hints cost about 8 ns a command and gain nothing.
const CACHE_BYTES: usize = 3 << 20;

/// Orders at the front of a side that the next group may trade with: fetched whole, and fetched with their accounts.
const FRONT_ORDERS: usize = 8;
const FRONT_ACCOUNTS: usize = 4;

/// What looking ahead remembers from group to group.
pub(super) struct LookAhead {
    /// The orders that the next group names, so that its commands are not told apart again: nobody can predict which they
    /// are.
    named: [OrderId; GROUP],
    /// Where the orders of the group to be carried out now probably are.
    found: [u32; GROUP],
}

impl<L: Ledger> Market<L> {
    /// For a batch of so many commands, if hints pay there.
    pub(super) fn look_ahead(&self, batch: Batch<'_>) -> Option<LookAhead> {
        // An order with its id and its place in a level, and two balances that orders touch.
        let bytes = 48 * self.book.len() + 32 * self.ledger.accounts() as usize;
        if bytes <= CACHE_BYTES || batch.commands.len() <= GROUP {
            return None;
        }
        let mut look = LookAhead { named: [OrderId(0); GROUP], found: [0; GROUP] };
        self.fetch_named(&mut look, batch, 0);
        self.fetch_found(&mut look);
        self.fetch_named(&mut look, batch, 1);
        Some(look)
    }

    /// Fetches for the two groups behind the one that is about to be carried out.
    pub(super) fn fetch_behind(&self, look: &mut LookAhead, batch: Batch<'_>, group: usize) {
        self.fetch_neighbours(look);
        self.fetch_found(look);
        self.fetch_named(look, batch, group + 2);
    }

    /// First stage, two groups ahead: what the commands name.
    fn fetch_named(&self, look: &mut LookAhead, batch: Batch<'_>, group: usize) {
        let start = (group * GROUP).min(batch.commands.len());
        let commands = &batch.commands[start..(start + GROUP).min(batch.commands.len())];
        for ((sequence, command), named) in (batch.first + start as Sequence..).zip(commands).zip(&mut look.named) {
            let (account, order) = subject(sequence, command);
            self.ids.prefetch(order);
            self.ledger.prefetch(account);
            *named = order;
        }
    }

    /// Third stage, for the group itself: the orders beside these, and their levels.
    fn fetch_neighbours(&self, look: &LookAhead) {
        look.found.iter().for_each(|&handle| self.book.prefetch_neighbours(handle));
    }

    /// Second stage, one group ahead: what that leads to, and whom the group may trade with.
    fn fetch_found(&self, look: &mut LookAhead) {
        for (&order, found) in look.named.iter().zip(&mut look.found) {
            *found = self.ids.guess(order);
            self.book.prefetch(*found);
        }
        for side in Side::BOTH {
            for (at, handle) in self.book.front_handles(side).take(FRONT_ORDERS).enumerate() {
                self.book.prefetch(handle);
                if at < FRONT_ACCOUNTS
                    && let Some(tag) = self.book.tag(handle)
                {
                    self.ids.prefetch(OrderId(tag.0));
                    self.ledger.prefetch(AccountId(tag.1));
                }
            }
        }
    }
}

/// Whose balances a command needs, and which order's id: its own where it places one.
#[inline(always)]
fn subject(sequence: Sequence, command: &Command) -> (AccountId, OrderId) {
    match *command {
        Command::Cancel { account, order } | Command::Replace { account, order, .. } => (account, order),
        Command::Place(NewOrder { account, .. }) => (account, OrderId(sequence)),
        _ => (AccountId::OPERATOR, OrderId(sequence)),
    }
}
