//! The report as tables on a terminal.

use super::counter_rows;
use super::format::{count, duration_ns, kwh, rate, three_digits, times, watt};
use crate::measure::Interval;
use crate::node::Stack;
use crate::scenario::{
    Attribution, Component, Counted, DurableSettings, JournalWork, Ratio, Reading, RunReport, Rung, ScenarioResult,
    StageShare, ThreadTimes,
};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Lays the report out for a terminal of this many columns (at least 60). `bold` marks headings with ANSI codes.
pub fn render(report: &RunReport, columns: u16, bold: bool) -> String {
    let page = Page { columns: columns.max(60), bold };
    let mut out = String::new();
    page.head(report, &mut out);
    let names: Vec<&str> = report.scenarios.iter().map(|result| result.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for name in names.into_iter().filter(|name| seen.insert(*name)) {
        page.scenario(report, name, &mut out);
    }
    if !report.ratios.is_empty() {
        page.ratios(&report.ratios, &mut out);
    }
    if !report.ladder.is_empty() {
        page.ladder(&report.ladder, &mut out);
    }
    if !report.attribution.is_empty() {
        page.attribution(&report.attribution, &mut out);
    }
    if !report.components.is_empty() {
        page.components(&report.components, report.bottleneck.as_deref(), &mut out);
    }
    if !report.complete {
        out.push_str("\nInterrupted: this is what was measured until then.\n");
    }
    out
}

/// Where text is laid out.
pub(super) struct Page {
    pub(super) columns: u16,
    pub(super) bold: bool,
}

impl Page {
    pub(super) fn heading(&self, text: &str, out: &mut String) {
        let (on, off) = if self.bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        writeln!(out, "\n{on}{text}{off}").expect("a string takes all");
    }

    /// A paragraph, broken between words.
    pub(super) fn paragraph(&self, text: &str, out: &mut String) {
        let mut width = 0;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > usize::from(self.columns) {
                out.push('\n');
                width = 0;
            } else if width > 0 {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += length;
        }
        out.push('\n');
    }

    pub(super) fn table(&self, header: &[&str], rows: Vec<Vec<String>>, left: &[usize]) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.columns);
        table.set_header(header.to_vec());
        rows.into_iter().for_each(|row| {
            table.add_row(row);
        });
        for (at, column) in table.column_iter_mut().enumerate() {
            if !left.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{table}\n")
    }

    fn head(&self, report: &RunReport, out: &mut String) {
        let (place, asked) = (&report.environment, &report.settings);
        if !report.complete {
            out.push_str("Interrupted: a partial report.\n");
        }
        self.heading(&format!("joulebook {}", place.version), out);
        self.paragraph(
            &format!(
                "{}, {} CPUs, {}. SHA-256: {}; many at a time: {} (this machine can run {}).",
                place.cpu,
                place.cpus,
                place.platform,
                place.sha256,
                place.hash_kernel,
                place.hash_kernels.join(", "),
            ),
            out,
        );
        self.paragraph(&format!("Counters: {}.", place.counters), out);
        let interval = asked.block_interval_ms.map_or(String::new(), |ms| format!(" or {ms} ms"));
        self.paragraph(
            &format!(
                "Seed {}, {} users, {} orders at the start, {} difficulty bits, blocks of {} transactions{interval} \
                 (baseline: {}), {} interleaved round{}{}. Times in blocks are simulated, so that a seed always gives the \
                 same chain.",
                asked.seed,
                count(asked.users.into()),
                count(asked.orders.into()),
                asked.difficulty_bits,
                count(asked.block_transactions.into()),
                asked.baseline_block_transactions,
                asked.rounds,
                if asked.rounds == 1 { "" } else { "s" },
                if asked.quick { ", quick sizes" } else { "" },
            ),
            out,
        );
        if let Some(durable) = &asked.durable {
            let DurableSettings { folder, writes, sync, warning } = durable;
            self.paragraph(&format!("Durable: journals in {folder}, {writes}; synced: {sync}."), out);
            if let Some(warning) = warning {
                self.paragraph(&format!("WARNING: the durable stack is not durable: {warning}."), out);
            }
        }
        if !place.optimized_build {
            self.paragraph("WARNING: this is not an optimized build; run with `cargo run --release`.", out);
        }
    }

    fn scenario(&self, report: &RunReport, name: &str, out: &mut String) {
        let results: Vec<&ScenarioResult> = report.scenarios.iter().filter(|result| result.name == name).collect();
        self.heading(name, out);
        self.paragraph(&format!("One operation: {}.", results[0].operation), out);
        let mut header = vec![""];
        header.extend(results.iter().map(|result| result.stack.as_str()));
        let rows = rows(&results);
        out.push_str(&self.table(&header, rows, &[0]));
        self.paragraph(&format!("Latency is {}.", results[0].latency_of), out);
        for other in results.iter().filter(|result| result.latency_of != results[0].latency_of) {
            self.paragraph(&format!("Latency of {} is {}.", other.stack, other.latency_of), out);
        }
        for result in &results {
            self.journal(result, out);
        }
        self.paragraph(
            &format!("Network: {} bytes ({}).", results[0].resources.network_bytes, results[0].resources.network_note),
            out,
        );
        if let Some(operations) = results[0].verified_operations {
            let operations = count(operations);
            self.paragraph(
                &format!(
                    "Verified: over the first {operations} operations all stacks gave the same events, reads and state."
                ),
                out,
            );
        }
    }

    /// What a stack with a journal did for each operation that was counted.
    fn journal(&self, result: &ScenarioResult, out: &mut String) {
        let Some(journal) = &result.journal else { return };
        let (stack, bytes, note) = (&result.stack, count(result.resources.disk_bytes), result.resources.disk_note);
        self.paragraph(
            &format!(
                "Before a round of {stack} ended, {} requests were answered with {} events, one client per account, and the \
                 last block's seal was in its journal. To disk: {bytes} bytes ({note}).",
                count(journal.answers),
                count(journal.events),
            ),
            out,
        );
    }

    fn ratios(&self, ratios: &[Ratio], out: &mut String) {
        let [durability, gains] = [true, false].map(|wanted| {
            let listed = ratios.iter().filter(|ratio| (ratio.over == Stack::DURABLE_NAME) == wanted);
            listed.collect::<Vec<&Ratio>>()
        });
        if !gains.is_empty() {
            self.ratio_table("Optimized over baseline, operations per second", &gains, out);
        }
        if !durability.is_empty() {
            self.ratio_table("Optimized over durable, operations per second: what durability costs", &durability, out);
        }
    }

    fn ratio_table(&self, heading: &str, ratios: &[&Ratio], out: &mut String) {
        self.heading(heading, out);
        let row = |ratio: &&Ratio| {
            vec![
                ratio.name.clone(),
                times(ratio.median),
                format!("{} to {}", times(ratio.low), times(ratio.high)),
                format!("{:.1} %", 100.0 * ratio.confidence),
                ratio.rounds.to_string(),
            ]
        };
        let header = ["scenario", "median", "interval", "confidence", "rounds"];
        out.push_str(&self.table(&header, ratios.iter().map(row).collect(), &[0]));
    }

    fn ladder(&self, rungs: &[Rung], out: &mut String) {
        self.heading("Ladder: one change at a time", out);
        let row = |rung: &Rung| {
            vec![
                rung.scenario.clone(),
                rung.stack.clone(),
                rate(rung.ops_per_second),
                times(rung.step),
                times(rung.total),
                rung.change.clone(),
            ]
        };
        let header = ["scenario", "stack", "operations", "step", "total", "what changed"];
        out.push_str(&self.table(&header, rungs.iter().map(row).collect(), &[0, 1, 5]));
    }

    fn attribution(&self, attributions: &[Attribution], out: &mut String) {
        self.heading("Where the time goes, by thread and stage", out);
        let mut rows = Vec::new();
        for Attribution { scenario, stack, threads, cost_of_looking, .. } in attributions {
            for thread in threads {
                let stages: Vec<String> = thread.stages.iter().map(stage).collect();
                let cost = |ratio: f64| format!("{:+.1}", 100.0 * (ratio - 1.0));
                let Interval { median, low, high, .. } = *cost_of_looking;
                let looking = format!("{} % ({} to {})", cost(median), cost(low), cost(high));
                let each = duration_ns(thread.ns_per_operation);
                rows.push(vec![scenario.clone(), stack.clone(), thread.name.clone(), each, stages.join(", "), looking]);
            }
        }
        let header = ["scenario", "stack", "thread", "each", "of that", "looking costs"];
        out.push_str(&self.table(&header, rows, &[0, 1, 2, 4]));
        for Attribution { scenario, stack, threads, bound_by, counted_by, .. } in attributions {
            self.paragraph(&format!("{scenario}, {stack}: bound by {bound_by}."), out);
            for thread in threads {
                let Some(counted) = &thread.counted else { continue };
                let (name, verdict, counters) = (&thread.name, &counted.verdict.words, there(counted));
                self.paragraph(&format!("The {name} thread: {verdict}. Counted per operation: {counters}."), out);
            }
            let row = |thread: &ThreadTimes, stage: &StageShare| {
                let counted = stage.counted.as_ref()?;
                let name = format!("{}, {}", thread.name, stage.name);
                let each = duration_ns(stage.ns_per_operation);
                Some(vec![name, each, counted.verdict.words.clone(), there(counted)])
            };
            let rows: Vec<Vec<String>> =
                threads.iter().flat_map(|thread| thread.stages.iter().filter_map(|stage| row(thread, stage))).collect();
            if !rows.is_empty() {
                let header = ["stage", "each", "what bounds it", "counted per operation"];
                out.push_str(&self.table(&header, rows, &[0, 2, 3]));
                let by = counted_by.as_deref().unwrap_or("counted by this CPU");
                self.paragraph(&format!("Stages of {scenario}, {stack}: {by}."), out);
            }
        }
    }

    fn components(&self, components: &[Component], bottleneck: Option<&str>, out: &mut String) {
        self.heading("Components, dearest first, each by itself on one thread", out);
        let row = |indent: &str, part: &Component| {
            vec![
                format!("{indent}{}", part.name),
                duration_ns(part.ns_per_operation),
                part.ops_per_second.map_or("-".to_string(), rate),
                part.share.map_or("-".to_string(), |share| format!("{:.1} %", 100.0 * share)),
                part.what.clone(),
            ]
        };
        let mut rows = Vec::new();
        for component in components {
            rows.push(row("", component));
            rows.extend(component.parts.iter().map(|part| row("  ", part)));
        }
        let header = ["component", "each", "alone", "of a trade", "what"];
        out.push_str(&self.table(&header, rows, &[0, 4]));
        if let Some(bottleneck) = bottleneck {
            self.paragraph(&format!("Bottleneck: {bottleneck}."), out);
        }
    }
}

/// What was counted, or why nothing was.
fn there(counted: &Counted) -> String {
    let there = counted.counters.iter().filter(|row| matches!(row.per_operation, Reading::Value(_)));
    let rows = counter_rows(&there.cloned().collect::<Vec<_>>());
    let counters: Vec<String> = rows.iter().map(|[name, figure]| format!("{name} {figure}")).collect();
    match counted.counters.first().map(|row| &row.per_operation) {
        Some(Reading::Unavailable(reason)) if counters.is_empty() => format!("none: {reason}"),
        _ => counters.join("; "),
    }
}

type Column<'a> = (&'a str, &'a dyn Fn(&ScenarioResult) -> String);

fn rows(results: &[&ScenarioResult]) -> Vec<Vec<String>> {
    let latency = |result: &ScenarioResult, read: fn(&crate::scenario::Latency) -> f64| {
        result.latency_ns.as_ref().map_or("not sampled".to_string(), |latency| duration_ns(read(latency)))
    };
    let journal = |result: &ScenarioResult, read: fn(&JournalWork) -> u64| {
        result.journal.as_ref().map_or("-".to_string(), |journal| count(read(journal)))
    };
    let columns: &[Column<'_>] = &[
        ("operations a second", &|r| rate(r.ops_per_second)),
        ("  slowest to fastest round", &|r| {
            format!("{} to {}", rate(r.ops_per_second_range[0]), rate(r.ops_per_second_range[1]))
        }),
        ("operations a round", &|r| count(r.operations)),
        ("latency mean", &|r| latency(r, |l| l.mean)),
        ("  p50", &|r| latency(r, |l| l.p50 as f64)),
        ("  p95", &|r| latency(r, |l| l.p95 as f64)),
        ("  p99", &|r| latency(r, |l| l.p99 as f64)),
        ("  p99.9", &|r| latency(r, |l| l.p999 as f64)),
        ("  max", &|r| latency(r, |l| l.max as f64)),
        ("error rate", &error_rate),
        ("  rejects", &rejects),
        ("wall a round", &|r| duration_ns(1e9 * r.resources.wall_seconds)),
        ("CPU a round", &|r| reading(&r.resources.cpu_seconds, |seconds| duration_ns(1e9 * seconds))),
        ("peak memory", &|r| reading(&r.resources.peak_rss_mib, |mib| format!("{} MiB", three_digits(mib)))),
        ("work: reads", &|r| count(r.work.reads)),
        ("  orders accepted", &|r| count(r.work.orders_accepted)),
        ("  orders cancelled", &|r| count(r.work.orders_cancelled)),
        ("  fills", &|r| count(r.work.fills)),
        ("  token transfers", &|r| count(r.work.transfers)),
        ("  energy, kWh", &|r| kwh(r.work.energy_wh)),
        ("  grid fees, WATT", &|r| watt(r.work.fees)),
        ("  blocks", &|r| count(r.work.blocks)),
        ("  transactions in blocks", &|r| count(r.work.transactions)),
        ("  nonces to the winners", &|r| count(r.work.hashes)),
        ("  last block", &|r| if r.work.tip.is_empty() { "-".to_string() } else { r.work.tip[..16].to_string() }),
        ("  requests answered", &|r| journal(r, |j| j.answers)),
        ("  events in answers", &|r| journal(r, |j| j.events)),
        ("  journal frames", &|r| journal(r, |j| j.frames)),
        ("  journal bytes", &|r| journal(r, |j| j.bytes)),
        ("  journal syncs", &|r| journal(r, |j| j.syncs)),
        ("state digest", &|r| r.digest[..16].to_string()),
    ];
    let row = |(name, read): &Column<'_>| {
        let mut row = vec![name.to_string()];
        row.extend(results.iter().map(|result| read(result)));
        row
    };
    // Rows that are zero or empty for every stack say nothing, except what an honest report must say.
    let says_something = |row: &Vec<String>| {
        let optional = row[0].starts_with("  ") || row[0].starts_with("work");
        !optional || row[1..].iter().any(|cell| !["0", "-", "0.000", "0.00000000"].contains(&cell.as_str()))
    };
    columns.iter().map(row).filter(says_something).collect()
}

fn stage(stage: &StageShare) -> String {
    format!("{} {:.1} %", stage.name, 100.0 * stage.share)
}

fn error_rate(result: &ScenarioResult) -> String {
    if result.work.commands == 0 { "no commands".to_string() } else { format!("{:.3} %", 100.0 * result.error_rate) }
}

fn rejects(result: &ScenarioResult) -> String {
    let listed: Vec<String> = result.rejects.iter().map(|(reason, &n)| format!("{reason} {}", count(n))).collect();
    if listed.is_empty() { "-".to_string() } else { listed.join(", ") }
}

fn reading(reading: &Reading, show: impl Fn(f64) -> String) -> String {
    match reading {
        Reading::Value(value) => show(*value),
        Reading::Unavailable(reason) => format!("unavailable: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Options, run, small_options};
    use std::sync::Arc;

    fn small_report() -> RunReport {
        let options = Options { users: 5, orders: 4, block_interval_ms: Some(1), rounds: Some(2), ..small_options() };
        run(&options, &mut |_| {}, &Arc::default()).unwrap()
    }

    #[test]
    fn text_holds_every_scenario_and_keeps_to_the_width() {
        let mut report = small_report();
        for columns in [60, 80, 120] {
            let text = render(&report, columns, false);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(columns), "{widest} > {columns}\n{text}");
            for result in &report.scenarios {
                assert!(text.contains(&result.digest[..16]) && text.contains(&rate(result.ops_per_second)));
            }
            for wanted in [
                "same events, reads and state",
                "Ladder",
                "Bottleneck",
                "Network: 0 bytes",
                "p99.9",
                "settlement, optimized: bound by the ",
                "The engine thread: ",
                "Counted per operation: task clock",
            ] {
                let flat = text.replace('\n', " ");
                assert!(flat.contains(wanted), "{wanted} is missing:\n{text}");
            }
        }
        report.complete = false;
        report.scenarios[0].resources.peak_rss_mib = Reading::Unavailable("no /proc".to_string());
        let partial = render(&report, 120, false);
        assert!(partial.starts_with("Interrupted") && partial.trim_end().ends_with("until then."));
        assert!(partial.contains("unavailable: no /proc"));
    }

    #[test]
    fn json_has_the_promised_names() {
        let report = small_report();
        let json: serde_json::Value = serde_json::from_str(&crate::report::render_json(&report)).unwrap();
        assert_eq!(json["schema"], "joulebook.run.v1");
        let names = [
            "name",
            "stack",
            "operations",
            "ops_per_second",
            "latency_ns",
            "error_rate",
            "rejects",
            "resources",
            "work",
            "digest",
        ];
        for scenario in json["scenarios"].as_array().unwrap() {
            assert!(names.iter().all(|name| !scenario[name].is_null()), "{scenario}");
        }
        assert_eq!(json["scenarios"].as_array().unwrap().len(), 8);
        assert_eq!(json["ratios"].as_array().unwrap().len(), 4);
        let attribution = json["attribution"].as_array().unwrap();
        assert_eq!(attribution.len(), 8);
        for of in attribution {
            for thread in of["threads"].as_array().unwrap() {
                let shares = thread["stages"].as_array().unwrap().iter().map(|stage| stage["share"].as_f64().unwrap());
                assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{thread}");
                // A stack that seals where it fills waits for nobody.
                let waits = thread["stages"].as_array().unwrap().iter().any(|stage| stage["name"] == "wait");
                assert!(!waits || of["stack"] == "optimized", "{thread}");
                // What a pool does is not counted.
                let by_a_pool = thread["name"] == "sealer" || (of["scenario"] == "reads" && of["stack"] == "optimized");
                assert_eq!(thread["counted"]["verdict"]["words"].is_string(), !by_a_pool, "{thread}");
            }
        }
        assert!(json["scenarios"][4]["work"]["fills"].as_u64().unwrap() > 0);
        assert!(json["scenarios"][0]["resources"]["peak_rss_mib"].is_object());
    }
}
