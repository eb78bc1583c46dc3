//! Where the wall time of a scenario goes, thread by thread and stage by stage.
//!
//! A stack is played in pairs of rounds, one as it is and one looked at from inside ([`crate::measure::Probe`]), first one ahead and
//! then the other. The looked-at rounds say where the time went. What looking costs is the ratio of the pairs. Both must end in the
//! same state: what is looked at does the same.

use super::player::{Player, Round, Setting, prepare_probed};
use super::results::{Contender, interval};
use super::stage_counts::by_cpu;
use super::{Attribution, Counted, Kind, ScenarioError, StageShare, ThreadTimes};
use crate::measure::counters::{Sample, per_operation};
use crate::measure::verdict::{Evidence, WaitsFor, judge};
use crate::measure::{Sampled, Stage, StageTimes};
use crate::node::{Durability, Stack};
use crate::workload::Stream;

/// Pairs of rounds at least.
const PAIRS_MIN: u32 = 3;
/// Pairs of rounds at most.
const PAIRS_MAX: u32 = 31;
/// Wall time after which no pair is begun, in seconds.
const SECONDS: f64 = 1.5;
/// The same for small sizes.
const QUICK_SECONDS: f64 = 0.1;

/// Plays a stack in pairs of rounds and says where its time goes.
///
/// # Errors
/// Cancelled, or what is looked at did something else.
pub fn attribute(
    setting: &Setting,
    contender: &Contender,
    stream: &Stream,
    quick: bool,
) -> Result<Attribution, ScenarioError> {
    let Contender { stack, player, operations, repeats, .. } = contender;
    let probed = prepare_probed(stack, setting.kind, stream, &setting.watch)?;
    let play = |player: &dyn Player, round| player.play(setting, stack, stream, *operations, *repeats, round);
    let budget = if quick { QUICK_SECONDS } else { SECONDS };
    let (mut ratios, mut sum, mut spent) = (Vec::new(), Sum::default(), 0.0);
    for pair in 0..PAIRS_MAX {
        if pair >= PAIRS_MIN && spent >= budget {
            break;
        }
        let (plain, looked_at) = if pair % 2 == 0 {
            let plain = play(player.as_ref(), pair)?;
            (plain, play(probed.as_ref(), pair)?)
        } else {
            let looked_at = play(probed.as_ref(), pair)?;
            (play(player.as_ref(), pair)?, looked_at)
        };
        if (looked_at.digest, looked_at.read_checksum) != (plain.digest, plain.read_checksum) {
            return Err(ScenarioError::Differs {
                scenario: setting.kind.name(),
                operations: *operations,
                stack: format!("{}, looked at from inside,", stack.name),
                other: "itself".to_string(),
                what: "state or reads",
            });
        }
        ratios.push(looked_at.wall_seconds / plain.wall_seconds);
        spent += looked_at.wall_seconds + plain.wall_seconds;
        sum.add(&looked_at, stack);
    }
    let operations = sum.operations as f64;
    let mut engine = thread("engine", what_the_engine_thread_is(setting.kind, stack), &sum.engine, operations);
    let by_a_pool = setting.kind == Kind::Reads && stack.parallel_reads;
    engine.counted = (!by_a_pool).then(|| counted(&sum));
    let mut threads = vec![engine];
    if sum.sealer.wall_ns > 0.0 {
        threads.push(thread("sealer", "seals blocks while the engine fills the next", &sum.sealer, operations));
    }
    if sum.journal.wall_ns > 0.0 {
        threads.push(thread("journal", "writes groups and seals, and makes them durable", &sum.journal, operations));
    }
    let mut attribution = Attribution {
        scenario: setting.kind.name().to_string(),
        stack: stack.name.to_string(),
        operations: sum.operations,
        wall_seconds: sum.wall_seconds,
        bound_by: bound_by(&threads),
        counted_by: None,
        threads,
        cost_of_looking: interval(&ratios),
        pairs: ratios.len() as u32,
    };
    by_cpu(&mut attribution, setting, contender, stream, probed.as_ref())?;
    Ok(attribution)
}

/// What the looked-at rounds found, all together.
#[derive(Default)]
struct Sum {
    operations: u64,
    wall_seconds: f64,
    engine: StageTimes,
    engine_counted: Sample,
    sealer: StageTimes,
    journal: StageTimes,
}

impl Sum {
    fn add(&mut self, round: &Round, stack: &Stack) {
        self.operations += round.operations;
        self.wall_seconds += round.wall_seconds;
        let seen = round.engine_thread.as_ref().expect("it was looked at");
        self.engine += &seen.times;
        self.engine_counted.add(&seen.counted);
        if let Some(times) = &round.journal_thread {
            self.journal += times;
        }
        let Some(sealed) = &round.sealed else { return };
        if stack.plan.beside {
            self.sealer += &sealed.times;
            return;
        }
        // The thread that played has sealed, too: what it waited for is itself.
        self.engine.stage_ns[Stage::Wait] = 0.0;
        self.engine.stage_ns += sealed.times.stage_ns;
    }
}

/// What was counted of the engine's thread, and what that says.
fn counted(sum: &Sum) -> Counted {
    let mut evidence = Evidence::of(&sum.engine_counted);
    evidence.wall_ns = Some(sum.engine.wall_ns);
    // It sleeps only where it waits for the sealer or for a pool.
    evidence.waits_for = Some(WaitsFor::Thread);
    let counters = Sampled::with_counters(|source| per_operation(source, &sum.engine_counted, sum.operations));
    Counted { counters, verdict: judge(&evidence) }
}

fn what_the_engine_thread_is(kind: Kind, stack: &Stack) -> &'static str {
    match kind {
        Kind::Reads if stack.parallel_reads => "hands reads to all cores and waits for them",
        Kind::Reads => "answers reads",
        Kind::Writes => "carries commands out",
        _ if stack.durability != Durability::None => "claims requests, carries them out, closes blocks, gives answers",
        Kind::Settlement | Kind::Mixed if stack.plan.beside => "carries commands out and closes blocks",
        Kind::Settlement | Kind::Mixed => "carries commands out and seals blocks",
    }
}

fn thread(name: &str, what: &str, times: &StageTimes, operations: f64) -> ThreadTimes {
    let share = |name: &str, ns: f64| StageShare {
        name: name.to_string(),
        ns_per_operation: ns / operations,
        share: ns / times.wall_ns,
        counted: None,
    };
    let spent = Stage::ALL.into_iter().filter(|&stage| times.stage_ns[stage] > 0.0);
    let mut stages: Vec<StageShare> = spent.map(|stage| share(stage.name(), times.stage_ns[stage])).collect();
    stages.push(share(StageShare::UNATTRIBUTED, times.unattributed_ns()));
    let (name, what) = (name.to_string(), what.to_string());
    ThreadTimes { name, what, ns_per_operation: times.wall_ns / operations, stages, counted: None }
}

/// The thread that waits least, and what it does most, in words.
fn bound_by(threads: &[ThreadTimes]) -> String {
    let waits = |thread: &ThreadTimes| {
        let wait = thread.stages.iter().find(|stage| stage.name == Stage::Wait.name());
        wait.map_or(0.0, |stage| stage.share)
    };
    let busiest = threads.iter().min_by(|a, b| waits(a).total_cmp(&waits(b))).expect("there is a thread");
    let work = busiest.stages.iter().filter(|stage| stage.name != Stage::Wait.name());
    let dearest = work.max_by(|a, b| a.share.total_cmp(&b.share)).expect("there is a stage");
    let what = if dearest.name == Stage::Sync.name() { "sync, waiting for the disk" } else { &dearest.name };
    let mut said = format!(
        "the {} thread, which waits {:.0} % of the time: most of it is {what} ({:.0} %)",
        busiest.name,
        100.0 * waits(busiest),
        100.0 * dearest.share
    );
    for other in threads.iter().filter(|other| other.name != busiest.name) {
        said += &format!("; the {} thread waits {:.0} %", other.name, 100.0 * waits(other));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(wall: f64, stages: &[(Stage, f64)]) -> StageTimes {
        let mut times = StageTimes { wall_ns: wall, ..StageTimes::default() };
        stages.iter().for_each(|&(stage, ns)| times.stage_ns[stage] = ns);
        times
    }

    #[test]
    fn shares_sum_to_the_whole_and_name_what_bounds() {
        let engine = times(1_000.0, &[(Stage::Match, 200.0), (Stage::Tokens, 150.0), (Stage::Wait, 600.0)]);
        let sealer = times(990.0, &[(Stage::Leaves, 700.0), (Stage::Seal, 200.0), (Stage::Wait, 50.0)]);
        let threads = [thread("engine", "", &engine, 10.0), thread("sealer", "", &sealer, 10.0)];
        for thread in &threads {
            let sum: f64 = thread.stages.iter().map(|stage| stage.share).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{thread:?}");
            let ns: f64 = thread.stages.iter().map(|stage| stage.ns_per_operation).sum();
            assert!((ns - thread.ns_per_operation).abs() < 1e-9, "{thread:?}");
        }
        assert_eq!(threads[0].stages.last().unwrap().share, 0.05);
        let said = bound_by(&threads);
        assert!(
            said.starts_with("the sealer thread, which waits 5 % of the time: most of it is leaves (71 %)"),
            "{said}"
        );
        assert!(said.ends_with("the engine thread waits 60 %"), "{said}");
        let journal = times(1_000.0, &[(Stage::Journal, 100.0), (Stage::Sync, 880.0), (Stage::Wait, 20.0)]);
        let said = bound_by(&[thread("engine", "", &engine, 10.0), thread("journal", "", &journal, 10.0)]);
        assert!(
            said.starts_with(
                "the journal thread, which waits 2 % of the time: most of it is sync, waiting for the disk (88 %)"
            ),
            "{said}"
        );
    }
}
