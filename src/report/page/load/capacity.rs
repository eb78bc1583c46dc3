//! A capacity plan: what goes through, where it gets slow, what a trade costs, and how time and memory grow with the market.

use super::super::frame::paragraph;
use super::super::markup::Markup;
use super::super::plot::{Division, Lines, Point, Series, Unit, write_figure};
use super::super::table::{At, Cell, Figure, Table};
use super::{axis, big_reading, card, latencies, line};
use crate::scenario::load::{Capacity, LoadReport, Step};

/// What goes through, where it gets slow, what a million trades cost.
pub fn cards(of: &Capacity, at: &At, out: &mut Markup) {
    let closed = at.figure("closed_loop_per_second", of.closed_loop_per_second, Unit::Rate).cell;
    card(0, &Cell::words("closed loop"), &closed, &[Cell::words("requests that all clients got through")], out);
    let knee = &at.under("knee");
    card(1, &Cell::words("knee"), &knee_figure(of, at), &[knee.words("says", &of.knee.says)], out);
    let what = "of CPU time, clients included";
    let (path, cost) = ("cpu_seconds_per_million_trades", &of.cpu_seconds_per_million_trades);
    let (big, soft) = big_reading(at, path, cost, Unit::Seconds, what);
    card(2, &Cell::words("a million trades"), &big, &soft, out);
}

fn knee_figure(of: &Capacity, at: &At) -> Cell {
    let figure = |rate| at.figure("knee/per_second", rate, Unit::Rate).cell;
    of.knee.per_second.map_or_else(|| Cell::words("unknown"), figure)
}

/// Throughput and latency against offered load, and the knee.
pub fn write(report: &LoadReport, out: &mut Markup) {
    let Some(of) = &report.capacity else { return };
    let at = At::root().under("capacity");
    paragraph(
        out,
        &[
            Cell::words("A closed loop gets "),
            at.figure("closed_loop_per_second", of.closed_loop_per_second, Unit::Rate).cell,
            Cell::words(" through. The knee of the open loop is at "),
            knee_figure(of, &at),
            Cell::words(": "),
            at.words("knee/says", &of.knee.says),
            Cell::words(
                ". It is the largest step, before the first that is too slow, of which 99 % is answered, with a p99 of at most \
                         ten times that of the first step. A million trades cost ",
            ),
            at.reading("cpu_seconds_per_million_trades", &of.cpu_seconds_per_million_trades, Unit::Seconds),
            Cell::words(" of CPU time in the closed loop, clients included."),
        ],
    );
    if of.steps.is_empty() {
        return;
    }
    let steps = || of.steps.iter().enumerate().map(|(index, step)| (at.under(format!("steps/{index}")), step));
    let offered = |(at, step): &(At, &Step)| at.figure("offered_per_second", step.offered_per_second, Unit::Rate);
    let x = || axis("offered a second", Unit::Rate, Division::Linear);
    let answered = |of: (At, &Step)| Point {
        x: offered(&of),
        y: of.0.figure("answered_per_second", of.1.answered_per_second, Unit::Rate),
    };
    let series = |name: &str, style, points| Series { name: name.to_string(), style, points };
    let throughput = Lines {
        caption: "answered against offered".into(),
        x: x(),
        y: axis("answered a second", Unit::Rate, Division::Linear),
        series: vec![
            series("all that is offered", 0, steps().map(|of| Point { x: offered(&of), y: offered(&of) }).collect()),
            series("answered", 1, steps().map(answered).collect()),
        ],
    };
    write_figure("figure-throughput", "Requests answered a second, against requests offered", &throughput, out);
    let rows = steps().map(|of| {
        let ns = [of.1.p50_ns, of.1.p99_ns, of.1.p999_ns];
        (offered(&of), of.0, ns)
    });
    let latency = latencies("latency against offered load", x(), &rows.collect::<Vec<_>>());
    write_figure("figure-offered-latency", "Latency against requests offered a second", &latency, out);
    let mut table = Table::new("Steps", ["offered", "answered", "refused by the queue", "p50", "p99", "p99.9"]);
    for (at, step) in steps() {
        let ns = |key, ns: u64| at.figure(key, ns, Unit::Nanoseconds).cell;
        table.rows.push(vec![
            at.figure("offered_per_second", step.offered_per_second, Unit::Rate).cell,
            at.figure("answered_per_second", step.answered_per_second, Unit::Rate).cell,
            at.figure("refused", step.refused, Unit::Share).cell,
            ns("p50_ns", step.p50_ns),
            ns("p99_ns", step.p99_ns),
            ns("p999_ns", step.p999_ns),
        ]);
    }
    table.write(out);
}

/// Time and memory against the size of the market, and against books.
pub fn write_growth(report: &LoadReport, out: &mut Markup) {
    let Some(of) = &report.capacity else { return };
    growth(of, out);
    books(of, out);
}

/// Memory, drawn in a larger unit than the report's, and said in the one that shows its digits.
fn memory(at: &At, path: &str, bytes: u64, unit: Unit) -> Figure {
    let (kib, mib) = (bytes as f64 / f64::from(1 << 10), bytes as f64 / f64::from(1 << 20));
    let text = if mib < 1.0 { Unit::Kibibytes.text(kib) } else { Unit::Mebibytes.text(mib) };
    Figure { number: if unit == Unit::Kibibytes { kib } else { mib }, cell: at.exact(path, bytes, text) }
}

fn growth(of: &Capacity, out: &mut Markup) {
    if of.growth.is_empty() {
        return;
    }
    out.element(
        "p",
        &[],
        "The engine alone, on one thread, with markets of growing size. Both axes are logarithmic: a straight line is a power, a level \
         one means that size costs nothing.",
    );
    let mut table = Table::new("Markets", ["accounts", "orders", "a command", "engine's memory"]);
    let (mut time, mut space) = (Vec::new(), Vec::new());
    for (index, size) in of.growth.iter().enumerate() {
        let at = At::root().under(format!("capacity/growth/{index}"));
        let users = at.figure("users", size.users, Unit::Count);
        let each = at.figure("ns_per_command", size.ns_per_command, Unit::Nanoseconds);
        let bytes = memory(&at, "engine_bytes", size.engine_bytes, Unit::Mebibytes);
        table.rows.push(vec![
            users.cell.clone(),
            at.count("orders", size.orders),
            each.cell.clone(),
            bytes.cell.clone(),
        ]);
        time.push(Point { x: users.clone(), y: each });
        space.push(Point { x: users, y: bytes });
    }
    let x = || axis("accounts", Unit::Count, Division::Log);
    let y = axis("time of a command", Unit::Nanoseconds, Division::Log);
    let time = line("time against accounts", x(), y, "a command", 1, time);
    write_figure("figure-growth-time", "Time of a command against accounts and orders", &time, out);
    let y = axis("memory of the engine", Unit::Mebibytes, Division::Log);
    let space = line("memory against accounts", x(), y, "the engine", 2, space);
    write_figure("figure-growth-memory", "Memory of the engine against accounts and orders", &space, out);
    table.write(out);
}

fn books(of: &Capacity, out: &mut Markup) {
    if of.books.is_empty() {
        return;
    }
    out.element("p", &[], "An exchange of many books, matching alone, on one core.");
    let mut table = Table::new("Books", ["books", "a message", "a book's memory"]);
    let (mut time, mut space) = (Vec::new(), Vec::new());
    for (index, size) in of.books.iter().enumerate() {
        let at = At::root().under(format!("capacity/books/{index}"));
        let books = at.figure("books", size.books, Unit::Count);
        let each = at.figure("ns_per_message", size.ns_per_message, Unit::Nanoseconds);
        let bytes = memory(&at, "bytes_per_book", size.bytes_per_book, Unit::Kibibytes);
        table.rows.push(vec![books.cell.clone(), each.cell.clone(), bytes.cell.clone()]);
        time.push(Point { x: books.clone(), y: each });
        space.push(Point { x: books, y: bytes });
    }
    let x = || axis("books", Unit::Count, Division::Log);
    let y = axis("time of a message", Unit::Nanoseconds, Division::Log);
    let time = line("time against books", x(), y, "a message", 1, time);
    write_figure("figure-books-time", "Time of a message against books", &time, out);
    let y = axis("memory of a book", Unit::Kibibytes, Division::Log);
    let space = line("memory against books", x(), y, "a book", 2, space);
    write_figure("figure-books-memory", "Memory of a book against books", &space, out);
    table.write(out);
}
