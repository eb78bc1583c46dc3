//! What can be wrong with a fixed encoding.

use thiserror::Error;

/// Why bytes are no command, or no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A tag byte has no meaning.
    #[error("{field} has the unknown value {value}")]
    Unknown {
        /// Which tag.
        field: &'static str,
        /// Its value.
        value: u8,
    },
    /// Bytes that this kind does not use are not zero: the same command must not have two encodings.
    #[error("bytes that a command or event of kind {kind} does not use are not zero")]
    NotCanonical {
        /// The kind byte.
        kind: u8,
    },
    /// The bytes end before their command does.
    #[error("the bytes end too early")]
    Cut,
}
