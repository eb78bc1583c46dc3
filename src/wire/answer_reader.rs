//! Reading binary answers: what a client does.

use super::answer::{FLAG_FORGOTTEN, FLAG_GAP, FLAG_REPEAT, FLAG_TOO_MANY_CLIENTS};
use super::reader::read_full;
use super::{Answer, Refused, Reply};
use crate::command::Refusal;
use crate::event::Event;
use crate::types::DecodeError;
use std::io::Read;
use thiserror::Error;

/// Why bytes are no answer.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum AnswerError {
    #[error("at byte {offset}: the answer is cut off; {bytes} bytes of a part of 32 are left")]
    Cut { offset: u64, bytes: usize },
    #[error(
        "at byte {offset}: an answer with flags {flags:#x}, {events} events and sequence {sequence}: no answer has these"
    )]
    Flags { offset: u64, flags: u32, events: u32, sequence: u64 },
    #[error("at byte {offset}: {source}")]
    Event { offset: u64, source: DecodeError },
    #[error("reading answers: {0}")]
    Read(#[source] std::io::Error),
}

/// Reads answers in binary form, one after another. It reads 32 bytes at a time: give it a source that is buffered.
#[derive(Debug)]
pub struct AnswerReader<R> {
    source: R,
    offset: u64,
}

impl<R: Read> AnswerReader<R> {
    /// A reader from the first byte of an answer on.
    pub fn new(source: R) -> Self {
        AnswerReader { source, offset: 0 }
    }

    /// The next answer, with its events in the given memory; `None` at the end. A count of events is not believed before the
    /// events are there: no memory is reserved for it.
    ///
    /// # Errors
    /// Names the offset of the part that is wrong. There is no going on behind it.
    pub fn next<'e>(&mut self, events: &'e mut Vec<Event>) -> Result<Option<Reply<'e>>, AnswerError> {
        events.clear();
        let Some(header) = self.part(true)? else { return Ok(None) };
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let (client, number, sequence) = (long(8), long(16), long(24));
        let (count, flags) = (word(0), word(4));
        let refused = |why| Ok(Some(Reply::Refused(Refused { client, number, why })));
        match (flags, count, sequence) {
            (0 | FLAG_REPEAT, ..) => {}
            (FLAG_GAP, 0, expected) => return refused(Refusal::Gap { expected }),
            (FLAG_FORGOTTEN, 0, 0) => return refused(Refusal::Forgotten),
            (FLAG_TOO_MANY_CLIENTS, 0, 0) => return refused(Refusal::TooManyClients),
            _ => return Err(AnswerError::Flags { offset: self.offset - 32, flags, events: count, sequence }),
        }
        for _ in 0..count {
            let part = self.part(false)?.expect("only a header may be absent");
            let offset = self.offset - 32;
            events.push(Event::decode(&part).map_err(|source| AnswerError::Event { offset, source })?);
        }
        let repeat = flags == FLAG_REPEAT;
        Ok(Some(Reply::Answer(Answer { client, number, sequence, repeat, events })))
    }

    /// A header or an event, both of 32 bytes; `None` at the end, if it may be the end.
    fn part(&mut self, may_end: bool) -> Result<Option<[u8; 32]>, AnswerError> {
        let mut part = [0u8; 32];
        match read_full(&mut self.source, &mut part).map_err(AnswerError::Read)? {
            0 if may_end => Ok(None),
            32 => {
                self.offset += 32;
                Ok(Some(part))
            }
            bytes => Err(AnswerError::Cut { offset: self.offset, bytes }),
        }
    }
}

const _: () = assert!(Answer::HEADER_LEN == 32 && Event::ENCODED_LEN == 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AccountId, OrderId};

    fn encoded() -> (Vec<Event>, Vec<u8>) {
        let events =
            vec![Event::Opened { account: AccountId(1) }, Event::Rested { order: OrderId(2), price: -3, wh: 4 }];
        let mut bytes = Vec::new();
        Answer { client: 1, number: 2, sequence: 3, repeat: true, events: &events }.encode_into(&mut bytes);
        Answer { client: 4, number: 5, sequence: 6, repeat: false, events: &[] }.encode_into(&mut bytes);
        (events, bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let (events, bytes) = encoded();
        let (mut reader, mut read) = (AnswerReader::new(&bytes[..]), Vec::new());
        let first = Answer { client: 1, number: 2, sequence: 3, repeat: true, events: &events };
        assert_eq!(reader.next(&mut read).unwrap(), Some(Reply::Answer(first)));
        let second = Answer { client: 4, number: 5, sequence: 6, repeat: false, events: &[] };
        assert_eq!(reader.next(&mut read).unwrap(), Some(Reply::Answer(second)));
        assert_eq!(reader.next(&mut read).unwrap(), None);
        for why in [Refusal::Gap { expected: 9 }, Refusal::Forgotten, Refusal::TooManyClients] {
            let (refused, mut bytes) = (Refused { client: 1, number: 2, why }, Vec::new());
            refused.encode_into(&mut bytes);
            assert_eq!(AnswerReader::new(&bytes[..]).next(&mut read).unwrap(), Some(Reply::Refused(refused)));
            // With an event, it would be another answer.
            bytes[0] = 1;
            assert!(AnswerReader::new(&bytes[..]).next(&mut read).is_err());
        }
    }

    #[test]
    fn cuts_flags_and_foreign_events_are_named_with_their_place() {
        let (_, bytes) = encoded();
        let fault = |bytes: &[u8]| {
            let (mut reader, mut read) = (AnswerReader::new(bytes), Vec::new());
            loop {
                match reader.next(&mut read) {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(error.to_string()),
                }
            }
        };
        for length in 0..bytes.len() {
            // Between answers an end is an end.
            let expected = (![0, 96].contains(&length)).then(|| {
                format!(
                    "at byte {}: the answer is cut off; {} bytes of a part of 32 are left",
                    length / 32 * 32,
                    length % 32
                )
            });
            assert_eq!(fault(&bytes[..length]), expected);
        }
        let damaged = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            fault(&bytes).unwrap()
        };
        let flags = "at byte 0: an answer with flags 0x101, 2 events and sequence 3: no answer has these";
        assert_eq!(damaged(5, 1), flags);
        assert_eq!(damaged(64, 9), "at byte 64: event kind has the unknown value 9");
        // A count of four thousand million is read as far as there is something, and nothing is reserved for it.
        assert!(damaged(99, 0xff).starts_with("at byte 128: the answer is cut off"));
    }
}
