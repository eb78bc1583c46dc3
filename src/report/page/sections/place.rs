//! Where and with what it was measured, and what was asked for.

use super::super::frame::{environment, how_to_read};
use super::super::markup::Markup;
use super::super::table::{At, Cell, Table};
use crate::scenario::{RunReport, Settings};

pub fn write(report: &RunReport, out: &mut Markup) {
    environment(&report.environment).write(out);
    let mut settings = settings(&report.settings);
    settings.rows.push(vec![Cell::words("run to its end"), At::root().yes("complete", report.complete)]);
    settings.write(out);
    how_to_read(report.schema, out);
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
