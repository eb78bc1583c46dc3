//! The rules of one market. They are part of its identity: the first block's parent is their hash.

use super::{Address, PPM, SelfTrade, Ticks, Wh};
use thiserror::Error;

/// Capacity limits. They are part of the meaning: every engine refuses at the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most accounts that can be opened, the operator included.
    pub accounts: u32,
    /// Most orders that can rest in the book at once.
    pub orders: u32,
}

/// What a market accepts and charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Lowest limit price accepted; a multiple of `tick`.
    pub price_min: Ticks,
    /// Highest limit price accepted; a multiple of `tick`.
    pub price_max: Ticks,
    /// Limit prices are multiples of this.
    pub tick: Ticks,
    /// Quantities are multiples of this.
    pub lot: Wh,
    /// Grid fee in parts per million of a fill's `|cost|`, rounded down per fill, paid by the buyer to the operator.
    pub fee_ppm: u32,
    /// What happens when an order meets one of its own account.
    pub self_trade: SelfTrade,
    /// Capacity limits.
    pub limits: Limits,
    /// GRID that exists, all of it the operator's at genesis.
    pub grid_supply: u64,
    /// The grid operator's address.
    pub operator: Address,
}

/// Why [`Rules`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum RulesError {
    #[error("tick and lot must be at least 1 (tick {tick}, lot {lot})")]
    TickOrLot { tick: Ticks, lot: Wh },
    #[error("the price band {min}..={max} is empty or its ends are not multiples of the tick {tick}")]
    Band { min: Ticks, max: Ticks, tick: Ticks },
    #[error("the price band spans {steps} ticks; at most {} are supported", Rules::STEPS_MAX)]
    BandTooWide { steps: u64 },
    #[error("the grid fee is {fee_ppm} ppm; at most {PPM} (the whole cost) can be charged")]
    Fee { fee_ppm: u32 },
    #[error("limits must be at least 1 and at most {} (accounts {accounts}, orders {orders})", Limits::MAX)]
    Limits { accounts: u32, orders: u32 },
    #[error("{what} is not a known encoding of market rules")]
    Encoding { what: &'static str },
}

impl Limits {
    /// Upper bound of each limit: ids and handles are `u32` with room for a "none".
    pub const MAX: u32 = 1 << 30;
}

impl Rules {
    /// Length of the fixed encoding.
    pub const ENCODED_LEN: usize = 76;
    /// Most price steps (`tick` multiples) a band may span.
    pub const STEPS_MAX: u64 = 1 << 20;

    /// Checks that an engine can be built with these rules.
    ///
    /// # Errors
    /// Names the first rule that is out of range.
    pub fn validate(&self) -> Result<(), RulesError> {
        let Rules { price_min: min, price_max: max, tick, lot, fee_ppm, limits, .. } = *self;
        if tick < 1 || lot < 1 {
            return Err(RulesError::TickOrLot { tick, lot });
        }
        if min > max || min % tick != 0 || max % tick != 0 {
            return Err(RulesError::Band { min, max, tick });
        }
        let steps = self.steps();
        if steps > Self::STEPS_MAX {
            return Err(RulesError::BandTooWide { steps });
        }
        if fee_ppm > PPM {
            return Err(RulesError::Fee { fee_ppm });
        }
        let valid = 1..=Limits::MAX;
        if !valid.contains(&limits.accounts) || !valid.contains(&limits.orders) {
            return Err(RulesError::Limits { accounts: limits.accounts, orders: limits.orders });
        }
        Ok(())
    }

    /// Number of distinct limit prices.
    pub fn steps(&self) -> u64 {
        (i64::from(self.price_max) - i64::from(self.price_min)) as u64 / self.tick as u64 + 1
    }

    /// The fixed little-endian encoding, drawn in ARCHITECTURE.md.
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let mut out = [0u8; Self::ENCODED_LEN];
        out[0..4].copy_from_slice(&self.price_min.to_le_bytes());
        out[4..8].copy_from_slice(&self.price_max.to_le_bytes());
        out[8..12].copy_from_slice(&self.tick.to_le_bytes());
        out[12..16].copy_from_slice(&self.lot.to_le_bytes());
        out[16..20].copy_from_slice(&self.fee_ppm.to_le_bytes());
        out[20] = self.self_trade as u8;
        out[24..28].copy_from_slice(&self.limits.accounts.to_le_bytes());
        out[28..32].copy_from_slice(&self.limits.orders.to_le_bytes());
        out[32..40].copy_from_slice(&self.grid_supply.to_le_bytes());
        out[40..72].copy_from_slice(&self.operator);
        out
    }

    /// The inverse of [`encode`](Self::encode).
    ///
    /// # Errors
    /// An unknown self-trade policy, reserved bytes that are not zero, or rules that [`validate`](Self::validate) refuses.
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Rules, RulesError> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let self_trade = match bytes[20] {
            0 => SelfTrade::RejectTaker,
            1 => SelfTrade::CancelMaker,
            2 => SelfTrade::CancelBoth,
            _ => return Err(RulesError::Encoding { what: "the self-trade policy" }),
        };
        if bytes[21..24].iter().chain(&bytes[72..]).any(|&byte| byte != 0) {
            return Err(RulesError::Encoding { what: "a reserved byte" });
        }
        let rules = Rules {
            price_min: word(0) as i32,
            price_max: word(4) as i32,
            tick: word(8) as i32,
            lot: word(12),
            fee_ppm: word(16),
            self_trade,
            limits: Limits { accounts: word(24), orders: word(28) },
            grid_supply: u64::from_le_bytes(bytes[32..40].try_into().expect("8 bytes")),
            operator: bytes[40..72].try_into().expect("32 bytes"),
        };
        rules.validate()?;
        Ok(rules)
    }
}

impl Default for Rules {
    /// The European day-ahead band of -500 to 4,000 per MWh in steps of 0.01, 1 Wh lots, a grid fee of 0.5 %.
    fn default() -> Self {
        Rules {
            price_min: -50_000,
            price_max: 400_000,
            tick: 1,
            lot: 1,
            fee_ppm: 5_000,
            self_trade: SelfTrade::RejectTaker,
            limits: Limits { accounts: 1 << 20, orders: 1 << 20 },
            grid_supply: 1_000_000_000,
            operator: *b"joulebook: the grid operator key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_rules_are_valid_and_round_trip() {
        let rules = Rules::default();
        assert_eq!(rules.validate(), Ok(()));
        assert_eq!(rules.steps(), 450_001);
        assert_eq!(Rules::decode(&rules.encode()), Ok(rules));
    }

    #[test]
    fn bad_rules_are_refused_by_name() {
        let good = Rules::default();
        let bad = |change: fn(&mut Rules)| {
            let mut rules = good;
            change(&mut rules);
            rules.validate().unwrap_err()
        };
        assert!(matches!(bad(|r| r.tick = 0), RulesError::TickOrLot { .. }));
        assert!(matches!(bad(|r| r.lot = 0), RulesError::TickOrLot { .. }));
        assert!(matches!(bad(|r| r.price_min = 400_001), RulesError::Band { .. }));
        assert!(matches!(bad(|r| r.tick = 7), RulesError::Band { .. }));
        assert!(matches!(bad(|r| r.price_max = 2_000_000), RulesError::BandTooWide { .. }));
        assert!(matches!(bad(|r| r.fee_ppm = 1_000_001), RulesError::Fee { .. }));
        assert!(matches!(bad(|r| r.limits.orders = 0), RulesError::Limits { .. }));
        let mut bytes = good.encode();
        bytes[75] = 1;
        assert!(matches!(Rules::decode(&bytes), Err(RulesError::Encoding { .. })));
    }
}
