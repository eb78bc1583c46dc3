//! Floor 1: measuring. Latency histograms, statistics of interleaved rounds, what the process used. (Hardware counters
//! are absent so far: ARCHITECTURE.md says why.)

pub mod clock;
mod histogram;
mod probe;
mod resources;
mod rounds;
mod stage;

pub use histogram::LatencyRecorder;
pub use probe::{Off, Probe, Sampled};
pub use resources::{clock_step_ns, cpu_model, cpus, peak_rss_mib, process_cpu_seconds, reset_peak_rss};
pub use rounds::{Interval, median, median_interval};
pub use stage::{PerStage, Stage, StageTimes};
