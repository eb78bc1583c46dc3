//! The ledger itself: what carries commands out, in the same way when they are new and when they are replayed.

use super::DurableError;
use super::sessions::{Group, Part, Sessions};
use crate::command::Command;
use crate::engine::Engine;
use crate::measure::{Probe, Stage};
use crate::node::Node;
use crate::types::{Sequence, TimeNs};
use std::sync::Arc;

/// State, chain and sessions after the same commands.
pub struct Core<E: Engine> {
    pub node: Node<E, E::Probe>,
    pub sessions: Sessions,
    /// When the last command was sequenced.
    pub time: TimeNs,
    /// Blocks that were closed.
    pub height: u64,
    /// Memory of groups that nobody needs any more.
    pub spare: Vec<Group>,
}

/// Is told of a block that closed, with the claims of what was not carried out then.
pub type Closed<'a, E> = dyn FnMut(&Core<E>, &[Part]) -> Result<(), DurableError> + 'a;

impl<E: Engine> Core<E> {
    /// Sequence of the next command.
    pub fn next(&self) -> Sequence {
        self.node.next
    }

    /// An empty group from this command on.
    pub fn group(&mut self, first: Sequence) -> Group {
        let mut group = self.spare.pop().unwrap_or_default();
        group.clear();
        Group { first, ..group }
    }

    /// Carries out the commands of a group whose requests were claimed. Returns it with its events, in parts: one more for each
    /// block that closed within it. `closed` is told of each such block, with the claims of what was not carried out then.
    pub fn carry_out(
        &mut self,
        commands: &[Command],
        time: TimeNs,
        mut group: Group,
        parts_done: &mut Vec<Arc<Group>>,
        closed: &mut Closed<'_, E>,
    ) -> Result<(), DurableError> {
        self.time = time;
        if self.node.close_if_old(time)? {
            self.height += 1;
            closed(self, &group.parts)?;
        }
        let mut rest = commands;
        while !rest.is_empty() {
            let done = self.node.fill(rest, time);
            rest = &rest[done..];
            group.log.extend_from_end_of(&self.node.filling.body.log, done);
            E::Probe::lap(Stage::Answers);
            if self.node.close_if_full()? {
                self.height += 1;
                let behind = group.split_parts(group.log.len());
                let next = Group { parts: behind, ..self.group(self.next()) };
                self.keep(std::mem::replace(&mut group, next), parts_done);
                closed(self, &group.parts)?;
            }
        }
        self.keep(group, parts_done);
        Ok(())
    }

    fn keep(&mut self, group: Group, parts_done: &mut Vec<Arc<Group>>) {
        if group.log.is_empty() {
            return;
        }
        let group = Arc::new(group);
        parts_done.push(group.clone());
        self.spare.extend(self.sessions.keep(group));
        E::Probe::lap(Stage::Answers);
    }
}
