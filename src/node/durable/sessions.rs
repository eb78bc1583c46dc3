//! Which requests were carried out, and the answers to the latest of them: what makes it safe to send a request again.
//!
//! A client counts its requests 1, 2, 3, ... So one number per client says which of them were carried out, and for ever. Where
//! their answers are is kept in runs: requests of one client that stand side by side, in their numbers and in the ledger's
//! order. Answers are kept in groups, as they came; when a group leaves, so do the runs that lead to it.

use crate::command::Refusal;
use crate::event::{Event, EventLog};
use crate::types::Sequence;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Clients; one more is refused.
    pub clients_max: u32,
    /// The first answers to the last so many commands of the ledger are kept, and those of at most one group more.
    pub answers: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { clients_max: 1 << 20, answers: 1 << 18 }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is carried out, under the sequence that was proposed.
    New,
    /// It was carried out under this sequence.
    Repeat(Sequence),
    /// It is not carried out.
    Refused(Refusal),
}

/// Requests of one client side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    number: u64,
    first: Sequence,
    count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    client: u64,
    /// The next number.
    next: u64,
    /// Where its kept answers are, oldest first.
    runs: VecDeque<Run>,
}

/// Whose requests a group holds, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Index of the client's session.
    pub session: u32,
    /// How many requests.
    pub count: u32,
    /// Number of the first of them.
    pub number: u64,
}

/// Commands that were carried out together, and what they caused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Sequence of the first command.
    pub first: Sequence,
    /// Whose they are.
    pub parts: Vec<Part>,
    /// What they caused.
    pub log: EventLog,
}

impl Group {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.log.clear();
    }

    /// Takes the parts behind the first `count` commands away, and returns them.
    pub fn split_parts(&mut self, count: usize) -> Vec<Part> {
        let (mut at, mut left) = (0, count as u64);
        while self.parts.get(at).is_some_and(|part| u64::from(part.count) <= left) {
            left -= u64::from(self.parts[at].count);
            at += 1;
        }
        let mut behind = self.parts.split_off(at);
        if left > 0 {
            // The first of them is on both sides.
            let part = &mut behind[0];
            self.parts.push(Part { count: left as u32, ..*part });
            (part.number, part.count) = (part.number + left, part.count - left as u32);
        }
        behind
    }

    /// Adds a command of a session, whose events come later.
    fn push(&mut self, session: u32, number: u64) {
        match self.parts.last_mut() {
            // A session's numbers have no gap, so the run goes on.
            Some(last) if last.session == session => last.count += 1,
            _ => self.parts.push(Part { session, count: 1, number }),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Sessions {
    memory: Memory,
    /// In the order in which they came.
    sessions: Vec<Session>,
    by_client: HashMap<u64, u32>,
    /// The session that was looked up last: most requests come in runs.
    recent: u32,
    groups: VecDeque<Arc<Group>>,
    answers: u64,
}

impl Sessions {
    /// Nobody has sent anything.
    pub fn new(memory: Memory) -> Self {
        Sessions {
            memory,
            sessions: Vec::new(),
            by_client: HashMap::new(),
            recent: 0,
            groups: VecDeque::new(),
            answers: 0,
        }
    }

    /// From now on, no more clients are let in than so many.
    pub fn limit_clients(&mut self, most: u32) {
        self.memory.clients_max = most;
    }

    fn find(&self, client: u64) -> Option<u32> {
        if self.sessions.get(self.recent as usize).is_some_and(|recent| recent.client == client) {
            return Some(self.recent);
        }
        self.by_client.get(&client).copied()
    }

    /// Whether a request would be new.
    pub fn is_new(&self, client: u64, number: u64) -> bool {
        self.find(client).map_or(1, |at| self.sessions[at as usize].next) == number
    }

    /// Decides over a request. If it is new, it is the command `sequence`, and is added to `group`.
    pub fn claim(&mut self, client: u64, number: u64, sequence: Sequence, group: &mut Group) -> Claim {
        let Some(at) = self.find(client).or_else(|| self.add(client, number)) else {
            let full = number == 1;
            return Claim::Refused(if full { Refusal::TooManyClients } else { Refusal::Gap { expected: 1 } });
        };
        self.recent = at;
        let session = &mut self.sessions[at as usize];
        if number != session.next {
            return session.find(number);
        }
        session.next += 1;
        session.push(Run { number, first: sequence, count: 1 });
        group.push(at, number);
        Claim::New
    }

    /// Makes a new client known, if there is room and it begins with its first request.
    fn add(&mut self, client: u64, number: u64) -> Option<u32> {
        if number != 1 || self.sessions.len() >= self.memory.clients_max as usize {
            return None;
        }
        Some(self.insert(client, 1))
    }

    fn insert(&mut self, client: u64, next: u64) -> u32 {
        let at = self.sessions.len() as u32;
        self.sessions.push(Session { client, next, runs: VecDeque::new() });
        self.by_client.insert(client, at);
        at
    }

    /// Takes claims back that were not carried out: those of the commands from `sequence` on, which are these parts of a group.
    pub fn unclaim(&mut self, sequence: Sequence, parts: &[Part]) {
        // A session's first part has the number that is next again, so it comes last.
        for part in parts.iter().rev() {
            let session = &mut self.sessions[part.session as usize];
            session.next = part.number;
            while let Some(last) = session.runs.back_mut()
                && last.first + u64::from(last.count) > sequence
            {
                if last.first < sequence {
                    last.count = (sequence - last.first) as u32;
                } else {
                    session.runs.pop_back();
                }
            }
        }
    }

    /// Keeps the answers of a group whose requests were claimed before; the oldest ones go. Returns a group that nobody needs
    /// any more, for its memory.
    ///
    /// # Panics
    /// If it has fewer outcomes than requests, or does not follow the group before.
    pub fn keep(&mut self, group: Arc<Group>) -> Option<Group> {
        let held = group.parts.iter().map(|part| u64::from(part.count)).sum::<u64>();
        assert_eq!(group.log.len() as u64, held, "each request has an outcome");
        let follows = |before: &Arc<Group>| before.first + before.log.len() as u64 == group.first;
        assert!(self.groups.back().is_none_or(follows), "groups stand side by side");
        self.answers += held;
        self.groups.push_back(group);
        let mut spare = None;
        while let Some(oldest) = self.groups.front()
            && self.answers - oldest.log.len() as u64 >= u64::from(self.memory.answers)
        {
            let oldest = self.groups.pop_front().expect("it was looked at");
            self.answers -= oldest.log.len() as u64;
            let end = oldest.first + oldest.log.len() as u64;
            for part in &oldest.parts {
                self.sessions[part.session as usize].forget_before(end);
            }
            spare = Arc::try_unwrap(oldest).ok();
        }
        spare
    }

    /// What a command caused, if that is still kept.
    pub fn answer(&self, sequence: Sequence) -> Option<&[Event]> {
        let behind = self.groups.partition_point(|group| group.first <= sequence);
        let group = &self.groups[behind.checked_sub(1)?];
        let index = (sequence - group.first) as usize;
        (index < group.log.len()).then(|| group.log.outcome(index))
    }

    /// The client of a session.
    ///
    /// # Panics
    /// If there is no such session.
    pub fn client(&self, session: u32) -> u64 {
        self.sessions[session as usize].client
    }

    /// All clients in the order in which they came, each with its next number.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.sessions.iter().map(|session| (session.client, session.next))
    }

    /// The groups whose answers are kept, oldest first.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.iter().map(|group| &**group)
    }

    /// Sessions again from [`clients`](Self::clients) and [`groups`](Self::groups).
    ///
    /// # Errors
    /// What does not fit together, in words.
    pub fn restore(
        memory: Memory,
        clients: impl Iterator<Item = (u64, u64)>,
        groups: impl Iterator<Item = Group>,
    ) -> Result<Self, String> {
        let mut sessions = Sessions::new(memory);
        for (client, next) in clients {
            if next == 0 || sessions.by_client.contains_key(&client) {
                return Err(format!("client {client} is there twice, or expects request {next}"));
            }
            sessions.insert(client, next);
        }
        for group in groups {
            let held: u64 = group.parts.iter().map(|part| u64::from(part.count)).sum();
            let follows = |before: &Arc<Group>| before.first + before.log.len() as u64 == group.first;
            if held != group.log.len() as u64 || !sessions.groups.back().is_none_or(follows) {
                return Err(format!("the answers from command {} on have a gap", group.first));
            }
            let mut first = group.first;
            for part in &group.parts {
                let Part { session, count, number } = *part;
                let known = sessions.sessions.get_mut(session as usize);
                let Some(known) =
                    known.filter(|known| number.checked_add(count.into()).is_some_and(|end| end <= known.next))
                else {
                    return Err(format!(
                        "command {first} belongs to request {number} of session {session}, which was not sent"
                    ));
                };
                known.push(Run { number, first, count });
                first += u64::from(count);
            }
            sessions.keep(Arc::new(group));
        }
        Ok(sessions)
    }
}

impl Session {
    /// A request whose number is not the next.
    fn find(&self, number: u64) -> Claim {
        if number == 0 || number > self.next {
            return Claim::Refused(Refusal::Gap { expected: self.next });
        }
        let behind = self.runs.partition_point(|run| run.number <= number);
        let run = behind.checked_sub(1).map(|at| self.runs[at]);
        match run {
            Some(run) if number - run.number < u64::from(run.count) => Claim::Repeat(run.first + (number - run.number)),
            _ => Claim::Refused(Refusal::Forgotten),
        }
    }

    fn push(&mut self, run: Run) {
        match self.runs.back_mut() {
            Some(last)
                if last.number + u64::from(last.count) == run.number
                    && last.first + u64::from(last.count) == run.first
                    && last.count.checked_add(run.count).is_some() =>
            {
                last.count += run.count;
            }
            _ => self.runs.push_back(run),
        }
    }

    fn forget_before(&mut self, sequence: Sequence) {
        while let Some(oldest) = self.runs.front_mut()
            && oldest.first < sequence
        {
            let gone = (sequence - oldest.first).min(oldest.count.into());
            if gone < u64::from(oldest.count) {
                *oldest =
                    Run { number: oldest.number + gone, first: oldest.first + gone, count: oldest.count - gone as u32 };
                break;
            }
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AccountId;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn event(sequence: Sequence) -> Event {
        Event::Opened { account: AccountId(sequence as u32) }
    }

    /// Restores sessions from what they show, and compares all of it.
    fn again(sessions: &Sessions) -> Sessions {
        let restored = Sessions::restore(sessions.memory, sessions.clients(), sessions.groups().cloned())
            .expect("they fit together");
        assert_eq!(restored.sessions, sessions.sessions);
        assert_eq!(restored.groups, sessions.groups);
        restored
    }

    /// Plays random requests of a few clients, many of them repeats, and compares with a plain list of everything that was sent.
    #[test]
    fn every_request_is_carried_out_once_and_answered_the_same_within_the_window() {
        let (mut repeats, mut forgotten, mut gaps) = (0u32, 0u32, 0u32);
        for seed in 0..40 {
            let mut random = SplitMix64::seed_from_u64(seed);
            let mut below = |n: u64| random.next_u64() % n;
            let memory = Memory { clients_max: 4, answers: 1 + below(60) as u32 };
            let mut sessions = Sessions::new(memory);
            // By client: the sequences of its requests.
            let mut sent: Vec<Vec<Sequence>> = vec![Vec::new(); 4];
            let mut next: Sequence = 1;
            let mut firsts = Vec::new();
            for _ in 0..200 {
                let mut group = Group { first: next, ..Group::default() };
                for _ in 0..below(8) {
                    let client = below(4) as usize;
                    let known = sent[client].len() as u64;
                    let number = match below(4) {
                        0 => below(known + 4),
                        _ => known + 1,
                    };
                    let claim = sessions.claim(client as u64 * 77, number, next, &mut group);
                    let expected = match number {
                        0 => Claim::Refused(Refusal::Gap { expected: known + 1 }),
                        _ if number == known + 1 => Claim::New,
                        _ if number > known => Claim::Refused(Refusal::Gap { expected: known + 1 }),
                        _ => {
                            let sequence = sent[client][number as usize - 1];
                            // A group leaves as a whole: only when what follows it is enough.
                            let kept = firsts.iter().rev().scan(0, |behind: &mut u64, &(first, count)| {
                                let keeps = *behind < u64::from(memory.answers);
                                *behind += count;
                                keeps.then_some(first)
                            });
                            let oldest = kept.last().unwrap_or(group.first);
                            if sequence >= oldest {
                                Claim::Repeat(sequence)
                            } else {
                                Claim::Refused(Refusal::Forgotten)
                            }
                        }
                    };
                    assert_eq!(claim, expected, "seed {seed}, client {client}, number {number}");
                    match claim {
                        Claim::New => {
                            sent[client].push(next);
                            next += 1;
                        }
                        Claim::Repeat(sequence) => {
                            repeats += 1;
                            let kept = sessions.answer(sequence);
                            assert!(sequence >= group.first || kept == Some(&[event(sequence)][..]));
                        }
                        Claim::Refused(Refusal::Forgotten) => forgotten += 1,
                        Claim::Refused(_) => gaps += 1,
                    }
                }
                if next > group.first && below(8) == 0 {
                    // The group is carried out in part only: the rest was never claimed.
                    let kept = below(next - group.first);
                    let behind = group.split_parts(kept as usize);
                    next = group.first + kept;
                    sessions.unclaim(next, &behind);
                    sent.iter_mut().for_each(|sent| sent.retain(|&sequence| sequence < next));
                }
                if next > group.first {
                    for sequence in group.first..next {
                        group.log.events.push(event(sequence));
                        group.log.close_command();
                    }
                    firsts.push((group.first, next - group.first));
                    sessions.keep(Arc::new(group));
                    if below(10) == 0 {
                        sessions = again(&sessions);
                    }
                }
            }
        }
        assert!(repeats > 500 && forgotten > 500 && gaps > 500, "{repeats} {forgotten} {gaps}");
    }

    #[test]
    fn clients_begin_with_their_first_request_and_are_limited() {
        let mut sessions = Sessions::new(Memory { clients_max: 1, answers: 10 });
        let mut group = Group::default();
        assert_eq!(sessions.claim(7, 2, 1, &mut group), Claim::Refused(Refusal::Gap { expected: 1 }));
        assert_eq!(sessions.claim(7, 1, 1, &mut group), Claim::New);
        assert_eq!(sessions.claim(8, 1, 2, &mut group), Claim::Refused(Refusal::TooManyClients));
        assert_eq!(sessions.claim(7, 2, 2, &mut group), Claim::New);
        assert_eq!(group.parts, [Part { session: 0, count: 2, number: 1 }]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let memory = Memory::default();
        let restore = |clients: &[(u64, u64)], groups: &[Group]| {
            Sessions::restore(memory, clients.iter().copied(), groups.iter().cloned()).map(drop).unwrap_err()
        };
        assert!(restore(&[(7, 2), (7, 2)], &[]).contains("twice"));
        assert!(restore(&[(7, 0)], &[]).contains("expects request 0"));
        let log = EventLog { events: vec![event(5)], ends: vec![1] };
        let group = |part| Group { first: 5, parts: vec![part], log: log.clone() };
        let part = Part { session: 0, count: 1, number: 1 };
        assert!(restore(&[(7, 1)], &[group(part)]).contains("was not sent"));
        assert!(restore(&[(7, 2)], &[group(Part { session: 1, ..part })]).contains("was not sent"));
        assert!(restore(&[(7, 3)], &[group(Part { count: 2, ..part })]).contains("gap"));
        assert!(restore(&[(7, 3)], &[group(part), group(part)]).contains("gap"));
    }
}
