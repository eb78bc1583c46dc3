//! Floor 4: the conductor. Commands are sequenced, applied, collected into a block, and the block is sealed.
//!
//! ```text
//! submit --> [sequence, time] --> engine --> body (commands, events) --close--> station: state root, leaves, nonce
//!                                              ^                                   |
//!                                              +---------- emptied buffers --------+
//! ```
//!
//! With `beside`, the station runs on a thread of its own: the engine fills block n + 1 while block n is sealed, and
//! waits when that takes longer than filling. One block waits in between at most, so nothing grows without bound.

mod clock;
pub mod durable;
mod stack;
mod station;
pub mod verify;

pub use clock::Clock;
pub use stack::{Durability, EngineKind, EngineVisitor, SealPlan, Stack};
pub use station::{BlockSink, ClosedBlock, NodeError, Seal, SealStation, SealTotals};

use crate::block::ChainParams;
use crate::command::{Batch, Command};
use crate::engine::{AccountRecord, Engine};
use crate::event::EventLog;
use crate::measure::{Off, Probe, Stage};
use crate::seal::Watch;
use crate::types::{AccountId, Sequence, TimeNs};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Refused commands stay in a block's buffers until it closes. When there are this many commands per transaction that
/// the block may hold, it closes early (or is emptied, without a transaction), so that floods of refusals use no more memory.
const COMMANDS_PER_TRANSACTION_MAX: usize = 16;

/// When a block closes, and how it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct BlockPolicy {
    /// Transactions at which a block closes; at least 1.
    pub transactions: u32,
    /// Age in ns, by the commands' time, at which it closes; `None` for never.
    pub interval: Option<TimeNs>,
    /// How it is sealed.
    pub plan: SealPlan,
}

/// An engine with its chain. Drop it or [`finish`](Node::finish) it: only the latter seals the last, partial block. `P` looks at
/// where the time of the thread goes that submits.
pub struct Node<E: Engine, P: Probe = Off> {
    engine: E,
    clock: Clock,
    next: Sequence,
    policy: BlockPolicy,
    filling: ClosedBlock,
    /// Time of the first command of the block being filled.
    opened: TimeNs,
    sealing: Sealing,
    /// In a replay: the sequences at which the next blocks were closed.
    closings: VecDeque<Sequence>,
    sample_latency: bool,
    probe: PhantomData<P>,
}

enum Sealing {
    Here {
        station: Box<SealStation>,
        spare: ClosedBlock,
    },
    Beside {
        to: SyncSender<ClosedBlock>,
        back: Receiver<ClosedBlock>,
        /// Taken when it is joined.
        thread: Option<JoinHandle<Result<Box<SealStation>, NodeError>>>,
    },
}

impl<E: Engine> Node<E> {
    /// A node that goes on from the engine's state: its next command has sequence `next`, its next block height 0.
    ///
    /// # Panics
    /// If [`ChainParams::validate`] refuses the parameters, or blocks are to hold no transaction.
    pub fn new(
        mut engine: E,
        next: Sequence,
        params: ChainParams,
        policy: BlockPolicy,
        clock: Clock,
        watch: Arc<Watch>,
        sink: Option<BlockSink>,
    ) -> Self {
        params.validate().expect("parameters that a chain can be made with");
        // What changed before this node is no part of its first block, but of the state it starts from.
        engine.take_changed(&mut Vec::new());
        let station = SealStation::new(params, policy.plan, records(&engine), watch, sink);
        Self::with_station(engine, next, policy, clock, station, VecDeque::new())
    }

    /// A node that goes on from the engine's state, with a station that goes on from the same state. Blocks close at
    /// `closings`, the sequences of their last transactions, as long as there are some.
    fn with_station(
        engine: E,
        next: Sequence,
        policy: BlockPolicy,
        clock: Clock,
        station: SealStation,
        closings: VecDeque<Sequence>,
    ) -> Self {
        assert!(policy.transactions > 0, "a block holds at least one transaction");
        let ascends = closings.iter().is_sorted_by(|a, b| a < b) && closings.front().is_none_or(|&first| first >= next);
        assert!(ascends, "blocks close one after the other, and not before the next command");
        let sealing = if policy.plan.beside {
            Sealing::beside(station)
        } else {
            Sealing::Here { station: Box::new(station), spare: ClosedBlock::default() }
        };
        let filling = ClosedBlock::default();
        let (opened, sample_latency, probe) = (0, false, PhantomData);
        Node { engine, clock, next, policy, filling, opened, sealing, closings, sample_latency, probe }
    }
}

impl<E: Engine, P: Probe> Node<E, P> {
    /// The same node, looked at by another probe from now on.
    pub fn probed<Q: Probe>(self) -> Node<E, Q> {
        let Node { engine, clock, next, policy, filling, opened, sealing, closings, sample_latency, .. } = self;
        Node { engine, clock, next, policy, filling, opened, sealing, closings, sample_latency, probe: PhantomData }
    }

    /// From now on, the time from submission to sealed block is recorded for each call of [`submit`](Self::submit).
    pub fn sample_latency(&mut self) {
        self.sample_latency = true;
    }

    /// The engine, to read from.
    #[inline]
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Sequences and applies commands, and closes blocks as they fill. `operations` is how many operations these commands
    /// are, for the latency samples.
    ///
    /// # Errors
    /// The sealing of a block failed or was cancelled; the node must not be used any more then.
    pub fn submit(&mut self, commands: &[Command], operations: u32) -> Result<(), NodeError> {
        self.submit_and_see(commands, operations, |_, _| ())
    }

    /// As [`submit`](Self::submit). `see` gets the log in which the last outcomes, so many, are those of the commands that were just
    /// carried out: at once, and before the block may close. It is called in the order of the commands.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_and_see(
        &mut self,
        commands: &[Command],
        operations: u32,
        mut see: impl FnMut(&EventLog, usize),
    ) -> Result<(), NodeError> {
        P::turn();
        let time = self.clock.read(self.next);
        self.close_if_old(time)?;
        if self.sample_latency {
            self.filling.submitted.push((Instant::now(), operations));
        }
        let mut rest = commands;
        while !rest.is_empty() {
            let now = self.fill(rest, time);
            see(&self.filling.body.log, now);
            rest = &rest[now..];
            self.close_if_full()?;
        }
        Ok(())
    }

    /// Closes the block if it is older than the policy lets it become, and says whether it did.
    fn close_if_old(&mut self, time: TimeNs) -> Result<bool, NodeError> {
        let closes = self.is_old(time);
        if closes {
            self.close_block()?;
        }
        Ok(closes)
    }

    fn is_old(&self, time: TimeNs) -> bool {
        let age = time.saturating_sub(self.opened);
        let old = self.policy.interval.is_some_and(|interval| age >= interval);
        old && self.closings.is_empty() && self.filling.transactions > 0
    }

    /// Applies the first of these commands, as many as the block has room for, and says how many. The last events in the
    /// block's log are theirs.
    fn fill(&mut self, commands: &[Command], time: TimeNs) -> usize {
        let room = match self.closings.front() {
            Some(last) => (last + 1 - self.next) as usize,
            // A command is at most one transaction, so this many cannot overfill the block.
            None => (self.policy.transactions.saturating_sub(self.filling.transactions)).max(1) as usize,
        };
        let now = &commands[..room.min(commands.len())];
        if self.filling.transactions == 0 {
            self.opened = time;
        }
        let batch = Batch { first: self.next, time, commands: now };
        self.filling.transactions += self.engine.apply(batch, &mut self.filling.body.log);
        P::lap(Stage::Match);
        self.filling.body.push(batch);
        P::lap(Stage::Events);
        self.next += now.len() as Sequence;
        now.len()
    }

    /// Closes the block if it is full, and says whether it did. Looked at after each [`fill`](Self::fill).
    fn close_if_full(&mut self) -> Result<bool, NodeError> {
        let ClosedBlock { transactions, body, .. } = &self.filling;
        let flooded = body.commands.len() >= COMMANDS_PER_TRANSACTION_MAX * self.policy.transactions as usize;
        let closes = match self.closings.front() {
            Some(&last) => self.next > last,
            None => *transactions >= self.policy.transactions || (flooded && *transactions > 0),
        };
        if closes {
            self.closings.pop_front();
            self.close_block()?;
        } else if flooded && *transactions == 0 {
            self.filling.clear();
        }
        Ok(closes)
    }

    fn close_block(&mut self) -> Result<(), NodeError> {
        let Node { engine, filling, sealing, .. } = self;
        P::rare(Stage::StateRoot, || {
            engine.take_changed(&mut filling.changed);
            filling.accounts = engine.accounts();
        });
        let full = std::mem::take(filling);
        *filling = P::rare(Stage::Wait, || sealing.hand_over(full))?;
        Ok(())
    }

    /// Waits until all closed blocks are sealed. From then on, blocks are sealed here.
    fn wait_for_station(&mut self) -> Result<(), NodeError> {
        if let Sealing::Beside { to, thread, .. } = &mut self.sealing {
            // With its sender gone, the thread ends behind the last block.
            *to = sync_channel(1).0;
            let station = join(thread.take().expect("joined once"))?;
            self.sealing = Sealing::Here { station, spare: ClosedBlock::default() };
        }
        Ok(())
    }

    /// Seals what is left as a last block, waits for the station, and gives back the engine and what was sealed.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn finish(mut self) -> Result<(E, SealTotals), NodeError> {
        if self.filling.transactions > 0 {
            self.close_block()?;
        }
        let Node { engine, sealing, .. } = self;
        Ok((engine, P::rare(Stage::Wait, || sealing.finish())?))
    }
}

impl Sealing {
    fn beside(mut station: SealStation) -> Sealing {
        let (to, closed) = sync_channel::<ClosedBlock>(1);
        let (emptied, back) = channel();
        let thread = std::thread::spawn(move || {
            loop {
                let since = Instant::now();
                let Ok(mut block) = closed.recv() else { break };
                station.waited(since.elapsed().as_nanos() as f64);
                station.seal(&block)?;
                block.clear();
                // Nobody waits for buffers any more when the node finishes.
                let _ = emptied.send(block);
            }
            Ok(Box::new(station))
        });
        Sealing::Beside { to, back, thread: Some(thread) }
    }

    /// Passes a block on and returns an empty one.
    fn hand_over(&mut self, block: ClosedBlock) -> Result<ClosedBlock, NodeError> {
        match self {
            Sealing::Here { station, spare } => {
                station.seal(&block)?;
                let mut next = std::mem::replace(spare, block);
                next.clear();
                Ok(next)
            }
            Sealing::Beside { to, back, thread } => {
                if to.send(block).is_err() {
                    // The station has ended, and it ends early only with an error: the thread's result says which.
                    let ended = join(thread.take().expect("joined once"));
                    return Err(ended.err().expect("a station that could go on would have taken the block"));
                }
                Ok(back.try_recv().unwrap_or_default())
            }
        }
    }

    fn finish(self) -> Result<SealTotals, NodeError> {
        match self {
            Sealing::Here { station, .. } => Ok(station.into_totals()),
            Sealing::Beside { to, back, thread } => {
                drop((to, back));
                join(thread.expect("joined once")).map(|station| station.into_totals())
            }
        }
    }
}

/// The records of all accounts.
fn records<E: Engine>(engine: &E) -> impl Iterator<Item = AccountRecord> {
    let record = |id| engine.record(AccountId(id)).expect("ids are dense");
    (0..engine.accounts()).map(record)
}

fn join(thread: JoinHandle<Result<Box<SealStation>, NodeError>>) -> Result<Box<SealStation>, NodeError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{SealRecord, Tip};
    use crate::engine::state_digest;
    use crate::optimized::Optimized;
    use crate::types::{Rules, Sequence};
    use std::sync::Mutex;

    const PLAN: SealPlan = SealPlan { search: crate::seal::Search::Parallel, fast_hashing: true, beside: false };

    fn policy(plan: SealPlan) -> BlockPolicy {
        BlockPolicy { transactions: 50, interval: None, plan }
    }

    /// Commands of a few kinds, every fifth of which is refused.
    fn command(number: u64) -> Command {
        let (account, to) = (AccountId(number as u32 % 7), AccountId(number as u32 % 5 + 1));
        match number {
            0..7 => Command::OpenAccount { address: [number as u8 + 1; 32] },
            _ if number.is_multiple_of(5) => Command::Mint { account, amount: 0 },
            _ if number.is_multiple_of(3) => Command::MeterCredit { account, amount: number },
            _ if account == to || number.is_multiple_of(4) => Command::Mint { account, amount: number },
            _ => Command::Transfer { token: crate::types::Token::Energy, from: account, to, amount: 1 },
        }
    }

    /// Plays commands with these seals known beforehand; returns what was sealed, all seals, and the state's digest.
    fn play(plan: SealPlan, recorded: Vec<Seal>) -> Result<(SealTotals, Vec<Seal>, crate::hash::Digest), NodeError> {
        let commands: Vec<Command> = (0..3_000).map(command).collect();
        let params = ChainParams::fixed(Rules::default(), 0x2003_ffff);
        let mut engine = Optimized::new(Rules::default());
        engine.take_changed(&mut Vec::new());
        let seals = Arc::new(Mutex::new(Vec::new()));
        let theirs = seals.clone();
        let sink: BlockSink = Box::new(move |header, record, _| {
            theirs.lock().unwrap().push((*header, *record));
            Ok(())
        });
        let closings = recorded.iter().map(|(_, record): &(_, SealRecord)| record.last_sequence).collect();
        let (tip, watch) = (Tip::genesis(params), Arc::new(Watch::new()));
        let station = SealStation::resume(tip, recorded.into(), plan, records(&engine), watch, Some(sink));
        let clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 10_000_000 };
        let mut node = Node::with_station(engine, 1 as Sequence, policy(plan), clock, station, closings);
        for batch in commands.chunks(37) {
            node.submit(batch, 1)?;
        }
        let (engine, totals) = node.finish()?;
        let seals = std::mem::take(&mut *seals.lock().unwrap());
        Ok((totals, seals, state_digest(&engine)))
    }

    #[test]
    fn a_chain_goes_on_where_it_was_left() {
        let (totals, seals, digest) = play(PLAN, Vec::new()).unwrap();
        assert!(seals.len() > 10 && totals.hashes > 0, "{totals:?}");
        for plan in [PLAN, SealPlan { beside: true, ..PLAN }] {
            for known in [seals.len(), seals.len() / 2, 1] {
                let (again, sealed, same) = play(plan, seals[..known].to_vec()).unwrap();
                assert_eq!((again.tip, &sealed, same), (totals.tip, &seals, digest));
                assert_eq!(again.hashes == 0, known == seals.len(), "what is known is not searched");
            }
        }
    }

    /// Two nodes, one after the other, seal one chain: the second goes on with the first one's engine at the end of its chain.
    #[test]
    fn a_second_node_goes_on_at_the_end_of_the_chain() {
        let commands: Vec<Command> = (0..3_000).map(command).collect();
        let params = ChainParams::fixed(Rules::default(), 0x2003_ffff);
        let clock = Clock::Simulated { start: 1_800_000_000_000_000_000, step: 10_000_000 };
        let chain = Arc::new(Mutex::new((Tip::genesis(params), Vec::new())));
        let (mut engine, mut next) = (Optimized::new(Rules::default()), 1);
        engine.take_changed(&mut Vec::new());
        // Times are read once per submission: the same ones as in `play`.
        for half in commands.chunks(37 * 40) {
            let theirs = chain.clone();
            let sink: BlockSink = Box::new(move |header, record, _| {
                let (tip, seals) = &mut *theirs.lock().unwrap();
                tip.extend(header, tip.check(header).map_err(|error| error.to_string())?);
                seals.push((*header, *record));
                Ok(())
            });
            let (tip, watch) = (chain.lock().unwrap().0.clone(), Arc::new(Watch::new()));
            let station = SealStation::resume(tip, VecDeque::new(), PLAN, records(&engine), watch, Some(sink));
            let mut node = Node::with_station(engine, next, policy(PLAN), clock, station, VecDeque::new());
            half.chunks(37).for_each(|batch| node.submit(batch, 1).unwrap());
            (next, engine) = (node.next, node.finish().unwrap().0);
        }
        let (tip, seals) = chain.lock().unwrap().clone();
        assert_eq!((tip.height(), next), (seals.len() as u64, 3_001));
        // One node that plays it all from the start derives each of these blocks.
        let (again, sealed, digest) = play(PLAN, seals.clone()).unwrap();
        assert_eq!((again.tip, again.hashes, sealed, digest), (tip.hash(), 0, seals, state_digest(&engine)));
    }

    #[test]
    fn a_seal_that_its_commands_do_not_give_is_refused() {
        let (_, seals, _) = play(PLAN, Vec::new()).unwrap();
        let damage: [fn(&mut Seal); 4] = [
            |(header, _)| header.nonce ^= 1,
            |(header, _)| header.merkle_root[7] ^= 1,
            |(_, record)| record.state_root[9] ^= 1,
            |(_, record)| record.extra_nonce += 1,
        ];
        for change in damage {
            let mut changed = seals.clone();
            change(&mut changed[4]);
            let error = play(PLAN, changed).unwrap_err();
            assert!(matches!(error, NodeError::Differs { height: 4, .. }), "{error}");
        }
    }
}
