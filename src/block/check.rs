//! What can be checked of a block without replaying it: linkage, work, and that it holds what its header commits to.

use super::body::leaf;
use super::{ChainParams, Header, StoredBlock, Target, merkle};
use crate::event::is_accepted;
use crate::hash::{Digest, sha256d, to_hex, to_hex_reversed};
use thiserror::Error;

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum BlockError {
    #[error("block {block}: version {found}, expected {}", Header::VERSION)]
    Version { block: u64, found: u32 },
    #[error("block {block}: its parent is {found}, the block before it is {expected}")]
    Link { block: u64, expected: String, found: String },
    #[error("block {block}: its target bits are {found:#010x}, the chain's are {expected:#010x}")]
    Bits { block: u64, expected: u32, found: u32 },
    #[error("block {block} is not mined: its hash {hash} is above the target {bits:#010x}")]
    Work { block: u64, hash: String, bits: u32 },
    #[error("block {block}: its time {found} lies before the {expected} of the block before it")]
    Time { block: u64, expected: u32, found: u32 },
    #[error("block {block}: its time is {found}, its last transaction's {expected}")]
    TransactionTime { block: u64, expected: u32, found: u32 },
    #[error("block {block}: its seal says height {found}")]
    Height { block: u64, found: u64 },
    #[error("block {block}: its seal says {expected} transactions, it holds {found}")]
    Count { block: u64, expected: u32, found: u64 },
    #[error("block {block}: it holds no transaction")]
    Empty { block: u64 },
    #[error("block {block}: transaction {transaction} is a refused command, or has no events")]
    Refused { block: u64, transaction: usize },
    #[error("block {block}: its sequences are not ascending, or not those that its seal says ({first} to {last})")]
    Sequences { block: u64, first: u64, last: u64 },
    #[error("block {block}: its contents have Merkle root {found}, its header says {expected}")]
    MerkleRoot { block: u64, expected: String, found: String },
}

/// Checks a header against the one before it: version, linkage, work, time. Returns its hash. This is all that can be
/// checked of a chain of headers alone.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_header(
    header: &Header,
    block: u64,
    previous: &Digest,
    previous_time: u32,
    bits: u32,
) -> Result<Digest, BlockError> {
    if header.version != Header::VERSION {
        return Err(BlockError::Version { block, found: header.version });
    }
    if header.previous != *previous {
        let (expected, found) = (to_hex_reversed(previous), to_hex_reversed(&header.previous));
        return Err(BlockError::Link { block, expected, found });
    }
    if header.bits != bits {
        return Err(BlockError::Bits { block, expected: bits, found: header.bits });
    }
    let hash = header.hash();
    // Bits that are no target are met by nothing.
    if !Target::from_bits(bits).is_ok_and(|target| target.is_met_by(&hash)) {
        return Err(BlockError::Work { block, hash: to_hex_reversed(&hash), bits });
    }
    if header.time < previous_time {
        return Err(BlockError::Time { block, expected: previous_time, found: header.time });
    }
    Ok(hash)
}

/// Checks a chain of headers alone, the first block's first. Returns the hash of the last one and the expected number of
/// hashes that all of them took. The parent of the first and the target are taken from it: compare the parent with the hash
/// of the chain's parameters, or the last hash with one you trust.
///
/// # Errors
/// The first thing that is wrong, with its block; no header at all reads as an empty block 0.
pub fn check_headers(headers: &[Header]) -> Result<(Digest, f64), BlockError> {
    let first = headers.first().ok_or(BlockError::Empty { block: 0 })?;
    let (mut tip, mut time) = (first.previous, 0);
    for (block, header) in headers.iter().enumerate() {
        tip = check_header(header, block as u64, &tip, time, first.bits)?;
        time = header.time;
    }
    Ok((tip, headers.iter().map(Header::work).sum()))
}

/// Checks a block's header and that the block holds what the header commits to. Returns its hash. What this cannot tell is
/// whether the events and the state root are right: that takes a replay.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_block(
    stored: &StoredBlock,
    block: u64,
    previous: &Digest,
    previous_time: u32,
    params: &ChainParams,
) -> Result<Digest, BlockError> {
    let hash = check_header(&stored.header, block, previous, previous_time, params.bits)?;
    let seal = &stored.seal;
    if seal.height != block {
        return Err(BlockError::Height { block, found: seal.height });
    }
    let found = stored.commands.len() as u64;
    if found != u64::from(seal.transactions) {
        return Err(BlockError::Count { block, expected: seal.transactions, found });
    }
    let (Some(first), Some(last)) = (stored.commands.first(), stored.commands.last()) else {
        return Err(BlockError::Empty { block });
    };
    if let Some(transaction) = stored.transactions().position(|(_, events)| events.is_empty() || !is_accepted(events)) {
        return Err(BlockError::Refused { block, transaction });
    }
    let ascending = stored.commands.is_sorted_by(|a, b| a.sequence < b.sequence);
    if !ascending || first.sequence != seal.first_sequence || last.sequence != seal.last_sequence {
        return Err(BlockError::Sequences { block, first: seal.first_sequence, last: seal.last_sequence });
    }
    let expected = Header::seconds(last.time);
    if stored.header.time != expected {
        return Err(BlockError::TransactionTime { block, expected, found: stored.header.time });
    }
    let found = merkle::root(&stored.leaves());
    if found != stored.header.merkle_root {
        let expected = to_hex(&stored.header.merkle_root);
        return Err(BlockError::MerkleRoot { block, expected, found: to_hex(&found) });
    }
    Ok(hash)
}

impl StoredBlock {
    /// The leaves of the block's Merkle tree: the seal record's, then the transactions'.
    pub fn leaves(&self) -> Vec<Digest> {
        let mut leaves = vec![sha256d(&self.seal.encode())];
        leaves.extend(self.transactions().map(|(command, events)| leaf(&command, events)));
        leaves
    }
}
