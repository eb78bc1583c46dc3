//! `joulebook run --html`: the page says what the JSON report of the same run says, figure by figure, and needs nothing else.

#[path = "page/browser.rs"]
mod browser;
#[path = "page/markup.rs"]
mod markup;

use markup::{Element, parse};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn joulebook(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_joulebook");
    Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts")
}

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

/// All places of a JSON document that hold no other, by their pointers.
fn leaves(value: &Value, at: &str, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), out)),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), out));
        }
        leaf => {
            out.insert(at.to_string(), leaf.clone());
        }
    }
}

/// What the page need not name: what is not there, a counter's name, which is its row's heading, and what a verdict says in words.
fn is_said_otherwise(pointer: &str, value: &Value) -> bool {
    value.is_null() || pointer.ends_with("/counter") || pointer.ends_with("/verdict/bound")
}

/// What is said once for all places that say the same: by the heading of a row, of a group of bars, below a table.
const SAID_ONCE: [&str; 7] = ["operation", "quantile", "latency_of", "name", "scenario", "stack", "over"];

fn last_name(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap()
}

/// A number as the page shows it, in the unit of the JSON. `None` if it is not written with one of the units known here.
fn shown(text: &str, pointer: &str) -> Option<f64> {
    let seconds = if pointer.contains("seconds") { 1e-9 } else { 1.0 };
    let units = [
        (" k/s", 1e3),
        (" M/s", 1e6),
        (" G/s", 1e9),
        ("/s", 1.0),
        (" ns", seconds),
        (" us", 1e3 * seconds),
        (" ms", 1e6 * seconds),
        (" s", 1e9 * seconds),
        (" MiB", 1.0),
        (" %", 0.01),
        ("x", 1.0),
    ];
    let text = text.replace(',', "");
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

/// Demands that page and JSON say the same, and gives how many figures they have in common.
fn compare(page: &Element, json: &Value) -> usize {
    let mut wanted = BTreeMap::new();
    leaves(json, "", &mut wanted);
    let mut named = BTreeSet::new();
    let mut readable = 0;
    for data in page.named("data") {
        let (pointer, value) = (data.get("data-json"), data.get("value"));
        let there = json.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in the JSON"));
        let same = match there {
            Value::String(text) => text == value,
            // Read by the same reader: a number's text is not unique.
            Value::Number(number) => {
                let read: Value = serde_json::from_str(value).unwrap_or_else(|_| panic!("{pointer}: {value}"));
                read.as_f64() == number.as_f64() && (number.as_u64().is_none() || read.as_u64() == number.as_u64())
            }
            Value::Bool(truth) => truth.to_string() == value,
            other => panic!("{pointer} is {other}"),
        };
        assert!(same, "{pointer}: the JSON has {there}, the page {value}");
        let text = data.text();
        if let (Some(exact), Some(shown)) = (there.as_f64(), shown(&text, pointer)) {
            // Costs of looking are shown as what comes on top of 1.
            let exact = if pointer.contains("cost_of_looking/") && !pointer.ends_with("confidence") {
                exact - 1.0
            } else {
                exact
            };
            let error = if text.ends_with('%') { 0.000_51 } else { 0.005_1 * exact.abs().max(1.0) };
            assert!((shown - exact).abs() <= error, "{pointer}: {exact} is shown as {text}");
            readable += 1;
        }
        named.insert(pointer.to_string());
    }
    let said_once = |pointer: &str, value: &Value| {
        let name = last_name(pointer);
        SAID_ONCE.contains(&name) && named.iter().any(|other| last_name(other) == name && wanted[other] == *value)
    };
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|(pointer, value)| !named.contains(*pointer) && !is_said_otherwise(pointer, value))
        .filter(|(pointer, value)| !said_once(pointer, value))
        .map(|(pointer, _)| pointer)
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:#?}");
    assert!(readable > named.len() / 4, "most figures have a unit: {readable} of {}", named.len());
    named.len()
}

/// Demands what makes pictures readable for those who do not see them, and gives their number.
fn check_pictures(page: &Element) -> usize {
    let mut ids = BTreeMap::new();
    for element in page.all() {
        if let Some(id) = element.attributes.get("id") {
            assert!(ids.insert(id.as_str(), element).is_none(), "two elements have the id {id}");
        }
        for (name, value) in &element.attributes {
            let number = |text: &str| ["NaN", "nan", "inf"].contains(&text);
            assert!(!value.split([' ', ',', 'L', 'M']).any(number), "{name}=\"{value}\"");
        }
    }
    for link in page.named("a") {
        assert!(ids.contains_key(link.get("href").strip_prefix('#').expect("a link to this page")), "{link:?}");
    }
    for figure in page.named("figure") {
        let pictures: Vec<&Element> = figure.named("svg").collect();
        assert_eq!(pictures.len(), 2, "a narrow and a wide one: {}", figure.get("id"));
        assert!(figure.named("tr").count() > 1, "{} has no table", figure.get("id"));
        for picture in pictures {
            assert_eq!(picture.get("role"), "img");
            let said: Vec<String> = picture.get("aria-labelledby").split(' ').map(|id| ids[id].text()).collect();
            assert!(said.len() == 2 && said.iter().all(|text| text.len() > 10), "{said:?}");
            let shapes = picture.all().iter().filter(|shape| ["rect", "path", "line"].contains(&&*shape.name)).count();
            assert!(shapes > 1, "{} is empty", figure.get("id"));
        }
    }
    page.named("figure").count()
}

fn check_that_nothing_is_loaded(page: &str, parsed: &Element) {
    let without_names = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in ["http://", "https://", "//cdn", "@import", "url(", "javascript:"] {
        assert!(!without_names.contains(forbidden), "{forbidden}");
    }
    let elements =
        ["script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "audio", "video", "form"];
    for element in parsed.all() {
        assert!(!elements.contains(&element.name.as_str()), "<{}>", element.name);
        for attribute in element.attributes.keys() {
            assert!(!attribute.starts_with("on") && !["src", "srcset", "style"].contains(&&**attribute), "{attribute}");
        }
    }
}

fn check(page: &str, json: &Value) -> (usize, usize) {
    let parsed = parse(page).unwrap_or_else(|error| panic!("not well-formed: {error}"));
    check_that_nothing_is_loaded(page, &parsed);
    (compare(&parsed, json), check_pictures(&parsed))
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
            // Its laps leave nothing out but the time since the last one.
            let known = share("journal") + share("sync") + share("wait");
            let whole = known > 0.9 && share("journal") > 0.0 && share("sync") > 0.0 && share("match") == 0.0;
            assert_eq!(whole, thread["name"] == "journal", "{thread}");
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
