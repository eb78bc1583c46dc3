//! A proof that one transaction, an order with its fills say, is in a chain, checked against the chain's headers alone.

use super::body::transaction_message;
use super::{BlockError, Header, StoredBlock, check_headers, merkle};
use crate::command::Sequenced;
use crate::event::Event;
use crate::hash::{Digest, sha256, to_hex};
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
    /// Number of leaves in the block.
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
    #[error("leaf {index} of {leaves} with a branch of {branch} hashes: such a tree does not exist")]
    Shape { index: u32, leaves: u32, branch: usize },
    #[error("the message is no command with events: {0}")]
    Message(#[from] DecodeError),
    #[error("the message has {bytes} bytes: a command has 64 and each event 32")]
    Length { bytes: usize },
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
    pub fn check(&self, headers: &[Header]) -> Result<(Sequenced, Vec<Event>), ProofError> {
        if self.schema != Self::SCHEMA {
            return Err(ProofError::Schema { found: self.schema.clone() });
        }
        check_headers(headers)?;
        let header = usize::try_from(self.height).ok().and_then(|height| headers.get(height));
        let header = header.ok_or(ProofError::Height { height: self.height, headers: headers.len() })?;
        let branch: Option<Vec<Digest>> = self.branch.iter().map(|hash| from_hex(hash)?.try_into().ok()).collect();
        let branch = branch.ok_or(ProofError::Hex { field: "branch", expected: "a list of 64 hex digits each" })?;
        let Self { index, leaves, .. } = *self;
        // Leaf 0 is the seal record's, never a transaction's.
        if index == 0 || index >= leaves || branch.len() != merkle::branch_len(leaves as usize) {
            return Err(ProofError::Shape { index, leaves, branch: branch.len() });
        }
        let message = from_hex(&self.message).ok_or(ProofError::Hex { field: "message", expected: "hex" })?;
        let found = merkle::fold_branch(sha256(&sha256(&message)), index as usize, &branch);
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

fn decode_message(message: &[u8]) -> Result<(Sequenced, Vec<Event>), ProofError> {
    let length = ProofError::Length { bytes: message.len() };
    let Some((command, events)) = message.split_first_chunk() else { return Err(length) };
    let (events, []) = events.as_chunks() else { return Err(length) };
    let events: Result<Vec<Event>, DecodeError> = events.iter().map(Event::decode).collect();
    Ok((Sequenced::decode(command)?, events?))
}
