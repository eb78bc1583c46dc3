//! A comparison of two builds as a table on a terminal, and as Markdown for a pull request.

use super::format::{rate, three_digits};
use super::text::Page;
use crate::compare::{Comparison, Row, Verdict};
use std::fmt::Write;

/// Lays the comparison out for a terminal of this many columns (at least 60). `bold` marks headings with ANSI codes.
pub fn render(comparison: &Comparison, columns: u16, bold: bool) -> String {
    let page = Page { columns: columns.max(60), bold };
    let mut out = String::new();
    page.heading(&verdict(comparison), &mut out);
    for line in places(comparison) {
        page.paragraph(&line, &mut out);
    }
    for (title, header, rows) in tables(comparison) {
        page.heading(&title, &mut out);
        out.push_str(&page.table(&header, rows, &[0, 5]));
    }
    for note in notes(comparison) {
        page.paragraph(&note, &mut out);
    }
    out
}

/// The same as Markdown.
pub fn render_markdown(comparison: &Comparison) -> String {
    let mut out = format!("### {}\n\n", verdict(comparison));
    for (title, header, rows) in tables(comparison) {
        let cells = |cells: &[String]| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
        let rules = ["|---", "|---:", "|---:", "|---:", "|---:", "|---"].concat();
        write!(out, "**{title}**\n\n{}{rules}|\n", cells(&header.map(String::from))).expect("a string takes all");
        rows.iter().for_each(|row| out.push_str(&cells(row)));
        out.push('\n');
    }
    for line in places(comparison).into_iter().chain(notes(comparison)) {
        writeln!(out, "{line}\n").expect("a string takes all");
    }
    out
}

/// One line that says it all.
fn verdict(comparison: &Comparison) -> String {
    let names = |verdict: Verdict| {
        let is_one = |row: &&Row| row.gated && row.verdict == verdict;
        let times = comparison.times.iter().filter(is_one).map(|row| row.name.clone());
        let counts = comparison.instructions.iter().filter(is_one).map(|row| format!("instructions of {}", row.name));
        times.chain(counts).collect::<Vec<_>>().join("; ")
    };
    let total = comparison.gated().count();
    let unsure = match comparison.count(Verdict::CannotTell) {
        0 => String::new(),
        unsure => format!(" (of {unsure} of {total} nobody can tell)"),
    };
    if comparison.count(Verdict::Slower) > 0 {
        format!("Slower: {}{unsure}", names(Verdict::Slower))
    } else if comparison.count(Verdict::CannotTell) == total {
        "Cannot tell".to_string()
    } else if comparison.count(Verdict::Faster) > 0 {
        format!("No slower; faster: {}{unsure}", names(Verdict::Faster))
    } else {
        format!("No slower{unsure}")
    }
}

fn places(comparison: &Comparison) -> Vec<String> {
    let [old, new] = &comparison.places;
    if old == new { vec![format!("Both: {old}.")] } else { vec![format!("Old: {old}."), format!("New: {new}.")] }
}

type Rows = Vec<Vec<String>>;

fn tables(comparison: &Comparison) -> Vec<(String, [&'static str; 6], Rows)> {
    let mut tables = Vec::new();
    let pairs = comparison.pairs;
    if let Some(first) = comparison.times.first() {
        let title = format!(
            "Operations per second, {pairs} pair{} of runs, limit {}",
            if pairs == 1 { "" } else { "s" },
            percent(comparison.limits.slower)
        );
        let header = ["scenario, stack", "old", "new", "change", "interval", "verdict"];
        let confidence = comparison.times.iter().map(|row| row.ratio.confidence).fold(first.ratio.confidence, f64::min);
        let row = |row: &Row| {
            let interval = if confidence > 0.0 {
                format!("{} to {}", change(row.ratio.low), change(row.ratio.high))
            } else {
                "-".to_string()
            };
            cells(row, rate, interval)
        };
        tables.push((title, header, comparison.times.iter().map(row).collect()));
    }
    if !comparison.instructions.is_empty() {
        let title = format!("Instructions per operation, limit {}", percent(comparison.limits.instructions));
        let header = ["part", "old", "new", "change", "interval", "verdict"];
        let row = |row: &Row| cells(row, three_and_more, "exact".to_string());
        tables.push((title, header, comparison.instructions.iter().map(row).collect()));
    }
    tables
}

fn cells(row: &Row, figure: impl Fn(f64) -> String, interval: String) -> Vec<String> {
    let verdict = match row.verdict {
        Verdict::Slower => "SLOWER",
        Verdict::NoSlower => "no slower",
        Verdict::Faster => "faster",
        Verdict::CannotTell => "cannot tell",
    };
    let gated = if row.gated { "" } else { " (not gated)" };
    let reason = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
    vec![
        row.name.clone(),
        figure(row.old),
        figure(row.new),
        change(row.ratio.median),
        interval,
        format!("{verdict}{gated}{reason}"),
    ]
}

fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = comparison.notes.clone();
    if let Some(confidence) = comparison.times.iter().map(|row| row.ratio.confidence).reduce(f64::min)
        && confidence > 0.0
    {
        notes.push(format!(
            "Each interval holds the true change with {:.2} % (signed ranks of the pairs' ratios). Slower means: the interval is \
             below 0, and the change beyond the limit. No slower: the interval excludes the limit.",
            100.0 * confidence
        ));
    }
    notes
}

fn percent(fraction: f64) -> String {
    format!("{} %", three_digits(100.0 * fraction).trim_end_matches("00").trim_end_matches('.'))
}

fn change(ratio: f64) -> String {
    format!("{:+.1} %", 100.0 * (ratio - 1.0))
}

fn three_and_more(figure: f64) -> String {
    format!("{figure:.1}")
}
