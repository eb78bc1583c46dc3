//! What `node` and `recover` have in common: options of a ledger at work, how it is opened, and what is said of that.

use super::output::print_error;
use super::run::progress_bar;
use super::{EXIT_REFUSED, EXIT_USAGE, Failure};
use clap::Args;
use joulebook::block::ChainParams;
use joulebook::journal::disk::{Disk, DiskLock};
use joulebook::journal::{JournalError, JournalId, Options, SyncPolicy};
use joulebook::node::durable::{self, DurableError, DurableNode, DurableOptions, Found, Memory};
use joulebook::node::{BlockPolicy, Clock, NodeError, SealPlan};
use joulebook::optimized::Optimized;
use joulebook::report::{count, duration_ns};
use joulebook::seal::{Search, Watch};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The file whose lock says that somebody works in the folder.
const LOCK: &str = "lock";

/// How a ledger works. None of this is part of it: each time, it may be another.
#[derive(Args)]
pub struct Working {
    /// When groups of requests are made durable: every-group, interval=MS (all of so long a time together, 1 to 60,000 ms;
    /// they are answered then) or none (WHAT IS ANSWERED MAY BE LOST when the power goes: for experiments)
    #[arg(long, value_name = "WHEN", default_value = "every-group", value_parser = sync_policy)]
    sync: SyncPolicy,
    /// Transactions at which a block closes, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    block_transactions: u32,
    /// Age in ms at which a block closes; it is looked at when requests come [default: never]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    block_interval_ms: Option<u64>,
    /// Commands from one snapshot to the next; one is taken when a block closes, and at the end
    #[arg(long, value_name = "N", default_value_t = 8_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_commands: u64,
    /// Bytes that the journal may have; k, M, G behind a number mean 2^10, 2^20, 2^30
    #[arg(long, value_name = "BYTES", default_value = "64G", value_parser = bytes)]
    journal_max: u64,
    /// Bytes of each new file of the journal, of which two are made ahead: a multiple of 4k
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes)]
    segment_size: u64,
}

impl Working {
    /// The same as the library says it.
    pub fn options(&self) -> DurableOptions {
        let plan = SealPlan { search: Search::Parallel, fast_hashing: true, beside: true };
        let interval = self.block_interval_ms.map(|ms| ms * 1_000_000);
        DurableOptions {
            policy: BlockPolicy { transactions: self.block_transactions, interval, plan },
            journal: Options {
                policy: self.sync,
                segment_bytes: self.segment_size,
                bytes_max: self.journal_max,
                ..Options::default()
            },
            memory: Memory::default(),
            snapshot_commands: self.snapshot_commands,
            beside: true,
        }
    }

    /// How durable writes will be, in a line.
    pub fn describe(&self, disk: &Disk) -> String {
        let sync = match self.sync {
            SyncPolicy::EveryGroup => "each group by itself".to_string(),
            SyncPolicy::Interval(time) => format!("all groups of {} ms together", time.as_millis()),
            SyncPolicy::Never => {
                "whenever the system likes\nWARNING: --sync none: WHAT IS ANSWERED MAY BE LOST when the \
                                  power goes or the system stops"
                    .to_string()
            }
        };
        format!("writes: {}, {sync}\n", disk.durability())
    }
}

fn sync_policy(text: &str) -> Result<SyncPolicy, String> {
    match text {
        "every-group" => Ok(SyncPolicy::EveryGroup),
        "none" => Ok(SyncPolicy::Never),
        _ => match text.strip_prefix("interval=").map(str::parse::<u64>) {
            Some(Ok(ms @ 1..=60_000)) => Ok(SyncPolicy::Interval(Duration::from_millis(ms))),
            Some(_) => Err("an interval is 1 to 60000 ms, interval=10 for example".to_string()),
            None => Err("it is every-group, interval=MS or none".to_string()),
        },
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let shift = match text.chars().last() {
        Some('k' | 'K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        _ => 0,
    };
    let digits = if shift > 0 { &text[..text.len() - 1] } else { text };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "it is a number of bytes, 65536, 64k, 64M or 64G for example".to_string())
}

/// A ledger's error, with the exit code that belongs to it: 2 if a file cannot be read or written, or the options make no sense.
pub fn failure(folder: &Path, error: &DurableError) -> Failure {
    let code = match error {
        DurableError::Disk { .. } | DurableError::Stopped { .. } | DurableError::Options(_) => EXIT_USAGE,
        DurableError::Node(NodeError::Sink { .. } | NodeError::Cancelled) => EXIT_USAGE,
        DurableError::Journal(JournalError::Io { .. } | JournalError::Stopped { .. } | JournalError::Options(_)) => {
            EXIT_USAGE
        }
        _ => EXIT_REFUSED,
    };
    let full = matches!(error, DurableError::Full { .. } | DurableError::Journal(JournalError::Full { .. }));
    let help = if full { "; a larger --journal-max, or room on the disk, lets it go on" } else { "" };
    Failure { message: format!("{}: {error}{help}", folder.display()), code }
}

fn locking(folder: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::WouldBlock {
        let folder = folder.display();
        return Failure::refused(format!("{folder} is in use: {error}; one program at a time works with a ledger"));
    }
    Failure::usage(error)
}

/// Opens a folder to be read, and keeps nodes out of it meanwhile. Nothing in it is changed.
pub fn open_to_read(folder: &Path) -> Result<(Disk, Option<DiskLock>), Failure> {
    let disk = Disk::open_read_only(folder).map_err(Failure::usage)?;
    let lock = disk.lock_shared(LOCK).map_err(|error| locking(folder, &error))?;
    Ok((disk, lock))
}

/// Opens a folder to work in, alone.
pub fn open_to_work(folder: &Path) -> Result<(Disk, DiskLock), Failure> {
    let disk = Disk::create(folder).map_err(Failure::usage)?;
    let lock = disk.lock(LOCK).map_err(|error| locking(folder, &error))?;
    Ok((disk, lock))
}

/// A journal's id: random, so that nothing can be made up that looks like its frames.
fn random_id() -> Result<JournalId, Failure> {
    let mut id = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut id));
    read.map_err(|error| Failure::usage(format!("/dev/urandom cannot be read: {error}")))?;
    Ok(JournalId(id))
}

/// Makes a ledger.
pub fn make(
    folder: &Path,
    disk: Disk,
    params: ChainParams,
    options: DurableOptions,
) -> Result<DurableNode<Optimized, Disk>, Failure> {
    let watch = Arc::new(Watch::new());
    let made = DurableNode::create(disk, random_id()?, params, options, Clock::system(), watch);
    made.map_err(|error| failure(folder, &error))
}

/// Opens a ledger, with a progress bar on a terminal, and says what was found.
pub fn open(
    folder: &Path,
    disk: Disk,
    params: Option<&ChainParams>,
    options: DurableOptions,
) -> Result<(DurableNode<Optimized, Disk>, Found), Failure> {
    let since = Instant::now();
    let watch = Arc::new(Watch::new());
    let opened = with_progress(|progress| DurableNode::open(disk, params, options, Clock::system(), watch, progress));
    let (node, found) = opened.map_err(|error| failure(folder, &error))?;
    let took = duration_ns(since.elapsed().as_nanos() as f64);
    print_error(&format!("opened: {}, in {took}; next command {}\n", found_in_words(&found), count(node.next())));
    print_error(&damage_in_words(&found));
    if found.torn {
        print_error("  cut: an unfinished frame at the journal's end, which was never acknowledged\n");
    }
    Ok((node, found))
}

/// Runs a recovery with a bar that shows how many commands were carried out again; hidden without a terminal.
pub fn with_progress<T>(work: impl FnOnce(&mut dyn FnMut(durable::Progress)) -> T) -> T {
    let bar = progress_bar();
    bar.set_message("commands carried out again");
    let done = work(&mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.commands);
    });
    bar.finish_and_clear();
    done
}

/// From where, and how much of it was carried out again.
pub fn found_in_words(found: &Found) -> String {
    let from = match found.snapshot {
        Some(height) => format!("snapshot after {}", blocks(height)),
        None => "from the beginning, without a snapshot".to_string(),
    };
    let (commands, compared) = (commands(found.commands), blocks(found.blocks));
    format!("{from}, {commands} carried out again, {compared} compared with how they were sealed")
}

/// What was damaged, a line each.
pub fn damage_in_words(found: &Found) -> String {
    let mut text = String::new();
    for damaged in &found.damaged {
        text += &format!("  DAMAGED, and not used: {damaged}\n");
    }
    if found.damaged_copies > 0 {
        let frames = count(found.damaged_copies);
        text += &format!("  DAMAGED, and read from the other copy: {frames} of the journal's frames\n");
    }
    text
}

/// `1 block`, `2 blocks`.
pub fn blocks(number: u64) -> String {
    plural(number, "block")
}

/// `1 command`, `2 commands`.
pub fn commands(number: u64) -> String {
    plural(number, "command")
}

/// A number with a word behind it that gets an `s` unless there is one.
pub fn plural(number: u64, word: &str) -> String {
    format!("{} {word}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_policies_are_read_or_refused() {
        assert_eq!(["4096", "64k", "64K", "3M", "2G"].map(bytes), [4096, 65_536, 65_536, 3 << 20, 2 << 30].map(Ok));
        for bad in ["", "k", "-1", "+1k", "1.5M", "64MB", "99999999999G", "ük"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(sync_policy("every-group"), Ok(SyncPolicy::EveryGroup));
        assert_eq!(sync_policy("none"), Ok(SyncPolicy::Never));
        assert_eq!(sync_policy("interval=10"), Ok(SyncPolicy::Interval(Duration::from_millis(10))));
        for bad in ["", "never", "interval", "interval=", "interval=0", "interval=60001", "interval=1.5"] {
            assert!(sync_policy(bad).is_err(), "{bad}");
        }
    }
}
