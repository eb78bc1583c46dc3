//! A run of many books as a table on a terminal.

use super::format::{count, rate, three_digits};
use super::text::Page;
use crate::measure::Interval;
use crate::scenario::{BooksReport, BooksResult};

/// Lays the report out for a terminal of this many columns (at least 60). `bold` marks headings with ANSI codes.
pub fn render(report: &BooksReport, columns: u16, bold: bool) -> String {
    let page = Page { columns: columns.max(60), bold };
    let mut out = String::new();
    if !report.complete {
        out.push_str("Interrupted: this is what was measured until then.\n");
    }
    let (place, asked) = (&report.environment, &report.settings);
    page.heading(&format!("joulebook {}: many books", place.version), &mut out);
    page.paragraph(
        &format!(
            "{}, {} CPUs, {}; {} threads for shards. Seed {}, {} messages in batches of {}, {} interleaved round{}{}.",
            place.cpu,
            place.cpus,
            place.platform,
            asked.threads,
            asked.seed,
            count(asked.messages.into()),
            count(asked.batch.into()),
            asked.rounds,
            if asked.rounds == 1 { "" } else { "s" },
            if asked.quick { ", quick sizes" } else { "" },
        ),
        &mut out,
    );
    if !place.optimized_build {
        page.paragraph("WARNING: this is not an optimized build; run with `cargo run --release`.", &mut out);
    }
    if report.results.is_empty() {
        return out;
    }
    let header = [
        "books",
        "shards",
        "messages",
        "ns each",
        "over one shard",
        "cost over one book",
        "fills",
        "KiB a book",
        "events digest",
    ];
    out.push_str(&page.table(&header, report.results.iter().map(row).collect(), &[8]));
    let confidence = report.results.iter().find_map(|result| result.over_one_shard.or(result.over_one_book));
    let confidence = confidence.map_or(String::new(), |interval| {
        format!(" Ratios are medians over the rounds, their intervals at {:.1} %.", 100.0 * interval.confidence)
    });
    page.paragraph(
        &format!(
            "Each book plays a flow of its own, and whose message is next is random; with more books, each has fewer of \
             the same number of messages.{confidence} Verified: every number of shards caused the same events."
        ),
        &mut out,
    );
    out
}

fn row(result: &BooksResult) -> Vec<String> {
    vec![
        count(result.books.into()),
        result.shards.to_string(),
        rate(result.messages_per_second),
        three_digits(result.ns_per_message),
        ratio(result.over_one_shard),
        ratio(result.over_one_book),
        count(result.fills),
        three_digits(result.bytes_per_book as f64 / 1024.0),
        result.digest[..16].to_string(),
    ]
}

/// Cut to two digits behind the point, not rounded up.
fn ratio(interval: Option<Interval>) -> String {
    let cut = |ratio: f64| format!("{:.2}", (100.0 * ratio).floor() / 100.0);
    interval.map_or("-".to_string(), |Interval { median, low, high, .. }| {
        format!("{}x ({} to {})", cut(median), cut(low), cut(high))
    })
}
