//! Looking ahead in a batch: asks for the memory of commands to come while those before them are carried out.
//!
//! A market that outgrows the second-level cache spends most of its time waiting for memory: a command touches an entry of
//! the id table, an order, a level's queue and an account's balances, each at a random place. What is needed is known from
//! the command alone, or one step after another, so it is fetched in stages, each some commands later than the one before.
//! In a small market these hints cost more than they gain, and are left out.

use super::book::ArenaHint;
use super::market::Market;
use crate::command::{Batch, Command, NewOrder};
use crate::engine::Ledger;
use crate::types::{OrderId, Side};

/// How many commands ahead: first what the command names, then what that leads to, and so on.
const FAR: usize = 20;
const MIDDLE: usize = 13;
const NEAR: usize = 6;

/// Bytes of orders, ids and balances above which looking ahead pays: about a second-level cache.
const CACHE_BYTES: usize = 1 << 20;

/// What looking ahead remembers from command to command.
pub(super) struct LookAhead {
    arena: ArenaHint,
    /// The order that trades next on each side, and whether its account and id are still to be fetched.
    fronts: [(u32, bool); 2],
}

impl<L: Ledger> Market<L> {
    /// For a batch, if the market is large enough.
    pub(super) fn look_ahead(&self) -> Option<LookAhead> {
        // An order with its id and its place in a level, and two balances that orders touch.
        let bytes = 48 * self.book.len() + 32 * self.ledger.accounts() as usize;
        (bytes > CACHE_BYTES).then(|| LookAhead { arena: self.book.arena_hint(), fronts: [(u32::MAX, false); 2] })
    }

    /// Fetches for the commands that come some places after `at`.
    #[inline]
    pub(super) fn fetch_ahead(&self, look: &mut LookAhead, batch: Batch<'_>, at: usize) {
        if let Some(command) = batch.commands.get(at + FAR) {
            let (account, id) = match *command {
                Command::Cancel { account, order } | Command::Replace { account, order, .. } => (account, order),
                Command::Place(order) => (order.account, OrderId(batch.first + (at + FAR) as u64)),
                _ => return,
            };
            self.ledger.prefetch(account);
            self.ids.prefetch(id);
        }
        match batch.commands.get(at + MIDDLE) {
            Some(Command::Place(NewOrder { side, limit: Some(price), .. })) => self.book.prefetch_level(*side, *price),
            Some(Command::Cancel { order, .. } | Command::Replace { order, .. }) => {
                look.arena.prefetch(self.ids.guess(*order));
            }
            _ => {}
        }
        match batch.commands.get(at + NEAR) {
            Some(Command::Place(NewOrder { side, limit: Some(price), .. })) => self.book.prefetch_queue(*side, *price),
            Some(Command::Cancel { order, .. } | Command::Replace { order, .. }) => {
                self.book.prefetch_place(self.ids.guess(*order));
            }
            _ => {}
        }
        // Whoever trades next will trade with the first order of a side.
        for side in Side::BOTH {
            let Some(handle) = self.book.front_handle(side) else { continue };
            let (known, pending) = &mut look.fronts[side as usize];
            if *known != handle {
                (*known, *pending) = (handle, true);
                look.arena.prefetch(handle);
            } else if *pending {
                *pending = false;
                let front = self.book.get(handle).expect("the front order rests");
                self.ledger.prefetch(front.tag.account);
                self.ids.prefetch(front.tag.id);
            }
        }
    }
}
