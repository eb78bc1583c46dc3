//! Where the time of the thread goes that writes the journal.

use super::board::Board;
use crate::measure::{RunDelay, Stage, thread_cpu_ns};
use std::sync::Arc;
use std::time::Instant;

/// The time of the thread that writes, divided up: while it writes it works on a CPU, is ready for one, or waits for the disk; and
/// otherwise it waits for messages.
pub struct Laps {
    board: Arc<Board>,
    run_delay: Option<RunDelay>,
    now: Clocks,
}

/// What a thread's clocks say. One that is not there says nothing, and what it would tell stays with the rest.
struct Clocks {
    at: Instant,
    cpu_ns: Option<u64>,
    run_delay_ns: Option<u64>,
}

impl Clocks {
    fn read(run_delay: &Option<RunDelay>) -> Self {
        let run_delay_ns = run_delay.as_ref().and_then(|run_delay| run_delay.ns().ok());
        Clocks { at: Instant::now(), cpu_ns: thread_cpu_ns().ok(), run_delay_ns }
    }
}

impl Laps {
    /// From now on, for the board, on the thread that is looked at.
    pub fn start(board: Arc<Board>) -> Self {
        let run_delay = RunDelay::of_this_thread().ok();
        Laps { board, now: Clocks::read(&run_delay), run_delay }
    }

    /// What came since the lap before was writing, or it was waiting for messages.
    pub fn lap(&mut self, writes: bool) {
        let now = Clocks::read(&self.run_delay);
        let before = std::mem::replace(&mut self.now, now);
        let now = &self.now;
        let mut progress = self.board.read();
        let times = &mut progress.journal;
        // What came before somebody looked is none of it.
        let Some(since) = times.since.filter(|since| *since < now.at) else { return };
        let wall_ns = now.at.saturating_duration_since(before.at.max(since)).as_nanos() as f64;
        let passed = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?) as f64);
        // Without such a clock, all of it is the journal's.
        let cpu_ns = passed(now.cpu_ns, before.cpu_ns).unwrap_or(wall_ns).min(wall_ns);
        let no_cpu_ns = passed(now.run_delay_ns, before.run_delay_ns).unwrap_or(0.0).min(wall_ns - cpu_ns);
        times.stage_ns[Stage::NoCpu] += no_cpu_ns;
        if writes {
            times.stage_ns[Stage::Journal] += cpu_ns;
            times.stage_ns[Stage::Sync] += wall_ns - cpu_ns - no_cpu_ns;
        } else {
            times.stage_ns[Stage::Wait] += wall_ns - no_cpu_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::durable::board::JournalTimes;
    use std::time::Duration;

    /// What the thread does decides where its time goes: work, the disk (a sleep: nobody has the CPU in its place), messages.
    #[test]
    fn the_time_of_the_thread_that_writes_is_divided_up_by_its_clocks() {
        const SLEEP: Duration = Duration::from_millis(30);
        let board = Arc::new(Board::default());
        let mut laps = Laps::start(board.clone());
        laps.lap(true);
        assert_eq!(board.read().journal.stage_ns, JournalTimes::default().stage_ns, "nobody looks");
        let begun = Instant::now();
        board.say(|progress| progress.journal.since = Some(begun));
        let stages = |board: &Board| board.read().journal.stage_ns;
        laps.lap(true);

        let (before, cpu) = (stages(&board), thread_cpu_ns().unwrap());
        while thread_cpu_ns().unwrap() < cpu + 20_000_000 {}
        laps.lap(true);
        let worked = stages(&board);
        assert!(worked[Stage::Journal] - before[Stage::Journal] >= 2e7, "{worked:?}");
        std::thread::sleep(SLEEP);
        laps.lap(true);
        let synced = stages(&board);
        assert!(synced[Stage::Sync] - worked[Stage::Sync] >= 0.99 * SLEEP.as_nanos() as f64, "{synced:?}");
        std::thread::sleep(SLEEP);
        laps.lap(false);
        let waited = stages(&board);
        assert!(waited[Stage::Wait] - synced[Stage::Wait] >= 0.99 * SLEEP.as_nanos() as f64, "{waited:?}");
        assert_eq!(waited[Stage::Sync], synced[Stage::Sync], "a wait for messages is none for the disk");

        let sum: f64 = Stage::ALL.into_iter().map(|stage| waited[stage]).sum();
        let wall = laps.now.at.saturating_duration_since(begun).as_nanos() as f64;
        assert!((sum - wall).abs() <= 1e-6 * wall, "{sum} ns of {wall}");
    }
}
