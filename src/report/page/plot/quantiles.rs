//! Latency distributions as quantile lines: what part of the operations took at most how long, with the tail spread out.
//!
//! The form is G. Tene's of HdrHistogram (`plotFiles.html`), with a logarithmic axis upwards: stacks differ by factors.

use super::super::table::Figure;
use super::lines::{Axis, Lines, Point, Series};
use super::{Division, Unit};

/// Distributions of one kind of operation: each with a name, a style, and its quantiles (0 to below 1) with their latencies in ns.
pub fn quantiles(caption: String, distributions: Vec<(String, usize, Vec<[Figure; 2]>)>) -> Lines {
    let series = distributions.into_iter().map(|(name, style, points)| Series {
        name,
        style,
        points: points.into_iter().map(|[x, y]| Point { x, y }).collect(),
    });
    Lines {
        caption,
        x: Axis { name: "part of the operations".into(), unit: Unit::Quantile, division: Division::Tail },
        y: Axis { name: "took at most".into(), unit: Unit::Nanoseconds, division: Division::Log },
        series: series.collect(),
    }
}
