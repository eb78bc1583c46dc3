//! Checks of a whole engine's state, the same for every engine.

use super::{Engine, OrderView, escrow_of};
use crate::hash::{Digest, Sha256};
use crate::types::{AccountId, Side, Ticks, Token};

/// A digest of the whole state: rules, statistics, every account and every resting order in priority. Two engines in the
/// same state have the same digest, whatever their data structures.
pub fn state_digest<E: Engine>(engine: &E) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(&engine.rules().encode());
    let stats = engine.stats();
    for price in [stats.last, stats.high, stats.low] {
        hasher.update(&price.to_le_bytes());
    }
    hasher.update(&stats.open_orders.to_le_bytes());
    for total in [stats.trades, stats.volume_wh] {
        hasher.update(&total.to_le_bytes());
    }
    for token in Token::ALL {
        hasher.update(&engine.supply(token).to_le_bytes());
    }
    for id in 0..engine.accounts() {
        hasher.update(&engine.record(AccountId(id)).expect("ids are dense").encode());
    }
    for side in Side::BOTH {
        engine.for_each_order(side, |order| {
            hasher.update(&[side as u8]);
            hasher.update(&order.order.0.to_le_bytes());
            hasher.update(&order.account.0.to_le_bytes());
            hasher.update(&order.price.to_le_bytes());
            hasher.update(&order.wh.to_le_bytes());
        });
    }
    hasher.finish()
}

/// Checks what must hold after every command: each token's balances sum to its supply, each account's escrow equals what
/// its resting orders hold, the book is sorted and not crossed, and the counters agree with it.
///
/// # Errors
/// The first invariant that does not hold, in words with its figures.
pub fn audit<E: Engine>(engine: &E) -> Result<(), String> {
    let accounts = engine.accounts() as usize;
    let mut escrow = vec![[0u128; 2]; accounts];
    let mut open_orders = 0u32;
    let mut best = [None; 2];
    let rules = *engine.rules();
    for side in Side::BOTH {
        let mut previous: Option<OrderView> = None;
        let mut problem = None;
        engine.for_each_order(side, |order| {
            open_orders += 1;
            best[side as usize].get_or_insert(order.price);
            let held = escrow_of(side, order.wh, order.price, rules.fee_ppm);
            escrow[order.account.index()][0] += u128::from(held.watt);
            escrow[order.account.index()][1] += u128::from(held.energy);
            let improves = |better: Ticks| if side == Side::Buy { order.price > better } else { order.price < better };
            if previous.is_some_and(|before| improves(before.price)) || order.wh == 0 {
                problem.get_or_insert(format!("{side:?} order {order:?} after {previous:?}: out of place or empty"));
            }
            previous = Some(order);
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
    }
    if let [Some(bid), Some(ask)] = best
        && bid >= ask
    {
        return Err(format!("the book is crossed: bid {bid}, ask {ask}"));
    }
    if open_orders != engine.stats().open_orders {
        return Err(format!("{open_orders} orders rest, {} are counted", engine.stats().open_orders));
    }
    let mut sums = [0i128; 3];
    for (id, escrow) in escrow.iter().enumerate() {
        let balances = engine.balances(AccountId(id as u32)).ok_or_else(|| format!("account {id} is missing"))?;
        for (token, sum) in sums.iter_mut().enumerate() {
            *sum += i128::from(balances.available[token]) + i128::from(balances.locked[token]);
        }
        for (token, held) in escrow.iter().enumerate() {
            if u128::from(balances.locked[token]) != *held {
                let locked = balances.locked[token];
                return Err(format!("account {id} token {token}: {locked} in escrow, its orders hold {held}"));
            }
        }
    }
    for token in Token::ALL {
        let (sum, supply) = (sums[token as usize], engine.supply(token));
        if sum != i128::from(supply) {
            return Err(format!("{token:?} is not conserved: balances sum to {sum}, supply is {supply}"));
        }
    }
    Ok(())
}
