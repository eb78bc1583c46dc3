//! `joulebook compare`.

use super::output::{pending, print_report};
use super::{EXIT_REFUSED, Failure};
use clap::Args;
use joulebook::compare::{Limits, Side, Verdict, compare};
use joulebook::report::{render_compare_markdown, render_compare_text, render_json};
use std::path::{Path, PathBuf};

/// What `joulebook compare --help` says at its end; lines short enough for any terminal.
pub const AFTER_HELP: &str = "\
OLD and NEW are each a report of `joulebook run --json FILE`, or a folder with
several (*.json, taken in the order of their names). The first of OLD was made
beside the first of NEW, and so on: a pair is one figure. One pair tells
nothing about times, because two runs of one program differ, too: nine or more
do, made in turns. profiling/compare.sh builds two revisions and does all that.

A folder may also hold one file of profiling/callgrind.sh --json FILE. Counts
of instructions repeat, so one is enough, and their limit is tight.

Examples:
  joulebook compare old/ new/
      tables, and exit code 1 if something is slower
  joulebook compare old/ new/ --fail-above 3% --strict
      from 3 % on; and where nobody can tell, that fails, too
  joulebook compare old/ new/ --markdown - >> \"$GITHUB_STEP_SUMMARY\"
      for a pull request

Exit codes: 0 nothing is known to be slower, 1 something is (with --strict: or
may be), 2 the reports cannot be read or do not compare.";

/// Two sides, and from when on a change matters.
#[derive(Args)]
pub struct Compare {
    /// Report, or folder of reports, of the old build
    old: PathBuf,
    /// The same of the new one
    new: PathBuf,
    /// So many fewer operations per second are too many, in percent
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    fail_above: f64,
    /// So many more instructions per operation are too many, in percent
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = percent)]
    fail_instructions_above: f64,
    /// Fail, too, where nobody can tell
    #[arg(long)]
    strict: bool,
    /// Write the tables as Markdown to FILE; "-" is standard output, and the text goes to standard error
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the comparison as JSON (joulebook.compare.v1) to FILE; "-" is standard output, and the text goes to standard error
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// "5%", "5 %" or "5", as a fraction.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a percentage from 0 to below 100 is wanted, 5% say".to_string()),
    }
}

impl Compare {
    /// Reads, compares, prints, writes.
    pub fn execute(&self) -> Result<u8, Failure> {
        let is_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        if is_stdout(&self.markdown) && is_stdout(&self.json) {
            return Err(Failure::usage("--markdown and --json cannot both be standard output"));
        }
        if same_place(&self.old, &self.new) {
            return Err(Failure::usage(format!("OLD and NEW are the same, {}", self.old.display())));
        }
        let file = |path| Option::as_deref(path).filter(|path| *path != Path::new("-"));
        let [markdown, json] = pending([("--markdown", file(&self.markdown)), ("--json", file(&self.json))])?;
        let [old, new] = [&self.old, &self.new].map(|path| Side::read(path));
        let limits = Limits { slower: self.fail_above, instructions: self.fail_instructions_above };
        let comparison = old.and_then(|old| new.and_then(|new| compare(&old, &new, limits))).map_err(Failure::usage)?;
        let instead = match (is_stdout(&self.markdown), is_stdout(&self.json)) {
            (true, _) => Some(render_compare_markdown(&comparison)),
            (_, true) => Some(render_json(&comparison)),
            _ => None,
        };
        print_report(|columns, bold| render_compare_text(&comparison, columns, bold), instead)?;
        if let Some(file) = markdown {
            file.write(render_compare_markdown(&comparison).as_bytes())?;
        }
        if let Some(file) = json {
            file.write(render_json(&comparison).as_bytes())?;
        }
        let unsure = self.strict && comparison.count(Verdict::CannotTell) > 0;
        Ok(if comparison.count(Verdict::Slower) > 0 || unsure { EXIT_REFUSED } else { 0 })
    }
}

fn same_place(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percentages() {
        assert_eq!([percent("5%"), percent("5 %"), percent("0.5")], [Ok(0.05), Ok(0.05), Ok(0.005)]);
        for wrong in ["", "%", "-1%", "100%", "NaN", "inf", "5%%x"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
