//! The rules of the house: floors, the unsafe fence, the length of files. ARCHITECTURE.md says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules in which `unsafe` is allowed: the ones that speak to the CPU directly, the ring, whose slots two threads share, and
/// the book's two, which follow indices that they alone write.
const UNSAFE_ALLOWED: &[&str] = &[
    "hash/avx2.rs",
    "hash/avx512.rs",
    "hash/sha_ni.rs",
    "measure/clock.rs",
    "optimized/book/arena.rs",
    "optimized/book/ladder.rs",
    "optimized/prefetch.rs",
    "ring/spsc.rs",
];

fn source_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

/// Floor of each module, from the blank lines between the `mod` lines of `lib.rs`.
fn floors(lib: &str) -> BTreeMap<String, usize> {
    let mut floors = BTreeMap::new();
    let (mut floor, mut gap) = (0, true);
    for line in lib.lines().filter(|line| !line.starts_with("//")) {
        match line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            Some(module) => {
                floor += usize::from(gap && !floors.is_empty());
                gap = false;
                floors.insert(module.to_string(), floor);
            }
            None => gap |= line.trim().is_empty(),
        }
    }
    floors
}

/// Uses of other top-level modules in a module's file that break the floor plan.
fn breaches(floors: &BTreeMap<String, usize>, module: &str, text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap().to_string() + "\n").collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            // A group may go over several lines; it ends with the statement.
            Some(group) => group.split(';').next().unwrap().split([',', '{', '}']).map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let used: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(floor) = floors.get(&used)
                && used != module
                && *floor >= floors[module]
            {
                let line = code[..at].matches('\n').count() + 1;
                found.push(format!("{module} line {line}: uses {used}"));
            }
        }
    }
    found
}

#[test]
fn modules_use_lower_floors_only() {
    let sources = sources();
    let lib = &sources.iter().find(|(name, _)| name == "lib.rs").unwrap().1;
    let floors = floors(lib);
    assert_eq!((floors["types"], floors["command"], floors["report"]), (0, 1, 6), "{floors:?}");
    let mut found = Vec::new();
    for (name, text) in &sources {
        let module = name.split(['/', '.']).next().unwrap();
        // main.rs and cli/ are the binary, above all floors.
        if floors.contains_key(module) {
            found.extend(breaches(&floors, module, text));
        } else {
            assert!(["lib", "main", "cli"].contains(&module), "{name} is on no floor");
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_floor_test_sees_a_breach() {
    let floors = floors("pub mod a;\n\npub mod b;\npub mod c;\n");
    assert_eq!(breaches(&floors, "b", "use crate::a::X;").len(), 0);
    assert_eq!(breaches(&floors, "b", "use crate::c::X;").len(), 1);
    assert_eq!(breaches(&floors, "a", "let x = crate::b::f();").len(), 1);
    assert_eq!(breaches(&floors, "b", "use crate::{a, c};").len(), 1);
    assert_eq!(breaches(&floors, "b", "use crate::{\n    a::X,\n    c::{Y, Z},\n};").len(), 1);
}

#[test]
fn unsafe_stays_in_named_modules() {
    for (name, text) in sources() {
        let allows = text.contains("allow(unsafe_code)");
        assert!(!allows || UNSAFE_ALLOWED.contains(&name.as_str()), "{name} allows unsafe code and is not on the list");
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines: split it");
    }
}
