//! What a durable ledger should say, by a list of what was sent and the baseline.

use joulebook::baseline::Baseline;
use joulebook::block::ChainParams;
use joulebook::command::{Batch, Refusal, Request};
use joulebook::engine::{Engine, state_digest};
use joulebook::event::{Event, EventLog};
use joulebook::hash::Digest;
use joulebook::types::Rules;
use joulebook::wire::{Answer, Refused, Reply};
use joulebook::workload::{Chaos, ChaosProfile, Random};
use std::collections::{BTreeMap, VecDeque};

/// What is to come back for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Its command has this sequence.
    Answer {
        client: u64,
        number: u64,
        sequence: u64,
        repeat: bool,
    },
    Refused(Refused),
}

pub struct Model {
    pub params: ChainParams,
    chaos: Chaos,
    /// By sequence less one: the commands that were taken in, and what they cause.
    sent: Vec<Request>,
    outcomes: Vec<Vec<Event>>,
    engine: Baseline,
    expected: VecDeque<Expected>,
    /// How many of `sent` were answered.
    pub acknowledged: u64,
    /// Answers to the last so many commands must be kept.
    pub window: u64,
    pub repeats: u64,
    pub forgotten: u64,
    /// The first answer that was wrong.
    pub wrong: Option<String>,
}

impl Model {
    pub fn new(seed: u64, window: u64) -> Self {
        let profile = ChaosProfile::by_number(seed);
        let params = ChainParams::fixed(profile.rules, 0x207f_ffff);
        Model {
            params,
            chaos: Chaos::new(profile, seed),
            sent: Vec::new(),
            outcomes: Vec::new(),
            engine: Baseline::new(params.rules),
            expected: VecDeque::new(),
            acknowledged: 0,
            window,
            repeats: 0,
            forgotten: 0,
            wrong: None,
        }
    }

    pub fn rules(&self) -> Rules {
        self.params.rules
    }

    pub fn submitted(&self) -> u64 {
        self.sent.len() as u64
    }

    pub fn waiting(&self) -> usize {
        self.expected.len()
    }

    /// Numbers that clients have used.
    fn used(&self) -> BTreeMap<u64, u64> {
        let mut used = BTreeMap::new();
        self.sent.iter().for_each(|request| *used.entry(request.client).or_default() += 1);
        used
    }

    /// Requests of three clients, some of them sent before, some out of turn.
    pub fn requests(&mut self, count: u64, random: &mut Random) -> Vec<Request> {
        let mut used = self.used();
        let commands = self.chaos.commands(count as usize);
        let request = |command| {
            let client = 7 + random.below(3) * 1_000_003;
            let next = used.entry(client).or_default();
            let known = self.sent.len() as u64;
            if known > 0 && random.below(12) == 0 {
                // A late one is more likely to be answered than any one.
                let back = if random.percent(70) { 1 + random.below(known.min(20)) } else { 1 + random.below(known) };
                return self.sent[(known - back) as usize];
            }
            if random.below(40) == 0 {
                return Request { client, number: *next + 2 + random.below(5), command };
            }
            *next += 1;
            Request { client, number: *next, command }
        };
        commands.into_iter().map(request).collect()
    }

    /// Says what requests will be answered with, if they are taken in.
    pub fn submit(&mut self, requests: &[Request]) {
        let mut used = self.used();
        for request in requests {
            let Request { client, number, command } = *request;
            let known = used.entry(client).or_default();
            if number == *known + 1 {
                *known += 1;
                let sequence = self.sent.len() as u64 + 1;
                let mut log = EventLog::default();
                self.engine.apply(Batch { first: sequence, time: 0, commands: &[command] }, &mut log);
                self.outcomes.push(log.events);
                self.sent.push(*request);
                self.expected.push_back(Expected::Answer { client, number, sequence, repeat: false });
            } else if number > *known {
                let why = Refusal::Gap { expected: *known + 1 };
                self.expected.push_back(Expected::Refused(Refused { client, number, why }));
            } else {
                let of = |sent: &Request| (sent.client, sent.number) == (client, number);
                let sequence = 1 + self.sent.iter().position(of).expect("it was sent") as u64;
                self.expected.push_back(Expected::Answer { client, number, sequence, repeat: true });
            }
        }
    }

    /// The requests from this one on were not taken in after all.
    pub fn unsubmit(&mut self, requests: &[Request]) {
        for _ in requests {
            if let Some(Expected::Answer { repeat: false, .. }) = self.expected.pop_back() {
                self.sent.pop();
            }
        }
        self.cut(self.sent.len());
    }

    fn cut(&mut self, count: usize) {
        self.sent.truncate(count);
        self.outcomes.truncate(count);
        let (mut engine, mut log) = (Baseline::new(self.rules()), EventLog::default());
        for (sequence, request) in (1..).zip(&self.sent) {
            engine.apply(Batch { first: sequence, time: 0, commands: &[request.command] }, &mut log);
        }
        self.engine = engine;
    }

    /// Looks at a reply.
    pub fn reply(&mut self, reply: Reply<'_>) {
        if let Err(wrong) = self.check(reply) {
            self.wrong.get_or_insert(wrong);
        }
    }

    fn check(&mut self, reply: Reply<'_>) -> Result<(), String> {
        let expected = self.expected.pop_front().ok_or_else(|| format!("{reply:?} answers nothing"))?;
        let Expected::Answer { client, number, sequence, repeat } = expected else {
            let same = matches!((reply, expected), (Reply::Refused(a), Expected::Refused(b)) if a == b);
            return if same { Ok(()) } else { Err(format!("{reply:?} instead of {expected:?}")) };
        };
        let events = &self.outcomes[sequence as usize - 1];
        if reply == Reply::Answer(Answer { client, number, sequence, repeat, events }) {
            self.acknowledged = self.acknowledged.max(sequence);
            self.repeats += u64::from(repeat);
            return Ok(());
        }
        let old = sequence + self.window <= self.sent.len() as u64;
        if repeat && old && reply == Reply::Refused(Refused { client, number, why: Refusal::Forgotten }) {
            self.forgotten += 1;
            return Ok(());
        }
        Err(format!("{reply:?} instead of {expected:?} with {events:?}"))
    }

    /// The ledger was opened again: compares, and forgets what is not there any more.
    pub fn recovered<E: Engine>(&mut self, engine: &E, next: u64, acknowledged: u64) -> Result<(), String> {
        let recovered = next - 1;
        if recovered < acknowledged {
            return Err(format!("SILENT LOSS: {acknowledged} acknowledged, {recovered} recovered"));
        }
        if recovered > self.submitted() {
            return Err(format!("{recovered} recovered, {} submitted", self.submitted()));
        }
        self.expected.clear();
        self.cut(recovered as usize);
        self.acknowledged = recovered;
        if state_digest(engine) != self.digest() {
            return Err(format!("another state after {recovered} commands"));
        }
        Ok(())
    }

    pub fn digest(&self) -> Digest {
        state_digest(&self.engine)
    }

    /// The last requests once more: clients that did not hear an answer.
    pub fn again(&self, count: usize) -> Vec<Request> {
        self.sent[self.sent.len().saturating_sub(count)..].to_vec()
    }
}
