//! Who takes part, and what rests in the book before a scenario starts.

use super::Random;
use crate::command::{Command, NewOrder};
use crate::engine::{Escrow, escrow_of};
use crate::types::{AccountId, Limits, Rules, Side, Ticks, TimeInForce, UNITS_PER_WATT, WH_PER_KWH, Wh};

/// The middle of the market: 0.15 WATT/kWh.
pub const MID: Ticks = 15_000;
/// Prices move by at most 10 % around the middle.
pub const BAND: Ticks = MID / 10;
/// Lowest and highest price that anybody asks for: 0.08 and 0.25 WATT/kWh.
pub const PRICE_RANGE: [Ticks; 2] = [8_000, 25_000];

/// Money that each account starts with: enough that nobody runs dry in ten million trades.
const START_WATT: u64 = 1_000_000 * UNITS_PER_WATT;
/// All accounts together start with at most half of what a supply can be, so that many have less each.
const START_SUPPLY_MAX: u64 = u64::MAX / 2;
/// Energy that each account starts with.
const START_WH: u64 = 1_000_000 * WH_PER_KWH;

/// How many take part.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Accounts, the operator not counted; their ids are `1..=users`.
    pub users: u32,
    /// Orders resting at the start.
    pub orders: u32,
    /// Seed.
    pub seed: u64,
}

/// Where the initial orders stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialOrders {
    /// Within 10 % of the middle, so that the flow of orders meets them.
    InBand,
    /// Between 10 % off the middle and the ends of the price range, so that pairs of orders in the band trade with each
    /// other.
    OffBand,
}

impl Population {
    /// Market rules with room for this population and for what a scenario of `operations` adds.
    pub fn rules(&self, operations: u64) -> Rules {
        let orders = (u64::from(self.orders) + operations + 1).next_power_of_two().min(1 << 24) as u32;
        Rules { limits: Limits { accounts: self.users + 1, orders }, ..Rules::default() }
    }

    /// Opens and funds the accounts, then places the initial orders, none of which trades.
    pub fn setup(&self, initial: InitialOrders) -> Vec<Command> {
        let mut random = Random::new(self.seed, 1);
        let mut commands = Vec::with_capacity(3 * self.users as usize + self.orders as usize);
        commands.extend((0..self.users).map(|_| Command::OpenAccount { address: random.bytes() }));
        let orders = self.initial_orders(initial, &mut random);
        // On top of what everybody starts with, each gets what its initial orders hold, so that none of them is refused.
        let mut held = vec![Escrow::default(); self.users as usize + 1];
        let fee_ppm = self.rules(0).fee_ppm;
        for order in &orders {
            let limit = order.limit.expect("initial orders have limits");
            let escrow = escrow_of(order.side, order.wh, limit, fee_ppm);
            let held = &mut held[order.account.index()];
            *held = Escrow { watt: held.watt + escrow.watt, energy: held.energy + escrow.energy };
        }
        let start_watt = START_WATT.min(START_SUPPLY_MAX / u64::from(self.users));
        for account in (1..=self.users).map(AccountId) {
            let Escrow { watt, energy } = held[account.index()];
            commands.push(Command::Mint { account, amount: start_watt + watt });
            commands.push(Command::MeterCredit { account, amount: START_WH + energy });
        }
        commands.extend(orders.into_iter().map(Command::Place));
        commands
    }

    fn initial_orders(&self, initial: InitialOrders, random: &mut Random) -> Vec<NewOrder> {
        let mut orders = Vec::with_capacity(self.orders as usize);
        for index in 0..self.orders {
            let side = if index % 2 == 0 { Side::Buy } else { Side::Sell };
            let (low, high) = match (side, initial) {
                (Side::Buy, InitialOrders::InBand) => (MID - BAND, MID - 1),
                (Side::Sell, InitialOrders::InBand) => (MID + 1, MID + BAND),
                (Side::Buy, InitialOrders::OffBand) => (PRICE_RANGE[0], MID - BAND - 1),
                (Side::Sell, InitialOrders::OffBand) => (MID + BAND + 1, PRICE_RANGE[1]),
            };
            let (account, price) = (self.account(random), random.between(low, high));
            orders.push(limit_order(account, side, price, energy(random)));
        }
        orders
    }

    /// A random user.
    pub fn account(&self, random: &mut Random) -> AccountId {
        AccountId(1 + random.below(u64::from(self.users)) as u32)
    }

    /// A random user other than `not`; there must be two.
    pub fn other_account(&self, random: &mut Random, not: AccountId) -> AccountId {
        let other = AccountId(1 + random.below(u64::from(self.users) - 1) as u32);
        if other.0 < not.0 { other } else { AccountId(other.0 + 1) }
    }
}

/// A random order size: 30 % 1 to 5 kWh, 50 % 5 to 50, 20 % 50 to 100, in Wh.
pub fn energy(random: &mut Random) -> Wh {
    let (low, high) = match random.below(100) {
        0..30 => (1, 5),
        30..80 => (5, 50),
        _ => (50, 100),
    };
    random.between(low * WH_PER_KWH as i32, high * WH_PER_KWH as i32) as Wh
}

/// A good-till-cancelled limit order.
pub fn limit_order(account: AccountId, side: Side, price: Ticks, wh: Wh) -> NewOrder {
    NewOrder { account, side, limit: Some(price), wh, time_in_force: TimeInForce::Gtc, post_only: false }
}
