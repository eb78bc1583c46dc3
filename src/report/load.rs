//! A load's report as tables on a terminal.

use super::format::{count, duration_ns, rate, three_digits};
use super::text::Page;
use crate::measure::Reading;
use crate::measure::Trend;
use crate::scenario::load::{BooksGrowth, Capacity, Growth, LoadReport, LoadRun, Soak, SoakSample, Stress, Stretch};
use std::collections::BTreeMap;

/// Lays the report out for a terminal of this many columns (at least 60). `bold` marks headings with ANSI codes.
pub fn render(report: &LoadReport, columns: u16, bold: bool) -> String {
    let page = Page { columns: columns.max(60), bold };
    let mut out = String::new();
    if !report.complete {
        out.push_str("Interrupted: this is what was measured until then.\n");
    }
    let place = &report.environment;
    page.heading(&format!("joulebook {}: load, {}", place.version, report.kind), &mut out);
    page.paragraph(
        &format!(
            "{}, {} CPUs, {}: clients, engine and sealer share them. Seed {}, {} client{}, {} users, {} orders at the start, a queue of {}.",
            place.cpu,
            place.cpus,
            place.platform,
            report.seed,
            count(report.clients.into()),
            if report.clients == 1 { "" } else { "s" },
            count(report.users.into()),
            count(report.orders.into()),
            count(report.queue.into()),
        ),
        &mut out,
    );
    if !place.optimized_build {
        page.paragraph("WARNING: this is not an optimized build; run with `cargo run --release`.", &mut out);
    }
    let header =
        ["", "offered", "answered", "refused", "p50", "p99", "p99.9", "max", "at once", "fairness", "late p99"];
    out.push_str(&page.table(&header, report.runs.iter().map(row).collect(), &[0]));
    page.paragraph(
        "Latency is from when a request was to be sent until it was answered. Refused: by the full queue. At once: requests that the \
         engine took together, on average. Fairness: Jain's index over the clients' answers. Late: the generator's own delay, which \
         every latency of an open loop contains.",
        &mut out,
    );
    for run in &report.runs {
        page.paragraph(&proof(run), &mut out);
    }
    if let Some(capacity) = &report.capacity {
        conclusion(&page, capacity, &mut out);
    }
    if let Some(stress) = &report.stress {
        filled(&page, stress, &mut out);
    }
    if let Some(soak) = &report.soak {
        grown(&page, soak, &mut out);
    }
    out
}

fn row(run: &LoadRun) -> Vec<String> {
    let time = |ns: u64| duration_ns(ns as f64);
    let came = run.requests + run.refused_by_queue;
    vec![
        run.pace.clone(),
        run.offered_per_second.map_or("-".to_string(), rate),
        rate(run.answered_per_second),
        if came > 0 { format!("{:.2} %", 100.0 * run.refused_by_queue as f64 / came as f64) } else { "-".to_string() },
        time(run.latency_ns.p50),
        time(run.latency_ns.p99),
        time(run.latency_ns.p999),
        time(run.latency_ns.max),
        three_digits(run.batch_mean),
        format!("{:.3}", run.fairness),
        run.generator_late_ns.as_ref().map_or("-".to_string(), |late| time(late.p99)),
    ]
}

/// What was done, so that nobody has to believe a rate.
fn proof(run: &LoadRun) -> String {
    format!(
        "{}: {} requests, {} accepted{}, {} trades, {} blocks, {} orders rest, state {}; the worst client's p99 is {:.2} times the \
         median client's; CPU {}; the engine was ready without a CPU for {}. The first {} commands gave the same state on the baseline.",
        run.pace,
        count(run.requests),
        count(run.accepted),
        refusals(&run.rejects),
        count(run.trades),
        count(run.blocks),
        count(run.open_orders.into()),
        &run.digest[..16],
        run.worst_client_p99_over_median,
        seconds(&run.cpu_seconds),
        seconds(&run.engine_without_cpu_seconds),
        count(run.verified_commands),
    )
}

fn seconds(reading: &Reading) -> String {
    match reading {
        Reading::Value(seconds) => format!("{seconds:.2} s"),
        Reading::Unavailable(reason) => format!("unavailable: {reason}"),
    }
}

fn conclusion(page: &Page, capacity: &Capacity, out: &mut String) {
    page.heading("Capacity", out);
    let knee = &capacity.knee;
    let at = knee.per_second.map_or("unknown".to_string(), rate);
    page.paragraph(
        &format!(
            "A closed loop gets {} through. The knee of the open loop is at {at}: {}. (The largest step, before the first that is too \
             slow, of which 99 % is answered, with a p99 of at most ten times that of the first step.)",
            rate(capacity.closed_loop_per_second),
            knee.says
        ),
        out,
    );
    page.paragraph(
        &format!(
            "A million trades cost {} of CPU time, clients included.",
            seconds(&capacity.cpu_seconds_per_million_trades)
        ),
        out,
    );
    if !capacity.growth.is_empty() {
        let header = ["accounts", "orders", "a command, engine alone", "engine's memory"];
        let row = |growth: &Growth| {
            let size = [growth.users, growth.orders].map(|number| count(number.into()));
            let cost = [duration_ns(growth.ns_per_command), mib(growth.engine_bytes as f64 / f64::from(1 << 20))];
            [size, cost].concat()
        };
        out.push_str(&page.table(&header, capacity.growth.iter().map(row).collect(), &[]));
    }
    if !capacity.books.is_empty() {
        let header = ["books", "a message, exchange alone", "a book's memory"];
        let row = |books: &BooksGrowth| {
            let memory = format!("{} KiB", count(books.bytes_per_book >> 10));
            vec![count(books.books.into()), duration_ns(books.ns_per_message), memory]
        };
        out.push_str(&page.table(&header, capacity.books.iter().map(row).collect(), &[]));
    }
}

fn filled(page: &Page, stress: &Stress, out: &mut String) {
    page.heading("Filling the market", out);
    let header = ["", "orders then", "requests", "refused", "answered", "p50", "p99", "p99.9", "resident set"];
    let row = |stretch: &Stretch| {
        let time = |ns: u64| duration_ns(ns as f64);
        vec![
            stretch.what.clone(),
            count(stretch.open_orders.into()),
            count(stretch.requests),
            count(stretch.rejects.values().sum()),
            rate(stretch.answered_per_second),
            time(stretch.p50_ns),
            time(stretch.p99_ns),
            time(stretch.p999_ns),
            stretch.resident_mib.map_or("unavailable".to_string(), mib),
        ]
    };
    out.push_str(&page.table(&header, stress.stretches.iter().map(row).collect(), &[0]));
    for what in ["filling", "refusing", "trading"] {
        let mut rejects = BTreeMap::new();
        for stretch in stress.stretches.iter().filter(|stretch| stretch.what == what) {
            stretch.rejects.iter().for_each(|(reason, count)| *rejects.entry(reason.clone()).or_default() += count);
        }
        if !rejects.is_empty() {
            page.paragraph(&format!("While {what}{}.", refusals(&rejects)), out);
        }
    }
    let state =
        stress.digest_while_refusing.as_ref().map_or(String::new(), |digest| format!(" (state {})", &digest[..16]));
    page.paragraph(
        &format!(
            "The market may hold {} orders: {}{state}. The parts leave out the pauses in which the state was digested, which the row \
             above has.", count(stress.orders_max.into()), stress.says), out);
    page.paragraph(
        &format!(
            "Of the resident set, an account takes {} and a resting order {}.",
            bytes(&stress.bytes_per_account),
            bytes(&stress.bytes_per_order)
        ),
        out,
    );
}

fn grown(page: &Page, soak: &Soak, out: &mut String) {
    page.heading("Memory over time", out);
    let header = ["after", "requests", "orders", "resident set", "of that the engine", "longest wait"];
    let row = |sample: &SoakSample| {
        vec![
            duration_ns(1e9 * sample.seconds),
            count(sample.requests),
            count(sample.open_orders.into()),
            sample.resident_mib.map_or("unavailable".to_string(), mib),
            mib(sample.engine_bytes as f64 / f64::from(1 << 20)),
            duration_ns(sample.latency_max_ns as f64),
        ]
    };
    // All samples are in the JSON report.
    let some = soak.samples.iter().step_by(soak.samples.len().div_ceil(10).max(1));
    out.push_str(&page.table(&header, some.map(row).collect(), &[]));
    let engine = soak.engine_mib_per_hour.map_or(String::new(), |Trend { slope, low, high, .. }| {
        format!(" The engine by itself: {slope:+.2} MiB an hour ({low:+.2} to {high:+.2}).")
    });
    let orders = soak.open_orders_per_hour.map_or(String::new(), |Trend { slope, low, high, .. }| {
        format!(" Orders that rest: {slope:+.0} an hour ({low:+.0} to {high:+.0}).")
    });
    page.paragraph(
        &format!(
            "After {}, {}.{engine}{orders} A line by Theil and Sen through means of stretches; what comes before is warm-up.",
            duration_ns(1e9 * soak.warm_up_seconds),
            soak.says
        ),
        out,
    );
}

/// What the market refused, by reason, most often first; nothing if it refused nothing.
fn refusals(rejects: &BTreeMap<String, u64>) -> String {
    if rejects.is_empty() {
        return String::new();
    }
    let mut rejects: Vec<(&String, &u64)> = rejects.iter().collect();
    rejects.sort_by(|one, other| other.1.cmp(one.1));
    let each: Vec<String> = rejects.iter().map(|(reason, number)| format!("{} {reason}", count(**number))).collect();
    format!(", refused: {}", each.join(", "))
}

fn mib(mib: f64) -> String {
    format!("{} MiB", three_digits(mib))
}

fn bytes(reading: &Reading) -> String {
    match reading {
        Reading::Value(bytes) => format!("{bytes:.0} bytes"),
        Reading::Unavailable(reason) => format!("(unavailable: {reason})"),
    }
}
