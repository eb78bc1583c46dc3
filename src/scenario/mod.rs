//! Floor 5: named scenarios over every stack.

mod options;
mod outcome;

pub use options::{Kind, Options, Progress, StackChoice};
pub use outcome::{
    Component, Environment, Latency, Ratio, Reading, Resources, RunReport, Rung, ScenarioResult, Settings, Work,
};
