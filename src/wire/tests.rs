//! One line per command, and what is said of lines that are none.

use super::vocabulary::Kind;
use super::{parse_request, write_request};
use crate::command::{Command, NewOrder, Request};
use crate::types::{AccountId, OrderId, Side, TimeInForce, Token};

const HEAD: &str = r#"{"client":7,"number":1,"command":"#;

fn parse(rest: &str) -> Result<Command, String> {
    let line = format!("{HEAD}{rest}");
    parse_request(line.as_bytes()).map(|request| request.command).map_err(|error| error.to_string())
}

#[test]
fn golden_lines() {
    let (account, order) = (AccountId(3), OrderId(120));
    let hex = "0f".repeat(32);
    let opened = format!(r#""open-account","address":"{hex}"}}"#);
    let transfer = |token, amount| Command::Transfer { token, from: account, to: AccountId(4), amount };
    let limit = NewOrder {
        account,
        side: Side::Buy,
        limit: Some(15_000),
        wh: 5_000,
        time_in_force: TimeInForce::Gtc,
        post_only: true,
    };
    let market = NewOrder { side: Side::Sell, limit: None, time_in_force: TimeInForce::Ioc, post_only: false, ..limit };
    let lines = [
        (Command::OpenAccount { address: [0x0f; 32] }, &*opened),
        (Command::Mint { account, amount: 1_250_000_000 }, r#""mint","account":3,"watt":"12.50000000"}"#),
        (Command::Burn { account, amount: 1 }, r#""burn","account":3,"watt":"0.00000001"}"#),
        (Command::MeterCredit { account, amount: 10_000 }, r#""meter-credit","account":3,"wh":10000}"#),
        (
            Command::MeterConsume { account, amount: u64::MAX },
            r#""meter-consume","account":3,"wh":18446744073709551615}"#,
        ),
        (Command::Stake { account, amount: 5 }, r#""stake","account":3,"grid":5}"#),
        (Command::Unstake { account, amount: 5 }, r#""unstake","account":3,"grid":5}"#),
        (transfer(Token::Watt, 150_000_000), r#""transfer","token":"watt","from":3,"to":4,"amount":"1.50000000"}"#),
        (transfer(Token::Energy, 1_500), r#""transfer","token":"energy","from":3,"to":4,"amount":1500}"#),
        (transfer(Token::Grid, 2), r#""transfer","token":"grid","from":3,"to":4,"amount":2}"#),
        (
            Command::Place(limit),
            r#""place","account":3,"side":"buy","limit":"0.15000","wh":5000,"time_in_force":"gtc","post_only":true}"#,
        ),
        (
            Command::Place(market),
            r#""place","account":3,"side":"sell","limit":null,"wh":5000,"time_in_force":"ioc","post_only":false}"#,
        ),
        (Command::Cancel { account, order }, r#""cancel","account":3,"order":120}"#),
        (
            Command::Replace { account, order, price: -250, wh: 1, post_only: false },
            r#""replace","account":3,"order":120,"price":"-0.00250","wh":1,"post_only":false}"#,
        ),
    ];
    for (command, text) in lines {
        let mut out = Vec::new();
        write_request(&Request { client: 7, number: 1, command }, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{HEAD}{text}\n"));
        assert_eq!(parse(text), Ok(command));
    }
}

#[test]
fn order_of_fields_white_space_defaults_and_escapes_do_not_matter() {
    let line = b" { \"wh\" : 5 ,\t\"side\":\"sell\",\"account\":3,\"number\":2,\"comm\\u0061nd\":\"pl\\u0061ce\",\"client\":1 } \r\n";
    let order = NewOrder {
        account: AccountId(3),
        side: Side::Sell,
        limit: None,
        wh: 5,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
    };
    assert_eq!(parse_request(line), Ok(Request { client: 1, number: 2, command: Command::Place(order) }));
    assert_eq!(parse(r#""mint","account":3,"watt":"5"}"#), parse(r#""mint","account":3,"watt":"5.00000000"}"#));
    let (upper, lower) = ("AB".repeat(32), "ab".repeat(32));
    let open = |hex: &str| parse(&format!(r#""open-account","address":"{hex}"}}"#)).unwrap();
    assert_eq!(open(&upper), open(&lower));
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let faults = [
        // Fields.
        (
            r#""cancel","account":3,"order":1,"wh":5}"#,
            r#"the unknown field "wh"; "cancel" has client, number, command, account, order"#,
        ),
        (
            r#""cancel","acount":3,"order":1}"#,
            r#"the unknown field "acount"; "cancel" has client, number, command, account, order"#,
        ),
        (
            r#""cancel","account":3}"#,
            r#"the field "order" is missing; it is an order's id, an integer: the sequence of the request that placed it"#,
        ),
        (
            r#""cancel","account":3,"account":3,"order":1}"#,
            r#"the field "account" stands there twice: once would be right"#,
        ),
        // Commands.
        (
            r#""buy","account":3}"#,
            r#"the unknown command "buy"; there are open-account, mint, burn, meter-credit, meter-consume, stake, unstake, transfer, place, cancel, replace"#,
        ),
        (r#"9,"account":3}"#, r#""command" is the number 9; it should be the name of a command, "place" for example"#),
        // Integers.
        (
            r#""stake","account":3,"grid":"5"}"#,
            r#""grid" is "5"; it should be GRID, an integer from 0 to 18446744073709551615"#,
        ),
        (
            r#""stake","account":-1,"grid":5}"#,
            r#""account" is the number -1e0; it should be an account's number, an integer from 0 to 4294967295"#,
        ),
        (
            r#""stake","account":4294967296,"grid":5}"#,
            r#""account" is the number 4294967296; it should be an account's number, an integer from 0 to 4294967295"#,
        ),
        (
            r#""meter-credit","account":3,"wh":1.0}"#,
            r#""wh" is the number 1e0; it should be Wh, an integer from 0 to 18446744073709551615"#,
        ),
        (
            r#""meter-credit","account":3,"wh":18446744073709551616}"#,
            r#""wh" is the number 1.8446744073709552e19; it should be Wh, an integer from 0 to 18446744073709551615"#,
        ),
        (
            r#""meter-credit","account":null,"wh":1}"#,
            r#""account" is null; it should be an account's number, an integer from 0 to 4294967295"#,
        ),
        (
            r#""meter-credit","account":[[1],{}],"wh":1}"#,
            r#""account" is a list; it should be an account's number, an integer from 0 to 4294967295"#,
        ),
        (
            r#""meter-credit","account":{"a":[]},"wh":1}"#,
            r#""account" is an object; it should be an account's number, an integer from 0 to 4294967295"#,
        ),
        // Money and prices.
        (
            r#""mint","account":3,"watt":5}"#,
            r#""watt" is the number 5; it should be WATT, a string from "0" to "184467440737.09551615" with at most 8 decimals"#,
        ),
        (
            r#""mint","account":3,"watt":"-5"}"#,
            r#""watt" is "-5", which is negative; it should be WATT, a string from "0" to "184467440737.09551615" with at most 8 decimals"#,
        ),
        (
            r#""transfer","token":"watt","from":1,"to":2,"amount":"184467440737.09551616"}"#,
            r#""amount" is "184467440737.09551616", which is out of range; it should be WATT, a string from "0" to "184467440737.09551615" with at most 8 decimals"#,
        ),
        (
            r#""transfer","token":"energy","from":1,"to":2,"amount":"1.5"}"#,
            r#""amount" is "1.5"; it should be Wh, an integer from 0 to 18446744073709551615"#,
        ),
        (
            r#""replace","account":3,"order":1,"price":"0.123456","wh":1}"#,
            r#""price" is "0.123456", which has 6 decimals, more than the 5 that the unit has; it should be WATT/kWh, a string from "-21474.83648" to "21474.83647" with at most 5 decimals"#,
        ),
        (
            r#""replace","account":3,"order":1,"price":null,"wh":1}"#,
            r#""price" is null; it should be WATT/kWh, a string from "-21474.83648" to "21474.83647" with at most 5 decimals"#,
        ),
        (
            r#""place","account":3,"side":"buy","wh":1,"limit":"NaN"}"#,
            r#""limit" is "NaN", which is no number; it should be WATT/kWh, a string from "-21474.83648" to "21474.83647" with at most 5 decimals, or null for a market order"#,
        ),
        (
            r#""place","account":3,"side":"buy","wh":1,"limit":0.15}"#,
            r#""limit" is the number 1.5e-1; it should be WATT/kWh, a string from "-21474.83648" to "21474.83647" with at most 5 decimals, or null for a market order"#,
        ),
        // Names, flags, addresses.
        (r#""place","account":3,"side":"Buy","wh":1}"#, r#""side" is "Buy"; it should be "buy" or "sell""#),
        (
            r#""place","account":3,"side":"buy","wh":1,"time_in_force":"day"}"#,
            r#""time_in_force" is "day"; it should be "gtc", "ioc" or "fok""#,
        ),
        (
            r#""place","account":3,"side":"buy","wh":1,"post_only":1}"#,
            r#""post_only" is the number 1; it should be true or false"#,
        ),
        (
            r#""transfer","token":"joule","from":1,"to":2,"amount":1}"#,
            r#""token" is "joule"; it should be "watt", "energy" or "grid""#,
        ),
        (
            r#""open-account","address":"0x00"}"#,
            r#""address" is "0x00"; it should be an Ed25519 public key, a string of 64 hex digits"#,
        ),
    ];
    for (rest, expected) in faults {
        assert_eq!(parse(rest), Err(expected.to_string()));
    }
    let long = format!(r#""open-account","address":"{}"}}"#, "\u{e9}".repeat(1_000));
    assert!(parse(&long).unwrap_err().len() < 200, "what is quoted is cut");
}

#[test]
fn what_is_no_request_at_all_is_named() {
    let fault = |line: &[u8]| parse_request(line).unwrap_err().to_string();
    assert_eq!(fault(b"{}"), format!("the field \"command\" is missing; it is {}", Kind::names()));
    assert_eq!(fault(br#"{"cmd":"place"}"#), "the unknown field \"cmd\"; every request has client, number, command");
    assert_eq!(fault(br#"{"client":7"#), "not one JSON object: EOF while parsing an object, at column 11");
    assert_eq!(fault(b"{} {}"), "not one JSON object: trailing characters, at column 4");
    assert!(fault(b"[1]").starts_with("not one JSON object: invalid type: sequence, expected an object"));
    assert!(fault(b"{\"client\":1e999}").starts_with("not one JSON object: number out of range"));
    assert!(fault(b"{\"client\":\"\xff\"}").starts_with("not one JSON object: invalid unicode code point"));
    let deep = [b"{\"client\":".as_slice(), &[b'['; 4_000]].concat();
    assert!(fault(&deep).starts_with("not one JSON object: EOF while parsing"));
}
