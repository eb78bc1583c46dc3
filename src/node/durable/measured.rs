//! What a measurement asks of a ledger: that segments are ready before it begins, that everything is durable when it ends, and how
//! much was written in between.

use super::board::JournalTimes;
use super::writer::AHEAD;
use super::{DurableError, DurableNode};
use crate::engine::Engine;
use crate::journal::Written;
use crate::journal::storage::Storage;
use crate::measure::{Probe, Stage, StageTimes};
use crate::node::NodeError;
use crate::wire::Reply;
use std::time::Instant;

impl<E: Engine, S: Storage> DurableNode<E, S> {
    /// Waits until the segments that are made ahead are there. As long as they last, no request waits for one to be filled. Without
    /// threads beside, a segment is made when it is needed, and there is nothing to wait for.
    ///
    /// # Errors
    /// [`DurableError::Full`], if the disk has no room for them; or as [`poll`](Self::poll).
    pub fn wait_for_segments(&self) -> Result<(), DurableError> {
        if !self.snapshots.beside {
            return Ok(());
        }
        self.board.wait(|progress| match &progress.full {
            Some(why) => Some(Err(DurableError::Full { why: why.clone() })),
            None => (progress.ahead >= AHEAD.min(progress.allowed)).then_some(Ok(())),
        })?
    }

    /// What was written to the journal since the ledger was opened.
    pub fn written(&self) -> Written {
        self.board.read().written
    }

    /// From now on, the time of the journal's thread is divided up, if the engine is looked at.
    pub fn look_at_journal(&self) {
        self.board
            .say(|progress| progress.journal = JournalTimes { since: Some(Instant::now()), ..JournalTimes::default() });
    }

    /// Where the time of the journal's thread went, since [`look_at_journal`](Self::look_at_journal).
    pub fn journal_times(&self) -> StageTimes {
        let JournalTimes { since, stage_ns } = self.board.read().journal;
        StageTimes { wall_ns: since.map_or(0.0, |since| since.elapsed().as_nanos() as f64), stage_ns }
    }

    /// Closes the block that is being filled, and waits until everything is answered, all blocks are sealed, and their seals are
    /// durable.
    ///
    /// # Errors
    /// As [`settle`](Self::settle), and when a nonce search was cancelled.
    pub fn seal(&mut self, give: &mut impl FnMut(Reply<'_>)) -> Result<(), DurableError> {
        self.guard(Self::close)?;
        self.settle(give)?;
        self.guard(|node| {
            let (height, watch) = (node.core().height, &node.watch);
            // A station whose search was cancelled says nothing any more.
            let sealed = E::Probe::rare(Stage::Wait, || {
                node.board.wait(|progress| match progress.sealed >= height {
                    true => Some(true),
                    false => watch.is_cancelled().then_some(false),
                })
            });
            if sealed? { Ok(()) } else { Err(NodeError::Cancelled.into()) }
        })
    }

    fn close(&mut self) -> Result<(), DurableError> {
        let core = self.core.as_mut().expect("taken only when it stops");
        if core.node.filling.transactions == 0 {
            return Ok(());
        }
        core.node.close_block()?;
        core.height += 1;
        let handle = self.handle.as_ref().expect("taken only when it stops");
        // Commands behind the block are not sent yet: they come into later frames than any that is there.
        let frame = self.board.read().frame + 1;
        self.snapshots.take_if_wanted(core, &[], frame, handle, &self.board)
    }
}
