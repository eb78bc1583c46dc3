//! Folders in every state, and what each command says of them.

use super::*;
use joulebook::journal::frame;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

/// Commands that change nothing, whatever they find.
const READING: [&[&str]; 3] =
    [&["verify", "ledger"], &["inspect", "ledger"], &["recover", "--data", "ledger", "--dry-run"]];

/// Runs commands that only read, and the two that write; none of them may change a byte. `codes` are those of `verify`, `inspect`
/// and `recover --dry-run`; `node` and `recover` refuse with 1.
fn refused_by_all(folder: &Path, codes: [i32; 3], wanted: &str) {
    let ledger = folder.join("ledger");
    let before = (files(&ledger), fs::metadata(&ledger).unwrap().mtime_nsec());
    for (arguments, code) in READING.iter().zip(codes) {
        expect(&joulebook(folder, arguments), code, &[wanted]);
    }
    assert!(
        (files(&ledger), fs::metadata(&ledger).unwrap().mtime_nsec()) == before,
        "{wanted}: reading changed something"
    );
    expect(&node(folder, &[], &lines(&requests(8, 3))), 1, &[wanted]);
    expect(&joulebook(folder, &[&["recover", "--data", "ledger"], &SMALL[..]].concat()), 1, &[wanted]);
    assert!(files(&ledger) == before.0, "{wanted}: something was changed");
}

#[test]
fn damaged_and_half_deleted_folders_are_named_and_left_as_they_are() {
    let whole = tempfile::tempdir().unwrap();
    killed_ledger(whole.path());
    let broken = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        copy(&whole.path().join("ledger"), &folder.path().join("ledger"));
        change(&folder.path().join("ledger"));
        folder
    };
    let changed = |name: &'static str, change: &dyn Fn(&mut Vec<u8>)| {
        broken(&|ledger| {
            let mut bytes = fs::read(ledger.join(name)).unwrap();
            change(&mut bytes);
            fs::write(ledger.join(name), bytes).unwrap();
        })
    };
    let gone = broken(&|ledger| fs::remove_file(ledger.join("ledger")).unwrap());
    refused_by_all(gone.path(), [1; 3], "the file \"ledger\" is missing, but segment-0000000001 is there");
    let gone = broken(&|ledger| fs::remove_file(ledger.join("segment-0000000001")).unwrap());
    refused_by_all(gone.path(), [1; 3], "segment-0000000001 is missing");
    let cut = changed("segment-0000000001", &|bytes| bytes.truncate(100_000));
    refused_by_all(cut.path(), [1; 3], "segment-0000000001 does not belong here: it has 100000 bytes");
    let meta = changed("ledger", &|bytes| bytes.iter_mut().step_by(4096).for_each(|byte| *byte ^= 1));
    refused_by_all(meta.path(), [1; 3], "the file \"ledger\" does not begin as such files do");
    let newer = changed("ledger", &|bytes| (bytes[8], bytes[4096 + 8]) = (2, 2));
    refused_by_all(newer.path(), [1; 3], "the ledger has format version 2; this program reads version 1");
    let newer = changed("segment-0000000001", &|bytes| {
        for copy in [0, 4096] {
            bytes[copy + 8] = 9;
            let check = frame::check(&bytes[copy..copy + 80]);
            bytes[copy + 80..copy + 88].copy_from_slice(&check.to_le_bytes());
        }
    });
    refused_by_all(newer.path(), [1; 3], "segment-0000000001 has format version 9; this program reads version 1");
    // A frame in the middle: behind the newest snapshot it is needed.
    let middle = changed("segment-0000000001", &|bytes| {
        let groups = frames_at(bytes, 1);
        for at in &groups[groups.len() - 4..groups.len() - 2] {
            bytes[at + 200] ^= 1;
        }
    });
    refused_by_all(middle.path(), [1; 3], "segment-0000000001 is damaged at byte");
}

/// The offsets of the frames of a kind, both copies of each.
fn frames_at(segment: &[u8], kind: u8) -> Vec<usize> {
    let starts = (0..segment.len()).step_by(4096);
    starts.filter(|&at| segment[at..].starts_with(b"JBFR") && segment[at + 4] == kind).collect()
}

fn newest_snapshot(ledger: &Path) -> String {
    files(ledger).into_keys().rfind(|name| name.starts_with("snapshot-")).expect("there is one")
}

#[test]
fn a_damaged_snapshot_is_named_and_the_ledger_is_opened_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let (all, answers, state) = killed_ledger(folder.path());
    let ledger = folder.path().join("ledger");
    let name = newest_snapshot(&ledger);
    let mut bytes = fs::read(ledger.join(&name)).unwrap();
    bytes[5_000] ^= 4;
    fs::write(ledger.join(&name), bytes).unwrap();
    fs::write(ledger.join("snapshot-0000000099.part"), "half of it").unwrap();
    let before = files(&ledger);
    let damage = format!("{name}: the MiB at byte 4096 is damaged");
    expect(&joulebook(folder.path(), READING[0]), 1, &["USABLE, BUT DAMAGED", &damage, &state]);
    expect(&joulebook(folder.path(), READING[1]), 1, &["DAMAGED", &damage, "unfinished     snapshot-0000000099.part"]);
    let would = "would remove snapshot-0000000099.part";
    expect(&joulebook(folder.path(), READING[2]), 0, &["it can be opened", &damage, would, &state]);
    assert!(files(&ledger) == before);
    let ran = node(folder.path(), &[], &lines(&all));
    expect(&ran, 0, &[&format!("DAMAGED, and not used: {damage}"), "270 commands carried out again", &state]);
    assert_eq!(first(&out(&ran)), answers);
    // Two later ones take its place.
    expect(&node(folder.path(), &[], &lines(&requests(8, 60))), 0, &["60 new"]);
    expect(&joulebook(folder.path(), READING[0]), 0, &["ledger: valid"]);
}

#[test]
fn an_unfinished_frame_is_cut_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let (all, answers, _) = killed_ledger(folder.path());
    let ledger = folder.path().join("ledger");
    let segment = ledger.join("segment-0000000001");
    // As if the power had gone while the last frames were written: whole headers, and not all that belongs behind them.
    let mut bytes = fs::read(&segment).unwrap();
    let last = *frames_at(&bytes, 1).last().unwrap();
    let number = bytes[last + 16..last + 24].to_vec();
    let rest: Vec<usize> = (1..=5).flat_map(|kind| frames_at(&bytes, kind)).filter(|&at| at > last).collect();
    assert!(rest.iter().all(|at| bytes[at + 4] != 1), "the last group");
    for at in rest {
        bytes[at..at + 4096].fill(0);
    }
    for copy in frames_at(&bytes, 1).into_iter().filter(|at| bytes[at + 16..at + 24] == number).collect::<Vec<_>>() {
        bytes[copy + 300] ^= 1;
    }
    fs::write(&segment, bytes).unwrap();
    let before = files(&ledger);
    let cut = "was never acknowledged";
    let dry = joulebook(folder.path(), READING[2]);
    expect(&dry, 0, &["would cut    an unfinished frame behind frame", cut, "next command 366"]);
    expect(&joulebook(folder.path(), READING[0]), 0, &["ledger: valid", cut, "next command 366"]);
    expect(&joulebook(folder.path(), READING[1]), 0, &["an unfinished frame is there", cut]);
    assert!(files(&ledger) == before);
    // Who had no answer sends it again.
    let ran = node(folder.path(), &[], &lines(&all));
    expect(&ran, 0, &["cut: an unfinished frame", "35 new, 365 sent again"]);
    assert_eq!(first(&out(&ran)), answers);
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder.path(), &NEW);
    live.ask(&requests(7, 20));
    // Segments are made ahead meanwhile: only the names that are looked at must stay.
    let wanted = ["ledger is in use", "another process holds it"];
    for arguments in READING {
        expect(&joulebook(folder.path(), arguments), 1, &wanted);
    }
    expect(&node(folder.path(), &[], &lines(&requests(8, 20))), 1, &wanted);
    expect(&joulebook(folder.path(), &["recover", "--data", "ledger"]), 1, &wanted);
    live.ask(&requests(7, 22)[20..]);
    live.to = None;
    expect(&live.end(), 0, &["22 new, 0 sent again"]);
}

#[test]
fn another_chains_ledger_and_foreign_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    fs::create_dir(&ledger).unwrap();
    fs::write(ledger.join("letters"), "to somebody").unwrap();
    let before = files(&ledger);
    expect(&node(folder.path(), &NEW, b""), 1, &["made in an empty folder; \"letters\" is there"]);
    expect(&joulebook(folder.path(), &["recover", "--data", "ledger"]), 1, &["no ledger here", "holds \"letters\""]);
    for arguments in READING {
        expect(&joulebook(folder.path(), arguments), 1, &["there is no ledger here: the folder holds \"letters\""]);
    }
    assert_eq!(files(&ledger), before);
    fs::remove_file(ledger.join("letters")).unwrap();
    expect(&joulebook(folder.path(), READING[0]), 1, &["there is no ledger here: the folder is empty"]);
    let limits = ["--accounts-max", "6", "--orders-max", "3"];
    let ran = node(folder.path(), &[&NEW[..], &limits].concat(), &lines(&requests(7, 200)));
    expect(&ran, 0, &["new ledger in ledger"]);
    assert!(out(&ran).contains("\"order-limit\""));
    let before = files(&ledger);
    for (option, value) in [("--difficulty-bits", "5"), ("--accounts-max", "7"), ("--orders-max", "4")] {
        expect(
            &node(folder.path(), &[option, value], b""),
            1,
            &["the ledger is of the chain", "rules or difficulties differ"],
        );
    }
    assert!(files(&ledger) == before);
    // The same, or nothing, is its own.
    expect(&node(folder.path(), &[&NEW[..], &limits].concat(), b""), 0, &["next command 201"]);
    expect(&node(folder.path(), &[], b""), 0, &["next command 201"]);
    expect(&joulebook(folder.path(), READING[1]), 0, &["limits         6 accounts, 3 orders in the book", "2^4.0"]);
}

/// As root nothing is read-only, so this is then run as somebody else, if the program can be reached by him.
#[test]
fn a_read_only_folder_is_verified_and_a_node_refuses_it_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (.., state) = killed_ledger(folder.path());
    let ledger = folder.path().join("ledger");
    let allow = |mode: u32, files_mode: u32| {
        for name in files(&ledger).into_keys() {
            fs::set_permissions(ledger.join(name), Permissions::from_mode(files_mode)).unwrap();
        }
        fs::set_permissions(&ledger, Permissions::from_mode(mode)).unwrap();
    };
    allow(0o555, 0o444);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let before = files(&ledger);
    let run = |arguments: &[&str]| {
        let mut command = program(folder.path(), arguments);
        if rustix::process::geteuid().is_root() {
            command.uid(65_534).gid(65_534);
        }
        command.stdin(Stdio::null()).output()
    };
    let Ok(verified) = run(READING[0]) else {
        println!("not checked: nobody but root can run {}", env!("CARGO_BIN_EXE_joulebook"));
        return;
    };
    expect(&verified, 0, &["ledger: valid", &state]);
    expect(&run(READING[1]).unwrap(), 0, &["with 400 commands"]);
    expect(&run(READING[2]).unwrap(), 0, &["it can be opened", &state]);
    expect(&run(&["node", "--data", "ledger"]).unwrap(), 2, &["ledger", "Permission denied"]);
    expect(&run(&["recover", "--data", "ledger"]).unwrap(), 2, &["ledger", "Permission denied"]);
    assert!(files(&ledger) == before);
    allow(0o755, 0o644);
}
