//! What a client sends: a command with a name that makes it safe to send again.
//!
//! ```text
//!  The encoding of a sequenced command, with the client's numbers where the ledger's stamps will be:
//!  8..16  number (u64), the client's own, 1, 2, 3, ...     16..24  client (u64)
//! ```

use super::{Command, Sequenced};
use crate::types::DecodeError;
use thiserror::Error;

/// A command as a client sends it. `client` and `number` together name it: the ledger carries it out once, however often it
/// is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who sends it. Clients choose their ids; two that choose the same one are one client.
    pub client: u64,
    /// The client's own count of its requests: 1, then 2, and so on without a gap.
    pub number: u64,
    /// What is asked.
    pub command: Command,
}

impl Request {
    /// Length of the fixed encoding.
    pub const ENCODED_LEN: usize = Sequenced::ENCODED_LEN;

    /// The fixed encoding, drawn at the head of this module.
    #[inline]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let Request { client, number, command } = *self;
        Sequenced { sequence: number, time: client, command }.encode()
    }

    /// The inverse of [`encode`](Self::encode); accepts exactly its image.
    ///
    /// # Errors
    /// As [`Sequenced::decode`].
    pub fn decode(bytes: &[u8; Self::ENCODED_LEN]) -> Result<Request, DecodeError> {
        let Sequenced { sequence: number, time: client, command } = Sequenced::decode(bytes)?;
        Ok(Request { client, number, command })
    }
}

/// Why a request is not carried out, nor answered with events: it changed nothing, and takes no place in the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its client has to send another number first.
    #[error("the client's next number is {expected}")]
    Gap {
        /// The number that is next.
        expected: u64,
    },
    /// It was carried out, so long ago that its answer is not kept any more.
    #[error("it was carried out before, and its answer is not kept any more")]
    Forgotten,
    /// Its client is new, and the ledger knows as many clients as it can.
    #[error("there is no room for another client")]
    TooManyClients,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AccountId;

    #[test]
    fn golden_bytes() {
        let command = Command::Mint { account: AccountId(7), amount: 0x21 };
        let request = Request { client: 0x0102_0304_0506_0708, number: 9, command };
        let mut expected = [0u8; 64];
        expected[..26]
            .copy_from_slice(&[2, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0x21, 0]);
        assert_eq!(request.encode(), expected);
        assert_eq!(Request::decode(&expected), Ok(request));
    }
}
