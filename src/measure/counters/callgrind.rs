//! What valgrind's Callgrind counted of parts of the work: instructions, branches and caches of a model of a CPU, which every machine
//! can run. `profiling/callgrind.sh --json FILE` writes the file (schema `joulebook.instructions.v1`).

use super::{Counter, Sample, Source, Tally};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use thiserror::Error;

const SCHEMA: &str = "joulebook.instructions.v1";

/// Why a file is no record of Callgrind's.
#[derive(Debug, Error)]
pub enum CallgrindError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{path} is not what profiling/callgrind.sh --json writes ({SCHEMA}): {reason}")]
    Content {
        /// The file.
        path: String,
        /// What was found.
        reason: String,
    },
}

/// What was counted of one build.
#[derive(Clone, Debug, Deserialize)]
pub struct Callgrind {
    schema: String,
    /// The commit that was counted.
    pub revision: String,
    /// Valgrind, by its version.
    pub valgrind: String,
    /// The hashing kernel that it ran: valgrind knows fewer than the machine.
    pub hashing: String,
    /// Accounts of the stream that was played.
    pub users: u32,
    /// Orders at its start.
    pub orders: u32,
    parts: Vec<Counts>,
}

#[derive(Clone, Debug, Deserialize)]
struct Counts {
    name: String,
    operations: u64,
    instructions: u64,
    branches: u64,
    branch_misses: u64,
    data_reads: u64,
    l1d_read_misses: u64,
    llc_misses: u64,
}

/// What was counted of a part: a [`Source`] with one reading.
#[derive(Clone, Debug)]
pub struct Part {
    /// Operations of the part: orders, calls of the ledger, leaves, nonces.
    pub operations: u64,
    /// All of them together.
    pub sample: Sample,
    notes: [String; 1],
}

impl Callgrind {
    /// Reads a record.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Callgrind, CallgrindError> {
        let named = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| CallgrindError::Read { path: named(), error })?;
        Self::parse(&text).map_err(|reason| CallgrindError::Content { path: named(), reason })
    }

    fn parse(text: &str) -> Result<Callgrind, String> {
        let record: Callgrind = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if record.schema != SCHEMA {
            return Err(format!("its schema is {}", record.schema));
        }
        match record.parts.iter().find(|part| part.operations == 0 || part.instructions == 0) {
            Some(part) => Err(format!("{} counted nothing", part.name)),
            None => Ok(record),
        }
    }

    /// A part by its name in the record: `matching`, `tokens`, `leaves`, `merkle`, `state-root`, `search`.
    pub fn part(&self, name: &str) -> Option<Part> {
        let counts = self.parts.iter().find(|part| part.name == name)?;
        // A model counts all of the time.
        let tally = |count| Tally { count, enabled_ns: 1, running_ns: 1 };
        let sample = Sample::default()
            .with(Counter::Instructions, tally(counts.instructions))
            .with(Counter::Branches, tally(counts.branches))
            .with(Counter::BranchMisses, tally(counts.branch_misses))
            .with(Counter::L1dLoads, tally(counts.data_reads))
            .with(Counter::L1dMisses, tally(counts.l1d_read_misses))
            .with(Counter::LlcMisses, tally(counts.llc_misses));
        Some(Part { operations: counts.operations, sample, notes: [self.says()] })
    }

    /// Where the figures come from, in words.
    pub fn says(&self) -> String {
        let Callgrind { valgrind, revision, hashing, .. } = self;
        format!("counted by Callgrind's model of a CPU ({valgrind}) at revision {revision}, hashing with {hashing}")
    }
}

impl Part {
    /// What this part has on top of another, which is done in it. By itself the other one may have more of something, cache misses
    /// say, that are the outer part's when both are done together: of that nothing is known then.
    pub fn without(mut self, inner: &Part) -> Part {
        self.sample = self.sample.where_not_below(&inner.sample).less(&inner.sample);
        self
    }
}

impl Source for Part {
    fn read(&mut self) -> Sample {
        self.sample
    }

    fn unavailable(&self, counter: Counter) -> Option<&str> {
        match counter {
            _ if self.sample.get(counter).is_some() => None,
            _ if counter.is_software() => Some("Callgrind runs no kernel"),
            Counter::L1dLoads | Counter::L1dMisses | Counter::LlcMisses | Counter::Branches | Counter::BranchMisses => {
                Some("what is done in this part has more of it by itself")
            }
            _ => Some("Callgrind's model has no clock and no TLB"),
        }
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::super::per_operation;
    use super::*;
    use crate::measure::Reading;

    fn record(parts: &str) -> String {
        format!(
            r#"{{"schema":"joulebook.instructions.v1","revision":"abc1234","machine":"a CPU","valgrind":"valgrind-3.19.0",
                "hashing":"AVX2","users":100,"orders":50,"parts":[{parts}]}}"#
        )
    }

    fn part(name: &str, operations: u64, instructions: u64) -> String {
        format!(
            r#"{{"name":"{name}","operation":"one","operations":{operations},"digest":"","instructions":{instructions},
                "branches":{},"branch_misses":7,"data_reads":20,"data_accesses":30,"l1d_read_misses":3,"l1d_misses":4,"llc_misses":1}}"#,
            instructions / 10
        )
    }

    #[test]
    fn a_part_is_a_source() {
        let record =
            Callgrind::parse(&record(&[part("matching", 40, 4_000), part("tokens", 60, 600)].join(","))).unwrap();
        assert!(record.part("leaves").is_none());
        let mut matching = record.part("matching").unwrap().without(&record.part("tokens").unwrap());
        assert_eq!(matching.operations, 40);
        let sample = matching.read();
        let rows = per_operation(&matching, &sample, matching.operations);
        let row = |counter| &rows.iter().find(|row| row.counter == counter).unwrap().per_operation;
        assert_eq!(row(Counter::Instructions), &Reading::Value(85.0));
        assert_eq!(row(Counter::Branches), &Reading::Value(8.5));
        let Reading::Unavailable(why) = row(Counter::Cycles) else { panic!("{rows:?}") };
        assert!(why.contains("no clock"), "{why}");
        // Both parts have three misses: the difference is none. Of what the inner part has more of, nothing is known.
        assert_eq!(row(Counter::L1dMisses), &Reading::Value(0.0));
        let reads_more = record.part("tokens").unwrap().without(&record.part("matching").unwrap());
        assert!(reads_more.unavailable(Counter::Branches).unwrap().contains("more of it by itself"));
        let Reading::Unavailable(why) = row(Counter::MinorFaults) else { panic!("{rows:?}") };
        assert!(why.contains("no kernel"), "{why}");
        assert!(matching.notes()[0].contains("valgrind-3.19.0) at revision abc1234, hashing with AVX2"));
    }

    #[test]
    fn what_is_no_record_is_refused_by_name() {
        let refused = |text: &str| Callgrind::parse(text).unwrap_err();
        assert!(refused("").contains("EOF"));
        assert!(refused("{}").contains("missing field"));
        assert!(refused(&record("").replace("instructions.v1", "run.v1")).contains("its schema is joulebook.run.v1"));
        assert!(refused(&record(&part("tokens", 0, 5))).contains("tokens counted nothing"));
        let error = Callgrind::read(Path::new("no/such/file")).unwrap_err().to_string();
        assert!(error.starts_with("no/such/file: "), "{error}");
    }
}
