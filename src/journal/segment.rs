//! Segments: files of a fixed length that frames are written into one after the other.
//!
//! ```text
//!  0          8         12     16           32       40       48            56         64      72      80
//!  +----------+---------+------+------------+--------+--------+-------------+----------+-------+-------+
//!  |"JBSEGMNT"| version | zero | journal id | number | length | first frame | previous | nonce | check |
//!  |          | u32     | u32  | 16 bytes   | u64    | u64    | u64         | u64      | u64   | u64   |
//!  +----------+---------+------+------------+--------+--------+-------------+----------+-------+-------+
//!  written twice, in sectors 0 and 1, zeros behind it; frames from sector 2 on
//! ```

use super::frame::check;
use super::storage::{SECTOR, Storage, StoredFile, read_full};
use super::{Buffer, JournalError};
use crate::hash::Sha256;

const MAGIC: &[u8; 8] = b"JBSEGMNT";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 80;

/// The first sector of frames.
pub const FIRST_SECTOR: u32 = 2;

const NAME: &str = "segment-";

/// Tells one journal's files from another's. It is random, and nobody outside knows it: no payload can be made up that
/// looks like a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalId(pub [u8; 16]);

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 1.
    pub number: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The number of its first frame.
    pub first: u64,
    /// Header check of the frame before that.
    pub previous: u64,
    /// What all of its frames carry.
    pub nonce: u64,
}

impl Segment {
    /// The segment with this number that begins with frame `first`.
    pub fn new(id: &JournalId, number: u64, length: u64, first: u64, previous: u64) -> Segment {
        // A file is used again and again, but never twice for the same number and first frame once a frame is in it.
        let mut hash = Sha256::new();
        hash.update(&id.0);
        hash.update(&number.to_le_bytes());
        hash.update(&first.to_le_bytes());
        let nonce = u64::from_le_bytes(*hash.finish().first_chunk().expect("a digest has 32 bytes"));
        Segment { number, length, first, previous, nonce }
    }

    /// The name of the file of a segment.
    pub fn name_of(number: u64) -> String {
        format!("{NAME}{number:010}")
    }

    /// Its file's name.
    pub fn name(&self) -> String {
        Self::name_of(self.number)
    }

    /// Sectors that it has.
    pub fn sectors(&self) -> u32 {
        (self.length / SECTOR as u64) as u32
    }

    /// Both copies of the header, as they stand on disk.
    pub fn encode(&self, id: &JournalId) -> Buffer {
        let mut header = [0u8; HEADER_LEN];
        header[0..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..32].copy_from_slice(&id.0);
        for (slot, value) in [self.number, self.length, self.first, self.previous, self.nonce].iter().enumerate() {
            header[32 + 8 * slot..40 + 8 * slot].copy_from_slice(&value.to_le_bytes());
        }
        let check = check(&header[..72]);
        header[72..80].copy_from_slice(&check.to_le_bytes());
        let mut out = Buffer::new();
        for copy in 1..=FIRST_SECTOR as usize {
            out.extend(&header);
            out.resize(copy * SECTOR);
        }
        out
    }

    /// Reads the header of a segment, from whichever copy is whole.
    ///
    /// # Errors
    /// Neither copy is, or it is not what should stand there.
    pub fn read<S: Storage>(file: &S::File, id: &JournalId, number: u64) -> Result<Segment, JournalError> {
        let name = Self::name_of(number);
        let mut bytes = vec![0u8; FIRST_SECTOR as usize * SECTOR];
        let read = read_full(file, 0, &mut bytes).map_err(JournalError::io("reading its header", &name))?;
        let found = bytes[..read].chunks(SECTOR).find_map(|copy| decode(copy.get(..HEADER_LEN)?.try_into().ok()?));
        let Some((version, found_id, segment)) = found else { return Err(JournalError::Header { file: name }) };
        if version != VERSION {
            return Err(JournalError::Version { file: name, found: version, expected: VERSION });
        }
        if found_id != *id {
            return Err(JournalError::Foreign { file: name, why: "it is of another journal".to_string() });
        }
        if segment.number != number {
            return Err(JournalError::Foreign { file: name, why: format!("it is segment {}", segment.number) });
        }
        let length = file.length().map_err(JournalError::io("reading its length", &name))?;
        let enough = u64::from(FIRST_SECTOR + 4) * SECTOR as u64;
        if length != segment.length || length < enough || !length.is_multiple_of(SECTOR as u64) {
            let why = format!("it has {length} bytes and says that it has {}", segment.length);
            return Err(JournalError::Foreign { file: name, why });
        }
        Ok(segment)
    }
}

/// The header of a segment of any version, if its check is right.
fn decode(bytes: &[u8; HEADER_LEN]) -> Option<(u32, JournalId, Segment)> {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    if &bytes[0..8] != MAGIC || check(&bytes[..72]) != long(72) {
        return None;
    }
    let version = u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes"));
    let id = JournalId(bytes[16..32].try_into().expect("16 bytes"));
    let segment = Segment { number: long(32), length: long(40), first: long(48), previous: long(56), nonce: long(64) };
    Some((version, id, segment))
}

/// The numbers of the segments that are there, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn numbers<S: Storage>(storage: &S) -> Result<Vec<u64>, JournalError> {
    let names = storage.names().map_err(JournalError::io("listing", "the journal's folder"))?;
    let number =
        |name: &String| name.strip_prefix(NAME)?.parse().ok().filter(|&number| *name == Segment::name_of(number));
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
