//! Tests of the tests: bugs that were thought up for this purpose, planted one at a time in a copy of the source. Each must
//! make the tests fail that are named beside it.
//!
//! `cargo test --test planted_bugs` checks that every bug still has its place in the source. Planting them takes minutes:
//! `cargo test --test planted_bugs -- --ignored --nocapture`; with `JOULEBOOK_BUGS=ledger`, those alone whose names have that.

#![cfg(unix)]

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

struct Bug {
    what: &'static str,
    file: &'static str,
    /// Stands in the file once, before its tests.
    right: &'static str,
    wrong: &'static str,
    /// What `cargo test` runs against it.
    caught_by: &'static [&'static str],
}

const DIFFERENTIAL: &[&str] = &["--test", "differential"];
const BOOK: &[&str] = &["--test", "book"];
const CHAIN: &[&str] = &["--test", "chain"];
/// One life of a journal, broken in every place: seconds.
const JOURNAL: &[&str] = &["--test", "journal", "exhaustive"];
/// A hundred thousand lives, for what shows in few of them.
const SCHEDULES: &[&str] = &["--test", "journal", "fixed_seeds"];
/// The same of a whole ledger.
const DURABLE: &[&str] = &["--test", "durable", "exhaustive"];
const LIVES: &[&str] = &["--test", "durable", "fixed_seeds"];
/// And with threads.
const THREADS: &[&str] = &["--test", "durable", "threads"];
const UNIT: &[&str] = &["--lib"];
/// The model alone, not the tests of the ring on real threads: a race may not show on these.
const MODEL: &[&str] = &["--lib", "ring::model"];

const BUGS: &[Bug] = &[
    Bug {
        what: "ledger: a request is answered before it is durable",
        file: "src/node/durable/mod.rs",
        right: "let acknowledged = self.acknowledged();\n        let sessions",
        wrong: "let acknowledged = self.next() - 1;\n        let sessions",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a snapshot has its name before it is durable",
        file: "src/node/durable/snapshot.rs",
        right: "file.sync().map_err(failed(\"syncing\"))?;",
        wrong: "",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a snapshot's checks are not looked at",
        file: "src/node/durable/snapshot.rs",
        right: "frame::check(bytes).to_le_bytes() != stated",
        wrong: "false",
        caught_by: UNIT,
    },
    Bug {
        what: "ledger: a snapshot's accounts are not compared with the seal",
        file: "src/node/durable/recover.rs",
        right: "height > 0 && station.state_root() != head.state_root",
        wrong: "false",
        caught_by: DURABLE,
    },
    Bug {
        what: "ledger: the journal that the older snapshot needs is given up",
        file: "src/node/durable/snapshots.rs",
        right: "handle.keep(&kept[KEPT - 1])",
        wrong: "handle.keep(&kept[0])",
        caught_by: DURABLE,
    },
    Bug {
        what: "ledger: a snapshot remembers requests that were not carried out",
        file: "src/node/durable/snapshots.rs",
        right: "sessions.unclaim(core.next(), behind);",
        wrong: "",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a snapshot forgets where the answers are",
        file: "src/node/durable/sessions.rs",
        right: "known.push(Run { number, first, count });",
        wrong: "",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a request that is sent again is carried out again",
        file: "src/node/durable/sessions.rs",
        right: "if number != session.next {\n            return session.find(number);",
        wrong: "if number > session.next {\n            return session.find(number);",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a group is let in without room for it",
        file: "src/node/durable/writer.rs",
        right: "if journal.room() >= bytes || journal.segments_ahead() > 0 {",
        wrong: "if true {",
        caught_by: DURABLE,
    },
    Bug {
        what: "ledger: the clock runs back after a restart",
        file: "src/node/durable/mod.rs",
        right: "self.clock.read(first).max(core.time)",
        wrong: "self.clock.read(first)",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: seals found in a recovery are not written down",
        file: "src/node/durable/outlet.rs",
        right: "Pending::Until(seals) => seals.push(seal),",
        wrong: "Pending::Until(_) => {}",
        caught_by: LIVES,
    },
    Bug {
        what: "ledger: a snapshot forgets the block that it waits for",
        file: "src/node/durable/snapshots.rs",
        right: "self.due = None;",
        wrong: "self.due = None;\n        board.say(|progress| progress.wanted = None);",
        caught_by: THREADS,
    },
    Bug {
        what: "ledger: what it is is not durable before it has a name",
        file: "src/node/durable/directory.rs",
        right: "file.sync().map_err(failed(\"syncing\"))?;",
        wrong: "",
        caught_by: DURABLE,
    },
    Bug {
        what: "ledger: the second copy of what it is is not read",
        file: "src/node/durable/directory.rs",
        right: "copies().find_map(Result::ok)",
        wrong: "copies().next().and_then(Result::ok)",
        caught_by: DURABLE,
    },
    Bug {
        what: "ledger: a seal is not compared with what is derived",
        file: "src/node/station.rs",
        right: "(header, *record) != recorded ||",
        wrong: "",
        caught_by: UNIT,
    },
    Bug {
        what: "ledger: a snapshot begins behind commands that it has not",
        file: "src/node/durable/mod.rs",
        right: "snapshots.take_if_wanted(core, behind, written + 1, handle, &self.board)",
        wrong: "snapshots.take_if_wanted(core, behind, written + 2, handle, &self.board)",
        caught_by: LIVES,
    },
    Bug {
        what: "journal: what fills a file is not looked at where it does not belong",
        file: "src/journal/scan.rs",
        right: "filled.filter(|&place| place != (self.segment.file, u64::from(at)))",
        wrong: "filled.filter(|_| false)",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a segment's name is not made durable",
        file: "src/journal/append.rs",
        right: "storage.sync_names().map_err(JournalError::io(\"syncing\", \"the journal's folder\"))?;\n    Ok(file)",
        wrong: "Ok(file)",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a header's check is not looked at",
        file: "src/journal/frame.rs",
        right: "header.encode() == *bytes",
        wrong: "header.encode()[..80] == bytes[..80]",
        caught_by: UNIT,
    },
    Bug {
        what: "journal: the second copy of a short frame is not written",
        file: "src/journal/frame.rs",
        right: "all.copy_within(..SECTOR, SECTOR);",
        wrong: "all.copy_within(..0, SECTOR);",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: it is pruned after an error",
        file: "src/journal/append.rs",
        right: "self.check_going()?;\n        let pruned",
        wrong: "let pruned",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a damaged frame is taken for the tail",
        file: "src/journal/scan.rs",
        right: "if place.synced >= next {",
        wrong: "if place.synced == u64::MAX {",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a payload's check is not looked at",
        file: "src/journal/scan.rs",
        right: "check(payload) == header.payload_check",
        wrong: "check(payload) != !header.payload_check",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a long group is acknowledged without a later frame",
        file: "src/journal/append.rs",
        right: "self.long.take().map_or(last, |long| long - 1)",
        wrong: "self.long.take().map_or(last, |_| last)",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a sync that failed is ignored",
        file: "src/journal/append.rs",
        right: "self.file.sync().map_err(JournalError::io(\"syncing\", &self.segment.name()))?;\n        self.synced_at",
        wrong: "let _ = self.file.sync();\n        self.synced_at",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a write that stops short is taken for whole",
        file: "src/journal/storage.rs",
        right: "let whole = if written == bytes.len() { written }",
        wrong: "let whole = if written > 0 { bytes.len() }",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a segment has its name before its header is durable",
        file: "src/journal/append.rs",
        right: "    file.sync().map_err(JournalError::io(\"syncing\", &spare))?;\n    storage.rename",
        wrong: "    storage.rename",
        caught_by: JOURNAL,
    },
    Bug {
        what: "journal: a frame does not have to follow the one before it",
        file: "src/journal/scan.rs",
        right: "(place.number, place.sector, place.previous) == (number, sector, previous)",
        wrong: "(place.number, place.sector, place.previous) == (number, sector, place.previous)",
        caught_by: SCHEDULES,
    },
    Bug {
        what: "journal: what was read after a failed sync is taken for durable",
        file: "src/journal/append.rs",
        right: "write_again(&storage, &segment, from, to, options.access())?;",
        wrong: "let _ = (from, to, &segment);",
        caught_by: SCHEDULES,
    },
    Bug {
        what: "book: the newest order of a price trades first",
        file: "src/optimized/book/arena.rs",
        right: "pub fn first(&self, level: u32) -> u32 {\n        self.slots[level as usize].next",
        wrong: "pub fn first(&self, level: u32) -> u32 {\n        self.slots[level as usize].prev",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "book: an order that leaves the middle of a queue takes those behind it along",
        file: "src/optimized/book/arena.rs",
        right: ".next = next;",
        wrong: ".next = owner;",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "book: a cancel keeps the energy of its level",
        file: "src/optimized/book/arena.rs",
        right: "level.x -= u64::from(order.wh);",
        wrong: "level.x -= u64::from(order.wh) & !1;",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "book: a level that is gone loses the free slots below it",
        file: "src/optimized/book/arena.rs",
        right: "level.next = handle;",
        wrong: "level.next = END;",
        caught_by: BOOK,
    },
    Bug {
        what: "book: a replacement by the same quantity loses its priority",
        file: "src/optimized/book/mod.rs",
        right: "if price == old.price && wh <= old.wh {",
        wrong: "if price == old.price && wh < old.wh {",
        caught_by: BOOK,
    },
    Bug {
        what: "book: a replacement that its sink stops rests across the book",
        file: "src/optimized/book/mod.rs",
        right: "(left > 0 && !stopped).then",
        wrong: "(left > 0).then",
        caught_by: BOOK,
    },
    Bug {
        what: "book: an order that loses energy does not count as a change",
        file: "src/optimized/book/mod.rs",
        right: "self.touch(side_of(place), place / 2);",
        wrong: "let _ = place;",
        caught_by: BOOK,
    },
    Bug {
        what: "book: a band wider than an i32 folds over",
        file: "src/optimized/book/mod.rs",
        right: "from_min / self.band.tick as u32",
        wrong: "(from_min as i32 / self.band.tick) as u32",
        caught_by: BOOK,
    },
    Bug {
        what: "ladder: a walk does not go on to distant blocks",
        file: "src/optimized/book/ladder.rs",
        right: "above(self.top, ",
        wrong: "above(self.top & 0, ",
        caught_by: BOOK,
    },
    Bug {
        what: "ladder: a leaf that is emptied keeps its bit",
        file: "src/optimized/book/ladder.rs",
        right: "!(leaf_empty << ",
        wrong: "!((leaf_empty & 0) << ",
        caught_by: UNIT,
    },
    Bug {
        what: "ladder: the hand takes a leaf and leaves the way to it",
        file: "src/optimized/book/ladder.rs",
        right: ")] = EMPTY;",
        wrong: ")] *= 1;",
        caught_by: UNIT,
    },
    Bug {
        what: "matching: a replacement by the same quantity loses its priority",
        file: "src/optimized/market.rs",
        right: "price == old.price && wh <= old.wh",
        wrong: "price == old.price && wh < old.wh",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "matching: the last Wh of a taker vanishes",
        file: "src/optimized/market.rs",
        right: "if left == 0 {\n            return;",
        wrong: "if left == 0 || (limit.is_some() && left == 1) {\n            return;",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "limits: one order too many rests",
        file: "src/optimized/market.rs",
        right: "self.book.len() >= self.rules.limits.orders as usize",
        wrong: "self.book.len() > self.rules.limits.orders as usize",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "settlement: the grid fee is rounded up",
        file: "src/optimized/settle.rs",
        right: "cost * u64::from(self.fee_ppm) / u64::from(PPM)",
        wrong: "(cost * u64::from(self.fee_ppm)).div_ceil(u64::from(PPM))",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "settlement: the fee on a large cost loses its remainder",
        file: "src/optimized/settle.rs",
        right: "(u128::from(cost) * u128::from(self.fee_ppm) / u128::from(PPM)) as u64",
        wrong: "(u128::from(cost) / u128::from(PPM) * u128::from(self.fee_ppm)) as u64",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "settlement: the buyer's price improvement is kept",
        file: "src/optimized/columns.rs",
        right: "+ buyer_release.watt + seller_pays - buyer_pays - fee",
        wrong: "+ buyer_release.watt.min(buyer_pays + fee) + seller_pays - buyer_pays - fee",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "refusals: post-only is looked at after self-trade",
        file: "src/optimized/market.rs",
        right: "if order.post_only {",
        wrong: "if order.post_only && self.book.front(order.side.opposite()).is_some_and(|f| f.tag.1 != order.account.0) {",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "reads: a removed level stays in the kept depth",
        file: "src/optimized/market_data.rs",
        right: "if book.take_touched(side, worst) {",
        wrong: "if book.take_touched(side, worst.or(Some(0))) {",
        caught_by: DIFFERENTIAL,
    },
    Bug {
        what: "seal: any winning nonce is taken, not the lowest",
        file: "src/seal.rs",
        right: "best.fetch_min(nonce, Ordering::Relaxed)",
        wrong: "best.store(nonce, Ordering::Relaxed)",
        caught_by: UNIT,
    },
    Bug {
        what: "seal: the last nonce of a range is not tried",
        file: "src/seal.rs",
        right: "(start + chunk - 1).min(last)",
        wrong: "(start + chunk - 1).min(last.saturating_sub(1))",
        caught_by: UNIT,
    },
    Bug {
        what: "seal: the extra nonce is never raised",
        file: "src/seal.rs",
        right: "record.extra_nonce += 1;",
        wrong: "record.extra_nonce += 0;",
        caught_by: UNIT,
    },
    Bug {
        what: "search: a candidate that fails hides the others of its batch",
        file: "src/hash/search.rs",
        right: "left &= left - 1;",
        wrong: "left = 0;",
        caught_by: UNIT,
    },
    Bug {
        what: "search: a lane behind the range wins",
        file: "src/hash/search.rs",
        right: "if nonce >= end {",
        wrong: "if false {",
        caught_by: UNIT,
    },
    Bug {
        what: "search: a word of the schedule lacks its known part",
        file: "src/hash/scan.rs",
        right: "w32: sigma0(w17).wrapping_add(w16)",
        wrong: "w32: sigma0(w17)",
        caught_by: UNIT,
    },
    Bug {
        what: "hashing: lanes of a partial batch are filled from the wrong end",
        file: "src/hash/platform.rs",
        right: "out.copy_from_slice(&digests[..count]);",
        wrong: "out.copy_from_slice(&digests[lanes - count..lanes]);",
        caught_by: UNIT,
    },
    Bug {
        what: "leaves: the last messages of a length are never hashed",
        file: "src/block/leaves.rs",
        right: "two.flush(platform, out);",
        wrong: "let _ = &mut two;",
        caught_by: UNIT,
    },
    Bug {
        what: "target: a hash equal to the target misses it",
        file: "src/block/target.rs",
        right: ".rev().le(",
        wrong: ".rev().lt(",
        caught_by: UNIT,
    },
    Bug {
        what: "proof: the last leaf of three also passes as the fourth",
        file: "src/block/merkle.rs",
        right: "if (*sibling == node) != odd_last",
        wrong: "if false",
        caught_by: UNIT,
    },
    Bug {
        what: "proof: the headers are not checked",
        file: "src/block/proof.rs",
        right: "chain.check()?;",
        wrong: "",
        caught_by: UNIT,
    },
    Bug {
        what: "chain file: a cut at a block's end is not seen",
        file: "src/block/chain_file.rs",
        right: "if said != block",
        wrong: "if false",
        caught_by: UNIT,
    },
    Bug {
        what: "chain file: a damaged block is not seen",
        file: "src/block/chain_file.rs",
        right: "if check(payload) != given",
        wrong: "if false",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: an unmined block passes",
        file: "src/block/tip.rs",
        right: "if !Target::from_bits(bits).is_ok_and(|target| target.is_met_by(&hash))",
        wrong: "if false",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: blocks need not be linked",
        file: "src/block/tip.rs",
        right: "header.previous != self.hash",
        wrong: "false",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: any target passes",
        file: "src/block/tip.rs",
        right: "if header.bits != bits {",
        wrong: "if false {",
        caught_by: UNIT,
    },
    Bug {
        what: "difficulty: a window is one interval short, as Bitcoin's",
        file: "src/block/tip.rs",
        right: "if self.height == window { window - 1 } else { window }",
        wrong: "window - 1",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: a sequence of an earlier block passes",
        file: "src/block/check.rs",
        right: "sequence <= before.sequence",
        wrong: "(transaction > 0 && sequence <= before.sequence)",
        caught_by: UNIT,
    },
    Bug {
        what: "order ids: one that stays is forgotten when the window grows",
        file: "src/optimized/order_ids.rs",
        right: "            stays\n        });",
        wrong: "            false\n        });",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: a transaction written down twice passes",
        file: "src/block/check.rs",
        right: "found != u64::from(seal.transactions)",
        wrong: "false",
        caught_by: UNIT,
    },
    Bug {
        what: "verify: state roots are not compared",
        file: "src/node/verify.rs",
        right: "if replayed != stored {\n            return Err(VerifyError::StateRoot",
        wrong: "if false {\n            return Err(VerifyError::StateRoot",
        caught_by: CHAIN,
    },
    Bug {
        what: "node: refused commands get into blocks",
        file: "src/block/body.rs",
        right: "is_accepted(events).then",
        wrong: "true.then",
        caught_by: UNIT,
    },
    Bug {
        what: "ring: a batch is published before its records are written",
        file: "src/ring/spsc.rs",
        right: "self.shared.producer.count.store(self.next, Ordering::Release)",
        wrong: "self.shared.producer.count.store(self.next, Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: a full ring publishes records before they are written",
        file: "src/ring/spsc.rs",
        right: "self.producer.count.store(next, Ordering::Release)",
        wrong: "self.producer.count.store(next, Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: the consumer reads records before it sees them published",
        file: "src/ring/spsc.rs",
        right: "if self.next == self.published {\n            self.published = self.shared.producer.count.load(Ordering::Acquire)",
        wrong: "if self.next == self.published {\n            self.published = self.shared.producer.count.load(Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: the consumer gives places back before it has read them",
        file: "src/ring/spsc.rs",
        right: "self.shared.consumer.count.store(self.next, Ordering::Release)",
        wrong: "self.shared.consumer.count.store(self.next, Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: the producer writes to places before it sees them given back",
        file: "src/ring/spsc.rs",
        right: "self.consumer.count.load(Ordering::Acquire)",
        wrong: "self.consumer.count.load(Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: places are given back and then read",
        file: "src/ring/spsc.rs",
        right: "let at = self.next & self.mask;",
        wrong: "self.shared.consumer.count.store(self.next.wrapping_add(count), Ordering::Release);\n        let at = self.next & self.mask;",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: one record too many fits at the beginning",
        file: "src/ring/spsc.rs",
        right: "limit: start.wrapping_add(capacity)",
        wrong: "limit: start.wrapping_add(capacity + 1)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: one record too many fits later on",
        file: "src/ring/spsc.rs",
        right: ".wrapping_add(mask + 1)",
        wrong: ".wrapping_add(mask + 2)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: the end is seen before the last batch",
        file: "src/ring/spsc.rs",
        right: "self.shared.producer.gone.store(1, Ordering::Release)",
        wrong: "self.shared.producer.gone.store(1, Ordering::Relaxed)",
        caught_by: MODEL,
    },
    Bug {
        what: "ring: the last batch is not looked for",
        file: "src/ring/spsc.rs",
        right: "return self.next == self.published;",
        wrong: "return true;",
        caught_by: MODEL,
    },
];

/// Tests that take longer have failed: without a bug, each takes seconds.
const DEADLINE: Duration = Duration::from_secs(60);

/// The file's text before its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_bug_has_its_place_in_the_source() {
    for Bug { what, file, right, .. } in BUGS {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(code(&text).matches(right).count(), 1, "{what}: where is {right:?} in {file}?");
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Whether the tests pass. A bug that does not compile is no bug.
fn passes(package: &Path, tests: &[&str]) -> bool {
    let command = |more: &[&str]| {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        command.current_dir(package).env("CARGO_TARGET_DIR", package.join("target"));
        command.arg("test").args(tests).args(more);
        command
    };
    let built = command(&["--no-run"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // A bug may also show as tests that never end. They run in a process group of their own, so that all of it can be ended.
    let mut running = command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let since = Instant::now();
    loop {
        if let Some(status) = running.try_wait().unwrap() {
            return status.success();
        }
        if since.elapsed() > DEADLINE {
            kill_process_group(Pid::from_child(&running), Signal::KILL).unwrap();
            running.wait().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "builds the package once for each bug: minutes"]
fn every_planted_bug_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let package: PathBuf = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "src", "tests", "benches"] {
        copy(&root().join(part), &package.join(part));
    }
    // `JOULEBOOK_BUGS=ledger` plants those alone whose names have this text.
    let named = env::var("JOULEBOOK_BUGS").unwrap_or_default();
    let bugs: Vec<&Bug> = BUGS.iter().filter(|bug| bug.what.contains(&named)).collect();
    assert!(!bugs.is_empty(), "no bug is named {named:?}");
    for tests in [DIFFERENTIAL, BOOK, CHAIN, JOURNAL, SCHEDULES, DURABLE, LIVES, THREADS, UNIT, MODEL] {
        if bugs.iter().any(|bug| bug.caught_by == tests) {
            assert!(passes(&package, tests), "{tests:?} pass without a bug");
        }
    }
    let mut missed: Vec<&str> = Vec::new();
    for Bug { what, file, right, wrong, caught_by } in &bugs {
        let path = package.join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(right, wrong, 1)).unwrap();
        let caught = !passes(&package, caught_by);
        fs::write(&path, text).unwrap();
        println!("{}: {what}", if caught { "caught" } else { "MISSED" });
        missed.extend((!caught).then_some(*what));
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}
