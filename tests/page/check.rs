//! Whether a page says what the JSON report of the same run says, and can be read by everybody.

use super::markup::{Element, parse};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub fn joulebook(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_joulebook");
    Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts")
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
        (" MiB", if pointer.contains("bytes") { f64::from(1 << 20) } else { 1.0 }),
        (" KiB", 1_024.0),
        (" B", 1.0),
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

/// A page against the JSON of the same run: how many figures they have in common, and how many pictures there are.
pub fn check(page: &str, json: &Value) -> (usize, usize) {
    let parsed = parse(page).unwrap_or_else(|error| panic!("not well-formed: {error}"));
    check_that_nothing_is_loaded(page, &parsed);
    (compare(&parsed, json), check_pictures(&parsed))
}
