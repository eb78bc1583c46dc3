//! What users do with a node.

use super::*;
use joulebook::wire::parse_request;

#[test]
fn both_forms_do_the_same_and_what_is_sent_again_is_answered_the_same() {
    let all = requests(7, 300);
    let mut seen = Vec::new();
    for form in [Form::Lines, Form::Frames] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("commands"), written(form, &all)).unwrap();
        let run = |answers: &str, more: &[&str]| {
            let given = ["node", "--data", "ledger", "--commands", "commands", "--answers", answers];
            let ran = joulebook(folder.path(), &[&given[..], &SMALL[..], more].concat());
            let bytes = fs::read(folder.path().join(answers)).unwrap_or_default();
            (ran, if form == Form::Lines { String::from_utf8(bytes).unwrap() } else { as_lines(&bytes) })
        };
        let (ran, answers) = run("answers", &NEW);
        expect(&ran, 0, &["new ledger in ledger", "300 new, 0 sent again, 0 refused"]);
        assert_eq!((out(&ran).as_str(), answers.lines().count()), ("", 300));
        assert!(
            answers.contains("\"fill\"") && answers.contains("\"rejected\"") && !answers.contains("\"repeat\":true")
        );
        let state = said(&err(&ran), "state");
        let (again, repeats) = run("again", &[]);
        expect(&again, 0, &["opened: snapshot after 6 blocks", "0 new, 300 sent again, 0 refused"]);
        assert_eq!((first(&repeats), said(&err(&again), "state")), (answers.clone(), state.clone()));
        assert_eq!(repeats.matches("\"repeat\":true").count(), 300);
        // Answers that are there already are not written over.
        let (refused, kept) = run("again", &[]);
        expect(&refused, 2, &["again holds something already"]);
        assert_eq!(kept, repeats);
        let verified = joulebook(folder.path(), &["verify", "ledger"]);
        expect(&verified, 0, &["ledger: valid", "6 blocks in the chain", "next command 301", &state]);
        seen.push((answers, state));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_node_that_is_killed_forgets_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (all, answers, state) = killed_ledger(folder.path());
    let before = files(&folder.path().join("ledger"));
    let dry = joulebook(folder.path(), &["recover", "--data", "ledger", "--dry-run"]);
    expect(&dry, 0, &["it can be opened; nothing was changed", "would cut    nothing", &state]);
    let verified = joulebook(folder.path(), &["verify", "ledger"]);
    expect(&verified, 0, &["ledger: valid", "140 commands carried out again", "next command 401", "client", &state]);
    let inspected = joulebook(folder.path(), &["inspect", "ledger"]);
    expect(&inspected, 0, &["with 400 commands", "openings       4 frames", "good: after", "2^4.0 hashes a block"]);
    assert_eq!(files(&folder.path().join("ledger")), before, "nothing was changed");
    // Whoever heard no answer sends all of it again, and goes on.
    let again = node(folder.path(), &[], &lines(&[&all[..], &requests(8, 60)].concat()));
    expect(&again, 0, &["60 new, 400 sent again, 0 refused", "140 commands carried out again"]);
    let given = first(&out(&again));
    assert_eq!(given.lines().take(400).collect::<Vec<_>>(), answers.lines().collect::<Vec<_>>());
    // The same without a break.
    let other = tempfile::tempdir().unwrap();
    let whole = node(other.path(), &NEW, &lines(&[&all[..], &requests(8, 60)].concat()));
    assert_eq!(out(&whole), given);
    assert_eq!(said(&err(&whole), "state"), said(&err(&again), "state"));
    let recovered = joulebook(folder.path(), &[&["recover", "--data", "ledger"], &SMALL[..]].concat());
    expect(&recovered, 0, &["recovered, and a snapshot was written", &said(&err(&whole), "state")]);
}

#[test]
fn one_request_is_answered_at_once_and_sigterm_ends_a_silent_node() {
    let folder = tempfile::tempdir().unwrap();
    let all = requests(7, 100);
    let mut live = Live::start(folder.path(), &NEW);
    live.ask(&all[..1]);
    let since = Instant::now();
    for request in &all[1..] {
        live.ask(std::slice::from_ref(request));
    }
    // Milliseconds each on any disk; a node that waits for more requests would wait for ever.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    let since = Instant::now();
    live.signal(Signal::TERM);
    let ended = live.end();
    expect(
        &ended,
        130,
        &["stopping: what was taken", "stopped: next command 101", "100 new", "a snapshot"]
            .map(|said| if said == "a snapshot" { "snapshots    1 written" } else { said }),
    );
    assert!(since.elapsed() < Duration::from_secs(20));
    expect(&joulebook(folder.path(), &["verify", "ledger"]), 0, &["0 commands carried out again", "next command 101"]);
}

#[test]
fn what_is_no_request_ends_the_node_and_what_stands_before_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let all = requests(7, 20);
    let bad = [
        &lines(&all[..5])[..],
        b"\n{\"client\":7,\"number\":6,\"command\":\"mint\",\"account\":1}\n",
        &lines(&all[5..]),
    ]
    .concat();
    let ran = node(folder.path(), &NEW, &bad);
    expect(&ran, 1, &["standard input: line 7", "\"watt\" is missing", "carried out, answered and kept: 5 requests"]);
    assert_eq!(out(&ran).lines().count(), 5);
    let frames = written(Form::Frames, &all);
    let ran = node(folder.path(), &[], &frames[..frames.len() - 1]);
    expect(&ran, 1, &["frame at byte 1216 is cut off", "19 requests", "14 new, 5 sent again"]);
    assert_eq!(as_lines(&ran.stdout).lines().count(), 19);
    expect(&node(folder.path(), &[], b"<xml>"), 1, &["begins with byte 0x3c"]);
    expect(&node(folder.path(), &[], b""), 0, &["next command 20", "0 new"]);
    // A number that is not the next is refused, and the node goes on.
    let ran = node(folder.path(), &[], &lines(&[&requests(9, 3)[1..], &all[19..]].concat()));
    expect(&ran, 0, &["1 new, 0 sent again, 2 refused", "\"refused\":\"gap\",\"expected\":1"]);
}

#[test]
fn snapshots_are_taken_while_it_works_and_the_journal_behind_them_goes() {
    let folder = tempfile::tempdir().unwrap();
    // In several segments of many groups: a reader gives what it has.
    let more = ["--snapshot-commands", "500", "--sync", "interval=2"];
    let ran = node(folder.path(), &[&NEW[..], &more].concat(), &lines(&requests(7, 20_000)));
    expect(&ran, 0, &["20,000 new", "all groups of 2 ms together", "the longest pause for one"]);
    let snapshots = said(&err(&ran), "snapshots");
    assert!(snapshots.split(' ').next().unwrap().parse::<u32>().unwrap() > 2, "{snapshots}");
    let names: Vec<String> = files(&folder.path().join("ledger")).into_keys().collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("snapshot-")).count(), 2, "{names:?}");
    assert!(!names.contains(&"segment-0000000001".to_string()), "{names:?}");
    let state = said(&err(&ran), "state");
    expect(&joulebook(folder.path(), &["verify", "ledger"]), 0, &["ledger: valid", "next command 20,001", &state]);
}

#[test]
fn a_full_journal_says_what_it_did_not_take_and_goes_on_with_more_room() {
    let folder = tempfile::tempdir().unwrap();
    // More than fit in the largest groups: 16 bytes a request at least, without a frame of their own.
    let all = requests(7, 50_000);
    let full = ["--journal-max", "512k", "--block-transactions", "1000000"];
    let arguments =
        [&["node", "--data", "ledger", "--segment-size", "256k", "--commands", "commands"][..], &full, &NEW];
    fs::write(folder.path().join("commands"), written(Form::Frames, &all)).unwrap();
    // With files of 256 KiB at most there is room for segments, but for no snapshot: nothing of the journal can be given up.
    let limited = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    let ran = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_joulebook")])
        .args(arguments.concat())
        .current_dir(folder.path())
        .output()
        .unwrap();
    expect(&ran, 1, &["the journal is full", "--journal-max", "the first that was not is number"]);
    let answered = as_lines(&ran.stdout).lines().count();
    assert!(answered > 1_000 && answered < 512 * 1024 / 16, "{answered}");
    expect(&ran, 1, &[&format!("number {} of client 7", answered + 1), "stopped: next command"]);
    let ran = node(folder.path(), &[], &written(Form::Frames, &all));
    expect(&ran, 0, &["next command 50,001", &format!("{} new", said_count(50_000 - answered))]);
}

fn said_count(number: usize) -> String {
    joulebook::report::count(number as u64)
}

#[test]
fn a_reader_of_answers_that_goes_away_stops_the_node_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        program(folder.path(), &[&["node", "--data", "ledger"], &SMALL[..], &NEW].concat()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    drop(child.stdout.take());
    // Silent afterwards, and open: only the pipe ends it.
    to.write_all(&lines(&requests(7, 30))).unwrap();
    let ended = child.wait_with_output().unwrap();
    expect(&ended, 0, &["closed the pipe, after", "stopped: next command 31"]);
    expect(&node(folder.path(), &[], &lines(&requests(7, 30))), 0, &["0 new, 30 sent again"]);
}

/// Its folder goes away while it works: what it writes to is still there, but no snapshot can be made.
#[test]
fn a_disk_that_fails_ends_the_node_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder.path(), &NEW);
    let answers = live.ask(&requests(7, 20));
    // It makes segments ahead, two of them: the error is to be the snapshot's, and not that the last of these cannot be made.
    let made = |_| {
        std::thread::sleep(Duration::from_millis(1));
        folder.path().join("ledger/spare-3").exists()
    };
    assert!((0..60_000).any(made), "it makes no segments ahead");
    // It may be working in it just then.
    while folder.path().join("ledger").exists() {
        let _ = fs::remove_dir_all(folder.path().join("ledger"));
    }
    live.to = None;
    let ended = live.end();
    expect(
        &ended,
        2,
        &["the ledger's folder: listing failed", "No such file", "20 answers given", "it can be sent again"],
    );
    assert_eq!(answers.lines().count(), 20);
}

#[test]
fn bad_usage_is_named_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), "answers").unwrap();
    let fails = |arguments: &[&str], wanted: &[&str]| {
        expect(&joulebook(folder.path(), arguments), 2, wanted);
    };
    fails(&["node"], &["--data <DIR>"]);
    let with = |more: &[&'static str]| [&["node", "--data", "ledger"], more].concat();
    fails(&with(&["--sync", "sometimes"]), &["every-group, interval=MS or none"]);
    fails(&with(&["--sync", "interval=0"]), &["1 to 60000 ms"]);
    fails(&with(&["--segment-size", "64MB"]), &["a number of bytes", "64M"]);
    fails(&with(&["--segment-size", "5000"]), &["a segment of 5000 bytes", "multiple of 4096"]);
    fails(&with(&["--segment-size", "64k"]), &["segments of 65536 bytes", "are needed"]);
    fails(&with(&["--journal-max", "1M"]), &["do not fit a journal of at most 1048576"]);
    fails(&with(&["--difficulty-bits", "33"]), &["33 is not in 0..=32"]);
    fails(&with(&["--accounts-max", "0"]), &["0 is not in"]);
    fails(&with(&["--commands", "nowhere"]), &["nowhere cannot be read", "No such file"]);
    fails(&with(&["--commands", "."]), &["is a directory"]);
    fails(&with(&["--answers", "old"]), &["old holds something already"]);
    fails(&with(&["--answers", "no/such/file"]), &["cannot be written", "No such file"]);
    fails(&["node", "--data", "no/such/folder", "--answers", "new"], &["no/such/folder"]);
    fails(&["node", "--data", "old"], &["old"]);
    fails(&["recover", "--data", "nowhere"], &["nowhere", "No such file"]);
    fails(&["recover", "--data", "nowhere", "--dry-run"], &["nowhere"]);
    fails(&["inspect", "nowhere"], &["nowhere"]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["old"]);
}

#[test]
fn help_teaches_and_its_requests_are_requests() {
    let help = |command: &str| out(&joulebook(Path::new("."), &[command, "--help"]));
    for (command, wanted) in [
        ("node", &["--data", "--commands", "--answers", "--sync", "--journal-max", "Examples:", "Ctrl-C"][..]),
        ("recover", &["--dry-run", "--data", "Examples:", "Exit codes:"]),
        ("inspect", &["<FOLDER>", "Exit codes:"]),
        ("verify", &["<PATH>", "folder", "Exit codes:"]),
    ] {
        for wanted in wanted {
            assert!(help(command).contains(wanted), "{command}: {wanted}");
        }
    }
    // The lines of the example, in one ledger.
    let text = help("node").replace(",\n   ", ",").replace("aa..aa", &"a".repeat(64));
    let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  {")).collect();
    assert_eq!(shown.len(), 11);
    let mut input = String::new();
    for line in shown {
        parse_request(format!("{{{line}").as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        input += &format!("{{{line}\n");
    }
    let folder = tempfile::tempdir().unwrap();
    expect(&node(folder.path(), &NEW, input.as_bytes()), 0, &["11 new, 0 sent again", "11 accepted, 0 rejected"]);
}
