//! Where and with what it was measured, and what was asked for.

use super::super::markup::Markup;
use super::super::table::{At, Cell, Table};
use crate::report::format::duration_ns;
use crate::scenario::{Environment, RunReport, Settings};

pub fn write(report: &RunReport, out: &mut Markup) {
    environment(&report.environment).write(out);
    let mut settings = settings(&report.settings);
    settings.rows.push(vec![Cell::words("run to its end"), At::root().yes("complete", report.complete)]);
    settings.write(out);
    let parts = [
        Cell::words("Each figure on this page has its exact value, and its place in the JSON report of the same run ("),
        At::root().words("schema", report.schema),
        Cell::words("), in the attributes of its <data> element."),
    ];
    super::paragraph(out, &parts);
}

fn environment(place: &Environment) -> Table {
    let at = At::root().under("environment");
    let mut table = Table::new("Machine and build", ["", "what it is"]);
    let mut row = |name: &str, cell: Cell| table.rows.push(vec![Cell::words(name), cell]);
    row("version", at.words("version", place.version));
    row("revision", at.words("revision", place.revision));
    row("date", at.words("date", &place.date));
    row("CPU", at.words("cpu", &place.cpu));
    row("CPUs", at.count("cpus", place.cpus));
    row("platform", at.words("platform", &place.platform));
    row("SHA-256", at.words("sha256", &place.sha256));
    row("many hashes at a time", at.words("hash_kernel", place.hash_kernel));
    let mut kernels = Cell::words("this machine can run:");
    for (index, kernel) in place.hash_kernels.iter().enumerate() {
        kernels = kernels.and(at.words(&format!("hash_kernels/{index}"), kernel));
    }
    row("hashing kernels", kernels);
    row("optimized build", at.yes("optimized_build", place.optimized_build));
    row("step of the clock", at.exact("clock_step_ns", place.clock_step_ns, duration_ns(place.clock_step_ns as f64)));
    row("counters", at.words("counters", &place.counters));
    table
}

fn settings(asked: &Settings) -> Table {
    let at = At::root().under("settings");
    let mut table = Table::new("Settings", ["", "value"]);
    let mut row = |name: &str, cell: Cell| table.rows.push(vec![Cell::words(name), cell]);
    row("seed", at.exact("seed", asked.seed, asked.seed.to_string()));
    row("users", at.count("users", asked.users));
    row("orders at the start", at.count("orders", asked.orders));
    row("difficulty bits", at.count("difficulty_bits", asked.difficulty_bits));
    row("transactions a block", at.count("block_transactions", asked.block_transactions));
    row("  of the baseline", at.count("baseline_block_transactions", asked.baseline_block_transactions));
    let interval = asked.block_interval_ms;
    let interval = interval.map_or_else(|| Cell::words("none"), |ms| at.count("block_interval_ms", ms));
    row("age that closes a block, ms of simulated time", interval);
    row("interleaved rounds", at.count("rounds", asked.rounds));
    row("quick sizes", at.yes("quick", asked.quick));
    if let Some(durable) = &asked.durable {
        row("journals in", at.words("durable/folder", &durable.folder));
        row("written", at.words("durable/writes", durable.writes));
        row("synced", at.words("durable/sync", &durable.sync));
        if let Some(warning) = &durable.warning {
            row("warning", at.words("durable/warning", warning));
        }
    }
    table
}
