//! Floor 6: a report, for people (text, a page) and for programs (JSON). Nothing is computed here that the report does not hold.

mod books;
mod compare;
mod counters;
mod format;
mod load;
mod page;
mod text;

pub use books::render as render_books_text;
pub use compare::{render as render_compare_text, render_markdown as render_compare_markdown};
pub use counters::counter_rows;
pub use format::{count, duration_ns, kwh, price, rate, watt};
pub use load::render as render_load_text;
pub use page::{render as render_html, render_load as render_load_html};
pub use text::render as render_text;

use serde::Serialize;

/// A report as JSON, with a line feed at its end.
pub fn render_json(report: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(report).expect("a report has nothing that JSON cannot hold");
    json.push('\n');
    json
}
