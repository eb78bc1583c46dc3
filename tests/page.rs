//! `joulebook run --html`: the page says what the JSON report of the same run says, figure by figure, and needs nothing else.

#[path = "page/browser.rs"]
mod browser;
#[path = "page/check.rs"]
mod check;
#[path = "page/markup.rs"]
mod markup;

use check::{check, joulebook};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

const SMALL: [&str; 9] =
    ["run", "--quick", "--ops", "2000", "--difficulty-bits", "4", "--block-transactions", "500", "--rounds=2"];

/// A small run's page and JSON.
fn page_and_json(arguments: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let ran = joulebook(folder.path(), &[&SMALL[..], &["--json", "a.json", "--html", "a.html"], arguments].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("a.html"), serde_json::from_str(&read("a.json")).unwrap())
}

#[test]
fn the_page_says_what_the_json_says() {
    let (page, json) = page_and_json(&[]);
    let (figures, pictures) = check(&page, &json);
    // Speed, four times rounds, ratios, a ladder, four distributions, stages, components.
    assert!(figures > 800 && pictures == 13, "{figures} figures, {pictures} pictures");
    assert!(page.contains("unavailable: ") || !json.to_string().contains("unavailable\":"));
    assert!(json["environment"]["date"].as_str().unwrap() > "2026-11", "{}", json["environment"]["date"]);
    let latency = &json["scenarios"][0]["latency_ns"];
    let curve = latency["curve"].as_array().unwrap();
    assert!(curve.len() > 8 && curve[0]["quantile"] == 0.0, "{curve:?}");
    assert!(curve.iter().all(|point| point["ns"].as_u64() <= latency["max"].as_u64()));
}

#[test]
fn every_rung_in_every_scenario_and_one_stack_alone() {
    let (page, json) = page_and_json(&["--stack", "ladder", "--durable", "."]);
    let (_, pictures) = check(&page, &json);
    // The ladder is four pictures.
    assert_eq!(pictures, 16);
    assert!(page.contains("optimized over durable"));
    let attribution = json["attribution"].as_array().unwrap();
    let durable: Vec<&Value> = attribution.iter().filter(|of| of["stack"] == "durable").collect();
    assert_eq!(durable.len(), 2, "settlement and mixed");
    for of in durable {
        let threads = of["threads"].as_array().unwrap();
        let names: Vec<&str> = threads.iter().map(|thread| thread["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["engine", "sealer", "journal"]);
        for thread in threads {
            let stages = thread["stages"].as_array().unwrap();
            let share = |name: &str| {
                let stage = stages.iter().find(|stage| stage["name"] == name);
                stage.map_or(0.0, |stage| stage["share"].as_f64().unwrap())
            };
            let all: f64 = stages.iter().map(|stage| stage["share"].as_f64().unwrap()).sum();
            assert!((all - 1.0).abs() < 1e-9, "{thread}");
            // How much of its time the laps name is the scheduler's, too: the tests of the laps ask for that.
            let journals = share("journal") > 0.0 && share("sync") > 0.0 && share("match") == 0.0;
            assert_eq!(journals, thread["name"] == "journal", "{thread}");
        }
    }
    let alone = ["--stack", "baseline", "--scenario", "settlement", "--no-attribution"];
    let (page, json) = page_and_json(&alone);
    let (_, pictures) = check(&page, &json);
    assert_eq!(pictures, 3, "speed, rounds and latency: nothing to compare with");
    assert!(!page.contains("id=\"ratios\"") && !page.contains("id=\"ladder\""));
}

/// Figures that Callgrind counted stand beside the stages' times, on the page and in the JSON.
#[test]
fn what_callgrind_counted_stands_beside_the_stages() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, operations: u64, instructions: u64| {
        serde_json::json!({ "name": name, "operations": operations, "instructions": instructions, "branches": 1_000,
            "branch_misses": 400, "data_reads": 9_000, "l1d_read_misses": 70, "llc_misses": 3 })
    };
    let parts = [part("matching", 4_000, 2_000_000), part("tokens", 6_000, 240_000), part("leaves", 4_000, 6_000_000)];
    // One kernel that every machine has.
    let record = serde_json::json!({ "schema": "joulebook.instructions.v1", "revision": "abc", "valgrind": "valgrind-9",
        "hashing": "portable", "users": 100, "orders": 50, "parts": parts });
    let path = folder.path().join("counted.json");
    fs::write(&path, record.to_string()).unwrap();
    let callgrind = ["--scenario=settlement", "--isa=portable", "--callgrind", path.to_str().unwrap()];
    let (page, json) = page_and_json(&callgrind);
    check(&page, &json);
    let attribution = json["attribution"].as_array().unwrap();
    let of = attribution.iter().find(|of| of["stack"] == "optimized").unwrap();
    assert!(of["counted_by"].as_str().unwrap().contains("valgrind-9"), "{of}");
    let counted: BTreeMap<&str, f64> = of["threads"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|thread| thread["stages"].as_array().unwrap())
        .filter_map(|stage| {
            let counters = stage["counted"]["counters"].as_array()?;
            let instructions = counters.iter().find(|row| row["counter"] == "instructions")?;
            Some((stage["name"].as_str()?, instructions["per_operation"]["value"].as_f64()?))
        })
        .collect();
    // So few operations may end before a batch of them is looked at.
    let wanted = BTreeMap::from([("leaves", 3_000.0), ("match", 880.0), ("tokens", 120.0)]);
    assert!(
        counted.contains_key("leaves") && counted.iter().all(|(stage, each)| wanted[stage] == *each),
        "{counted:?}"
    );
    assert!(page.contains("settlement, optimized: counted per operation, by stage"));
    // The baseline's stages are other work.
    let baseline = attribution.iter().find(|of| of["stack"] == "baseline").unwrap();
    assert!(baseline["counted_by"].is_null());
    fs::write(&path, "{}").unwrap();
    let refused = joulebook(folder.path(), &[&SMALL[..], &callgrind].concat());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && said.contains("counted.json is not what profiling/callgrind.sh"),
        "{said}"
    );
}

/// What comes from outside, a folder's name here, is text and nothing else.
#[test]
#[cfg(unix)]
fn names_with_markup_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a<script>alert(1)<!--'\"&amp;";
    fs::create_dir(folder.path().join(name)).unwrap();
    let arguments =
        ["--stack", "optimized", "--scenario=settlement", "--durable", name, "--json=a.json", "--html=a.html"];
    let ran = joulebook(folder.path(), &[&SMALL[..], &arguments].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    let json: Value = serde_json::from_str(&read("a.json")).unwrap();
    assert!(json["settings"]["durable"]["folder"].as_str().unwrap().starts_with(name));
    check(&read("a.html"), &json);
}

#[test]
fn files_that_would_overwrite_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], wanted: &str| {
        let ran = joulebook(folder.path(), &[&SMALL[..], &["--scenario=settlement"], arguments].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && said.contains(wanted), "{arguments:?}: {said}");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "{arguments:?} leaves something");
    };
    fails(&["--html", "-"], "only --json writes to standard output");
    fails(&["--html", "no/such/folder/a.html"], "No such file");
    fails(&["--html", "."], "is a directory, not a file name");
    fails(&["--json", "one", "--html", "./one"], "--json and --html are the same file");
    fails(&["--html", "one", "--chain", "./one"], "--html and --chain are the same file");
    fails(&["--html", "two", "--json", "one", "--chain", "./one"], "--json and --chain are the same file");
    let three = ["--scenario=settlement", "--json", "a", "--html", "b", "--chain", "c"];
    assert_eq!(joulebook(folder.path(), &[&SMALL[..], &three].concat()).status.code(), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_shows_the_page_on_a_phone_and_a_desktop_light_and_dark() {
    for arguments in [&[][..], &["--stack", "ladder", "--durable", "."]] {
        browser::shows(&page_and_json(arguments).0);
    }
}
