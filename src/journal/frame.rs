//! A frame: one group of records, written at once and there as a whole or not at all.
//!
//! ```text
//!  0      4      6       8       16       24       28       32         40       48               56     64      72
//!  +------+------+-------+-------+--------+--------+--------+----------+--------+----------------+------+-------+
//!  |"JBFR"| kind | zero  | nonce | number | offset | length | previous | synced | first sequence | time | count |
//!  |      | u16  | u16   | u64   | u64    | /4096  | u32    | u64      | u64    | u64            | ns   | u32, 0|
//!  +------+------+-------+-------+--------+--------+--------+----------+--------+----------------+------+-------+
//!  72              80             88      96
//!  +---------------+--------------+-------+-------------------+---------------------------------+
//!  | payload check | header check | zero  | payload ...       | zeros up to a multiple of 4,096 |
//!  +---------------+--------------+-------+-------------------+---------------------------------+
//! ```
//!
//! A check is CRC-64/NVME: any one flipped bit, any burst of up to 64 bits, and of other damage all but one in 2^64. The header
//! check is of bytes 0..80, and so of the payload, too; `previous` is the header check of the frame before. A frame that fits
//! one sector is written twice, side by side.

use super::Buffer;
use super::storage::SECTOR;
use crate::types::{Sequence, TimeNs};
use crc_fast::{CrcAlgorithm, checksum};

const MAGIC: &[u8; 4] = b"JBFR";

/// Length of a header.
pub const HEADER_LEN: usize = 96;

/// The largest payload. Together with its header it is a multiple of a sector.
pub const PAYLOAD_MAX: usize = (4 << 20) - HEADER_LEN;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Records of the journal's owner; the journal does not look into them.
    Group = 1,
    /// Another sort of its owner's records.
    Seal = 2,
    /// Nothing but proof that what stands before it was durable.
    Mark = 3,
    /// The journal goes on in the next segment.
    Rotate = 4,
    /// The journal was opened here.
    Open = 5,
}

/// What the owner says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// What it is for.
    pub kind: Kind,
    /// Sequence of its first command; what else the owner wants, for other kinds.
    pub first: Sequence,
    /// When its commands were sequenced.
    pub time: TimeNs,
    /// How many commands it holds.
    pub count: u32,
}

/// A frame being filled: a payload, with room for the header before it.
#[derive(Clone, Debug)]
pub struct FrameBuffer {
    buffer: Buffer,
    label: Option<Label>,
    payload_check: u64,
}

impl FrameBuffer {
    /// An empty one.
    pub fn new() -> Self {
        let mut frame = FrameBuffer { buffer: Buffer::new(), label: None, payload_check: 0 };
        frame.clear();
        frame
    }

    /// Forgets what it holds and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.resize(HEADER_LEN);
        self.label = None;
    }

    /// Appends to the payload.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        debug_assert!(self.label.is_none(), "a finished frame does not grow");
        self.buffer.extend(bytes);
    }

    /// The payload so far.
    ///
    /// # Panics
    /// If it is [finished](Self::finish).
    pub fn payload(&self) -> &[u8] {
        assert!(self.label.is_none(), "a finished frame is padded");
        &self.buffer.as_bytes()[HEADER_LEN..]
    }

    /// Length of the payload.
    pub fn payload_len(&self) -> usize {
        let length = self.buffer.len();
        if self.label.is_some() { self.read_length() } else { length - HEADER_LEN }
    }

    fn read_length(&self) -> usize {
        let bytes: [u8; 4] = self.buffer.as_bytes()[28..32].try_into().expect("4 bytes");
        u32::from_le_bytes(bytes) as usize
    }

    /// Ends the payload: pads and checks it. What is left to fill in is the header, when the frame's place is known.
    ///
    /// # Panics
    /// If the payload is longer than [`PAYLOAD_MAX`]: its owner bounds groups.
    pub fn finish(&mut self, label: Label) {
        let length = self.buffer.len() - HEADER_LEN;
        assert!(length <= PAYLOAD_MAX, "a group of {length} bytes does not fit a frame");
        self.payload_check = check(&self.buffer.as_bytes()[HEADER_LEN..]);
        let padded = self.buffer.len().next_multiple_of(SECTOR);
        self.buffer.resize(padded);
        self.buffer.as_bytes_mut()[28..32].copy_from_slice(&(length as u32).to_le_bytes());
        self.label = Some(label);
    }

    /// Writes the header in front and, if the frame fits one sector, doubles it. Returns its header.
    ///
    /// # Panics
    /// If it is not [finished](Self::finish).
    pub(super) fn place(&mut self, place: Place) -> Header {
        let label = self.label.expect("a finished frame");
        let header = Header { label, place, length: self.read_length() as u32, payload_check: self.payload_check };
        let bytes = header.encode();
        let single = header.sectors() == 1;
        self.buffer.resize(header.span() * SECTOR);
        let all = self.buffer.as_bytes_mut();
        all[..HEADER_LEN].copy_from_slice(&bytes);
        if single {
            all.copy_within(..SECTOR, SECTOR);
        }
        header
    }

    /// All of it, as it stands on disk once it is placed.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.buffer.as_bytes()
    }

    /// Bytes that it takes on disk once it is [finished](Self::finish).
    pub fn disk_len(&self) -> u64 {
        disk_len(self.payload_len())
    }
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that a frame with so long a payload takes on disk.
pub fn disk_len(payload: usize) -> u64 {
    let sectors = (HEADER_LEN + payload).div_ceil(SECTOR).max(1);
    (span(sectors) * SECTOR) as u64
}

/// Sectors that a frame of so many takes on disk: one alone is doubled.
fn span(sectors: usize) -> usize {
    sectors.max(2)
}

/// Where a frame stands, and what before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment's nonce: whatever an earlier use of the same file left behind has another one.
    pub nonce: u64,
    /// Number of the frame, over the whole journal, from 1.
    pub number: u64,
    /// Where it starts in its segment, in sectors.
    pub sector: u32,
    /// Header check of the frame before.
    pub previous: u64,
    /// The last frame that was durable when this one was written.
    pub synced: u64,
}

/// All that a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What its owner says of it.
    pub label: Label,
    /// Where it stands.
    pub place: Place,
    /// Bytes of payload.
    pub length: u32,
    /// Check of the payload.
    pub payload_check: u64,
}

impl Header {
    /// The check that the next frame repeats.
    pub fn check(&self) -> u64 {
        check(&self.encode()[..80])
    }

    /// Sectors of header and payload.
    pub fn sectors(&self) -> usize {
        (HEADER_LEN + self.length as usize).div_ceil(SECTOR)
    }

    /// Sectors that it takes on disk.
    pub fn span(&self) -> usize {
        span(self.sectors())
    }

    /// The encoding, drawn at the head of this module.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let Header { label, place, length, payload_check } = *self;
        let mut out = [0u8; HEADER_LEN];
        out[0..4].copy_from_slice(MAGIC);
        out[4..6].copy_from_slice(&(label.kind as u16).to_le_bytes());
        out[8..16].copy_from_slice(&place.nonce.to_le_bytes());
        out[16..24].copy_from_slice(&place.number.to_le_bytes());
        out[24..28].copy_from_slice(&place.sector.to_le_bytes());
        out[28..32].copy_from_slice(&length.to_le_bytes());
        out[32..40].copy_from_slice(&place.previous.to_le_bytes());
        out[40..48].copy_from_slice(&place.synced.to_le_bytes());
        out[48..56].copy_from_slice(&label.first.to_le_bytes());
        out[56..64].copy_from_slice(&label.time.to_le_bytes());
        out[64..68].copy_from_slice(&label.count.to_le_bytes());
        out[72..80].copy_from_slice(&payload_check.to_le_bytes());
        let check = check(&out[..80]);
        out[80..88].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// A header, if these bytes are one: canonical, with the right check.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Option<Header> {
        if &bytes[0..4] != MAGIC {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let kind = match u16::from_le_bytes([bytes[4], bytes[5]]) {
            1 => Kind::Group,
            2 => Kind::Seal,
            3 => Kind::Mark,
            4 => Kind::Rotate,
            5 => Kind::Open,
            _ => return None,
        };
        let header = Header {
            label: Label { kind, first: long(48), time: long(56), count: word(64) },
            place: Place { nonce: long(8), number: long(16), sector: word(24), previous: long(32), synced: long(40) },
            length: word(28),
            payload_check: long(72),
        };
        (header.length as usize <= PAYLOAD_MAX && header.encode() == *bytes).then_some(header)
    }
}

/// CRC-64/NVME.
pub fn check(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bit after the other, from the polynomial in the NVM Express specification, reflected.
    fn check_by_definition(bytes: &[u8]) -> u64 {
        let mut crc = !0u64;
        for &byte in bytes {
            crc ^= u64::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x9a6c_9329_ac4b_c9b5 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn checks_are_crc_64_nvme_at_every_length_and_alignment() {
        assert_eq!(check(b"123456789"), 0xae8b_1486_0a79_9888, "the check value of the catalogue of CRC algorithms");
        let bytes: Vec<u8> = (0..3_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in (0..600).chain([1_023, 1_024, 1_025, 2_047, 2_900]) {
            for start in [0, 1, 7, 33] {
                let part = &bytes[start..start + length];
                assert_eq!(check(part), check_by_definition(part), "{length} bytes from {start}");
            }
        }
    }

    fn header() -> Header {
        Header {
            label: Label { kind: Kind::Group, first: 0x1112, time: 0x2122, count: 0x3132 },
            place: Place { nonce: 0x4142, number: 0x5152, sector: 0x6162, previous: 0x7172, synced: 0x8182 },
            length: 0x9192,
            payload_check: 0xa1a2,
        }
    }

    #[test]
    fn golden_bytes_of_a_header() {
        let mut expected = b"JBFR\x01\0\0\0".to_vec();
        for word in [0x4142, 0x5152, 0x9192 << 32 | 0x6162, 0x7172, 0x8182, 0x1112, 0x2122, 0x3132, 0xa1a2] {
            expected.extend(u64::to_le_bytes(word));
        }
        // The check, by a program of a few lines in another language.
        expected.extend(u64::to_le_bytes(0xf5ae_1f4a_03cc_99bb));
        expected.resize(HEADER_LEN, 0);
        assert_eq!(header().encode().to_vec(), expected);
    }

    #[test]
    fn headers_round_trip_and_every_flipped_bit_is_refused() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Some(header()));
        for at in 0..HEADER_LEN {
            for bit in 0..8 {
                let mut damaged = bytes;
                damaged[at] ^= 1 << bit;
                assert_eq!(Header::decode(&damaged), None, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_of_one_sector_is_doubled_and_a_longer_one_is_not() {
        let label = header().label;
        for (payload, sectors) in [(0, 2), (SECTOR - HEADER_LEN, 2), (SECTOR - HEADER_LEN + 1, 2), (2 * SECTOR, 3)] {
            let mut frame = FrameBuffer::new();
            frame.extend(&vec![7u8; payload]);
            assert_eq!(frame.payload_len(), payload);
            frame.finish(label);
            assert_eq!((frame.payload_len(), frame.disk_len()), (payload, (sectors * SECTOR) as u64));
            let header = frame.place(header().place);
            let bytes = frame.as_bytes();
            assert_eq!((bytes.len(), header.span()), (sectors * SECTOR, sectors));
            assert_eq!(Header::decode(bytes[..HEADER_LEN].try_into().unwrap()), Some(header));
            assert_eq!(check(&bytes[HEADER_LEN..HEADER_LEN + payload]), header.payload_check);
            let doubled = bytes[..SECTOR] == bytes[SECTOR..2 * SECTOR];
            assert_eq!(doubled, payload <= SECTOR - HEADER_LEN);
        }
    }
}
