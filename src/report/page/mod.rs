//! A run's report as one HTML page: nothing is loaded from anywhere, and no script runs.
//!
//! `sections` lays the report out, `plot` draws, `table` makes tables in which each figure names its exact value and its place in
//! the JSON report, `markup` writes what is well-formed.

mod markup;
mod plot;
mod sections;
mod table;

use crate::scenario::RunReport;
use markup::Markup;

const STYLE: &str = include_str!("style.css");

/// Lays the report out as a page. Every figure stands in a `<data value="..." data-json="...">` with its exact value and its place
/// in the JSON report of the same run.
pub fn render(report: &RunReport) -> String {
    let mut out = Markup::new();
    out.open("html", &[("lang", "en")]).open("head", &[]);
    out.empty("meta", &[("charset", "utf-8")]);
    out.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    out.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    out.element("title", &[], &format!("joulebook run, {}", report.environment.date));
    out.style(STYLE).close();
    out.open("body", &[]).open("main", &[]);
    sections::write(report, &mut out);
    out.close().close().close();
    format!("<!DOCTYPE html>\n{}\n", out.finish())
}
