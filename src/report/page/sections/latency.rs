//! Latency: distributions, and their percentiles.

use super::super::markup::Markup;
use super::super::plot::{Unit, quantiles, write_figure};
use super::super::table::{At, Cell, Table};
use super::{by_scenario, names, paragraph, style_of};
use crate::scenario::{RunReport, ScenarioResult};

pub fn write(report: &RunReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "Sampled in a pass of its own. A point says which part of the operations took at most how long. Both axes spread what is rare: \
         90 %, 99 % and 99.9 % stand equally far apart.",
    );
    for (name, results) in by_scenario(report) {
        let sampled = results.iter().filter_map(|(at, result)| Some((at, *result, result.latency_ns.as_ref()?)));
        let distribution = |(at, result, latency): (&At, &ScenarioResult, &crate::scenario::Latency)| {
            let points = latency.curve.iter().enumerate().map(|(index, point)| {
                let at = at.under(format!("latency_ns/curve/{index}"));
                [at.figure("quantile", point.quantile, Unit::Quantile), at.figure("ns", point.ns, Unit::Nanoseconds)]
            });
            (result.stack.clone(), style_of(&result.stack), points.collect())
        };
        let distributions: Vec<_> = sampled.map(distribution).collect();
        if !distributions.is_empty() {
            let lines = quantiles(format!("{name}, latency by quantile"), distributions);
            write_figure(&format!("figure-latency-{name}"), &format!("{name}: latency distribution"), &lines, out);
        }
        percentiles(name, &results).write(out);
        spans(&results, out);
    }
}

/// What a latency spans, once for all stacks of which it is the same.
fn spans(results: &[(At, &ScenarioResult)], out: &mut Markup) {
    for of in names(results.iter().map(|(_, result)| result.latency_of.as_str())) {
        let same: Vec<_> = results.iter().filter(|(_, result)| result.latency_of == of).collect();
        let stacks = same.iter().map(|(_, result)| result.stack.as_str()).collect::<Vec<_>>().join(", ");
        let whose = if same.len() == results.len() { String::new() } else { format!(" of {stacks}") };
        let said = same[0].0.words("latency_of", of);
        paragraph(out, &[Cell::words(format!("Latency{whose} is ")), said, Cell::words(".")]);
    }
}

fn percentiles(name: &str, results: &[(At, &ScenarioResult)]) -> Table {
    let heads = ["stack", "mean", "p50", "p95", "p99", "p99.9", "max", "samples"];
    let mut table = Table::new(format!("{name}, latency"), heads);
    for (at, result) in results {
        let mut row = vec![at.words("stack", &result.stack)];
        match &result.latency_ns {
            Some(latency) => {
                let ns = |key: &str, number| at.figure(&format!("latency_ns/{key}"), number, Unit::Nanoseconds).cell;
                row.push(at.figure("latency_ns/mean", latency.mean, Unit::Nanoseconds).cell);
                row.extend([ns("p50", latency.p50), ns("p95", latency.p95), ns("p99", latency.p99)]);
                row.extend([ns("p999", latency.p999), ns("max", latency.max)]);
                row.push(at.count("latency_ns/samples", latency.samples));
            }
            None => {
                row.push(Cell::words("not sampled"));
                row.extend((0..6).map(|_| Cell::nothing()));
            }
        }
        table.rows.push(row);
    }
    table
}
