//! Balances as a struct of arrays: one column per token, indexed by the dense account id.
//!
//! What an order moves is always between the two halves of one token's balance, so these stand side by side: with many
//! accounts, a touched column is a cache miss.

use super::prefetch::prefetch;
use crate::engine::{AccountCheck, AccountRecord, Balances, Escrow, Ledger, RestoreError, Settlement, insufficient};
use crate::event::Reject;
use crate::measure::Off;
use crate::types::{AccountId, Address, Rules, Token};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::hint::black_box;

const WATT: usize = Token::Watt as usize;
const ENERGY: usize = Token::Energy as usize;

/// One account's balance of one token.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    available: u64,
    locked: u64,
}

const _: () = assert!(size_of::<Balance>() == 16);

/// The optimized ledger.
///
/// Per account: 48 bytes of balances, 32 of address, 5 to 10 of address index, 1 flag and 4 in the list of changed
/// accounts. The address index hashes with a random key, because addresses are chosen by users; no result depends on it.
#[derive(Clone)]
pub struct Columns {
    tokens: [Vec<Balance>; 3],
    addresses: Vec<Address>,
    by_address: HashTable<u32>,
    hash_builder: DefaultHashBuilder,
    supply: [u64; 3],
    accounts_max: u32,
    /// Whether an account is in `changed`.
    is_changed: Vec<bool>,
    changed: Vec<u32>,
}

impl Columns {
    /// Bytes that are allocated.
    pub fn memory(&self) -> usize {
        fn of<T>(column: &Vec<T>) -> usize {
            column.capacity() * size_of::<T>()
        }
        let tokens: usize = self.tokens.iter().map(of).sum();
        let lists = of(&self.addresses) + of(&self.is_changed) + of(&self.changed);
        size_of::<Self>() + tokens + lists + self.by_address.allocation_size()
    }

    #[inline(always)]
    fn mark(&mut self, account: AccountId) {
        let flag = &mut self.is_changed[account.index()];
        if !*flag {
            *flag = true;
            self.changed.push(account.0);
        }
    }
}

/// Addresses that are looked for together before any of them is put into the index.
const TOGETHER: usize = 32;

/// The index of many addresses at once. Each goes to a random place in memory. Searches do not wait for each other, so one
/// for each of a group, which may find nothing, loads the places of all at once: it takes half the time.
fn index(addresses: &[Address], hash_builder: &DefaultHashBuilder) -> Result<HashTable<u32>, RestoreError> {
    let mut by_address = HashTable::with_capacity(addresses.len());
    let mut hashes = [0; TOGETHER];
    for (group, start) in addresses.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
        for (hash, address) in hashes.iter_mut().zip(group) {
            *hash = hash_builder.hash_one(address);
            black_box(by_address.find(*hash, |_| false));
        }
        for ((&hash, address), id) in hashes.iter().zip(group).zip(start..) {
            let same = |&other: &u32| addresses[other as usize] == *address;
            match by_address.entry(hash, same, |&other| hash_builder.hash_one(addresses[other as usize])) {
                Entry::Occupied(first) => {
                    return Err(RestoreError::AddressTwice { first: AccountId(*first.get()), second: AccountId(id) });
                }
                Entry::Vacant(place) => place.insert(id),
            };
        }
    }
    Ok(by_address)
}

/// Takes `amount` from a balance if it is there.
#[inline(always)]
fn take(balance: &mut u64, token: Token, amount: u64) -> Result<(), Reject> {
    *balance = balance.checked_sub(amount).ok_or(insufficient(token))?;
    Ok(())
}

impl Ledger for Columns {
    type Probe = Off;

    fn new(rules: &Rules) -> Self {
        Columns {
            tokens: Default::default(),
            addresses: Vec::new(),
            by_address: HashTable::new(),
            hash_builder: DefaultHashBuilder::default(),
            supply: [0; 3],
            accounts_max: rules.limits.accounts,
            is_changed: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn restore(rules: &Rules, accounts: impl Iterator<Item = AccountRecord>) -> Result<Self, RestoreError> {
        let room = accounts.size_hint().0.min(rules.limits.accounts as usize);
        let mut tokens = [(); 3].map(|()| Vec::with_capacity(room));
        let mut addresses: Vec<Address> = Vec::with_capacity(room);
        let mut check = AccountCheck::new(rules);
        for record in accounts {
            check.see(&record)?;
            addresses.push(record.address);
            let Balances { available, locked } = record.balances;
            for (token, column) in tokens.iter_mut().enumerate() {
                column.push(Balance { available: available[token], locked: locked[token] });
            }
        }
        let supply = check.finish()?;
        let hash_builder = DefaultHashBuilder::default();
        let by_address = index(&addresses, &hash_builder)?;
        let open = addresses.len();
        // As when accounts are opened one by one: marking one never allocates.
        let (is_changed, changed) = (vec![false; open], Vec::with_capacity(open));
        let accounts_max = rules.limits.accounts;
        Ok(Columns { tokens, addresses, by_address, hash_builder, supply, accounts_max, is_changed, changed })
    }

    #[inline(always)]
    fn accounts(&self) -> u32 {
        self.addresses.len() as u32
    }

    fn open(&mut self, address: &Address) -> Result<AccountId, Reject> {
        let Columns { addresses, by_address, hash_builder, .. } = self;
        let hash = hash_builder.hash_one(address);
        if by_address.find(hash, |&id| addresses[id as usize] == *address).is_some() {
            return Err(Reject::AddressInUse);
        }
        let id = addresses.len() as u32;
        if id == self.accounts_max {
            return Err(Reject::AccountLimit);
        }
        addresses.push(*address);
        by_address.insert_unique(hash, id, |&id| hash_builder.hash_one(addresses[id as usize]));
        self.tokens.iter_mut().for_each(|column| column.push(Balance::default()));
        self.is_changed.push(false);
        // Room for every account, so that marking one never allocates later.
        self.changed.reserve(self.is_changed.len() - self.changed.len());
        self.mark(AccountId(id));
        Ok(AccountId(id))
    }

    fn record(&self, account: AccountId) -> Option<AccountRecord> {
        let balances = self.balances(account)?;
        Some(AccountRecord { account, address: self.addresses[account.index()], balances })
    }

    #[inline(always)]
    fn balances(&self, account: AccountId) -> Option<Balances> {
        let at = account.index();
        if at >= self.addresses.len() {
            return None;
        }
        let [watt, energy, grid] = [0, 1, 2].map(|token: usize| self.tokens[token][at]);
        Some(Balances {
            available: [watt.available, energy.available, grid.available],
            locked: [watt.locked, energy.locked, grid.locked],
        })
    }

    fn supply(&self, token: Token) -> u64 {
        self.supply[token as usize]
    }

    fn create(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        let supply = self.supply[token as usize].checked_add(amount).ok_or(Reject::SupplyLimit)?;
        self.supply[token as usize] = supply;
        self.tokens[token as usize][account.index()].available += amount;
        self.mark(account);
        Ok(())
    }

    fn destroy(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        take(&mut self.tokens[token as usize][account.index()].available, token, amount)?;
        self.supply[token as usize] -= amount;
        self.mark(account);
        Ok(())
    }

    fn transfer(&mut self, token: Token, from: AccountId, to: AccountId, amount: u64) -> Result<(), Reject> {
        let column = &mut self.tokens[token as usize];
        take(&mut column[from.index()].available, token, amount)?;
        column[to.index()].available += amount;
        self.mark(from);
        self.mark(to);
        Ok(())
    }

    #[inline(always)]
    fn lock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        let balance = &mut self.tokens[token as usize][account.index()];
        take(&mut balance.available, token, amount)?;
        balance.locked += amount;
        self.mark(account);
        Ok(())
    }

    #[inline(always)]
    fn unlock(&mut self, token: Token, account: AccountId, amount: u64) -> Result<(), Reject> {
        let balance = &mut self.tokens[token as usize][account.index()];
        take(&mut balance.locked, token, amount)?;
        balance.available += amount;
        self.mark(account);
        Ok(())
    }

    #[inline(always)]
    fn prefetch(&self, account: AccountId) {
        prefetch(&self.tokens[WATT], account.index());
        prefetch(&self.tokens[ENERGY], account.index());
        prefetch(&self.is_changed, account.index());
    }

    #[inline(always)]
    fn escrow(&mut self, account: AccountId, old: Escrow, new: Escrow) -> Result<(), Reject> {
        let at = account.index();
        // Columns that do not move are not touched. No sum overflows: available and locked are both part of a supply that
        // fits 64 bits.
        let (moves_watt, moves_energy) = (old.watt | new.watt != 0, old.energy | new.energy != 0);
        if moves_watt && self.tokens[WATT][at].available + old.watt < new.watt {
            return Err(Reject::InsufficientWatt);
        }
        if moves_energy {
            let energy = &mut self.tokens[ENERGY][at];
            if energy.available + old.energy < new.energy {
                return Err(Reject::InsufficientEnergy);
            }
            energy.available = energy.available + old.energy - new.energy;
            energy.locked = energy.locked - old.energy + new.energy;
        }
        if moves_watt {
            let watt = &mut self.tokens[WATT][at];
            watt.available = watt.available + old.watt - new.watt;
            watt.locked = watt.locked - old.watt + new.watt;
        }
        self.mark(account);
        Ok(())
    }

    #[inline(always)]
    fn settle(&mut self, settlement: &Settlement) {
        let Settlement { buyer, seller, wh, cost, fee, buyer_release, seller_release } = *settlement;
        let energy = u64::from(wh);
        // A negative cost turns the money around; adding first keeps every step at or above zero.
        let (buyer_pays, seller_pays) = (cost.max(0) as u64, cost.min(0).unsigned_abs());
        let watt = &mut self.tokens[WATT];
        let buyer_watt = &mut watt[buyer.index()];
        buyer_watt.locked -= buyer_release.watt;
        buyer_watt.available = buyer_watt.available + buyer_release.watt + seller_pays - buyer_pays - fee;
        let seller_watt = &mut watt[seller.index()];
        seller_watt.locked -= seller_release.watt;
        seller_watt.available = seller_watt.available + seller_release.watt - seller_pays + buyer_pays;
        watt[AccountId::OPERATOR.index()].available += fee;
        let column = &mut self.tokens[ENERGY];
        column[buyer.index()].available += energy;
        let seller_energy = &mut column[seller.index()];
        seller_energy.locked -= seller_release.energy;
        seller_energy.available = seller_energy.available + seller_release.energy - energy;
        self.mark(buyer);
        self.mark(seller);
        self.mark(AccountId::OPERATOR);
    }

    fn take_changed(&mut self, out: &mut Vec<AccountRecord>) {
        let mut changed = std::mem::take(&mut self.changed);
        for &id in &changed {
            self.is_changed[id as usize] = false;
            out.push(self.record(AccountId(id)).expect("a changed account is open"));
        }
        changed.clear();
        self.changed = changed;
    }
}
