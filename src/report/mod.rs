//! Floor 6: a run's report, for people and for programs. Nothing is computed here that the report does not hold.

mod format;
mod text;

pub use format::{count, duration_ns, kwh, price, rate, watt};
pub use text::render as render_text;

use crate::scenario::RunReport;

/// The report as JSON (`joulebook.run.v1`), with a line feed at its end.
pub fn render_json(report: &RunReport) -> String {
    let mut json = serde_json::to_string_pretty(report).expect("a report has nothing that JSON cannot hold");
    json.push('\n');
    json
}
