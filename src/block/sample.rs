//! A small mined chain for this floor's tests.

use super::{
    Body, ChainFileError, ChainParams, ChainReader, ChainWriter, Header, HeaderChain, SealRecord, StoredBlock, Target,
    Tip, merkle,
};
use crate::command::{Batch, Command};
use crate::event::{Event, Reject};
use crate::hash::{Digest, Hashing, sha256d};
use crate::types::{AccountId, Rules, Token};

/// The default rules and four bits of work: most headers miss it, and mining takes no time.
pub fn params() -> ChainParams {
    ChainParams::fixed(Rules::default(), Target::from_leading_zero_bits(4).to_bits())
}

/// Commands from sequence `first` on, every fourth refused, the others with one to seven events.
pub fn body(first: u64, commands: u64) -> Body {
    let mut body = Body::default();
    for sequence in first..first + commands {
        let account = AccountId(sequence as u32 % 9);
        let command = Command::Mint { account, amount: sequence };
        if sequence % 4 == 0 {
            body.log.events.push(Event::Rejected { reason: Reject::UnknownAccount });
        } else {
            let event = Event::Balance { token: Token::Watt, account, available: sequence, locked: 0 };
            body.log.events.extend(vec![event; 1 + sequence as usize % 7]);
        }
        body.log.close_command();
        body.push(Batch { first: sequence, time: sequence * 700_000_000, commands: &[command] });
    }
    body
}

/// Raises the nonce until the header meets its target.
pub fn mine(mut header: Header) -> Header {
    let target = Target::from_bits(header.bits).unwrap();
    while !target.is_met_by(&header.hash()) {
        header.nonce += 1;
    }
    header
}

/// A block over `body`.
pub fn block(height: u64, previous: Digest, body: &Body) -> (Header, SealRecord) {
    let (first_sequence, last_sequence) = body.sequences().unwrap();
    let transactions = body.transactions().count() as u32;
    let state_root = [height as u8; 32];
    let seal =
        SealRecord { transactions, height, extra_nonce: 0, first_sequence, last_sequence, state_root, accounts: 9 };
    let mut leaves = vec![sha256d(&seal.encode())];
    body.leaves(&mut leaves, Hashing::NAIVE);
    let time = Header::seconds(body.last_time().unwrap());
    let header = Header { merkle_root: merkle::root(&leaves), ..Header::new(previous, time, params().bits) };
    (mine(header), seal)
}

/// A chain file with this many blocks of different sizes.
pub fn file(blocks: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ChainWriter::create(&mut bytes, &params()).unwrap();
    let (mut tip, mut first) = (params().hash(), 1);
    for height in 0..blocks {
        let body = body(first, 3 + 5 * height);
        let (header, seal) = block(height, tip, &body);
        writer.append(&header, &seal, &body).unwrap();
        (tip, first) = (header.hash(), first + 3 + 5 * height);
    }
    writer.finish().unwrap();
    bytes
}

/// All blocks of a file, down to its tail.
pub fn read(bytes: &[u8]) -> Result<Vec<StoredBlock>, ChainFileError> {
    let mut reader = ChainReader::open(bytes)?;
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block()? {
        blocks.push(block);
    }
    Ok(blocks)
}

/// The headers of [`file`].
pub fn header_chain(blocks: u64) -> HeaderChain {
    let headers = read(&file(blocks)).unwrap().iter().map(|block| block.header).collect();
    HeaderChain { params: params(), headers }
}

/// The end of the chain behind its first block.
pub fn tip_behind(first: &StoredBlock) -> Tip {
    let mut tip = Tip::genesis(params());
    tip.extend(&first.header, first.header.hash());
    tip
}
