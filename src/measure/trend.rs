//! Whether something grows, and how fast: a line through points whose errors have no known shape.
//!
//! The slope is the median of the slopes of all pairs of points (Theil 1950), its interval the slopes between which Kendall's rank
//! correlation would leave it (Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"). Neither is moved by a
//! few points that are far off, as a resident set that jumps for a moment is. Points that follow each other closely are not
//! independent: give means of stretches.

use serde::Serialize;

/// Fewer points say nothing: with eight, 95 % still leaves out some pairs on both sides.
pub const TREND_POINTS_MIN: usize = 8;
/// Of a normal distribution, 95 % lie within so many deviations.
const Z95: f64 = 1.959_964;

/// A slope, and between what it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// What comes on top per unit of x.
    pub slope: f64,
    /// Its interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Points that the line is laid through.
    pub points: usize,
}

/// A line through points `(x, y)`; nothing for fewer than [`TREND_POINTS_MIN`], or with less than two different x.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let count = points.len();
    if count < TREND_POINTS_MIN {
        return None;
    }
    let pairs = (0..count).flat_map(|first| (first + 1..count).map(move |second| (points[first], points[second])));
    let slopes = pairs.filter(|(from, to)| from.0 != to.0).map(|(from, to)| (to.1 - from.1) / (to.0 - from.0));
    let mut slopes: Vec<f64> = slopes.collect();
    if slopes.is_empty() {
        return None;
    }
    let n = count as f64;
    // Variance of Kendall's S without ties; with ties it is smaller, and the interval a little too wide.
    let spread = Z95 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    slopes.sort_by(f64::total_cmp);
    let last = slopes.len() - 1;
    let below = (((slopes.len() as f64 - spread) / 2.0).floor() as usize).min(last / 2);
    let middle = (slopes[last / 2] + slopes[last.div_ceil(2)]) / 2.0;
    Some(Trend { slope: middle, low: slopes[below], high: slopes[last - below], points: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_outliers_do_not_move_it() {
        let mut points: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x))).collect();
        assert_eq!(trend(&points).unwrap(), Trend { slope: 0.5, low: 0.5, high: 0.5, points: 20 });
        points[7].1 = 1e6;
        points[12].1 = -1e6;
        assert_eq!(trend(&points).unwrap().slope, 0.5);
        let flat: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), 7.0)).collect();
        assert_eq!(trend(&flat).unwrap(), Trend { slope: 0.0, low: 0.0, high: 0.0, points: 20 });
        assert_eq!(trend(&points[..7]), None);
        assert_eq!(trend(&[(1.0, 2.0); 9]), None);
    }

    /// Of 1,000 clouds without a trend, about 50 have an interval without 0; of clouds with one, all hold it.
    #[test]
    fn the_interval_holds_as_often_as_it_says() {
        let mut state = 1u64;
        let mut uniform = || {
            // Knuth's MMIX constants.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut missed = 0;
        for _ in 0..1_000 {
            let points: Vec<(f64, f64)> =
                (0..20).map(|x| (f64::from(x), 0.3 * f64::from(x) + uniform() + uniform())).collect();
            let Trend { low, high, slope, .. } = trend(&points).unwrap();
            assert!(low <= slope && slope <= high);
            missed += u32::from(low > 0.3 || high < 0.3);
        }
        assert!((20..80).contains(&missed), "{missed} of 1,000 intervals miss the slope");
    }
}
