//! What a fill does beside the book: delivery versus payment, and the events that tell of it. The book's sink for a market.

use super::book::{Fill, Maker, Meeting, Sink};
use super::order_ids::OrderIds;
use crate::engine::{Escrow, Ledger, MarketStats, Settlement};
use crate::event::{Event, Expiry};
use crate::types::{AccountId, OrderId, PPM, SelfTrade, Side, Ticks, Token, Wh, cost};
use std::hint::select_unpredictable;

/// What things cost, and what an order holds for it.
#[derive(Clone, Copy)]
pub(super) struct Pricing {
    pub(super) fee_ppm: u32,
}

impl Pricing {
    /// `floor(cost x ppm / 10^6)`, in 64 bits where the product fits: the division is then a multiplication.
    #[inline(always)]
    fn fee(self, cost: u64) -> u64 {
        if cost <= u64::MAX / PPM as u64 {
            cost * u64::from(self.fee_ppm) / u64::from(PPM)
        } else {
            (u128::from(cost) * u128::from(self.fee_ppm) / u128::from(PPM)) as u64
        }
    }

    /// What an order holds; nothing for market orders.
    #[inline(always)]
    pub(super) fn escrow(self, side: Side, wh: Wh, limit: Option<Ticks>) -> Escrow {
        let Some(limit) = limit else { return Escrow::default() };
        let cost = cost(wh, limit);
        match side {
            Side::Buy => {
                let cost = cost.max(0) as u64;
                Escrow { watt: cost + self.fee(cost), energy: 0 }
            }
            Side::Sell => Escrow { watt: cost.min(0).unsigned_abs(), energy: u64::from(wh) },
        }
    }

    /// The one token that an order holds, where its price is not negative: the buyer's money or the seller's energy. Which, nobody can
    /// predict, so it is chosen without a branch.
    #[inline(always)]
    pub(super) fn one_token(self, side: Side, wh: Wh, price: Ticks) -> (Token, u64) {
        let (buys, cost) = (side == Side::Buy, cost(wh, price) as u64);
        let token = select_unpredictable(buys, Token::Watt, Token::Energy);
        (token, select_unpredictable(buys, cost + self.fee(cost), u64::from(wh)))
    }

    /// What an order releases when some of it is filled: it then holds for less energy.
    #[inline(always)]
    fn released(self, side: Side, wh: Wh, filled: Wh, limit: Option<Ticks>) -> Escrow {
        let (before, after) = (self.escrow(side, wh, limit), self.escrow(side, wh - filled, limit));
        Escrow { watt: before.watt - after.watt, energy: before.energy - after.energy }
    }
}

/// An order on its way into the book.
#[derive(Clone, Copy)]
pub(super) struct Taker {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
    pub(super) side: Side,
    pub(super) limit: Option<Ticks>,
}

/// Settles the fills of one order.
pub(super) struct Settle<'a, L> {
    pub(super) taker: Taker,
    pub(super) pricing: Pricing,
    pub(super) self_trade: SelfTrade,
    pub(super) ledger: &'a mut L,
    pub(super) ids: &'a mut OrderIds,
    pub(super) stats: &'a mut MarketStats,
    pub(super) events: &'a mut Vec<Event>,
    /// Why matching stopped before its end.
    pub(super) stopped: Option<Expiry>,
}

impl<L: Ledger> Settle<'_, L> {
    /// Whether a market order can pay a fill from what its account has available.
    fn check_payment(&self, wh: Wh, price: Ticks) -> Result<(), Expiry> {
        let cost = cost(wh, price);
        let available = self.ledger.balances(self.taker.account).expect("the account is open").available;
        let (watt, energy) = match self.taker.side {
            Side::Buy if cost > 0 => (cost as u64 + self.pricing.fee(cost as u64), 0),
            Side::Buy => (0, 0),
            Side::Sell => (cost.min(0).unsigned_abs(), u64::from(wh)),
        };
        if available[Token::Watt as usize] < watt {
            Err(Expiry::InsufficientWatt)
        } else if available[Token::Energy as usize] < energy {
            Err(Expiry::InsufficientEnergy)
        } else {
            Ok(())
        }
    }
}

impl<L: Ledger> Sink for Settle<'_, L> {
    #[inline(always)]
    fn meet(&mut self, left: Wh, maker: &Maker) -> Meeting {
        if maker.tag.1 == self.taker.account.0 {
            if self.self_trade == SelfTrade::CancelBoth {
                self.stopped = Some(Expiry::SelfTrade);
                return Meeting::CancelMakerAndStop;
            }
            return Meeting::CancelMaker;
        }
        if self.taker.limit.is_none()
            && let Err(reason) = self.check_payment(left.min(maker.wh), maker.price)
        {
            self.stopped = Some(reason);
            return Meeting::Stop;
        }
        Meeting::Trade
    }

    #[inline(always)]
    fn fill(&mut self, fill: &Fill) {
        let Fill { maker, wh, taker_left } = *fill;
        let Taker { account, side, limit, .. } = self.taker;
        let (maker_id, maker_account) = (OrderId(maker.tag.0), AccountId(maker.tag.1));
        let cost = cost(wh, maker.price);
        let fee = self.pricing.fee(cost.unsigned_abs());
        let taker_release = self.pricing.released(side, taker_left + wh, wh, limit);
        let maker_release = self.pricing.released(side.opposite(), maker.wh, wh, Some(maker.price));
        let (buyer, seller, buyer_release, seller_release) = match side {
            Side::Buy => (account, maker_account, taker_release, maker_release),
            Side::Sell => (maker_account, account, maker_release, taker_release),
        };
        self.ledger.settle(&Settlement { buyer, seller, wh, cost, fee, buyer_release, seller_release });
        self.stats.record_fill(maker.price, wh);
        if fill.maker_done() {
            self.ids.remove(maker_id, maker.handle);
        }
        self.events.push(Event::Fill {
            maker: maker_id,
            maker_account,
            price: maker.price,
            wh,
            fee,
            maker_done: fill.maker_done(),
            taker_done: taker_left == 0,
        });
    }

    fn cancelled(&mut self, maker: &Maker) {
        let Maker { handle, price, wh, tag } = *maker;
        let (order, account) = (OrderId(tag.0), AccountId(tag.1));
        self.ids.remove(order, handle);
        let held = self.pricing.escrow(self.taker.side.opposite(), wh, Some(price));
        self.ledger.escrow(account, held, Escrow::default()).expect("a release cannot fail");
        self.events.push(Event::Cancelled { order, account, price, wh, self_trade: true });
    }
}
