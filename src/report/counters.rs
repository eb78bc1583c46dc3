//! Counters per operation as rows of a table.

use super::format::{count, three_digits};
use crate::measure::Reading;
use crate::measure::counters::CounterReading;

/// One row per counter: its name, and how many per operation or why there are none. Counters without a figure for the same reason
/// share a row, at the end: a machine without a PMU has one such row and not twelve.
pub fn counter_rows(readings: &[CounterReading]) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
    for reading in readings {
        let name = reading.counter.name();
        match &reading.per_operation {
            Reading::Value(value) => rows.push([name.to_string(), estimated(*value, reading.counted)]),
            Reading::Unavailable(reason) => match missing.iter_mut().find(|(known, _)| known == reason) {
                Some((_, names)) => names.push(name),
                None => missing.push((reason, vec![name])),
            },
        }
    }
    rows.extend(missing.iter().map(|(reason, names)| [names.join(", "), format!("unavailable: {reason}")]));
    rows
}

fn estimated(value: f64, counted: Option<f64>) -> String {
    let figure = figure(value);
    match counted {
        Some(share) => format!("{figure} (estimated from {:.0} % of the time)", 100.0 * share),
        None => figure,
    }
}

/// So many per operation.
pub fn figure(value: f64) -> String {
    // Rare events are fewer than one per operation by far.
    match value {
        0.0 => "0".to_string(),
        value if value < 0.01 => format!("{value:.1e}"),
        value if value >= 1_000.0 => count(value.round() as u64),
        value => three_digits(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::counters::Counter;

    #[test]
    fn rows_have_figures_or_one_reason_for_all() {
        let row = |counter, per_operation, counted| CounterReading { counter, per_operation, counted };
        let why = || Reading::Unavailable("no PMU".into());
        let rows = counter_rows(&[
            row(Counter::Instructions, Reading::Value(123.4), Some(0.5)),
            row(Counter::Cycles, Reading::Value(12_345.6), None),
            row(Counter::Branches, why(), None),
            row(Counter::MinorFaults, Reading::Value(0.00012), None),
            row(Counter::MajorFaults, Reading::Value(0.0), None),
            row(Counter::BranchMisses, why(), None),
        ]);
        let rows: Vec<String> = rows.iter().map(|row| row.join(" | ")).collect();
        assert_eq!(
            rows,
            [
                "instructions | 123 (estimated from 50 % of the time)",
                "cycles | 12,346",
                "minor faults | 1.2e-4",
                "major faults | 0",
                "branches, branch misses | unavailable: no PMU",
            ]
        );
    }
}
