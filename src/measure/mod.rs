//! Floor 1: measuring. Latency histograms, statistics of interleaved rounds, what the process used, counters of the CPU and of
//! the kernel, and what they say about what bounds the work.

pub mod clock;
pub mod counters;
mod date;
mod fairness;
mod histogram;
mod probe;
mod reading;
mod resources;
mod rounds;
mod signed_rank;
mod stage;
mod stage_counter;
mod trend;
pub mod verdict;

pub use date::utc_now;
pub use fairness::jain_index;
pub use histogram::LatencyRecorder;
pub use probe::{Off, Probe, Sampled, Seen};
pub use reading::Reading;
pub use resources::{
    RunDelay, clock_step_ns, cpu_model, cpus, peak_rss_mib, process_cpu_seconds, reset_peak_rss, rss_mib, thread_cpu_ns,
};
pub use rounds::{Interval, median, median_interval};
pub use signed_rank::{pairs_needed, shift_interval};
pub use stage::{PerStage, Stage, StageTimes};
pub use trend::{TREND_POINTS_MIN, Trend, trend};
