//! What an engine is: commands in, events out, reads from current state. Both engines implement [`Engine`]; the account
//! side is a trait of its own, [`Ledger`], so that the ladder can change the book and the balances one at a time.

mod audit;
mod ledger;
mod probed;
mod restore;
mod view;

pub use audit::{audit, state_digest};
pub use ledger::{
    AccountRecord, Balances, Escrow, Ledger, Settlement, apply_to_ledger, escrow_of, fee, insufficient, open_genesis,
};
pub use probed::Probed;
pub use restore::{AccountCheck, OrderCheck, RestoreError};
pub use view::{BestPrices, LevelView, MarketStats, OrderView};

use crate::command::Batch;
use crate::event::EventLog;
use crate::measure::Probe;
use crate::types::{AccountId, Rules, Side, Token};

/// An energy market with its ledger. A deterministic state machine: the same commands give the same events and state.
pub trait Engine: Clone + Send + Sync + 'static {
    /// What looks at the thread that carries commands out; [`Off`](crate::measure::Off) for all engines but those over [`Probed`].
    type Probe: Probe;

    /// An engine at genesis: the operator's account is open and holds all GRID.
    ///
    /// # Panics
    /// If [`Rules::validate`] refuses the rules.
    fn new(rules: Rules) -> Self;

    /// An engine with the parts of another one that has the same rules: the same commands then cause the same events. The
    /// parts are the other's [`stats`](Self::stats), its accounts in order of their ids, and its resting orders as
    /// [`for_each_order`](Self::for_each_order) shows them: all bids, best first and oldest first within a price, then all
    /// asks in the same way. A supply is the sum of its token's balances. Balances are in the tokens' smallest units, prices
    /// in ticks, quantities in Wh.
    ///
    /// An engine that remembers which accounts changed starts with none. Memory is reserved for as many accounts and orders as
    /// the iterators say at least, and the rules allow.
    ///
    /// What the parts do not show, the caller answers for: which of two orders of one price is older, and that every later
    /// command's sequence is larger than every order's id.
    ///
    /// # Errors
    /// The first reason why no engine with these rules can have these parts. The reason does not depend on the engine.
    fn restore(
        rules: Rules,
        stats: MarketStats,
        accounts: impl Iterator<Item = AccountRecord>,
        orders: impl Iterator<Item = (Side, OrderView)>,
    ) -> Result<Self, RestoreError>;

    /// The rules it was made with.
    fn rules(&self) -> &Rules;

    /// Carries out the commands in order and appends what each caused to `log`. Returns how many were accepted.
    fn apply(&mut self, batch: Batch<'_>, log: &mut EventLog) -> u32;

    /// Best bid and ask.
    fn best(&self) -> BestPrices;

    /// Shows `read` the best `levels` price levels of each side, best first: bids, then asks.
    fn with_depth<R>(&self, levels: usize, read: impl FnOnce(&[LevelView], &[LevelView]) -> R) -> R;

    /// Writes the best price levels of a side to `out`, best first, and returns how many there were.
    fn depth_into(&self, side: Side, out: &mut [LevelView]) -> usize;

    /// An account's balances, or `None` if it is not open.
    fn balances(&self, account: AccountId) -> Option<Balances>;

    /// What the market has done since genesis.
    fn stats(&self) -> MarketStats;

    /// Number of open accounts; their ids are `0..accounts()`.
    fn accounts(&self) -> u32;

    /// Appends the records of accounts that may have changed since the last call, in any order, each once.
    fn take_changed(&mut self, out: &mut Vec<AccountRecord>);

    /// Shows every resting order of a side in price-time order.
    fn for_each_order(&self, side: Side, see: impl FnMut(OrderView));

    /// An account's record as the state root commits to it, or `None` if it is not open.
    fn record(&self, account: AccountId) -> Option<AccountRecord>;

    /// Supply of a token: what was created less what was destroyed.
    fn supply(&self, token: Token) -> u64;
}
