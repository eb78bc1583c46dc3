//! Numbers as people read them. Money, energy and prices are exact: the integers with a decimal point.

use crate::types::{TICKS_PER_WATT_PER_KWH, Ticks, UNITS_PER_WATT, WH_PER_KWH};

/// Money in WATT, exact: `1.00000000`.
pub fn watt(units: u64) -> String {
    format!("{}.{:08}", count(units / UNITS_PER_WATT), units % UNITS_PER_WATT)
}

/// Energy in kWh, exact: `1.000`.
pub fn kwh(wh: u64) -> String {
    format!("{}.{:03}", count(wh / WH_PER_KWH), wh % WH_PER_KWH)
}

/// A price in WATT/kWh, exact: `-0.00001`.
pub fn price(ticks: Ticks) -> String {
    let size = i64::from(ticks).abs();
    let sign = if ticks < 0 { "-" } else { "" };
    format!("{sign}{}.{:05}", size / TICKS_PER_WATT_PER_KWH, size % TICKS_PER_WATT_PER_KWH)
}

/// A whole number in groups of three digits: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate with three significant digits: `12.3 M/s`.
pub fn rate(per_second: f64) -> String {
    let (value, unit) = match per_second {
        rate if rate >= 1e9 => (rate / 1e9, " G/s"),
        rate if rate >= 1e6 => (rate / 1e6, " M/s"),
        rate if rate >= 1e3 => (rate / 1e3, " k/s"),
        rate => (rate, "/s"),
    };
    format!("{}{unit}", three_digits(value))
}

/// A duration with three significant digits: `1.23 ms`.
pub fn duration_ns(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "us"),
        ns => (ns, "ns"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Three significant digits, or all digits before the point if there are more.
pub fn three_digits(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A ratio with three significant digits: `12.3x`.
pub fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 1_000.0 => format!("{}x", count(ratio.round() as u64)),
        // A rung that costs: what would be 0.01x is told from 0.005x.
        ratio if ratio < 0.1 => format!("{ratio:.4}x"),
        ratio => format!("{}x", three_digits(ratio)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_decimals() {
        assert_eq!(watt(0), "0.00000000");
        assert_eq!(watt(123_456_789), "1.23456789");
        assert_eq!(watt(u64::MAX), "184,467,440,737.09551615");
        assert_eq!(kwh(1), "0.001");
        assert_eq!(kwh(1_234_567), "1,234.567");
        assert_eq!(price(15_000), "0.15000");
        assert_eq!(price(-1), "-0.00001");
        assert_eq!(price(Ticks::MIN), "-21474.83648");
    }

    #[test]
    fn rounded_figures() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([rate(12.0), rate(12_345.0), rate(2.5e8)], ["12.0/s", "12.3 k/s", "250 M/s"]);
        assert_eq!([duration_ns(5.0), duration_ns(1_500.0), duration_ns(2.5e9)], ["5.00 ns", "1.50 us", "2.50 s"]);
    }
}
