//! JSON written by hand into bytes that are reused: nothing here allocates once `out` has grown.

use super::decimal::{push_price, push_watt};
use super::vocabulary::token_name;
use crate::types::{Ticks, Token, Units};

/// Appends an integer in decimal.
#[inline]
pub(super) fn push_integer(out: &mut Vec<u8>, mut value: u64) {
    // The longest has 20 digits.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// One JSON object of fields. A field's name comes with all that stands around it, `,"wh":` say, so that it is one copy.
pub(super) struct Object<'a>(pub &'a mut Vec<u8>);

impl Object<'_> {
    #[inline]
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    #[inline]
    pub fn integer(&mut self, name: &str, value: impl Into<u64>) -> &mut Self {
        self.raw(name);
        push_integer(self.0, value.into());
        self
    }

    #[inline]
    pub fn price(&mut self, name: &str, ticks: Ticks) -> &mut Self {
        self.raw(name).raw("\"");
        push_price(self.0, ticks);
        self.raw("\"")
    }

    #[inline]
    pub fn watt(&mut self, name: &str, units: Units) -> &mut Self {
        self.raw(name).raw("\"");
        push_watt(self.0, units);
        self.raw("\"")
    }

    /// An amount in its token's own form.
    #[inline]
    pub fn amount(&mut self, name: &str, token: Token, amount: u64) -> &mut Self {
        match token {
            Token::Watt => self.watt(name, amount),
            Token::Energy | Token::Grid => self.integer(name, amount),
        }
    }

    #[inline]
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name).raw(if value { "true" } else { "false" })
    }

    /// A value of the vocabulary: nothing in it needs an escape.
    #[inline]
    pub fn name(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(name).raw("\"").raw(value).raw("\"")
    }

    #[inline]
    pub fn token(&mut self, token: Token) -> &mut Self {
        self.name(",\"token\":", token_name(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_the_standard_library_writes_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        for value in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX]) {
            let mut out = b"x".to_vec();
            push_integer(&mut out, value);
            assert_eq!(out, format!("x{value}").into_bytes());
        }
    }
}
