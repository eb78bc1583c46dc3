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
    /// Operations per round of the durable stack: as many as the optimized one, or, where groups are small, as many as take a disk
    /// that needs milliseconds for each a few seconds.
    pub durable: u64,
    /// How often a round plays them over; more than once only for reads, which change nothing.
    pub repeats: u64,
    /// Operations of the latency pass, each stack at most its own per round.
    pub sampled: u64,
    /// Operations of the durable stack's latency pass, each a group of its own.
    pub durable_sampled: u64,
}

impl Sizes {
    /// The sizes of a scenario under these options.
    pub fn of(kind: Kind, options: &Options) -> Sizes {
        let full = match kind {
            Kind::Reads => Sizes { repeats: 16, ..Sizes::each(1 << 20, 1 << 20, 200_000) },
            Kind::Writes => Sizes::each(200_000, 200_000, 200_000),
            Kind::Settlement => Sizes { durable_sampled: 2_000, ..Sizes::each(262_144, 250, 262_144) },
            Kind::Mixed => Sizes { durable: 4_000, durable_sampled: 4_000, ..Sizes::each(2_000_000, 2_000, 500_000) },
        };
        let scale = if options.quick { 10 } else { 1 };
        let quick = Sizes {
            optimized: full.optimized / scale,
            baseline: full.baseline / scale,
            durable: full.durable / scale,
            repeats: full.repeats,
            sampled: full.sampled / scale,
            durable_sampled: full.durable_sampled / scale,
        };
        match options.operations {
            None => quick,
            Some(operations) => {
                // Each stack keeps its share, so that --ops scales all.
                let share = |of: u64| {
                    let share = of as f64 / quick.optimized as f64;
                    ((operations as f64 * share) as u64).clamp(1, operations)
                };
                Sizes {
                    optimized: operations,
                    baseline: share(quick.baseline),
                    durable: share(quick.durable),
                    repeats: 1,
                    sampled: quick.sampled.min(operations),
                    durable_sampled: quick.durable_sampled.min(operations),
                }
            }
        }
    }

    fn each(optimized: u64, baseline: u64, sampled: u64) -> Sizes {
        Sizes { optimized, baseline, durable: optimized, repeats: 1, sampled, durable_sampled: sampled }
    }
}
