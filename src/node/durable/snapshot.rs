//! A ledger's state in a file, so that its journal need not be read from the beginning.
//!
//! ```text
//!  0          8         12     16           32       40       48     56      64           120
//!  +----------+---------+------+------------+--------+--------+------+-------+------------+------------+
//!  |"JBSNAPSH"| version | zero | journal id | blocks | next   | time | frame | Tip, 56    | state root |
//!  |          | u32, 1  | u32  | 16         | u64    | seq u64| ns   | u64   |            | 32         |
//!  +----------+---------+------+------------+--------+--------+------+-------+------------+------------+
//!  152          184        188    192    196    200       208      216         224              256
//!  +------------+----------+------+------+------+---------+--------+-------------+----------------+------+
//!  | statistics | accounts | bids | asks | zero | clients | groups | body length | root, SHA-256  | zero |
//!  | 32         | u32      | u32  | u32  | u32  | u64     | u64    | u64         | 32             |      |
//!  +------------+----------+------+------+------+---------+--------+-------------+----------------+------+
//!  4096     body: accounts, 96 each | orders, 24 each | clients, 16 each | groups of answers | zeros up to a sector
//!  behind   table: CRC-64/NVME of each MiB of the body | zeros up to a sector
//!
//!  statistics   last, high, low (i32), open orders (u32), trades, volume (u64)
//!  an account   engine::AccountRecord          an order    id (u64), account (u32), price (i32), Wh (u32), zero (u32)
//!  a client     id, next number (u64)          all bids, best first and oldest first, then all asks
//!  a group      first sequence (u64), parts, commands, events (u32), zero (u32); parts: session, count (u32), number (u64);
//!               ends (u32 each), filled up to 8; events, 32 each
//! ```
//!
//! The root is the hash of bytes 0..224 and of the table: every bit of the file counts. That is for accidents; against forgers,
//! the accounts' state root is compared with the one that the last block was sealed with.

use super::DurableError;
use super::sessions::{Group, Memory, Part, Sessions};
use crate::block::{ChainParams, Tip};
use crate::engine::{AccountRecord, Engine, MarketStats, OrderView};
use crate::event::{Event, EventLog};
use crate::hash::{Digest, Sha256};
use crate::journal::storage::{Access, SECTOR, Storage, StoredFile, read_full, write_all};
use crate::journal::{Buffer, JournalId, frame};
use crate::types::{AccountId, OrderId, Sequence, Side, TimeNs};
use std::time::Instant;

const MAGIC: &[u8; 8] = b"JBSNAPSH";
const VERSION: u32 = 1;
const NAME: &str = "snapshot-";
const AGAIN: &str = "-again";
const PART: &str = ".part";
const CHUNK: usize = 1 << 20;
const FIXED_LEN: usize = 224;
const ORDER_LEN: usize = 24;

/// What a snapshot is named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Sequence of the next command. Two snapshots may have as many blocks before them.
    pub next: Sequence,
    /// The second one of this state: a full journal needs two, but can take in nothing that would lead to another state.
    pub again: bool,
}

impl Name {
    /// Name of its file.
    pub fn file(self) -> String {
        format!("{NAME}{:010}{}", self.next, if self.again { AGAIN } else { "" })
    }
}

/// A snapshot that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: Name,
    /// The journal is read from this frame on; frames before it are not needed.
    pub frame: u64,
}

/// All of a snapshot but its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which ledger's it is.
    pub id: JournalId,
    /// Sequence of the next command.
    pub next: Sequence,
    /// When the last command was sequenced.
    pub time: TimeNs,
    /// Where to go on reading: commands from `next` on are in this frame of the journal, or later ones.
    pub frame: u64,
    /// The chain's end.
    pub tip: Tip,
    /// Root over the accounts, as the last block was sealed with it; zero without a block.
    pub state_root: Digest,
}

/// The snapshots among these names, newest first, and what is left of one that was not finished.
pub fn find(names: &[String]) -> (Vec<Name>, Vec<&String>) {
    let parse = |file: &String| {
        let number = file.strip_prefix(NAME)?;
        let first = number.strip_suffix(AGAIN);
        let name = Name { next: first.unwrap_or(number).parse().ok()?, again: first.is_some() };
        (*file == name.file()).then_some(name)
    };
    let mut found: Vec<Name> = names.iter().filter_map(parse).collect();
    found.sort_unstable_by_key(|name| std::cmp::Reverse((name.next, name.again)));
    let unfinished = names.iter().filter(|name| name.starts_with(NAME) && name.ends_with(PART)).collect();
    (found, unfinished)
}

/// Whether this is the name of one, or of a part of one.
pub fn is_one(name: &str) -> bool {
    name.starts_with(NAME)
}

/// Removes what is left of snapshots that were not finished.
pub fn remove_unfinished<S: Storage>(storage: &S) -> Result<(), DurableError> {
    let names = storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))?;
    find(&names).1.into_iter().try_for_each(|name| storage.remove(name).map_err(DurableError::disk("removing", name)))
}

/// Writes the body, a chunk at a time.
struct Body<'f, F> {
    file: &'f mut F,
    chunk: Buffer,
    written: u64,
    table: Vec<u8>,
    /// For how many times as long as each MiB took it rests, so that the disk has time for others.
    leisure: u32,
}

impl<F: StoredFile> Body<'_, F> {
    fn put(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let now = bytes.len().min(CHUNK - self.chunk.len());
            self.chunk.extend(&bytes[..now]);
            bytes = &bytes[now..];
            if self.chunk.len() == CHUNK {
                let begun = Instant::now();
                self.flush()?;
                // Each by itself: the journal's small writes would wait for all of a large one.
                self.file.sync()?;
                std::thread::sleep(self.leisure * begun.elapsed());
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.chunk.resize(self.chunk.len().next_multiple_of(SECTOR));
        if !self.chunk.is_empty() {
            self.table.extend(frame::check(self.chunk.as_bytes()).to_le_bytes());
            write_all(self.file, SECTOR as u64 + self.written, self.chunk.as_bytes())?;
            self.written += self.chunk.len() as u64;
            self.chunk.clear();
        }
        Ok(())
    }
}

/// Writes a snapshot, or the second one of its state, and makes it and its name durable. Rests `leisure` times as long as each MiB took.
pub fn write<S: Storage, E: Engine>(
    storage: &S,
    again: bool,
    head: &Head,
    engine: &E,
    sessions: &Sessions,
    leisure: u32,
) -> Result<Kept, DurableError> {
    let name = Name { next: head.next, again };
    let file_name = name.file();
    let part = format!("{file_name}{PART}");
    let failed = |action| DurableError::disk(action, &part);
    let names = storage.names().map_err(DurableError::disk("listing", "the ledger's folder"))?;
    if names.contains(&part) {
        storage.remove(&part).map_err(failed("removing what was left of"))?;
    }
    let mut file = storage.create(&part, Access::Write).map_err(failed("creating"))?;
    fill(&mut file, head, engine, sessions, leisure).map_err(failed("writing"))?;
    file.sync().map_err(failed("syncing"))?;
    storage.rename(&part, &file_name).map_err(failed("renaming"))?;
    storage.sync_names().map_err(DurableError::disk("syncing", "the ledger's folder"))?;
    Ok(Kept { name, frame: head.frame })
}

fn fill<F: StoredFile, E: Engine>(
    file: &mut F,
    head: &Head,
    engine: &E,
    sessions: &Sessions,
    leisure: u32,
) -> std::io::Result<()> {
    let mut body = Body { file, chunk: Buffer::new(), written: 0, table: Vec::new(), leisure };
    for account in 0..engine.accounts() {
        body.put(&engine.record(AccountId(account)).expect("ids are dense").encode())?;
    }
    let mut orders = [0u32; 2];
    for side in Side::BOTH {
        let mut written = Ok(());
        engine.for_each_order(side, |order| {
            orders[side as usize] += 1;
            if written.is_ok() {
                written = body.put(&encode_order(&order));
            }
        });
        written?;
    }
    for (client, next) in sessions.clients() {
        body.put(&client.to_le_bytes())?;
        body.put(&next.to_le_bytes())?;
    }
    for group in sessions.groups() {
        put_group(group, &mut |bytes| body.put(bytes))?;
    }
    body.flush()?;
    let Body { written, mut table, .. } = body;
    table.resize(table.len().next_multiple_of(SECTOR), 0);
    let mut fixed = [0u8; FIXED_LEN];
    fixed[0..8].copy_from_slice(MAGIC);
    fixed[8..12].copy_from_slice(&VERSION.to_le_bytes());
    fixed[16..32].copy_from_slice(&head.id.0);
    for (at, word) in [(32, head.tip.height()), (40, head.next), (48, head.time), (56, head.frame)] {
        fixed[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    fixed[64..120].copy_from_slice(&head.tip.encode());
    fixed[120..152].copy_from_slice(&head.state_root);
    fixed[152..184].copy_from_slice(&encode_stats(&engine.stats()));
    for (at, word) in [engine.accounts(), orders[0], orders[1]].into_iter().enumerate() {
        fixed[184 + 4 * at..188 + 4 * at].copy_from_slice(&word.to_le_bytes());
    }
    for (at, word) in [(200, sessions.clients().len() as u64), (208, sessions.groups().len() as u64), (216, written)] {
        fixed[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    let mut sector = Buffer::new();
    sector.extend(&fixed);
    sector.extend(&root(&fixed, &table));
    sector.resize(SECTOR);
    let mut aligned = Buffer::new();
    aligned.extend(&table);
    write_all(file, SECTOR as u64 + written, aligned.as_bytes())?;
    write_all(file, 0, sector.as_bytes())
}

fn root(fixed: &[u8], table: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(fixed);
    hasher.update(table);
    hasher.finish()
}

fn encode_order(order: &OrderView) -> [u8; ORDER_LEN] {
    let mut out = [0u8; ORDER_LEN];
    out[0..8].copy_from_slice(&order.order.0.to_le_bytes());
    out[8..12].copy_from_slice(&order.account.0.to_le_bytes());
    out[12..16].copy_from_slice(&order.price.to_le_bytes());
    out[16..20].copy_from_slice(&order.wh.to_le_bytes());
    out
}

fn encode_stats(stats: &MarketStats) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (at, price) in [stats.last, stats.high, stats.low].into_iter().enumerate() {
        out[4 * at..4 * at + 4].copy_from_slice(&price.to_le_bytes());
    }
    out[12..16].copy_from_slice(&stats.open_orders.to_le_bytes());
    out[16..24].copy_from_slice(&stats.trades.to_le_bytes());
    out[24..32].copy_from_slice(&stats.volume_wh.to_le_bytes());
    out
}

fn put_group(group: &Group, put: &mut impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let Group { first, parts, log } = group;
    put(&first.to_le_bytes())?;
    for count in [parts.len(), log.ends.len(), log.events.len(), 0] {
        put(&(count as u32).to_le_bytes())?;
    }
    for part in parts {
        put(&part.session.to_le_bytes())?;
        put(&part.count.to_le_bytes())?;
        put(&part.number.to_le_bytes())?;
    }
    put(bytemuck::cast_slice(&log.ends.iter().map(|end| end.to_le()).collect::<Vec<u32>>()))?;
    if log.ends.len() % 2 == 1 {
        put(&[0; 4])?;
    }
    log.events.iter().try_for_each(|event| put(&event.encode()))
}

/// A snapshot that was read: whole, of this ledger.
pub struct Snapshot {
    /// What it says of itself.
    pub head: Head,
    /// The market's statistics.
    pub stats: MarketStats,
    /// Accounts in it.
    pub accounts: usize,
    /// Bids and asks in it.
    pub orders: [usize; 2],
    /// Clients in it.
    pub clients: usize,
    groups: u64,
    body: Buffer,
}

/// Reads a snapshot; only its head, if not the `whole` of it is wanted.
///
/// # Errors
/// Why it cannot be used, in words.
pub fn read<S: Storage>(
    storage: &S,
    name: Name,
    id: &JournalId,
    params: &ChainParams,
    whole: bool,
) -> Result<Snapshot, String> {
    let file = storage.open(&name.file(), Access::Read).map_err(|error| format!("it cannot be opened: {error}"))?;
    let length = file.length().map_err(|error| format!("it has no length: {error}"))?;
    let read = |offset: u64, length: u64| -> Result<Buffer, String> {
        let mut buffer = Buffer::new();
        buffer.resize(length as usize);
        match read_full(&file, offset, buffer.as_bytes_mut()) {
            Ok(read) if read as u64 == length => Ok(buffer),
            Ok(read) => Err(format!("it ends at byte {}", offset + read as u64)),
            Err(error) => Err(format!("it cannot be read at byte {offset}: {error}")),
        }
    };
    let sector = read(0, SECTOR as u64)?;
    let bytes = sector.as_bytes();
    let fixed: &[u8; FIXED_LEN] = bytes[..FIXED_LEN].try_into().expect("its length");
    let word = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("4 bytes"));
    let long = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("8 bytes"));
    if &fixed[0..8] != MAGIC {
        return Err("it does not begin as snapshots do".to_string());
    }
    if word(8) != VERSION {
        return Err(format!("it has format version {}; this program reads version {VERSION}", word(8)));
    }
    let written = long(216);
    let chunks = written.div_ceil(CHUNK as u64);
    let table_len = (8 * chunks).next_multiple_of(SECTOR as u64);
    let expected = (written % SECTOR as u64 == 0).then(|| written.checked_add(table_len + SECTOR as u64)).flatten();
    if expected != Some(length) {
        return Err(format!("it has {length} bytes; a body of {written} bytes needs another length"));
    }
    let table = read(SECTOR as u64 + written, table_len)?;
    if root(fixed, table.as_bytes()) != bytes[FIXED_LEN..256] || bytes[256..].iter().any(|&byte| byte != 0) {
        return Err("its head or its table is damaged: they do not have the root that it states".to_string());
    }
    if fixed[16..32] != id.0 {
        return Err("it belongs to another ledger".to_string());
    }
    let body = read(SECTOR as u64, if whole { written } else { 0 })?;
    let checks = table.as_bytes().chunks_exact(8);
    for (chunk, (bytes, stated)) in body.as_bytes().chunks(CHUNK).zip(checks).enumerate() {
        if frame::check(bytes).to_le_bytes() != stated {
            return Err(format!("the MiB at byte {} is damaged", SECTOR + chunk * CHUNK));
        }
    }
    let tip = Tip::decode(*params, fixed[64..120].try_into().expect("its length"));
    let tip = tip.filter(|tip| tip.height() == long(32)).ok_or("its end of the chain is none")?;
    if long(40) != name.next {
        return Err(format!("it is the snapshot before command {}", long(40)));
    }
    let stats = MarketStats {
        last: word(152) as i32,
        high: word(156) as i32,
        low: word(160) as i32,
        open_orders: word(164),
        trades: long(168),
        volume_wh: long(176),
    };
    let head = Head {
        id: *id,
        next: long(40),
        time: long(48),
        frame: long(56),
        tip,
        state_root: fixed[120..152].try_into().expect("32 bytes"),
    };
    let [accounts, bids, asks] = [184, 188, 192].map(|at| word(at) as usize);
    let clients = usize::try_from(long(200)).ok().filter(|&clients| clients as u64 <= written / 16);
    let clients = clients.ok_or("it has more clients than bytes")?;
    let snapshot = Snapshot { head, stats, accounts, orders: [bids, asks], clients, groups: long(208), body };
    let groups_at = snapshot.clients_at() + 16 * clients;
    if groups_at as u64 > written {
        return Err(format!("its parts need {groups_at} bytes, and its body has {written}"));
    }
    Ok(snapshot)
}

impl Snapshot {
    fn orders_at(&self) -> usize {
        AccountRecord::ENCODED_LEN * self.accounts
    }

    fn clients_at(&self) -> usize {
        self.orders_at() + ORDER_LEN * (self.orders[0] + self.orders[1])
    }

    /// Its accounts in the order of their numbers. Bytes that are none end them: whoever counts sees that.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = AccountRecord> {
        let bytes = &self.body.as_bytes()[..self.orders_at()];
        bytes.chunks_exact(AccountRecord::ENCODED_LEN).map(|bytes| {
            let bytes: &[u8; AccountRecord::ENCODED_LEN] = bytes.try_into().expect("its length");
            // The checks hold, so these are bytes that were written as a record; one that is none has a number that none has.
            AccountRecord::decode(bytes).unwrap_or(AccountRecord {
                account: AccountId(u32::MAX),
                address: [0; 32],
                balances: Default::default(),
            })
        })
    }

    /// Its orders: bids, then asks, each best first and oldest first.
    pub fn orders(&self) -> impl ExactSizeIterator<Item = (Side, OrderView)> {
        let bytes = &self.body.as_bytes()[self.orders_at()..self.clients_at()];
        let bids = self.orders[0];
        bytes.chunks_exact(ORDER_LEN).enumerate().map(move |(at, bytes)| {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
            let order = OrderView {
                order: OrderId(u64::from_le_bytes(bytes[0..8].try_into().expect("8 bytes"))),
                account: AccountId(word(8)),
                price: word(12) as i32,
                wh: word(16),
            };
            (if at < bids { Side::Buy } else { Side::Sell }, order)
        })
    }

    /// Its sessions.
    ///
    /// # Errors
    /// What does not fit together, in words.
    pub fn sessions(&self, memory: Memory) -> Result<Sessions, String> {
        let from = self.clients_at();
        let (clients, mut rest) = self.body.as_bytes()[from..].split_at(16 * self.clients);
        let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        let clients = clients.chunks_exact(16).map(|client| (long(&client[..8]), long(&client[8..])));
        let mut groups = Vec::new();
        for _ in 0..self.groups {
            groups.push(take_group(&mut rest).ok_or("its answers are cut off, or are none")?);
        }
        if rest.len() >= SECTOR || rest.iter().any(|&byte| byte != 0) {
            return Err(format!("{} bytes follow its answers", rest.len()));
        }
        Sessions::restore(memory, clients, groups.into_iter())
    }
}

fn take_group(bytes: &mut &[u8]) -> Option<Group> {
    let head = bytes.split_off(..24)?;
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
    let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    let [parts, commands, events] = [8, 12, 16].map(|at| word(&head[at..at + 4]) as usize);
    let part = |part: &[u8]| Part { session: word(&part[..4]), count: word(&part[4..8]), number: long(&part[8..]) };
    let parts = bytes.split_off(..16 * parts)?.chunks_exact(16).map(part).collect();
    let ends: Vec<u32> = bytes.split_off(..4 * commands)?.chunks_exact(4).map(word).collect();
    bytes.split_off(..4 * (commands % 2))?;
    let event = |event: &[u8]| Event::decode(event.try_into().expect("its length")).ok();
    let encoded = bytes.split_off(..Event::ENCODED_LEN * events)?.chunks_exact(Event::ENCODED_LEN);
    let events: Vec<Event> = encoded.map(event).collect::<Option<_>>()?;
    let ascends = ends.is_sorted() && ends.last().map_or(0, |&end| end as usize) == events.len();
    ascends.then_some(Group { first: long(&head[..8]), parts, log: EventLog { events, ends } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Batch, NewOrder};
    use crate::engine::state_digest;
    use crate::journal::sim::SimStorage;
    use crate::optimized::Optimized;
    use crate::types::{Rules, TimeInForce};
    use crate::{command::Command, node::durable::sessions::Claim};
    use std::sync::Arc;

    const ID: JournalId = JournalId(*b"0123456789abcdef");
    const NAMED: Name = Name { next: 7, again: true };

    /// A ledger of two accounts and a few orders, in which two clients sent one request each; its snapshot.
    fn written() -> (SimStorage, Optimized, ChainParams, Head) {
        let rules = Rules::default();
        let mut engine = Optimized::new(rules);
        let account = AccountId(1);
        let order = |side, limit| {
            let (limit, time_in_force) = (Some(limit), TimeInForce::Gtc);
            Command::Place(NewOrder { account, side, limit, wh: 7, time_in_force, post_only: false })
        };
        let commands = [
            Command::OpenAccount { address: [7; 32] },
            Command::Mint { account, amount: 1 << 40 },
            Command::MeterCredit { account, amount: 100 },
            order(Side::Buy, -3),
            order(Side::Buy, 9),
            order(Side::Sell, 10),
        ];
        let (mut sessions, mut log) = (Sessions::new(Memory::default()), EventLog::default());
        engine.apply(Batch { first: 1, time: 5, commands: &commands }, &mut log);
        let mut group = Group { first: 1, ..Group::default() };
        for sequence in 1..=6 {
            let claim = sessions.claim(sequence % 2, sequence.div_ceil(2), sequence, &mut group);
            assert_eq!(claim, Claim::New);
        }
        group.log = log;
        sessions.keep(Arc::new(group));
        let params = ChainParams::fixed(rules, 0x207f_ffff);
        let head = Head { id: ID, next: 7, time: 5, frame: 3, tip: Tip::genesis(params), state_root: [9; 32] };
        let disk = SimStorage::new(1, SECTOR);
        assert_eq!(write(&disk, NAMED.again, &head, &engine, &sessions, 0).unwrap(), Kept { name: NAMED, frame: 3 });
        (disk, engine, params, head)
    }

    #[test]
    fn what_is_written_is_read() {
        let (disk, engine, params, head) = written();
        let snapshot = read(&disk, NAMED, &ID, &params, true).unwrap();
        assert_eq!((&snapshot.head, snapshot.stats), (&head, engine.stats()));
        let restored =
            Optimized::restore(params.rules, snapshot.stats, snapshot.accounts(), snapshot.orders()).unwrap();
        assert_eq!(state_digest(&restored), state_digest(&engine));
        let sessions = snapshot.sessions(Memory::default()).unwrap();
        assert_eq!(sessions.clients().collect::<Vec<_>>(), [(1, 4), (0, 4)]);
        assert!(sessions.answer(6).is_some_and(|events| matches!(events, [Event::Rested { price: 10, .. }])));
        assert_eq!(read(&disk, NAMED, &ID, &params, false).unwrap().head, head);
        let other = read(&disk, NAMED, &JournalId([0; 16]), &params, true);
        assert_eq!(other.err().unwrap(), "it belongs to another ledger");
    }

    #[test]
    fn every_bit_counts() {
        let (disk, _, params, _) = written();
        let name = NAMED.file();
        let bits = 8 * disk.bytes(&name).len() as u64;
        assert_eq!(bits, 8 * 3 * SECTOR as u64, "a head, a body and a table");
        for bit in 0..bits {
            disk.flip_bit(&name, bit);
            assert!(read(&disk, NAMED, &ID, &params, true).is_err(), "bit {bit}");
            disk.flip_bit(&name, bit);
        }
    }
}
