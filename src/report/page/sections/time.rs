//! Where the time goes: stages of threads, what was counted of them, and the parts of the work by themselves.

use super::super::markup::Markup;
use super::super::plot::{Part, Shares, Unit, Whole, write_figure};
use super::super::table::{At, Cell, Table};
use super::{names, paragraph};
use crate::measure::Reading;
use crate::measure::counters::CounterReading;
use crate::report::counters::figure as counter_figure;
use crate::scenario::{Attribution, Component, Counted, RunReport, StageShare, ThreadTimes};

/// Attributions with their places in the JSON report.
fn attributions(report: &RunReport) -> impl Iterator<Item = (At, &Attribution)> {
    let at = |index| At::root().under(format!("attribution/{index}"));
    report.attribution.iter().enumerate().map(move |(index, of)| (at(index), of))
}

fn threads<'a>(at: &At, of: &'a Attribution) -> Vec<(At, &'a ThreadTimes)> {
    of.threads.iter().enumerate().map(|(index, thread)| (at.under(format!("threads/{index}")), thread)).collect()
}

pub fn write(report: &RunReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "Shares of each thread's wall time, from rounds that were looked at from inside. What looking costs is in the table of these \
         rounds.",
    );
    let mut wholes = Vec::new();
    for (at, of) in attributions(report) {
        for (thread_at, thread) in threads(&at, of) {
            let part = |(index, stage): (usize, &StageShare)| {
                let at = thread_at.under(format!("stages/{index}"));
                Part {
                    name: at.words("name", &stage.name),
                    rest: stage.name == StageShare::UNATTRIBUTED,
                    share: at.figure("share", stage.share, Unit::Share),
                    more: vec![at.figure("ns_per_operation", stage.ns_per_operation, Unit::Nanoseconds).cell],
                }
            };
            wholes.push(Whole {
                title: format!("{}, {}, {}", of.scenario, of.stack, thread.name),
                size: format!("{} each", Unit::Nanoseconds.text(thread.ns_per_operation)),
                names: vec![
                    at.words("scenario", &of.scenario),
                    at.words("stack", &of.stack),
                    thread_at.words("name", &thread.name),
                ],
                parts: thread.stages.iter().enumerate().map(part).collect(),
            });
        }
    }
    let shares = Shares {
        caption: "stages of each thread".into(),
        heads: ["scenario", "stack", "thread", "stage"].map(String::from).to_vec(),
        more: vec!["each".into()],
        wholes,
    };
    write_figure("figure-stages", "Stages' shares of each thread's wall time", &shares, out);
    thread_table(report).write(out);
    looking_table(report).write_folded("Table: rounds that were looked at", out);
    for name in names(report.attribution.iter().map(|of| of.scenario.as_str())) {
        let table = counter_table(report, name);
        if !table.rows.is_empty() {
            table.write_folded(&format!("Table: {}", table.caption), out);
        }
    }
    for (at, of) in attributions(report) {
        let table = stage_table(&at, of);
        if !table.rows.is_empty() {
            table.write(out);
            if let Some(by) = &of.counted_by {
                paragraph(out, &[Cell::words("Stages were"), at.words("counted_by", by), Cell::words(".")]);
            }
        }
    }
}

/// A row for each stage of which something was counted, a column for each counter that one of them has.
fn stage_table(at: &At, of: &Attribution) -> Table {
    let mut table =
        Table::new(format!("{}, {}: counted per operation, by stage", of.scenario, of.stack), ["stage", "each"]);
    let mut stages: Vec<(At, String, &StageShare, &Counted)> = Vec::new();
    for (at, thread) in threads(at, of) {
        for (index, stage) in thread.stages.iter().enumerate() {
            let Some(counted) = &stage.counted else { continue };
            stages.push((
                at.under(format!("stages/{index}")),
                format!("{}, {}", thread.name, stage.name),
                stage,
                counted,
            ));
        }
    }
    let counters = stages.first().map_or(0, |(.., counted)| counted.counters.len());
    for index in 0..counters {
        table.head.push(stages[0].3.counters[index].counter.name().to_string());
    }
    table.head.push("what bounds it".to_string());
    for (at, name, stage, counted) in &stages {
        let mut row = vec![
            Cell::words(name.clone()),
            at.figure("ns_per_operation", stage.ns_per_operation, Unit::Nanoseconds).cell,
        ];
        let place = |index| at.under(format!("counted/counters/{index}"));
        row.extend(counted.counters.iter().enumerate().map(|(index, counter)| reading(&place(index), counter)));
        row.push(at.words("counted/verdict/words", &counted.verdict.words));
        table.rows.push(row);
    }
    table
}

fn thread_table(report: &RunReport) -> Table {
    let mut table = Table::new("Threads", ["thread", "each", "what bounds it", "what it does"]);
    for (at, of) in attributions(report) {
        for (thread_at, thread) in threads(&at, of) {
            let verdict = match &thread.counted {
                Some(counted) => thread_at.words("counted/verdict/words", &counted.verdict.words),
                None => Cell::words("not counted: a pool does its work, or part of it"),
            };
            table.rows.push(vec![
                Cell::words(format!("{}, {}, {}", of.scenario, of.stack, thread.name)),
                thread_at.figure("ns_per_operation", thread.ns_per_operation, Unit::Nanoseconds).cell,
                verdict,
                thread_at.words("what", &thread.what),
            ]);
        }
    }
    table
}

fn looking_table(report: &RunReport) -> Table {
    let heads = ["of", "looking costs", "low", "high", "confidence", "pairs", "operations", "wall", "bound by"];
    let mut table = Table::new("Rounds that were looked at, beside rounds that were not", heads);
    for (at, of) in attributions(report) {
        let cost = |key: &str, ratio: f64| {
            at.exact(&format!("cost_of_looking/{key}"), ratio, format!("{:+.1} %", 100.0 * (ratio - 1.0)))
        };
        let looking = &of.cost_of_looking;
        table.rows.push(vec![
            Cell::words(format!("{}, {}", of.scenario, of.stack)),
            cost("median", looking.median),
            cost("low", looking.low),
            cost("high", looking.high),
            at.figure("cost_of_looking/confidence", looking.confidence, Unit::Share).cell,
            at.count("pairs", of.pairs),
            at.count("operations", of.operations),
            at.figure("wall_seconds", of.wall_seconds, Unit::Seconds).cell,
            at.words("bound_by", &of.bound_by),
        ]);
    }
    table
}

/// A row for each counter, a column for each thread that was counted.
fn counter_table(report: &RunReport, scenario: &str) -> Table {
    let mut table = Table::new(format!("{scenario}, counted per operation"), ["counter"]);
    let mut columns: Vec<(At, &[CounterReading])> = Vec::new();
    for (at, of) in attributions(report).filter(|(_, of)| of.scenario == scenario) {
        for (at, thread) in threads(&at, of) {
            let Some(counted) = &thread.counted else { continue };
            table.head.push(format!("{}, {}", of.stack, thread.name));
            columns.push((at.under("counted/counters"), &counted.counters));
        }
    }
    let Some((_, first)) = columns.first() else { return table };
    for (index, counter) in first.iter().enumerate() {
        let mut row = vec![Cell::words(counter.counter.name())];
        row.extend(columns.iter().map(|(at, counters)| reading(&at.under(index), &counters[index])));
        table.rows.push(row);
    }
    table
}

fn reading(at: &At, reading: &CounterReading) -> Cell {
    let cell = match &reading.per_operation {
        Reading::Value(value) => at.exact("per_operation/value", *value, counter_figure(*value)),
        unavailable => at.reading("per_operation", unavailable, Unit::Count),
    };
    match reading.counted {
        Some(share) => {
            let text = format!("(estimated from {:.0} % of the time)", 100.0 * share);
            cell.and(at.exact("counted", share, text))
        }
        None => cell,
    }
}

pub fn write_components(report: &RunReport, out: &mut Markup) {
    if let Some(bottleneck) = &report.bottleneck {
        let said = At::root().words("bottleneck", bottleneck);
        paragraph(out, &[Cell::words("Each measured by itself on one thread. Bottleneck: "), said, Cell::words(".")]);
    }
    let mut table = Table::new("Components", ["component", "stack", "each", "alone", "of a trade", "what"]);
    let mut parts = Vec::new();
    for (index, component) in report.components.iter().enumerate() {
        let at = At::root().under(format!("components/{index}"));
        table.rows.push(row(&at, "", component));
        for (index, part) in component.parts.iter().enumerate() {
            table.rows.push(row(&at.under(format!("parts/{index}")), "of that, ", part));
        }
        if let Some(share) = component.share {
            let each = at.figure("ns_per_operation", component.ns_per_operation, Unit::Nanoseconds).cell;
            let (name, share) = (at.words("name", &component.name), at.figure("share", share, Unit::Share));
            parts.push(Part { name, rest: false, share, more: vec![each] });
        }
    }
    if !parts.is_empty() {
        let ns: f64 = trade(report).map(|component| component.ns_per_operation).sum();
        let whole = Whole {
            title: "one settled trade".into(),
            size: Unit::Nanoseconds.text(ns),
            names: vec![Cell::words("one settled trade")],
            parts,
        };
        let shares = Shares {
            caption: "shares of a trade".into(),
            heads: ["whole", "component"].map(String::from).to_vec(),
            more: vec!["each".into()],
            wholes: vec![whole],
        };
        write_figure("figure-components", "What one settled trade costs, part by part", &shares, out);
    }
    table.write(out);
}

/// The components that a settled trade consists of.
fn trade(report: &RunReport) -> impl Iterator<Item = &Component> {
    report.components.iter().filter(|component| component.share.is_some())
}

fn row(at: &At, before: &str, component: &Component) -> Vec<Cell> {
    let name = at.words("name", &component.name);
    vec![
        if before.is_empty() { name } else { Cell::words(before.trim_end()).and(name) },
        at.words("stack", &component.stack),
        at.figure("ns_per_operation", component.ns_per_operation, Unit::Nanoseconds).cell,
        component.ops_per_second.map_or_else(Cell::nothing, |rate| at.figure("ops_per_second", rate, Unit::Rate).cell),
        component.share.map_or_else(Cell::nothing, |share| at.figure("share", share, Unit::Share).cell),
        at.words("what", &component.what),
    ]
}
