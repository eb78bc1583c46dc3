//! Reading a journal: every frame in order, up to the last one that is whole; and telling a tail that was being written when
//! the power went from damage to what had been durable.

use super::frame::{HEADER_LEN, Header, Kind, check};
use super::segment::{self, FIRST_SECTOR, Filling, JournalId, Segment};
use super::storage::{Access, SECTOR, Storage, StoredFile, read_full};
use super::{Buffer, JournalError};
use std::collections::VecDeque;

/// Bytes that are read at once.
const WINDOW: usize = 4 << 20;

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Number of the last frame; 0 if there is none.
    pub last: u64,
    /// Frames that were shown to the visitor.
    pub frames: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Segments read.
    pub segments: u64,
    /// Where the journal ends: segment and byte.
    pub end: (u64, u64),
    /// Whether the header of a frame stands behind the end, which was being written, and not acknowledged, when its writer
    /// stopped.
    pub torn: bool,
    /// Frames of which one copy is damaged; the other one was read.
    pub damaged_copies: u64,
}

/// Where the next frame goes.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub segment: Segment,
    pub sector: u32,
    /// Header check of the last frame.
    pub previous: u64,
    /// Number of the next frame.
    pub next: u64,
    /// Older segments that are there, oldest first.
    pub before: Vec<Segment>,
    /// A segment that was made, but that no frame led to.
    pub unused: Option<Segment>,
    /// Frames that no later one says to be durable: segment, first sector, and the sector behind the last.
    pub unproven: Vec<(Segment, u32, u32)>,
}

impl End {
    /// Of a journal without a frame.
    pub fn at_the_start_of(segment: Segment) -> End {
        let Segment { first: next, previous, .. } = segment;
        let (before, unproven) = (Vec::new(), Vec::new());
        End { segment, sector: FIRST_SECTOR, previous, next, before, unused: None, unproven }
    }
}

/// Reads a journal from the segment that holds frame `from`, checks all of it, and shows the frames from `from` on. It
/// changes nothing.
///
/// # Errors
/// Damage, in [`JournalError`]'s terms.
pub fn scan<S: Storage>(
    storage: &S,
    id: &JournalId,
    from: u64,
    visit: &mut dyn FnMut(&Header, &[u8]),
) -> Result<Recovered, JournalError> {
    find_end(storage, id, from, visit).map(|(_, recovered)| recovered)
}

pub(super) fn find_end<S: Storage>(
    storage: &S,
    id: &JournalId,
    from: u64,
    visit: &mut dyn FnMut(&Header, &[u8]),
) -> Result<(End, Recovered), JournalError> {
    let (segments, start) = segments_from(storage, id, from)?;
    let mut found =
        Recovered { last: 0, frames: 0, payload_bytes: 0, segments: 0, end: (0, 0), torn: false, damaged_copies: 0 };
    let mut window = Window::open(storage, segments[start])?;
    let mut at = start;
    let (mut next, mut previous, mut sector) = (segments[at].first, segments[at].previous, FIRST_SECTOR);
    found.segments = 1;
    let mut unproven = VecDeque::new();
    while let Some(frame) = window.frame_at(sector, next, previous)? {
        found.damaged_copies += u64::from(frame.damaged_copy);
        let header = frame.header;
        if next >= from {
            visit(&header, frame.payload);
            found.frames += 1;
            found.payload_bytes += u64::from(header.length);
        }
        unproven.push_back((next, segments[at], sector, sector + header.span() as u32));
        while unproven.front().is_some_and(|&(number, ..)| number <= header.place.synced) {
            unproven.pop_front();
        }
        (next, previous) = (next + 1, header.check());
        sector += header.span() as u32;
        if header.label.kind == Kind::Rotate {
            let number = segments[at].number + 1;
            at += 1;
            let Some(&segment) = segments.get(at).filter(|segment| segment.number == number) else {
                let why = format!("frame {} says that the journal goes on there", header.place.number);
                return Err(JournalError::Missing { file: Segment::name_of(number), why });
            };
            if (segment.first, segment.previous) != (next, previous) {
                let why = format!("it begins with frame {}; frame {next} is wanted", segment.first);
                return Err(JournalError::Foreign { file: segment.name(), why });
            }
            window = Window::open(storage, segment)?;
            sector = FIRST_SECTOR;
            found.segments += 1;
        }
    }
    if next < from {
        let why = format!("its last frame is {}; frame {from} and what follows it are wanted", next - 1);
        return Err(JournalError::Foreign { file: segments[at].name(), why });
    }
    // Frame `next` is not there. Was it ever?
    let filling = Filling::new(id);
    let torn = window.evidence(sector, next, &filling)?;
    let unused = unused_segment(storage, &segments[at..], sector, next, &filling)?;
    found.last = next - 1;
    found.end = (segments[at].number, u64::from(sector) * SECTOR as u64);
    found.torn = torn;
    let mut parts: Vec<(Segment, u32, u32)> = Vec::new();
    for (_, segment, from, to) in unproven {
        match parts.last_mut() {
            Some((before, _, end)) if *before == segment => *end = to,
            _ => parts.push((segment, from, to)),
        }
    }
    let unproven = parts;
    let end = End { segment: segments[at], sector, previous, next, before: segments[..at].to_vec(), unused, unproven };
    Ok((end, found))
}

/// All segments, in order, and which of them holds frame `from`. From that one on there is no gap.
fn segments_from<S: Storage>(storage: &S, id: &JournalId, from: u64) -> Result<(Vec<Segment>, usize), JournalError> {
    let segments: Result<Vec<Segment>, JournalError> =
        segment::segments(storage, id)?.into_iter().map(|(_, segment)| segment).collect();
    let segments = segments?;
    let mut start = segments.iter().rposition(|segment| segment.first <= from);
    if let Some(at) = start
        && at > 0
        && segments[at].first == from
        && segments[at - 1].number + 1 == segments[at].number
    {
        // It may have been made without being led to: the one before tells.
        start = Some(at - 1);
    }
    let Some(start) = start else {
        let first = segments.first().map(|segment| segment.number.saturating_sub(1));
        let file = Segment::name_of(first.unwrap_or(1).max(1));
        return Err(JournalError::Missing { file, why: format!("frame {from} and what follows it are wanted") });
    };
    // Pruned segments may go in any order until their names are synced. Before the one that begins with `from` a gap is no loss.
    let gap_before = |next: &Segment| next.number != segments[start].number + 1 && next.first == from;
    let start = start + usize::from(segments.get(start + 1).is_some_and(gap_before));
    for pair in segments[start..].windows(2) {
        if pair[1].number != pair[0].number + 1 {
            let why = format!("{} is there", pair[1].name());
            return Err(JournalError::Missing { file: Segment::name_of(pair[0].number + 1), why });
        }
    }
    Ok((segments, start))
}

/// Looks at the segment behind the one in which the journal ends (`segments[0]`): there may be one, made, but not led to.
fn unused_segment<S: Storage>(
    storage: &S,
    segments: &[Segment],
    sector: u32,
    next: u64,
    filling: &Filling,
) -> Result<Option<Segment>, JournalError> {
    let Some(&unused) = segments.get(1) else { return Ok(None) };
    let damaged = |evidence: String| {
        let (file, offset) = (segments[0].name(), u64::from(sector) * SECTOR as u64);
        Err(JournalError::Damaged { file, offset, frame: next, evidence })
    };
    // A segment is made when all frames before the one that leads to it are durable.
    if segments.len() > 2 || unused.first > next + 1 {
        return damaged(format!("{} begins with frame {}", segments[segments.len() - 1].name(), unused.first));
    }
    let mut window = Window::open(storage, unused)?;
    let used = match window.evidence(FIRST_SECTOR, next, filling) {
        Err(JournalError::Damaged { .. }) => true,
        looked => looked.map(|_| false)? || window.header_at(FIRST_SECTOR)?.is_some(),
    };
    if used { damaged(format!("{} has frames behind it", unused.name())) } else { Ok(Some(unused)) }
}

/// A part of a segment in memory.
struct Window<F> {
    file: F,
    segment: Segment,
    buffer: Buffer,
    /// First sector in the buffer.
    start: u32,
}

struct Found<'a> {
    header: Header,
    payload: &'a [u8],
    damaged_copy: bool,
}

impl<F: StoredFile> Window<F> {
    fn open<S: Storage<File = F>>(storage: &S, segment: Segment) -> Result<Self, JournalError> {
        let name = segment.name();
        let file = storage.open(&name, Access::Read).map_err(JournalError::io("opening", &name))?;
        Ok(Window { file, segment, buffer: Buffer::new(), start: 0 })
    }

    /// So many sectors, or fewer where the segment ends.
    fn sectors(&mut self, sector: u32, count: usize) -> Result<&[u8], JournalError> {
        let count = count.min(self.segment.sectors().saturating_sub(sector) as usize);
        let held = self.buffer.len() / SECTOR;
        if sector < self.start || (sector - self.start) as usize + count > held {
            let wanted =
                (WINDOW / SECTOR).max(count).min(self.segment.sectors().saturating_sub(sector) as usize) * SECTOR;
            self.buffer.resize(wanted);
            let offset = u64::from(sector) * SECTOR as u64;
            let read = read_full(&self.file, offset, self.buffer.as_bytes_mut())
                .map_err(JournalError::io("reading", &self.segment.name()))?;
            self.buffer.resize(read);
            self.start = sector;
        }
        let bytes = self.buffer.as_bytes();
        let from = (((sector - self.start) as usize) * SECTOR).min(bytes.len());
        Ok(&bytes[from..(from + count * SECTOR).min(bytes.len())])
    }

    /// The header in a sector, if there is one of this segment.
    fn header_at(&mut self, sector: u32) -> Result<Option<Header>, JournalError> {
        let nonce = self.segment.nonce;
        let bytes = self.sectors(sector, 1)?;
        let header = bytes.get(..HEADER_LEN).and_then(|bytes| Header::decode(bytes.try_into().expect("its length")));
        Ok(header.filter(|header| header.place.nonce == nonce))
    }

    /// Frame `number`, if it stands at `sector`, whole, behind the frame with the check `previous`.
    fn frame_at(&mut self, sector: u32, number: u64, previous: u64) -> Result<Option<Found<'_>>, JournalError> {
        let mut whole = [None; 2];
        for copy in 0..2 {
            let Some(header) = self.header_at(sector + copy)? else { continue };
            let place = header.place;
            let is_it = (place.number, place.sector, place.previous) == (number, sector, previous);
            if !is_it || (copy == 1 && header.sectors() > 1) {
                continue;
            }
            let bytes = self.sectors(sector + copy, header.sectors())?;
            let payload = bytes.get(HEADER_LEN..HEADER_LEN + header.length as usize);
            if payload.is_some_and(|payload| check(payload) == header.payload_check) {
                whole[copy as usize] = Some(header);
                if header.sectors() > 1 {
                    break;
                }
            }
        }
        let Some((copy, header)) = whole.iter().enumerate().find_map(|(copy, header)| Some((copy as u32, (*header)?)))
        else {
            return Ok(None);
        };
        let damaged_copy = header.sectors() == 1 && whole[0] != whole[1];
        let bytes = self.sectors(sector + copy, header.sectors())?;
        let payload = &bytes[HEADER_LEN..HEADER_LEN + header.length as usize];
        Ok(Some(Found { header, payload, damaged_copy }))
    }

    /// Looks behind the end for what could not be there if frame `next` had never been durable: a later frame that says so, or a
    /// frame or a filling in a place that is not its own, where something durable may have been. Without any, says whether there
    /// is the header of an unfinished frame.
    fn evidence(&mut self, sector: u32, next: u64, filling: &Filling) -> Result<bool, JournalError> {
        let mut torn = false;
        let byte = |sector: u32| u64::from(sector) * SECTOR as u64;
        for at in sector..self.segment.sectors() {
            let header = self.header_at(at)?;
            torn |= header.is_some();
            let evidence = if let Some(Header { place, .. }) = header {
                let last = place.sector + u32::from(header.is_some_and(|header| header.sectors() == 1));
                if place.synced >= next {
                    Some(format!("frame {} at byte {} was written after it", place.number, byte(at)))
                } else if place.number >= next && !(place.sector..=last).contains(&at) {
                    let (number, own) = (place.number, byte(place.sector));
                    Some(format!("frame {number} stands at byte {} instead of {own}", byte(at)))
                } else {
                    None
                }
            } else {
                let filled = filling.read(self.sectors(at, 1)?);
                let elsewhere = filled.filter(|&place| place != (self.segment.file, u64::from(at)));
                elsewhere.map(|(file, sector)| {
                    let own = sector * SECTOR as u64;
                    format!("what fills file {file} at byte {own} stands at byte {}", byte(at))
                })
            };
            if let Some(evidence) = evidence {
                let (file, offset) = (self.segment.name(), byte(sector));
                return Err(JournalError::Damaged { file, offset, frame: next, evidence });
            }
        }
        Ok(torn)
    }
}
