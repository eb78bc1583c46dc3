//! Writes the settlement scenario as a chain file, from genesis, so that anybody can verify it.

use super::ScenarioError;
use super::player::{START_NS, STEP_NS, Setting};
use crate::block::{ChainParams, ChainWriter};
use crate::engine::Engine;
use crate::node::{BlockPolicy, BlockSink, Clock, Node, NodeError, Stack};
use crate::optimized::Optimized;
use crate::workload::Stream;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Plays the stream on the optimized stack, setup included, and writes every block to `path`.
///
/// # Errors
/// The file cannot be written, or the run was cancelled; the file then holds what was sealed until then, a valid chain.
pub fn write(path: &Path, setting: &Setting, stream: &Stream) -> Result<(), ScenarioError> {
    let failed = |error: &dyn std::fmt::Display| ScenarioError::Chain(format!("{}: {error}", path.display()));
    let params = ChainParams::fixed(stream.rules, setting.bits);
    let file = File::create(path).map_err(|error| failed(&error))?;
    let writer = ChainWriter::create(BufWriter::new(file), &params).map_err(|error| failed(&error))?;
    // The sealing thread writes, this one finishes the file.
    let writer = Arc::new(Mutex::new(writer));
    let shared = writer.clone();
    let sink: BlockSink = Box::new(move |header, seal, body| {
        let mut writer = shared.lock().expect("nobody panics while writing");
        writer.append(header, seal, body).map_err(|error| error.to_string())
    });
    let policy = BlockPolicy {
        transactions: setting.block_transactions,
        interval: setting.block_interval,
        plan: Stack::OPTIMIZED.plan,
    };
    let clock = Clock::Simulated { start: START_NS, step: STEP_NS };
    let engine = Optimized::new(stream.rules);
    let mut node = Node::new(engine, 1, params, policy, clock, setting.watch.clone(), Some(sink));
    let played =
        stream.setup.chunks(1_024).chain(stream.commands.chunks(1_024)).try_for_each(|batch| node.submit(batch, 0));
    let ended = played.and_then(|()| node.finish().map(drop));
    let writer = Arc::into_inner(writer).expect("the node is gone").into_inner().expect("nobody panicked");
    writer.finish().map_err(|error| failed(&error))?;
    match ended {
        Err(NodeError::Sink { reason, .. }) => Err(failed(&reason)),
        other => Ok(other?),
    }
}
