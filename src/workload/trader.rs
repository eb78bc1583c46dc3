//! One of many clients.

use super::Random;
use super::population::{BAND, MID, Population, energy, limit_order};
use crate::command::Command;
use crate::types::{AccountId, OrderId, Sequence, Side};
use std::collections::VecDeque;

/// Orders that a trader remembers, so that it can cancel them.
const REMEMBERED_MAX: usize = 10_000;

/// A client that places orders (67 %) and cancels its own (33 %) for its share of the accounts. It sees no market: an order that it
/// cancels may have been filled, and the cancel is refused then, as happens to clients.
#[derive(Clone, Debug)]
pub struct Trader {
    population: Population,
    random: Random,
    number: u32,
    of: u32,
    /// What it asked and was not answered yet, oldest first: the account of an order, or nothing for a cancel.
    asked: VecDeque<Option<AccountId>>,
    orders: Vec<(OrderId, AccountId)>,
}

impl Trader {
    /// Number `number` of `of` traders, from 0.
    ///
    /// # Panics
    /// If there are more traders than accounts.
    pub fn new(population: Population, number: u32, of: u32) -> Self {
        assert!(number < of && of <= population.users, "trader {number} of {of} for {} accounts", population.users);
        let random = Random::new(population.seed, 1_000 + u64::from(number));
        Trader { population, random, number, of, asked: VecDeque::new(), orders: Vec::new() }
    }

    /// What it asks next.
    pub fn ask(&mut self) -> Command {
        let random = &mut self.random;
        if random.percent(33) && !self.orders.is_empty() {
            let (order, account) = self.orders.swap_remove(random.below(self.orders.len() as u64) as usize);
            self.asked.push_back(None);
            return Command::Cancel { account, order };
        }
        let mine = (self.population.users - self.number).div_ceil(self.of);
        let account = AccountId(1 + self.number + self.of * random.below(u64::from(mine)) as u32);
        let side = if random.percent(50) { Side::Buy } else { Side::Sell };
        // A little over the middle, so that orders meet.
        let price = match side {
            Side::Buy => random.between(MID - BAND, MID + BAND / 5),
            Side::Sell => random.between(MID - BAND / 5, MID + BAND),
        };
        self.asked.push_back(Some(account));
        Command::Place(limit_order(account, side, price, energy(random)))
    }

    /// The oldest request that was not answered got this sequence, which is its order's id if it was an order.
    ///
    /// # Panics
    /// If there is none.
    pub fn answered(&mut self, sequence: Sequence) {
        let account = self.asked.pop_front().expect("answers come to requests");
        if let Some(account) = account
            && self.orders.len() < REMEMBERED_MAX
        {
            self.orders.push((OrderId(sequence), account));
        }
    }

    /// The newest request was not taken: it will get no answer.
    ///
    /// # Panics
    /// If there is none.
    pub fn refused(&mut self) {
        self.asked.pop_back().expect("only what was asked is refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traders_use_accounts_of_their_own_and_cancel_their_own_orders() {
        let population = Population { users: 10, orders: 0, seed: 42 };
        let mut seen = [0u32; 11];
        for number in 0..3 {
            let mut trader = Trader::new(population, number, 3);
            let mut placed = std::collections::HashMap::new();
            let mut cancels = 0;
            for sequence in 1..=1_000 {
                match trader.ask() {
                    Command::Place(order) => {
                        assert_eq!((order.account.0 - 1) % 3, number);
                        seen[order.account.index()] += 1;
                        placed.insert(OrderId(sequence), order.account);
                    }
                    Command::Cancel { account, order } => {
                        assert_eq!(placed.remove(&order), Some(account), "its own, and once");
                        cancels += 1;
                    }
                    other => panic!("{other:?}"),
                }
                if sequence % 10 == 0 {
                    trader.refused();
                } else {
                    trader.answered(sequence);
                }
            }
            assert!((280..380).contains(&cancels), "{cancels}");
        }
        assert!(seen[1..].iter().all(|&orders| orders > 0), "{seen:?}");
    }
}
