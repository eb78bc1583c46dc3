//! Segments: files of a fixed length that frames are written into one after the other.
//!
//! ```text
//!  0          8         12     16           32       40       48            56         64      72     80      88
//!  +----------+---------+------+------------+--------+--------+-------------+----------+-------+------+-------+
//!  |"JBSEGMNT"| version | zero | journal id | number | length | first frame | previous | nonce | file | check |
//!  |          | u32     | u32  | 16 bytes   | u64    | u64    | u64         | u64      | u64   | u64  | u64   |
//!  +----------+---------+------+------------+--------+--------+-------------+----------+-------+------+-------+
//!  written twice, in sectors 0 and 1, zeros behind it; frames from sector 2 on
//!
//!  what a file is filled with when it is made, in each sector
//!  0          8      16       24    32      40
//!  +----------+------+--------+-----+-------+
//!  |"JBFILL01"| file | sector | tag | check |    zeros behind it
//!  |          | u64  | u64    | u64 | u64   |
//!  +----------+------+--------+-----+-------+
//! ```
//!
//! Each file says in all of its sectors which file it is and where they are. So a write that should have filled one, and went
//! to another, is seen there: zeros would have looked like the end of the journal.

use super::frame::check;
use super::storage::{Access, SECTOR, Storage, StoredFile, read_full};
use super::{Buffer, JournalError};
use crate::hash::Sha256;

const MAGIC: &[u8; 8] = b"JBSEGMNT";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 88;
const FILL_MAGIC: &[u8; 8] = b"JBFILL01";
const FILL_LEN: usize = 40;

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
    /// The number under which its file was made; it keeps it when it is used again.
    pub file: u64,
}

impl Segment {
    /// The segment with this number that begins with frame `first`. It has no file yet.
    pub fn new(id: &JournalId, number: u64, length: u64, first: u64, previous: u64) -> Segment {
        // A file is used again and again, but never twice for the same number and first frame once a frame is in it.
        let nonce = secret(id, &[number, first]);
        Segment { number, length, first, previous, nonce, file: 0 }
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
        let words = [self.number, self.length, self.first, self.previous, self.nonce, self.file];
        for (slot, value) in words.iter().enumerate() {
            header[32 + 8 * slot..40 + 8 * slot].copy_from_slice(&value.to_le_bytes());
        }
        let check = check(&header[..80]);
        header[80..88].copy_from_slice(&check.to_le_bytes());
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
    if &bytes[0..8] != MAGIC || check(&bytes[..80]) != long(80) {
        return None;
    }
    let version = u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes"));
    let id = JournalId(bytes[16..32].try_into().expect("16 bytes"));
    let segment = Segment {
        number: long(32),
        length: long(40),
        first: long(48),
        previous: long(56),
        nonce: long(64),
        file: long(72),
    };
    Some((version, id, segment))
}

/// Eight bytes that only who knows the journal's id can tell.
fn secret(id: &JournalId, words: &[u64]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(&id.0);
    words.iter().for_each(|word| hash.update(&word.to_le_bytes()));
    u64::from_le_bytes(*hash.finish().first_chunk().expect("a digest has 32 bytes"))
}

/// What the sectors of a journal's files are filled with.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    tag: u64,
}

impl Filling {
    /// Of this journal.
    pub fn new(id: &JournalId) -> Self {
        Filling { tag: secret(id, &[]) }
    }

    /// Marks a sector, whose bytes are zero or another sector's mark.
    pub fn mark(&self, file: u64, sector: u64, bytes: &mut [u8]) {
        bytes[0..8].copy_from_slice(FILL_MAGIC);
        bytes[8..16].copy_from_slice(&file.to_le_bytes());
        bytes[16..24].copy_from_slice(&sector.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tag.to_le_bytes());
        let check = check(&bytes[..32]);
        bytes[32..FILL_LEN].copy_from_slice(&check.to_le_bytes());
    }

    /// The file and sector of which these bytes are the mark, if they are one.
    pub fn read(&self, bytes: &[u8]) -> Option<(u64, u64)> {
        let bytes: &[u8; FILL_LEN] = bytes.first_chunk()?;
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let is_one = &bytes[..8] == FILL_MAGIC && long(24) == self.tag && check(&bytes[..32]) == long(32);
        is_one.then(|| (long(8), long(16)))
    }
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

/// A segment's number, and what its file says of itself, or what is wrong with it.
pub type Listed = (u64, Result<Segment, JournalError>);

/// All segments that are there, in order.
///
/// # Errors
/// The folder cannot be listed.
pub fn segments<S: Storage>(storage: &S, id: &JournalId) -> Result<Vec<Listed>, JournalError> {
    let read = |number| {
        let name = Segment::name_of(number);
        let file = storage.open(&name, Access::Read).map_err(JournalError::io("opening", &name))?;
        Segment::read::<S>(&file, id, number)
    };
    Ok(numbers(storage)?.into_iter().map(|number| (number, read(number))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: JournalId = JournalId(*b"0123456789abcdef");

    #[test]
    fn golden_bytes() {
        let mut segment = Segment::new(&ID, 2, 0x10000, 7, 0x1112_1314_1516_1718);
        segment.file = 5;
        let bytes = segment.encode(&ID);
        assert_eq!(bytes.len(), 2 * SECTOR);
        assert_eq!(bytes.as_bytes()[..SECTOR], bytes.as_bytes()[SECTOR..], "two copies");
        let mut expected = b"JBSEGMNT\x01\0\0\0\0\0\0\x000123456789abcdef".to_vec();
        for word in [2, 0x10000, 7, 0x1112_1314_1516_1718, NONCE, 5, HEADER_CHECK] {
            expected.extend(u64::to_le_bytes(word));
        }
        expected.resize(SECTOR, 0);
        assert_eq!(bytes.as_bytes()[..SECTOR], expected);

        let mut sector = vec![0; SECTOR];
        Filling::new(&ID).mark(5, 9, &mut sector);
        let mut expected = b"JBFILL01".to_vec();
        for word in [5, 9, FILL_TAG, FILL_CHECK] {
            expected.extend(u64::to_le_bytes(word));
        }
        expected.resize(SECTOR, 0);
        assert_eq!(sector, expected);
        assert_eq!(Filling::new(&ID).read(&sector), Some((5, 9)));
        assert_eq!(Filling::new(&JournalId([0; 16])).read(&sector), None, "another journal's");
    }

    // By a program of a few lines in another language, from the definitions of SHA-256 and CRC-64/NVME.
    const NONCE: u64 = 0x8c4d_1d38_6a93_73de;
    const HEADER_CHECK: u64 = 0x6fc1_2ece_e2d8_7516;
    const FILL_TAG: u64 = 0x787a_b2f7_1151_9f9f;
    const FILL_CHECK: u64 = 0x743f_eb02_6d97_7d15;
}
