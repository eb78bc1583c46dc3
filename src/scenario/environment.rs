//! Where a run took place.

use super::Environment;
use crate::hash::Platform;
use crate::measure::counters::{self, Scope};
use crate::{hash, measure};

/// This machine and this build.
pub fn environment() -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("JOULEBOOK_REVISION").unwrap_or(Environment::NO_REVISION),
        date: measure::utc_now(),
        cpu: measure::cpu_model(),
        cpus: measure::cpus(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        sha256: hash::backend().to_string(),
        hash_kernel: Platform::chosen().name(),
        hash_kernels: Platform::available().iter().map(|platform| platform.name()).collect(),
        optimized_build: !cfg!(debug_assertions),
        clock_step_ns: measure::clock_step_ns(),
        counters: counters::summary(&*counters::open(Scope::Thread)),
    }
}
