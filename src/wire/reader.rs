//! Reads requests from a file, a pipe or a socket, in whichever form they come.

use super::{Form, LineError, parse_request};
use crate::command::Request;
use crate::types::DecodeError;
use std::io::{ErrorKind, Read};
use thiserror::Error;

/// Longest line, its newline not counted: the longest request that is written has a tenth of it.
pub const LINE_MAX: usize = 4096;

/// Bytes asked for at once: 16,384 frames. A pipe gives 64 KiB at most.
const BUFFER_LEN: usize = 1 << 20;

const FRAME_LEN: usize = Request::ENCODED_LEN;

/// Why input holds no (more) requests, though it has not ended.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum WireError {
    #[error(
        "the input begins with byte {first:#04x}: requests are JSON objects, one a line, or binary frames of {FRAME_LEN} bytes"
    )]
    Neither { first: u8 },
    #[error("line {line}: {source}")]
    Line { line: u64, source: LineError },
    #[error("line {line} has more than {LINE_MAX} bytes, the most that are read: one request stands on a line")]
    LongLine { line: u64 },
    #[error("the frame at byte {offset}: {source}")]
    Frame { offset: u64, source: DecodeError },
    #[error("the frame at byte {offset} is cut off: {bytes} bytes of {FRAME_LEN} are there")]
    CutFrame { offset: u64, bytes: usize },
    #[error("reading requests: {0}")]
    Read(#[source] std::io::Error),
}

/// Reads requests in batches.
///
/// The first byte tells the form: `{` or white space begins lines, a command's kind a frame. Two kinds have the bytes of white
/// space, place (9, a tab) and cancel (10, a newline); in a frame, a byte below 9 follows them.
#[derive(Debug)]
pub struct RequestReader<R> {
    source: R,
    form: Option<Form>,
    /// What was read is in `start..end`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    source_ended: bool,
    /// Of the byte at `start`.
    offset: u64,
    /// Of the line at `start`, from 1.
    line: u64,
}

impl<R: Read> RequestReader<R> {
    /// A reader from the first byte of the input on. It has a buffer of its own.
    pub fn new(source: R) -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        RequestReader { source, form: None, buffer, start: 0, end: 0, source_ended: false, offset: 0, line: 1 }
    }

    /// The form that the requests have, once the first of them was read.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// Appends up to `most` requests to `out` and says how many; none is the end of the input.
    ///
    /// It waits for the source only while it has nothing to give: whoever sends one request and waits for its answer gets it.
    ///
    /// # Errors
    /// What is wrong, and in which line or at which offset. All requests before it were given out, by this call or earlier
    /// ones; a further call gives the same error. Lines behind it are not read: what they rely on did not happen.
    ///
    /// # Panics
    /// If `most` is zero.
    pub fn next_batch(&mut self, most: usize, out: &mut Vec<Request>) -> Result<usize, WireError> {
        assert!(most > 0, "a batch of no requests would look like the end");
        let before = out.len();
        loop {
            if self.form.is_none() {
                self.form = form_of(&self.buffer[self.start..self.end], self.source_ended)?;
            }
            while let Some(form) = self.form
                && out.len() - before < most
            {
                let next = match form {
                    Form::Lines => self.next_line(),
                    Form::Frames => self.next_frame(),
                };
                match next {
                    Ok(Some(request)) => out.push(request),
                    Ok(None) => break,
                    // It is found again where it stands.
                    Err(_) if out.len() > before => break,
                    Err(error) => return Err(error),
                }
            }
            if out.len() > before || self.source_ended {
                return Ok(out.len() - before);
            }
            self.fill()?;
        }
    }

    /// The next request that is in the buffer as a whole. What is wrong stays in the buffer.
    fn next_line(&mut self) -> Result<Option<Request>, WireError> {
        loop {
            let rest = &self.buffer[self.start..self.end];
            let newline = rest[..rest.len().min(LINE_MAX + 1)].iter().position(|&byte| byte == b'\n');
            let (line, taken) = match newline {
                Some(at) => (&rest[..at], at + 1),
                None if rest.len() > LINE_MAX => return Err(WireError::LongLine { line: self.line }),
                // The last line may end without a newline.
                None if self.source_ended && !rest.is_empty() => (rest, rest.len()),
                None => return Ok(None),
            };
            let blank = line.iter().all(|byte| byte.is_ascii_whitespace());
            let request = if blank { None } else { Some(parse_request(line)) };
            let request = request.transpose().map_err(|source| WireError::Line { line: self.line, source })?;
            self.take(taken);
            self.line += 1;
            if request.is_some() {
                return Ok(request);
            }
        }
    }

    /// The next request that is in the buffer as a whole. What is wrong stays in the buffer.
    fn next_frame(&mut self) -> Result<Option<Request>, WireError> {
        let rest = &self.buffer[self.start..self.end];
        let offset = self.offset;
        let Some(frame) = rest.first_chunk() else {
            let cut = self.source_ended && !rest.is_empty();
            return if cut { Err(WireError::CutFrame { offset, bytes: rest.len() }) } else { Ok(None) };
        };
        let request = Request::decode(frame).map_err(|source| WireError::Frame { offset, source })?;
        self.take(FRAME_LEN);
        Ok(Some(request))
    }

    fn take(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads once. What is left, less than a line or a frame, moves to the buffer's beginning.
    fn fill(&mut self) -> Result<(), WireError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let read = read_once(&mut self.source, &mut self.buffer[self.end..]).map_err(WireError::Read)?;
        self.end += read;
        self.source_ended = read == 0;
        Ok(())
    }
}

/// The form of input that begins so; `None` if that cannot be said yet.
fn form_of(head: &[u8], is_all: bool) -> Result<Option<Form>, WireError> {
    Ok(match *head {
        [b'{' | b' ' | b'\r', ..] => Some(Form::Lines),
        [b'\t' | b'\n', second, ..] => Some(if second < b'\t' { Form::Frames } else { Form::Lines }),
        // Nothing, or one tab or newline.
        [] | [b'\t' | b'\n'] => is_all.then_some(Form::Lines),
        [0..b' ', ..] => Some(Form::Frames),
        [first, ..] => return Err(WireError::Neither { first }),
    })
}

fn read_once(source: &mut impl Read, out: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match source.read(out) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Reads until `out` is full or the source has ended; returns how much.
pub(super) fn read_full(source: &mut impl Read, out: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match read_once(source, &mut out[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::types::{AccountId, OrderId};

    /// Gives its bytes in pieces of given lengths, then one at a time, and is interrupted before each.
    struct Pieces<'a> {
        bytes: &'a [u8],
        lengths: Vec<usize>,
        interrupted: bool,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            let length = self.lengths.pop().unwrap_or(1).min(self.bytes.len()).min(out.len());
            out[..length].copy_from_slice(&self.bytes[..length]);
            self.bytes = &self.bytes[length..];
            Ok(length)
        }
    }

    fn requests() -> Vec<Request> {
        let account = AccountId(3);
        let cancel = |order| Command::Cancel { account, order: OrderId(order) };
        let commands = [cancel(9), Command::Mint { account, amount: 1 }, cancel(11)];
        (1..).zip(commands).map(|(number, command)| Request { client: 7, number, command }).collect()
    }

    fn written(form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        requests().iter().for_each(|request| form.write_request(request, &mut out));
        out
    }

    fn read(source: impl Read) -> (Vec<Request>, Option<Form>, Option<String>) {
        let (mut reader, mut out) = (RequestReader::new(source), Vec::new());
        let fault = loop {
            let before = out.len();
            match reader.next_batch(2, &mut out) {
                Ok(0) => break None,
                Ok(count) => assert!(count <= 2),
                Err(error) => {
                    assert_eq!(out.len(), before, "what was read goes out by itself, not with an error");
                    // It stays.
                    assert_eq!(reader.next_batch(2, &mut out).unwrap_err().to_string(), error.to_string());
                    break Some(error.to_string());
                }
            }
        };
        (out, reader.form(), fault)
    }

    #[test]
    fn both_forms_in_pieces_of_any_length() {
        for form in [Form::Lines, Form::Frames] {
            let bytes = written(form);
            for length in 1..=bytes.len() {
                let source = Pieces { bytes: &bytes, lengths: vec![length; 1_000], interrupted: false };
                assert_eq!(read(source), (requests(), Some(form), None));
            }
        }
        // Blank lines are none, the last line needs no newline, and Windows' lines end in two characters.
        let text = String::from_utf8(written(Form::Lines)).unwrap();
        let text = format!("\n\t\n{}", text.trim_end().replace('\n', "\r\n  \r\n"));
        assert_eq!(read(text.as_bytes()), (requests(), Some(Form::Lines), None));
    }

    #[test]
    fn the_first_bytes_tell_the_form() {
        for empty in ["", "\n", "\t", " \r\n\n"] {
            assert_eq!(read(empty.as_bytes()), (vec![], Some(Form::Lines), None), "{empty:?}");
        }
        // Every kind of command may come first, and those that look like white space are no white space.
        for kind in 1..=11u8 {
            let mut frame = [0; 64];
            frame[0] = kind;
            // The fields of a cancel are zero, too, and those of a limit order at 0.
            assert_eq!(form_of(&frame, false).unwrap(), Some(Form::Frames));
            assert_eq!(read(&frame[..]).0.len(), 1);
        }
        for (bytes, first) in [("account,side", "0x61"), ("[{", "0x5b"), ("\u{feff}{", "0xef")] {
            let expected = format!(
                "the input begins with byte {first}: requests are JSON objects, one a line, or binary frames of 64 bytes"
            );
            assert_eq!(read(bytes.as_bytes()), (vec![], None, Some(expected)));
        }
    }

    #[test]
    fn faults_come_after_all_that_is_before_them_with_their_place() {
        let mut bytes = written(Form::Frames);
        for cut in 1..64 {
            let bytes = &bytes[..2 * 64 + cut];
            let expected = format!("the frame at byte 128 is cut off: {cut} bytes of 64 are there");
            assert_eq!(read(bytes), (requests()[..2].to_vec(), Some(Form::Frames), Some(expected)));
        }
        bytes[64] = 12;
        let expected = "the frame at byte 64: command kind has the unknown value 12".to_string();
        assert_eq!(read(&bytes[..]), (requests()[..1].to_vec(), Some(Form::Frames), Some(expected)));

        let lines = [&written(Form::Lines)[..], b"\n{\"client\":7}\n", &written(Form::Lines)].concat();
        let (out, form, fault) = read(&lines[..]);
        assert_eq!((out, form), (requests(), Some(Form::Lines)));
        assert!(fault.unwrap().starts_with("line 5: the field \"command\" is missing"));
    }

    #[test]
    fn a_line_has_a_limit() {
        let line = String::from_utf8(written(Form::Lines)).unwrap();
        let line = line.lines().next().unwrap();
        for (length, fits) in [(LINE_MAX - 1, true), (LINE_MAX, true), (LINE_MAX + 1, false), (3 << 20, false)] {
            for end in ["", "\n"] {
                let text = format!("\n{line}{}{end}", " ".repeat(length - line.len()));
                let (out, _, fault) = read(text.as_bytes());
                let expected = "line 2 has more than 4096 bytes, the most that are read: one request stands on a line";
                assert_eq!((out.len(), fault), if fits { (1, None) } else { (0, Some(expected.to_string())) });
            }
        }
    }

    #[test]
    fn it_gives_what_it_has_before_it_waits() {
        /// A source that must not be asked for more than it was given at first.
        struct Once<'a>(Option<&'a [u8]>);
        impl Read for Once<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let bytes = self.0.take().expect("it would wait for ever");
                out[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
        }
        for form in [Form::Lines, Form::Frames] {
            let bytes = written(form);
            let (mut reader, mut out) = (RequestReader::new(Once(Some(&bytes))), Vec::new());
            assert_eq!(reader.next_batch(1_000, &mut out).unwrap(), 3);
        }
    }

    #[test]
    fn a_failed_read_is_reported() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("no such luck"))
            }
        }
        assert_eq!(read(Broken).2.as_deref(), Some("reading requests: no such luck"));
    }
}
