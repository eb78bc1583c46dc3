//! One random life of a journal, or several in a row: groups, rotations, prunes, crashes, faults, all from one seed.

use super::model::{ID, Model, SEGMENT, everything, is_refusal};
use joulebook::journal::sim::{Counts, Faults, SimStorage};
use joulebook::journal::storage::{SECTOR, Storage};
use joulebook::journal::{Journal, JournalError, Options, SyncPolicy};
use joulebook::workload::Random;
use std::time::Duration;

/// What goes wrong in a schedule, besides crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Crashes,
    /// Short and interrupted steps.
    Rough,
    /// Writes and syncs fail.
    Failing,
    /// One bit turns over between two lives.
    Rot,
    Misdirected,
    /// Reads fail.
    Unreadable,
    Full,
}

/// What schedules have exercised.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub schedules: u64,
    pub lives: u64,
    pub groups: u64,
    pub crashes_in_create: u64,
    pub crashes_in_open: u64,
    pub failures: u64,
    pub full: u64,
    pub prunes: u64,
    pub refusals: u64,
    pub survived_damage: u64,
    pub twice_misdirected: u64,
    pub recoveries: u64,
    pub disk: Counts,
}

impl Tally {
    pub fn add(mut self, other: Tally) -> Tally {
        self.schedules += other.schedules;
        self.lives += other.lives;
        self.groups += other.groups;
        self.crashes_in_create += other.crashes_in_create;
        self.crashes_in_open += other.crashes_in_open;
        self.failures += other.failures;
        self.full += other.full;
        self.prunes += other.prunes;
        self.refusals += other.refusals;
        self.survived_damage += other.survived_damage;
        self.twice_misdirected += other.twice_misdirected;
        self.recoveries += other.recoveries;
        self.disk.add(&other.disk);
        self
    }
}

struct Schedule {
    mode: Mode,
    options: Options,
    random: Random,
    disk: SimStorage,
    model: Model,
    tally: Tally,
    /// Whether something was damaged: then a refusal is an answer.
    damaged: bool,
    /// What was acknowledged before the last step that acknowledged something.
    proven: u64,
}

/// Plays the schedule of a seed.
pub fn play(seed: u64) -> Result<Tally, String> {
    let mut random = Random::new(seed, 1);
    let mode = match random.below(20) {
        0..=7 => Mode::Crashes,
        8..=11 => Mode::Rough,
        12..=14 => Mode::Failing,
        15..=16 => Mode::Rot,
        17 => Mode::Misdirected,
        18 => Mode::Unreadable,
        _ => Mode::Full,
    };
    let policy = match random.below(8) {
        0..=3 => SyncPolicy::EveryGroup,
        4 => SyncPolicy::Interval(Duration::ZERO),
        // Never due: what makes it durable is a cover or a rotation, so that no clock is in the schedule.
        5..=6 => SyncPolicy::Interval(Duration::MAX),
        _ => SyncPolicy::Never,
    };
    let options = Options {
        policy,
        segment_bytes: SEGMENT + random.below(3) * SECTOR as u64,
        bytes_max: (3 + random.below(6)) * (SEGMENT + 2 * SECTOR as u64),
        spares_max: random.below(3) as usize,
    };
    let disk = SimStorage::new(random.word(), if random.percent(50) { 512 } else { SECTOR });
    let tally = Tally { schedules: 1, ..Tally::default() };
    let mut schedule = Schedule { mode, options, random, disk, model: Model::new(), tally, damaged: false, proven: 0 };
    if let Err(what) = schedule.play() {
        // One write that went elsewhere is survived or seen. A second one can destroy the evidence against the first.
        let excused = schedule.disk.counts().misdirected > 1 && what.starts_with("SILENT LOSS");
        if !excused {
            return Err(format!("seed {seed}, {mode:?}, {policy:?}: {what}"));
        }
        schedule.tally.twice_misdirected += 1;
    }
    schedule.tally.disk = schedule.disk.counts();
    Ok(schedule.tally)
}

impl Schedule {
    fn play(&mut self) -> Result<(), String> {
        if self.random.below(16) == 0 {
            self.disk.crash_at(1 + self.random.below(8));
        }
        let mut journal = match Journal::create(self.disk.clone(), ID, self.options) {
            Ok(journal) => journal,
            Err(_) if self.disk.is_gone() => return self.crash_in_create(),
            Err(error) => return Err(format!("not made: {error}")),
        };
        self.model.acknowledged = journal.acknowledged();
        for _ in 0..1 + self.random.below(4) {
            self.tally.lives += 1;
            let power_loss = self.live(&mut journal)?;
            drop(journal);
            // Without syncs, what was acknowledged stays as long as the machine goes on and nothing else is wrong with it.
            let sound = matches!(self.mode, Mode::Crashes | Mode::Rough | Mode::Full) && !power_loss;
            let acknowledged = match self.options.policy {
                SyncPolicy::Never if !sound => 0,
                // A write that went elsewhere is missed by later ones. What the last step acknowledged has no later one, and if
                // all of it went elsewhere, nothing on the disk tells.
                _ if self.disk.counts().misdirected > 0 => self.proven,
                _ => self.model.acknowledged,
            };
            match self.open(acknowledged)? {
                Some(opened) => journal = opened,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Nothing was acknowledged: whoever makes a journal makes it again elsewhere. What matters is that nothing is made up.
    fn crash_in_create(&mut self) -> Result<(), String> {
        self.tally.crashes_in_create += 1;
        self.disk = self.disk.reopen();
        if let Ok(recovered) = self.model.scan(&self.disk, 0)? {
            self.tally.recoveries += 1;
            if recovered.last > 1 {
                return Err(format!("{} frames in a journal that was never made", recovered.last));
            }
        }
        Ok(())
    }

    fn faults(&mut self) -> Faults {
        let some = 1 + self.random.below(30) as u32;
        match self.mode {
            Mode::Rough => {
                Faults { short_writes: 10 * some, short_reads: 10 * some, interrupted: 10 * some, ..Faults::default() }
            }
            Mode::Failing => Faults { failed_writes: some, failed_syncs: some, ..Faults::default() },
            Mode::Misdirected => Faults { misdirected: some, ..Faults::default() },
            Mode::Unreadable => Faults { failed_reads: 5 * some, ..Faults::default() },
            Mode::Crashes | Mode::Rot | Mode::Full => Faults::default(),
        }
    }

    /// Writes until the end of a process, which it chooses. Returns whether the power was lost.
    fn live(&mut self, journal: &mut Journal<SimStorage>) -> Result<bool, String> {
        let faults = self.faults();
        self.disk.set_faults(faults);
        if self.random.percent(80) {
            self.disk.crash_at(self.disk.operation_count() + 1 + self.random.below(60));
        }
        if self.mode == Mode::Full && self.random.percent(70) {
            self.disk.set_capacity(self.disk.used() + self.random.below(3 * SEGMENT / SECTOR as u64) * SECTOR as u64);
        }
        for _ in 0..2 + self.random.below(40) {
            let done = match self.random.below(20) {
                0 if self.options.policy != SyncPolicy::Never => {
                    let keep = 1 + self.random.below(self.model.acknowledged);
                    self.model.from = self.model.from.max(keep);
                    self.tally.prunes += 1;
                    journal.prune(self.model.from).map(|()| 0)
                }
                1..=3 => journal.cover().map(|()| 0),
                _ => {
                    let length = Model::length(&self.options, &mut self.random);
                    let appended = self.model.append(journal, length, &mut self.random);
                    self.tally.groups += u64::from(appended.is_ok());
                    appended
                }
            };
            let before = std::mem::replace(&mut self.model.acknowledged, journal.acknowledged());
            if self.model.acknowledged > before {
                self.proven = before;
            }
            if self.model.acknowledged < before || self.model.acknowledged > journal.last() {
                return Err(format!("{} acknowledged after {before}", self.model.acknowledged));
            }
            match done {
                Ok(_) => {}
                Err(JournalError::Full { .. }) => self.full(journal)?,
                Err(error) => {
                    self.fail_stop(journal, &error)?;
                    break;
                }
            }
        }
        self.disk.set_capacity(u64::MAX);
        self.disk.set_faults(Faults::default());
        let power_loss = self.random.percent(70);
        self.tally.disk = self.disk.counts();
        self.disk = if power_loss { self.disk.reopen() } else { self.disk.restart() };
        self.damaged |= self.disk.counts().misdirected > 0;
        if self.mode == Mode::Rot {
            self.rot();
        }
        Ok(power_loss)
    }

    /// Refused before anything was accepted: what there is can be read, and with room again it goes on.
    fn full(&mut self, journal: &mut Journal<SimStorage>) -> Result<(), String> {
        self.tally.full += 1;
        if self.disk.is_gone() {
            return Ok(());
        }
        if !self.damaged && self.mode != Mode::Misdirected && self.mode != Mode::Unreadable {
            self.model.scan(&self.disk, self.model.acknowledged)?.map_err(|error| format!("full, then {error}"))?;
        }
        if self.random.percent(30) {
            self.disk.set_capacity(u64::MAX);
        }
        if self.options.policy != SyncPolicy::Never && self.random.percent(50) {
            self.model.from = self.model.from.max(self.model.acknowledged);
            if let Err(error) = journal.prune(self.model.from) {
                self.fail_stop(journal, &error)?;
            }
        }
        Ok(())
    }

    /// After an error nothing is taken and nothing acknowledged.
    fn fail_stop(&mut self, journal: &mut Journal<SimStorage>, error: &JournalError) -> Result<(), String> {
        self.tally.failures += u64::from(!self.disk.is_gone());
        let before = journal.acknowledged();
        for _ in 0..2 {
            let again = self.model.append(journal, 64, &mut self.random);
            if !matches!(again, Err(JournalError::Stopped { .. })) || journal.cover().is_ok() {
                return Err(format!("it went on after {error}: {again:?}"));
            }
        }
        if journal.acknowledged() != before { Err(format!("acknowledged after {error}")) } else { Ok(()) }
    }

    fn rot(&mut self) {
        let names: Vec<String> = self.disk.names().unwrap();
        let segments: Vec<&String> = names.iter().filter(|name| name.starts_with("segment-")).collect();
        if let Some(name) = segments.get(self.random.below(segments.len().max(1) as u64) as usize) {
            let bits = 8 * self.disk.bytes(name).len() as u64;
            self.disk.flip_bit(name, self.random.below(bits));
            self.damaged = true;
        }
    }

    /// Opens it again, however often the power fails meanwhile. Nothing if it is refused, which damage excuses.
    fn open(&mut self, mut acknowledged: u64) -> Result<Option<Journal<SimStorage>>, String> {
        if self.random.percent(25) {
            self.disk.crash_at(1 + self.random.below(6));
        }
        if self.mode == Mode::Unreadable {
            self.disk.set_faults(Faults { failed_reads: 100, short_reads: 100, ..Faults::default() });
        }
        loop {
            let before = if self.damaged { everything(&self.disk) } else { Vec::new() };
            let opened = self.model.open(&self.disk, self.options, acknowledged)?;
            self.disk.set_faults(Faults::default());
            match opened {
                Ok(journal) => {
                    self.tally.recoveries += 1;
                    self.tally.survived_damage += u64::from(self.damaged);
                    return Ok(Some(journal));
                }
                Err(_) if self.disk.is_gone() => {
                    self.tally.crashes_in_open += 1;
                    self.disk = self.disk.reopen();
                    if self.options.policy == SyncPolicy::Never {
                        acknowledged = 0;
                    }
                }
                // The fault is over: it must open now.
                Err(JournalError::Io { .. }) if self.mode == Mode::Unreadable => self.mode = Mode::Crashes,
                Err(JournalError::Full { .. }) => self.options.bytes_max += SEGMENT,
                Err(error) if self.damaged && is_refusal(&error) => {
                    self.tally.refusals += 1;
                    let unchanged = before == everything(&self.disk);
                    return if unchanged { Ok(None) } else { Err(format!("changed and then refused: {error}")) };
                }
                Err(error) => return Err(format!("not opened: {error}")),
            }
        }
    }
}
