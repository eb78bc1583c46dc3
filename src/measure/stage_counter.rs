//! What each stage of some turns counts: a source is read at the end of each part, as a clock is for its time.
//!
//! A reading is a system call or several: it takes longer than most parts, and has instructions of its own. So it is never made in a
//! round whose time counts, and what two readings in a row show of themselves is taken off each part.

use super::counters::{Counter, Sample, Source, Tally};
use super::stage::{PerStage, Stage};

/// Readings in a row that say what a reading counts of itself.
const REHEARSALS: usize = 33;

/// Counts by stage, of turns that are looked at and of what is rare.
pub struct StageCounter {
    source: Box<dyn Source>,
    /// What a reading counts of itself.
    own: Sample,
    /// When the part that is running began.
    last: Sample,
    turns: u64,
    stages: PerStage<Sample>,
    rare: PerStage<Sample>,
}

impl StageCounter {
    /// Counts with this thread's source, which [`finish`](Self::finish) gives back.
    pub fn new(mut source: Box<dyn Source>) -> Self {
        let readings: Vec<Sample> = (0..REHEARSALS).map(|_| source.read()).collect();
        let own = usual(readings.windows(2).map(|pair| pair[1].since(&pair[0])).collect());
        let last = readings[REHEARSALS - 1];
        StageCounter { source, own, last, turns: 0, stages: PerStage::default(), rare: PerStage::default() }
    }

    /// A turn that is looked at begins here; what came since the last part belongs to no stage.
    pub fn turn(&mut self) {
        self.turns += 1;
        self.begin();
    }

    /// A part begins here.
    pub fn begin(&mut self) {
        self.last = self.source.read();
    }

    /// What came since the last lap, or since [`begin`](Self::begin), belongs to a stage of the turns that are looked at.
    pub fn lap(&mut self, stage: Stage) {
        let counted = self.part();
        self.stages[stage].add(&counted);
    }

    /// The same, of what is rare and counted each time.
    pub fn lap_of_rare(&mut self, stage: Stage) {
        let counted = self.part();
        self.rare[stage].add(&counted);
    }

    fn part(&mut self) -> Sample {
        let counted = self.source.read().since(&self.last).less(&self.own);
        // What is done with the reading is no part of the next one.
        self.last = self.source.read();
        counted
    }

    /// Of all turns, so many, and what was rare; and the source.
    pub fn finish(self, turns: u64) -> (PerStage<Sample>, Box<dyn Source>) {
        let each = turns as f64 / self.turns.max(1) as f64;
        let mut counted = self.rare;
        for stage in Stage::ALL {
            counted[stage].add(&self.stages[stage].times(each));
        }
        (counted, self.source)
    }
}

/// The median of each counter, by itself: a reading that was interrupted counts more.
fn usual(readings: Vec<Sample>) -> Sample {
    let mut usual = Sample::default();
    for counter in Counter::ALL {
        let mut counts: Vec<Tally> = readings.iter().filter_map(|reading| reading.get(counter)).collect();
        counts.sort_by_key(|tally| tally.count);
        if let Some(&middle) = counts.get(counts.len() / 2) {
            usual.set(counter, middle);
        }
    }
    usual
}

#[cfg(test)]
mod tests {
    use super::super::counters::Recorded;
    use super::*;

    fn at(instructions: u64) -> Sample {
        Sample::default().with(Counter::Instructions, Tally { count: instructions, enabled_ns: 1, running_ns: 1 })
    }

    fn count(sample: &Sample) -> u64 {
        sample.get(Counter::Instructions).map_or(0, |tally| tally.count)
    }

    #[test]
    fn parts_belong_to_their_stages_without_what_readings_count() {
        // A reading takes 10; one rehearsal was interrupted.
        let mut readings: Vec<Sample> =
            (1..=33).map(|number| at(10 * number + if number > 20 { 5_000 } else { 0 })).collect();
        let mut now = count(&readings[32]);
        let mut next = |by: u64| {
            now += by;
            readings.push(at(now));
        };
        // begin | match 100, and the reading that follows | tokens 40 | what is rare 1,000 | match again 7.
        for part in [10, 100 + 10, 10, 40 + 10, 10, 1_000 + 10, 10, 7 + 10, 10] {
            next(part);
        }
        let mut counter = StageCounter::new(Box::new(Recorded::new(readings, "not counted")));
        counter.turn();
        counter.lap(Stage::Match);
        counter.lap(Stage::Tokens);
        counter.lap_of_rare(Stage::Wait);
        counter.lap(Stage::Match);
        // Of four turns one was looked at.
        let (counted, _) = counter.finish(4);
        assert_eq!(count(&counted[Stage::Match]), 4 * 107);
        assert_eq!((count(&counted[Stage::Tokens]), count(&counted[Stage::Wait])), (4 * 40, 1_000));
        assert_eq!(counted[Stage::Events], Sample::default(), "nothing is no zero");
    }

    #[test]
    fn a_source_that_has_nothing_counts_nothing() {
        let mut counter = StageCounter::new(Box::new(Recorded::nothing("no PMU")));
        counter.turn();
        counter.lap(Stage::Match);
        assert_eq!(counter.finish(32).0[Stage::Match], Sample::default());
    }
}
