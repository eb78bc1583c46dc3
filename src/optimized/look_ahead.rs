//! Looking ahead in a batch: asks for the memory of commands to come while those before them are carried out.
//!
//! A market that outgrows the caches spends most of its time waiting for memory: a command touches an entry of the id table,
//! an account's balances, and an order between two others or a level and its last order, each at a random place. What is needed is
//! known from the command alone, or one step later, or two. So it is fetched in three stages, group by group:
//!
//! ```text
//! two groups ahead:  id entry, balances
//! one group ahead:   id entry -> order;  price -> level;  the orders at the front, and whose they are
//! the group itself:  order -> the orders beside it, its level;  level -> its last order
//! ```
//!
//! Whether a command places an order or names one, nobody can predict, and a wrong guess takes longer than the hints for it. So each
//! group is first divided into those that place and the others, by counting and not by branching; then each loop runs over one kind.

use super::list::List;
use super::market::Market;
use super::prefetch::prefetch;
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
    /// The orders that the next group names.
    named: List<OrderId, GROUP>,
    /// Where in the book the orders would stand that it places.
    places: List<u32, GROUP>,
    /// The orders and levels that the group to be carried out now probably leads to.
    found: List<u32, GROUP>,
}

impl<L: Ledger> Market<L> {
    /// For a batch of so many commands, if hints pay there.
    pub(super) fn look_ahead(&self, batch: Batch<'_>) -> Option<LookAhead> {
        // An order with its id and its place in a level, and two balances that orders touch.
        let bytes = 48 * self.book.len() + 32 * self.ledger.accounts() as usize;
        if bytes <= CACHE_BYTES || batch.commands.len() <= GROUP {
            return None;
        }
        let mut look = LookAhead { named: List::of(OrderId(0)), places: List::of(0), found: List::of(0) };
        self.fetch_named(&mut look, batch, 0);
        self.fetch_found(&mut look);
        self.fetch_named(&mut look, batch, 1);
        Some(look)
    }

    /// Fetches for the two groups behind the one that is about to be carried out.
    pub(super) fn fetch_behind(&self, look: &mut LookAhead, batch: Batch<'_>, group: usize) {
        // Third stage, for the group itself.
        look.found.iter().for_each(|slot| self.book.prefetch_neighbours(slot));
        self.fetch_found(look);
        self.fetch_named(look, batch, group + 2);
    }

    /// First stage, two groups ahead: what the commands name.
    fn fetch_named(&self, look: &mut LookAhead, batch: Batch<'_>, group: usize) {
        let start = (group * GROUP).min(batch.commands.len());
        let commands = &batch.commands[start..(start + GROUP).min(batch.commands.len())];
        let (mut placing, mut others) = (List::<_, GROUP>::of(0u8), List::<_, GROUP>::of(0u8));
        for (at, command) in commands.iter().enumerate() {
            let places = matches!(command, Command::Place(_));
            placing.push_if(places, at as u8);
            others.push_if(!places, at as u8);
            // Commands are read one after the other, but the CPU does not look beyond a page.
            prefetch(batch.commands, start + GROUP + at);
        }
        look.places.clear();
        look.named.clear();
        let first = batch.first + start as Sequence;
        for at in placing.iter() {
            if let Command::Place(NewOrder { account, side, limit: Some(price), .. }) = commands[at as usize] {
                self.ids.prefetch(OrderId(first + Sequence::from(at)));
                self.ledger.prefetch(account);
                look.places.push(self.book.place_hint(side, price));
            }
        }
        for at in others.iter() {
            if let Command::Cancel { account, order } | Command::Replace { account, order, .. } = commands[at as usize]
            {
                self.ids.prefetch(order);
                self.ledger.prefetch(account);
                look.named.push(order);
            }
        }
    }

    /// Second stage, one group ahead: what that leads to, and whom the group may trade with.
    fn fetch_found(&self, look: &mut LookAhead) {
        look.found.clear();
        for order in look.named.iter() {
            let handle = self.ids.guess(order);
            self.book.prefetch(handle);
            look.found.push(handle);
        }
        for place in look.places.iter() {
            let level = self.book.level_hint(place);
            self.book.prefetch(level);
            look.found.push(level);
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
