//! Commands of every type, valid and invalid, for tests that compare engines: whatever a caller could send.

use super::Random;
use crate::command::{Command, NewOrder};
use crate::types::{AccountId, Limits, OrderId, Rules, SelfTrade, Sequence, Side, Ticks, TimeInForce, Token, Wh};

/// What a random market looks like.
#[derive(Clone, Copy, Debug)]
pub struct ChaosProfile {
    /// The market's rules; `limits` small enough are hit.
    pub rules: Rules,
    /// Accounts that commands refer to; some of them may not be open.
    pub accounts: u32,
    /// Prices drawn most of the time, in steps of the tick.
    pub prices: [Ticks; 2],
    /// Largest quantity drawn most of the time, in lots.
    pub lots_max: u32,
    /// Typical amount of money or energy created at once.
    pub funds: u64,
}

impl ChaosProfile {
    /// A profile for each of the situations in which engines could differ, by number; each self-trade policy takes turns.
    pub fn by_number(number: u64) -> ChaosProfile {
        let policies = [SelfTrade::RejectTaker, SelfTrade::CancelMaker, SelfTrade::CancelBoth];
        let rules = Rules { self_trade: policies[(number / 6 % 3) as usize], ..Rules::default() };
        let limits = |accounts, orders| Limits { accounts, orders };
        let plain = ChaosProfile { rules, accounts: 40, prices: [14_900, 15_100], lots_max: 50, funds: 1 << 36 };
        match number % 6 {
            // A small, busy book with long queues at few prices.
            0 => ChaosProfile { rules: Rules { limits: limits(40, 1_000), ..rules }, prices: [10, 13], ..plain },
            // Negative and positive prices around zero, a high fee, big quantities.
            1 => ChaosProfile {
                rules: Rules { fee_ppm: 333_333, limits: limits(50, 10_000), ..rules },
                prices: [-30, 30],
                lots_max: u32::MAX / 2,
                funds: u64::MAX / 300,
                ..plain
            },
            // Tiny capacities: every limit is hit.
            2 => ChaosProfile { rules: Rules { limits: limits(5, 7), ..rules }, accounts: 8, ..plain },
            // Ticks and lots, poor accounts that often cannot pay.
            3 => ChaosProfile {
                rules: Rules { tick: 5, lot: 1_000, fee_ppm: 5_000, limits: limits(30, 200), ..rules },
                prices: [-20, 40],
                funds: 3_000_000,
                ..plain
            },
            // A wide, sparse and deep book.
            4 => ChaosProfile {
                rules: Rules { limits: limits(300, 5_000), ..rules },
                prices: [-50_000, 400_000],
                accounts: 300,
                ..plain
            },
            // Few traders who keep meeting themselves.
            _ => ChaosProfile {
                rules: Rules { limits: limits(4, 100), ..rules },
                accounts: 4,
                prices: [100, 120],
                ..plain
            },
        }
    }
}

/// A seeded source of commands. It knows which sequences it has used, not which orders are open: many of its cancels miss.
#[derive(Clone, Debug)]
pub struct Chaos {
    profile: ChaosProfile,
    random: Random,
    next: Sequence,
    /// Recent orders and who placed them, as far as this source knows.
    recent: Vec<(OrderId, AccountId)>,
}

impl Chaos {
    /// A source whose first command will have sequence 1.
    pub fn new(profile: ChaosProfile, seed: u64) -> Self {
        Chaos { profile, random: Random::new(seed, 9), next: 1, recent: Vec::new() }
    }

    /// The next command.
    pub fn command(&mut self) -> Command {
        let warm_up = self.next <= 3 * u64::from(self.profile.accounts);
        let account = self.account();
        let amount = self.amount();
        let command = match self.random.below(100) {
            // The first commands mostly open and fund accounts.
            0..30 if warm_up => Command::OpenAccount { address: self.random.bytes() },
            30..60 if warm_up => Command::Mint { account, amount },
            60..90 if warm_up => Command::MeterCredit { account, amount },
            0 => self.open_account(),
            1..3 => Command::Mint { account, amount },
            3 => Command::Burn { account, amount },
            4..6 => Command::MeterCredit { account, amount },
            6 => Command::MeterConsume { account, amount },
            7 => Command::Stake { account, amount: amount % 2_000_000_000 },
            8 => Command::Unstake { account, amount: amount % 2_000_000_000 },
            9..12 => {
                let token = Token::ALL[self.random.below(3) as usize];
                Command::Transfer { token, from: account, to: self.account(), amount }
            }
            12..30 => {
                let (order, account) = self.order();
                Command::Cancel { account, order }
            }
            30..42 => {
                let (order, account) = self.order();
                let (price, wh, post_only) = (self.price(), self.wh(), self.random.percent(10));
                Command::Replace { account, order, price, wh, post_only }
            }
            _ => self.place(account),
        };
        if let Command::Place(order) = command {
            if self.recent.len() < 64 {
                self.recent.push((OrderId(self.next), order.account));
            } else {
                let at = self.random.below(64) as usize;
                self.recent[at] = (OrderId(self.next), order.account);
            }
        }
        self.next += 1;
        command
    }

    /// The next `count` commands.
    pub fn commands(&mut self, count: usize) -> Vec<Command> {
        (0..count).map(|_| self.command()).collect()
    }

    fn open_account(&mut self) -> Command {
        // Now and then an address that is taken: the operator's.
        let address = if self.random.percent(30) { self.profile.rules.operator } else { self.random.bytes() };
        Command::OpenAccount { address }
    }

    fn place(&mut self, account: AccountId) -> Command {
        let side = if self.random.percent(50) { Side::Buy } else { Side::Sell };
        let market = self.random.percent(8);
        let time_in_force = match self.random.below(20) {
            0..3 => TimeInForce::Ioc,
            3..5 => TimeInForce::Fok,
            // A market order is IOC; 1 in 20 is sent wrong.
            5..19 if market => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        };
        let limit = (!market).then(|| self.price());
        let (wh, post_only) = (self.wh(), self.random.percent(6));
        Command::Place(NewOrder { account, side, limit, wh, time_in_force, post_only })
    }

    fn account(&mut self) -> AccountId {
        match self.random.below(200) {
            0 => AccountId(u32::MAX),
            1 => AccountId(self.profile.accounts + 5),
            _ => AccountId(self.random.below(u64::from(self.profile.accounts)) as u32),
        }
    }

    fn order(&mut self) -> (OrderId, AccountId) {
        if self.recent.is_empty() || self.random.percent(3) {
            let order = if self.random.percent(50) { self.random.below(self.next + 5) } else { self.random.word() };
            return (OrderId(order), self.account());
        }
        let (order, owner) = self.recent[self.random.below(self.recent.len() as u64) as usize];
        let account = if self.random.percent(95) { owner } else { self.account() };
        (order, account)
    }

    fn price(&mut self) -> Ticks {
        let Rules { price_min, price_max, tick, .. } = self.profile.rules;
        match self.random.below(200) {
            0 => price_min,
            1 => price_max,
            2 => price_max.saturating_add(tick),
            3 => i32::MIN,
            4 => i32::MAX,
            5 => self.random.between(self.profile.prices[0], self.profile.prices[1]),
            _ => self.random.between(self.profile.prices[0] / tick, self.profile.prices[1] / tick) * tick,
        }
    }

    fn wh(&mut self) -> Wh {
        let Rules { lot, .. } = self.profile.rules;
        match self.random.below(200) {
            0 => 0,
            1 => u32::MAX,
            2 => self.random.word() as u32,
            _ => {
                (1 + self.random.below(u64::from(self.profile.lots_max.min(u32::MAX / lot))) as u32).saturating_mul(lot)
            }
        }
    }

    fn amount(&mut self) -> u64 {
        match self.random.below(200) {
            0 => 0,
            1 => u64::MAX,
            2 => self.random.word(),
            3 => 1,
            _ => 1 + self.random.below(self.profile.funds),
        }
    }
}
