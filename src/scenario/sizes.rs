//! How much each scenario does by default.

use super::{Kind, Options};

/// Operations of one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Operations per round of a stack that batches its blocks, or that forms none.
    pub optimized: u64,
    /// Operations per round of the baseline, the first of the same stream: all of them where it can, because the depth of
    /// the book is what it suffers from; where it mines, as many as take it about half a second.
    pub baseline: u64,
    /// How often a round plays them over; more than once only for reads, which change nothing.
    pub repeats: u64,
    /// Operations of the latency pass, each stack at most its own per round.
    pub sampled: u64,
}

impl Sizes {
    /// The sizes of a scenario under these options.
    pub fn of(kind: Kind, options: &Options) -> Sizes {
        let full = match kind {
            Kind::Reads => Sizes { optimized: 1 << 20, baseline: 1 << 20, repeats: 16, sampled: 200_000 },
            Kind::Writes => Sizes { optimized: 200_000, baseline: 200_000, repeats: 1, sampled: 200_000 },
            Kind::Settlement => Sizes { optimized: 262_144, baseline: 250, repeats: 1, sampled: 262_144 },
            Kind::Mixed => Sizes { optimized: 2_000_000, baseline: 2_000, repeats: 1, sampled: 500_000 },
        };
        let scale = if options.quick { 10 } else { 1 };
        let quick = Sizes {
            optimized: full.optimized / scale,
            baseline: full.baseline / scale,
            repeats: full.repeats,
            sampled: full.sampled / scale,
        };
        match options.operations {
            None => quick,
            Some(operations) => {
                // The baseline keeps its share, so that --ops scales both.
                let share = quick.baseline as f64 / quick.optimized as f64;
                let baseline = ((operations as f64 * share) as u64).clamp(1, operations);
                Sizes { optimized: operations, baseline, repeats: 1, sampled: quick.sampled.min(operations) }
            }
        }
    }
}
