//! The short form of a command: its encoding without the stamps, and without the zeros that its kind never uses. For where many
//! commands are written and the disk's bytes are what counts: an order has 16 bytes instead of 64.
//!
//! ```text
//!  0..8   bytes 0..8 of the encoding: kind, side or token, time in force, flags, account
//!  8..    bytes 24.. of the encoding, as many as the kind has: open account 32, place 8, cancel 8, replace 16, transfer 12,
//!         the others 8
//! ```

use super::{Command, Sequenced};
use crate::types::DecodeError;

/// Bytes of the body of a kind; `None` for what is no kind.
fn body_len(kind: u8) -> Option<usize> {
    match kind {
        1 => Some(32),
        2..=7 | 9 | 10 => Some(8),
        8 => Some(12),
        11 => Some(16),
        _ => None,
    }
}

impl Command {
    /// The longest short form.
    pub const SHORT_MAX: usize = 40;
    /// The shortest.
    pub const SHORT_MIN: usize = 16;

    /// Shows `put` the short form, drawn at the head of this module.
    #[inline]
    pub fn encode_short(&self, put: impl FnOnce(&[u8])) {
        let whole = Sequenced { sequence: 0, time: 0, command: *self }.encode();
        let body = body_len(whole[0]).expect("every command has a kind");
        let mut short = [0u8; Self::SHORT_MAX];
        short[..8].copy_from_slice(&whole[..8]);
        short[8..].copy_from_slice(&whole[24..56]);
        put(&short[..8 + body]);
    }

    /// The inverse: takes a command from the front of `bytes`.
    ///
    /// # Errors
    /// As [`Sequenced::decode`], or the bytes end too early; then nothing was taken.
    #[inline]
    pub fn decode_short(bytes: &mut &[u8]) -> Result<Command, DecodeError> {
        let kind = *bytes.first().ok_or(DecodeError::Cut)?;
        let body = body_len(kind).ok_or(DecodeError::Unknown { field: "command kind", value: kind })?;
        let (short, rest) = bytes.split_at_checked(8 + body).ok_or(DecodeError::Cut)?;
        let mut whole = [0u8; Sequenced::ENCODED_LEN];
        whole[..8].copy_from_slice(&short[..8]);
        whole[24..24 + body].copy_from_slice(&short[8..]);
        let Sequenced { command, .. } = Sequenced::decode(&whole)?;
        *bytes = rest;
        Ok(command)
    }
}
