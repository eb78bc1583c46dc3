//! What the page says, in the order in which somebody asks: how fast, how sure, how long one waits, what made it so, where the time
//! goes, and then everything that was counted, and where.

mod latency;
mod place;
mod speed;
mod time;
mod top;
mod work;

use super::markup::Markup;
use super::table::{At, Cell};
use crate::node::Stack;
use crate::scenario::{RunReport, ScenarioResult};

/// Writes all sections that the report has something for.
pub fn write(report: &RunReport, out: &mut Markup) {
    type Write = fn(&RunReport, &mut Markup);
    let sections: [(&str, &str, &str, bool, Write); 8] = [
        ("speed", "Speed", "Operations a second", !report.scenarios.is_empty(), speed::write),
        ("ratios", "Ratios", "How many times as fast", !report.ratios.is_empty(), speed::write_ratios),
        ("ladder", "Ladder", "One change at a time", !report.ladder.is_empty(), speed::write_ladder),
        ("latency", "Latency", "Latency", !report.scenarios.is_empty(), latency::write),
        ("time", "Time", "Where the time goes", !report.attribution.is_empty(), time::write),
        (
            "components",
            "Components",
            "Components, dearest first",
            !report.components.is_empty(),
            time::write_components,
        ),
        ("work", "Work", "What was done, and what it used", !report.scenarios.is_empty(), work::write),
        ("place", "Machine", "Machine, build and settings", true, place::write),
    ];
    let sections = sections.into_iter().filter(|(_, _, _, wanted, _)| *wanted);
    top::write(report, out);
    out.open("nav", &[("aria-label", "Sections")]);
    for (id, short, ..) in sections.clone() {
        out.element("a", &[("href", &format!("#{id}"))], short);
    }
    out.close();
    for (id, _, heading, _, write) in sections {
        out.open("section", &[("id", id)]).element("h2", &[], heading);
        write(report, out);
        out.close();
    }
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

/// A paragraph of words and figures.
fn paragraph(out: &mut Markup, parts: &[Cell]) {
    out.open("p", &[]);
    for part in parts {
        part.write(out);
    }
    out.close();
}
