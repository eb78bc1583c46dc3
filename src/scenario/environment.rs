//! Where a run took place.

use super::Environment;
use crate::hash::{self, Platform};
use crate::measure;

/// This machine and this build.
pub fn environment() -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION"),
        cpu: measure::cpu_model(),
        cpus: measure::cpus(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        sha256: format!(
            "{} for many messages and the nonce search; for one message {}",
            Platform::chosen(),
            hash::backend()
        ),
        optimized_build: !cfg!(debug_assertions),
        clock_step_ns: measure::clock_step_ns(),
    }
}
