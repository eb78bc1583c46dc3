//! A proof that one transaction, an order with its fills say, is in a chain, checked against the chain's headers alone.

use super::body::transaction_message;
use super::{BlockError, HeaderChain, StoredBlock, merkle};
use crate::command::Sequenced;
use crate::event::{Event, is_accepted};
use crate::hash::{Digest, sha256d, to_hex};
use crate::types::{DecodeError, Sequence};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A transaction and its way up to a header's Merkle root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeProof {
    /// Always [`TradeProof::SCHEMA`].
    pub schema: String,
    /// Number of blocks before the transaction's.
    pub height: u64,
    /// Index of its leaf; the seal record's is 0.
    pub index: u32,
    /// Number of leaves in the block, as the prover says: checked to fit the branch, which does not always pin it down.
    pub leaves: u32,
    /// Its command and events, in hex.
    pub message: String,
    /// The hashes beside its path, lowest first, in hex.
    pub branch: Vec<String>,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum ProofError {
    #[error("the proof's schema is {found:?}; this program checks {:?}", TradeProof::SCHEMA)]
    Schema { found: String },
    #[error("the headers are not a valid chain: {0}")]
    Headers(#[from] BlockError),
    #[error("the proof is for block {height}; there are {headers} headers")]
    Height { height: u64, headers: usize },
    #[error("{field} is not {expected}")]
    Hex { field: &'static str, expected: &'static str },
    #[error("leaf {index} of {leaves} with this branch of {branch} hashes: no tree has it")]
    Shape { index: u32, leaves: u32, branch: usize },
    #[error("the message is no command with events: {0}")]
    Message(#[from] DecodeError),
    #[error("the message has {bytes} bytes: a command has 64, each event 32, and there is at least one event")]
    Length { bytes: usize },
    #[error("the message is a refused command: no block holds one")]
    Refused,
    #[error("the proof leads to Merkle root {found}; header {height} says {expected}")]
    Root { height: u64, expected: String, found: String },
}

impl TradeProof {
    /// Name and version of the JSON layout.
    pub const SCHEMA: &'static str = "joulebook.proof.v1";

    /// The proof for the transaction with this sequence, if the block holds it.
    pub fn of(stored: &StoredBlock, sequence: Sequence) -> Option<TradeProof> {
        let (at, (command, events)) =
            stored.transactions().enumerate().find(|(_, (command, _))| command.sequence == sequence)?;
        let leaves = stored.leaves();
        let branch = merkle::branch(&leaves, at + 1);
        Some(TradeProof {
            schema: Self::SCHEMA.to_string(),
            height: stored.seal.height,
            index: at as u32 + 1,
            leaves: leaves.len() as u32,
            message: data_encoding::HEXLOWER.encode(&transaction_message(&command, events)),
            branch: branch.iter().map(to_hex).collect(),
        })
    }

    /// Checks the headers and the proof against them; returns what it proves.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn check(&self, chain: &HeaderChain) -> Result<(Sequenced, Vec<Event>), ProofError> {
        if self.schema != Self::SCHEMA {
            return Err(ProofError::Schema { found: self.schema.clone() });
        }
        chain.check()?;
        let headers = &chain.headers;
        let header = usize::try_from(self.height).ok().and_then(|height| headers.get(height));
        let header = header.ok_or(ProofError::Height { height: self.height, headers: headers.len() })?;
        let branch: Option<Vec<Digest>> = self.branch.iter().map(|hash| from_hex(hash)?.try_into().ok()).collect();
        let branch = branch.ok_or(ProofError::Hex { field: "branch", expected: "a list of 64 hex digits each" })?;
        let Self { index, leaves, .. } = *self;
        // Leaf 0 is the seal record's, never a transaction's.
        let shape = ProofError::Shape { index, leaves, branch: branch.len() };
        if index == 0 {
            return Err(shape);
        }
        let message = from_hex(&self.message).ok_or(ProofError::Hex { field: "message", expected: "hex" })?;
        let found = merkle::fold_claimed_branch(sha256d(&message), index as usize, leaves as usize, &branch);
        let found = found.ok_or(shape)?;
        if found != header.merkle_root {
            let (expected, found) = (to_hex(&header.merkle_root), to_hex(&found));
            return Err(ProofError::Root { height: self.height, expected, found });
        }
        decode_message(&message)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// Without an event a message would have the 64 bytes of an inner node's, which must never pass for a transaction's.
fn decode_message(message: &[u8]) -> Result<(Sequenced, Vec<Event>), ProofError> {
    let length = ProofError::Length { bytes: message.len() };
    let Some((command, events)) = message.split_first_chunk() else { return Err(length) };
    let (events @ [_, ..], []) = events.as_chunks() else { return Err(length) };
    let command = Sequenced::decode(command)?;
    let events: Vec<Event> = events.iter().map(Event::decode).collect::<Result<_, DecodeError>>()?;
    if is_accepted(&events) { Ok((command, events)) } else { Err(ProofError::Refused) }
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Target, Tip, sample};
    use super::*;
    use crate::event::Reject;
    use data_encoding::HEXLOWER;

    fn chain() -> (Vec<StoredBlock>, HeaderChain) {
        (sample::read(&sample::file(4)).unwrap(), sample::header_chain(4))
    }

    /// Block 2's transaction with sequence 14, one with few events.
    fn proof() -> (TradeProof, HeaderChain) {
        let (blocks, headers) = chain();
        (TradeProof::of(&blocks[2], 14).unwrap(), headers)
    }

    #[test]
    fn every_transaction_can_be_proven_through_json() {
        let (blocks, headers) = chain();
        for block in &blocks {
            for (command, events) in block.transactions() {
                let proof = TradeProof::of(block, command.sequence).unwrap();
                let json = serde_json::to_string(&proof).unwrap();
                let read: TradeProof = serde_json::from_str(&json).unwrap();
                assert_eq!(read, proof);
                assert_eq!(read.check(&headers), Ok((command, events.to_vec())));
            }
        }
        // Sequence 16 was refused, and 17 is another block's.
        assert_eq!(TradeProof::of(&blocks[2], 16), None);
        assert_eq!(TradeProof::of(&blocks[2], 1), None);
        assert!(serde_json::from_str::<TradeProof>("{\"schema\": \"joulebook.proof.v1\", \"more\": 1}").is_err());
    }

    #[test]
    fn every_changed_digit_is_refused() {
        let (proof, headers) = proof();
        let other = |digit: u8| if digit == b'0' { "1" } else { "0" };
        for at in 0..proof.message.len() {
            let mut changed = proof.clone();
            changed.message.replace_range(at..=at, other(proof.message.as_bytes()[at]));
            assert!(matches!(changed.check(&headers), Err(ProofError::Root { height: 2, .. })), "digit {at}");
        }
        for level in 0..proof.branch.len() {
            for at in 0..64 {
                let mut changed = proof.clone();
                changed.branch[level].replace_range(at..=at, other(proof.branch[level].as_bytes()[at]));
                let error = changed.check(&headers).unwrap_err();
                assert!(matches!(error, ProofError::Root { .. } | ProofError::Shape { .. }), "{error}");
            }
        }
    }

    #[test]
    fn each_field_has_its_own_refusal() {
        let (proof, headers) = proof();
        let refusal = |change: fn(&mut TradeProof)| {
            let mut changed = proof.clone();
            change(&mut changed);
            changed.check(&headers).unwrap_err()
        };
        assert!(matches!(refusal(|p| p.schema.push('2')), ProofError::Schema { .. }));
        assert_eq!(refusal(|p| p.height = 4), ProofError::Height { height: 4, headers: 4 });
        assert!(matches!(refusal(|p| p.height = u64::MAX), ProofError::Height { .. }));
        assert!(matches!(refusal(|p| p.height = 1), ProofError::Root { height: 1, .. }));
        assert!(matches!(refusal(|p| p.index = 0), ProofError::Shape { .. }));
        assert!(matches!(refusal(|p| p.index = p.leaves), ProofError::Shape { .. }));
        assert!(matches!(refusal(|p| p.leaves = u32::MAX), ProofError::Shape { .. }));
        assert!(matches!(refusal(|p| p.leaves = 0), ProofError::Shape { .. }));
        assert!(matches!(refusal(|p| p.branch.truncate(1)), ProofError::Shape { .. }));
        assert!(matches!(refusal(|p| p.branch[0].truncate(62)), ProofError::Hex { field: "branch", .. }));
        assert!(matches!(refusal(|p| p.branch[0].replace_range(0..1, "x")), ProofError::Hex { field: "branch", .. }));
        assert!(matches!(refusal(|p| p.message.truncate(127)), ProofError::Hex { field: "message", .. }));
        assert!(matches!(refusal(|p| p.message.push_str("00")), ProofError::Root { .. }));
        let mut unmined = headers.clone();
        let last = &mut unmined.headers[3];
        last.merkle_root[0] ^= 1;
        let target = Target::from_bits(last.bits).unwrap();
        while target.is_met_by(&last.hash()) {
            last.nonce += 1;
        }
        assert!(matches!(proof.check(&unmined), Err(ProofError::Headers(BlockError::Work { block: 3, .. }))));
    }

    #[test]
    fn the_last_leaf_of_three_is_not_also_the_fourth() {
        let (blocks, headers) = chain();
        let proof = blocks.iter().flat_map(|block| {
            let at = |leaf: &StoredBlock| TradeProof::of(leaf, leaf.seal.last_sequence).unwrap();
            (block.seal.transactions % 2 == 0).then(|| at(block))
        });
        let mut tried = 0;
        for proof in proof {
            assert!(proof.check(&headers).is_ok());
            let (index, leaves) = (proof.index + 1, proof.leaves + 1);
            let forged = TradeProof { index, leaves, ..proof };
            assert!(matches!(forged.check(&headers), Err(ProofError::Shape { .. })));
            tried += 1;
        }
        assert!(tried > 0);
    }

    /// A proof of any message: a block of its own, with the message's hash beside a seal's.
    fn prove_anything(message: &[u8]) -> Result<(Sequenced, Vec<Event>), ProofError> {
        let beside = [7; 32];
        let merkle_root = merkle::fold_branch(sha256d(message), 1, &[beside]);
        let params = sample::params();
        let header = sample::mine(Header { merkle_root, ..Tip::genesis(params).next(0) });
        let chain = HeaderChain { params, headers: vec![header] };
        let schema = TradeProof::SCHEMA.to_string();
        let message = HEXLOWER.encode(message);
        TradeProof { schema, height: 0, index: 1, leaves: 2, message, branch: vec![to_hex(&beside)] }.check(&chain)
    }

    #[test]
    fn a_message_that_no_block_can_hold_proves_nothing() {
        let (blocks, _) = chain();
        let (command, events) = blocks[0].transactions().next().unwrap();
        let good = transaction_message(&command, events);
        assert_eq!(prove_anything(&good), Ok((command, events.to_vec())));
        // 64 bytes are an inner node's, 80 a seal record's; neither may be taken for a transaction.
        for bytes in [0, 63, 64, 80, 95, good.len() - 1] {
            assert_eq!(prove_anything(&good[..bytes]), Err(ProofError::Length { bytes }));
        }
        assert!(matches!(prove_anything(&blocks[0].seal.encode()), Err(ProofError::Length { bytes: 80 })));
        let refused = [Event::Rejected { reason: Reject::ZeroAmount }];
        assert_eq!(prove_anything(&transaction_message(&command, &refused)), Err(ProofError::Refused));
        assert!(matches!(prove_anything(&[99; 96]), Err(ProofError::Message(_))));
    }
}
