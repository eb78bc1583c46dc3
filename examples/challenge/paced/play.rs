//! One engine, one flow, two threads: as fast as it goes, or each message when it is due.

#![allow(unsafe_code)]

use crate::abi::{Message, Report};
use crate::control::Pinned;
use crate::engine::{Engine, Reader, Running};
use crate::figures::Schedule;
use crate::messages::Play;
use crate::transport::BLANK;
use joulebook::measure::clock::{ns, ticks};
use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

/// Reports per drain, as in the challenge.
const DRAIN_MAX: usize = 256;
/// Messages per batch where all are there at once; the challenge's batches are about as long.
const BATCH_MAX: usize = 1 << 15;
/// Before the first message is due, in ns: both threads are in their loops by then.
const LEAD_NS: f64 = 1e5;
/// The stamp of a message that was not reported about.
const NEVER: u64 = u64::MAX;

/// How messages come.
#[derive(Clone, Copy)]
pub enum Load {
    /// All are there at the beginning.
    Max,
    /// So many become due per second, whatever the engine does.
    Paced(f64),
}

/// How a flow is played.
#[derive(Clone, Copy)]
pub struct Setting {
    /// How messages come.
    pub load: Load,
    /// CPUs of the matcher and of the drainer.
    pub cores: (usize, usize),
    /// Reports that may be in flight.
    pub capacity: u32,
}

/// What happened.
pub struct Played {
    /// All reports, in the order in which they came.
    pub reports: Vec<Report>,
    /// From the moment at which a message was due until the drainer had a report about it, for each that was reported about, in
    /// their order and in ticks; none where all were there at the beginning.
    pub latencies: Vec<u64>,
    /// Messages without a report.
    pub unreported: usize,
    /// From the beginning until the last report was there, in ns.
    pub ns: f64,
    /// How often messages were handed over.
    pub batches: usize,
    /// How long the matcher and the drainer were ready to run and the system ran others on their CPUs, in ns.
    pub descheduled_ns: [Option<u64>; 2],
}

/// What one thread tells the other: on lines of its own, because the other looks at it all the time, and beside it on the stack is
/// what the first one writes all the time.
#[repr(align(128))]
struct Flag(AtomicBool);

/// What the drainer saw.
struct Drained {
    reports: Vec<Report>,
    /// When the first report about each message was there.
    stamps: Vec<u64>,
    last: u64,
    error: Option<String>,
    descheduled_ns: Option<u64>,
}

/// Plays a flow. The thread that calls this becomes the matcher.
///
/// # Errors
/// A CPU is not to be had, the transport cannot be made, or the reports are not about the messages; in words.
pub fn play(engine: &Engine, play: &Play, setting: Setting) -> Result<Played, String> {
    let Setting { load, cores, capacity } = setting;
    let messages = &play.messages;
    let (running, reader) = engine.start(capacity)?;
    let [done, looking] = [const { Flag(AtomicBool::new(false)) }; 2];
    let ready = Barrier::new(2);
    let drained = Drained {
        // Written to once, so that no page comes into being while time is taken.
        reports: vec![Report { kind: u8::MAX, ..BLANK }; play.reports_max + DRAIN_MAX],
        stamps: vec![NEVER; messages.len()],
        last: 0,
        error: None,
        descheduled_ns: None,
    };
    std::thread::scope(|scope| {
        let drainer = scope.spawn(|| {
            let pinned = Pinned::to(cores.1);
            ready.wait();
            let before = pinned.as_ref().ok().and_then(Pinned::descheduled_ns);
            looking.0.store(true, Ordering::Release);
            // Even without the CPU: the matcher must not wait for room.
            let mut drained = drain(reader, drained, &done.0);
            drained.descheduled_ns = pinned?.descheduled_since(before);
            Ok::<_, String>(drained)
        });
        let pinned = Pinned::to(cores.0);
        if pinned.is_ok() {
            running.init(nonce());
            running.prebuild(messages);
        }
        ready.wait();
        let matched = pinned.map(|pinned| {
            let before = pinned.descheduled_ns();
            // Not before the drainer is there: its CPU may be another's when it is woken.
            while !looking.0.load(Ordering::Acquire) {
                spin_loop();
            }
            let handed = match load {
                Load::Max => hand_over_all(&running, messages),
                Load::Paced(per_second) => hand_over_due(&running, messages, Schedule::new(per_second, ns(1))),
            };
            (handed, pinned.descheduled_since(before))
        });
        done.0.store(true, Ordering::Release);
        let drained = drainer.join().map_err(|_| "the drainer failed".to_string())?;
        let ((start, batches), matcher_off) = matched?;
        running.shutdown();
        let Drained { mut reports, stamps, last, error, descheduled_ns } = drained?;
        if let Some(error) = error {
            return Err(error);
        }
        reports.shrink_to_fit();
        let unreported = stamps.iter().filter(|&&stamp| stamp == NEVER).count();
        let latencies = match load {
            Load::Max => Vec::new(),
            Load::Paced(per_second) => {
                let schedule = Schedule::new(per_second, ns(1));
                let reported = stamps.iter().enumerate().filter(|(_, stamp)| **stamp != NEVER);
                reported.map(|(i, &stamp)| stamp.saturating_sub(start + schedule.due(i))).collect()
            }
        };
        let ns = ns(last.saturating_sub(start));
        Ok(Played { reports, latencies, unreported, ns, batches, descheduled_ns: [matcher_off, descheduled_ns] })
    })
}

/// A number that differs from run to run, as the challenge gives it.
fn nonce() -> u64 {
    ticks() ^ u64::from(std::process::id()) << 32
}

/// The beginning, and how many batches there were.
fn hand_over_all(running: &Running, messages: &[Message]) -> (u64, usize) {
    let start = ticks();
    messages.chunks(BATCH_MAX).for_each(|batch| running.hand_over(batch));
    running.flush();
    (start, messages.len().div_ceil(BATCH_MAX))
}

/// Turns until messages are due, and hands over all that are due by then, however many it is. The beginning, and how many batches
/// there were.
fn hand_over_due(running: &Running, messages: &[Message], schedule: Schedule) -> (u64, usize) {
    let start = ticks() + (LEAD_NS / ns(1)) as u64;
    let (mut next, mut batches) = (0, 0);
    while next < messages.len() {
        let Some(elapsed) = ticks().checked_sub(start) else { continue };
        let due = schedule.due_by(elapsed).min(messages.len());
        if due > next {
            running.hand_over(&messages[next..due]);
            running.flush();
            next = due;
            batches += 1;
        }
    }
    (start, batches)
}

/// Takes reports until the matcher is done and none are left, and notes when each message's first one was there.
fn drain(mut reader: Reader, mut drained: Drained, done: &AtomicBool) -> Drained {
    let Drained { reports, stamps, last, error, .. } = &mut drained;
    reports.clear();
    loop {
        // In this order: what was pushed before `done` is seen after it.
        let finished = done.load(Ordering::Acquire);
        let from = reports.len();
        if reader.drain(reports, DRAIN_MAX) == 0 {
            if finished {
                return drained;
            }
            spin_loop();
            continue;
        }
        *last = ticks_after_reads();
        for report in &reports[from..] {
            match stamps.get_mut((report.sequence_number as usize).wrapping_sub(1)) {
                Some(stamp) => *stamp = (*stamp).min(*last),
                None => {
                    let number = report.sequence_number;
                    error.get_or_insert_with(|| format!("a report is about message {number}, which there is not"));
                }
            }
        }
        if reports.capacity() - reports.len() < DRAIN_MAX {
            error.get_or_insert_with(|| "it reports more than the messages can cause".into());
            // The matcher must not wait for room.
            reports.clear();
        }
    }
}

/// Now, and not before the reads above it are done: a CPU may read its counter ahead of them.
#[inline(always)]
fn ticks_after_reads() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has the instruction (SSE2).
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    ticks()
}
