//! Some lives of a ledger, one after the other, from one seed: requests, repeats, blocks, snapshots, faults, crashes.

use super::model::Model;
use joulebook::baseline::Baseline;
use joulebook::engine::{Engine, audit};
use joulebook::journal::sim::{Counts, Faults, SimStorage};
use joulebook::journal::storage::{SECTOR, Storage};
use joulebook::journal::{JournalError, JournalId, Options, SyncPolicy};
use joulebook::node::durable::{DurableError, DurableNode, DurableOptions, Memory, check};
use joulebook::node::{BlockPolicy, Clock, SealPlan};
use joulebook::optimized::Optimized;
use joulebook::seal::{Search, Watch};
use joulebook::workload::Random;
use std::sync::Arc;
use std::time::Duration;

pub const ID: JournalId = JournalId(*b"a durable ledger");

/// What goes wrong in a schedule, besides crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Crashes,
    Rough,
    Failing,
    Rot,
    Misdirected,
    Unreadable,
    Full,
}

/// What schedules have exercised.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub schedules: u64,
    pub lives: u64,
    pub commands: u64,
    pub repeats: u64,
    pub forgotten: u64,
    pub crashes_in_create: u64,
    pub crashes_in_open: u64,
    pub failures: u64,
    pub full: u64,
    pub snapshots: u64,
    pub from_snapshot: u64,
    pub from_older_snapshot: u64,
    pub clean_stops: u64,
    pub refusals: u64,
    pub survived_damage: u64,
    pub recoveries: u64,
    pub recovered_commands: u64,
    pub blocks_again: u64,
    pub misdirected_excused: u64,
    pub disk: Counts,
}

impl Tally {
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        let Tally { disk, .. } = self;
        vec![
            ("commands", self.commands),
            ("repeats", self.repeats),
            ("forgotten", self.forgotten),
            ("crashes in create", self.crashes_in_create),
            ("crashes in open", self.crashes_in_open),
            ("failures", self.failures),
            ("full", self.full),
            ("snapshots", self.snapshots),
            ("from snapshot", self.from_snapshot),
            ("from older snapshot", self.from_older_snapshot),
            ("clean stops", self.clean_stops),
            ("refusals", self.refusals),
            ("survived damage", self.survived_damage),
            ("recovered commands", self.recovered_commands),
            ("blocks again", self.blocks_again),
            ("crashes", disk.crashes),
            ("restarts", disk.restarts),
            ("sectors lost", disk.sectors_lost),
            ("sectors kept", disk.sectors_kept),
            ("sectors torn", disk.sectors_torn),
            ("names lost", disk.names_lost),
            ("short writes", disk.short_writes),
            ("failed writes", disk.failed_writes),
            ("failed syncs", disk.failed_syncs),
            ("failed reads", disk.failed_reads),
            ("misdirected", disk.misdirected),
            ("flipped", disk.flipped),
        ]
    }

    pub fn add(mut self, other: Tally) -> Tally {
        self.schedules += other.schedules;
        self.lives += other.lives;
        self.commands += other.commands;
        self.repeats += other.repeats;
        self.forgotten += other.forgotten;
        self.crashes_in_create += other.crashes_in_create;
        self.crashes_in_open += other.crashes_in_open;
        self.failures += other.failures;
        self.full += other.full;
        self.snapshots += other.snapshots;
        self.from_snapshot += other.from_snapshot;
        self.from_older_snapshot += other.from_older_snapshot;
        self.clean_stops += other.clean_stops;
        self.refusals += other.refusals;
        self.survived_damage += other.survived_damage;
        self.recoveries += other.recoveries;
        self.recovered_commands += other.recovered_commands;
        self.blocks_again += other.blocks_again;
        self.misdirected_excused += other.misdirected_excused;
        self.disk.add(&other.disk);
        self
    }
}

struct Schedule {
    mode: Mode,
    options: DurableOptions,
    random: Random,
    disk: SimStorage,
    model: Model,
    tally: Tally,
    damaged: bool,
    /// What was acknowledged before the last step that acknowledged something.
    proven: u64,
}

/// Naive hashing on one thread: a schedule is to be the same again.
pub const PLAN: SealPlan = SealPlan { search: Search::Sequential, fast_hashing: false, beside: false };

/// Plays the schedule of a seed.
pub fn play(seed: u64) -> Result<Tally, String> {
    let mut random = Random::new(seed, 2);
    let mode = match random.below(20) {
        0..=7 => Mode::Crashes,
        8..=10 => Mode::Rough,
        11..=13 => Mode::Failing,
        14..=16 => Mode::Rot,
        17 => Mode::Misdirected,
        18 => Mode::Unreadable,
        _ => Mode::Full,
    };
    let policy = match random.below(6) {
        0..=3 => SyncPolicy::EveryGroup,
        4 => SyncPolicy::Interval(Duration::ZERO),
        _ => SyncPolicy::Interval(Duration::MAX),
    };
    let segment_bytes = 64 * SECTOR as u64;
    let journal = Options { policy, segment_bytes, bytes_max: (3 + random.below(4)) * segment_bytes, spares_max: 1 };
    let transactions = [1, 7, 40, 1_000][random.below(4) as usize];
    let interval = random.percent(30).then(|| 1_000 * (1 + random.below(40)));
    let memory = Memory { clients_max: 100, answers: [10, 60, 10_000][random.below(3) as usize] };
    let options = DurableOptions {
        policy: BlockPolicy { transactions, interval, plan: PLAN },
        journal,
        memory,
        snapshot_commands: [1, 10, 60, 100_000][random.below(4) as usize],
        beside: false,
    };
    let disk = SimStorage::new(random.word(), if random.percent(50) { 512 } else { SECTOR });
    let model = Model::new(random.below(18), u64::from(memory.answers));
    let tally = Tally { schedules: 1, ..Tally::default() };
    let mut schedule = Schedule { mode, options, random, disk, model, tally, damaged: false, proven: 0 };
    let played = if seed.is_multiple_of(8) { schedule.play::<Baseline>() } else { schedule.play::<Optimized>() };
    if let Err(what) = played {
        // One write that went elsewhere is survived or seen. A second one can destroy the evidence against the first.
        let excused = schedule.disk.counts().misdirected > 1 && what.starts_with("SILENT LOSS");
        if !excused {
            return Err(format!("seed {seed}, {mode:?}: {what}; {:?}", schedule.options));
        }
        schedule.tally.misdirected_excused += 1;
    }
    let Schedule { mut tally, disk, model, .. } = schedule;
    (tally.disk, tally.repeats, tally.forgotten) = (disk.counts(), model.repeats, model.forgotten);
    Ok(tally)
}

fn clock(life: u64) -> Clock {
    // A life may begin before the last one ended: no time runs back all the same.
    Clock::Simulated { start: 1_800_000_000_000_000_000 + life % 2 * 1_000_000, step: 100 }
}

impl Schedule {
    fn play<E: Engine>(&mut self) -> Result<(), String> {
        let mut node = self.create::<E>()?;
        for life in 0..1 + self.random.below(4) {
            self.tally.lives += 1;
            let stopped = self.live(node)?;
            let power_loss = self.random.percent(70);
            self.tally.clean_stops += u64::from(stopped);
            self.disk = if power_loss { self.disk.reopen() } else { self.disk.restart() };
            self.damaged |= self.disk.counts().misdirected > 0;
            if self.mode == Mode::Rot {
                self.rot();
            }
            match self.open::<E>(life)? {
                Some(opened) => node = opened,
                None => return Ok(()),
            }
        }
        audit(node.engine())
    }

    fn create<E: Engine>(&mut self) -> Result<DurableNode<E, SimStorage>, String> {
        if self.random.below(4) == 0 {
            self.disk.crash_at(1 + self.random.below(16));
        }
        loop {
            let watch = Arc::new(Watch::new());
            let params = self.model.params;
            let created = DurableNode::create(self.disk.clone(), ID, params, self.options, clock(0), watch.clone());
            match created {
                Ok(node) => return Ok(node),
                Err(_) if self.disk.is_gone() => {
                    self.tally.crashes_in_create += 1;
                    self.disk = self.disk.reopen();
                    let opened =
                        DurableNode::open(self.disk.clone(), Some(&params), self.options, clock(0), watch, &mut |_| {});
                    match opened {
                        Ok((node, _)) => return Ok(node),
                        Err(DurableError::Absent { .. }) => {}
                        Err(error) => return Err(format!("not made as a whole, and not as nothing: {error}")),
                    }
                }
                Err(error) => return Err(format!("not made: {error}")),
            }
        }
    }

    fn faults(&mut self) -> Faults {
        let some = 1 + self.random.below(30) as u32;
        match self.mode {
            Mode::Rough => {
                Faults { short_writes: 10 * some, short_reads: 10 * some, interrupted: 10 * some, ..Faults::default() }
            }
            Mode::Failing => Faults { failed_writes: some, failed_syncs: some, ..Faults::default() },
            Mode::Misdirected => Faults { misdirected: some, ..Faults::default() },
            Mode::Crashes | Mode::Rot | Mode::Full | Mode::Unreadable => Faults::default(),
        }
    }

    /// Sends requests until the end of a process, which it chooses. Returns whether it was stopped cleanly.
    fn live<E: Engine>(&mut self, mut node: DurableNode<E, SimStorage>) -> Result<bool, String> {
        let (faults, before_life) = (self.faults(), self.model.submitted());
        self.disk.set_faults(faults);
        if self.random.percent(70) {
            self.disk.crash_at(self.disk.operation_count() + 1 + self.random.below(120));
        }
        if self.mode == Mode::Full && self.random.percent(70) {
            self.disk.set_capacity(self.disk.used() + self.random.below(200) * SECTOR as u64);
        }
        for _ in 0..1 + self.random.below(30) {
            let most = [1, 5, 40][self.random.below(3) as usize];
            let count = 1 + self.random.below(most);
            let requests = self.model.requests(count, &mut self.random);
            let (before, state) = (self.model.waiting(), node.next());
            self.model.submit(&requests);
            let acknowledged = self.model.acknowledged;
            let model = &mut self.model;
            let submitted = node.submit(&requests, &mut |reply| model.reply(reply));
            let stop = match submitted {
                Ok((taken, None)) if taken == requests.len() => false,
                Ok((taken, Some(DurableError::Full { .. }))) => {
                    self.tally.full += 1;
                    self.model.unsubmit(&requests[taken..]);
                    if taken == 0 && (node.next() != state || self.model.waiting() > before) {
                        return Err("full, and something has changed".to_string());
                    }
                    if self.random.percent(30) {
                        self.disk.set_capacity(u64::MAX);
                    }
                    false
                }
                Ok(other) => return Err(format!("{other:?} of {}", requests.len())),
                Err(error) => {
                    self.failed(&mut node, &error)?;
                    true
                }
            };
            let stop = stop
                || self.random.percent(40) && {
                    let model = &mut self.model;
                    match node.settle(&mut |reply| model.reply(reply)) {
                        Ok(()) if self.model.waiting() > 0 => {
                            return Err(format!("{} requests are not answered", self.model.waiting()));
                        }
                        Ok(()) => false,
                        Err(error) => {
                            self.failed(&mut node, &error)?;
                            true
                        }
                    }
                };
            if let Some(wrong) = self.model.wrong.take() {
                return Err(wrong);
            }
            if self.model.acknowledged > acknowledged {
                self.proven = acknowledged;
            }
            if stop {
                break;
            }
        }
        let mut stopped = false;
        if self.random.percent(40) {
            let (model, next) = (&mut self.model, node.next());
            let done = node.stop(&mut |reply| model.reply(reply));
            if let Ok(done) = done {
                self.tally.snapshots += done.snapshots;
                if done.next != next || self.model.waiting() > 0 {
                    return Err(format!("stopped at {} instead of {next}", done.next));
                }
                stopped = done.snapshot_failed.is_none();
                self.proven = self.model.acknowledged;
            }
            if let Some(wrong) = self.model.wrong.take() {
                return Err(wrong);
            }
        }
        self.disk.set_capacity(u64::MAX);
        self.disk.set_faults(Faults::default());
        self.tally.commands += self.model.submitted() - before_life;
        Ok(stopped)
    }

    /// After an error nothing is taken and nothing acknowledged.
    fn failed<E: Engine>(&mut self, node: &mut DurableNode<E, SimStorage>, error: &DurableError) -> Result<(), String> {
        self.tally.failures += u64::from(!self.disk.is_gone());
        let expected =
            matches!(error, DurableError::Journal(_) | DurableError::Disk { .. } | DurableError::Stopped { .. })
                || matches!(error, DurableError::Node(_));
        let requests = self.model.requests(3, &mut self.random);
        let (acknowledged, mut given) = (node.acknowledged(), 0);
        let again = node.submit(&requests, &mut |_| given += 1);
        let settled = node.poll(&mut |_| {});
        let stays = matches!(again, Err(DurableError::Stopped { .. })) && settled.is_err() && given == 0;
        if !expected || !stays || node.acknowledged() != acknowledged {
            return Err(format!("it went on after {error}: {again:?}"));
        }
        Ok(())
    }

    fn rot(&mut self) {
        let names: Vec<String> = self.disk.names().unwrap();
        // Snapshots and what says what it all is are small beside segments, and as important.
        let name = names[self.random.below(names.len() as u64) as usize].clone();
        let used = if name.starts_with("segment-") { 8 * SECTOR as u64 } else { u64::MAX };
        let bits = 8 * (self.disk.bytes(&name).len() as u64).min(used);
        if bits > 0 {
            self.disk.flip_bit(&name, self.random.below(bits));
            self.damaged = true;
        }
    }

    /// Opens it again, however often the power fails meanwhile. Nothing if it is refused, which damage excuses.
    fn open<E: Engine>(&mut self, life: u64) -> Result<Option<DurableNode<E, SimStorage>>, String> {
        // What the last step acknowledged has no later one that could miss it, if all of it went elsewhere.
        let acknowledged = if self.disk.counts().misdirected > 0 { self.proven } else { self.model.acknowledged };
        if self.random.percent(25) {
            self.disk.crash_at(1 + self.random.below(8));
        }
        if self.mode == Mode::Unreadable {
            self.disk.set_faults(Faults { failed_reads: 100, short_reads: 100, ..Faults::default() });
        }
        loop {
            let before = if self.damaged { everything(&self.disk) } else { Vec::new() };
            if !self.damaged && self.mode != Mode::Unreadable && self.random.percent(20) {
                self.look::<E>(acknowledged)?;
            }
            let (watch, params) = (Arc::new(Watch::new()), self.model.params);
            let clock = clock(life + 1);
            let opened = DurableNode::open(self.disk.clone(), Some(&params), self.options, clock, watch, &mut |_| {});
            self.disk.set_faults(Faults::default());
            match opened {
                Ok((node, found)) => {
                    self.disk.crash_at(u64::MAX);
                    self.model.recovered(node.engine(), node.next(), acknowledged)?;
                    self.proven = self.model.acknowledged;
                    self.tally.recoveries += 1;
                    self.tally.recovered_commands += found.commands;
                    self.tally.blocks_again += found.blocks;
                    self.tally.from_snapshot += u64::from(found.snapshot.is_some());
                    self.tally.from_older_snapshot += u64::from(found.snapshot.is_some() && !found.damaged.is_empty());
                    self.tally.survived_damage += u64::from(self.damaged);
                    return self.ask_again(node).map(Some);
                }
                Err(_) if self.disk.is_gone() => {
                    self.tally.crashes_in_open += 1;
                    self.disk = self.disk.reopen();
                }
                Err(DurableError::Journal(JournalError::Io { .. }) | DurableError::Disk { .. })
                    if self.mode == Mode::Unreadable =>
                {
                    // The fault is over: it must open now.
                    self.mode = Mode::Crashes;
                }
                Err(DurableError::Journal(JournalError::Full { .. }) | DurableError::Full { .. }) => {
                    self.options.journal.bytes_max += self.options.journal.segment_bytes;
                }
                Err(DurableError::NoSnapshot { .. }) if self.mode == Mode::Unreadable => self.mode = Mode::Crashes,
                Err(error) if self.damaged && is_refusal(&error) => {
                    self.tally.refusals += 1;
                    let unchanged = before == everything(&self.disk);
                    return if unchanged { Ok(None) } else { Err(format!("changed and then refused: {error}")) };
                }
                Err(error) => return Err(format!("not opened: {error}")),
            }
        }
    }

    /// Reading alone finds the same, and changes nothing.
    fn look<E: Engine>(&mut self, acknowledged: u64) -> Result<(), String> {
        let before = everything(&self.disk);
        let looked = check::<E, _>(&self.disk, Some(&self.model.params), self.options.memory, &mut |_| {});
        let checked = looked.map_err(|error| format!("not read: {error}"))?;
        if checked.next <= acknowledged {
            return Err(format!("SILENT LOSS: {acknowledged} acknowledged, {} read", checked.next - 1));
        }
        audit(&checked.engine)?;
        if before == everything(&self.disk) { Ok(()) } else { Err("reading has changed something".to_string()) }
    }

    /// Clients that did not hear an answer send again.
    fn ask_again<E: Engine>(
        &mut self,
        mut node: DurableNode<E, SimStorage>,
    ) -> Result<DurableNode<E, SimStorage>, String> {
        let requests = self.model.again(5);
        self.model.submit(&requests);
        let model = &mut self.model;
        let asked = node.submit(&requests, &mut |reply| model.reply(reply));
        if let Some(wrong) = self.model.wrong.take() {
            return Err(wrong);
        }
        match asked {
            // They are answered without a place in the journal, so also where it is full.
            Ok((taken, None)) if taken == requests.len() && self.model.waiting() == 0 => Ok(node),
            other => Err(format!("{other:?}, {} not answered", self.model.waiting())),
        }
    }
}

/// Whether an error says by name what is damaged.
fn is_refusal(error: &DurableError) -> bool {
    use JournalError::*;
    matches!(
        error,
        DurableError::Journal(Damaged { .. } | Header { .. } | Version { .. } | Foreign { .. } | Missing { .. })
            | DurableError::Meta { .. }
            | DurableError::Version { .. }
            | DurableError::NoSnapshot { .. }
    )
}

/// All names and bytes of a disk.
pub fn everything(disk: &SimStorage) -> Vec<(String, Vec<u8>)> {
    disk.names().unwrap().into_iter().map(|name| (name.clone(), disk.bytes(&name))).collect()
}
