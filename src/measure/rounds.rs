//! Statistics of interleaved rounds. A noisy machine has slow phases, not a normal distribution: medians, and their
//! intervals from order statistics, assume none.

use serde::Serialize;

/// A median and an interval that holds the true one with a known probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Median of the sample.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability that the true median lies within.
    pub confidence: f64,
}

/// The median; sorts its input.
///
/// # Panics
/// On an empty slice.
pub fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "a median needs a value");
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The median with the narrowest interval between the k-th smallest and the k-th largest value that holds the true median
/// with at least the probability `wanted`; where even the smallest and the largest do not, these, with what they reach.
///
/// The probability is `1 - 2 P(B < k)` for B binomial(n, 1/2): David and Nagaraja, Order Statistics, section 7.1.
///
/// # Panics
/// On an empty slice.
pub fn median_interval(values: &[f64], wanted: f64) -> Interval {
    let mut sorted = values.to_vec();
    let median = median(&mut sorted);
    let n = sorted.len();
    let mut best = Interval { median, low: sorted[0], high: sorted[n - 1], confidence: confidence(n, 1) };
    for k in 2..=n.div_ceil(2) {
        let confidence = confidence(n, k);
        if confidence < wanted {
            break;
        }
        best = Interval { median, low: sorted[k - 1], high: sorted[n - k], confidence };
    }
    best
}

fn confidence(n: usize, k: usize) -> f64 {
    // P(B < k), term by term.
    let mut term = 0.5f64.powi(n as i32);
    let mut below = 0.0;
    for successes in 0..k {
        below += term;
        term *= (n - successes) as f64 / (successes + 1) as f64;
    }
    (1.0 - 2.0 * below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn intervals_have_the_binomial_coverage() {
        let values: Vec<f64> = (1..=7).map(f64::from).collect();
        let seven = median_interval(&values, 0.95);
        assert_eq!((seven.median, seven.low, seven.high), (4.0, 1.0, 7.0));
        assert!((seven.confidence - 0.984_375).abs() < 1e-12);
        // Tables: n = 20, 6th to 15th value, 95.86 %.
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        let twenty = median_interval(&values, 0.95);
        assert_eq!((twenty.low, twenty.high), (6.0, 15.0));
        assert!((twenty.confidence - 0.958_6).abs() < 1e-4);
        let one = median_interval(&[5.0], 0.95);
        assert_eq!((one.low, one.high, one.confidence), (5.0, 5.0, 0.0));
    }
}
