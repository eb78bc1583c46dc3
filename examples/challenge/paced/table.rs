//! What is printed about one shape.

use crate::control::{Control, Gaps};
use crate::engine::NOTHING;
use crate::process::Outcome;
use joulebook::measure::median;

/// Over the time of its schedule, a run that takes longer did not keep up.
const LATE: f64 = 1.02;

/// An engine and its runs.
#[derive(Default)]
pub struct Row {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Runs as fast as it goes.
    pub fast: Vec<Outcome>,
    /// Runs at the rate.
    pub paced: Vec<Outcome>,
    /// That rate, in messages per second.
    pub per_second: f64,
}

impl Row {
    /// One without runs.
    pub fn new(name: &str, path: &str) -> Row {
        Row { name: name.into(), path: path.into(), ..Row::default() }
    }

    fn runs(&self) -> impl Iterator<Item = &Outcome> {
        self.fast.iter().chain(&self.paced)
    }

    /// Runs at the rate that took longer than the rate asks for.
    fn late(&self) -> usize {
        let planned = |run: &Outcome| run.messages as f64 / self.per_second * 1e9;
        self.paced.iter().filter(|run| run.ns > LATE * planned(run)).count()
    }
}

/// The runs of one shape.
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// The digest of its messages, in hex.
    pub flow: String,
    /// Messages whose latencies were left out, in percent.
    pub warm_up: u32,
    /// Engines, and the one that does nothing.
    pub rows: Vec<Row>,
    /// What became of two idle threads, in each round.
    pub idle: Vec<Control>,
}

/// Median, lowest and highest, to so many decimals.
fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() {
        return "-".into();
    }
    let median = median(&mut values);
    let (low, high) = (values[0], values[values.len() - 1]);
    format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
}

fn middle(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() { "-".into() } else { format!("{:.decimals$}", median(&mut values)) }
}

impl Shape {
    /// The table, and what the runs of each row did.
    pub fn text(&self) -> String {
        let Some(first) = self.rows.iter().flat_map(Row::runs).next() else { return String::new() };
        let mut text = format!("{}: {} messages, digest {}\n", self.name, first.messages, self.flow);
        if self.warm_up > 0 {
            text += &format!("latencies without those of the first {} % of the messages\n", self.warm_up);
        }
        let heads = ["", "M/s at most", "at M/s", "p50 ns", "p99 ns", "p99.9 us", "max us", "in a batch", "no CPU us"];
        let mut lines = vec![heads.map(String::from)];
        lines.extend(self.rows.iter().map(line));
        if !self.idle.is_empty() {
            lines.push(self.idle_line());
        }
        text += &aligned(&lines);
        for (what, of) in [("matcher's", (|c| c.matcher) as fn(&Control) -> Gaps), ("drainer's", |c| c.drainer)] {
            if !self.idle.is_empty() {
                let gaps = || self.idle.iter().map(of);
                text += &format!(
                    "the {what} CPU when idle: {} % of the time in gaps over 10 us (the system ran others for {} %), longest {} us, p99.9 of a wait {} us\n",
                    spread(gaps().map(|gaps| 100.0 * gaps.long_share), 3),
                    middle(gaps().filter_map(|gaps| gaps.others_share).map(|share| 100.0 * share), 3),
                    spread(gaps().map(|gaps| gaps.longest_ns / 1e3), 0),
                    spread(gaps().map(|gaps| gaps.p999_ns / 1e3), 1),
                );
            }
        }
        for row in &self.rows {
            if let Some(run) = row.runs().next() {
                text += &format!("{}: {} reports, digest {}\n", row.name, run.reports, run.digest);
            }
            if row.late() > 0 {
                text += &format!("{}: did not keep up in {} of {} runs\n", row.name, row.late(), row.paced.len());
            }
        }
        text
    }

    fn idle_line(&self) -> [String; 9] {
        let gaps = || self.idle.iter().map(|control| control.either);
        let (p99, p999) = (middle(gaps().map(|gaps| gaps.p99_ns), 0), spread(gaps().map(|gaps| gaps.p999_ns / 1e3), 1));
        let max = spread(gaps().map(|gaps| gaps.longest_ns / 1e3), 0);
        let none = || "-".to_string();
        ["idle CPUs".into(), none(), none(), none(), p99, p999, max, none(), none()]
    }

    /// Runs that did not do what the first one did, in words: the others' figures say nothing beside them.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let engines = || self.rows.iter().filter(|row| row.name != NOTHING);
        let first = engines().flat_map(Row::runs).next();
        for row in &self.rows {
            let silent = row.runs().map(|run| run.unreported).max().unwrap_or(0);
            if silent > 0 {
                complaints.push(format!("{} never reported about {silent} messages", row.name));
            }
        }
        for row in engines() {
            let others = row.runs().filter(|run| first.is_some_and(|first| first.digest != run.digest)).count();
            if others > 0 {
                let first = &engines().next().expect("there is a row").name;
                complaints.push(format!("{others} runs of {} reported something else than {first}", row.name));
            }
        }
        complaints
    }
}

fn line(row: &Row) -> [String; 9] {
    let latency = |at: usize, unit: f64| row.paced.iter().map(move |run| run.latency_ns[at] / unit);
    let off = |at: usize| row.paced.iter().filter_map(move |run| run.descheduled_ns[at]).map(|ns| ns as f64 / 1e3);
    [
        row.name.clone(),
        spread(row.fast.iter().map(|run| run.per_second() / 1e6), 2),
        middle(row.paced.iter().map(|_| row.per_second / 1e6), 2),
        middle(latency(0, 1.0), 0),
        middle(latency(1, 1.0), 0),
        spread(latency(2, 1e3), 1),
        spread(latency(3, 1e3), 0),
        middle(row.paced.iter().map(|run| run.messages as f64 / run.batches as f64), 2),
        format!("{}, {}", middle(off(0), 0), middle(off(1), 0)),
    ]
}

/// Columns as wide as their widest cell; names to the left, figures to the right.
fn aligned(lines: &[[String; 9]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        text += &format!("{:<width$}", line[0], width = width(0));
        for (column, cell) in line.iter().enumerate().skip(1) {
            text += &format!("  {cell:>width$}", width = width(column));
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(digest: &str, unreported: usize, ns: f64) -> Outcome {
        Outcome {
            messages: 2_000,
            unreported,
            reports: 2_100,
            digest: digest.into(),
            ns,
            batches: 1_000,
            latency_ns: [150.0, 400.0, 25_000.0, 90_000.0],
            descheduled_ns: [Some(3_000), None],
        }
    }

    fn row(name: &str, runs: Vec<Outcome>) -> Row {
        Row { paced: runs, per_second: 1e6, ..Row::new(name, name) }
    }

    fn shape(rows: Vec<Row>) -> Shape {
        Shape { name: "static", flow: "f1".into(), warm_up: 0, rows, idle: vec![Control::default()] }
    }

    #[test]
    fn the_table_has_what_was_measured() {
        let text = shape(vec![row("ours", vec![run("aa", 0, 2e6), run("aa", 0, 3e6)])]).text();
        for wanted in ["2000 messages, digest f1", "25.0 (25.0 to 25.0)", "2100 reports, digest aa", "3, -", "2.00"] {
            assert!(text.contains(wanted), "no {wanted}:\n{text}");
        }
        assert!(text.contains("ours: did not keep up in 1 of 2 runs"), "{text}");
        assert!(text.contains("idle CPUs") && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn other_work_is_seen() {
        let nothing = || row(NOTHING, vec![run("00", 0, 2e6)]);
        let of = |rows| shape(rows).complaints();
        let good = || row("ours", vec![run("aa", 0, 2e6)]);
        assert!(of(vec![good(), row("peer", vec![run("aa", 0, 2e6)]), nothing()]).is_empty());
        let other = of(vec![good(), row("peer", vec![run("aa", 0, 2e6), run("bb", 0, 2e6)]), nothing()]);
        assert_eq!(other, ["1 runs of peer reported something else than ours"]);
        let silent = of(vec![good(), row("peer", vec![run("aa", 4, 2e6)])]);
        assert_eq!(silent, ["peer never reported about 4 messages"]);
    }

    #[test]
    fn medians_have_their_range() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter(), 1), "2.0 (1.0 to 3.0)");
        assert_eq!((spread([].into_iter(), 0), middle([].into_iter(), 0)), ("-".into(), "-".into()));
    }
}
