//! Latencies in a high-dynamic-range histogram.

use hdrhistogram::Histogram;

/// Longest latency told apart, in ns: ten minutes. Longer ones count as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// A latency distribution from 1 ns to ten minutes, with three significant digits.
#[derive(Clone, Debug)]
pub struct LatencyRecorder(Histogram<u64>);

impl LatencyRecorder {
    /// An empty distribution.
    pub fn new() -> Self {
        LatencyRecorder(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("valid bounds"))
    }

    /// Adds a sample, in ns.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.record_n(latency_ns, 1);
    }

    /// Adds `count` samples of the same latency, in ns.
    #[inline]
    pub fn record_n(&mut self, latency_ns: u64, count: u64) {
        self.0.saturating_record_n(latency_ns.max(1), count);
    }

    /// Adds all samples of another distribution.
    pub fn add(&mut self, other: &LatencyRecorder) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Arithmetic mean, in ns.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The latency that `quantile` (0 to 1) of the samples do not pass, in ns.
    pub fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// Largest sample, in ns.
    pub fn max(&self) -> u64 {
        self.0.max()
    }
}

impl Default for LatencyRecorder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_known_distribution() {
        let mut recorder = LatencyRecorder::new();
        (1..=1_000).for_each(|ns| recorder.record(ns));
        recorder.record_n(u64::MAX, 1);
        assert_eq!(recorder.len(), 1_001);
        assert_eq!((recorder.at(0.5), recorder.at(0.95)), (501, 951));
        // Three significant digits of ten minutes.
        assert!((0.999..1.001).contains(&(recorder.max() as f64 / LATENCY_NS_MAX as f64)));
    }
}
