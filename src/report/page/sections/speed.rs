//! Operations a second: by stack, over each other, and change by change.

use super::super::markup::Markup;
use super::super::plot::{Axis, Bar, Bars, Division, Group, Lines, Point, Series, Step, Unit, Waterfall, write_figure};
use super::super::table::{At, Cell, Figure};
use super::{by_scenario, names, paragraph, style_of};
use crate::scenario::{Ratio, RunReport, Rung, ScenarioResult};

pub fn write(report: &RunReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "Median of interleaved rounds; the line across a bar goes from the slowest round to the fastest. The axis is logarithmic, \
         and a bar begins at its first power of ten: compare where bars end.",
    );
    let bar = |(at, result): &(At, &ScenarioResult)| {
        let speed = |key, number| at.figure(key, number, Unit::Rate);
        let [slowest, fastest] = result.ops_per_second_range;
        Bar {
            name: at.words("stack", &result.stack),
            style: style_of(&result.stack),
            value: speed("ops_per_second", result.ops_per_second),
            range: Some([speed("ops_per_second_range/0", slowest), speed("ops_per_second_range/1", fastest)]),
            more: vec![at.count("operations", result.operations), at.count("rounds", result.rounds)],
        }
    };
    let scenarios = by_scenario(report);
    let group = |(name, results): &(&str, Vec<(At, &ScenarioResult)>)| Group {
        name: results[0].0.words("name", name),
        bars: results.iter().map(bar).collect(),
    };
    let bars = Bars {
        caption: "operations a second".into(),
        heads: ["scenario", "stack", "operations a second"].map(String::from),
        unit: Unit::Rate,
        division: Division::Log,
        range: Some(["slowest round", "fastest round"].map(String::from)),
        points: false,
        reference: None,
        more: ["operations a round", "rounds"].map(String::from).to_vec(),
        groups: scenarios.iter().map(group).collect(),
    };
    out.element("p", &[], "One operation is, in").open("ul", &[]);
    for (name, results) in &scenarios {
        let (at, result) = &results[0];
        out.open("li", &[]).element("b", &[], name).text(": ");
        at.words("operation", &result.operation).write(out);
        out.close();
    }
    out.close();
    write_figure("figure-speed", "Operations a second by scenario and stack", &bars, out);
    out.open("details", &[]).element("summary", &[], "Round by round");
    for (name, results) in &scenarios {
        let title = format!("{name}: operations a second of each round, in the order in which they were played");
        write_figure(&format!("figure-rounds-{name}"), &title, &rounds(name, results), out);
    }
    out.close();
}

fn rounds(name: &str, results: &[(At, &ScenarioResult)]) -> Lines {
    let series = |(at, result): &(At, &ScenarioResult)| {
        let point = |(round, &speed): (usize, &f64)| Point {
            // A round's number is its place in the list, not a figure of the report.
            x: Figure { number: (round + 1) as f64, cell: Cell::words((round + 1).to_string()) },
            y: at.figure(&format!("rounds_ops_per_second/{round}"), speed, Unit::Rate),
        };
        Series {
            name: result.stack.clone(),
            style: style_of(&result.stack),
            points: result.rounds_ops_per_second.iter().enumerate().map(point).collect(),
        }
    };
    Lines {
        caption: format!("{name}, rounds"),
        x: Axis { name: "round".into(), unit: Unit::Count, division: Division::Linear },
        y: Axis { name: "operations a second".into(), unit: Unit::Rate, division: Division::Log },
        series: results.iter().map(series).collect(),
    }
}

pub fn write_ratios(report: &RunReport, out: &mut Markup) {
    let first = &report.ratios[0];
    let same = report.ratios.iter().all(|ratio| ratio.confidence == first.confidence);
    let confidence = if same {
        At::root().figure("ratios/0/confidence", first.confidence, Unit::Share).cell.and(Cell::words("confidence"))
    } else {
        Cell::words("the confidence in the table")
    };
    let parts = [
        Cell::words(
            "Ratio of operations a second in rounds played one after the other: the median, and an interval that holds the true one \
             with ",
        ),
        confidence,
        Cell::words(", from order statistics. The dashed line is 1x: equally fast."),
    ];
    paragraph(out, &parts);
    let bar = |(index, ratio): (usize, &Ratio)| {
        let at = At::root().under(format!("ratios/{index}"));
        let times = |key, number| at.figure(key, number, Unit::Times);
        Bar {
            name: at.words("name", &ratio.name),
            style: style_of(&ratio.over),
            value: times("median", ratio.median),
            range: Some([times("low", ratio.low), times("high", ratio.high)]),
            more: vec![at.figure("confidence", ratio.confidence, Unit::Share).cell, at.count("rounds", ratio.rounds)],
        }
    };
    let group = |over: &str| {
        let mut ratios = report.ratios.iter().enumerate().filter(|(_, ratio)| ratio.over == over).peekable();
        let (index, first) = ratios.peek().expect("a name that was found");
        let at = At::root().under(format!("ratios/{index}"));
        let name = at.said("over", over, &format!("{} over {over}", first.stack));
        Group { name, bars: ratios.map(bar).collect() }
    };
    let bars = Bars {
        caption: "ratios of operations a second".into(),
        heads: ["of", "scenario", "median"].map(String::from),
        unit: Unit::Times,
        division: Division::Log,
        range: Some(["low", "high"].map(String::from)),
        points: true,
        reference: Some(1.0),
        more: ["confidence", "rounds"].map(String::from).to_vec(),
        groups: names(report.ratios.iter().map(|ratio| ratio.over.as_str())).into_iter().map(group).collect(),
    };
    let overs = bars.groups.iter().map(|group| group.name.text()).collect::<Vec<_>>().join("; ");
    write_figure("figure-ratios", &format!("Operations a second, {overs}"), &bars, out);
}

pub fn write_ladder(report: &RunReport, out: &mut Markup) {
    out.element(
        "p",
        &[],
        "From the baseline on, each step makes one change more. The axis is logarithmic: changes that gain the same factor are equally \
         long. A step that costs goes back, and is marked.",
    );
    for name in names(report.ladder.iter().map(|rung| rung.scenario.as_str())) {
        let step = |(index, rung): (usize, &Rung)| {
            let at = At::root().under(format!("ladder/{index}"));
            Step {
                name: at.words("stack", &rung.stack),
                change: at.words("change", &rung.change),
                value: at.figure("ops_per_second", rung.ops_per_second, Unit::Rate),
                step: at.figure("step", rung.step, Unit::Times),
                total: at.figure("total", rung.total, Unit::Times),
            }
        };
        let rungs = report.ladder.iter().enumerate().filter(|(_, rung)| rung.scenario == name);
        let waterfall = Waterfall {
            caption: format!("{name}, one change at a time"),
            value: "operations a second".into(),
            unit: Unit::Rate,
            steps: rungs.map(step).collect(),
        };
        let title = format!("{name}: operations a second, one change at a time");
        write_figure(&format!("figure-ladder-{name}"), &title, &waterfall, out);
    }
}
