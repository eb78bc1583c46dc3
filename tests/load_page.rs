//! `joulebook load KIND --html`: the page says what the JSON report of the same load says, figure by figure, and needs nothing else.

#[path = "page/browser.rs"]
mod browser;
#[path = "page/check.rs"]
mod check;
#[path = "page/markup.rs"]
mod markup;

use check::{check, joulebook};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Each kind, small, and how many pictures its page has.
const KINDS: [(&[&str], usize); 5] = [
    // One distribution.
    (&["concurrent", "--clients", "3", "--seconds", "0.1"], 1),
    // Offered and answered, distributions, how late requests were sent.
    (&["peak", "--seconds", "0.2"], 3),
    // Throughput and latency by load; eleven runs and ten open loops in two pictures each; accounts and books, time and memory.
    (&["capacity", "--seconds", "0.05", "--users", "100", "--orders", "100"], 10),
    // Speed, latency and memory by orders, and a distribution.
    (&["stress", "--users", "500", "--orders-max", "20000", "--seconds", "0.1", "--clients", "3"], 4),
    // Memory, orders and waiting over time, and what `peak` has.
    (&["soak", "--rate", "20000", "--seconds", "1.5", "--users", "100", "--orders", "100"], 6),
];

fn read(folder: &Path) -> (String, Value) {
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    (read("a.html"), serde_json::from_str(&read("a.json")).unwrap())
}

/// A small load's page and JSON.
fn page_and_json(arguments: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let common = ["--difficulty-bits", "4", "--json", "a.json", "--html", "a.html"];
    let ran = joulebook(folder.path(), &[&["load"], arguments, &common].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    read(folder.path())
}

/// All of it that a person reads, figures and words, without markup.
fn text(page: &str) -> String {
    markup::parse(page).unwrap().named("main").map(markup::Element::text).collect()
}

#[test]
fn the_page_of_every_kind_says_what_the_json_says() {
    for (arguments, wanted) in KINDS {
        let (page, json) = page_and_json(arguments);
        let (figures, pictures) = check(&page, &json);
        // Where memory cannot be read, there is no picture of it.
        let memory = usize::from(json.pointer("/stress/stretches/0/resident_mib").is_some_and(Value::is_null))
            + usize::from(json.pointer("/soak/samples/0/resident_mib").is_some_and(Value::is_null));
        assert_eq!(pictures + memory, wanted, "{arguments:?}");
        assert!(figures > 80, "{arguments:?}: {figures}");
        assert!(page.contains(&format!("joulebook load, {}", arguments[0])) && !page.contains("Interrupted"));
        let says = ["/capacity/knee/says", "/stress/says", "/soak/says"];
        for words in says.iter().filter_map(|place| json.pointer(place)?.as_str()) {
            assert!(text(&page).contains(words), "{words}");
        }
    }
}

/// Ctrl-C ends any kind early; the page has what was measured until then, and says so. A report that was there stays.
#[cfg(unix)]
#[test]
fn an_interrupted_load_has_a_page_of_what_there_is() {
    use std::process::{Command, Stdio};
    for kind in ["concurrent", "peak", "capacity", "stress", "soak"] {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["load", kind, "--seconds", "600", "--difficulty-bits", "4", "--users", "2000"];
        arguments.extend(["--json", "a.json", "--html", "a.html"]);
        if kind == "soak" {
            arguments.extend(["--rate", "20000"]);
            fs::write(folder.path().join("a.html"), "complete").unwrap();
        }
        let load = Command::new(env!("CARGO_BIN_EXE_joulebook"))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(900));
        assert!(Command::new("kill").args(["-INT", &load.id().to_string()]).status().unwrap().success());
        let output = load.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        if kind == "soak" {
            assert_eq!(fs::read_to_string(folder.path().join("a.html")).unwrap(), "complete");
            fs::rename(folder.path().join("a.html.partial"), folder.path().join("a.html")).unwrap();
        }
        let (page, json) = read(folder.path());
        check(&page, &json);
        assert!(page.contains("Interrupted: this is what was measured until then."), "{kind}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "{kind} leaves something");
    }
}

#[test]
fn files_that_cannot_be_or_would_overwrite_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], wanted: &str| {
        let ran = joulebook(folder.path(), &[&["load", "concurrent", "--seconds", "600"], arguments].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && said.contains(wanted), "{arguments:?}: {said}");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "{arguments:?} leaves something");
    };
    fails(&["--html", "-"], "only --json writes to standard output");
    fails(&["--html", "no/such/folder/a.html"], "No such file");
    fails(&["--html", "."], "is a directory, not a file name");
    fails(&["--json", "one", "--html", "./one"], "--json and --html are the same file");
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_shows_the_pages_on_a_phone_and_a_desktop_light_and_dark() {
    for (arguments, _) in KINDS {
        browser::shows(&page_and_json(arguments).0);
    }
}
