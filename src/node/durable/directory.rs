//! The ledger's folder: the file that says what it is, and what else may be there.
//!
//! ```text
//!  0          8         12     16           32
//!  +----------+---------+------+------------+-------------+---------------+-------------------------------+
//!  |"JBLEDGER"| version | start| journal id | ChainParams | CRC-64 (u64)  | zeros up to 4,096             |
//!  |          | u32, 1  | u32  | 16         |             | of all before |                               |
//!  +----------+---------+------+------------+-------------+---------------+-------------------------------+
//!  4096     the same once more: one damaged sector makes no ledger unreadable
//!
//!  start: 0 at genesis, 1 with a state that the first snapshot holds
//! ```
//!
//! It has its name when the journal's first segment, and the first snapshot of a ledger that starts with a state, are durable. A
//! folder in which it is `ledger.part` belongs to nobody yet.

use super::DurableError;
use super::snapshot;
use crate::block::ChainParams;
use crate::hash::to_hex;
use crate::journal::storage::{Access, SECTOR, Storage, StoredFile, read_full, write_all};
use crate::journal::{Buffer, Journal, JournalId, Options, frame};

const MAGIC: &[u8; 8] = b"JBLEDGER";
const VERSION: u32 = 1;
const NAME: &str = "ledger";
const PART: &str = "ledger.part";
const PARAMS_AT: usize = 32;
const CHECK_AT: usize = PARAMS_AT + ChainParams::ENCODED_LEN;

/// What a ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its journal's id.
    pub id: JournalId,
    /// Its chain.
    pub params: ChainParams,
    /// It began with a state, and not at genesis: without a snapshot it is nothing.
    pub from_state: bool,
}

/// What is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A ledger.
    Ledger(Meta),
    /// Nothing of a ledger, or one that was being made when its maker stopped.
    Nothing,
}

fn names<S: Storage>(storage: &S) -> Result<Vec<String>, DurableError> {
    storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))
}

fn is_segment(name: &str) -> bool {
    name.starts_with("segment-")
}

/// Looks what is in a folder; it changes nothing.
///
/// # Errors
/// Something of a ledger is there, and not what makes it one; or its format is another.
pub fn look<S: Storage>(storage: &S) -> Result<Found, DurableError> {
    let names = names(storage)?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has(NAME) {
        return read(storage).map(Found::Ledger);
    }
    let (snapshots, _) = snapshot::find(&names);
    let left = names.iter().find(|name| is_segment(name)).cloned();
    match left.or(snapshots.first().map(|name| name.file())).filter(|_| !has(PART)) {
        Some(file) => Err(DurableError::Meta { why: format!("is missing, but {file} is there") }),
        None => Ok(Found::Nothing),
    }
}

/// Opens what is there, of this chain if one is named.
///
/// # Errors
/// There is no ledger, or another chain's.
pub fn expect<S: Storage>(storage: &S, params: Option<&ChainParams>) -> Result<Meta, DurableError> {
    let Found::Ledger(meta) = look(storage)? else {
        let first = names(storage)?.into_iter().find(|name| name != PART);
        let why = first.map_or("the folder is empty".to_string(), |name| format!("the folder holds \"{name}\""));
        return Err(DurableError::Absent { why });
    };
    match params {
        Some(params) if *params != meta.params => {
            let (found, expected) = (to_hex(&meta.params.hash()), to_hex(&params.hash()));
            Err(DurableError::OtherChain { found, expected })
        }
        _ => Ok(meta),
    }
}

/// Whether a file was left by somebody who did not come to an end of making a ledger.
fn is_ours(names: &[String], name: &str) -> bool {
    let made = is_segment(name) || name.starts_with("spare-") || snapshot::is_one(name);
    name == PART || made && names.iter().any(|name| name == PART)
}

/// Refuses a folder that holds something else.
fn empty(names: &[String]) -> Result<(), DurableError> {
    // A dot's files are the system's, or those of the disk that tries out what the system can do; a lock is the caller's.
    let counts = |name: &str| !name.starts_with('.') && name != "lock" && name != "lost+found";
    match names.iter().find(|name| counts(name) && !is_ours(names, name)) {
        Some(found) => Err(DurableError::Occupied { found: format!("\"{found}\"") }),
        None => Ok(()),
    }
}

/// What ledger a folder holds; `None` for one in which a ledger can be made. It changes nothing.
///
/// # Errors
/// Something else is there, or a part of a ledger; or its format is another.
pub fn look_into<S: Storage>(storage: &S) -> Result<Option<Meta>, DurableError> {
    match look(storage)? {
        Found::Ledger(meta) => Ok(Some(meta)),
        Found::Nothing => empty(&names(storage)?).map(|()| None),
    }
}

/// Makes a ledger where there is none: its journal first, then what `begin` makes, its name last.
///
/// # Errors
/// There is something; or the disk fails or is full.
pub fn create<S: Storage>(
    storage: &S,
    meta: &Meta,
    options: Options,
    begin: impl FnOnce() -> Result<(), DurableError>,
) -> Result<Journal<S>, DurableError> {
    let names = names(storage)?;
    let ours = |name: &str| is_ours(&names, name);
    empty(&names)?;
    let failed = |action| DurableError::disk(action, PART);
    let folder = || DurableError::disk("syncing", "the ledger's folder");
    for name in names.iter().filter(|name| ours(name) && *name != PART) {
        storage.remove(name).map_err(DurableError::disk("removing", name))?;
    }
    // They are gone before the mark that they belong to nobody could be.
    storage.sync_names().map_err(folder())?;
    let mut file = if names.iter().any(|name| name == PART) {
        storage.open(PART, Access::Write).map_err(failed("opening"))?
    } else {
        storage.create(PART, Access::Write).map_err(failed("creating"))?
    };
    write_all(&mut file, 0, encode(meta).as_bytes()).map_err(failed("writing"))?;
    file.sync().map_err(failed("syncing"))?;
    storage.sync_names().map_err(folder())?;
    let journal = Journal::create(storage.clone(), meta.id, options)?;
    begin()?;
    storage.rename(PART, NAME).map_err(failed("renaming"))?;
    storage.sync_names().map_err(folder())?;
    Ok(journal)
}

fn encode(meta: &Meta) -> Buffer {
    let mut sector = [0u8; SECTOR];
    sector[0..8].copy_from_slice(MAGIC);
    sector[8..12].copy_from_slice(&VERSION.to_le_bytes());
    sector[12..16].copy_from_slice(&u32::from(meta.from_state).to_le_bytes());
    sector[16..32].copy_from_slice(&meta.id.0);
    sector[PARAMS_AT..CHECK_AT].copy_from_slice(&meta.params.encode());
    let check = frame::check(&sector[..CHECK_AT]);
    sector[CHECK_AT..CHECK_AT + 8].copy_from_slice(&check.to_le_bytes());
    let mut both = Buffer::new();
    both.extend(&sector);
    both.extend(&sector);
    both
}

fn read<S: Storage>(storage: &S) -> Result<Meta, DurableError> {
    let file = storage.open(NAME, Access::Read).map_err(DurableError::disk("opening", NAME))?;
    let mut bytes = [0u8; 2 * SECTOR];
    let read = read_full(&file, 0, &mut bytes).map_err(DurableError::disk("reading", NAME))?;
    let copies = || bytes[..read].chunks_exact(SECTOR).map(|sector| decode(sector.try_into().expect("a sector")));
    if let Some(meta) = copies().find_map(Result::ok) {
        return Ok(meta);
    }
    Err(match copies().next() {
        Some(Err(error)) => error,
        _ => DurableError::Meta { why: format!("has {read} bytes instead of {}", 2 * SECTOR) },
    })
}

fn decode(sector: &[u8; SECTOR]) -> Result<Meta, DurableError> {
    let wrong = |why: &str| Err(DurableError::Meta { why: why.to_string() });
    if &sector[0..8] != MAGIC {
        return wrong("does not begin as such files do");
    }
    let version = u32::from_le_bytes(sector[8..12].try_into().expect("4 bytes"));
    let stated = u64::from_le_bytes(sector[CHECK_AT..CHECK_AT + 8].try_into().expect("8 bytes"));
    // Another version may keep its check elsewhere.
    if version != VERSION {
        return Err(DurableError::Version { found: version, expected: VERSION });
    }
    if stated != frame::check(&sector[..CHECK_AT]) || sector[CHECK_AT + 8..].iter().any(|&byte| byte != 0) {
        return wrong("is damaged");
    }
    let start = u32::from_le_bytes(sector[12..16].try_into().expect("4 bytes"));
    if start > 1 {
        return wrong("says that the ledger began in a way that this program does not know");
    }
    let params: &[u8; ChainParams::ENCODED_LEN] = sector[PARAMS_AT..CHECK_AT].try_into().expect("its length");
    match ChainParams::decode(params) {
        Ok(params) => {
            let id = JournalId(sector[16..32].try_into().expect("16 bytes"));
            Ok(Meta { id, params, from_state: start == 1 })
        }
        Err(error) => Err(DurableError::Meta { why: format!("has parameters that cannot be used: {error}") }),
    }
}
