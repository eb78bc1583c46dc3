//! A chain as a file.
//!
//! ```text
//! head   "JBCHAIN1"  version u32  params 88  check 4
//! block  "BLCK"  length u32  payload  check 4       payload: header 80, seal record 80, then per transaction
//!                                                   command 64, number of events u32, events 32 each
//! tail   "TAIL"  blocks u64  hash of the last header 32  check 4
//! ```
//!
//! A check is the first four bytes of the SHA-256 of what it follows: it finds damage early and names the block; what
//! nobody can forge is the header chain. The tail makes a cut at a block's end visible.

use super::{Body, ChainParams, Header, ParamsError, SealRecord};
use crate::command::Sequenced;
use crate::event::Event;
use crate::hash::{Digest, sha256};
use crate::types::DecodeError;
use std::io::{ErrorKind, Read, Write};
use thiserror::Error;

pub(super) const MAGIC: &[u8; 8] = b"JBCHAIN1";
const VERSION: u32 = 1;
const BLOCK_TAG: &[u8; 4] = b"BLCK";
const TAIL_TAG: &[u8; 4] = b"TAIL";
const CHECK_LEN: usize = 4;
/// Longest payload that is read: a damaged length must not make the reader ask for all memory.
const PAYLOAD_MAX: u32 = 1 << 30;

/// Why a file is no chain, or a damaged one.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum ChainFileError {
    #[error("this is not a joulebook chain file: it does not begin with \"JBCHAIN1\"")]
    Magic,
    #[error("the chain file has version {found}; this program reads version {VERSION}")]
    Version { found: u32 },
    #[error("the file's head is damaged: its check does not match")]
    HeadCheck,
    #[error("the file's head: {0}")]
    Params(#[from] ParamsError),
    #[error("the file ends in the middle of its head")]
    HeadCut,
    #[error("block {block}: the file ends in the middle of it{hint}")]
    CutShort { block: u64, hint: &'static str },
    #[error("block {block}: expected \"BLCK\" or \"TAIL\", found {found:?}")]
    Tag { block: u64, found: [u8; 4] },
    #[error("block {block}: a payload of {length} bytes; at most {PAYLOAD_MAX} are read")]
    TooLong { block: u64, length: u32 },
    #[error("block {block} is damaged: its check does not match")]
    Check { block: u64 },
    #[error("block {block}: its seal record is malformed")]
    SealRecord { block: u64 },
    #[error("block {block}, transaction {transaction}: {source}")]
    Transaction { block: u64, transaction: usize, source: DecodeError },
    #[error("block {block}: its last transaction is cut off")]
    Payload { block: u64 },
    #[error("the file says that it has {said} blocks and has {found}")]
    Count { said: u64, found: u64 },
    #[error("the file's tail names another last block than it has (block {block})")]
    Tip { block: u64 },
    #[error("the file's tail (after block {block}) is damaged: its check does not match")]
    TailCheck { block: u64 },
    #[error("there are bytes behind the file's tail (after block {block})")]
    Trailing { block: u64 },
    #[error("reading the chain file: {0}")]
    Read(std::io::Error),
    #[error("writing the chain file: {0}")]
    Write(std::io::Error),
}

/// Writes a chain file.
pub struct ChainWriter<W: Write> {
    out: W,
    payload: Vec<u8>,
    blocks: u64,
    tip: Digest,
}

impl<W: Write> ChainWriter<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// As the writer.
    pub fn create(mut out: W, params: &ChainParams) -> Result<Self, ChainFileError> {
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&params.encode());
        write_checked(&mut out, &head)?;
        Ok(ChainWriter { out, payload: Vec::new(), blocks: 0, tip: params.hash() })
    }

    /// What it writes to.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Appends a block.
    ///
    /// # Errors
    /// As the writer, or a block of more than 1 GiB; the file must not be continued then.
    pub fn append(&mut self, header: &Header, seal: &SealRecord, body: &Body) -> Result<(), ChainFileError> {
        self.payload.clear();
        self.payload.extend_from_slice(&header.encode());
        self.payload.extend_from_slice(&seal.encode());
        for (command, events) in body.transactions() {
            self.payload.extend_from_slice(&command.encode());
            self.payload.extend_from_slice(&(events.len() as u32).to_le_bytes());
            events.iter().for_each(|event| self.payload.extend_from_slice(&event.encode()));
        }
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        if length > PAYLOAD_MAX {
            return Err(ChainFileError::TooLong { block: self.blocks, length });
        }
        let write = |out: &mut W, bytes: &[u8]| out.write_all(bytes).map_err(ChainFileError::Write);
        write(&mut self.out, BLOCK_TAG)?;
        write(&mut self.out, &length.to_le_bytes())?;
        write_checked(&mut self.out, &self.payload)?;
        self.blocks += 1;
        self.tip = header.hash();
        Ok(())
    }

    /// Writes the tail and flushes.
    ///
    /// # Errors
    /// As the writer.
    pub fn finish(mut self) -> Result<(), ChainFileError> {
        let mut tail = TAIL_TAG.to_vec();
        tail.extend_from_slice(&self.blocks.to_le_bytes());
        tail.extend_from_slice(&self.tip);
        write_checked(&mut self.out, &tail)?;
        self.out.flush().map_err(ChainFileError::Write)
    }
}

fn write_checked<W: Write>(out: &mut W, bytes: &[u8]) -> Result<(), ChainFileError> {
    out.write_all(bytes).and_then(|()| out.write_all(&check(bytes))).map_err(ChainFileError::Write)
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    *sha256(bytes).first_chunk().expect("a digest has 32 bytes")
}

/// A block as read from a file. Nothing in it is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its header.
    pub header: Header,
    /// Its seal record.
    pub seal: SealRecord,
    /// Its commands.
    pub commands: Vec<Sequenced>,
    /// The events of all of them.
    pub events: Vec<Event>,
    /// End offset in `events` of each command.
    pub ends: Vec<u32>,
}

impl StoredBlock {
    /// The transactions in order.
    pub fn transactions(&self) -> impl Iterator<Item = (Sequenced, &[Event])> {
        let start = |index: usize| if index == 0 { 0 } else { self.ends[index - 1] as usize };
        let transaction =
            move |index: usize| (self.commands[index], &self.events[start(index)..self.ends[index] as usize]);
        (0..self.commands.len()).map(transaction)
    }
}

/// Reads a chain file block by block.
pub struct ChainReader<R: Read> {
    source: R,
    params: ChainParams,
    payload: Vec<u8>,
    blocks: u64,
    tip: Digest,
    ended: bool,
}

impl<R: Read> ChainReader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// Not a chain file, another version, or a damaged head.
    pub fn open(mut source: R) -> Result<Self, ChainFileError> {
        let mut head = [0u8; 12 + ChainParams::ENCODED_LEN + CHECK_LEN];
        read_exact(&mut source, &mut head[..8], ChainFileError::Magic)?;
        if &head[..8] != MAGIC {
            return Err(ChainFileError::Magic);
        }
        read_exact(&mut source, &mut head[8..], ChainFileError::HeadCut)?;
        let found = u32::from_le_bytes(head[8..12].try_into().expect("4 bytes"));
        if found != VERSION {
            return Err(ChainFileError::Version { found });
        }
        let (head, given) = head.split_at(12 + ChainParams::ENCODED_LEN);
        if check(head) != given {
            return Err(ChainFileError::HeadCheck);
        }
        let params = ChainParams::decode(head[12..].try_into().expect("the parameters"))?;
        Ok(ChainReader { source, params, payload: Vec::new(), blocks: 0, tip: params.hash(), ended: false })
    }

    /// The chain's parameters.
    pub fn params(&self) -> &ChainParams {
        &self.params
    }

    /// The next block, or `None` after the tail.
    ///
    /// # Errors
    /// Damage, with the block's number.
    pub fn next_block(&mut self) -> Result<Option<StoredBlock>, ChainFileError> {
        if self.ended {
            return Ok(None);
        }
        let block = self.blocks;
        let mut tag = [0u8; 4];
        let hint = " or before it: the tail is missing";
        read_exact(&mut self.source, &mut tag, ChainFileError::CutShort { block, hint })?;
        match &tag {
            BLOCK_TAG => self.block().map(Some),
            TAIL_TAG => {
                self.tail(&tag)?;
                Ok(None)
            }
            _ => Err(ChainFileError::Tag { block, found: tag }),
        }
    }

    fn block(&mut self) -> Result<StoredBlock, ChainFileError> {
        let block = self.blocks;
        let mut length = [0u8; 4];
        read_exact(&mut self.source, &mut length, ChainFileError::CutShort { block, hint: "" })?;
        let length = u32::from_le_bytes(length);
        if length > PAYLOAD_MAX {
            return Err(ChainFileError::TooLong { block, length });
        }
        // Grows with what really comes, whatever the length says.
        self.payload.clear();
        let wanted = u64::from(length) + CHECK_LEN as u64;
        let got = self.source.by_ref().take(wanted).read_to_end(&mut self.payload).map_err(ChainFileError::Read)?;
        if (got as u64) < wanted {
            return Err(ChainFileError::CutShort { block, hint: "" });
        }
        let (payload, given) = self.payload.split_at(length as usize);
        if check(payload) != given {
            return Err(ChainFileError::Check { block });
        }
        let stored = decode_payload(payload, block)?;
        self.tip = stored.header.hash();
        self.blocks += 1;
        Ok(stored)
    }

    fn tail(&mut self, tag: &[u8; 4]) -> Result<(), ChainFileError> {
        let block = self.blocks;
        let mut tail = [0u8; 44 + CHECK_LEN];
        tail[..4].copy_from_slice(tag);
        let hint = " or before it: the tail is cut off";
        read_exact(&mut self.source, &mut tail[4..], ChainFileError::CutShort { block, hint })?;
        let (tail, given) = tail.split_at(44);
        if check(tail) != given {
            return Err(ChainFileError::TailCheck { block });
        }
        let said = u64::from_le_bytes(tail[4..12].try_into().expect("8 bytes"));
        if said != block {
            return Err(ChainFileError::Count { said, found: block });
        }
        if tail[12..] != self.tip {
            return Err(ChainFileError::Tip { block: block.saturating_sub(1) });
        }
        let mut rest = [0u8; 1];
        match self.source.read_exact(&mut rest) {
            Ok(()) => Err(ChainFileError::Trailing { block: block.saturating_sub(1) }),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.ended = true;
                Ok(())
            }
            Err(error) => Err(ChainFileError::Read(error)),
        }
    }
}

fn read_exact<R: Read>(source: &mut R, out: &mut [u8], at_end: ChainFileError) -> Result<(), ChainFileError> {
    source.read_exact(out).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => at_end,
        _ => ChainFileError::Read(error),
    })
}

fn decode_payload(mut payload: &[u8], block: u64) -> Result<StoredBlock, ChainFileError> {
    let cut = || ChainFileError::Payload { block };
    let header = Header::decode(take(&mut payload).ok_or_else(cut)?);
    let seal = SealRecord::decode(take(&mut payload).ok_or_else(cut)?).ok_or(ChainFileError::SealRecord { block })?;
    let mut stored = StoredBlock { header, seal, commands: Vec::new(), events: Vec::new(), ends: Vec::new() };
    while !payload.is_empty() {
        let transaction = stored.commands.len();
        let malformed = |source| ChainFileError::Transaction { block, transaction, source };
        stored.commands.push(Sequenced::decode(take(&mut payload).ok_or_else(cut)?).map_err(malformed)?);
        let events = u32::from_le_bytes(*take(&mut payload).ok_or_else(cut)?);
        for _ in 0..events {
            stored.events.push(Event::decode(take(&mut payload).ok_or_else(cut)?).map_err(malformed)?);
        }
        // A payload of at most 1 GiB holds less than 2^32 events.
        stored.ends.push(stored.events.len() as u32);
    }
    Ok(stored)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::super::{LastTransaction, Tip, check_block, sample};
    use super::*;

    const HEAD_LEN: usize = 12 + ChainParams::ENCODED_LEN + CHECK_LEN;
    const TAIL_LEN: usize = 44 + CHECK_LEN;

    /// Puts the right check behind the head, a frame's payload or the tail: damage that only decoding can see.
    fn repair(bytes: &mut [u8], from: usize, to: usize) {
        let given = check(&bytes[from..to]);
        bytes[to..to + CHECK_LEN].copy_from_slice(&given);
    }

    fn first_payload(bytes: &[u8]) -> (usize, usize) {
        let length = u32::from_le_bytes(bytes[HEAD_LEN + 4..HEAD_LEN + 8].try_into().unwrap());
        (HEAD_LEN + 8, HEAD_LEN + 8 + length as usize)
    }

    #[test]
    fn what_is_written_is_read_without_the_refused_commands() {
        let bytes = sample::file(4);
        assert_eq!(*ChainReader::open(&bytes[..]).unwrap().params(), sample::params());
        let blocks = sample::read(&bytes).unwrap();
        assert_eq!(blocks.len(), 4);
        let (mut tip, mut last, mut first) = (Tip::genesis(sample::params()), LastTransaction::default(), 1);
        for (height, stored) in blocks.iter().enumerate() {
            let body = sample::body(first, 3 + 5 * height as u64);
            assert!(body.transactions().eq(stored.transactions()), "block {height}");
            let hash = check_block(stored, &tip, last).unwrap();
            last = last.of(&stored.commands);
            tip.extend(&stored.header, hash);
            first += 3 + 5 * height as u64;
        }
        assert_eq!(sample::read(&sample::file(0)).unwrap(), []);
    }

    #[test]
    fn a_cut_anywhere_is_seen() {
        let bytes = sample::file(2);
        for length in 0..bytes.len() {
            let error = sample::read(&bytes[..length]).unwrap_err();
            let expected = match length {
                0..8 => matches!(error, ChainFileError::Magic),
                8..HEAD_LEN => matches!(error, ChainFileError::HeadCut),
                _ => matches!(error, ChainFileError::CutShort { .. }),
            };
            assert!(expected, "cut at {length}: {error}");
        }
        let behind = [&bytes[..], &[0]].concat();
        assert!(matches!(sample::read(&behind), Err(ChainFileError::Trailing { block: 1 })));
        // A second file behind the first is not read as more of it.
        assert!(matches!(sample::read(&[&bytes[..], &bytes[..]].concat()), Err(ChainFileError::Trailing { .. })));
    }

    #[test]
    fn every_damaged_byte_is_seen() {
        let bytes = sample::file(2);
        let (_, end_of_first) = first_payload(&bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let error = sample::read(&damaged).unwrap_err();
            use ChainFileError::*;
            let expected = match at {
                0..8 => matches!(error, Magic),
                8..12 => matches!(error, Version { .. }),
                12..HEAD_LEN => matches!(error, HeadCheck),
                _ if at < HEAD_LEN + 4 => matches!(error, Tag { block: 0, .. }),
                // A wrong length: too long, cut by the file's end, or another payload than the check is of.
                _ if at < HEAD_LEN + 8 => matches!(error, TooLong { .. } | CutShort { .. } | Check { block: 0 }),
                _ if at < end_of_first + CHECK_LEN => matches!(error, Check { block: 0 }),
                _ if at >= bytes.len() - TAIL_LEN + 4 => matches!(error, TailCheck { block: 2 }),
                _ => true,
            };
            assert!(expected, "byte {at}: {error}");
        }
    }

    #[test]
    fn what_a_right_check_does_not_excuse() {
        let bytes = sample::file(1);
        let (start, end) = first_payload(&bytes);
        let damage = |at: usize, value: u8| {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            repair(&mut damaged, start, end);
            sample::read(&damaged).unwrap_err()
        };
        assert!(matches!(damage(start + 80, b'T'), ChainFileError::SealRecord { block: 0 }));
        let command = start + 160;
        assert!(matches!(damage(command, 99), ChainFileError::Transaction { block: 0, transaction: 0, .. }));
        // More events than there are bytes: 2^32 of them are neither believed nor allocated.
        assert!(matches!(
            damage(command + 67, 0xff),
            ChainFileError::Transaction { .. } | ChainFileError::Payload { .. }
        ));
        assert!(matches!(damage(command + 68, 99), ChainFileError::Transaction { .. }));

        // A length of almost 1 GiB in a file of a few hundred bytes.
        let mut long = bytes.clone();
        long[HEAD_LEN + 4..HEAD_LEN + 8].copy_from_slice(&(PAYLOAD_MAX - 1).to_le_bytes());
        let mut reader = ChainReader::open(&long[..]).unwrap();
        assert!(matches!(reader.next_block(), Err(ChainFileError::CutShort { block: 0, .. })));
        assert!(reader.payload.capacity() < 1 << 20, "{} bytes reserved", reader.payload.capacity());
        long[HEAD_LEN + 4..HEAD_LEN + 8].copy_from_slice(&(PAYLOAD_MAX + 1).to_le_bytes());
        assert!(matches!(sample::read(&long), Err(ChainFileError::TooLong { block: 0, .. })));
    }

    #[test]
    fn a_tail_of_another_chain_is_refused() {
        let bytes = sample::file(2);
        let tail = bytes.len() - TAIL_LEN;
        let with_tail = |at: usize, value: u8| {
            let mut changed = bytes.clone();
            changed[tail + at] ^= value;
            repair(&mut changed, tail, tail + 44);
            sample::read(&changed).unwrap_err()
        };
        assert!(matches!(with_tail(4, 1), ChainFileError::Count { said: 3, found: 2 }));
        assert!(matches!(with_tail(12, 1), ChainFileError::Tip { block: 1 }));
        // The last block taken out, the tail left as it was.
        let (_, end) = first_payload(&bytes);
        let without = [&bytes[..end + CHECK_LEN], &bytes[tail..]].concat();
        assert!(matches!(sample::read(&without), Err(ChainFileError::Count { said: 2, found: 1 })));
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        assert!(matches!(sample::read(b""), Err(ChainFileError::Magic)));
        assert!(matches!(sample::read(b"{\"schema\": \"joulebook.proof.v1\"}"), Err(ChainFileError::Magic)));
        let mut newer = sample::file(1);
        newer[8] = 2;
        let error = sample::read(&newer).unwrap_err();
        assert_eq!(error.to_string(), "the chain file has version 2; this program reads version 1");
        let mut lots = sample::file(1);
        // The lot of the rules, zeroed under a right check.
        lots[12 + 12] = 0;
        repair(&mut lots, 0, 12 + ChainParams::ENCODED_LEN);
        assert!(matches!(sample::read(&lots), Err(ChainFileError::Params(_))));
    }
}
