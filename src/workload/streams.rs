//! The operations of each scenario, made beforehand so that making them is not measured.

use super::population::{BAND, InitialOrders, MID, Population, energy, limit_order};
use super::{Query, Random};
use crate::command::{Batch, Command};
use crate::engine::Engine;
use crate::event::{Event, EventLog};
use crate::optimized::Optimized;
use crate::types::{AccountId, OrderId, Rules, Sequence, Side};
use std::collections::HashMap;

/// One operation: a read, or some commands that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A read.
    Read(Query),
    /// The next `n` commands of the stream: one order or cancel, or the two orders of a settlement.
    Commands(u32),
}

/// A scenario's work, from a fresh engine on.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The market's rules.
    pub rules: Rules,
    /// Commands that build the state at which the scenario starts.
    pub setup: Vec<Command>,
    /// The operations, in order.
    pub ops: Vec<Op>,
    /// The commands that they refer to.
    pub commands: Vec<Command>,
}

/// Share of the 10 % band by which buyers bid above the middle, and sellers ask below it. At 35 % a quarter of the orders
/// trade at once, and a deep book keeps its depth: what comes to rest (67 x 3/4) is what is filled (67 x 1/4) and cancelled
/// (33). Measured: 100,000 orders are 103,000 after 100,000 operations. A shallow book thickens, because partial fills take
/// fewer orders away: 50 become 13,900 in 200,000 operations. At 50 % they would stay at 50 to 350.
const EAGER_PERCENT: i32 = 35;

impl Stream {
    /// Reads only.
    pub fn reads(population: Population, operations: u64) -> Stream {
        let mut maker = Maker::new(population, operations, InitialOrders::InBand, 2);
        (0..operations).for_each(|_| maker.read());
        maker.finish()
    }

    /// 67 % orders and 33 % cancels, each of an order that really rests then.
    pub fn writes(population: Population, operations: u64) -> Stream {
        let mut maker = Maker::new(population, operations, InitialOrders::InBand, 3);
        (0..operations).for_each(|_| maker.write());
        maker.finish()
    }

    /// Pairs of orders that trade with each other.
    pub fn settlement(population: Population, operations: u64) -> Stream {
        let mut maker = Maker::new(population, 2 * operations, InitialOrders::OffBand, 4);
        (0..operations).for_each(|_| maker.settle(MID - BAND, MID + BAND));
        maker.finish()
    }

    /// 70 % reads, 25 % writes, 5 % settlements, in random order.
    pub fn mixed(population: Population, operations: u64) -> Stream {
        let mut maker = Maker::new(population, 2 * operations, InitialOrders::InBand, 5);
        for _ in 0..operations {
            match maker.random.below(100) {
                0..70 => maker.read(),
                70..95 => maker.write(),
                _ => maker.settle(MID, MID),
            }
        }
        maker.finish()
    }

    /// The first `operations` operations, without copying.
    pub fn prefix(&self, operations: u64) -> (&[Op], &[Command]) {
        let ops = &self.ops[..operations as usize];
        let commands: usize = ops.iter().map(|op| if let Op::Commands(n) = op { *n as usize } else { 0 }).sum();
        (ops, &self.commands[..commands])
    }
}

/// Makes a stream, with an engine beside it to know which orders rest.
struct Maker {
    population: Population,
    random: Random,
    stream: Stream,
    engine: Optimized,
    next: Sequence,
    log: EventLog,
    resting: RestingOrders,
}

impl Maker {
    fn new(population: Population, operations: u64, initial: InitialOrders, random_stream: u64) -> Self {
        let rules = population.rules(operations);
        let setup = population.setup(initial);
        let stream = Stream { rules, setup: Vec::new(), ops: Vec::new(), commands: Vec::new() };
        let mut maker = Maker {
            population,
            random: Random::new(population.seed, random_stream),
            stream,
            engine: Optimized::new(rules),
            next: 1,
            log: EventLog::default(),
            resting: RestingOrders::default(),
        };
        setup.iter().for_each(|command| maker.follow(command));
        maker.stream.setup = setup;
        maker
    }

    fn read(&mut self) {
        let query = Query::random(&mut self.random, &self.population);
        self.stream.ops.push(Op::Read(query));
    }

    fn write(&mut self) {
        let cancelled = if self.random.percent(33) { self.resting.pick(&mut self.random) } else { None };
        let command = match cancelled {
            Some((order, account)) => Command::Cancel { account, order },
            None => {
                let side = if self.random.percent(50) { Side::Buy } else { Side::Sell };
                let eager = BAND * EAGER_PERCENT / 100;
                let price = match side {
                    Side::Buy => self.random.between(MID - BAND, MID + eager),
                    Side::Sell => self.random.between(MID - eager, MID + BAND),
                };
                let account = self.population.account(&mut self.random);
                Command::Place(limit_order(account, side, price, energy(&mut self.random)))
            }
        };
        self.stream.ops.push(Op::Commands(1));
        self.push(command);
    }

    fn settle(&mut self, low: i32, high: i32) {
        let (price, wh) = (self.random.between(low, high), energy(&mut self.random));
        let seller = self.population.account(&mut self.random);
        let buyer = self.population.other_account(&mut self.random, seller);
        self.stream.ops.push(Op::Commands(2));
        self.push(Command::Place(limit_order(seller, Side::Sell, price, wh)));
        self.push(Command::Place(limit_order(buyer, Side::Buy, price, wh)));
    }

    fn push(&mut self, command: Command) {
        self.follow(&command);
        self.stream.commands.push(command);
    }

    fn follow(&mut self, command: &Command) {
        self.log.clear();
        let batch = Batch { first: self.next, time: 0, commands: std::slice::from_ref(command) };
        self.engine.apply(batch, &mut self.log);
        for event in &self.log.events {
            match *event {
                Event::Rested { order, .. } => {
                    let Command::Place(terms) = command else { unreachable!("only orders rest") };
                    self.resting.add(order, terms.account);
                }
                Event::Fill { maker, maker_done: true, .. } => self.resting.remove(maker),
                Event::Cancelled { order, .. } => self.resting.remove(order),
                _ => {}
            }
        }
        self.next += 1;
    }

    fn finish(self) -> Stream {
        self.stream
    }
}

/// The orders that rest, for drawing one at random.
#[derive(Default)]
struct RestingOrders {
    orders: Vec<(OrderId, AccountId)>,
    position: HashMap<OrderId, usize>,
}

impl RestingOrders {
    fn add(&mut self, order: OrderId, account: AccountId) {
        self.position.insert(order, self.orders.len());
        self.orders.push((order, account));
    }

    fn remove(&mut self, order: OrderId) {
        let position = self.position.remove(&order).expect("the order rests");
        self.orders.swap_remove(position);
        if let Some((moved, _)) = self.orders.get(position) {
            self.position.insert(*moved, position);
        }
    }

    fn pick(&self, random: &mut Random) -> Option<(OrderId, AccountId)> {
        if self.orders.is_empty() { None } else { Some(self.orders[random.below(self.orders.len() as u64) as usize]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POPULATION: Population = Population { users: 100, orders: 50, seed: 42 };

    fn share(stream: &Stream, count: impl Fn(&Command) -> bool) -> f64 {
        stream.commands.iter().filter(|command| count(command)).count() as f64 / stream.commands.len() as f64
    }

    #[test]
    fn a_third_of_the_writes_are_cancels_that_remove_an_order() {
        let stream = Stream::writes(POPULATION, 50_000);
        let cancels = share(&stream, |command| matches!(command, Command::Cancel { .. }));
        assert!((0.32..0.34).contains(&cancels), "{cancels}");
        let mut engine = Optimized::new(stream.rules);
        let mut log = EventLog::default();
        engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut log);
        assert_eq!(engine.stats().open_orders, 50);
        assert_eq!(engine.stats().trades, 0);
        log.clear();
        let first = 1 + stream.setup.len() as u64;
        engine.apply(Batch { first, time: 0, commands: &stream.commands }, &mut log);
        let removed = log.events.iter().filter(|event| matches!(event, Event::Cancelled { .. })).count();
        assert_eq!(removed as f64 / stream.commands.len() as f64, cancels, "every cancel removes an order");
        assert!(engine.stats().trades > 5_000);
        assert!(engine.stats().open_orders < 5_000, "the book thickens, slowly");
    }

    #[test]
    fn every_settlement_is_one_trade() {
        let stream = Stream::settlement(POPULATION, 5_000);
        let mut engine = Optimized::new(stream.rules);
        let mut log = EventLog::default();
        engine.apply(Batch { first: 1, time: 0, commands: &stream.setup }, &mut log);
        engine.apply(Batch { first: 1 + stream.setup.len() as u64, time: 0, commands: &stream.commands }, &mut log);
        assert_eq!(engine.stats().trades, 5_000);
        assert_eq!(engine.stats().open_orders, 50);
    }

    #[test]
    fn mixed_is_70_25_5_and_the_same_seed_gives_the_same_stream() {
        let stream = Stream::mixed(POPULATION, 20_000);
        let count = |wanted: fn(&Op) -> bool| stream.ops.iter().filter(|op| wanted(op)).count() as f64 / 20_000.0;
        assert!((0.69..0.71).contains(&count(|op| matches!(op, Op::Read(_)))));
        assert!((0.24..0.26).contains(&count(|op| *op == Op::Commands(1))));
        assert!((0.04..0.06).contains(&count(|op| *op == Op::Commands(2))));
        let again = Stream::mixed(POPULATION, 20_000);
        assert!(stream.commands == again.commands && stream.ops == again.ops && stream.setup == again.setup);
        let (ops, commands) = stream.prefix(100);
        assert_eq!(ops.len(), 100);
        assert!(commands.len() < 60 && !commands.is_empty());
    }
}
