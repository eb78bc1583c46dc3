//! Counters by stage, beside the stages' times: the CPU's own where it has some, or what Callgrind's model counted, from a file.

use super::player::{Player, Setting};
use super::results::Contender;
use super::{Attribution, Counted, Kind, Options, ScenarioError, ThreadTimes};
use crate::hash::Platform;
use crate::measure::counters::{self, Callgrind, Counter, Part, Recorded, Sample, Source};
use crate::measure::verdict::{Evidence, judge};
use crate::measure::{PerStage, Probe, Sampled, Stage};
use crate::node::Stack;
use crate::workload::Stream;

/// Whether the CPU counts something here. What the kernel counts says little of a stage.
fn cpu_counts(source: &dyn Source) -> bool {
    Counter::ALL.into_iter().any(|counter| !counter.is_software() && source.unavailable(counter).is_none())
}

/// Plays a round more, in which counters are read at each lap, and puts what they say beside the stages of the engine's thread. Nothing
/// happens where the CPU counts nothing: the thread's own counters say why.
///
/// # Errors
/// Cancelled.
pub fn by_cpu(
    attribution: &mut Attribution,
    setting: &Setting,
    contender: &Contender,
    stream: &Stream,
    probed: &dyn Player,
) -> Result<(), ScenarioError> {
    let Contender { stack, operations, repeats, .. } = contender;
    // A pool's work is not this thread's.
    if !Sampled::with_counters(cpu_counts) || setting.kind == Kind::Reads && stack.parallel_reads {
        return Ok(());
    }
    Sampled::count_stages(true);
    let round = probed.play(setting, stack, stream, *operations, *repeats, 0);
    Sampled::count_stages(false);
    // What a failed round began is over.
    let _ = Sampled::finish();
    let round = round?;
    if let Some(stages) = round.engine_thread.and_then(|seen| seen.stages) {
        Sampled::with_counters(|source| beside(&mut attribution.threads[0], &stages, round.operations, source));
    }
    Ok(())
}

fn beside(thread: &mut ThreadTimes, counted: &PerStage<Sample>, operations: u64, source: &dyn Source) {
    for stage in Stage::ALL {
        let Some(share) = thread.stages.iter_mut().find(|share| share.name == stage.name()) else { continue };
        let sample = counted[stage];
        if sample != Sample::default() {
            let counters = counters::per_operation(source, &sample, operations);
            share.counted = Some(Counted { counters, verdict: judge(&Evidence::of(&sample)) });
        }
    }
}

/// Orders of a trade: Callgrind's matching part counts orders, a settlement is a trade.
const ORDERS: u64 = 2;

/// Puts what Callgrind counted of the parts of a settlement beside the stages of the optimized stack's settlement: the same work in
/// the same order. `hashes` is how many nonces a trade took.
pub fn by_callgrind(attribution: &mut Attribution, record: &Callgrind, options: &Options, hashes: f64) {
    if (attribution.scenario.as_str(), attribution.stack.as_str()) != (Kind::Settlement.name(), Stack::OPTIMIZED.name) {
        return;
    }
    let Some(matching) = record.part("matching") else { return };
    let trades = matching.operations / ORDERS;
    let other_market = (record.users, record.orders) != (options.users, options.orders);
    let hashing = Platform::chosen().name();
    for thread in &mut attribution.threads {
        for share in &mut thread.stages {
            let Some((stage, part)) = part_of(record, &matching, &share.name) else { continue };
            let on_a_pool = matches!(stage, Stage::Leaves | Stage::Merkle | Stage::Seal);
            if other_market {
                let Callgrind { users, orders, .. } = record;
                share.counted =
                    Some(nothing(format!("Callgrind counted a market with {users} users and {orders} orders")));
            } else if on_a_pool && record.hashing != hashing {
                let counted = &record.hashing;
                let says = format!(
                    "Callgrind counted {counted}, and this run hashes with {hashing}: --isa {counted} compares"
                );
                share.counted = Some(nothing(says));
            } else {
                let sample = match stage {
                    Stage::Seal => part.sample.times(hashes * trades as f64 / part.operations as f64),
                    _ => part.sample,
                };
                let mut evidence = Evidence::of(&sample);
                // A pool's CPUs may all have been at it.
                let cpus = if on_a_pool { rayon::current_num_threads() } else { 1 };
                evidence.wall_ns = Some(share.ns_per_operation * trades as f64 * cpus as f64);
                let counters = counters::per_operation(&part, &sample, trades);
                share.counted = Some(Counted { counters, verdict: judge(&evidence) });
            }
        }
    }
    attribution.counted_by = Some(record.says());
}

/// The part that is a stage's. Matching is what it has on top of the ledger's calls, counted by themselves.
fn part_of(record: &Callgrind, matching: &Part, stage: &str) -> Option<(Stage, Part)> {
    let stage = Stage::ALL.into_iter().find(|known| known.name() == stage)?;
    let part = match stage {
        Stage::Match => matching.clone().without(&record.part("tokens")?),
        Stage::Tokens => record.part("tokens")?,
        Stage::Leaves => record.part("leaves")?,
        Stage::Merkle => record.part("merkle")?,
        Stage::Seal => record.part("search")?,
        _ => return None,
    };
    Some((stage, part))
}

fn nothing(reason: String) -> Counted {
    let verdict = judge(&Evidence::default());
    Counted { counters: counters::per_operation(&Recorded::nothing(reason), &Sample::default(), 1), verdict }
}

#[cfg(test)]
mod tests {
    use super::super::{StageShare, outcome};
    use super::*;
    use crate::measure::counters::Tally;
    use crate::measure::verdict::Bound;
    use crate::measure::{Interval, Reading};

    fn share(stage: Stage, ns_per_operation: f64) -> StageShare {
        StageShare { name: stage.name().to_string(), ns_per_operation, share: 0.1, counted: None }
    }

    fn attribution(stages: Vec<StageShare>) -> Attribution {
        let thread = ThreadTimes {
            name: "engine".to_string(),
            what: String::new(),
            ns_per_operation: 100.0,
            stages,
            counted: None,
        };
        outcome::Attribution {
            scenario: "settlement".to_string(),
            stack: "optimized".to_string(),
            operations: 1,
            wall_seconds: 1.0,
            threads: vec![thread],
            bound_by: String::new(),
            counted_by: None,
            cost_of_looking: Interval { median: 1.0, low: 1.0, high: 1.0, confidence: 0.9 },
            pairs: 3,
        }
    }

    fn figure(share: &StageShare, counter: Counter) -> &Reading {
        let counted = share.counted.as_ref().unwrap_or_else(|| panic!("{share:?}"));
        &counted.counters.iter().find(|row| row.counter == counter).unwrap().per_operation
    }

    #[test]
    fn what_the_cpu_counted_comes_to_its_stage() {
        let tally = |count| Tally { count, enabled_ns: 1_000, running_ns: 1_000 };
        let counted = Sample::default().with(Counter::Cycles, tally(400)).with(Counter::Instructions, tally(1_200));
        let source = Recorded::new([counted], "not in this record");
        let mut stages = PerStage::default();
        stages[Stage::Tokens] = counted;
        let mut thread = attribution(vec![share(Stage::Match, 50.0), share(Stage::Tokens, 40.0)]).threads.remove(0);
        beside(&mut thread, &stages, 4, &source);
        assert!(thread.stages[0].counted.is_none(), "nothing was counted of it");
        assert_eq!(figure(&thread.stages[1], Counter::Instructions), &Reading::Value(300.0));
        assert_eq!(thread.stages[1].counted.as_ref().unwrap().verdict.bound, Bound::Retiring);
        assert!(cpu_counts(&source) && !cpu_counts(&Recorded::nothing("no PMU")));
    }

    const RECORD: &str = r#"{"schema":"joulebook.instructions.v1","revision":"abc","valgrind":"valgrind-3","hashing":"HASHING",
        "users":100,"orders":50,"parts":[
        {"name":"matching","operations":4000,"instructions":2000000,"branches":1000,"branch_misses":4000,"data_reads":1,
         "l1d_read_misses":1,"llc_misses":0},
        {"name":"tokens","operations":6000,"instructions":240000,"branches":1000,"branch_misses":0,"data_reads":1,
         "l1d_read_misses":1,"llc_misses":0},
        {"name":"leaves","operations":4000,"instructions":6000000,"branches":1,"branch_misses":1,"data_reads":1,
         "l1d_read_misses":1,"llc_misses":0},
        {"name":"merkle","operations":4000,"instructions":6000000,"branches":1,"branch_misses":1,"data_reads":1,
         "l1d_read_misses":1,"llc_misses":0},
        {"name":"search","operations":1000,"instructions":700000,"branches":1,"branch_misses":1,"data_reads":1,
         "l1d_read_misses":1,"llc_misses":0}]}"#;

    fn record(hashing: &str) -> Callgrind {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        std::fs::write(&path, RECORD.replace("HASHING", hashing)).unwrap();
        Callgrind::read(&path).unwrap()
    }

    #[test]
    fn what_a_model_counted_is_of_a_trade_and_beside_its_time() {
        let stages =
            || [Stage::Match, Stage::Tokens, Stage::Leaves, Stage::Seal, Stage::Wait].map(|stage| share(stage, 90.0));
        let options = super::super::small_options();
        let mut of = attribution(stages().to_vec());
        by_callgrind(&mut of, &record(Platform::chosen().name()), &options, 3.0);
        let [matching, tokens, leaves, seal, wait] = &of.threads[0].stages[..] else { panic!("{of:?}") };
        // 2,000 trades: (2,000,000 - 240,000) / 2,000 each, 4,000 mispredictions in 180,000 ns.
        assert_eq!(figure(matching, Counter::Instructions), &Reading::Value(880.0));
        assert_eq!(matching.counted.as_ref().unwrap().verdict.bound, Bound::BadSpeculation);
        assert_eq!(figure(tokens, Counter::Instructions), &Reading::Value(120.0));
        assert_eq!(tokens.counted.as_ref().unwrap().verdict.bound, Bound::Unknown, "1.3 instructions a ns");
        assert_eq!(figure(leaves, Counter::Instructions), &Reading::Value(3_000.0));
        // 700 a nonce, three nonces a trade.
        assert_eq!(figure(seal, Counter::Instructions), &Reading::Value(2_100.0));
        assert!(wait.counted.is_none() && of.counted_by.as_ref().unwrap().contains("valgrind-3"));

        let mut other = attribution(stages().to_vec());
        by_callgrind(&mut other, &record("another"), &options, 3.0);
        let Reading::Unavailable(why) = figure(&other.threads[0].stages[2], Counter::Instructions) else { panic!() };
        assert!(why.contains("counted another") && why.contains("--isa another"), "{why}");
        assert_eq!(figure(&other.threads[0].stages[1], Counter::Instructions), &Reading::Value(120.0));

        let mut market = attribution(stages().to_vec());
        by_callgrind(&mut market, &record("another"), &Options { users: 7, ..options.clone() }, 3.0);
        let Reading::Unavailable(why) = figure(&market.threads[0].stages[0], Counter::Instructions) else { panic!() };
        assert!(why.contains("100 users and 50 orders"), "{why}");
        let mut writes = attribution(stages().to_vec());
        writes.scenario = "writes".to_string();
        by_callgrind(&mut writes, &record("another"), &options, 3.0);
        assert!(writes.threads[0].stages.iter().all(|stage| stage.counted.is_none()) && writes.counted_by.is_none());
    }
}
