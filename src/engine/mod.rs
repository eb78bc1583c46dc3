//! What an engine is: commands in, events out, reads from current state. Both engines implement [`Engine`]; the account
//! side is a trait of its own, [`Ledger`], so that the ladder can change the book and the balances one at a time.

mod audit;
mod ledger;
mod view;

pub use audit::{audit, state_digest};
pub use ledger::{
    AccountRecord, Balances, Escrow, Ledger, Settlement, apply_to_ledger, escrow_of, fee, insufficient, open_genesis,
};
pub use view::{BestPrices, LevelView, MarketStats, OrderView};

use crate::command::Batch;
use crate::event::EventLog;
use crate::types::{AccountId, Rules, Side, Token};

/// An energy market with its ledger. A deterministic state machine: the same commands give the same events and state.
pub trait Engine: Clone + Send + Sync + 'static {
    /// An engine at genesis: the operator's account is open and holds all GRID.
    ///
    /// # Panics
    /// If [`Rules::validate`] refuses the rules.
    fn new(rules: Rules) -> Self;

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
