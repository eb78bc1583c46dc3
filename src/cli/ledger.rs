//! A ledger's folder without a node: `verify`, `recover`, `inspect`.

use super::Failure;
use super::output::{print, print_error};
use super::working::{self, Working, blocks, commands, damage_in_words, failure, found_in_words, plural};
use super::{EXIT_REFUSED, EXIT_USAGE};
use clap::Args;
use joulebook::block::{ChainParams, Target};
use joulebook::engine::{audit, state_digest};
use joulebook::hash::{to_hex, to_hex_reversed};
use joulebook::journal::disk::{Disk, DiskLock};
use joulebook::journal::{JournalError, Kind, Recovered, Segment};
use joulebook::node::durable::{self, Checked, Inspected, Memory, SegmentFile, SnapshotFile, SnapshotHead};
use joulebook::optimized::Optimized;
use joulebook::report::{count, price};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What `joulebook recover --help` says at its end; lines short enough for any terminal.
pub const RECOVER_AFTER_HELP: &str = "\
A node recovers by itself when it is started. This does only that: it reads the
newest snapshot that is good, carries out what the journal holds behind it,
compares every block that was sealed, cuts what was not finished, seals what is
in no block yet, and writes a snapshot.

Examples:
  joulebook recover --data ledger --dry-run
      what that would do; nothing is changed
  joulebook recover --data ledger
      the next node has nothing to do again

Exit codes: 0 well, 1 something is damaged so that the ledger cannot be opened,
2 bad usage, or a file cannot be read or written.";

/// What `joulebook inspect --help` says at its end; lines short enough for any terminal.
pub const INSPECT_AFTER_HELP: &str = "\
Nothing is changed, and nothing is carried out: `joulebook verify DIR` does
that. Every byte of the snapshots and of the journal is read and checked.

Exit codes: 0 all files are as they were written, 1 something is damaged or
missing, 2 it cannot be read.";

/// Options of `recover`.
#[derive(Args)]
pub struct Recover {
    /// The ledger's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    working: Working,
}

/// Options of `inspect`.
#[derive(Args)]
pub struct Inspect {
    /// The ledger's folder
    folder: PathBuf,
}

/// Everything that can be known of a folder without changing it.
struct Looked {
    files: Inspected,
    checked: Checked<Optimized>,
    _lock: Option<DiskLock>,
}

fn look(folder: &Path) -> Result<Looked, Failure> {
    let (disk, lock) = working::open_to_read(folder)?;
    let files = durable::inspect(&disk).map_err(|error| failure(folder, &error))?;
    let checked = check(&disk).map_err(|error| failure(folder, &error))?;
    Ok(Looked { files, checked, _lock: lock })
}

fn check(disk: &Disk) -> Result<Checked<Optimized>, durable::DurableError> {
    working::with_progress(|progress| durable::check(disk, None, Memory::default(), progress))
}

/// Verifies a ledger's folder and says what was verified.
pub fn verify(folder: &Path) -> Result<u8, Failure> {
    let Looked { files, checked, _lock } = look(folder)?;
    audit(&checked.engine).map_err(|wrong| Failure::refused(format!("{}: {wrong}", folder.display())))?;
    let wrong = files.wrong();
    let mut text =
        format!("{}: {}\n", folder.display(), if wrong.is_empty() { "valid" } else { "USABLE, BUT DAMAGED" });
    text += &format!("  {}\n", found_in_words(&checked.found));
    text += "  balances add up, escrow is what orders hold, the book is sorted and not crossed\n";
    text += &state_in_words(&checked);
    text += &journal_in_words(&files);
    files.snapshots.iter().for_each(|snapshot| text += &snapshot_in_words(snapshot));
    text += &format!(
        "  last header  {}\n  state        {}\n",
        if checked.tip.height() == 0 { "no block yet".to_string() } else { to_hex_reversed(&checked.tip.hash()) },
        to_hex(&state_digest(&checked.engine))
    );
    print(&text)?;
    refuse(folder, &wrong)
}

/// An error for what is wrong, if something is.
fn refuse(folder: &Path, wrong: &[(String, u8)]) -> Result<u8, Failure> {
    let Some(code) = wrong.iter().map(|&(_, code)| code).max() else { return Ok(0) };
    let said: Vec<&str> = wrong.iter().map(|(what, _)| what.as_str()).collect();
    Err(Failure { message: format!("{}: {}", folder.display(), said.join("\n  and ")), code })
}

/// What is wrong with a ledger's files, each with an exit code.
trait Wrong {
    fn wrong(&self) -> Vec<(String, u8)>;
}

impl Wrong for Inspected {
    fn wrong(&self) -> Vec<(String, u8)> {
        let mut wrong: Vec<(String, u8)> = Vec::new();
        for SnapshotFile { name, state, .. } in &self.snapshots {
            if let Err(why) = state {
                wrong.push((format!("{name}: {why}"), EXIT_REFUSED));
            }
        }
        match &self.journal {
            Ok(read) if read.damaged_copies > 0 => {
                let frames = plural(read.damaged_copies, "frame");
                wrong.push((format!("one of two copies of {frames} of the journal is damaged"), EXIT_REFUSED));
            }
            Ok(_) => {}
            Err(error) => {
                let code = if matches!(error, JournalError::Io { .. }) { EXIT_USAGE } else { EXIT_REFUSED };
                wrong.push((error.to_string(), code));
            }
        }
        wrong
    }
}

fn state_in_words(checked: &Checked<Optimized>) -> String {
    let Checked { engine, tip, next, unsealed, clients, kept_answers, .. } = checked;
    let stats = joulebook::engine::Engine::stats(engine);
    format!(
        "  {} in the chain, {} in no block yet; next command {}\n  {}, {} in the book, {} so far; {}, answers to {} kept\n",
        blocks(tip.height()),
        plural(u64::from(*unsealed), "transaction"),
        count(*next),
        plural(joulebook::engine::Engine::accounts(engine).into(), "account"),
        plural(stats.open_orders.into(), "order"),
        plural(stats.trades, "trade"),
        plural(*clients as u64, "client"),
        commands(*kept_answers),
    )
}

fn journal_in_words(files: &Inspected) -> String {
    match &files.journal {
        Ok(read) => {
            let Recovered { frames, segments, torn, .. } = read;
            let (frames, segments) = (plural(*frames, "frame"), plural(*segments, "segment"));
            let torn = if *torn { ", and an unfinished one at the end, which was never acknowledged" } else { "" };
            format!("  journal      {frames} in {segments}, each with its checks{torn}\n")
        }
        Err(error) => format!("  journal      DAMAGED: {error}\n"),
    }
}

fn snapshot_in_words(snapshot: &SnapshotFile) -> String {
    let SnapshotFile { name, bytes, state } = snapshot;
    match state {
        Ok(SnapshotHead { blocks: height, next, frame, accounts, orders, clients, .. }) => format!(
            "  {name}  good: after {}, next command {}, journal from frame {}; {}, {}, {}; {} bytes\n",
            blocks(*height),
            count(*next),
            count(*frame),
            plural(*accounts, "account"),
            plural(*orders, "order"),
            plural(*clients, "client"),
            count(*bytes),
        ),
        Err(why) => format!("  {name}  DAMAGED: {why}\n"),
    }
}

impl Recover {
    /// Recovers, or says what that would do.
    pub fn execute(&self) -> Result<u8, Failure> {
        if self.dry_run { self.say() } else { self.recover() }
    }

    fn say(&self) -> Result<u8, Failure> {
        let folder = &self.data;
        let Looked { files, checked, _lock } = look(folder)?;
        let mut text = format!("{}: it can be opened; nothing was changed\n", folder.display());
        text += &format!("  would read   {}\n", found_in_words(&checked.found));
        text += &damage_in_words(&checked.found);
        match &files.journal {
            Ok(Recovered { torn: true, last, end: (segment, byte), .. }) => {
                let (name, byte) = (Segment::name_of(*segment), count(*byte));
                text += &format!(
                    "  would cut    an unfinished frame behind frame {}, at byte {byte} of {name}; it was never acknowledged\n",
                    count(*last)
                );
            }
            Ok(Recovered { last, .. }) => {
                text += &format!("  would cut    nothing: the journal ends with frame {}\n", count(*last));
            }
            // It is not needed, or the ledger could not be opened.
            Err(error) => text += &format!("  DAMAGED, and not needed: {error}\n"),
        }
        for name in &files.unfinished {
            text += &format!("  would remove {name}, a snapshot that was not finished\n");
        }
        text += &format!("  would seal   {}\n", plural(u64::from(checked.unsealed), "transaction"));
        text += &state_in_words(&checked);
        text += &format!("  state        {}\n", to_hex(&state_digest(&checked.engine)));
        print(&text)?;
        Ok(0)
    }

    fn recover(&self) -> Result<u8, Failure> {
        let folder = &self.data;
        self.working.options().check().map_err(Failure::usage)?;
        let disk = Disk::open_read_only(folder).map_err(Failure::usage)?;
        // Looked at first: what holds no ledger is left as it is.
        durable::expect(&disk, None).map_err(|error| failure(folder, &error))?;
        let (disk, _lock) = working::open_to_work(folder)?;
        print_error(&self.working.describe(&disk));
        let (node, _) = working::open(folder, disk, None, self.working.options())?;
        let stopped = node.stop(&mut |_| {}).map_err(|error| failure(folder, &error))?;
        let snapshot = match &stopped.snapshot_failed {
            Some(why) => format!("no snapshot was written: {why}"),
            None => "a snapshot was written".to_string(),
        };
        print(&format!(
            "{}: recovered, and {snapshot}\n  {} in the chain, next command {}\n  last header  {}\n  state        {}\n",
            folder.display(),
            blocks(stopped.tip.height()),
            count(stopped.next),
            if stopped.tip.height() == 0 { "no block yet".to_string() } else { to_hex_reversed(&stopped.tip.hash()) },
            to_hex(&state_digest(&stopped.engine)),
        ))?;
        Ok(0)
    }
}

impl Inspect {
    /// Looks, and says what there is.
    pub fn execute(&self) -> Result<u8, Failure> {
        let folder = &self.folder;
        let (disk, _lock) = working::open_to_read(folder)?;
        let files = durable::inspect(&disk).map_err(|error| failure(folder, &error))?;
        let mut text = format!("{}: a ledger\n", folder.display());
        params_in_words(&files.meta.params, &mut text);
        line(&mut text, "journal id", &data_encoding::HEXLOWER.encode(&files.meta.id.0));
        if files.snapshots.is_empty() {
            line(&mut text, "snapshots", "none");
        }
        files.snapshots.iter().for_each(|snapshot| text += &snapshot_in_words(snapshot));
        files.segments.iter().for_each(|segment| segment_in_words(segment, &mut text));
        for frames in files.frames {
            let (what, of) = match frames.kind {
                Kind::Group => ("groups", "command"),
                Kind::Seal => ("seals", "transaction"),
                Kind::Mark => ("marks", ""),
                Kind::Rotate => ("rotations", ""),
                Kind::Open => ("openings", ""),
            };
            let held = if of.is_empty() { String::new() } else { format!(" with {}", plural(frames.commands, of)) };
            let bytes = if frames.bytes == 0 { String::new() } else { format!(", {} bytes", count(frames.bytes)) };
            line(&mut text, what, &format!("{}{held}{bytes}", plural(frames.frames, "frame")));
        }
        let last = files.last.map_or("none".to_string(), |(number, kind)| format!("{}, {}", count(number), name(kind)));
        line(&mut text, "last frame", &last);
        match &files.journal {
            Ok(Recovered { torn, end: (segment, byte), .. }) => {
                let torn = if *torn { "; an unfinished frame is there, which was never acknowledged" } else { "" };
                line(&mut text, "end", &format!("byte {} of {}{torn}", count(*byte), Segment::name_of(*segment)));
            }
            Err(error) => line(&mut text, "end", &format!("not found: {error}")),
        }
        let (spares, bytes) = files.spares;
        line(&mut text, "made ahead", &format!("{}, {} bytes", plural(spares, "file"), count(bytes)));
        for unfinished in &files.unfinished {
            line(&mut text, "unfinished", unfinished);
        }
        for other in &files.others {
            line(&mut text, "no part of it", other);
        }
        print(&text)?;
        refuse(folder, &files.wrong())
    }
}

fn line(text: &mut String, what: &str, said: &str) {
    writeln!(text, "  {what:<14} {said}").expect("a string takes all");
}

fn params_in_words(params: &ChainParams, text: &mut String) {
    let rules = &params.rules;
    line(text, "chain", &format!("{} (its parameters' hash)", to_hex(&params.hash())));
    let work = Target::from_bits(params.bits).map_or(0.0, |target| target.work().log2());
    let retarget = params.retarget.map_or("the same for all blocks".to_string(), |retarget| {
        format!("adjusted every {} to {} s a block", blocks(retarget.blocks.into()), count(retarget.seconds.into()))
    });
    line(text, "difficulty", &format!("2^{work:.1} hashes a block ({:#010x}), {retarget}", params.bits));
    let (lowest, highest, tick) = (price(rules.price_min), price(rules.price_max), price(rules.tick));
    line(text, "prices", &format!("{lowest} to {highest} WATT/kWh in steps of {tick}, lots of {} Wh", rules.lot));
    let percent = f64::from(rules.fee_ppm) / 10_000.0;
    line(text, "grid fee", &format!("{percent} %; an order that meets its own account's: {:?}", rules.self_trade));
    let (accounts, orders) = (rules.limits.accounts.into(), rules.limits.orders.into());
    let (accounts, orders) = (plural(accounts, "account"), plural(orders, "order"));
    line(text, "limits", &format!("{accounts}, {orders} in the book; {} GRID", count(rules.grid_supply)));
}

fn segment_in_words(segment: &SegmentFile, text: &mut String) {
    let said = match (&segment.head, segment.last) {
        (Ok(head), Some((last, frames))) => format!(
            "{} bytes, {}: {} to {}",
            count(head.length),
            plural(frames, "frame"),
            count(head.first),
            count(last)
        ),
        (Ok(head), None) => format!("{} bytes, from frame {}: none read", count(head.length), count(head.first)),
        (Err(error), _) => format!("DAMAGED: {error}"),
    };
    line(text, &segment.name, &said);
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "a group of commands",
        Kind::Seal => "a block's seal",
        Kind::Mark => "a mark",
        Kind::Rotate => "a rotation",
        Kind::Open => "an opening",
    }
}
