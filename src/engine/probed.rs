//! A ledger that says when it is at work: so its time is told from the market's.

use super::{AccountRecord, Balances, Escrow, Ledger, RestoreError, Settlement};
use crate::event::Reject;
use crate::measure::{Probe, Sampled};
use crate::types::{AccountId, Address, Rules, Token};

/// The ledger `L`, looked at by [`Sampled`]. An engine over it does the same, at nearly the same speed.
#[derive(Clone)]
pub struct Probed<L>(L);

impl<L: Ledger> Probed<L> {
    #[inline(never)]
    fn lock_looked_at(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.lock(token, account, amount))
    }

    #[inline(never)]
    fn unlock_looked_at(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.unlock(token, account, amount))
    }

    #[inline(never)]
    fn escrow_looked_at(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.escrow(account, old, new))
    }

    #[inline(never)]
    fn settle_looked_at(&mut self, settlement: Settlement) {
        Sampled::tokens(|| self.0.settle(&settlement));
    }
}

impl<L: Ledger> Ledger for Probed<L> {
    type Probe = Sampled;

    fn new(rules: &Rules) -> Self {
        Probed(L::new(rules))
    }

    fn restore(rules: &Rules, accounts: impl Iterator<Item = AccountRecord>) -> Result<Self, RestoreError> {
        L::restore(rules, accounts).map(Probed)
    }

    #[inline(always)]
    fn accounts(&self) -> u32 {
        self.0.accounts()
    }

    fn open(&mut self, address: &Address) -> Result<AccountId, Reject> {
        Sampled::tokens(|| self.0.open(address))
    }

    fn record(&self, account: AccountId) -> Option<AccountRecord> {
        self.0.record(account)
    }

    #[inline(always)]
    fn balances(&self, account: AccountId) -> Option<Balances> {
        self.0.balances(account)
    }

    fn supply(&self, token: Token) -> u64 {
        self.0.supply(token)
    }

    fn create(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.create(token, account, amount))
    }

    fn destroy(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.destroy(token, account, amount))
    }

    fn transfer(&mut self, token: Token, from: AccountId, to: AccountId, amount: u64) -> Result<(), Reject> {
        Sampled::tokens(|| self.0.transfer(token, from, to, amount))
    }

    #[inline(always)]
    fn prefetch(&self, account: AccountId) {
        self.0.prefetch(account);
    }

    // These four are on the path of every order. Their looked-at forms are functions of their own, so that the path is the same.

    #[inline(always)]
    fn lock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        if Sampled::looks_at_tokens() {
            self.lock_looked_at(token, account, amount)
        } else {
            self.0.lock(token, account, amount)
        }
    }

    #[inline(always)]
    fn unlock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        if Sampled::looks_at_tokens() {
            self.unlock_looked_at(token, account, amount)
        } else {
            self.0.unlock(token, account, amount)
        }
    }

    #[inline(always)]
    fn escrow(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject> {
        if Sampled::looks_at_tokens() {
            self.escrow_looked_at(account, old, new)
        } else {
            self.0.escrow(account, old, new)
        }
    }

    #[inline(always)]
    fn settle(&mut self, settlement: &Settlement) {
        if Sampled::looks_at_tokens() { self.settle_looked_at(*settlement) } else { self.0.settle(settlement) }
    }

    fn take_changed(&mut self, out: &mut Vec<AccountRecord>) {
        self.0.take_changed(out);
    }
}
