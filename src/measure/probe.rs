//! Where a thread's time goes, seen from inside, at a cost that can be left out.
//!
//! Code that is worth looking into is generic over a [`Probe`]. With [`Off`] nothing is left of it. With [`Sampled`], the thread's
//! work is a sequence of *turns* (a batch of commands, say). Most of them run through with one untaken branch per probe. Now and
//! then, at random distances, some turns in a row are looked at: at the end of each part of them, a *lap* gives the time since the
//! lap before to a stage. What happens rarely and takes long, as the closing of a block does, is timed each time, and is no part of
//! a turn. Turns in a row, because code that has not run for a while is slow at first: where turns are short, a single one would
//! show mostly that.
//!
//! A lap takes some 20 to 40 ns, and keeps the CPU from working on what comes behind it: as much as what it measures. So there are
//! three kinds of rows. *Bare* ones have no laps: they say how long a turn really takes. *Outer* ones have laps between the parts of
//! a turn; by how much they take longer than bare ones, divided by the number of laps, is what a lap costs, in place; that much is
//! taken off each part. *Inner* ones have laps around each piece of work within matching that is the tokens', too; by what they take
//! longer than outer ones, the same is done once more.
//!
//! Rows in which the thread lost its CPU show the system's scheduler, or another thread's lock, and not the code. They are left out,
//! and the time without a CPU is taken from the thread's CPU clock instead.

use super::clock;
use super::counters::{self, Recorded, Sample, Scope, Source};
use super::resources::thread_cpu_ns;
use super::rounds::median;
use super::stage::{PerStage, Stage, StageTimes};
use super::stage_counter::StageCounter;
use std::cell::{Cell, RefCell};

/// Of so many turns one is looked at, on average.
const TURNS_PER_SAMPLE: u64 = 32;
/// Kinds of rows in turn. Most are bare or outer: inner laps cost most.
const KINDS: [Kind; 8] =
    [Kind::Bare, Kind::Outer, Kind::Bare, Kind::Inner, Kind::Outer, Kind::Bare, Kind::Outer, Kind::Bare];
/// Rows that are kept at most.
const ROWS_MAX: usize = 8_192;
/// The same where counters are read, which takes long.
const COUNTED_ROWS_MAX: usize = 64;
/// A row that takes so many times the median of its kind has lost its CPU in between,
const INTERRUPTED: f64 = 4.0;
/// and so has one that was on a CPU for less of its time, by the thread's CPU clock.
const ON_CPU: f64 = 0.95;
/// Rows of a kind that are left at least, or the clock is not listened to: where a thread loses its CPU all the time.
const QUIET_ROWS_MIN: usize = 3;

/// See the module. The state is the thread's: a probe is a type, not a value.
pub trait Probe: Copy + Send + Sync + 'static {
    /// Whether it looks at all.
    const LOOKS: bool;

    /// From now on the thread's time is divided up, and what was found before is forgotten. So many turns in a row are looked at
    /// each time; at least 1.
    fn start(in_a_row: u32);

    /// What was found since [`start`](Self::start), or `None` if nobody looks.
    fn finish() -> Option<Seen>;

    /// A turn begins. What came since the last lap of the one before belongs to no stage.
    fn turn();

    /// What came since the last lap, or since the turn began, belongs to `stage`. What a ledger did in a [`Stage::Match`] is told
    /// from it by [`tokens`](Self::tokens).
    fn lap(stage: Stage);

    /// Does something that belongs to [`Stage::Tokens`], within what belongs to [`Stage::Match`].
    fn tokens<R>(work: impl FnOnce() -> R) -> R;

    /// Does something that is rare and takes long. It is no part of the turn that it happens in.
    fn rare<R>(stage: Stage, work: impl FnOnce() -> R) -> R;
}

/// What a probe has seen of a thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Where its time went.
    pub times: StageTimes,
    /// What was counted of it meanwhile ([`counters::open`] says what there is).
    pub counted: Sample,
    /// The same by stage, if that was asked for ([`Sampled::count_stages`]). Its times are worth nothing then.
    pub stages: Option<Box<PerStage<Sample>>>,
}

/// Nobody looks.
#[derive(Clone, Copy, Debug)]
pub struct Off;

impl Probe for Off {
    const LOOKS: bool = false;

    #[inline(always)]
    fn start(_: u32) {}

    #[inline(always)]
    fn finish() -> Option<Seen> {
        None
    }

    #[inline(always)]
    fn turn() {}

    #[inline(always)]
    fn lap(_: Stage) {}

    #[inline(always)]
    fn tokens<R>(work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(always)]
    fn rare<R>(_: Stage, work: impl FnOnce() -> R) -> R {
        work()
    }
}

/// Some turns of many are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Sampled;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bare,
    Outer,
    Inner,
    /// As [`Inner`](Kind::Inner), but counters are read instead of the clock.
    Counted,
}

/// What was seen of some turns in a row.
#[derive(Clone, Copy)]
struct Row {
    kind: Kind,
    /// All of it, less what was rare.
    ticks: u64,
    stages: PerStage<u64>,
    laps: PerStage<u64>,
    /// ns on a CPU, less what was rare; where there is such a clock.
    cpu_ns: Option<f64>,
}

/// Means of the rows of one kind that were not interrupted, per turn.
#[derive(Clone, Default)]
struct Turn {
    ns: f64,
    stage_ns: PerStage<f64>,
    laps: PerStage<f64>,
}

/// What a thread has found so far, in ticks.
struct Found {
    started: u64,
    cpu_started: Result<u64, String>,
    counted_before: Sample,
    /// When the lap before ended.
    lap: u64,
    in_a_row: u32,
    /// Turns of the row that are still to be looked at, the one that is running included; 0 while none is looked at.
    left_of_row: u32,
    turns: u64,
    /// The row that is running, and when it began.
    row: Row,
    row_started: u64,
    /// The CPU clock then, and how much of it since was rare, in ns.
    row_cpu: Option<(u64, f64)>,
    rows: Vec<Row>,
    rare: PerStage<u64>,
    /// In what was rare: ns without a CPU.
    rare_off_cpu_ns: f64,
    random: u64,
    /// Counts by stage, where that was asked for.
    counter: Option<Box<StageCounter>>,
}

/// [`AHEAD`] while a row of this kind is looked at, and when nobody looks.
const INNER: u32 = 0;
const OUTER: u32 = 1;
const BARE: u32 = u32::MAX - 1;
const NEVER: u32 = u32::MAX;

thread_local! {
    /// Turns until one is looked at, plus 1; or one of the constants above. By itself, because most probes ask for nothing else.
    static AHEAD: Cell<u32> = const { Cell::new(NEVER) };
    /// [`Sampled::count_stages`].
    static COUNTS_STAGES: Cell<bool> = const { Cell::new(false) };
    /// Opened once a thread.
    static COUNTERS: RefCell<Box<dyn Source>> = RefCell::new(counters::open(Scope::Thread));
    static FOUND: RefCell<Found> = const { RefCell::new(Found::new(0x9e37_79b9_7f4a_7c15)) };
}

impl Found {
    const fn new(random: u64) -> Found {
        let row = Row { kind: Kind::Bare, ticks: 0, stages: PerStage::EMPTY, laps: PerStage::EMPTY, cpu_ns: None };
        Found {
            started: 0,
            cpu_started: Ok(0),
            counted_before: Sample::EMPTY,
            lap: 0,
            in_a_row: 1,
            left_of_row: 0,
            turns: 0,
            row,
            row_started: 0,
            row_cpu: None,
            rows: Vec::new(),
            rare: PerStage::EMPTY,
            rare_off_cpu_ns: 0.0,
            random,
            counter: None,
        }
    }

    /// A turn begins. `ahead` is [`AHEAD`]; returns what it is now.
    fn turn(&mut self, ahead: u32) -> u32 {
        self.turns += 1;
        if self.left_of_row == 0 && ahead > OUTER + 1 {
            return ahead - 1;
        }
        let mut now = clock::ticks();
        if self.left_of_row > 1 {
            self.left_of_row -= 1;
        } else if self.left_of_row == 1 {
            self.left_of_row = 0;
            self.row.ticks += now - self.row_started;
            let spent = |(started, rare): (u64, f64)| Some((thread_cpu_ns().ok()? - started) as f64 - rare);
            self.row.cpu_ns = self.row_cpu.and_then(spent);
            self.rows.push(self.row);
            let most = if self.counter.is_some() { COUNTED_ROWS_MAX } else { ROWS_MAX };
            return if self.rows.len() < most { self.distance() } else { NEVER };
        } else {
            self.left_of_row = self.in_a_row;
            let kind = if self.counter.is_some() { Kind::Counted } else { KINDS[self.rows.len() % KINDS.len()] };
            self.row = Row { kind, ticks: 0, stages: PerStage::EMPTY, laps: PerStage::EMPTY, cpu_ns: None };
            self.row_cpu = thread_cpu_ns().ok().map(|now| (now, 0.0));
            now = clock::ticks();
            self.row_started = now;
        }
        self.lap = now;
        if let Some(counter) = &mut self.counter {
            counter.turn();
        }
        match self.row.kind {
            Kind::Bare => BARE,
            Kind::Outer => OUTER,
            Kind::Inner | Kind::Counted => INNER,
        }
    }

    fn lap(&mut self, stage: Stage) {
        if let Some(counter) = &mut self.counter {
            return counter.lap(stage);
        }
        let now = clock::ticks();
        self.row.stages[stage] += now - self.lap;
        self.row.laps[stage] += 1;
        self.lap = now;
    }

    fn rare_begins(&mut self) {
        if let Some(counter) = &mut self.counter {
            counter.begin();
        }
    }

    fn rare_is_counted(&mut self, stage: Stage) {
        if let Some(counter) = &mut self.counter {
            counter.lap_of_rare(stage);
        }
    }

    fn rare(&mut self, stage: Stage, since: u64, off_cpu_ns: f64) {
        let now = clock::ticks();
        self.rare[stage] += now - since;
        self.rare_off_cpu_ns += off_cpu_ns;
        if let Some((_, rare_ns)) = &mut self.row_cpu {
            *rare_ns += clock::ns(now - since) - off_cpu_ns;
        }
        // The row goes on behind it.
        self.row_started += now - since;
        self.lap = now;
    }

    /// Turns until some are looked at again, plus 1: random, so that no rhythm of the work can hide in that of the sample.
    fn distance(&mut self) -> u32 {
        // Xorshift (Marsaglia 2003), the 13-7-17 triple.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let mean = (TURNS_PER_SAMPLE - 1) * u64::from(self.in_a_row);
        OUTER + 1 + ((self.random >> 32) % (2 * mean - 1)) as u32
    }

    /// What the counter of stages found, if there is one. The thread gets its counters back.
    fn take_stages(&mut self) -> Option<Box<PerStage<Sample>>> {
        let (stages, source) = self.counter.take()?.finish(self.turns);
        COUNTERS.set(source);
        Some(Box::new(stages))
    }

    /// All turns, estimated from those that were looked at, and what was rare.
    fn times(&self, wall_ns: f64, cpu_ns: Result<u64, String>) -> StageTimes {
        let mut times = StageTimes { wall_ns, ..StageTimes::default() };
        let each = self.each();
        for stage in Stage::ALL {
            times.stage_ns[stage] = clock::ns(self.rare[stage]) + each[stage] * self.turns as f64;
        }
        if let Ok(cpu_ns) = cpu_ns {
            times.stage_ns[Stage::NoCpu] += (wall_ns - cpu_ns as f64 - self.rare_off_cpu_ns).max(0.0);
        }
        times
    }

    /// What a turn has of each stage, in ns; see the module.
    fn each(&self) -> PerStage<f64> {
        let (bare, outer, inner) = (self.mean(Kind::Bare), self.mean(Kind::Outer), self.mean(Kind::Inner));
        let (Some(bare), Some(outer)) = (bare, outer) else { return PerStage::default() };
        let laps: f64 = Stage::ALL.into_iter().map(|stage| outer.laps[stage]).sum();
        let lap_cost = ((outer.ns - bare.ns) / laps.max(1.0)).max(0.0);
        let mut each = PerStage::default();
        for stage in Stage::ALL {
            each[stage] = (outer.stage_ns[stage] - lap_cost * outer.laps[stage]).max(0.0);
        }
        if let Some(inner) = inner {
            let tokens = each[Stage::Match] * tokens_share(&outer, &inner, each[Stage::Match]);
            each[Stage::Tokens] += tokens;
            each[Stage::Match] -= tokens;
        }
        each
    }

    /// The mean of the rows of a kind that were not interrupted; `None` if there is none of them.
    fn mean(&self, kind: Kind) -> Option<Turn> {
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| row.kind == kind).collect();
        let on_cpu = |row: &&Row| row.cpu_ns.is_none_or(|cpu_ns| cpu_ns >= ON_CPU * clock::ns(row.ticks));
        if rows.iter().copied().filter(|row| on_cpu(row)).count() >= QUIET_ROWS_MIN {
            rows.retain(on_cpu);
        }
        let mut ticks: Vec<f64> = rows.iter().map(|row| row.ticks as f64).collect();
        if ticks.is_empty() {
            return None;
        }
        let most = INTERRUPTED * median(&mut ticks);
        let whole: Vec<&Row> = rows.into_iter().filter(|row| row.ticks as f64 <= most).collect();
        let turns = whole.len() as f64 * f64::from(self.in_a_row);
        let mut turn = Turn::default();
        for row in whole {
            turn.ns += clock::ns(row.ticks) / turns;
            for stage in Stage::ALL {
                turn.stage_ns[stage] += clock::ns(row.stages[stage]) / turns;
                turn.laps[stage] += row.laps[stage] as f64 / turns;
            }
        }
        Some(turn)
    }
}

/// Which part of matching and tokens together (`market_ns` a turn, without laps) is the tokens'.
fn tokens_share(outer: &Turn, inner: &Turn, market_ns: f64) -> f64 {
    // Each piece of the tokens' work has two laps: one ends it, and one ends what was the market's before it.
    let pieces = inner.laps[Stage::Tokens];
    let with_laps = inner.stage_ns[Stage::Match] + inner.stage_ns[Stage::Tokens];
    if pieces == 0.0 || market_ns == 0.0 {
        return 0.0;
    }
    let lap_cost = ((with_laps - outer.stage_ns[Stage::Match]) / (2.0 * pieces)).max(0.0);
    ((inner.stage_ns[Stage::Tokens] - lap_cost * pieces) / market_ns).clamp(0.0, 1.0)
}

impl Sampled {
    /// From the next [`start`](Probe::start) on, what is counted on this thread is divided up by stage, or it is not.
    pub fn count_stages(whether: bool) {
        COUNTS_STAGES.set(whether);
    }

    /// What this thread counts with: opened once, and never beside another set, which would take turns with it.
    pub fn with_counters<R>(look: impl FnOnce(&dyn Source) -> R) -> R {
        COUNTERS.with_borrow(|source| look(&**source))
    }

    /// Whether what a ledger does is to be looked at by [`tokens`](Probe::tokens).
    #[inline(always)]
    pub fn looks_at_tokens() -> bool {
        let looks = AHEAD.get() == INNER;
        if looks {
            rarely();
        }
        looks
    }
}

impl Probe for Sampled {
    const LOOKS: bool = true;

    fn start(in_a_row: u32) {
        assert!(in_a_row > 0, "at least one turn is looked at");
        // What was begun before may have failed.
        let _ = FOUND.with_borrow_mut(Found::take_stages);
        let counted_before = COUNTERS.with_borrow_mut(|source| source.read());
        FOUND.with_borrow_mut(|found| {
            *found = Found { in_a_row, counted_before, ..Found::new(found.random) };
            found.counter = COUNTS_STAGES.get().then(|| {
                // Until it is finished: counters that are opened twice take turns.
                let lent = COUNTERS.replace(Box::new(Recorded::nothing("the counter of stages has them")));
                Box::new(StageCounter::new(lent))
            });
            found.rows.reserve(ROWS_MAX);
            // The first row need not be far: a short run is to show something, too.
            AHEAD.set(OUTER + 1 + found.distance() / TURNS_PER_SAMPLE as u32);
            found.cpu_started = thread_cpu_ns();
            found.started = clock::ticks();
        });
    }

    fn finish() -> Option<Seen> {
        AHEAD.set(NEVER);
        // A row that has not ended counts for nothing.
        FOUND.with_borrow_mut(|found| {
            let wall_ns = clock::ns(clock::ticks() - found.started);
            let cpu_ns = found.cpu_started.clone().and_then(|started| Ok(thread_cpu_ns()? - started));
            let times = found.times(wall_ns, cpu_ns);
            let stages = found.take_stages();
            let counted = COUNTERS.with_borrow_mut(|source| source.read()).since(&found.counted_before);
            *found = Found::new(found.random);
            Some(Seen { times, counted, stages })
        })
    }

    #[inline]
    fn turn() {
        let ahead = AHEAD.get();
        if ahead != NEVER {
            AHEAD.set(FOUND.with_borrow_mut(|found| found.turn(ahead)));
        }
    }

    #[inline(always)]
    fn lap(stage: Stage) {
        if AHEAD.get() <= OUTER {
            rarely();
            lap_of_row(stage);
        }
    }

    #[inline(always)]
    fn tokens<R>(work: impl FnOnce() -> R) -> R {
        if Self::looks_at_tokens() { tokens_with_laps(work) } else { work() }
    }

    fn rare<R>(stage: Stage, work: impl FnOnce() -> R) -> R {
        FOUND.with_borrow_mut(|found| found.rare_begins());
        let cpu = thread_cpu_ns();
        let since = clock::ticks();
        let done = work();
        FOUND.with_borrow_mut(|found| found.rare_is_counted(stage));
        let wall_ns = clock::ns(clock::ticks() - since);
        let cpu_ns = cpu.and_then(|before| Ok(thread_cpu_ns()? - before));
        let off_cpu_ns = cpu_ns.map_or(0.0, |cpu_ns| (wall_ns - cpu_ns as f64).max(0.0));
        FOUND.with_borrow_mut(|found| found.rare(stage, since, off_cpu_ns));
        done
    }
}

/// Called where few calls are to be expected. What is looked at is not marked cold itself: it would be made small and not fast, and
/// would show another work's time.
#[cold]
fn rarely() {}

#[inline(never)]
fn lap_of_row(stage: Stage) {
    FOUND.with_borrow_mut(|found| found.lap(stage));
}

#[inline(never)]
fn tokens_with_laps<R>(work: impl FnOnce() -> R) -> R {
    lap_of_row(Stage::Match);
    let done = work();
    lap_of_row(Stage::Tokens);
    done
}

#[cfg(test)]
mod tests;
