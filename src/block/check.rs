//! What can be checked of a block without replaying it: linkage, work, and that it holds what its header commits to.

use super::leaves::append_leaves;
use super::{Header, StoredBlock, Tip, merkle};
use crate::command::Sequenced;
use crate::event::is_accepted;
use crate::hash::{Digest, Platform, sha256d, to_hex};
use crate::types::{Sequence, TimeNs};
use thiserror::Error;

/// The transaction before a block, which the block's own must come after: an order's id is its sequence, so no sequence may
/// come twice in a chain. The default stands before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastTransaction {
    /// Its sequence.
    pub sequence: Sequence,
    /// When it was sequenced, in ns.
    pub time: TimeNs,
}

impl LastTransaction {
    /// Of a list, or of what was before it.
    pub fn of(self, commands: &[Sequenced]) -> Self {
        commands.last().map_or(self, |last| LastTransaction { sequence: last.sequence, time: last.time })
    }
}

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum BlockError {
    #[error("block {block}: version {found}, expected {}", Header::VERSION)]
    Version { block: u64, found: u32 },
    #[error("block {block}: its parent is {found}, the block before it is {expected}")]
    Link { block: u64, expected: String, found: String },
    #[error("block {block}: its target bits are {found:#010x}, this block's must be {expected:#010x}")]
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
    #[error("block {block}: its first and last sequence are not those that its seal says ({first} to {last})")]
    Sequences { block: u64, first: u64, last: u64 },
    #[error("block {block}: transaction {transaction} has sequence {sequence} and time {time}, not after {before:?}")]
    Order { block: u64, transaction: usize, sequence: u64, time: u64, before: LastTransaction },
    #[error("block {block}: its contents have Merkle root {found}, its header says {expected}")]
    MerkleRoot { block: u64, expected: String, found: String },
}

/// Checks that a block can be the next one behind `tip`, whose last transaction was `previous`, and that it holds what its header commits to. Returns its hash. What this cannot tell is
/// whether the events and the state root are right: that takes a replay.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_block(stored: &StoredBlock, tip: &Tip, previous: LastTransaction) -> Result<Digest, BlockError> {
    let block = tip.height();
    let hash = tip.check(&stored.header)?;
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
    let mut before = previous;
    for (transaction, &Sequenced { sequence, time, .. }) in stored.commands.iter().enumerate() {
        // The last of all sequences has no successor, and is never given.
        if sequence <= before.sequence || sequence == Sequence::MAX || time < before.time {
            return Err(BlockError::Order { block, transaction, sequence, time, before });
        }
        before = LastTransaction { sequence, time };
    }
    if first.sequence != seal.first_sequence || last.sequence != seal.last_sequence {
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
        append_leaves(Platform::chosen(), self.transactions(), &mut leaves);
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Target, sample};
    use super::*;
    use crate::event::{Event, Reject};

    /// The first two blocks of the sample chain.
    fn blocks() -> (StoredBlock, StoredBlock) {
        let mut blocks = sample::read(&sample::file(2)).unwrap().into_iter();
        (blocks.next().unwrap(), blocks.next().unwrap())
    }

    fn behind(block: &StoredBlock) -> LastTransaction {
        LastTransaction::default().of(&block.commands)
    }

    /// What is said of the second block after this change. Its Merkle root and work are done again, so that nothing but
    /// the change is wrong with it.
    fn refusal(change: impl FnOnce(&mut StoredBlock)) -> BlockError {
        let (first, mut second) = blocks();
        change(&mut second);
        second.header.merkle_root = merkle::root(&second.leaves());
        second.header = sample::mine(second.header);
        check_block(&second, &sample::tip_behind(&first), behind(&first)).unwrap_err()
    }

    #[test]
    fn each_rule_has_its_own_refusal() {
        use BlockError::*;
        let block = 1;
        assert!(matches!(refusal(|b| b.header.version = 2), Version { block: 1, found: 2 }));
        assert!(matches!(refusal(|b| b.header.previous[0] ^= 1), Link { block: 1, .. }));
        let bits = Target::from_leading_zero_bits(3).to_bits();
        let expected = sample::params().bits;
        assert_eq!(refusal(|b| b.header.bits = bits), Bits { block, expected, found: bits });
        assert!(matches!(refusal(|b| b.header.time = 0), Time { block: 1, found: 0, .. }));
        assert!(matches!(refusal(|b| b.header.time += 1), TransactionTime { block: 1, .. }));
        assert_eq!(refusal(|b| b.seal.height = 2), Height { block, found: 2 });
        let transactions = blocks().1.commands.len() as u32;
        let (expected, found) = (transactions + 1, u64::from(transactions));
        assert_eq!(refusal(|b| b.seal.transactions += 1), Count { block, expected, found });
        assert!(matches!(refusal(|b| b.seal.first_sequence -= 1), Sequences { block: 1, .. }));
        assert!(matches!(refusal(|b| b.seal.last_sequence += 1), Sequences { block: 1, .. }));
        assert!(matches!(refusal(|b| b.commands[2].sequence = b.commands[1].sequence), Order { transaction: 2, .. }));
        assert!(matches!(refusal(|b| b.commands[2].time = b.commands[1].time - 1), Order { transaction: 2, .. }));
        // A sequence of the block before, also where the seal says the same.
        let repeated = refusal(|b| (b.commands[0].sequence, b.seal.first_sequence) = (1, 1));
        assert!(matches!(repeated, Order { block: 1, transaction: 0, sequence: 1, .. }), "{repeated}");
        assert!(matches!(refusal(|b| b.commands.last_mut().unwrap().sequence = u64::MAX), Order { .. }));
        let empty = refusal(|b| {
            b.seal.transactions = 0;
            (b.commands, b.events, b.ends) = Default::default();
        });
        assert_eq!(empty, Empty { block });
        let eventless = refusal(|b| b.ends[0] = 0);
        assert_eq!(eventless, Refused { block, transaction: 0 });
        let refused = refusal(|b| {
            let at = b.ends[0] as usize;
            b.events.insert(at, Event::Rejected { reason: Reject::ZeroAmount });
            b.events.drain(at + 1..b.ends[1] as usize + 1);
            let removed = b.ends[1] - b.ends[0] - 1;
            b.ends[1..].iter_mut().for_each(|end| *end -= removed);
        });
        assert_eq!(refused, Refused { block, transaction: 1 });
    }

    #[test]
    fn a_block_that_lost_its_work_or_its_contents_is_refused() {
        let (first, second) = blocks();
        let check = |stored: &StoredBlock| check_block(stored, &sample::tip_behind(&first), behind(&first));
        assert_eq!(check(&second), Ok(second.header.hash()));
        let target = Target::from_bits(second.header.bits).unwrap();
        for nonce in 0..64 {
            let header = Header { nonce, ..second.header };
            let found = check(&StoredBlock { header, ..second.clone() });
            assert_eq!(found.is_ok(), target.is_met_by(&header.hash()), "nonce {nonce}");
            assert!(matches!(found, Ok(_) | Err(BlockError::Work { block: 1, .. })));
        }
        let root = |change: fn(&mut StoredBlock)| {
            let mut changed = second.clone();
            change(&mut changed);
            assert!(matches!(check(&changed), Err(BlockError::MerkleRoot { block: 1, .. })));
        };
        root(|b| b.seal.state_root[31] ^= 1);
        root(|b| b.seal.extra_nonce += 1);
        root(|b| b.commands[0].time += 1);
        root(|b| b.events[0] = b.events[b.events.len() - 1]);
    }

    #[test]
    fn a_list_with_doubled_leaves_has_the_same_root_and_is_refused() {
        // CVE-2012-2459: of three leaves, the last counts twice, so four with it written down twice have the same root.
        let (first, _) = blocks();
        let mut body = sample::body(9, 2);
        let (header, seal) = sample::block(1, first.header.hash(), &body);
        let mut commands: Vec<_> = body.transactions().map(|(command, _)| command).collect();
        let (events, mut ends) = (std::mem::take(&mut body.log.events), std::mem::take(&mut body.log.ends));
        let stored =
            StoredBlock { header, seal, commands: commands.clone(), events: events.clone(), ends: ends.clone() };
        let check = |stored| check_block(stored, &sample::tip_behind(&first), behind(&first));
        assert_eq!(check(&stored), Ok(header.hash()));
        let last = events[ends[0] as usize..].to_vec();
        let events = [events, last].concat();
        commands.push(commands[1]);
        ends.push(events.len() as u32);
        let doubled = StoredBlock { header, seal, commands, events, ends };
        assert_eq!(merkle::root(&doubled.leaves()), header.merkle_root);
        assert_eq!(check(&doubled), Err(BlockError::Count { block: 1, expected: 2, found: 3 }));
    }
}
