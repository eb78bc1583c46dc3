//! Floor 1: measuring. Latency histograms, statistics of interleaved rounds, what the process used. (Hardware counters
//! are absent so far: ARCHITECTURE.md says why.)

mod histogram;
mod resources;
mod rounds;

pub use histogram::LatencyRecorder;
pub use resources::{clock_step_ns, cpu_model, cpus, peak_rss_mib, process_cpu_seconds, reset_peak_rss};
pub use rounds::{Interval, median, median_interval};
