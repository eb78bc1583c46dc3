//! What a load's page says: what was played, what it comes to, then everything that was counted, run by run, and where.

mod capacity;
mod runs;
mod soak;
mod stress;

use super::frame::{self, Section, environment, how_to_read, paragraph};
use super::markup::Markup;
use super::plot::{Axis, Division, Lines, Point, Series, Unit};
use super::table::{At, Cell, Figure, Table};
use crate::measure::Reading;
use crate::scenario::load::{LoadReport, LoadRun};

/// Writes all sections that the report has something for.
pub fn write(report: &LoadReport, out: &mut Markup) {
    let heading = format!("joulebook load, {}", report.kind);
    frame::head(&heading, &[played(report)], &report.environment, report.complete, &[], out);
    out.open("div", &[("class", "cards")]);
    cards(report, out);
    out.close();
    let section = |id, short, heading, wanted, write| Section { id, short, heading, wanted, write };
    let any = !report.runs.is_empty();
    let grown = report.capacity.as_ref().is_some_and(|of| !of.growth.is_empty() || !of.books.is_empty());
    let offered: (bool, fn(&LoadReport, &mut Markup)) = (report.capacity.is_some(), capacity::write);
    frame::sections(
        report,
        &[
            section("offered", "Offered load", "Throughput and latency against offered load", offered.0, offered.1),
            section("filling", "Filling", "Filling the market", report.stress.is_some(), stress::write),
            section("time", "Over time", "Over time", report.soak.is_some(), soak::write),
            section("throughput", "Throughput", "Requests a second", any && !offered.0, runs::write_throughput),
            section("latency", "Latency", "Latency", any, runs::write_latency),
            section("growth", "Growth", "Growth with the market", grown, capacity::write_growth),
            section("work", "Work", "What was done", any, runs::write_work),
            section("place", "Machine", "Machine, build and settings", true, write_place),
        ],
        out,
    );
}

/// What was played, in a sentence or two.
fn played(report: &LoadReport) -> Vec<Cell> {
    let at = At::root();
    let what = match report.kind {
        "concurrent" => "many clients that each wait for their answers",
        "peak" => "requests that come whether they are answered or not, evenly and in bursts",
        "capacity" => "steps of offered load up to saturation, and markets of growing size",
        "stress" => "orders that rest until the market's limit refuses, and then trading again",
        "soak" => "an even load for long",
        _ => "a load",
    };
    vec![
        Cell::words(format!("{}: {what}. ", report.kind)),
        at.count("clients", report.clients),
        Cell::words(if report.clients == 1 { " client, " } else { " clients, " }),
        at.count("users", report.users),
        Cell::words(" users, "),
        at.count("orders", report.orders),
        Cell::words(" orders at the start, a queue of "),
        at.count("queue", report.queue),
        Cell::words(". Clients, engine and sealer share the CPUs of one machine:"),
    ]
}

fn cards(report: &LoadReport, out: &mut Markup) {
    let at = At::root();
    match (&report.capacity, &report.stress) {
        (Some(of), _) => capacity::cards(of, &at.under("capacity"), out),
        (None, stress) => {
            for (index, run) in report.runs.iter().enumerate() {
                runs::card(run, &run_at(index), index, out);
            }
            if let Some(of) = stress {
                stress::cards(of, &at.under("stress"), out);
            }
        }
    }
    if let Some(of) = &report.soak {
        soak::card(of, &at.under("soak"), out);
    }
}

/// A card: a name, a figure, and what belongs to it in small.
fn card(style: usize, name: &Cell, big: &Cell, soft: &[Cell], out: &mut Markup) {
    out.open("div", &[("class", &format!("card s{style}"))]).open("h3", &[]);
    name.write(out);
    out.close().open("p", &[("class", "big")]);
    big.write(out);
    out.close().open("div", &[("class", "soft")]);
    paragraph(out, soft);
    out.close().close();
}

/// A reading in a card: where there is none, the reason goes into the small print.
fn big_reading(at: &At, path: &str, reading: &Reading, unit: Unit, soft: &str) -> (Cell, Vec<Cell>) {
    match reading {
        Reading::Value(_) => (at.reading(path, reading, unit), vec![Cell::words(soft)]),
        Reading::Unavailable(_) => {
            (Cell::words("-"), vec![Cell::words(soft), Cell::words("; "), at.reading(path, reading, unit)])
        }
    }
}

/// A run's place in the JSON report.
fn run_at(index: usize) -> At {
    At::root().under(format!("runs/{index}"))
}

/// Runs with their places.
fn runs_at(report: &LoadReport) -> impl Iterator<Item = (usize, At, &LoadRun)> {
    report.runs.iter().enumerate().map(|(index, run)| (index, run_at(index), run))
}

fn axis(name: &str, unit: Unit, division: Division) -> Axis {
    Axis { name: name.to_string(), unit, division }
}

/// A picture of one value against another.
fn line(caption: &str, x: Axis, y: Axis, name: &str, style: usize, points: Vec<Point>) -> Lines {
    let series = vec![Series { name: name.to_string(), style, points }];
    Lines { caption: caption.to_string(), x, y, series }
}

/// The three latencies that steps and stretches have, against something.
fn latencies(caption: &str, x: Axis, of: &[(Figure, At, [u64; 3])]) -> Lines {
    let quantiles = [("p50", "p50_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns")];
    let series = quantiles.into_iter().enumerate().map(|(quantile, (name, key))| {
        let point = |(x, at, ns): &(Figure, At, [u64; 3])| Point {
            x: x.clone(),
            y: at.figure(key, ns[quantile], Unit::Nanoseconds),
        };
        // Where nothing was answered, there is no latency, and 0 has no place on the axis.
        let points = of.iter().filter(|(.., ns)| ns[quantile] > 0).map(point).collect();
        Series { name: name.to_string(), style: quantile, points }
    });
    let y = axis("latency", Unit::Nanoseconds, Division::Log);
    Lines { caption: caption.to_string(), x, y, series: series.collect() }
}

fn write_place(report: &LoadReport, out: &mut Markup) {
    environment(&report.environment).write(out);
    let at = At::root();
    let mut table = Table::new("Settings", ["", "value"]);
    let mut row = |name: &str, cell: Cell| table.rows.push(vec![Cell::words(name), cell]);
    row("load", at.words("kind", report.kind));
    row("clients", at.count("clients", report.clients));
    row("users", at.count("users", report.users));
    row("orders at the start", at.count("orders", report.orders));
    row("orders that the market lets rest", at.count("orders_max", report.orders_max));
    row("requests that fit the queue", at.count("queue", report.queue));
    row("length of a measurement", at.figure("seconds", report.seconds, Unit::Seconds).cell);
    row("difficulty bits", at.count("difficulty_bits", report.difficulty_bits));
    row("seed", at.exact("seed", report.seed, report.seed.to_string()));
    row("run to its end", at.yes("complete", report.complete));
    table.write(out);
    how_to_read(report.schema, out);
}
