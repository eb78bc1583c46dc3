//! How far paired measurements are shifted, with an interval that assumes no distribution.
//!
//! The estimate is Hodges and Lehmann's: the median of the means of all pairs of values, each with itself too (the Walsh
//! averages). Its interval is that of Wilcoxon's signed-rank test: Hollander, Wolfe and Chicken, Nonparametric Statistical
//! Methods, section 3.3. It asks only that a difference is as likely to go one way as the other, which holds exactly for two
//! runs of the same program, however noisy the machine is. A slow phase that hits one run counts as one rank, not by its size.
//!
//! Why no bootstrap: with the ten or twenty pairs that there is time for, percentiles of resampled values are too narrow. The
//! test below counts its false alarms beside these.

use super::{Interval, median};

/// The shift of these differences, with the narrowest interval that holds the true one with at least the probability `wanted`;
/// where even the smallest and the largest value do not, these, with what they reach: see [`pairs_needed`].
///
/// # Panics
/// On an empty slice.
pub fn shift_interval(differences: &[f64], wanted: f64) -> Interval {
    let n = differences.len();
    let mut walsh: Vec<f64> = Vec::with_capacity(n * (n + 1) / 2);
    for (at, &a) in differences.iter().enumerate() {
        walsh.extend(differences[at..].iter().map(|&b| (a + b) / 2.0));
    }
    let median = median(&mut walsh);
    let (mut k, mut confidence) = (1, 1.0 - 2.0 * 0.5f64.powi(n as i32));
    // The k-th smallest and the k-th largest average miss the true shift if the rank sum is below k on either side.
    let mut below = 0.0;
    for (sum, probability) in rank_sums(n).iter().enumerate().take(walsh.len() / 2) {
        below += probability;
        if 1.0 - 2.0 * below < wanted {
            break;
        }
        (k, confidence) = (sum + 1, 1.0 - 2.0 * below);
    }
    Interval { median, low: walsh[k - 1], high: walsh[walsh.len() - k], confidence }
}

/// The fewest pairs whose interval can hold the true shift with this probability.
///
/// # Panics
/// If `wanted` is not below 1.
pub fn pairs_needed(wanted: f64) -> usize {
    assert!(wanted < 1.0, "no number of pairs makes certain");
    (1..).find(|&n| 1.0 - 2.0 * 0.5f64.powi(n) >= wanted).expect("some number of pairs is enough") as usize
}

/// The probability of each sum of ranks 1 to `n`, when each rank counts or not by the toss of a coin.
fn rank_sums(n: usize) -> Vec<f64> {
    let mut probability = vec![0.0; n * (n + 1) / 2 + 1];
    probability[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..probability.len()).rev() {
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = (probability[sum] + with) / 2.0;
        }
    }
    probability
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn rank_sums_of_four() {
        // By hand: of 16 sets of the ranks 1 to 4, one has the sum 0, 1, 2 each, two have 3, two 4, two 5.
        let sixteenths: Vec<f64> = rank_sums(4).iter().map(|p| p * 16.0).collect();
        assert_eq!(sixteenths, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn intervals_of_tables() {
        // Hollander, Wolfe and Chicken, table A.4: n = 10, P(T <= 8) = 0.0244. So 95.1 % lie between the 9th smallest and the
        // 9th largest of 55 averages; of 1 to 10 these are known by counting.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let ten = shift_interval(&values, 0.95);
        assert!((ten.confidence - 0.9512).abs() < 1e-4, "{ten:?}");
        assert_eq!((ten.median, ten.low, ten.high), (5.5, 3.0, 8.0));
        let three = shift_interval(&[3.0, 1.0, 2.0], 0.95);
        assert_eq!((three.median, three.low, three.high, three.confidence), (2.0, 1.0, 3.0, 0.75));
        let one = shift_interval(&[2.0], 0.95);
        assert_eq!((one.low, one.high, one.confidence), (2.0, 2.0, 0.0));
        let same = shift_interval(&[0.0; 8], 0.95);
        assert_eq!((same.median, same.low, same.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn pairs_for_a_confidence() {
        assert_eq!(pairs_needed(0.95), 6); // 1 - 2 / 64 = 0.969
        assert_eq!(pairs_needed(0.9875), 8); // 1 - 2 / 256 = 0.992
        assert_eq!(pairs_needed(0.5), 2);
    }

    /// As machines are that are shared: a normal spread, and now and then a phase at half speed.
    fn noise(random: &mut Xoshiro256PlusPlus) -> f64 {
        let uniform = |random: &mut Xoshiro256PlusPlus| (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let spread: f64 = (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0;
        0.02 * spread - if uniform(random) < 0.1 { std::f64::consts::LN_2 } else { 0.0 }
    }

    /// Low end of a percentile bootstrap of the mean.
    fn bootstrap_excludes_zero(values: &[f64], random: &mut Xoshiro256PlusPlus) -> bool {
        let n = values.len() as u64;
        let mut means: Vec<f64> = (0..400)
            .map(|_| (0..n).map(|_| values[(random.next_u64() % n) as usize]).sum::<f64>() / n as f64)
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        means[10] > 0.0 || means[389] < 0.0
    }

    #[test]
    fn false_alarms_stay_below_what_is_promised_and_a_bootstrap_s_do_not() {
        const TRIES: u32 = 4_000;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let (mut alarms, mut seen, mut bootstrap) = (0, 0, 0);
        for _ in 0..TRIES {
            let same: Vec<f64> = (0..12).map(|_| noise(&mut random) - noise(&mut random)).collect();
            let interval = shift_interval(&same, 0.95);
            alarms += u32::from(interval.low > 0.0 || interval.high < 0.0);
            bootstrap += u32::from(bootstrap_excludes_zero(&same, &mut random));
            let slower: Vec<f64> = same.iter().map(|difference| difference - 0.1).collect();
            seen += u32::from(shift_interval(&slower, 0.95).high < 0.0);
        }
        // 5 % and three standard errors.
        let most = (f64::from(TRIES) * (0.05 + 3.0 * (0.05f64 * 0.95 / f64::from(TRIES)).sqrt())) as u32;
        println!("of {TRIES}: {alarms} false alarms, by bootstrap {bootstrap}; 10 % slower seen {seen} times");
        assert!(alarms <= most, "{alarms} false alarms of {TRIES}");
        assert!(bootstrap > most, "a bootstrap is as good: {bootstrap} false alarms of {TRIES}");
        assert!(seen > TRIES / 2, "10 % slower seen only {seen} times of {TRIES}");
    }
}
