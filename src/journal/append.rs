//! Writing a journal.

use super::frame::{FrameBuffer, Header, Kind, Label, PAYLOAD_MAX, Place};
use super::scan::{End, find_end};
use super::segment::{FIRST_SECTOR, JournalId, Segment, numbers};
use super::spares;
use super::storage::{Access, SECTOR, Storage, StoredFile, read_full, write_all};
use super::{Buffer, JournalError, Recovered, Spares};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When what was written is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Every group by itself, as it is written.
    EveryGroup,
    /// All groups of so long a time together. What is acknowledged is durable all the same: it is acknowledged later.
    Interval(Duration),
    /// Whenever the system likes; **what is acknowledged may be lost** when the power goes. For experiments.
    Never,
}

/// How a journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When what was written is made durable.
    pub policy: SyncPolicy,
    /// Length of new segments in bytes: a multiple of [`SECTOR`], at least [`Options::SEGMENT_MIN`].
    pub segment_bytes: u64,
    /// The most that all segments together may take, in bytes.
    pub bytes_max: u64,
    /// Segments that are kept as spares when they are not needed any more.
    pub spares_max: usize,
}

impl Options {
    /// A segment holds its header, a group, and what leads to the next segment.
    pub const SEGMENT_MIN: u64 = 16 * SECTOR as u64;
}

impl Default for Options {
    fn default() -> Self {
        Options { policy: SyncPolicy::EveryGroup, segment_bytes: 64 << 20, bytes_max: 64 << 30, spares_max: 8 }
    }
}

/// What was written to a journal since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Frames, marks and the like included.
    pub frames: u64,
    /// Bytes of these frames on disk.
    pub bytes: u64,
    /// How often frames were made durable, each time all that were there.
    pub syncs: u64,
}

/// Sectors that are kept free in each segment for the frame that leads to the next.
const ROTATE_SECTORS: u32 = 2;
/// And those for a mark behind the last group, so that there is always room to acknowledge it.
const MARK_SECTORS: u32 = 2;

/// A journal that is open for writing.
#[derive(Debug)]
pub struct Journal<S: Storage> {
    storage: S,
    id: JournalId,
    options: Options,
    spares: Arc<Spares<S>>,
    file: S::File,
    segment: Segment,
    /// Segments before that one, oldest first.
    before: VecDeque<Segment>,
    sector: u32,
    next: u64,
    previous: u64,
    /// The last frame that is durable.
    synced: u64,
    /// The first frame after that one that is longer than a sector.
    long: Option<u64>,
    acknowledged: u64,
    synced_at: Instant,
    written: Written,
    stopped: Option<String>,
}

impl<S: Storage> Journal<S> {
    /// Makes a journal where there is none. Its first frame is a [`Kind::Open`].
    ///
    /// # Errors
    /// There is one already, the disk fails or is full, or the options make no sense.
    pub fn create(storage: S, id: JournalId, options: Options) -> Result<Self, JournalError> {
        options.check()?;
        if let Some(&number) = numbers(&storage)?.first() {
            let why = "a journal is to be made where there is none".to_string();
            return Err(JournalError::Foreign { file: Segment::name_of(number), why });
        }
        let spares = Spares::open(storage.clone(), &id, options.segment_bytes, std::iter::empty())?;
        let mut segment = Segment::new(&id, 1, options.segment_bytes, 1, 0);
        let file = make_segment(&storage, &spares, &id, &mut segment, options.access())?;
        let end = End::at_the_start_of(segment);
        Self::at(storage, id, options, spares, file, end)
    }

    /// A journal that goes on at its end, with a [`Kind::Open`].
    fn at(
        storage: S,
        id: JournalId,
        options: Options,
        spares: Spares<S>,
        file: S::File,
        end: End,
    ) -> Result<Self, JournalError> {
        let End { segment, sector, previous, next, before, .. } = end;
        let mut journal = Journal {
            storage,
            id,
            options,
            spares: Arc::new(spares),
            file,
            segment,
            before: before.into(),
            sector,
            next,
            previous,
            synced: next - 1,
            long: None,
            acknowledged: 0,
            synced_at: Instant::now(),
            written: Written::default(),
            stopped: None,
        };
        journal.mark(Kind::Open)?;
        Ok(journal)
    }

    /// Opens a journal that is there: reads it as [`scan`](super::scan) does, cuts an unfinished tail, and makes what it found
    /// durable. It goes on with a [`Kind::Open`].
    ///
    /// # Errors
    /// As `scan`; and the disk fails or is full, or the options make no sense.
    pub fn open(
        storage: S,
        id: JournalId,
        options: Options,
        from: u64,
        visit: &mut dyn FnMut(&Header, &[u8]),
    ) -> Result<(Self, Recovered), JournalError> {
        options.check()?;
        let (end, recovered) = find_end(&storage, &id, from, visit)?;
        let files = end.before.iter().chain([&end.segment]).chain(&end.unused).map(|segment| segment.file);
        let spares = Spares::open(storage.clone(), &id, options.segment_bytes, files)?;
        if let Some(unused) = &end.unused {
            spares.recycle(unused, usize::MAX)?;
        }
        for &(segment, from, to) in &end.unproven {
            write_again(&storage, &segment, from, to, options.access())?;
        }
        let name = end.segment.name();
        let file = storage.open(&name, options.access()).map_err(JournalError::io("opening", &name))?;
        storage.sync_names().map_err(JournalError::io("syncing", "the journal's folder"))?;
        let journal = Self::at(storage, id, options, spares, file, end)?;
        Ok((journal, recovered))
    }

    /// Writes a group, [finished](FrameBuffer::finish), and makes it durable if the policy says so. Returns its frame's number.
    ///
    /// # Errors
    /// [`JournalError::Full`]: nothing was written, and it may be tried again. [`JournalError::TooLong`]: nor was it then. Any
    /// other error is final.
    ///
    /// # Panics
    /// If the frame is not finished.
    pub fn append(&mut self, frame: &mut FrameBuffer) -> Result<u64, JournalError> {
        self.check_going()?;
        let appended = self.try_append(frame);
        match &appended {
            Ok(_) | Err(JournalError::Full { .. } | JournalError::TooLong { .. }) => {}
            Err(error) => self.stopped = Some(error.to_string()),
        }
        appended
    }

    fn try_append(&mut self, frame: &mut FrameBuffer) -> Result<u64, JournalError> {
        let sectors = (frame.disk_len() / SECTOR as u64) as u32;
        if frame.payload_len() > self.options.payload_max() {
            let (given, most) = (frame.payload_len(), self.options.payload_max());
            return Err(JournalError::TooLong { given, most });
        }
        if self.sector + sectors + MARK_SECTORS + ROTATE_SECTORS > self.segment.sectors() {
            self.rotate()?;
        }
        let number = self.write(frame)?;
        let due = match self.options.policy {
            SyncPolicy::EveryGroup => true,
            SyncPolicy::Interval(interval) => self.synced_at.elapsed() >= interval,
            SyncPolicy::Never => false,
        };
        if due {
            self.sync()?;
        } else if self.options.policy == SyncPolicy::Never {
            self.acknowledged = number;
        }
        Ok(number)
    }

    /// Writes a frame behind the last one.
    fn write(&mut self, frame: &mut FrameBuffer) -> Result<u64, JournalError> {
        let (number, offset) = (self.next, u64::from(self.sector) * SECTOR as u64);
        let header = frame.place(Place {
            nonce: self.segment.nonce,
            number,
            sector: self.sector,
            previous: self.previous,
            synced: self.synced,
        });
        write_all(&mut self.file, offset, frame.as_bytes())
            .map_err(JournalError::io("writing", &self.segment.name()))?;
        self.written.frames += 1;
        self.written.bytes += frame.as_bytes().len() as u64;
        self.sector += header.span() as u32;
        self.next += 1;
        self.previous = header.check();
        if header.sectors() > 1 {
            self.long.get_or_insert(number);
        }
        Ok(number)
    }

    /// Makes all frames durable.
    fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync().map_err(JournalError::io("syncing", &self.segment.name()))?;
        self.synced_at = Instant::now();
        let last = self.next - 1;
        if last > self.synced {
            // All of these frames say that the ones before them are durable, but not so of each other. One of a sector stands
            // there twice; a longer one needs a later one that says so, and what is behind it needs the longer one.
            self.acknowledged = self.acknowledged.max(self.long.take().map_or(last, |long| long - 1));
            self.synced = last;
            self.written.syncs += 1;
        }
        Ok(())
    }

    /// Makes sure that the last group is acknowledged: syncs what is not durable, and writes a mark where that is not enough.
    /// For when no other group is waiting.
    ///
    /// # Errors
    /// As [`append`](Self::append), but never full: there is always room for a mark where there is room for a group.
    pub fn cover(&mut self) -> Result<(), JournalError> {
        self.check_going()?;
        let covered = self.try_cover();
        if let Err(error) = &covered {
            self.stopped = Some(error.to_string());
        }
        covered
    }

    fn try_cover(&mut self) -> Result<(), JournalError> {
        if self.options.policy == SyncPolicy::Never {
            return Ok(());
        }
        if self.synced < self.next - 1 {
            self.sync()?;
        }
        if self.acknowledged < self.next - 1 { self.mark(Kind::Mark) } else { Ok(()) }
    }

    /// Makes everything durable that the policy leaves to the system; otherwise there is nothing to do.
    ///
    /// # Errors
    /// The disk failed, now or before; that is final.
    pub fn sync_all(&mut self) -> Result<(), JournalError> {
        self.check_going()?;
        let synced = if self.synced < self.next - 1 { self.sync() } else { Ok(()) };
        if let Err(error) = &synced {
            self.stopped = Some(error.to_string());
        }
        synced
    }

    /// Writes an empty frame and makes it durable.
    fn mark(&mut self, kind: Kind) -> Result<(), JournalError> {
        let mut frame = FrameBuffer::new();
        frame.finish(Label { kind, first: 0, time: 0, count: 0 });
        if self.sector + MARK_SECTORS + ROTATE_SECTORS > self.segment.sectors() {
            self.rotate()?;
        }
        self.write(&mut frame)?;
        self.sync()
    }

    /// Goes on to the next segment.
    fn rotate(&mut self) -> Result<(), JournalError> {
        let held = self.held();
        if held + self.options.segment_bytes > self.options.bytes_max {
            let why = format!("its segments have {held} bytes and may have {}", self.options.bytes_max);
            return Err(JournalError::Full { why });
        }
        if self.spares.ready() == 0 {
            self.spares.prepare()?;
        }
        // The new segment is evidence that all of this was durable.
        self.sync()?;
        let mut frame = FrameBuffer::new();
        frame.finish(Label { kind: Kind::Rotate, first: 0, time: 0, count: 0 });
        let place = Place {
            nonce: self.segment.nonce,
            number: self.next,
            sector: self.sector,
            previous: self.previous,
            synced: self.synced,
        };
        let previous = frame.place(place).check();
        let Options { segment_bytes, .. } = self.options;
        let mut segment = Segment::new(&self.id, self.segment.number + 1, segment_bytes, self.next + 1, previous);
        let file = make_segment(&self.storage, &self.spares, &self.id, &mut segment, self.options.access())?;
        self.write(&mut frame)?;
        self.sync()?;
        self.file = file;
        self.before.push_back(std::mem::replace(&mut self.segment, segment));
        self.sector = FIRST_SECTOR;
        Ok(())
    }

    fn check_going(&self) -> Result<(), JournalError> {
        match &self.stopped {
            Some(first) => Err(JournalError::Stopped { first: first.clone() }),
            None => Ok(()),
        }
    }

    /// Number of the last frame whose owner may be told that it is durable.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Number of the last frame that was written.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// What was written since it was opened.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Bytes that fit the segment, for groups alone.
    pub fn room(&self) -> u64 {
        let free = self.segment.sectors().saturating_sub(self.sector + MARK_SECTORS + ROTATE_SECTORS);
        u64::from(free) * SECTOR as u64
    }

    /// How many segments are ready to be gone on with: made, and within the limit of bytes.
    pub fn segments_ahead(&self) -> usize {
        self.spares.ready().min(self.segments_allowed())
    }

    /// How many more segments the limit of bytes allows.
    pub fn segments_allowed(&self) -> usize {
        (self.options.bytes_max.saturating_sub(self.held()) / self.options.segment_bytes) as usize
    }

    /// Bytes of all segments.
    pub fn held(&self) -> u64 {
        self.before.iter().map(|segment| segment.length).sum::<u64>() + self.segment.length
    }

    /// How it is written.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The files that are ready to become segments.
    pub fn spares(&self) -> &Arc<Spares<S>> {
        &self.spares
    }

    /// Gives up the segments that hold only frames before `keep`.
    ///
    /// # Errors
    /// The disk failed, now or before; that is final.
    pub fn prune(&mut self, keep: u64) -> Result<(), JournalError> {
        self.check_going()?;
        let pruned = self.try_prune(keep);
        if let Err(error) = &pruned {
            self.stopped = Some(error.to_string());
        }
        pruned
    }

    fn try_prune(&mut self, keep: u64) -> Result<(), JournalError> {
        let mut any = false;
        while let Some(oldest) = self.before.front().copied() {
            let end = self.before.get(1).unwrap_or(&self.segment).first;
            if end > keep {
                break;
            }
            self.before.pop_front();
            self.spares.recycle(&oldest, self.options.spares_max)?;
            any = true;
        }
        if any {
            self.storage.sync_names().map_err(JournalError::io("syncing", "the journal's folder"))?;
        }
        Ok(())
    }
}

impl Options {
    /// Checks that a journal can be written so.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub fn check(&self) -> Result<(), JournalError> {
        let wrong = |text: String| Err(JournalError::Options(text));
        if self.segment_bytes < Self::SEGMENT_MIN || !self.segment_bytes.is_multiple_of(SECTOR as u64) {
            let (given, least) = (self.segment_bytes, Self::SEGMENT_MIN);
            return wrong(format!(
                "a segment of {given} bytes: at least {least}, and a multiple of {SECTOR}, is needed"
            ));
        }
        if self.segment_bytes / SECTOR as u64 > u64::from(u32::MAX) || self.bytes_max < self.segment_bytes {
            let (given, most) = (self.segment_bytes, self.bytes_max);
            return wrong(format!("segments of {given} bytes do not fit a journal of at most {most}"));
        }
        Ok(())
    }

    /// The largest payload of a group that fits a segment, in bytes.
    pub fn payload_max(&self) -> usize {
        let taken = FIRST_SECTOR + MARK_SECTORS + ROTATE_SECTORS;
        let sectors = self.segment_sectors().saturating_sub(taken) as usize;
        (sectors * SECTOR).saturating_sub(super::frame::HEADER_LEN).min(PAYLOAD_MAX)
    }

    fn segment_sectors(&self) -> u32 {
        (self.segment_bytes / SECTOR as u64) as u32
    }

    fn access(&self) -> Access {
        if self.policy == SyncPolicy::EveryGroup { Access::WriteThrough } else { Access::Write }
    }
}

/// Makes durable what was read. It may so far be in the system's memory only; and if a sync of it has failed, the system takes it
/// for durable, and another sync would do nothing. So it is written once more.
fn write_again<S: Storage>(
    storage: &S,
    segment: &Segment,
    from: u32,
    to: u32,
    access: Access,
) -> Result<(), JournalError> {
    let name = segment.name();
    let offset = u64::from(from) * SECTOR as u64;
    let mut bytes = Buffer::new();
    bytes.resize((to - from) as usize * SECTOR);
    let mut file = storage.open(&name, access).map_err(JournalError::io("opening", &name))?;
    let read = read_full(&file, offset, bytes.as_bytes_mut()).map_err(JournalError::io("reading", &name))?;
    if read < bytes.len() {
        // Or zeros would be written over what the scan has read a moment ago.
        return Err(JournalError::io("reading", &name)(ErrorKind::UnexpectedEof.into()));
    }
    write_all(&mut file, offset, bytes.as_bytes()).map_err(JournalError::io("writing", &name))?;
    file.sync().map_err(JournalError::io("syncing", &name))
}

/// Makes a spare a segment: its header is durable before its name is.
fn make_segment<S: Storage>(
    storage: &S,
    spares: &Spares<S>,
    id: &JournalId,
    segment: &mut Segment,
    access: Access,
) -> Result<S::File, JournalError> {
    if spares.ready() == 0 {
        spares.prepare()?;
    }
    segment.file = spares.take().expect("one was just made");
    let spare = spares::name_of(segment.file);
    let mut file = storage.open(&spare, access).map_err(JournalError::io("opening", &spare))?;
    write_all(&mut file, 0, segment.encode(id).as_bytes()).map_err(JournalError::io("writing its header", &spare))?;
    file.sync().map_err(JournalError::io("syncing", &spare))?;
    storage.rename(&spare, &segment.name()).map_err(JournalError::io("renaming", &spare))?;
    storage.sync_names().map_err(JournalError::io("syncing", "the journal's folder"))?;
    Ok(file)
}
