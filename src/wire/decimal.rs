//! Money and prices as exact decimals: integers with a point put in. No float is near.

use super::text::push_integer;
use crate::types::{TICKS_PER_WATT_PER_KWH, Ticks, UNITS_PER_WATT, Units};
use thiserror::Error;

/// Why a text is no amount of money, or no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Something other than digits with at most one point between them.
    #[error("is not a decimal number")]
    NotDecimal,
    /// A float's way to say that it is no number.
    #[error("is no number")]
    NotANumber,
    /// As in `1e5`.
    #[error("has an exponent")]
    Exponent,
    /// More precise than the ledger is.
    #[error("has {found} decimals, more than the {most} that the unit has")]
    TooManyDecimals {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// A sign where the amount cannot be negative.
    #[error("is negative")]
    Negative,
    /// Outside of what the ledger's integers hold.
    #[error("is out of range")]
    OutOfRange,
}

const WATT_DECIMALS: usize = 8;
const PRICE_DECIMALS: usize = 5;

const _: () = {
    assert!(10u64.pow(WATT_DECIMALS as u32) == UNITS_PER_WATT);
    assert!(10i64.pow(PRICE_DECIMALS as u32) == TICKS_PER_WATT_PER_KWH);
};

/// Reads money, in WATT with at most eight decimals.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_watt(text: &str) -> Result<Units, DecimalError> {
    match parse(text, WATT_DECIMALS)? {
        (true, _) => Err(DecimalError::Negative),
        (false, units) => Ok(units),
    }
}

/// Reads a price, in WATT/kWh with at most five decimals.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_price(text: &str) -> Result<Ticks, DecimalError> {
    let (negative, size) = parse(text, PRICE_DECIMALS)?;
    let size = i64::try_from(size).map_err(|_| DecimalError::OutOfRange)?;
    Ticks::try_from(if negative { -size } else { size }).map_err(|_| DecimalError::OutOfRange)
}

/// Sign and size, in the smallest unit.
fn parse(text: &str, decimals: usize) -> Result<(bool, u64), DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(DecimalError::NotDecimal),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(no_decimal(digits));
    }
    if fraction.len() > decimals {
        return Err(DecimalError::TooManyDecimals { found: fraction.len(), most: decimals });
    }
    // The decimals that are not written are zeros.
    let zeros = std::iter::repeat_n(b'0', decimals - fraction.len());
    let mut size = 0u64;
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        let next = size.checked_mul(10).and_then(|size| size.checked_add(u64::from(digit - b'0')));
        size = next.ok_or(DecimalError::OutOfRange)?;
    }
    Ok((negative, size))
}

/// What to call a text that is no decimal.
fn no_decimal(unsigned: &str) -> DecimalError {
    let unsigned = unsigned.strip_prefix('+').unwrap_or(unsigned);
    let is = |name: &str| unsigned.eq_ignore_ascii_case(name);
    if is("nan") || is("inf") || is("infinity") {
        return DecimalError::NotANumber;
    }
    let exponent = unsigned.split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| {
        let is_number = |text: &str, marks: &[char]| {
            text.contains(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || marks.contains(&c))
        };
        is_number(mantissa, &['.']) && is_number(exponent, &['+', '-'])
    });
    if exponent { DecimalError::Exponent } else { DecimalError::NotDecimal }
}

/// Appends money with all its decimals: `12.50000000`.
pub fn push_watt(out: &mut Vec<u8>, units: Units) {
    push_integer(out, units / UNITS_PER_WATT);
    push_fraction::<{ 1 + WATT_DECIMALS }>(out, units % UNITS_PER_WATT);
}

/// Appends a price with all its decimals: `-0.00250`.
pub fn push_price(out: &mut Vec<u8>, ticks: Ticks) {
    if ticks < 0 {
        out.push(b'-');
    }
    let size = u64::from(ticks.unsigned_abs());
    push_integer(out, size / TICKS_PER_WATT_PER_KWH as u64);
    push_fraction::<{ 1 + PRICE_DECIMALS }>(out, size % TICKS_PER_WATT_PER_KWH as u64);
}

/// A point and the digits behind it, `LEN` characters in all.
fn push_fraction<const LEN: usize>(out: &mut Vec<u8>, mut rest: u64) {
    let mut text = [b'.'; LEN];
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watt(units: Units) -> String {
        let mut out = Vec::new();
        push_watt(&mut out, units);
        String::from_utf8(out).unwrap()
    }

    fn price(ticks: Ticks) -> String {
        let mut out = Vec::new();
        push_price(&mut out, ticks);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn written_with_all_decimals_and_read_back() {
        assert_eq!([watt(0), watt(1), watt(1_250_000_000)], ["0.00000000", "0.00000001", "12.50000000"]);
        assert_eq!(watt(u64::MAX), "184467440737.09551615");
        assert_eq!([price(0), price(-250), price(15_000)], ["0.00000", "-0.00250", "0.15000"]);
        assert_eq!([price(Ticks::MIN), price(Ticks::MAX)], ["-21474.83648", "21474.83647"]);
        // Every power of two and its neighbours: all lengths, all bits.
        for power in (0..64).map(|bit| 1u64 << bit) {
            for units in [power - 1, power, power + 1, u64::MAX - power] {
                assert_eq!(parse_watt(&watt(units)), Ok(units));
                let ticks = units as Ticks;
                assert_eq!(parse_price(&price(ticks)), Ok(ticks));
            }
        }
    }

    #[test]
    fn fewer_decimals_are_enough() {
        for text in ["0.1", "0.10", "0.10000", "00.1"] {
            assert_eq!(parse_price(text), Ok(10_000), "{text}");
        }
        assert_eq!(parse_price("-0.0"), Ok(0));
        assert_eq!(parse_price("-3"), Ok(-300_000));
        assert_eq!(parse_watt("5"), Ok(500_000_000));
        assert_eq!(parse_watt("0.00000001"), Ok(1));
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        use DecimalError::*;
        for text in [
            "", "-", ".", ".5", "5.", "-.5", "+1", "--1", "1,5", "1 ", " 1", "1.2.3", "0x1", "1_0", "e5", "1e",
            "\u{663}",
        ] {
            assert_eq!(parse_price(text), Err(NotDecimal), "{text:?}");
            assert_eq!(parse_watt(text), Err(NotDecimal), "{text:?}");
        }
        for text in ["NaN", "nan", "-NaN", "inf", "+inf", "-Infinity"] {
            assert_eq!(parse_price(text), Err(NotANumber), "{text:?}");
        }
        for text in ["1e5", "1.5E-3", "-1e+5", "0e0"] {
            assert_eq!(parse_price(text), Err(Exponent), "{text:?}");
        }
        assert_eq!(parse_price("0.150000"), Err(TooManyDecimals { found: 6, most: 5 }));
        assert_eq!(parse_watt("0.000000001"), Err(TooManyDecimals { found: 9, most: 8 }));
        assert_eq!(parse_watt("-1"), Err(Negative));
        for text in ["21474.83648", "-21474.83649", "184467440737095.51616", "99999999999999999999999"] {
            assert_eq!(parse_price(text), Err(OutOfRange), "{text:?}");
        }
        for text in ["184467440737.09551616", "184467440738", "99999999999999999999999"] {
            assert_eq!(parse_watt(text), Err(OutOfRange), "{text:?}");
        }
    }
}
