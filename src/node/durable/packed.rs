//! A group in the journal: its requests, without what can be derived from the others.
//!
//! ```text
//!  commands in their short form (`command::Command::encode_short`), one after the other
//!  runs: client (u64), number of the first request (u64), how many (u32); 20 bytes each
//!  how many runs (u32)
//! ```
//!
//! An order among others of its client takes 16 bytes.

use super::sessions::{Group, Sessions};
use crate::command::{Command, Request};
use crate::journal::FrameBuffer;

const RUN_LEN: usize = 20;
const COUNT_LEN: usize = 4;

/// Bytes of so many requests at most.
pub const fn len_max(requests: usize) -> usize {
    requests * (Command::SHORT_MAX + RUN_LEN) + COUNT_LEN
}

/// Ends a group whose commands are in the frame already: whose they are.
pub fn put_runs(group: &Group, sessions: &Sessions, frame: &mut FrameBuffer) {
    for part in &group.parts {
        let mut run = [0u8; RUN_LEN];
        run[0..8].copy_from_slice(&sessions.client(part.session).to_le_bytes());
        run[8..16].copy_from_slice(&part.number.to_le_bytes());
        run[16..20].copy_from_slice(&part.count.to_le_bytes());
        frame.extend(&run);
    }
    frame.extend(&(group.parts.len() as u32).to_le_bytes());
}

/// Appends the requests of a group, `count` of them.
///
/// # Errors
/// What is wrong, in words.
pub fn unpack(payload: &[u8], count: u32, out: &mut Vec<Request>) -> Result<(), String> {
    let (rest, runs) = payload.split_last_chunk::<COUNT_LEN>().ok_or("has no number of runs")?;
    let table = (u32::from_le_bytes(*runs) as usize).checked_mul(RUN_LEN).filter(|&table| table <= rest.len());
    let (mut commands, runs) = rest.split_at(rest.len() - table.ok_or("has more runs than bytes")?);
    let before = out.len();
    for run in runs.chunks_exact(RUN_LEN) {
        let long = |at: usize| u64::from_le_bytes(run[at..at + 8].try_into().expect("8 bytes"));
        let requests = u32::from_le_bytes(run[16..].try_into().expect("4 bytes"));
        let (client, first) = (long(0), long(8));
        let end = first.checked_add(requests.into()).ok_or("has a request without a number")?;
        for number in first..end {
            let command = Command::decode_short(&mut commands).map_err(|error| format!("holds no command: {error}"))?;
            out.push(Request { client, number, command });
        }
    }
    let found = out.len() - before;
    if found != count as usize || !commands.is_empty() {
        return Err(format!("has {found} requests instead of {count}, and {} bytes more", commands.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sessions::Memory;
    use super::*;
    use crate::types::AccountId;

    #[test]
    fn groups_round_trip_and_no_cut_passes() {
        let requests: Vec<Request> = [(7, 1), (7, 2), (8, 1), (7, 3), (9, 1)]
            .into_iter()
            .map(|(client, number)| {
                let command = Command::Mint { account: AccountId(client as u32), amount: number };
                Request { client, number, command }
            })
            .collect();
        let (mut sessions, mut group, mut frame) =
            (Sessions::new(Memory::default()), Group::default(), FrameBuffer::new());
        let mut payload = Vec::new();
        for (sequence, request) in (1..).zip(&requests) {
            sessions.claim(request.client, request.number, sequence, &mut group);
            request.command.encode_short(|short| payload.extend_from_slice(short));
        }
        assert_eq!(group.parts.len(), 4, "runs");
        frame.extend(&payload);
        put_runs(&group, &sessions, &mut frame);
        let golden_runs: [u64; 2] = [7, 1];
        golden_runs.iter().for_each(|word| payload.extend(word.to_le_bytes()));
        payload.extend(2u32.to_le_bytes());
        for (client, number) in [(8u64, 1u64), (7, 3), (9, 1)] {
            payload.extend(client.to_le_bytes());
            payload.extend(number.to_le_bytes());
            payload.extend(1u32.to_le_bytes());
        }
        payload.extend(4u32.to_le_bytes());
        assert_eq!(frame.payload(), payload);
        assert!(payload.len() <= len_max(5));
        let mut out = Vec::new();
        unpack(&payload, 5, &mut out).unwrap();
        assert_eq!(out, requests);
        for length in 0..payload.len() {
            assert!(unpack(&payload[..length], 5, &mut Vec::new()).is_err(), "{length} bytes");
        }
        assert!(unpack(&payload, 4, &mut Vec::new()).unwrap_err().contains("5 requests instead of 4"));
        let mut huge = payload.clone();
        huge.splice(payload.len() - 8..payload.len() - 4, [0xff; 4]);
        assert!(unpack(&huge, 5, &mut Vec::new()).unwrap_err().contains("holds no command"));
    }
}
