//! Reports as files: which of their figures are compared, and what makes two of them comparable.

use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use thiserror::Error;

const RUN: &str = "joulebook.run.v1";
const INSTRUCTIONS: &str = "joulebook.instructions.v1";

/// Why nothing is compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A file or folder that cannot be read.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// As it was named.
        file: String,
        /// The system's reason.
        why: String,
    },
    /// A file that is no report that can be compared.
    #[error("{file}: {why}")]
    NoReport {
        /// As it was named.
        file: String,
        /// What it is, and what is wanted.
        why: String,
    },
    /// Two runs were asked for different things.
    #[error(
        "{file} was run with {name} {found}, and {first} with {expected}: only runs with the same settings compare"
    )]
    Settings {
        /// The one.
        file: String,
        /// The setting.
        name: String,
        /// Its value there.
        found: String,
        /// The other.
        first: String,
        /// Its value there.
        expected: String,
    },
    /// Not as many runs on both sides.
    #[error("OLD has {old} runs and NEW {new}: they are compared in pairs, so both must have as many")]
    Unpaired {
        /// Runs of the old side.
        old: usize,
        /// Of the new one.
        new: usize,
    },
    /// A run lacks what the first one of its side has.
    #[error("{file} did not play {name}, and the first run of its side did")]
    NotPlayed {
        /// The run.
        file: String,
        /// Scenario and stack.
        name: String,
    },
    /// Runs of one side did not do the same.
    #[error("{file}: {name} ended in another digest than in the first run of its side: they are not of one build")]
    Unsteady {
        /// The run.
        file: String,
        /// Scenario and stack.
        name: String,
    },
    /// No scenario and no part is on both sides.
    #[error("OLD and NEW have nothing in common that could be compared")]
    NothingInCommon,
}

/// All reports of one build.
#[derive(Debug)]
pub struct Side {
    pub(super) runs: Vec<Run>,
    pub(super) instructions: Option<Instructions>,
}

/// What is compared of a run's report.
#[derive(Debug)]
pub(super) struct Run {
    pub file: String,
    pub played: Vec<Played>,
    environment: Environment,
    settings: serde_json::Map<String, Value>,
}

/// A scenario on a stack.
#[derive(Debug, Deserialize)]
pub(super) struct Played {
    #[serde(rename = "name")]
    scenario: String,
    pub stack: String,
    pub digest: String,
    #[serde(rename = "rounds_ops_per_second")]
    pub rounds: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Environment {
    version: String,
    cpu: String,
    cpus: u32,
    platform: String,
    hash_kernel: String,
    optimized_build: bool,
}

#[derive(Deserialize)]
struct RunFile {
    environment: Environment,
    settings: serde_json::Map<String, Value>,
    scenarios: Vec<Played>,
    #[serde(default)]
    components: Vec<Component>,
    complete: bool,
}

/// A part of a settled trade, measured by itself on one thread: quieter than any scenario, and nothing else is in it.
#[derive(Deserialize)]
struct Component {
    name: String,
    ns_per_operation: f64,
}

/// It is a difference of two measurements, and as noisy as both.
const NOT_COMPARED: &str = "tokens";

impl From<Component> for Played {
    fn from(Component { name, ns_per_operation }: Component) -> Self {
        let rounds = vec![1e9 / ns_per_operation];
        Played { scenario: name, stack: "by itself".to_string(), digest: String::new(), rounds }
    }
}

/// Instruction counts by part.
#[derive(Debug, Deserialize)]
pub(super) struct Instructions {
    pub revision: String,
    pub machine: String,
    pub valgrind: String,
    pub hashing: String,
    pub parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub name: String,
    pub operation: String,
    pub operations: u64,
    pub digest: String,
    pub instructions: u64,
}

impl Played {
    pub fn name(&self) -> String {
        format!("{}, {}", self.scenario, self.stack)
    }
}

impl Run {
    pub fn find(&self, wanted: &Played) -> Option<&Played> {
        self.played.iter().find(|played| (&played.scenario, &played.stack) == (&wanted.scenario, &wanted.stack))
    }

    /// What must be the same for times to be compared.
    pub fn machine(&self) -> String {
        let Environment { cpu, cpus, platform, hash_kernel, .. } = &self.environment;
        format!("{cpu}, {cpus} CPUs, {platform}, hashing by {hash_kernel}")
    }
}

impl Side {
    /// Reads a report, or all reports of a folder (`*.json`) in the order of their names.
    ///
    /// # Errors
    /// Something cannot be read, or is no report.
    pub fn read(path: &Path) -> Result<Side, CompareError> {
        let unreadable = |path: &Path, why: &dyn ToString| CompareError::Unreadable {
            file: path.display().to_string(),
            why: why.to_string(),
        };
        let mut files = vec![path.to_path_buf()];
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
            let names: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
            files = names.map_err(|error| unreadable(path, &error))?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
            files.sort();
            if files.is_empty() {
                return Err(unreadable(path, &"it is a folder without a report (*.json)"));
            }
        }
        let mut side = Side { runs: Vec::new(), instructions: None };
        for file in files {
            let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
            side.add(file.display().to_string(), &text)?;
        }
        Ok(side)
    }

    fn add(&mut self, file: String, text: &str) -> Result<(), CompareError> {
        let wrong = |why: String| CompareError::NoReport { file: file.clone(), why };
        let json: Value = serde_json::from_str(text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
        match json.get("schema").and_then(Value::as_str) {
            Some(RUN) => {
                let run = run(file.clone(), json).map_err(wrong)?;
                self.runs.push(run);
                Ok(())
            }
            Some(INSTRUCTIONS) if self.instructions.is_some() => {
                Err(wrong("is the second file of instruction counts, and one a side is enough".to_string()))
            }
            Some(INSTRUCTIONS) => {
                let counts: Instructions = serde_json::from_value(json)
                    .map_err(|error| wrong(format!("is no whole {INSTRUCTIONS}: {error}")))?;
                if let Some(part) = counts.parts.iter().find(|part| part.operations == 0 || part.instructions == 0) {
                    return Err(wrong(format!("counted nothing for {}", part.name)));
                }
                self.instructions = Some(counts);
                Ok(())
            }
            Some(other) => Err(wrong(format!("has the schema {other}; {RUN} or {INSTRUCTIONS} is wanted"))),
            None => Err(wrong(format!("has no schema; a report has {RUN} or {INSTRUCTIONS}"))),
        }
    }

    /// Version and machine.
    pub(super) fn place(&self) -> String {
        let run = self.runs.first().map(|run| format!("joulebook {}, {}", run.environment.version, run.machine()));
        let counts = self.instructions.as_ref().map(|counts| {
            format!("instructions of revision {} by {} on {}", counts.revision, counts.valgrind, counts.machine)
        });
        [run, counts].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

fn run(file: String, json: Value) -> Result<Run, String> {
    let rounds_missing = json["scenarios"]
        .as_array()
        .is_some_and(|scenarios| scenarios.iter().any(|scenario| scenario.get("rounds_ops_per_second").is_none()));
    if rounds_missing {
        return Err("has no rounds_ops_per_second: it was written before they were in a report".to_string());
    }
    let RunFile { environment, settings, mut scenarios, components, complete } =
        serde_json::from_value(json).map_err(|error| format!("is no whole {RUN}: {error}"))?;
    if !complete {
        return Err("is the report of a run that was interrupted".to_string());
    }
    if !environment.optimized_build {
        return Err("is of a build that is not optimized; use `cargo run --release`".to_string());
    }
    scenarios.extend(components.into_iter().filter(|part| part.name != NOT_COMPARED).map(Played::from));
    for played in &scenarios {
        let sound = |speed: &f64| speed.is_finite() && *speed > 0.0;
        if played.rounds.is_empty() || !played.rounds.iter().all(sound) {
            return Err(format!("has no operations per second for {}", played.name()));
        }
    }
    Ok(Run { file, played: scenarios, environment, settings })
}

/// Whether two runs were asked for the same; how many rounds each played does not matter.
pub(super) fn same_settings(first: &Run, other: &Run) -> Result<(), CompareError> {
    let named = |run: &Run, name: &str| {
        run.settings.get(name).filter(|value| !value.is_null()).map_or("not set".to_string(), Value::to_string)
    };
    let names = first.settings.keys().chain(other.settings.keys()).filter(|name| *name != "rounds");
    for name in names {
        let (expected, found) = (named(first, name), named(other, name));
        if expected != found {
            let (file, first, name) = (other.file.clone(), first.file.clone(), name.clone());
            return Err(CompareError::Settings { file, name, found, first, expected });
        }
    }
    Ok(())
}
