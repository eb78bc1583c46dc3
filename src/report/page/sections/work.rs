//! What was done and what it used, per round: a column for each stack.

use super::super::markup::Markup;
use super::super::plot::Unit;
use super::super::table::{At, Cell, Table};
use super::by_scenario;
use crate::report::format::{kwh, watt};
use crate::scenario::{RunReport, ScenarioResult};

pub fn write(report: &RunReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "Per round, counted from events and blocks, not from what was asked. Stacks that play fewer operations do less, and all of them \
         do the same over the operations that they share.",
    );
    for (name, results) in by_scenario(report) {
        let columns: Vec<Vec<(String, Cell)>> = results.iter().map(|(at, result)| column(at, result)).collect();
        let mut table = Table::new(format!("{name}, work and resources"), [""]);
        table.head.extend(results.iter().map(|(_, result)| result.stack.clone()));
        // Not every stack has every row: reasons of rejects, a journal.
        let mut labels: Vec<&str> = Vec::new();
        for column in &columns {
            let mut after = 0;
            for (label, _) in column {
                match labels.iter().position(|known| known == label) {
                    Some(at) => after = at + 1,
                    None => {
                        labels.insert(after, label);
                        after += 1;
                    }
                }
            }
        }
        for label in labels {
            let cell = |column: &Vec<(String, Cell)>| {
                let found = column.iter().find(|(known, _)| known == label);
                found.map_or_else(Cell::nothing, |(_, cell)| cell.clone())
            };
            let mut row = vec![Cell::words(label)];
            row.extend(columns.iter().map(cell));
            table.rows.push(row);
        }
        table.write_folded(&format!("Table: {}", table.caption), out);
    }
}

fn column(at: &At, result: &ScenarioResult) -> Vec<(String, Cell)> {
    let (used, work) = (&result.resources, &result.work);
    let count = |key: &str, number: u64| at.count(key, number);
    let error_rate = match work.commands {
        0 => at.exact("error_rate", result.error_rate, "no commands".to_string()),
        _ => at.exact("error_rate", result.error_rate, format!("{:.3} %", 100.0 * result.error_rate)),
    };
    let tip = if work.tip.is_empty() {
        at.words("work/tip", "").and(Cell::words("no blocks"))
    } else {
        at.words("work/tip", &work.tip)
    };
    let mut rows = vec![
        ("operations".to_string(), count("operations", result.operations)),
        ("wall".into(), at.figure("resources/wall_seconds", used.wall_seconds, Unit::Seconds).cell),
        ("CPU".into(), at.reading("resources/cpu_seconds", &used.cpu_seconds, Unit::Seconds)),
        ("peak memory".into(), at.reading("resources/peak_rss_mib", &used.peak_rss_mib, Unit::Mebibytes)),
        (
            "network, bytes".into(),
            count("resources/network_bytes", used.network_bytes).and(at.said(
                "resources/network_note",
                used.network_note,
                &format!("({})", used.network_note),
            )),
        ),
        (
            "disk, bytes".into(),
            count("resources/disk_bytes", used.disk_bytes).and(at.said(
                "resources/disk_note",
                used.disk_note,
                &format!("({})", used.disk_note),
            )),
        ),
        ("reads".into(), count("work/reads", work.reads)),
        (
            "checksum of reads".into(),
            at.exact("work/read_checksum", work.read_checksum, work.read_checksum.to_string()),
        ),
        ("commands".into(), count("work/commands", work.commands)),
        ("error rate".into(), error_rate),
    ];
    let reject =
        |(reason, &n): (&String, &u64)| (format!("rejected: {reason}"), count(&format!("rejects/{reason}"), n));
    rows.extend(result.rejects.iter().map(reject));
    rows.extend([
        ("orders accepted".to_string(), count("work/orders_accepted", work.orders_accepted)),
        ("orders cancelled".into(), count("work/orders_cancelled", work.orders_cancelled)),
        ("fills".into(), count("work/fills", work.fills)),
        ("token transfers".into(), count("work/transfers", work.transfers)),
        ("energy, kWh".into(), at.exact("work/energy_wh", work.energy_wh, kwh(work.energy_wh))),
        ("grid fees, WATT".into(), at.exact("work/fees", work.fees, watt(work.fees))),
        ("blocks".into(), count("work/blocks", work.blocks)),
        ("transactions in blocks".into(), count("work/transactions", work.transactions)),
        ("nonces to the winners".into(), count("work/hashes", work.hashes)),
        ("last block".into(), tip),
    ]);
    if let Some(journal) = &result.journal {
        rows.extend([
            ("requests answered".to_string(), count("journal/answers", journal.answers)),
            ("events in answers".into(), count("journal/events", journal.events)),
            ("journal frames".into(), count("journal/frames", journal.frames)),
            ("journal bytes".into(), count("journal/bytes", journal.bytes)),
            ("journal syncs".into(), count("journal/syncs", journal.syncs)),
        ]);
    }
    rows.push(("state digest".into(), at.words("digest", &result.digest)));
    if let Some(operations) = result.verified_operations {
        rows.push(("all stacks did the same over".into(), count("verified_operations", operations)));
    }
    rows
}
