//! What the journal was given, what it has acknowledged, and so what it must give back.

use joulebook::journal::sim::SimStorage;
use joulebook::journal::storage::SECTOR;
use joulebook::journal::{
    FrameBuffer, Header, Journal, JournalError, JournalId, Kind, Label, Options, Recovered, scan,
};
use joulebook::workload::Random;

pub const ID: JournalId = JournalId(*b"simulated ledger");

/// Length of a segment in most tests: as short as segments may be, so that there are many.
pub const SEGMENT: u64 = Options::SEGMENT_MIN;

/// The number of a group whose append failed.
const UNKNOWN: u64 = u64::MAX;

/// A group as it was submitted.
struct Group {
    number: u64,
    label: Label,
    payload: Vec<u8>,
}

/// The oracle: what is acknowledged is a prefix of what is recovered, and that is a prefix of what was submitted, byte by byte.
#[derive(Default)]
pub struct Model {
    /// What was submitted, less what an earlier recovery did not give back.
    groups: Vec<Group>,
    /// Last frame that was acknowledged.
    pub acknowledged: u64,
    /// The first frame that is still wanted.
    pub from: u64,
    submitted: u64,
    frame: FrameBuffer,
}

impl Model {
    pub fn new() -> Self {
        Model { from: 1, ..Self::default() }
    }

    /// Makes a group of random bytes and appends it.
    pub fn append(
        &mut self,
        journal: &mut Journal<SimStorage>,
        length: usize,
        random: &mut Random,
    ) -> Result<u64, JournalError> {
        let mut payload = Vec::with_capacity(length + 8);
        while payload.len() < length {
            payload.extend(random.word().to_le_bytes());
        }
        payload.truncate(length);
        self.submitted += 1;
        let kind = if random.percent(10) { Kind::Seal } else { Kind::Group };
        let label = Label { kind, first: self.submitted, time: random.word(), count: length as u32 / 64 };
        self.frame.clear();
        self.frame.extend(&payload);
        self.frame.finish(label);
        // Before it is known whether it was written: it may be there even if that failed. The journal may put a frame of its own
        // before it.
        self.groups.push(Group { number: UNKNOWN, label, payload });
        let result = journal.append(&mut self.frame);
        let group = self.groups.last_mut().expect("it was just put there");
        match &result {
            Ok(number) => group.number = *number,
            // Nothing was accepted, and it must not be there.
            Err(JournalError::Full { .. } | JournalError::Stopped { .. }) => drop(self.groups.pop()),
            Err(_) => {}
        }
        result
    }

    /// A length of a payload: a record, up to a sector, or several.
    pub fn length(options: &Options, random: &mut Random) -> usize {
        let most = options.payload_max();
        match random.below(8) {
            0 => 64,
            1 => 0,
            2 => most.min(SECTOR - 96 + random.below(3) as usize - 1),
            3..=5 => random.below(SECTOR as u64 - 95) as usize,
            6 => random.below(most.min(3 * SECTOR) as u64) as usize,
            _ => random.below(most as u64 + 1) as usize,
        }
    }

    /// Compares what `read` shows with what was submitted. The outer error is a broken promise, the inner one the journal's.
    fn compare<T>(
        &self,
        acknowledged: u64,
        read: impl FnOnce(u64, &mut dyn FnMut(&Header, &[u8])) -> Result<T, JournalError>,
    ) -> Result<Result<(T, Vec<u64>), JournalError>, String> {
        let start = self.groups.partition_point(|group| group.number < self.from);
        let (mut broken, mut numbers) = (None, Vec::new());
        let result = read(self.from, &mut |header, payload| {
            let number = header.place.number;
            if !matches!(header.label.kind, Kind::Group | Kind::Seal) {
                return;
            }
            match self.groups.get(start + numbers.len()) {
                None => broken = Some(format!("frame {number} was never submitted")),
                Some(group) => {
                    let at_its_place = group.number == number || group.number == UNKNOWN;
                    if !at_its_place || group.label != header.label || group.payload != payload {
                        broken = Some(format!("frame {number}: what is recovered is not what was submitted"));
                    }
                }
            }
            numbers.push(number);
        });
        let result = match result {
            Ok(result) => result,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(broken) = broken {
            return Err(broken);
        }
        match self.groups.get(start + numbers.len()) {
            Some(lost) if lost.number <= acknowledged => {
                let (lost, last) = (lost.number, numbers.last());
                Err(format!(
                    "SILENT LOSS of frame {lost}: {acknowledged} was acknowledged, {last:?} is the last recovered"
                ))
            }
            _ => Ok(Ok((result, numbers))),
        }
    }

    /// Reads the journal of a disk and changes nothing.
    pub fn scan(&self, disk: &SimStorage, acknowledged: u64) -> Result<Result<Recovered, JournalError>, String> {
        let compared = self.compare(acknowledged, |from, visit| scan(disk, &ID, from, visit))?;
        Ok(compared.map(|(recovered, _)| recovered))
    }

    /// Opens the journal of a disk. What is not there any more is forgotten: from now on it was never submitted.
    pub fn open(
        &mut self,
        disk: &SimStorage,
        options: Options,
        acknowledged: u64,
    ) -> Result<Result<Journal<SimStorage>, JournalError>, String> {
        let open = |from, visit: &mut dyn FnMut(&Header, &[u8])| Journal::open(disk.clone(), ID, options, from, visit);
        let ((journal, recovered), numbers) = match self.compare(acknowledged, open)? {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let start = self.groups.partition_point(|group| group.number < self.from);
        self.groups.truncate(start + numbers.len());
        if let (Some(group), Some(&number)) = (self.groups.last_mut(), numbers.last()) {
            group.number = number;
        }
        // What was recovered may be acted upon, so it is as good as acknowledged.
        if journal.acknowledged() < recovered.last {
            return Err(format!("{} recovered and {} acknowledged", recovered.last, journal.acknowledged()));
        }
        self.acknowledged = journal.acknowledged();
        Ok(Ok(journal))
    }
}

/// Whether an error says by name that the journal is damaged.
pub fn is_refusal(error: &JournalError) -> bool {
    use JournalError::*;
    matches!(error, Damaged { .. } | Header { .. } | Version { .. } | Foreign { .. } | Missing { .. })
}

/// All names and bytes of a disk.
pub fn everything(disk: &SimStorage) -> Vec<(String, Vec<u8>)> {
    use joulebook::journal::storage::Storage;
    disk.names().unwrap().into_iter().map(|name| (name.clone(), disk.bytes(&name))).collect()
}
