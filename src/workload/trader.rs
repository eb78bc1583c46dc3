//! One of many clients.

use super::Random;
use super::population::{BAND, MID, Population, energy, limit_order};
use crate::command::Command;
use crate::types::{AccountId, OrderId, Sequence, Side};
use std::collections::VecDeque;

/// Orders that a trader has open, as far as it knows. With so many it cancels one before it places the next, so that a market with
/// these traders does not grow without end.
const OPEN_MAX: usize = 10_000;

/// What a trader is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Places orders (67 %), which meet others, and cancels its own (33 %).
    Trade,
    /// Places orders that rest, and cancels none; one request in a hundred opens an account.
    Build,
}

/// A client that asks for its share of the accounts. It sees no market: an order that it cancels may have been filled, and the cancel
/// is refused then, as happens to clients.
#[derive(Clone, Debug)]
pub struct Trader {
    population: Population,
    random: Random,
    number: u32,
    of: u32,
    /// What it asked and was not answered yet, oldest first.
    asked: VecDeque<Asked>,
    /// Of these, orders.
    placing: usize,
    orders: Vec<(OrderId, AccountId)>,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Place(AccountId),
    Cancel(OrderId, AccountId),
    Open,
}

impl Trader {
    /// Number `number` of `of` traders, from 0.
    ///
    /// # Panics
    /// If there are more traders than accounts.
    pub fn new(population: Population, number: u32, of: u32) -> Self {
        assert!(number < of && of <= population.users, "trader {number} of {of} for {} accounts", population.users);
        let random = Random::new(population.seed, 1_000 + u64::from(number));
        Trader { population, random, number, of, asked: VecDeque::new(), placing: 0, orders: Vec::new() }
    }

    /// What it asks next.
    pub fn ask(&mut self, habit: Habit) -> Command {
        let random = &mut self.random;
        if habit == Habit::Build && random.percent(1) {
            self.asked.push_back(Asked::Open);
            return Command::OpenAccount { address: random.bytes() };
        }
        let full = self.orders.len() + self.placing >= OPEN_MAX;
        if habit == Habit::Trade && (random.percent(33) || full) && !self.orders.is_empty() {
            let (order, account) = self.orders.swap_remove(random.below(self.orders.len() as u64) as usize);
            self.asked.push_back(Asked::Cancel(order, account));
            return Command::Cancel { account, order };
        }
        let mine = (self.population.users - self.number).div_ceil(self.of);
        let account = AccountId(1 + self.number + self.of * random.below(u64::from(mine)) as u32);
        let side = if random.percent(50) { Side::Buy } else { Side::Sell };
        // How far beyond the middle: orders meet there.
        let beyond = if habit == Habit::Trade { BAND / 5 } else { -1 };
        let price = match side {
            Side::Buy => random.between(MID - BAND, MID + beyond),
            Side::Sell => random.between(MID - beyond, MID + BAND),
        };
        self.asked.push_back(Asked::Place(account));
        self.placing += 1;
        Command::Place(limit_order(account, side, price, energy(random)))
    }

    /// The oldest request that was not answered got this sequence, which is its order's id if it was an order; and whether it was
    /// accepted.
    ///
    /// # Panics
    /// If there is none.
    pub fn answered(&mut self, sequence: Sequence, accepted: bool) {
        if let Asked::Place(account) = self.asked.pop_front().expect("answers come to requests") {
            self.placing -= 1;
            // More than it may have are there only if it builds.
            if accepted && self.orders.len() < OPEN_MAX {
                self.orders.push((OrderId(sequence), account));
            }
        }
    }

    /// The newest request was not taken: it will get no answer, and what it was to cancel is still there.
    ///
    /// # Panics
    /// If there is none.
    pub fn refused(&mut self) {
        match self.asked.pop_back().expect("only what was asked is refused") {
            Asked::Place(_) => self.placing -= 1,
            Asked::Cancel(order, account) => self.orders.push((order, account)),
            Asked::Open => {}
        }
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
                let command = trader.ask(Habit::Trade);
                match command {
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
                    if let Command::Cancel { account, order } = command {
                        placed.insert(order, account);
                    }
                } else {
                    trader.answered(sequence, true);
                }
            }
            assert!((280..380).contains(&cancels), "{cancels}");
        }
        assert!(seen[1..].iter().all(|&orders| orders > 0), "{seen:?}");
    }

    #[test]
    fn a_trader_with_many_orders_cancels_before_it_places() {
        let mut trader = Trader::new(Population { users: 10, orders: 0, seed: 42 }, 0, 1);
        let ask = |trader: &mut Trader, sequence, habit, accepted| {
            let command = trader.ask(habit);
            trader.answered(sequence, accepted);
            command
        };
        let built: Vec<Command> = (1..=20_000).map(|sequence| ask(&mut trader, sequence, Habit::Build, true)).collect();
        let opens = built.iter().filter(|command| matches!(command, Command::OpenAccount { .. })).count();
        assert!((140..260).contains(&opens), "{opens}");
        let best = |side| {
            let of = built.iter().filter_map(|command| match command {
                Command::Place(order) if order.side == side => order.limit,
                _ => None,
            });
            (of.clone().min().unwrap(), of.max().unwrap())
        };
        assert!(best(Side::Buy).1 < best(Side::Sell).0, "what is built does not trade");
        // It has as many as it may: the first request cancels, and then about every second one does.
        assert!(matches!(ask(&mut trader, 20_001, Habit::Trade, true), Command::Cancel { .. }));
        let cancels = (20_002..=30_000u64)
            .filter(|&sequence| matches!(ask(&mut trader, sequence, Habit::Trade, true), Command::Cancel { .. }))
            .count();
        assert!((4_900..5_200).contains(&cancels), "{cancels} of 9,999");
        assert!(trader.orders.len() >= OPEN_MAX - 50 && trader.orders.len() <= OPEN_MAX);
        // Many at a time, too: what is on its way counts.
        for first in (30_001..=40_000u64).step_by(50) {
            let placed = (0..50).filter(|_| matches!(trader.ask(Habit::Trade), Command::Place(_))).count();
            assert!(trader.orders.len() + placed <= OPEN_MAX, "{} and {placed}", trader.orders.len());
            (first..first + 50).for_each(|sequence| trader.answered(sequence, true));
        }
        // A cancel that was not taken leaves its order to be cancelled later.
        let before = trader.orders.len();
        let refused = (0..1_000).filter(|_| {
            let command = trader.ask(Habit::Trade);
            trader.refused();
            matches!(command, Command::Cancel { .. })
        });
        assert!(refused.count() > 300 && trader.orders.len() == before && trader.placing == 0);
        // Orders that were refused are not there to be cancelled.
        let mut refused = Trader::new(Population { users: 10, orders: 0, seed: 42 }, 0, 1);
        for sequence in 1..=1_000 {
            let command = ask(&mut refused, sequence, Habit::Trade, false);
            assert!(matches!(command, Command::Place(_)), "{command:?}");
        }
    }
}
