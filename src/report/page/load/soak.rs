//! A long run at an even load: memory, orders and waiting over time, and the line through them.

use super::super::frame::paragraph;
use super::super::markup::Markup;
use super::super::plot::{Axis, Division, Point, Unit, write_figure};
use super::super::table::{At, Cell, Figure, Number, Table};
use super::{axis, card as write_card, line};
use crate::measure::Trend;
use crate::report::format::count;
use crate::scenario::load::{LoadReport, Soak, SoakSample};

/// What the process held at the end.
pub fn card(of: &Soak, at: &At, out: &mut Markup) {
    let Some((index, last)) = of.samples.iter().enumerate().next_back() else { return };
    let Some(resident) = last.resident_mib else { return };
    let at = at.under(format!("samples/{index}"));
    let soft = [Cell::words("after "), at.figure("seconds", last.seconds, Unit::Seconds).cell];
    let resident = at.figure("resident_mib", resident, Unit::Mebibytes).cell;
    write_card(2, &Cell::words("resident set"), &resident, &soft, out);
}

/// Pictures over time, the trend, and all samples.
pub fn write(report: &LoadReport, out: &mut Markup) {
    let Some(of) = &report.soak else { return };
    let at = At::root().under("soak");
    paragraph(
        out,
        &[
            Cell::words("After "),
            at.figure("warm_up_seconds", of.warm_up_seconds, Unit::Seconds).cell,
            Cell::words(", "),
            at.words("says", &of.says),
            Cell::words(". What comes before is warm-up."),
        ],
    );
    if !of.samples.is_empty() {
        pictures(of, out);
        table(of).write_folded("Table: all samples", out);
    }
    trends(of, &at).write(out);
    out.element(
        "p",
        &[],
        "A line by Theil and Sen through means of stretches, by the hour, and where its slope lies with 95 % confidence. A run that is \
         shorter than that says little of an hour.",
    );
}

fn samples(of: &Soak) -> impl Iterator<Item = (At, &SoakSample)> {
    let at = |index| At::root().under(format!("soak/samples/{index}"));
    of.samples.iter().enumerate().map(move |(index, sample)| (at(index), sample))
}

fn seconds(at: &At, sample: &SoakSample) -> Figure {
    at.figure("seconds", sample.seconds, Unit::Seconds)
}

/// A figure of each sample, as far as it has it.
fn over_time<T: Number>(of: &Soak, key: &str, unit: Unit, value: impl Fn(&SoakSample) -> Option<T>) -> Vec<Point> {
    let point = |(at, sample): (At, &SoakSample)| {
        let y = at.figure(key, value(sample)?, unit);
        Some(Point { x: seconds(&at, sample), y })
    };
    samples(of).filter_map(point).collect()
}

fn pictures(of: &Soak, out: &mut Markup) {
    let x = || axis("time since the start", Unit::Seconds, Division::Linear);
    let mut draw = |id: &str, title: &str, name: &str, style: usize, y: Axis, points: Vec<Point>| {
        if !points.is_empty() {
            write_figure(id, title, &line(&format!("{name} over time"), x(), y, name, style, points), out);
        }
    };
    let y = axis("resident set", Unit::Mebibytes, Division::Linear);
    let points = over_time(of, "resident_mib", Unit::Mebibytes, |sample| sample.resident_mib);
    draw("figure-time-memory", "Resident set of the process over time", "resident set", 2, y, points);
    let y = axis("orders that rest", Unit::Count, Division::Linear);
    let points = over_time(of, "open_orders", Unit::Count, |sample| Some(sample.open_orders));
    draw("figure-time-orders", "Orders that rest, over time", "orders that rest", 1, y, points);
    let y = axis("longest wait", Unit::Nanoseconds, Division::Log);
    // Where nobody was answered since the sample before, nobody's wait is known.
    let points = over_time(of, "latency_max_ns", Unit::Nanoseconds, |sample| {
        Some(sample.latency_max_ns).filter(|&longest| longest > 0)
    });
    draw("figure-time-wait", "Longest wait since the sample before, over time", "longest wait", 3, y, points);
}

fn table(of: &Soak) -> Table {
    let mut table = Table::new(
        "Samples",
        ["after", "requests", "orders that rest", "resident set", "engine, bytes", "longest wait"],
    );
    for (at, sample) in samples(of) {
        let resident = |mib| at.figure("resident_mib", mib, Unit::Mebibytes).cell;
        table.rows.push(vec![
            seconds(&at, sample).cell,
            at.count("requests", sample.requests),
            at.count("open_orders", sample.open_orders),
            sample.resident_mib.map_or_else(|| Cell::words("unavailable"), resident),
            at.count("engine_bytes", sample.engine_bytes),
            at.figure("latency_max_ns", sample.latency_max_ns, Unit::Nanoseconds).cell,
        ]);
    }
    table
}

fn trends(of: &Soak, at: &At) -> Table {
    let mut table = Table::new("Trend by the hour", ["", "slope", "low", "high", "points"]);
    let mut row = |name: &str, key: &str, trend: &Option<Trend>, text: fn(f64) -> String| {
        let at = at.under(key);
        table.rows.push(match trend {
            Some(trend) => {
                let figure = |key: &str, slope: f64| at.exact(key, slope, text(slope));
                let [slope, low, high] = [("slope", trend.slope), ("low", trend.low), ("high", trend.high)]
                    .map(|(key, slope)| figure(key, slope));
                vec![Cell::words(name), slope, low, high, at.count("points", trend.points)]
            }
            None => {
                let nothing = (0..3).map(|_| Cell::nothing());
                [Cell::words(name), Cell::words("cannot be told")].into_iter().chain(nothing).collect()
            }
        });
    };
    row("resident set", "resident_mib_per_hour", &of.resident_mib_per_hour, |mib| format!("{mib:+.2} MiB"));
    row("engine", "engine_mib_per_hour", &of.engine_mib_per_hour, |mib| format!("{mib:+.2} MiB"));
    row("orders that rest", "open_orders_per_hour", &of.open_orders_per_hour, |orders| {
        let sign = if orders.round() < 0.0 { "-" } else { "+" };
        format!("{sign}{}", count(orders.abs().round() as u64))
    });
    table
}
