//! The measurements of a load: a row for each in every table, a line for each in the pictures of latency.

use super::super::frame::paragraph;
use super::super::markup::Markup;
use super::super::plot::{Bar, Bars, Division, Group, Unit, quantiles, write_figure};
use super::super::table::{At, Cell, Figure, Table};
use super::{card as write_card, runs_at};
use crate::report::format::three_digits;
use crate::scenario::Latency;
use crate::scenario::load::{LoadReport, LoadRun};
use std::collections::{BTreeMap, BTreeSet};

/// More distributions than this in one picture cannot be told apart.
const TOGETHER: usize = 6;

/// A card that says how much was answered, and how fast.
pub fn card(run: &LoadRun, at: &At, style: usize, out: &mut Markup) {
    let ns = |key: &str, number: u64| at.figure(&format!("latency_ns/{key}"), number, Unit::Nanoseconds).cell;
    let mut soft = vec![Cell::words("answered")];
    if let Some(rate) = run.offered_per_second {
        soft.push(Cell::words(" of "));
        soft.push(at.figure("offered_per_second", rate, Unit::Rate).cell);
    }
    soft.push(Cell::words(", latency p50 "));
    soft.push(ns("p50", run.latency_ns.p50));
    soft.push(Cell::words(", p99.9 "));
    soft.push(ns("p999", run.latency_ns.p999));
    let answered = at.figure("answered_per_second", run.answered_per_second, Unit::Rate).cell;
    write_card(style, &at.words("pace", &run.pace), &answered, &soft, out);
}

/// What was offered and what was answered, where there is something to compare.
pub fn write_throughput(report: &LoadReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "A closed loop offers as fast as it is answered. An open loop sends at its times, whether there are answers or not; what the \
         full queue refuses is not answered.",
    );
    let bar = |name: &str, style, value| Bar { name: Cell::words(name), style, value, range: None, more: Vec::new() };
    let group = |(_, at, run): (usize, At, &LoadRun)| {
        let rate = |key, rate| at.figure(key, rate, Unit::Rate);
        let offered = run.offered_per_second.map(|offered| bar("offered", 0, rate("offered_per_second", offered)));
        let answered = bar("answered", 1, rate("answered_per_second", run.answered_per_second));
        Group { name: at.words("pace", &run.pace), bars: offered.into_iter().chain([answered]).collect() }
    };
    let bars = Bars {
        caption: "requests a second".into(),
        heads: ["measurement", "requests", "a second"].map(String::from),
        unit: Unit::Rate,
        division: Division::Linear,
        range: None,
        points: false,
        reference: None,
        more: Vec::new(),
        groups: runs_at(report).map(group).collect(),
    };
    // One bar alone compares with nothing.
    if bars.groups.iter().map(|group| group.bars.len()).sum::<usize>() > 1 {
        write_figure("figure-throughput", "Requests offered and answered a second", &bars, out);
    }
    requests(report).write(out);
}

/// Distributions, percentiles, and how late the generator was.
pub fn write_latency(report: &LoadReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "From when a request was to be sent until it was answered. A point says which part of the requests took at most how long. Both \
         axes spread what is rare: 90 %, 99 % and 99.9 % stand equally far apart.",
    );
    let latency = |run: &LoadRun| Some(run.latency_ns.clone());
    distributions(report, ["latency", "Latency distribution"], "latency_ns", latency, out);
    percentiles(report, "Latency", "latency_ns", latency).write(out);
    if report.runs.iter().all(|run| run.generator_late_ns.is_none()) {
        return;
    }
    out.open("details", &[]).element("summary", &[], "How late requests were sent");
    out.element("p", &[], "The generator's own delay, which every latency of an open loop contains.");
    let late = |run: &LoadRun| run.generator_late_ns.clone();
    distributions(report, ["late", "How late requests were sent"], "generator_late_ns", late, out);
    percentiles(report, "How late requests were sent", "generator_late_ns", late).write(out);
    out.close();
}

/// Pictures of the distributions, with a few lines each.
fn distributions(
    report: &LoadReport,
    [id, title]: [&str; 2],
    key: &str,
    of: fn(&LoadRun) -> Option<Latency>,
    out: &mut Markup,
) {
    let lines: Vec<(String, usize, Vec<[Figure; 2]>)> = runs_at(report)
        .filter_map(|(index, at, run)| {
            let points = of(run)?.curve.into_iter().enumerate().map(|(point, quantile)| {
                let at = at.under(format!("{key}/curve/{point}"));
                let part = at.figure("quantile", quantile.quantile, Unit::Quantile);
                [part, at.figure("ns", quantile.ns, Unit::Nanoseconds)]
            });
            let points: Vec<[Figure; 2]> = points.collect();
            (!points.is_empty()).then(|| (run.pace.clone(), index, points))
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    let pictures = lines.len().div_ceil(TOGETHER);
    for (picture, some) in lines.chunks(lines.len().div_ceil(pictures)).enumerate() {
        let title = match pictures {
            1 => title.to_string(),
            _ => format!("{title}, {} of {pictures}", picture + 1),
        };
        let lines = quantiles(format!("{title}, by quantile"), some.to_vec());
        write_figure(&format!("figure-{id}-{}", picture + 1), &title, &lines, out);
    }
}

fn percentiles(report: &LoadReport, caption: &str, key: &str, of: fn(&LoadRun) -> Option<Latency>) -> Table {
    let mut table = Table::new(caption, ["", "mean", "p50", "p95", "p99", "p99.9", "max", "samples"]);
    for (_, at, run) in runs_at(report) {
        let Some(latency) = of(run) else { continue };
        let inner = at.under(key);
        let ns = |key: &str, number: u64| inner.figure(key, number, Unit::Nanoseconds).cell;
        table.rows.push(vec![
            at.words("pace", &run.pace),
            inner.figure("mean", latency.mean, Unit::Nanoseconds).cell,
            ns("p50", latency.p50),
            ns("p95", latency.p95),
            ns("p99", latency.p99),
            ns("p999", latency.p999),
            ns("max", latency.max),
            inner.count("samples", latency.samples),
        ]);
    }
    table
}

/// What was counted.
pub fn write_work(report: &LoadReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "Counted from events and blocks. What is answered is accepted, and then a transaction in a block, or refused by the market with \
         a reason. The first commands of each measurement were played again on the baseline, in the order in which the engine took \
         them, and gave the same state.",
    );
    if report.capacity.is_some() {
        requests(report).write(out);
    }
    work(report).write(out);
    let rejected: BTreeSet<&String> = report.runs.iter().flat_map(|run| run.rejects.keys()).collect();
    if rejected.is_empty() {
        out.element("p", &[], "The market refused nothing.");
    } else {
        let mut table = Table::new("Refused by the market, by reason", [""]);
        table.head.extend(rejected.iter().map(|reason| (*reason).clone()));
        for (_, at, run) in runs_at(report) {
            let cells = reject_cells(&at, &run.rejects, &rejected);
            table.rows.push([vec![at.words("pace", &run.pace)], cells].concat());
        }
        table.write(out);
    }
    paragraph(
        out,
        &[Cell::words(
            "Fairness is Jain's index over the clients' answers: 1 if all got the same. The worst client's p99 stands over the median \
             client's. At once: requests that the engine took together.",
        )],
    );
    clients(report).write(out);
}

/// Refusals in columns of reasons.
pub fn reject_cells(at: &At, rejects: &BTreeMap<String, u64>, reasons: &BTreeSet<&String>) -> Vec<Cell> {
    let cell = |reason: &&String| {
        let found = rejects.get(*reason);
        found.map_or_else(Cell::nothing, |&number| at.count(&format!("rejects/{reason}"), number))
    };
    reasons.iter().map(cell).collect()
}

fn requests(report: &LoadReport) -> Table {
    let heads = ["", "offered", "answered", "requests", "accepted", "refused by the queue", "wall"];
    let mut table = Table::new("Requests", heads);
    for (_, at, run) in runs_at(report) {
        let rate = |key, rate| at.figure(key, rate, Unit::Rate).cell;
        table.rows.push(vec![
            at.words("pace", &run.pace),
            run.offered_per_second.map_or_else(Cell::nothing, |offered| rate("offered_per_second", offered)),
            rate("answered_per_second", run.answered_per_second),
            at.count("requests", run.requests),
            at.count("accepted", run.accepted),
            at.count("refused_by_queue", run.refused_by_queue),
            at.figure("wall_seconds", run.wall_seconds, Unit::Seconds).cell,
        ]);
    }
    table
}

fn work(report: &LoadReport) -> Table {
    let heads = [
        "",
        "trades",
        "blocks",
        "orders that rest",
        "CPU",
        "engine without CPU",
        "same on the baseline",
        "state digest",
    ];
    let mut table = Table::new("Work", heads);
    for (_, at, run) in runs_at(report) {
        table.rows.push(vec![
            at.words("pace", &run.pace),
            at.count("trades", run.trades),
            at.count("blocks", run.blocks),
            at.count("open_orders", run.open_orders),
            at.reading("cpu_seconds", &run.cpu_seconds, Unit::Seconds),
            at.reading("engine_without_cpu_seconds", &run.engine_without_cpu_seconds, Unit::Seconds),
            at.count("verified_commands", run.verified_commands),
            at.words("digest", &run.digest),
        ]);
    }
    table
}

fn clients(report: &LoadReport) -> Table {
    let heads = ["", "fairness", "worst p99 over median", "at once, mean", "at once, at most"];
    let mut table = Table::new("Clients and batches", heads);
    for (_, at, run) in runs_at(report) {
        let worst = run.worst_client_p99_over_median;
        table.rows.push(vec![
            at.words("pace", &run.pace),
            at.exact("fairness", run.fairness, format!("{:.3}", run.fairness)),
            at.figure("worst_client_p99_over_median", worst, Unit::Times).cell,
            at.exact("batch_mean", run.batch_mean, three_digits(run.batch_mean)),
            at.count("batch_max", run.batch_max),
        ]);
    }
    table
}
