//! The command line as a new user types it: what it prints, what it writes, how it ends.

use joulebook::hash::Platform;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn joulebook(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_joulebook");
    Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const SMALL: [&str; 9] =
    ["run", "--quick", "--ops", "2000", "--difficulty-bits", "4", "--block-transactions", "500", "--rounds=2"];

#[test]
fn a_chain_is_run_verified_and_a_trade_proven() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| joulebook(folder.path(), arguments);
    let ran =
        run(&[&SMALL[..], &["--scenario", "settlement", "--chain", "chain.jb", "--json", "report.json"]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert!(out(&ran).contains("settlement") && out(&ran).contains("Bottleneck"));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], "joulebook.run.v1");
    assert_eq!(json["complete"], true);
    let verified = run(&["verify", "chain.jb"]);
    assert_eq!(verified.status.code(), Some(0), "{}", err(&verified));
    assert!(out(&verified).contains("valid") && out(&verified).contains("2,000 trades"), "{}", out(&verified));
    assert_eq!(run(&["headers", "chain.jb", "headers.bin"]).status.code(), Some(0));
    // 100 users take 300 commands, 50 orders follow, then each trade's two.
    let proved = run(&["prove", "chain.jb", "--sequence", "1000", "--out", "proof.json"]);
    assert_eq!(proved.status.code(), Some(0), "{}", err(&proved));
    let checked = run(&["check-proof", "proof.json", "--headers", "headers.bin"]);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    assert!(out(&checked).contains("proven") && out(&checked).contains("traded") && out(&checked).contains("grid fee"));

    let missing = run(&["prove", "chain.jb", "--sequence", "999999"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("no transaction has sequence 999999"));
    let mut bytes = fs::read(folder.path().join("chain.jb")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.path().join("damaged.jb"), bytes).unwrap();
    let damaged = run(&["verify", "damaged.jb"]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(err(&damaged).contains("block") && err(&damaged).contains("damaged"), "{}", err(&damaged));
    fs::write(folder.path().join("proof.json"), "{}").unwrap();
    assert_eq!(run(&["check-proof", "proof.json", "--headers", "headers.bin"]).status.code(), Some(1));
    fs::write(folder.path().join("headers.bin"), [0; 80]).unwrap();
    let cut = run(&["check-proof", "proof.json", "--headers", "headers.bin"]);
    assert_ne!(cut.status.code(), Some(0));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".part")), "{left:?}");
}

/// The journal under the scenarios that settle: the same is done, every request is answered, and nothing is left in the folder.
#[test]
fn a_durable_run_does_the_same_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    let run = |arguments: &[&str]| {
        let ran = joulebook(folder.path(), &[&SMALL[..], &["--json", "report.json"], arguments].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
        assert!(fs::read_dir(folder.path().join("disk")).unwrap().next().is_none(), "{arguments:?} leaves something");
        let read = fs::read(folder.path().join("report.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(json["complete"], true);
        (json, out(&ran))
    };
    let (json, text) = run(&["--scenario", "reads,settlement,mixed", "--durable", "disk"]);
    let of = |scenario: &str, stack: &str| {
        let wanted = |result: &&serde_json::Value| result["name"] == scenario && result["stack"] == stack;
        json["scenarios"].as_array().unwrap().iter().find(wanted).cloned()
    };
    assert_eq!(of("reads", "durable"), None);
    let (optimized, durable) = (of("settlement", "optimized").unwrap(), of("settlement", "durable").unwrap());
    assert_eq!((&durable["digest"], &durable["work"]), (&optimized["digest"], &optimized["work"]));
    for result in [durable, of("mixed", "durable").unwrap()] {
        let journal = &result["journal"];
        assert_eq!(journal["answers"], result["work"]["commands"]);
        assert!(journal["events"].as_u64() >= journal["answers"].as_u64() && journal["answers"].as_u64() > Some(0));
        assert!(journal["frames"].as_u64() > Some(0) && journal["syncs"].as_u64() > Some(0));
        assert_eq!(journal["bytes"], result["resources"]["disk_bytes"]);
        assert!(result["latency_of"].as_str().unwrap().contains("acknowledged"));
    }
    assert!(optimized["journal"].is_null() && optimized["resources"]["disk_bytes"] == 0);
    let ratios = json["ratios"].as_array().unwrap();
    assert_eq!(ratios.iter().filter(|ratio| ratio["over"] == "durable").count(), 2);
    assert_eq!(json["ladder"].as_array().unwrap().last().unwrap()["stack"], "durable");
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in
        ["what durability costs", "requests answered", "journal syncs", "Latency of durable is from submission"]
    {
        assert!(flat.contains(wanted), "{wanted} is missing:\n{text}");
    }
    for (policy, said) in [("interval=5", "all groups of 5 ms together"), ("none", "what is acknowledged may be lost")]
    {
        let alone = ["--scenario", "settlement", "--stack", "optimized", "--durable", "disk", "--sync", policy];
        let (json, text) = run(&alone);
        assert!(json["settings"]["durable"]["sync"].is_string());
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{said}:\n{text}");
    }
}

#[test]
fn the_same_seed_gives_the_same_digests() {
    let folder = tempfile::tempdir().unwrap();
    let digests = |seed: &str| {
        let run = joulebook(folder.path(), &[&SMALL[..], &["--seed", seed, "--json", "-"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&run.stdout).expect("standard output is JSON alone");
        assert!(err(&run).contains("settlement"), "the tables go to standard error");
        let scenarios = json["scenarios"].as_array().unwrap().clone();
        scenarios.iter().map(|s| format!("{} {}", s["digest"], s["work"])).collect::<Vec<_>>()
    };
    assert_eq!(digests("1"), digests("1"));
    assert_ne!(digests("1"), digests("2"));
}

#[test]
fn bad_usage_is_named_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], wanted: &[&str]| {
        let output = joulebook(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        for wanted in wanted {
            assert!(err(&output).contains(wanted), "{arguments:?} does not say {wanted:?}: {}", err(&output));
        }
    };
    fails(&["run", "--users", "1"], &["1 is not in 2..=1000000"]);
    fails(&["run", "--difficulty-bits", "33"], &["33 is not in 0..=32"]);
    fails(&["run", "--ops", "NaN"], &["invalid digit"]);
    fails(&["run", "--ops", "-5"], &["-5"]);
    fails(&["run", "--block-transactions", "0"], &["0 is not in 1..=1000000"]);
    fails(&["run", "--scenario", "everything"], &["reads, writes, settlement, mixed"]);
    fails(&["run", "--stack", "fast"], &["both, baseline, optimized, ladder"]);
    fails(&["run", "--sped"], &["--sped"]);
    fails(&["run", "--isa", "mmx"], &["--isa", "\"mmx\"", "portable"]);
    fails(&["run", "--json", "no/such/folder/report.json"], &["no/such/folder/report.json", "No such file"]);
    fails(&["run", "--chain", "."], &["is a directory, not a file name"]);
    fails(&["run", "--scenario", "reads", "--chain", "chain.jb"], &["--chain", "--scenario settlement"]);
    fails(&["run", "--sync", "none"], &["--durable"]);
    fails(&["run", "--durable", "--sync", "interval=0"], &["interval=1 to interval=10000", "every-group", "none"]);
    fails(&["run", "--scenario", "reads,writes", "--durable"], &["--durable", "--scenario settlement"]);
    fails(&["run", "--durable", "no/such/folder"], &["no/such/folder", "No such file"]);
    fails(&["run", "--durable", env!("CARGO_MANIFEST_PATH")], &["Cargo.toml", "is a file, not a folder"]);
    // Nobody makes a folder there, not even who may write everywhere.
    #[cfg(target_os = "linux")]
    fails(&["run", "--durable", "/proc"], &["/proc cannot be written"]);
    fails(&["books", "--books", "1,0"], &["0 is not in 1..=100000"]);
    fails(&["books", "--shards", "two"], &["invalid digit", "--shards"]);
    fails(&["books", "--json", "."], &["is a directory, not a file name"]);
    fails(&["verify", "no-such-file"], &["no-such-file", "No such file"]);
    fails(&["verify"], &["<PATH>"]);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left behind");
    let text = joulebook(folder.path(), &["verify", env!("CARGO_MANIFEST_PATH")]);
    assert_eq!(text.status.code(), Some(1));
    assert!(err(&text).contains("not a joulebook chain file"));
}

#[test]
fn help_teaches() {
    let help = joulebook(Path::new("."), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for wanted in ["run", "verify", "prove", "check-proof", "headers", "node", "inspect", "Examples:", "Exit codes:"] {
        assert!(out(&help).contains(wanted), "{wanted}");
    }
    let help = out(&joulebook(Path::new("."), &["books", "--help"]));
    for wanted in ["--books", "--shards", "--messages", "--batch", "--seed", "--json", "Examples:"] {
        assert!(help.contains(wanted), "{wanted}");
    }
    let help = out(&joulebook(Path::new("."), &["run", "--help"]));
    for wanted in [
        "--scenario",
        "--stack",
        "--users",
        "--orders",
        "--ops",
        "--seed",
        "--difficulty-bits",
        "--json",
        "--html",
        "--durable",
        "--sync",
    ] {
        assert!(help.contains(wanted), "{wanted}");
    }
}

#[test]
fn many_books_do_the_same_on_any_number_of_shards() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| joulebook(folder.path(), &[&["books", "--messages", "20000"], arguments].concat());
    let ran = run(&["--quick", "--books", "20,1", "--shards", "1,2,3", "--batch", "300", "--json", "books.json"]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert!(out(&ran).contains("over one shard") && out(&ran).contains("the same events"), "{}", out(&ran));
    assert_eq!(err(&ran), "", "progress is for terminals");
    let read = fs::read(folder.path().join("books.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(json["schema"], "joulebook.books.v1");
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    for same in results.chunks(3) {
        assert!(same.iter().all(|result| result["digest"] == same[0]["digest"]));
        assert!(same[0]["fills"].as_u64().unwrap() > 0 && same[2]["over_one_shard"]["median"].as_f64().unwrap() > 0.0);
    }
    let other = run(&["--quick", "--books", "1", "--shards", "2", "--seed", "43", "--json", "-"]);
    let other: serde_json::Value = serde_json::from_slice(&other.stdout).expect("standard output is JSON alone");
    assert_ne!(other["results"][0]["digest"], results[0]["digest"]);
    assert!(other["results"][0]["over_one_shard"].is_null(), "one shard did not run");
}

/// Ctrl-C, as the terminal sends it.
#[test]
#[cfg(unix)]
fn ctrl_c_ends_with_a_partial_report() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("report.html"), "a complete one").unwrap();
    // Small rounds, so that one is done in time on any machine, and enough of them for minutes: only the signal ends it.
    let mut child = Command::new(env!("CARGO_BIN_EXE_joulebook"))
        .args(["run", "--scenario", "reads,settlement", "--ops", "50000", "--rounds", "1000", "--json", "report.json"])
        .args(["--html", "report.html"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert!(child.try_wait().unwrap().is_none(), "still running");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("Interrupted") && text.trim_end().ends_with("until then."), "{text}");
    assert!(text.contains("reads"));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(json["complete"], false);
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("report.html"), "a complete one", "what is there is kept");
    assert!(read("report.html.partial").contains("Interrupted: this is what was measured until then."));
}

/// Pressed twice: the program ends at once, and takes its journals with it.
#[test]
#[cfg(unix)]
fn ctrl_c_leaves_no_journal_behind() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "--scenario", "settlement", "--stack", "optimized", "--ops", "50000", "--rounds", "1000"];
    for times in [1, 2] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_joulebook"))
            .args(arguments)
            .args(["--durable", "."])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        assert!(child.try_wait().unwrap().is_none(), "still running");
        assert!(fs::read_dir(folder.path()).unwrap().next().is_some(), "it has a journal");
        for _ in 0..times {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", err(&output));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Nothing that was there is lost: not the chain, not a device, not a link, not an earlier report.
#[test]
#[cfg(unix)]
fn files_that_are_there_are_respected() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| joulebook(folder.path(), arguments);
    let settlement = [&SMALL[..], &["--scenario", "settlement"]].concat();
    assert_eq!(run(&[&settlement[..], &["--chain", "chain.jb"]].concat()).status.code(), Some(0));
    let chain = fs::read(at("chain.jb")).unwrap();
    for arguments in
        [&["headers", "chain.jb", "./chain.jb"][..], &["prove", "chain.jb", "--sequence=500", "--out=chain.jb"]]
    {
        let refused = run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(err(&refused).contains("is the chain itself"), "{}", err(&refused));
    }
    let same = run(&[&settlement[..], &["--chain", "one", "--json", "./one"]].concat());
    assert!(same.status.code() == Some(2) && err(&same).contains("the same file"), "{}", err(&same));
    assert_eq!(fs::read(at("chain.jb")).unwrap(), chain);

    let reads = [&SMALL[..], &["--scenario", "reads"]].concat();
    assert_eq!(run(&[&reads[..], &["--json", "/dev/null"]].concat()).status.code(), Some(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file(), "a device stays one");
    fs::write(at("report.json"), "").unwrap();
    std::os::unix::fs::symlink(at("report.json"), at("link.json")).unwrap();
    assert_eq!(run(&[&reads[..], &["--json", "link.json"]].concat()).status.code(), Some(0));
    assert!(fs::symlink_metadata(at("link.json")).unwrap().is_symlink(), "a link stays one");
    assert!(fs::metadata(at("report.json")).unwrap().len() > 100);

    for (arguments, wanted) in [
        (&["verify", "."][..], "there is no ledger here"),
        (&["check-proof", "report.json", "--headers", "chain.jb"], "not a proof"),
        (&["prove", "chain.jb", "--sequence", "4000000000"], "the chain's last transaction has sequence"),
    ] {
        assert!(err(&run(arguments)).contains(wanted), "{arguments:?}: {}", err(&run(arguments)));
    }
    let proof = run(&["prove", "chain.jb", "--sequence", "500", "--out", "proof.json"]);
    assert_eq!(proof.status.code(), Some(0), "{}", err(&proof));
    let whole = run(&["check-proof", "proof.json", "--headers", "chain.jb"]);
    assert!(whole.status.code() == Some(1) && err(&whole).contains("`joulebook headers`"), "{}", err(&whole));
}

/// Many more orders than users could pay for with what all of them start with.
#[test]
fn two_users_can_hold_a_deep_book() {
    let folder = tempfile::tempdir().unwrap();
    let deep =
        ["run", "--users=2", "--orders=200000", "--scenario=writes", "--stack=optimized", "--ops=100", "--rounds=1"];
    let ran = joulebook(folder.path(), &deep);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
}

/// Every kernel that this machine has seals the same chain and reads it back; the others are refused by name.
#[test]
fn every_instruction_set_gives_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut chains = Vec::new();
    for name in Platform::ALL_NAMES {
        let file = format!("{name}.jb");
        let arguments = ["--scenario", "settlement", "--stack", "optimized", "--isa", name, "--chain", &file];
        let ran = joulebook(folder.path(), &[&SMALL[..], &arguments].concat());
        if Platform::named(name).is_err() {
            assert_eq!(ran.status.code(), Some(2));
            assert!(err(&ran).contains(&format!("cannot run the {name} hashing kernel")), "{}", err(&ran));
            println!("not checked, this CPU lacks it: {name}");
            continue;
        }
        assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
        assert!(out(&ran).contains(&format!("many at a time: {name}")), "{}", out(&ran));
        let verified = joulebook(folder.path(), &["verify", &file, "--isa", name]);
        assert_eq!(verified.status.code(), Some(0), "{}", err(&verified));
        chains.push(fs::read(folder.path().join(&file)).unwrap());
        println!("checked: {name}");
    }
    assert!(chains.iter().all(|chain| *chain == chains[0]));
}

#[test]
fn run_needs_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let ran = joulebook(folder.path(), &["--scenario", "reads", "--ops", "1000", "--rounds", "1"]);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let words: Vec<String> = out(&ran).split_whitespace().map(str::to_string).collect();
    assert!(words.join(" ").contains("1 interleaved round."), "{}", out(&ran));
}
