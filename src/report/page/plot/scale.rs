//! From a value to a place on an axis, and the values that an axis names.

use thiserror::Error;

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// Equal steps are equal differences. Zero is always on it.
    Linear,
    /// Equal steps are equal ratios.
    Log,
    /// For quantiles: equal steps are equal ratios of what is above, so that 0.9, 0.99 and 0.999 stand equally far apart.
    Tail,
}

/// Why values have no scale.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum ScaleError {
    /// There is none.
    #[error("there is no value")]
    Empty,
    /// Not a number, infinite, or larger than any figure of a report.
    #[error("{0} has no place on a scale")]
    NotFinite(f64),
    /// Zero, less, or smaller than any figure of a report.
    #[error("{0} has no place on a logarithmic scale, only numbers above zero have")]
    NotPositive(f64),
    /// Below 0, or 1 or more.
    #[error("{0} is no quantile, those are from 0 to below 1")]
    NotAQuantile(f64),
}

/// Beyond it, differences of two values are not finite.
const SIZE_MAX: f64 = 1e300;
/// Below it, powers of ten are not exact.
const POSITIVE_MIN: f64 = 1e-300;
/// Steps of a linear axis.
const LINEAR_STEPS: usize = 5;

/// An axis: which values it spans, and between which places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    division: Division,
    /// Ends in transformed values: as they are, as powers of ten, or as nines.
    low: f64,
    high: f64,
    /// Ends as places.
    from: f64,
    to: f64,
}

impl Scale {
    /// The scale that holds all values, between the places `from` and `to`. It ends at round values: at steps that it names if it
    /// is linear, at powers of ten if it is logarithmic; among quantiles, at the highest of them.
    ///
    /// # Errors
    /// A value that has no place, or none at all.
    pub fn over(
        division: Division,
        values: impl IntoIterator<Item = f64>,
        from: f64,
        to: f64,
    ) -> Result<Scale, ScaleError> {
        let mut ends: Option<(f64, f64)> = None;
        for value in values {
            let at = transformed(division, value)?;
            let (low, high) = ends.unwrap_or((at, at));
            ends = Some((low.min(at), high.max(at)));
        }
        let (low, high) = ends.ok_or(ScaleError::Empty)?;
        let (low, high) = match division {
            Division::Linear => {
                let (low, high) = (low.min(0.0), high.max(0.0));
                let high = if high > low { high } else { 1.0 };
                let step = step(high - low, LINEAR_STEPS);
                ((low / step).floor() * step, (high / step).ceil() * step)
            }
            Division::Log => {
                let (low, high) = (whole(low, f64::floor), whole(high, f64::ceil));
                (low, if high > low { high } else { low + 1.0 })
            }
            Division::Tail => (0.0, if high > 0.0 { high } else { 1.0 }),
        };
        Ok(Scale { division, low, high, from, to })
    }

    /// Where a value stands.
    ///
    /// # Errors
    /// It has no place.
    pub fn at(&self, value: f64) -> Result<f64, ScaleError> {
        let share = (transformed(self.division, value)? - self.low) / (self.high - self.low);
        Ok(self.from + share * (self.to - self.from))
    }

    /// Where the axis begins.
    pub fn start(&self) -> f64 {
        self.from
    }

    /// At most `most` (at least 2) values to be named, in ascending order.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        let most = most.max(2);
        match self.division {
            Division::Linear => {
                let step = step(self.high - self.low, most - 1);
                let first = whole(self.low / step, f64::ceil) as i64;
                let last = whole(self.high / step, f64::floor) as i64;
                (first..=last).map(|at| at as f64 * step).collect()
            }
            Division::Log => self.powers(most),
            Division::Tail => {
                let nines = self.high.floor() as usize;
                let stride = (nines + 1).div_ceil(most).max(1);
                let mut ticks: Vec<f64> =
                    (0..=nines).step_by(stride).map(|nines| 1.0 - 10f64.powi(-(nines as i32))).collect();
                if ticks.len() < most {
                    ticks.insert(1, 0.5);
                }
                ticks
            }
        }
    }

    fn powers(&self, most: usize) -> Vec<f64> {
        let (low, high) = (self.low as i32, self.high as i32);
        let decades = (high - low) as usize;
        let power = |exponent: i32| 10f64.powi(exponent);
        for between in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]] {
            if decades * between.len() < most {
                let inner = (low..high).flat_map(|exponent| between.iter().map(move |&at| at * power(exponent)));
                return inner.chain([power(high)]).collect();
            }
        }
        let stride = (decades + 1).div_ceil(most).max(1);
        (low..=high).step_by(stride).map(power).collect()
    }
}

fn transformed(division: Division, value: f64) -> Result<f64, ScaleError> {
    match division {
        _ if !value.is_finite() || value.abs() > SIZE_MAX => Err(ScaleError::NotFinite(value)),
        Division::Linear => Ok(value),
        Division::Log if value < POSITIVE_MIN => Err(ScaleError::NotPositive(value)),
        Division::Log => Ok(value.log10()),
        Division::Tail if !(0.0..1.0).contains(&value) => Err(ScaleError::NotAQuantile(value)),
        Division::Tail => Ok(-(1.0 - value).log10()),
    }
}

/// The 1, 2 or 5 times a power of ten that takes at most so many steps.
fn step(span: f64, steps: usize) -> f64 {
    let least = span / steps as f64;
    let power = 10f64.powf(least.log10().floor());
    let fits = |&step: &f64| step * (1.0 + 1e-9) >= least;
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(fits).unwrap_or(10.0 * power)
}

/// Rounds, but a number that is whole up to rounding errors stays what it is.
fn whole(value: f64, round: fn(f64) -> f64) -> f64 {
    if (value - value.round()).abs() < 1e-9 { value.round() } else { round(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(division: Division, values: &[f64]) -> Result<Scale, ScaleError> {
        Scale::over(division, values.iter().copied(), 0.0, 100.0)
    }

    #[test]
    fn logarithmic_ticks_are_round_and_few() {
        let of = |values: &[f64], most| over(Division::Log, values).unwrap().ticks(most);
        assert_eq!(of(&[20.0, 3_000.0], 5), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert_eq!(of(&[1.5, 8.0], 8), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(of(&[1.5, 80.0], 6), [1.0, 3.0, 10.0, 30.0, 100.0]);
        assert_eq!(of(&[1.0, 1e9], 5), [1.0, 1e2, 1e4, 1e6, 1e8]);
        for most in 2..12 {
            for high in [2.0, 20.0, 1e5, 1e20, 1e299] {
                let ticks = of(&[1.0, high], most);
                assert!((2..=most).contains(&ticks.len()), "{most} {high}: {ticks:?}");
                assert!(ticks.windows(2).all(|two| two[0] < two[1]));
            }
        }
    }

    #[test]
    fn linear_ticks_hold_zero_and_both_ends() {
        let scale = over(Division::Linear, &[3.0, 97.0]).unwrap();
        assert_eq!(scale.ticks(6), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(scale.ticks(3), [0.0, 50.0, 100.0]);
        assert_eq!(over(Division::Linear, &[-30.0, 50.0]).unwrap().ticks(6), [-40.0, -20.0, 0.0, 20.0, 40.0, 60.0]);
        for most in 2..12 {
            for value in [1e-9, 0.3, 7.0, 1e5, 123_456_789.0, 1e299, -1e299, -0.7] {
                let ticks = over(Division::Linear, &[value]).unwrap().ticks(most);
                assert!(!ticks.is_empty() && ticks.len() <= most, "{most} {value}: {ticks:?}");
                assert!(ticks.contains(&0.0), "{most} {value}: {ticks:?}");
            }
        }
    }

    #[test]
    fn ticks_of_quantiles_are_nines() {
        let scale = over(Division::Tail, &[0.0, 0.9, 0.9999]).unwrap();
        let ticks = scale.ticks(6);
        let wanted = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999];
        assert!(ticks.len() == 6 && ticks.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{ticks:?}");
        assert_eq!(scale.ticks(3).len(), 3);
        let place = |value| scale.at(value).unwrap();
        assert!((place(0.99) - place(0.9) - (place(0.9) - place(0.0))).abs() < 1e-9);
        assert!((place(0.9999) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn values_stand_where_they_belong() {
        let log = over(Division::Log, &[1.0, 100.0]).unwrap();
        assert_eq!([log.at(1.0), log.at(10.0), log.at(100.0)], [Ok(0.0), Ok(50.0), Ok(100.0)]);
        let downwards = Scale::over(Division::Linear, [0.0, 10.0], 200.0, 100.0).unwrap();
        assert_eq!([downwards.at(0.0), downwards.at(5.0), downwards.at(10.0)], [Ok(200.0), Ok(150.0), Ok(100.0)]);
        // A power of ten is an end, also where its logarithm is rounded.
        for exponent in -9..=15 {
            let power = 10f64.powi(exponent);
            let scale = over(Division::Log, &[power, 10.0 * power]).unwrap();
            assert!((scale.at(power).unwrap()).abs() < 1e-6 && (scale.at(10.0 * power).unwrap() - 100.0).abs() < 1e-6);
        }
    }

    #[test]
    fn one_value_and_zeros_have_a_scale() {
        for value in [5.0, 10.0, 1e-300, 1e300] {
            let at = over(Division::Log, &[value]).unwrap().at(value).unwrap();
            assert!((0.0..=100.0).contains(&at), "{value}: {at}");
        }
        for value in [0.0, 5.0, -5.0, 1e300, 1e-320] {
            let at = over(Division::Linear, &[value, value]).unwrap().at(value).unwrap();
            assert!((0.0..=100.0).contains(&at), "{value}: {at}");
        }
        assert_eq!(over(Division::Tail, &[0.0]).unwrap().at(0.0), Ok(0.0));
    }

    #[test]
    fn what_has_no_place_is_refused() {
        use Division::{Linear, Log, Tail};
        for division in [Linear, Log, Tail] {
            assert_eq!(over(division, &[]), Err(ScaleError::Empty));
            assert_eq!(over(division, &[0.5, f64::INFINITY]), Err(ScaleError::NotFinite(f64::INFINITY)));
            assert!(matches!(over(division, &[f64::NAN, 0.5]), Err(ScaleError::NotFinite(nan)) if nan.is_nan()));
            let scale = over(division, &[0.5]).unwrap();
            assert!(matches!(scale.at(f64::NAN), Err(ScaleError::NotFinite(_))));
        }
        assert_eq!(over(Log, &[0.0, 1.0]), Err(ScaleError::NotPositive(0.0)));
        assert_eq!(over(Log, &[-1.0]), Err(ScaleError::NotPositive(-1.0)));
        assert_eq!(over(Tail, &[1.0]), Err(ScaleError::NotAQuantile(1.0)));
        assert_eq!(over(Linear, &[-1.1e300]), Err(ScaleError::NotFinite(-1.1e300)));
    }
}
