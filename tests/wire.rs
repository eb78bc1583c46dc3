//! Requests and answers in both forms, over what random markets see; and lines that somebody damaged.

use joulebook::command::{Batch, Request};
use joulebook::engine::Engine;
use joulebook::event::{Event, EventLog};
use joulebook::optimized::Optimized;
use joulebook::types::{AccountId, OrderId};
use joulebook::wire::{Answer, AnswerReader, Form, Reply, RequestReader, WireError, parse_request, write_request};
use joulebook::workload::{Chaos, ChaosProfile, Random};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

/// Requests of every kind, good and bad ones, from one of the profiles.
fn requests(seed: u64, count: usize) -> Vec<Request> {
    let mut random = Random::new(seed, 21);
    let commands = Chaos::new(ChaosProfile::by_number(seed), seed).commands(count);
    // Half of the clients' ids and numbers are small, half are anything.
    let mut id = || if random.percent(50) { random.below(1_000) } else { random.word() };
    commands.into_iter().map(|command| Request { client: id(), number: id(), command }).collect()
}

fn read_all(bytes: &[u8], most: usize) -> (Vec<Request>, Result<(), WireError>) {
    let (mut reader, mut out) = (RequestReader::new(bytes), Vec::new());
    loop {
        match reader.next_batch(most, &mut out) {
            Ok(0) => return (out, Ok(())),
            Ok(_) => {}
            Err(error) => return (out, Err(error)),
        }
    }
}

#[test]
fn every_request_round_trips_in_both_forms() {
    for seed in 0..18 {
        let requests = requests(seed, 20_000);
        for form in [Form::Lines, Form::Frames] {
            let mut bytes = Vec::new();
            requests.iter().for_each(|request| form.write_request(request, &mut bytes));
            let (read, end) = read_all(&bytes, 1 + 997 * seed as usize);
            end.unwrap();
            assert!(read == requests, "seed {seed}, {form:?}");
        }
    }
}

/// The decimal string `value` in its smallest unit, by another way than the library's: all decimals are written.
fn units(value: &Value, decimals: usize) -> i128 {
    let text = value.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap();
    assert_eq!(fraction.len(), decimals, "{text}");
    format!("{whole}{fraction}").parse().unwrap()
}

/// Whether an event's line says what the event says, as somebody else's JSON parser reads it.
fn says(line: &Value, event: &Event) -> bool {
    let integer = |name: &str| line[name].as_u64().unwrap();
    let price = || units(&line["price"], 5) as i32;
    let amount = |name: &str| match line["token"].as_str().unwrap() {
        "watt" => units(&line[name], 8) as u64,
        _ => integer(name),
    };
    let flag = |name: &str| line[name].as_bool().unwrap();
    // `no-liquidity` is `NoLiquidity`.
    let is = |name: &str, variant: String| line[name].as_str().unwrap().replace('-', "") == variant.to_lowercase();
    let fields = line.as_object().unwrap().len();
    is("event", format!("{event:?}").split(' ').next().unwrap().to_string())
        && match *event {
            Event::Rejected { reason } => fields == 2 && is("reason", format!("{reason:?}")),
            Event::Opened { account } => fields == 2 && integer("account") == u64::from(account.0),
            Event::Balance { token, account, available, locked } => {
                fields == 5
                    && is("token", format!("{token:?}"))
                    && (integer("account"), amount("available"), amount("locked"))
                        == (u64::from(account.0), available, locked)
            }
            Event::Fill { maker, maker_account, price: at, wh, fee, maker_done, taker_done } => {
                fields == 8
                    && (integer("maker"), integer("maker_account"), price(), integer("wh"))
                        == (maker.0, u64::from(maker_account.0), at, u64::from(wh))
                    && (units(&line["fee"], 8) as u64, flag("maker_done"), flag("taker_done"))
                        == (fee, maker_done, taker_done)
            }
            Event::Rested { order, price: at, wh } => {
                fields == 4 && (integer("order"), price(), integer("wh")) == (order.0, at, u64::from(wh))
            }
            Event::Expired { order, wh, reason } => {
                fields == 4
                    && (integer("order"), integer("wh")) == (order.0, u64::from(wh))
                    && is("reason", format!("{reason:?}"))
            }
            Event::Cancelled { order, account, price: at, wh, self_trade } => {
                fields == 6
                    && (integer("order"), integer("account"), price(), integer("wh"), flag("self_trade"))
                        == (order.0, u64::from(account.0), at, u64::from(wh), self_trade)
            }
            Event::Replaced { order, price: at, wh, kept_priority } => {
                fields == 5
                    && (integer("order"), price(), integer("wh"), flag("kept_priority"))
                        == (order.0, at, u64::from(wh), kept_priority)
            }
        }
}

#[test]
fn every_answer_says_what_happened_in_both_forms() {
    let mut kinds = BTreeSet::new();
    for seed in 0..18 {
        let profile = ChaosProfile::by_number(seed);
        let mut engine = Optimized::new(profile.rules);
        let commands = Chaos::new(profile, seed).commands(3_000);
        let mut log = EventLog::default();
        engine.apply(Batch { first: 1, time: 0, commands: &commands }, &mut log);
        let answers = log.outcomes().zip(1u64..).map(|(events, sequence)| {
            let (client, number) = (sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15), u64::MAX - sequence);
            Answer { client, number, sequence, repeat: sequence.is_multiple_of(3), events }
        });
        let answers: Vec<Answer> = answers.collect();

        let mut bytes = Vec::new();
        answers.iter().for_each(|answer| Form::Frames.write_reply(&Reply::Answer(*answer), &mut bytes));
        let (mut reader, mut events) = (AnswerReader::new(&bytes[..]), Vec::new());
        for answer in &answers {
            assert_eq!(reader.next(&mut events).unwrap(), Some(Reply::Answer(*answer)));
        }
        assert_eq!(reader.next(&mut events).unwrap(), None);

        let mut text = Vec::new();
        answers.iter().for_each(|answer| Form::Lines.write_reply(&Reply::Answer(*answer), &mut text));
        let mut lines = text.split_inclusive(|&byte| byte == b'\n');
        for answer in &answers {
            let line: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
            let head = ["client", "number", "sequence"].map(|name| line[name].as_u64().unwrap());
            assert_eq!(head, [answer.client, answer.number, answer.sequence]);
            assert_eq!(line["repeat"].as_bool(), Some(answer.repeat));
            let events = line["events"].as_array().unwrap();
            assert_eq!(events.len(), answer.events.len());
            for (said, event) in events.iter().zip(answer.events) {
                assert!(says(said, event), "{said} is not {event:?}");
                kinds.insert(event.encode()[0]);
            }
        }
        assert_eq!(lines.next(), None);
    }
    assert_eq!(kinds, (1..=8).collect(), "every event occurred");
}

/// What a careless or hostile hand writes into a line.
const SCRAPS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "null",
    "true",
    "-",
    "1e5",
    "0.5",
    "NaN",
    "\"NaN\"",
    "\u{e9}",
    "\n",
    "\\u0000",
    "18446744073709551616",
    "\"wh\":1,",
    "\"limit\":null,",
    "\"command\":\"cancel\",",
    ".",
    "00",
];

fn damage(line: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(line.len() as u64 + 1) as usize;
    let until = (at + random.below(12) as usize).min(line.len());
    match random.below(8) {
        0 if at < line.len() => line[at] ^= 1 << random.below(8),
        1 if at < line.len() => line[at] = random.word() as u8,
        // Digits stay digits: most of these are valid.
        2..4 => {
            let digits = line.iter_mut().filter(|byte| byte.is_ascii_digit());
            digits.for_each(|digit| *digit = if random.percent(20) { b'0' + random.below(10) as u8 } else { *digit });
        }
        4 => drop(line.drain(at..until)),
        5 => line.truncate(at),
        6 => {
            let from = random.below(other.len() as u64 + 1) as usize;
            line.splice(at..until, other[from..].iter().copied());
        }
        _ => {
            let scrap = SCRAPS[random.below(SCRAPS.len() as u64) as usize];
            line.splice(at..until, scrap.bytes());
        }
    }
}

#[test]
fn damaged_lines_are_refused_or_are_requests_and_nothing_panics() {
    let (mut valid, mut refused) = (0, 0);
    for seed in 0..6 {
        let mut random = Random::new(seed, 22);
        let mut other = b"{}".to_vec();
        for request in requests(seed, 30_000) {
            let mut line = Vec::new();
            write_request(&request, &mut line);
            let before = line.clone();
            for _ in 0..=random.below(3) {
                damage(&mut line, &other, &mut random);
            }
            other = before;
            let shown = || String::from_utf8_lossy(&line).into_owned();
            match parse_request(&line) {
                Ok(request) => {
                    valid += 1;
                    let mut again = Vec::new();
                    write_request(&request, &mut again);
                    assert_eq!(parse_request(&again), Ok(request), "seed {seed}: {}", shown());
                    assert_eq!(Request::decode(&request.encode()), Ok(request), "seed {seed}: {}", shown());
                }
                Err(error) => {
                    refused += 1;
                    let error = error.to_string();
                    assert!(!error.is_empty() && error.len() < 1_000, "seed {seed}: {error}: {}", shown());
                }
            }
        }
    }
    assert!(valid > 10_000 && refused > 50_000, "{valid} valid, {refused} refused");
}

#[test]
fn damaged_input_ends_at_its_first_fault() {
    for seed in 0..200 {
        let requests = requests(seed, 40);
        let mut random = Random::new(seed, 23);
        for form in [Form::Lines, Form::Frames] {
            let mut bytes = Vec::new();
            requests.iter().for_each(|request| form.write_request(request, &mut bytes));
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
            let (read, _) = read_all(&bytes, 7);
            // What was before the damage is read, whatever became of the rest.
            let whole = match form {
                Form::Lines => bytes[..at].iter().filter(|&&byte| byte == b'\n').count(),
                Form::Frames => at / 64,
            };
            assert!(read.len() >= whole && read[..whole] == requests[..whole], "seed {seed}, {form:?}, byte {at}");
        }
    }
}

/// How fast the forms are: `cargo test --release --test wire -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: prints rates"]
fn rates() {
    let profile = ChaosProfile::by_number(0);
    let mut engine = Optimized::new(profile.rules);
    let commands = Chaos::new(profile, 1).commands(1 << 18);
    let mut log = EventLog::default();
    engine.apply(Batch { first: 1, time: 0, commands: &commands }, &mut log);
    let refused = log.events.iter().filter(|event| matches!(event, Event::Rejected { .. })).count();
    println!("{} commands, {refused} of them refused, which makes short answers", commands.len());
    let mut out = Vec::new();
    let (maker, maker_account) = (OrderId(12_345_678), AccountId(123_456));
    let fill = Event::Fill {
        maker,
        maker_account,
        price: 15_000,
        wh: 17_652,
        fee: 1_373_502,
        maker_done: true,
        taker_done: true,
    };
    let since = Instant::now();
    for sequence in 0..1_000_000u64 {
        if sequence.is_multiple_of(1_000) {
            out.clear();
        }
        Answer { client: 7, number: sequence, sequence, repeat: false, events: &[fill] }.write_line(&mut out);
    }
    println!("Lines: {:.1} M answers of one fill/s written", 1.0 / since.elapsed().as_secs_f64());
    for form in [Form::Lines, Form::Frames] {
        let mut out = Vec::new();
        let mut writing: Vec<f64> = (0..9)
            .map(|_| {
                out.clear();
                let since = Instant::now();
                for (events, sequence) in log.outcomes().zip(1..) {
                    let answer = Answer { client: 7, number: sequence, sequence, repeat: false, events };
                    form.write_reply(&Reply::Answer(answer), &mut out);
                }
                commands.len() as f64 / since.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        let bytes_of_answer = out.len() / commands.len();
        out.clear();
        for (&command, number) in commands.iter().zip(1..) {
            form.write_request(&Request { client: 7, number, command }, &mut out);
        }
        let mut reading: Vec<f64> = (0..9)
            .map(|_| {
                let since = Instant::now();
                let (mut reader, mut batch, mut read) = (RequestReader::new(&out[..]), Vec::new(), 0);
                while reader.next_batch(8_192, &mut batch).unwrap() > 0 {
                    read += batch.len();
                    batch.clear();
                }
                assert_eq!(read, commands.len());
                commands.len() as f64 / since.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        writing.sort_by(f64::total_cmp);
        reading.sort_by(f64::total_cmp);
        println!(
            "{form:?}: {:.1} M answers/s written ({bytes_of_answer} bytes, {:.2} events each), {:.1} M requests/s read \
             ({} bytes each); medians of 9",
            writing[4],
            log.events.len() as f64 / commands.len() as f64,
            reading[4],
            out.len() / commands.len(),
        );
    }
}
