//! When requests come, whoever is there to take them: an open loop. A client that waits for an answer before it asks again asks less
//! when answers are slow, and so hides that they are (coordinated omission: Gil Tene, How NOT to measure latency, 2013).

use super::Random;

/// Intended times of requests, in ns from the start, in order: a Poisson process, whose rate may jump up for a while in each period.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    /// Requests per ns while the rate is high, and while it is not.
    high: f64,
    low: f64,
    /// Length of a period, and how much of it, from its beginning, is high.
    period: f64,
    burst: f64,
    now: f64,
}

impl Arrivals {
    /// `per_second` requests a second on average, independent of each other.
    ///
    /// # Panics
    /// If the rate is not above 0, or not finite.
    pub fn poisson(per_second: f64, seed: u64) -> Self {
        Self::bursts(per_second, 1.0, 0.5, 1e9, seed)
    }

    /// The same average, but `factor` times as many in the first `share` of each period of `period_ns`, and fewer in the rest.
    ///
    /// # Panics
    /// If the rate is not above 0, or not finite; or if the bursts alone would be more than the average.
    pub fn bursts(per_second: f64, factor: f64, share: f64, period_ns: f64, seed: u64) -> Self {
        assert!(per_second > 0.0 && per_second.is_finite(), "{per_second} requests a second");
        assert!(share > 0.0 && share < 1.0 && factor >= 1.0 && factor * share < 1.0, "{factor} times in {share}");
        let average = per_second / 1e9;
        let low = average * (1.0 - factor * share) / (1.0 - share);
        let random = Random::new(seed, 11);
        Arrivals { random, high: average * factor, low, period: period_ns, burst: period_ns * share, now: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    /// Never ends.
    fn next(&mut self) -> Option<u64> {
        // An exponential amount of expected requests passes until the next one; it is used up at the rate of the moment.
        let uniform = (self.random.word() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = -(1.0 - uniform).ln();
        loop {
            let phase = self.now % self.period;
            let (rate, until) =
                if phase < self.burst { (self.high, self.burst - phase) } else { (self.low, self.period - phase) };
            if left <= rate * until {
                self.now += left / rate;
                return Some(self.now as u64);
            }
            left -= rate * until;
            // A little further than the edge, or rounding could stay before it for good.
            self.now += until.max(self.now * 1e-15) + 1e-3;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exponential_with_the_rate_asked_for() {
        let times: Vec<u64> = Arrivals::poisson(1e6, 7).take(200_000).collect();
        assert!(times.is_sorted());
        let mean = *times.last().unwrap() as f64 / 200_000.0;
        assert!((990.0..1_010.0).contains(&mean), "{mean} ns between requests");
        // Of exponential gaps, e^-1 are longer than the mean; of equal ones none are.
        let longer = times.windows(2).filter(|pair| pair[1] - pair[0] > 1_000).count() as f64 / 200_000.0;
        assert!((longer - (-1f64).exp()).abs() < 0.01, "{longer}");
        assert!(Arrivals::poisson(1e6, 7).take(100).eq(times[..100].iter().copied()), "a seed means the same times");
    }

    #[test]
    fn bursts_keep_the_average() {
        // 10 times as many in 5 % of each 10 ms: half of all requests.
        let times: Vec<u64> =
            Arrivals::bursts(1e6, 10.0, 0.05, 1e7, 7).take_while(|&time| time < 1_000_000_000).collect();
        assert!((980_000..1_020_000).contains(&times.len()), "{} in a second", times.len());
        let in_bursts = times.iter().filter(|&&time| time % 10_000_000 < 500_000).count() as f64 / times.len() as f64;
        assert!((0.49..0.51).contains(&in_bursts), "{in_bursts}");
    }
}
