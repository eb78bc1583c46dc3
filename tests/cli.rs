//! The command line as a new user types it: what it prints, what it writes, how it ends.

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
    fs::write(folder.path().join("headers.bin"), [0; 81]).unwrap();
    let cut = run(&["check-proof", "proof.json", "--headers", "headers.bin"]);
    assert_ne!(cut.status.code(), Some(0));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".part")), "{left:?}");
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
    fails(&["run", "--json", "no/such/folder/report.json"], &["no/such/folder/report.json", "No such file"]);
    fails(&["run", "--chain", "."], &["not a file name"]);
    fails(&["run", "--scenario", "reads", "--chain", "chain.jb"], &["--chain", "--scenario settlement"]);
    fails(&["verify", "no-such-file"], &["no-such-file", "No such file"]);
    fails(&["verify"], &["<FILE>"]);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left behind");
    let text = joulebook(folder.path(), &["verify", env!("CARGO_MANIFEST_PATH")]);
    assert_eq!(text.status.code(), Some(1));
    assert!(err(&text).contains("not a joulebook chain file"));
}

#[test]
fn help_teaches() {
    let help = joulebook(Path::new("."), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for wanted in ["run", "verify", "prove", "check-proof", "headers", "Examples:", "Exit codes:"] {
        assert!(out(&help).contains(wanted), "{wanted}");
    }
    let help = out(&joulebook(Path::new("."), &["run", "--help"]));
    for wanted in ["--scenario", "--stack", "--users", "--orders", "--ops", "--seed", "--difficulty-bits", "--json"] {
        assert!(help.contains(wanted), "{wanted}");
    }
}

/// Ctrl-C, as the terminal sends it.
#[test]
#[cfg(unix)]
fn ctrl_c_ends_with_a_partial_report() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    // Rounds enough for minutes: only the signal can end it in time.
    let mut child = Command::new(env!("CARGO_BIN_EXE_joulebook"))
        .args(["run", "--scenario", "reads,settlement", "--rounds", "1000", "--json", "report.json"])
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
}
