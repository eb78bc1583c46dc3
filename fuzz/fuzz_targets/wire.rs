//! Requests in both forms, and answers in the binary one: whatever comes in is refused or means one thing, which is written
//! and read back as the same.
#![no_main]

use joulebook::command::Request;
use joulebook::wire::{AnswerReader, Form, RequestReader};
use libfuzzer_sys::fuzz_target;

fn read_all(input: &[u8], most: usize) -> (Vec<Request>, Option<Form>, Option<String>) {
    let (mut reader, mut out) = (RequestReader::new(input), Vec::new());
    loop {
        match reader.next_batch(most, &mut out) {
            Ok(0) => return (out, reader.form(), None),
            Ok(_) => {}
            Err(error) => return (out, reader.form(), Some(error.to_string())),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (requests, form, fault) = read_all(input, 3);
    // How many are asked for at once does not matter.
    assert_eq!(read_all(input, 1_000), (requests.clone(), form, fault.clone()));
    for again in [Form::Lines, Form::Frames] {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| again.write_request(request, &mut bytes));
        let expected = if requests.is_empty() { Form::Lines } else { again };
        assert_eq!(read_all(&bytes, 1_000), (requests.clone(), Some(expected), None));
        // Frames have one encoding.
        assert!(again != Form::Frames || form != Some(Form::Frames) || input.starts_with(&bytes));
    }

    let (mut reader, mut events, mut bytes) = (AnswerReader::new(input), Vec::new(), Vec::new());
    while let Ok(Some(reply)) = reader.next(&mut events) {
        Form::Frames.write_reply(&reply, &mut bytes);
        let mut line = Vec::new();
        Form::Lines.write_reply(&reply, &mut line);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok(), "{}", String::from_utf8_lossy(&line));
    }
    assert!(input.starts_with(&bytes), "answers have one encoding");
});
