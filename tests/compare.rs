//! `joulebook compare`, as somebody types it: what it flags, what it leaves alone, what it refuses.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

fn joulebook(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_joulebook")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A run's report with one scenario on two stacks, as far as `compare` reads it.
fn report(speed: f64, baseline: f64) -> Value {
    // The first round of every report has another slow phase: only the median is the speed.
    static REPORTS: AtomicU32 = AtomicU32::new(0);
    let phase = [0.5, 0.9, 0.3][REPORTS.fetch_add(1, Ordering::Relaxed) as usize % 3];
    let played = |stack: &str, speed: f64| {
        json!({"name": "writes", "stack": stack, "digest": "ab12",
            "rounds_ops_per_second": [phase * speed, speed, 1.01 * speed]})
    };
    json!({
        "schema": "joulebook.run.v1",
        "environment": {"version": "0.1.0", "cpu": "a CPU", "cpus": 2, "platform": "linux x86_64", "hash_kernel": "avx2",
            "optimized_build": true},
        "settings": {"seed": 42, "users": 100, "rounds": 3, "durable": null},
        "scenarios": [played("baseline", baseline), played("optimized", speed)],
        "complete": true,
    })
}

fn counts(operations: u64, instructions: u64) -> Value {
    json!({
        "schema": "joulebook.instructions.v1", "revision": "abc", "machine": "a CPU", "valgrind": "valgrind-3.19.0",
        "hashing": "avx2",
        "parts": [{"name": "matching", "operation": "an order", "operations": operations, "digest": "ab12",
            "instructions": instructions}],
    })
}

/// Two folders of reports, old and new.
struct Sides(tempfile::TempDir);

impl Sides {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("old")).unwrap();
        fs::create_dir(folder.path().join("new")).unwrap();
        Sides(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, report: &Value) {
        fs::write(self.path(name), report.to_string()).unwrap();
    }

    /// Eight pairs of runs on a machine of changing speed; the new one is so much faster, more or less.
    fn with_pairs(factor: f64, baseline: f64) -> Self {
        let sides = Self::new();
        for pair in 0..8 {
            let machine = if pair % 3 == 0 { 0.5e7 } else { 1e7 };
            let noise = 1.0 + 0.002 * (f64::from(pair) - 3.5);
            sides.put(&format!("old/{pair}.json"), &report(machine, machine));
            sides.put(&format!("new/{pair}.json"), &report(machine * factor * noise, machine * baseline * noise));
        }
        sides
    }

    fn compare(&self, more: &[&str]) -> (i32, String, String) {
        let (old, new) = (self.path("old"), self.path("new"));
        let mut args = vec!["compare", old.to_str().unwrap(), new.to_str().unwrap()];
        args.extend(more);
        let output = joulebook(&args);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}

/// The verdict of a row, from the comparison as JSON.
fn verdict(comparison: &Value, table: &str, name: &str) -> String {
    let rows = comparison[table].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()["verdict"].as_str().unwrap().to_string()
}

fn in_json(sides: &Sides, more: &[&str]) -> (i32, Value) {
    let (code, out, error) = sides.compare(&[&["--json", "-"], more].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

#[test]
fn ten_percent_slower_is_flagged() {
    let sides = Sides::with_pairs(0.9, 1.0);
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (1, "slower".to_string()));
    assert_eq!(comparison["schema"], "joulebook.compare.v1");
    let ratio = &comparison["times"][1]["ratio"];
    let [low, median, high] = ["low", "median", "high"].map(|name| ratio[name].as_f64().unwrap());
    assert!(low < median && median < high && high < 1.0 && (median - 0.9).abs() < 0.01, "{ratio}");
    let (code, out, _) = sides.compare(&[]);
    assert_eq!(code, 1);
    assert!(out.contains("Slower: writes, optimized") && out.contains("-10.0 %"), "{out}");
}

#[test]
fn the_limit_and_the_direction_matter() {
    assert_eq!(Sides::with_pairs(0.9, 1.0).compare(&["--fail-above", "15%"]).0, 0);
    let (code, comparison) = in_json(&Sides::with_pairs(0.97, 1.0), &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (0, "no_slower".to_string()));
    assert_eq!(Sides::with_pairs(0.97, 1.0).compare(&["--fail-above", "2%"]).0, 1);
    let (code, comparison) = in_json(&Sides::with_pairs(1.2, 1.0), &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (0, "faster".to_string()));
}

/// A tenth of matching is little of a scenario; by itself it is seen. Tokens are a difference, and not looked at.
#[test]
fn a_part_that_is_slower_by_itself_is_flagged() {
    let sides = Sides::new();
    for pair in 0..8 {
        for (side, matching) in [("old", 30.0), ("new", 33.0)] {
            let mut report = report(1e7, 1e7);
            let noise = 1.0 + 0.001 * f64::from(pair % 3);
            report["components"] = json!([
                {"name": "matching", "ns_per_operation": matching * noise},
                {"name": "tokens", "ns_per_operation": matching},
            ]);
            sides.put(&format!("{side}/{pair}.json"), &report);
        }
    }
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "times", "matching, by itself")), (1, "slower".to_string()));
    assert_eq!(verdict(&comparison, "times", "writes, optimized"), "no_slower");
    assert_eq!(comparison["times"].as_array().unwrap().len(), 3, "baseline, optimized, matching");
}

#[test]
fn a_slower_baseline_is_said_and_not_gated() {
    let (code, comparison) = in_json(&Sides::with_pairs(1.0, 0.5), &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, baseline")), (0, "slower".to_string()));
}

#[test]
fn where_nobody_can_tell_that_is_said() {
    // One pair, as different as may be.
    let sides = Sides::new();
    sides.put("old/1.json", &report(1e7, 1e7));
    sides.put("new/1.json", &report(0.5e7, 1e7));
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (0, "cannot_tell".to_string()));
    assert!(comparison["times"][1]["reason"].as_str().unwrap().contains("at least 6 are needed"));
    assert_eq!(sides.compare(&["--strict"]).0, 1);
    // Noise larger than the change.
    let sides = Sides::new();
    for pair in 0..8 {
        sides.put(&format!("old/{pair}.json"), &report(1e7, 1e7));
        sides.put(&format!("new/{pair}.json"), &report(if pair % 2 == 0 { 1.2e7 } else { 0.75e7 }, 1e7));
    }
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (0, "cannot_tell".to_string()));
    assert!(comparison["times"][1]["reason"].as_str().unwrap().contains("pairs might tell"));
}

#[test]
fn another_machine_or_other_work_is_not_judged() {
    for (field, value) in [("cpu", json!("another CPU")), ("cpus", json!(4)), ("hash_kernel", json!("portable"))] {
        let sides = Sides::with_pairs(0.5, 1.0);
        let mut other = report(0.5e7, 1e7);
        other["environment"][field] = value;
        sides.put("new/3.json", &other);
        let (code, comparison) = in_json(&sides, &[]);
        assert_eq!(
            (code, verdict(&comparison, "times", "writes, optimized")),
            (0, "cannot_tell".to_string()),
            "{field}"
        );
    }
    let sides = Sides::with_pairs(0.5, 1.0);
    for pair in 0..8 {
        let mut other = report(0.5e7, 1e7);
        other["scenarios"][1]["digest"] = json!("cd34");
        sides.put(&format!("new/{pair}.json"), &other);
    }
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "times", "writes, optimized")), (0, "cannot_tell".to_string()));
    assert!(comparison["times"][1]["reason"].as_str().unwrap().contains("digests differ"));
}

#[test]
fn instruction_counts_gate_tightly() {
    for (new, expected) in [(1_011, "slower"), (1_009, "no_slower"), (985, "faster")] {
        let sides = Sides::with_pairs(1.0, 1.0);
        sides.put("old/counts.json", &counts(1_000, 1_000_000));
        sides.put("new/counts.json", &counts(500, 500 * new));
        let (code, comparison) = in_json(&sides, &[]);
        assert_eq!(verdict(&comparison, "instructions", "matching"), expected);
        assert_eq!(code, i32::from(expected == "slower"));
        let (wide, _) = in_json(&sides, &["--fail-instructions-above", "2%"]);
        assert_eq!(wide, 0);
    }
    // Alone, too; and not across tools or kernels.
    let sides = Sides::new();
    sides.put("old/counts.json", &counts(1_000, 1_000_000));
    let mut other = counts(1_000, 2_000_000);
    other["hashing"] = json!("portable");
    sides.put("new/counts.json", &other);
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!((code, verdict(&comparison, "instructions", "matching")), (0, "cannot_tell".to_string()));
}

#[test]
fn markdown_has_the_same_figures() {
    let sides = Sides::with_pairs(0.9, 1.0);
    let file = sides.path("summary.md");
    let (code, out, _) = sides.compare(&["--markdown", file.to_str().unwrap()]);
    let markdown = fs::read_to_string(&file).unwrap();
    assert_eq!(code, 1);
    assert!(markdown.starts_with("### Slower: writes, optimized\n"), "{markdown}");
    let row = markdown.lines().find(|line| line.starts_with("| writes, optimized |")).unwrap();
    assert!(row.contains("| -10.0 % |") && row.ends_with("| SLOWER |"), "{row}");
    assert!(out.contains("SLOWER"));
    let (_, out, error) = sides.compare(&["--markdown", "-"]);
    assert_eq!(out, markdown, "the same on standard output");
    assert!(error.contains("Slower"), "and the text on standard error");
}

/// Each is refused with exit code 2 and a message that names the file and what is wrong with it.
#[test]
fn what_does_not_compare_is_refused_by_name() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 8] = [
        ("is the report of a run that was interrupted", |report| report["complete"] = json!(false)),
        ("is of a build that is not optimized", |report| report["environment"]["optimized_build"] = json!(false)),
        ("was run with users 7", |report| report["settings"]["users"] = json!(7)),
        ("was run with durable", |report| report["settings"]["durable"] = json!({"folder": "x"})),
        ("has the schema joulebook.books.v1", |report| report["schema"] = json!("joulebook.books.v1")),
        ("has no rounds_ops_per_second", |report| {
            report["scenarios"][1].as_object_mut().unwrap().remove("rounds_ops_per_second");
        }),
        ("has no operations per second for writes, optimized", |report| {
            report["scenarios"][1]["rounds_ops_per_second"] = json!([1.0, 0.0]);
        }),
        ("did not play writes, optimized", |report| report["scenarios"][1]["stack"] = json!("durable")),
    ];
    for (message, change) in cases {
        let sides = Sides::with_pairs(1.0, 1.0);
        let mut wrong = report(1e7, 1e7);
        change(&mut wrong);
        sides.put("new/5.json", &wrong);
        let (code, out, error) = sides.compare(&[]);
        assert_eq!((code, out.as_str()), (2, ""), "{message}: {error}");
        assert!(error.contains(message) && error.contains("5.json"), "{error}");
    }
    let sides = Sides::with_pairs(1.0, 1.0);
    fs::remove_file(sides.path("new/7.json")).unwrap();
    assert!(sides.compare(&[]).2.contains("OLD has 8 runs and NEW 7"));
    fs::write(sides.path("new/7.json"), "{").unwrap();
    assert!(sides.compare(&[]).2.contains("7.json: is not JSON"));
    let old = sides.path("old");
    let same = joulebook(&["compare", old.to_str().unwrap(), old.to_str().unwrap()]);
    assert_eq!(same.status.code(), Some(2));
    assert!(text(&same.stderr).contains("OLD and NEW are the same"));
    for limit in ["NaN", "-1%", "100%", "much"] {
        assert_eq!(Sides::with_pairs(1.0, 1.0).compare(&["--fail-above", limit]).0, 2, "{limit}");
    }
    let (code, _, error) = Sides::with_pairs(1.0, 1.0).compare(&["--markdown", "-", "--json", "-"]);
    assert_eq!((code, error.contains("cannot both be standard output")), (2, true));
}

/// What `joulebook run` writes is what `joulebook compare` reads.
#[test]
fn reports_of_real_runs_are_read() {
    let sides = Sides::new();
    for name in ["old/1.json", "new/1.json"] {
        let path: PathBuf = sides.path(name);
        run(&path);
        // The test's own build is not optimized as a release is, and the report says so.
        let mut report: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        report["environment"]["optimized_build"] = json!(true);
        fs::write(&path, report.to_string()).unwrap();
    }
    let (code, comparison) = in_json(&sides, &[]);
    assert_eq!(code, 0);
    assert_eq!(comparison["pairs"], 1);
    assert_eq!(verdict(&comparison, "times", "writes, optimized"), "cannot_tell");
    assert!(comparison["times"][0]["reason"].as_str().unwrap().contains("1 pair of runs"), "{comparison}");
}

fn run(json: &Path) {
    let args = ["run", "--quick", "--scenario", "writes", "--stack", "optimized", "--rounds", "1", "--no-attribution"];
    let output = joulebook(&[&args[..], &["--ops", "1000", "--json", json.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}
