//! `joulebook load`: what is counted adds up, whatever the machine's speed. No test asserts a time.

use joulebook::workload::Arrivals;
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn joulebook(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_joulebook")).args(args).output().unwrap()
}

/// Plays a load, which must end well, and gives back its report.
fn load(args: &[&str]) -> Value {
    let common = ["--difficulty-bits", "4", "--json", "-"];
    let output = joulebook(&[&["load"], args, &common].concat());
    let error = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.success(), "{error}");
    assert!(error.contains("gave the same state on the baseline"), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn sound(run: &Value, clients: f64) {
    let figure = |name: &str| number(&run[name]);
    assert!(figure("requests") > 0.0 && figure("accepted") > 0.0, "{run}");
    let rejects: f64 = run["rejects"].as_object().unwrap().values().map(number).sum();
    assert_eq!(figure("accepted") + rejects, figure("requests"), "accepted or refused with a reason: {run}");
    assert!(figure("verified_commands") > 0.0 && figure("verified_commands") <= figure("requests"), "{run}");
    assert!(figure("blocks") > 0.0, "{run}");
    let fairness = figure("fairness");
    assert!(fairness > 1.0 / clients - 1e-9 && fairness <= 1.0 + 1e-9, "{run}");
    let latency = |name: &str| number(&run["latency_ns"][name]);
    assert_eq!(latency("samples"), figure("requests"), "a latency for every request");
    assert!(latency("p50") <= latency("p99") && latency("p99") <= latency("p999") && latency("p999") <= latency("max"));
    assert!(figure("batch_mean") >= 1.0 && figure("batch_max") <= 256.0);
    let without_cpu = &run["engine_without_cpu_seconds"];
    match without_cpu["value"].as_f64() {
        // The engine's thread cannot have waited for longer than the run took; its clock is the kernel's, the wall's another.
        Some(seconds) => assert!(seconds >= 0.0 && seconds <= 1.01 * figure("wall_seconds") + 0.01, "{run}"),
        None => assert!(!without_cpu["unavailable"].as_str().unwrap().is_empty(), "{run}"),
    }
    assert_eq!(run["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn concurrent_clients_are_all_answered() {
    let report = load(&["concurrent", "--clients", "5", "--seconds", "0.2"]);
    assert_eq!(report["schema"], "joulebook.load.v1");
    assert_eq!((&report["kind"], &report["complete"]), (&"concurrent".into(), &true.into()));
    let run = &report["runs"][0];
    sound(run, 5.0);
    assert!(number(&run["trades"]) > 0.0);
    assert_eq!(number(&run["refused_by_queue"]), 0.0, "a client of a closed loop waits");
    assert!(run["generator_late_ns"].is_null() && run["offered_per_second"].is_null());
}

/// Ctrl-C stops the clients; what they were answered until then is reported, and the exit code says that it is not all.
#[cfg(unix)]
#[test]
fn an_interrupted_load_reports_what_was_measured() {
    for kind in ["concurrent", "peak", "capacity", "stress", "soak"] {
        // Long enough that nobody waits for its end, on blocks that take a while.
        let rate = if kind == "soak" { "20000" } else { "" };
        let args = ["load", kind, "--seconds", "600", "--difficulty-bits", "20", "--users", "2000", "--json", "-"];
        let args = [&args[..], &["--rate", rate][..if rate.is_empty() { 0 } else { 2 }]].concat();
        let load = Command::new(env!("CARGO_BIN_EXE_joulebook"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(900));
        assert!(Command::new("kill").args(["-INT", &load.id().to_string()]).status().unwrap().success());
        let output = load.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(130), "{kind}: {error}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["complete"], false);
        sound(&report["runs"][0], 8.0);
        assert_eq!(
            kind == "stress",
            number(&report["runs"][0]["trades"]) == 0.0,
            "who builds a market up does not trade"
        );
        if kind == "soak" {
            assert!(!report["soak"]["samples"].as_array().unwrap().is_empty(), "{}", report["soak"]);
        }
    }
}

/// What comes is decided by the seed, not by how fast it is answered: that is what makes the loop open.
#[test]
fn every_request_of_an_open_loop_is_answered_or_refused() {
    let report = load(&["peak", "--rate", "20000", "--seconds", "0.3", "--seed", "7", "--queue", "100000"]);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "evenly, and in bursts");
    let within = |arrivals: Arrivals| arrivals.take_while(|&time| time < 300_000_000).count() as f64;
    let expected = [within(Arrivals::poisson(20_000.0, 7)), within(Arrivals::bursts(20_000.0, 10.0, 0.05, 1e8, 7))];
    for (run, expected) in runs.iter().zip(expected) {
        sound(run, 8.0);
        assert_eq!(number(&run["requests"]) + number(&run["refused_by_queue"]), expected, "{run}");
        assert_eq!(number(&run["generator_late_ns"]["samples"]), expected);
        assert_eq!(number(&run["offered_per_second"]), 20_000.0);
        assert!(number(&run["fairness"]) > 0.999, "requests come from clients in turn: {run}");
        assert_eq!(number(&run["refused_by_queue"]), 0.0, "the queue has room for all of them");
        // Each latency contains how late its request was sent: nothing is omitted. Three digits are told apart.
        for quantile in ["p50", "p99", "p999", "max"] {
            let [latency, late] = ["latency_ns", "generator_late_ns"].map(|of| number(&run[of][quantile]));
            assert!(latency >= 0.998 * late, "{quantile}: {latency} ns, sent {late} ns late");
        }
    }
}

#[test]
fn a_queue_of_one_refuses_and_a_full_market_rejects() {
    let report = load(&["peak", "--rate", "5000000", "--seconds", "0.05", "--queue", "1"]);
    let refused: f64 = report["runs"].as_array().unwrap().iter().map(|run| number(&run["refused_by_queue"])).sum();
    assert!(refused > 0.0, "a queue of one was never full");
    let report = load(&["concurrent", "--seconds", "0.2", "--orders", "10", "--orders-max", "40"]);
    let run = &report["runs"][0];
    assert!(number(&run["open_orders"]) <= 40.0, "{run}");
    assert!(number(&run["accepted"]) < 0.99 * number(&run["requests"]), "orders beyond the limit are refused: {run}");
}

#[test]
fn a_capacity_plan_concludes() {
    let report = load(&["capacity", "--seconds", "0.05", "--users", "100", "--orders", "100"]);
    let capacity = &report["capacity"];
    let steps = capacity["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 10);
    assert_eq!(report["runs"].as_array().unwrap().len(), 11, "the closed loop, and the steps");
    report["runs"].as_array().unwrap().iter().for_each(|run| sound(run, 8.0));
    let offered: Vec<f64> = steps.iter().map(|step| number(&step["offered_per_second"])).collect();
    assert!(offered.is_sorted());
    let at_most = 1.2 * number(&capacity["closed_loop_per_second"]);
    assert!((offered[9] / at_most - 1.0).abs() < 1e-9);
    assert!(!capacity["knee"]["says"].as_str().unwrap().is_empty());
    let knee = &capacity["knee"]["per_second"];
    assert!(knee.is_null() || offered.contains(&number(knee)), "the knee is a step: {capacity}");
    assert!(number(&capacity["cpu_seconds_per_million_trades"]["value"]) > 0.0, "{capacity}");
    let growth = capacity["growth"].as_array().unwrap();
    assert_eq!(growth.len(), 4);
    assert!(growth.iter().all(|size| number(&size["ns_per_command"]) > 0.0));
    let bytes: Vec<f64> = growth.iter().map(|size| number(&size["engine_bytes"])).collect();
    assert!(bytes.windows(2).all(|pair| pair[1] > 2.0 * pair[0]), "ten times the market takes more: {bytes:?}");
    let books = capacity["books"].as_array().unwrap();
    assert_eq!(books.iter().map(|size| number(&size["books"])).collect::<Vec<_>>(), [1.0, 8.0, 64.0, 1_000.0]);
    assert!(books.iter().all(|size| number(&size["ns_per_message"]) > 0.0 && number(&size["bytes_per_book"]) > 1e3));
}

#[test]
fn a_full_market_refuses_by_name_changes_nothing_and_trades_on() {
    let args = ["stress", "--users", "500", "--orders-max", "20000", "--seconds", "0.2", "--clients", "3"];
    let report = load(&args);
    let (run, stress) = (&report["runs"][0], &report["stress"]);
    sound(run, 3.0);
    let stretches = stress["stretches"].as_array().unwrap();
    let what: Vec<&str> = stretches.iter().map(|stretch| stretch["what"].as_str().unwrap()).collect();
    assert_eq!(what, [&["filling"; 10][..], &["refusing", "trading"]].concat());
    let figure = |at: usize, name: &str| number(&stretches[at][name]);
    let open: Vec<f64> = (0..12).map(|at| figure(at, "open_orders")).collect();
    for (part, open) in (1..=10).zip(&open) {
        assert!((0.0..512.0).contains(&(open - 2_000.0 * f64::from(part))), "part {part} ends with {open} orders");
    }
    assert_eq!((open[9], open[10]), (20_000.0, 20_000.0), "full, and full while it refuses");
    let refused = |at: usize| stretches[at]["rejects"].as_object().unwrap();
    let total = |at: usize| refused(at).values().map(number).sum::<f64>();
    assert_eq!(total(10), figure(10, "requests"), "nothing is accepted while it refuses");
    assert_eq!(refused(10).keys().collect::<Vec<_>>(), ["account-limit", "order-limit"]);
    assert!(total(11) < figure(11, "requests"), "it trades on");
    assert!((0..9).all(|at| refused(at).keys().eq(["account-limit"])), "the limit of orders is not reached before");
    assert!(figure(10, "p50_ns") > 0.0 && figure(10, "p50_ns") <= figure(10, "p99_ns"));
    assert_eq!(stress["digest_while_refusing"].as_str().unwrap().len(), 64);
    assert!(
        stress["says"]
            .as_str()
            .unwrap()
            .starts_with("at its limit it refused everything by name (account-limit, order-limit)")
    );
    if cfg!(target_os = "linux") {
        assert!(number(&stress["bytes_per_order"]["value"]) > 30.0, "{stress}");
        assert!(number(&stress["bytes_per_account"]["value"]) > 100.0, "{stress}");
    }
}

#[test]
fn a_soak_samples_and_says_whether_memory_grows() {
    let report = load(&["soak", "--rate", "20000", "--seconds", "1.5", "--users", "100", "--orders", "100"]);
    let soak = &report["soak"];
    let samples = soak["samples"].as_array().unwrap();
    assert!((10..=200).contains(&samples.len()), "{}", samples.len());
    let column = |name: &str| samples.iter().map(|sample| number(&sample[name])).collect::<Vec<f64>>();
    assert!(column("seconds").is_sorted() && column("requests").is_sorted());
    let run = &report["runs"][0];
    sound(run, 8.0);
    assert!(*column("requests").last().unwrap() <= number(&run["requests"]));
    assert!(column("latency_max_ns").iter().all(|&ns| ns <= number(&run["latency_ns"]["max"])));
    if cfg!(target_os = "linux") {
        assert!(column("resident_mib").iter().all(|&mib| mib > 1.0));
        let trend = &soak["resident_mib_per_hour"];
        let [slope, low, high] = ["slope", "low", "high"].map(|name| number(&trend[name]));
        assert!(low <= slope && slope <= high, "{trend}");
        assert!(soak["says"].as_str().unwrap().contains("MiB in 1 s, too short to say it by the hour"), "{soak}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (args, message) in [
        (&["concurrent", "--clients", "0"][..], "1..=1000"),
        (&["concurrent", "--clients", "20", "--users", "10"], "--clients is 20, but"),
        (&["concurrent", "--seconds", "0"], "--seconds is 0, but"),
        (&["concurrent", "--seconds", "NaN"], "--seconds is NaN, but"),
        (&["peak", "--rate", "inf"], "--rate is inf, but"),
        (&["concurrent", "--orders", "50", "--orders-max", "50"], "--orders is 50, but"),
        (&["overload"], "invalid value 'overload'"),
        (&["peak", "--rate=-5"], "--rate is -5, but"),
        (&["soak", "--rate=0"], "--rate is 0, but"),
        (&["stress", "--users", "100"], "--users is 100, but to fill the market"),
    ] {
        let output = joulebook(&[&["load"], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(message) && output.stdout.is_empty(), "{args:?}: {error}");
    }
}
