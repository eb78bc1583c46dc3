//! Floor 2: blocks. Headers in Bitcoin's layout, Merkle trees over transactions and over accounts, the chain as a file,
//! and proofs of single transactions.

mod body;
mod chain_file;
mod check;
mod header;
mod header_chain;
mod leaves;
pub mod merkle;
mod params;
mod proof;
#[cfg(test)]
mod sample;
mod seal_record;
mod state_tree;
mod target;
mod tip;

pub use body::{Body, Stamp, leaf, transaction_message};
pub use chain_file::{ChainFileError, ChainReader, ChainWriter, StoredBlock};
pub use check::{BlockError, LastTransaction, check_block};
pub use header::Header;
pub use header_chain::{HeaderChain, HeaderFileError};
pub use params::{ChainParams, ParamsError, Retarget};
pub use proof::{ProofError, TradeProof};
pub use seal_record::SealRecord;
pub use state_tree::StateTree;
pub use target::{Target, TargetError};
pub use tip::Tip;
