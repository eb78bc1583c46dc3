//! A load's report as tables on a terminal.

use super::format::{count, duration_ns, rate, three_digits};
use super::text::Page;
use crate::measure::Reading;
use crate::scenario::load::{Capacity, LoadReport, LoadRun};

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
        "{}: {} requests, {} accepted, {} trades, {} blocks, {} orders rest, state {}; the worst client's p99 is {:.2} times the \
         median client's; CPU {}. The first {} commands gave the same state on the baseline.",
        run.pace,
        count(run.requests),
        count(run.accepted),
        count(run.trades),
        count(run.blocks),
        count(run.open_orders.into()),
        &run.digest[..16],
        run.worst_client_p99_over_median,
        seconds(&run.cpu_seconds),
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
        let header = ["accounts", "orders", "a command, engine alone"];
        let row = |growth: &crate::scenario::load::Growth| {
            vec![count(growth.users.into()), count(growth.orders.into()), duration_ns(growth.ns_per_command)]
        };
        out.push_str(&page.table(&header, capacity.growth.iter().map(row).collect(), &[]));
    }
}
