//! What the page says, in the order in which somebody asks: how fast, how sure, how long one waits, what made it so, where the time
//! goes, and then everything that was counted, and where.

mod latency;
mod place;
mod speed;
mod time;
mod top;
mod work;

use super::frame::{self, Section, paragraph};
use super::markup::Markup;
use super::table::At;
use crate::node::Stack;
use crate::scenario::{RunReport, ScenarioResult};

/// Writes all sections that the report has something for.
pub fn write(report: &RunReport, out: &mut Markup) {
    let section = |id, short, heading, wanted, write| Section { id, short, heading, wanted, write };
    let (played, attributed) = (!report.scenarios.is_empty(), !report.attribution.is_empty());
    let components = !report.components.is_empty();
    top::write(report, out);
    frame::sections(
        report,
        &[
            section("speed", "Speed", "Operations a second", played, speed::write as fn(&RunReport, &mut Markup)),
            section("ratios", "Ratios", "How many times as fast", !report.ratios.is_empty(), speed::write_ratios),
            section("ladder", "Ladder", "One change at a time", !report.ladder.is_empty(), speed::write_ladder),
            section("latency", "Latency", "Latency", played, latency::write),
            section("time", "Time", "Where the time goes", attributed, time::write),
            section("components", "Components", "Components, dearest first", components, time::write_components),
            section("work", "Work", "What was done, and what it used", played, work::write),
            section("place", "Machine", "Machine, build and settings", true, place::write),
        ],
        out,
    );
}

/// A style for each stack, the same in every picture.
fn style_of(stack: &str) -> usize {
    let inner = &Stack::LADDER[1..Stack::LADDER.len() - 1];
    match inner.iter().position(|rung| rung.name == stack) {
        _ if stack == Stack::BASELINE.name => 0,
        _ if stack == Stack::OPTIMIZED.name => 1,
        _ if stack == Stack::DURABLE_NAME => 2,
        Some(at) => 3 + at,
        None => 3 + inner.len(),
    }
}

/// Names in the order of their first appearance.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Results by scenario, with their places in the JSON report.
fn by_scenario(report: &RunReport) -> Vec<(&str, Vec<(At, &ScenarioResult)>)> {
    let of = |name| {
        let results = report.scenarios.iter().enumerate().filter(move |(_, result)| result.name == name);
        let at = |index| At::root().under(format!("scenarios/{index}"));
        results.map(|(index, result)| (at(index), result)).collect()
    };
    let names = names(report.scenarios.iter().map(|result| result.name.as_str()));
    names.into_iter().map(|name| (name, of(name))).collect()
}
