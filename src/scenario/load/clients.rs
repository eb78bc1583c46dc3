//! Who asks: clients that wait for answers, or one generator that does not.

use crate::command::Command;
use crate::measure::LatencyRecorder;
use crate::seal::Watch;
use crate::types::Sequence;
use crate::workload::{Arrivals, Habit, Trader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

/// Requests that a client of a closed loop has on their way.
pub const WINDOW: usize = 16;
/// Time between two requests below which the generator does not sleep: it would wake too late.
const SPIN: Duration = Duration::from_micros(100);

/// A request in the queue.
pub struct Request {
    /// Who asks.
    pub client: u32,
    /// When it was to be sent, in ns from the start.
    pub intended: u64,
    /// What is asked.
    pub command: Command,
}

/// What a request came to: its sequence, and whether it was accepted.
pub type Answer = (Sequence, bool);
/// A client's number, and answers to its oldest requests that had none: all that one batch has for it.
pub type Answers = (u32, Vec<Answer>);

/// What clients look at before they ask.
#[derive(Debug)]
pub struct Signals {
    ends: Instant,
    watch: Arc<Watch>,
    done: AtomicBool,
    builds: AtomicBool,
}

impl Signals {
    /// They ask until then, or until the watch is cancelled.
    pub fn new(ends: Instant, watch: Arc<Watch>, habit: Habit) -> Self {
        let builds = AtomicBool::new(habit == Habit::Build);
        Signals { ends, watch, done: AtomicBool::new(false), builds }
    }

    /// Nobody asks any more.
    pub fn stop(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// What they are up to from now on.
    pub fn change(&self, habit: Habit) {
        self.builds.store(habit == Habit::Build, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.watch.is_cancelled() && !self.done.load(Ordering::Relaxed)
    }

    fn habit(&self) -> Habit {
        if self.builds.load(Ordering::Relaxed) { Habit::Build } else { Habit::Trade }
    }
}

/// How clients reach the engine, and it reaches them.
pub struct Line {
    /// The queue.
    pub to: SyncSender<Request>,
    /// What comes back.
    pub answered: Receiver<Answers>,
    /// The clock's zero.
    pub start: Instant,
    /// Whether to go on.
    pub signals: Arc<Signals>,
}

/// What clients know.
#[derive(Default)]
pub struct Asked {
    /// Requests that a full queue refused.
    pub refused: u64,
    /// How late they were sent, where they were to be sent at a time.
    pub late: Option<LatencyRecorder>,
}

fn ns_since(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// One client, which asks again when it is answered.
pub fn closed_loop(client: u32, mut trader: Trader, line: &Line) -> Asked {
    let Line { to, answered, start, signals } = line;
    let mut on_their_way = 0;
    let take = |trader: &mut Trader, (_, answers): Answers| {
        answers.iter().for_each(|&(sequence, accepted)| trader.answered(sequence, accepted));
        answers.len()
    };
    while Instant::now() < signals.ends && signals.goes_on() {
        while on_their_way < WINDOW {
            let command = trader.ask(signals.habit());
            if to.send(Request { client, intended: ns_since(*start), command }).is_err() {
                return Asked::default();
            }
            on_their_way += 1;
        }
        let Ok(answers) = answered.recv() else { break };
        on_their_way -= take(&mut trader, answers);
        while let Ok(answers) = answered.try_recv() {
            on_their_way -= take(&mut trader, answers);
        }
    }
    Asked::default()
}

/// All clients in turn, at times that do not wait for answers.
pub fn open_loop(arrivals: Arrivals, mut traders: Vec<Trader>, line: &Line) -> Asked {
    let Line { to, answered, start, signals } = line;
    let (mut refused, mut late) = (0, LatencyRecorder::new());
    let (clients, ends) = (traders.len(), (signals.ends - *start).as_nanos());
    for (number, intended) in arrivals.enumerate() {
        if u128::from(intended) >= ends || !signals.goes_on() {
            break;
        }
        let mut now = ns_since(*start);
        while now < intended {
            let gap = Duration::from_nanos(intended - now);
            if gap > SPIN {
                thread::sleep(gap - SPIN / 2)
            } else {
                std::hint::spin_loop()
            }
            now = ns_since(*start);
        }
        late.record(now - intended);
        while let Ok((client, answers)) = answered.try_recv() {
            let trader = &mut traders[client as usize];
            answers.iter().for_each(|&(sequence, accepted)| trader.answered(sequence, accepted));
        }
        let client = number % clients;
        let command = traders[client].ask(signals.habit());
        match to.try_send(Request { client: client as u32, intended, command }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                traders[client].refused();
                refused += 1;
            }
            Err(TrySendError::Disconnected(_)) => break,
        }
    }
    Asked { refused, late: Some(late) }
}
