//! A market that is filled until its limit refuses: what an order more costs, and that a refusal harms nothing.

use super::super::frame::paragraph;
use super::super::markup::Markup;
use super::super::plot::{Division, Point, Unit, write_figure};
use super::super::table::{At, Cell, Figure, Table};
use super::runs::reject_cells;
use super::{axis, big_reading, card, latencies, line};
use crate::scenario::load::{LoadReport, Stress, Stretch};
use std::collections::BTreeSet;

/// What an order and an account take.
pub fn cards(of: &Stress, at: &At, out: &mut Markup) {
    let (big, soft) = big_reading(at, "bytes_per_order", &of.bytes_per_order, Unit::Bytes, "of resident set");
    card(1, &Cell::words("a resting order"), &big, &soft, out);
    let what = "of resident set, its place in the state tree included";
    let (big, soft) = big_reading(at, "bytes_per_account", &of.bytes_per_account, Unit::Bytes, what);
    card(2, &Cell::words("an account"), &big, &soft, out);
}

/// Speed, latency and memory while it is filled, and all that happened.
pub fn write(report: &LoadReport, out: &mut Markup) {
    let Some(of) = &report.stress else { return };
    let at = At::root().under("stress");
    let mut parts = vec![
        Cell::words("The market may hold "),
        at.count("orders_max", of.orders_max),
        Cell::words(" orders: "),
        at.words("says", &of.says),
        Cell::words("."),
    ];
    if let Some(digest) = &of.digest_while_refusing {
        parts.push(Cell::words(" State before the refusals and behind them: "));
        parts.push(at.words("digest_while_refusing", digest));
        parts.push(Cell::words("."));
    }
    paragraph(out, &parts);
    paragraph(
        out,
        &[
            Cell::words("Of the resident set, an account takes "),
            at.reading("bytes_per_account", &of.bytes_per_account, Unit::Bytes),
            Cell::words(" and a resting order "),
            at.reading("bytes_per_order", &of.bytes_per_order, Unit::Bytes),
            Cell::words(". Stretches leave out the pauses in which the state was digested."),
        ],
    );
    if of.stretches.is_empty() {
        return;
    }
    let filling: Vec<(Figure, At, &Stretch)> = stretches(of)
        .filter(|(_, stretch)| stretch.what == "filling")
        .map(|(at, stretch)| (at.figure("open_orders", stretch.open_orders, Unit::Count), at, stretch))
        .collect();
    if !filling.is_empty() {
        pictures(&filling, out);
    }
    table(of).write(out);
}

fn stretches(of: &Stress) -> impl Iterator<Item = (At, &Stretch)> {
    let at = |index| At::root().under(format!("stress/stretches/{index}"));
    of.stretches.iter().enumerate().map(move |(index, stretch)| (at(index), stretch))
}

fn pictures(filling: &[(Figure, At, &Stretch)], out: &mut Markup) {
    let x = || axis("orders that rest", Unit::Count, Division::Linear);
    let answered = |(x, at, stretch): &(Figure, At, &Stretch)| Point {
        x: x.clone(),
        y: at.figure("answered_per_second", stretch.answered_per_second, Unit::Rate),
    };
    let y = axis("answered a second", Unit::Rate, Division::Linear);
    let speed =
        line("answered against orders that rest", x(), y, "answered", 1, filling.iter().map(answered).collect());
    write_figure("figure-filling-speed", "Requests answered a second, against orders that rest", &speed, out);
    let rows: Vec<(Figure, At, [u64; 3])> = filling
        .iter()
        .map(|(x, at, stretch)| (x.clone(), at.clone(), [stretch.p50_ns, stretch.p99_ns, stretch.p999_ns]))
        .collect();
    let latency = latencies("latency against orders that rest", x(), &rows);
    write_figure("figure-filling-latency", "Latency against orders that rest", &latency, out);
    let memory: Vec<Point> = filling
        .iter()
        .filter_map(|(x, at, stretch)| {
            let y = at.figure("resident_mib", stretch.resident_mib?, Unit::Mebibytes);
            Some(Point { x: x.clone(), y })
        })
        .collect();
    if !memory.is_empty() {
        let y = axis("resident set", Unit::Mebibytes, Division::Linear);
        let memory = line("memory against orders that rest", x(), y, "resident set", 2, memory);
        write_figure("figure-filling-memory", "Resident set of the process against orders that rest", &memory, out);
    }
}

fn table(of: &Stress) -> Table {
    let reasons: BTreeSet<&String> = of.stretches.iter().flat_map(|stretch| stretch.rejects.keys()).collect();
    let heads = ["", "orders then", "requests", "answered", "p50", "p99", "p99.9", "resident set"];
    let mut table = Table::new("Stretches, in their order", heads);
    table.head.extend(reasons.iter().map(|reason| format!("refused: {reason}")));
    for (at, stretch) in stretches(of) {
        let ns = |key, ns: u64| at.figure(key, ns, Unit::Nanoseconds).cell;
        let resident = |mib| at.figure("resident_mib", mib, Unit::Mebibytes).cell;
        let mut row = vec![
            at.words("what", &stretch.what),
            at.count("open_orders", stretch.open_orders),
            at.count("requests", stretch.requests),
            at.figure("answered_per_second", stretch.answered_per_second, Unit::Rate).cell,
            ns("p50_ns", stretch.p50_ns),
            ns("p99_ns", stretch.p99_ns),
            ns("p999_ns", stretch.p999_ns),
            stretch.resident_mib.map_or_else(|| Cell::words("unavailable"), resident),
        ];
        row.extend(reject_cells(&at, &stretch.rejects, &reasons));
        table.rows.push(row);
    }
    table
}
