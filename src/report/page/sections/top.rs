//! The head of the page: what it is of, and its main figures.

use super::super::frame::{head, paragraph};
use super::super::markup::Markup;
use super::super::plot::Unit;
use super::super::table::{At, Cell};
use super::{by_scenario, style_of};
use crate::node::Stack;
use crate::scenario::{RunReport, ScenarioResult};

pub fn write(report: &RunReport, out: &mut Markup) {
    let mut warnings = Vec::new();
    if let Some(warning) = report.settings.durable.as_ref().and_then(|durable| durable.warning.as_ref()) {
        warnings.push(format!("The durable stack is not durable: {warning}."));
    }
    head("joulebook run", &[], &report.environment, report.complete, &warnings, out);
    out.open("div", &[("class", "cards")]);
    for (name, results) in by_scenario(report) {
        // The last stack but a journal's is the one that a scenario is played for.
        let plain = results.iter().rev().find(|(_, result)| result.stack != Stack::DURABLE_NAME);
        let Some((at, result)) = plain.or(results.last()) else { continue };
        card(report, name, at, result, out);
    }
    out.close();
}

fn card(report: &RunReport, name: &str, at: &At, result: &ScenarioResult, out: &mut Markup) {
    out.open("div", &[("class", &format!("card s{}", style_of(&result.stack)))]);
    out.element("h3", &[], name).open("p", &[("class", "big")]);
    at.figure("ops_per_second", result.ops_per_second, Unit::Rate).cell.write(out);
    out.close();
    let ratio = report.ratios.iter().position(|ratio| ratio.name == name && ratio.over == Stack::BASELINE.name);
    if let Some(index) = ratio {
        let (ratio, at) = (&report.ratios[index], At::root().under(format!("ratios/{index}")));
        let figure = |key, number| at.figure(key, number, Unit::Times).cell;
        let parts = [
            figure("median", ratio.median),
            Cell::words(" the baseline ("),
            figure("low", ratio.low),
            Cell::words(" to "),
            figure("high", ratio.high),
            Cell::words(")"),
        ];
        paragraph(out, &parts);
    }
    let mut parts = vec![Cell::words(result.stack.clone())];
    if let Some(latency) = &result.latency_ns {
        parts.push(Cell::words(", latency p50 "));
        parts.push(at.figure("latency_ns/p50", latency.p50, Unit::Nanoseconds).cell);
        parts.push(Cell::words(", p99.9 "));
        parts.push(at.figure("latency_ns/p999", latency.p999, Unit::Nanoseconds).cell);
    }
    out.open("div", &[("class", "soft")]);
    paragraph(out, &parts);
    out.close().close();
}
