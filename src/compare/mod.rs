//! Floor 5: whether one build is slower than another, from the reports of both.
//!
//! ```text
//! OLD: run reports, 1st 2nd 3rd ...  --+
//!                                      +-- pairs, 1st with 1st --> log ratios per scenario and stack --> interval --> verdict
//! NEW: run reports, 1st 2nd 3rd ...  --+
//! OLD, NEW: instruction counts --------------------------------> ratio per part -------------------------> verdict
//! ```
//!
//! **Times** are noisy: a ratio of two runs of the same program is seldom 1, since addresses, neighbours and the machine's speed
//! change from process to process. So one run a side says nothing, whatever its rounds say; runs are made in pairs, close to each
//! other, and a pair is one figure: the ratio of the medians of their rounds. The interval of these is
//! [`shift_interval`]'s, and so wide that all intervals of a comparison hold at once with 95 % (Bonferroni). A row is
//! *slower* if its interval is below 1 and its estimate is slower by more than the limit; *no slower* if the interval excludes
//! the limit; *faster* if it is above 1; and otherwise nobody can tell, and how many pairs might is said.
//!
//! The parts of a settled trade that a report measures by themselves (matching, sealing, a read) are rows, too: a change of one part is a
//! small change of a scenario.
//!
//! **Instruction counts** repeat to 0.1 %, so one is enough, and their limit is tight.

mod read;

pub use read::{CompareError, Side};

use crate::measure::{Interval, median, pairs_needed, shift_interval};
use read::{Played, Run};
use serde::Serialize;

/// Probability that all intervals of a comparison hold at once.
const CONFIDENCE: f64 = 0.95;

/// A stack that is there to be compared with, and may be as slow as it likes.
const NOT_GATED: &str = "baseline";

/// From which change on something is called slower; both as fractions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Of operations per second: 0.05 calls 5 % fewer slower.
    pub slower: f64,
    /// Of instructions per operation: 0.01 calls 1 % more slower.
    pub instructions: f64,
}

/// What is said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// By more than the limit, and not by chance.
    Slower,
    /// Not by more than the limit.
    NoSlower,
    /// Not by chance.
    Faster,
    /// The reason says why, and what would help.
    CannotTell,
}

/// A scenario on a stack, or a part whose instructions were counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was compared: scenario and stack, or part.
    pub name: String,
    /// Whether it counts for the verdict of all.
    pub gated: bool,
    /// Operations per second, or instructions per operation, of the old build: the median of its runs.
    pub old: f64,
    /// The same of the new one.
    pub new: f64,
    /// New over old, with the interval of the true ratio; of instructions the ratio itself.
    pub ratio: Interval,
    /// What that means.
    pub verdict: Verdict,
    /// Why nobody can tell; otherwise empty.
    pub reason: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// `joulebook.compare.v1`.
    pub schema: &'static str,
    /// From which change on something is called slower.
    pub limits: Limits,
    /// Machine, build and kernels, of the old and of the new side.
    pub places: [String; 2],
    /// Pairs of runs.
    pub pairs: usize,
    /// Operations per second. More is better.
    pub times: Vec<Row>,
    /// Instructions per operation. Fewer is better.
    pub instructions: Vec<Row>,
    /// What the sides do not share, and other things to know.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Rows that count.
    pub fn gated(&self) -> impl Iterator<Item = &Row> {
        self.times.iter().chain(&self.instructions).filter(|row| row.gated)
    }

    /// How many of the rows that count have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.gated().filter(|row| row.verdict == verdict).count()
    }
}

/// Compares two sides.
///
/// # Errors
/// They were not asked to do the same, or there is nothing that both did.
pub fn compare(old: &Side, new: &Side, limits: Limits) -> Result<Comparison, CompareError> {
    let (pairs, mut notes) = (old.runs.len(), Vec::new());
    if pairs != new.runs.len() {
        return Err(CompareError::Unpaired { old: pairs, new: new.runs.len() });
    }
    let times = if pairs > 0 { compare_times(&old.runs, &new.runs, limits, &mut notes)? } else { Vec::new() };
    let instructions = match (&old.instructions, &new.instructions) {
        (Some(old), Some(new)) => compare_instructions(old, new, limits, &mut notes),
        (None, None) => Vec::new(),
        (one, _) => {
            let side = if one.is_some() { "OLD" } else { "NEW" };
            notes.push(format!("Instructions were counted for {side} only, so they are not compared."));
            Vec::new()
        }
    };
    if times.is_empty() && instructions.is_empty() {
        return Err(CompareError::NothingInCommon);
    }
    let places = [old, new].map(Side::place);
    Ok(Comparison { schema: "joulebook.compare.v1", limits, places, pairs, times, instructions, notes })
}

fn compare_times(old: &[Run], new: &[Run], limits: Limits, notes: &mut Vec<String>) -> Result<Vec<Row>, CompareError> {
    for other in old.iter().chain(new) {
        read::same_settings(&old[0], other)?;
    }
    let mut machines: Vec<String> = old.iter().chain(new).map(Run::machine).collect();
    machines.sort_unstable();
    machines.dedup();
    let elsewhere = (machines.len() > 1).then(|| format!("not the same machine: {}", machines.join("; ")));
    let both: Vec<&Played> = old[0].played.iter().filter(|played| new[0].find(played).is_some()).collect();
    for (side, runs, others) in [("OLD", old, new), ("NEW", new, old)] {
        for played in runs[0].played.iter().filter(|played| others[0].find(played).is_none()) {
            notes.push(format!("{} was played by {side} only.", played.name()));
        }
    }
    let gated = both.iter().filter(|played| played.stack != NOT_GATED).count();
    let confidence = 1.0 - (1.0 - CONFIDENCE) / gated.max(1) as f64;
    let mut rows = Vec::new();
    for played in both {
        let (old, new) = (figures(old, played)?, figures(new, played)?);
        let logs: Vec<f64> = old.speeds.iter().zip(&new.speeds).map(|(old, new)| (new / old).ln()).collect();
        let shift = shift_interval(&logs, confidence);
        let ratio = Interval {
            median: shift.median.exp(),
            low: shift.low.exp(),
            high: shift.high.exp(),
            confidence: shift.confidence,
        };
        let needed = pairs_needed(confidence);
        let (verdict, reason) = if let Some(elsewhere) = &elsewhere {
            (Verdict::CannotTell, elsewhere.clone())
        } else if old.digest != new.digest {
            (Verdict::CannotTell, "the digests differ: the two did not do the same".to_string())
        } else if logs.len() < needed {
            let reason = format!("{} of runs, and at least {needed} are needed", pairs_of(logs.len()));
            (Verdict::CannotTell, reason)
        } else {
            judge(&ratio, limits.slower, logs.len())
        };
        let gated = played.stack != NOT_GATED;
        let [old, new] = [old, new].map(|mut side| median(&mut side.speeds));
        rows.push(Row { name: played.name(), gated, old, new, ratio, verdict, reason });
    }
    Ok(rows)
}

fn pairs_of(count: usize) -> String {
    format!("{count} pair{}", if count == 1 { "" } else { "s" })
}

/// The rule, for a ratio of speeds.
fn judge(ratio: &Interval, limit: f64, pairs: usize) -> (Verdict, String) {
    let least = 1.0 - limit;
    if ratio.high < 1.0 && ratio.median < least {
        (Verdict::Slower, String::new())
    } else if ratio.low > 1.0 {
        (Verdict::Faster, String::new())
    } else if ratio.low > least {
        (Verdict::NoSlower, String::new())
    } else {
        // An interval narrows with the root of the number of pairs. Beyond the limit it must come to exclude 1, within it the limit.
        let half = (ratio.high / ratio.low).ln() / 2.0;
        let away = if ratio.median < least { -ratio.median.ln() } else { (ratio.median / least).ln() };
        let wanted = (pairs as f64 * (half / away).powi(2)).ceil().max(pairs as f64 + 1.0);
        let more = if wanted <= 200.0 { format!("about {wanted:.0}") } else { "more than 200".to_string() };
        let holds = if ratio.high < 1.0 { "the limit" } else { "both 1 and the limit" };
        let reason = format!("the interval holds {holds}; {more} pairs might tell");
        (Verdict::CannotTell, reason)
    }
}

/// What the runs of a side say of a scenario on a stack.
struct Figures {
    /// Each run's median round, in operations per second.
    speeds: Vec<f64>,
    digest: String,
}

fn figures(runs: &[Run], wanted: &Played) -> Result<Figures, CompareError> {
    let mut figures = Figures { speeds: Vec::with_capacity(runs.len()), digest: String::new() };
    for run in runs {
        let played =
            run.find(wanted).ok_or_else(|| CompareError::NotPlayed { file: run.file.clone(), name: wanted.name() })?;
        figures.speeds.push(median(&mut played.rounds.clone()));
        if figures.digest.is_empty() {
            figures.digest.clone_from(&played.digest);
        } else if figures.digest != played.digest {
            return Err(CompareError::Unsteady { file: run.file.clone(), name: wanted.name() });
        }
    }
    Ok(figures)
}

fn compare_instructions(
    old: &read::Instructions,
    new: &read::Instructions,
    limits: Limits,
    notes: &mut Vec<String>,
) -> Vec<Row> {
    let how = |side: &read::Instructions| format!("{}, hashing by {}", side.valgrind, side.hashing);
    let counted_differently = (how(old) != how(new)).then(|| format!("counted by {} and by {}", how(old), how(new)));
    let mut rows = Vec::new();
    for part in &old.parts {
        let Some(other) = new.parts.iter().find(|other| other.name == part.name) else {
            notes.push(format!("Instructions of {} were counted for OLD only.", part.name));
            continue;
        };
        let each = |part: &read::Part| part.instructions as f64 / part.operations as f64;
        let (old, new) = (each(part), each(other));
        let ratio = new / old;
        let (verdict, reason) = if let Some(reason) = &counted_differently {
            (Verdict::CannotTell, reason.clone())
        } else if (&part.operation, &part.digest) != (&other.operation, &other.digest) {
            (Verdict::CannotTell, "the digests differ: the two did not do the same".to_string())
        } else if ratio > 1.0 + limits.instructions {
            (Verdict::Slower, String::new())
        } else if ratio < 1.0 - limits.instructions {
            (Verdict::Faster, String::new())
        } else {
            (Verdict::NoSlower, String::new())
        };
        let ratio = Interval { median: ratio, low: ratio, high: ratio, confidence: 1.0 };
        rows.push(Row { name: part.name.clone(), gated: true, old, new, ratio, verdict, reason });
    }
    for part in new.parts.iter().filter(|part| old.parts.iter().all(|other| other.name != part.name)) {
        notes.push(format!("Instructions of {} were counted for NEW only.", part.name));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, median: f64, high: f64) -> Interval {
        Interval { median, low, high, confidence: 0.99 }
    }

    #[test]
    fn the_rule() {
        let judge = |low, median, high| judge(&interval(low, median, high), 0.05, 10).0;
        assert_eq!(judge(0.85, 0.9, 0.94), Verdict::Slower);
        assert_eq!(judge(0.85, 0.9, 0.99), Verdict::Slower, "surely slower, and by 10 % as far as can be told");
        assert_eq!(judge(0.9, 0.96, 0.99), Verdict::CannotTell, "surely slower, but perhaps within the limit");
        assert_eq!(judge(0.96, 0.98, 0.99), Verdict::NoSlower, "slower within the limit");
        assert_eq!(judge(0.96, 1.0, 1.04), Verdict::NoSlower);
        assert_eq!(judge(0.9, 0.97, 1.04), Verdict::CannotTell);
        assert_eq!(judge(0.7, 0.9, 1.2), Verdict::CannotTell, "half of it may be chance");
        assert_eq!(judge(1.01, 1.1, 1.2), Verdict::Faster);
    }

    #[test]
    fn how_many_pairs_might_tell() {
        // Half the width is ln(1.1 / 0.9) / 2 = 0.1003, the limit is ln(1 / 0.95) = 0.0513 away: 3.83 times as many.
        assert!(judge(&interval(0.9, 1.0, 1.1), 0.05, 10).1.contains("about 39 pairs"));
        assert!(judge(&interval(0.5, 0.97, 2.0), 0.05, 10).1.contains("more than 200 pairs"));
        // Slower, and nobody knows whether by more than the limit, from which it is 0.0073 away; half the width is 0.0084.
        let near = judge(&interval(0.949, 0.957, 0.965), 0.05, 12).1;
        assert!(near.contains("holds the limit; about 16 pairs"), "{near}");
    }
}
