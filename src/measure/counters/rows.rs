//! Counters as reports show them: per operation, or with the reason why not.

use super::{Counter, Sample, Source};
use crate::measure::Reading;
use serde::Serialize;

/// One counter of a stretch of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CounterReading {
    /// What was counted, by its name.
    pub counter: Counter,
    /// Events per operation.
    pub per_operation: Reading,
    /// The part of the time in which it was counted, 0 to 1; absent where it was all of it. The figure is scaled to all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<f64>,
}

/// All counters of a stretch of work of so many operations, in the order of [`Counter::ALL`].
pub fn per_operation(source: &dyn Source, span: &Sample, operations: u64) -> Vec<CounterReading> {
    let row = |counter: Counter| {
        let unavailable = |reason: &str| (Reading::Unavailable(reason.to_string()), None);
        let (per_operation, counted) = match (source.unavailable(counter), span.get(counter), span.scaled(counter)) {
            (Some(reason), ..) => unavailable(reason),
            (None, None, _) => unavailable("it could not be read"),
            (None, Some(_), None) => {
                unavailable("it never ran: other counters had the CPU's registers, or the work was too short")
            }
            (None, ..) if operations == 0 => unavailable("no operation was done"),
            (None, Some(_), Some(scaled)) => {
                let all_of_it = scaled.counted > 0.999;
                (Reading::Value(scaled.count / operations as f64), (!all_of_it).then_some(scaled.counted))
            }
        };
        CounterReading { counter, per_operation, counted }
    };
    Counter::ALL.into_iter().map(row).collect()
}

/// Which counters there are, which not, and why, in one line: `task clock; no cycles, instructions: this virtual machine has no
/// PMU (ENOENT)`.
pub fn summary(source: &dyn Source) -> String {
    let names = |counters: &[Counter]| {
        let names: Vec<&str> = counters.iter().map(|counter| short_name(*counter)).collect();
        names.join(", ")
    };
    let available: Vec<Counter> =
        Counter::ALL.into_iter().filter(|&counter| source.unavailable(counter).is_none()).collect();
    let mut parts = Vec::new();
    if !available.is_empty() {
        parts.push(names(&available));
    }
    let mut missing: Vec<(&str, Vec<Counter>)> = Vec::new();
    for counter in Counter::ALL {
        let Some(reason) = source.unavailable(counter) else { continue };
        match missing.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, counters)) => counters.push(counter),
            None => missing.push((reason, vec![counter])),
        }
    }
    for (reason, counters) in missing {
        let what =
            if counters.len() == Counter::ALL.len() { "none".to_string() } else { format!("no {}", names(&counters)) };
        parts.push(format!("{what}: {reason}"));
    }
    parts.extend(source.notes().iter().cloned());
    parts.join("; ")
}

/// Without its unit, which a list has no use for.
fn short_name(counter: Counter) -> &'static str {
    counter.name().split(',').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Recorded, Tally};
    use super::*;

    fn recorded() -> (Recorded, Sample) {
        let full = |count| Tally { count, enabled_ns: 100, running_ns: 100 };
        let span = Sample::default()
            .with(Counter::TaskClock, full(100))
            .with(Counter::Cycles, Tally { count: 300, enabled_ns: 100, running_ns: 50 })
            .with(Counter::Branches, Tally { count: 0, enabled_ns: 100, running_ns: 0 })
            .with(Counter::MajorFaults, full(0));
        (Recorded::new([span], "no such register"), span)
    }

    fn find(rows: &[CounterReading], counter: Counter) -> &CounterReading {
        rows.iter().find(|row| row.counter == counter).unwrap()
    }

    #[test]
    fn rows_are_per_operation_scaled_or_have_a_reason() {
        let (source, span) = recorded();
        let rows = per_operation(&source, &span, 10);
        assert_eq!(rows.len(), Counter::ALL.len());
        assert_eq!(find(&rows, Counter::TaskClock).per_operation, Reading::Value(10.0));
        assert_eq!(find(&rows, Counter::TaskClock).counted, None);
        assert_eq!(find(&rows, Counter::Cycles).per_operation, Reading::Value(60.0));
        assert_eq!(find(&rows, Counter::Cycles).counted, Some(0.5));
        assert_eq!(find(&rows, Counter::MajorFaults).per_operation, Reading::Value(0.0));
        assert!(
            matches!(&find(&rows, Counter::Branches).per_operation, Reading::Unavailable(why) if why.contains("never ran"))
        );
        let missing = find(&rows, Counter::LlcMisses);
        assert_eq!(missing.per_operation, Reading::Unavailable("no such register".into()));
        let json = serde_json::to_string(missing).unwrap();
        assert_eq!(json, r#"{"counter":"LLC misses","per_operation":{"unavailable":"no such register"}}"#);
    }

    #[test]
    fn of_no_operations_nothing_is_said() {
        let (source, span) = recorded();
        let rows = per_operation(&source, &span, 0);
        assert!(rows.iter().all(|row| matches!(row.per_operation, Reading::Unavailable(_))));
    }

    #[test]
    fn one_line_says_what_there_is_and_why_not() {
        let line = summary(&recorded().0);
        assert!(line.starts_with("task clock, major faults, cycles, branches; no context switches, "), "{line}");
        assert!(line.ends_with("stalled back end: no such register"), "{line}");
        assert_eq!(summary(&Recorded::nothing("why not")), "none: why not");
    }
}
