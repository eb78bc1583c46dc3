//! The command line: what is asked, and how it ends.

// The ledger on disk needs what only Unix has: direct writes, locks, and a folder's sync.
#[cfg(unix)]
mod answers;
mod books;
mod chain;
mod compare;
#[cfg(unix)]
mod ledger;
mod load;
#[cfg(unix)]
mod node;
mod output;
mod run;
#[cfg(unix)]
mod working;

use clap::{Parser, Subcommand};
use joulebook::hash::Platform;
use std::process::ExitCode;

/// A verification found something wrong, or two that must do the same do not.
pub const EXIT_REFUSED: u8 = 1;
/// Bad usage, or a file that cannot be read or written.
pub const EXIT_USAGE: u8 = 2;
/// Ended by Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

const AFTER_HELP: &str = "\
Without a command it runs: `joulebook --quick` is `joulebook run --quick`. With
its defaults a run takes less than a minute: four scenarios on two stacks.

Examples:
  joulebook
      everything, as a newcomer sees it
  joulebook run --scenario writes --users 100000 --orders 100000
      writes on a deep book
  joulebook books
      1 to 1,000 books in one exchange, on one core and on two
  joulebook run --scenario settlement --chain chain.jb
      keep the chain of the settlement scenario; then verify it, and prove
      one of its trades to somebody who has nothing but the headers:
  joulebook verify chain.jb
  joulebook headers chain.jb headers.bin
  joulebook prove chain.jb --sequence 500 --out proof.json
  joulebook check-proof proof.json --headers headers.bin
  joulebook node --data ledger --commands day.jsonl --answers answers.jsonl
      a ledger on disk that answers what it will not forget; then look at it:
  joulebook verify ledger
  joulebook inspect ledger

Exit codes: 0 all is well, 1 something was refused (or stacks differ), 2 bad
usage or a file that cannot be read or written, 130 interrupted by Ctrl-C.";

/// An energy-trading ledger engine with a performance laboratory built in.
#[derive(Parser)]
#[command(name = "joulebook", version, after_help = AFTER_HELP, max_term_width = 120)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Run,
    /// Hash with this kernel instead of the fastest: avx512, sha-ni, avx2 or portable (behind the command, if there is one)
    #[arg(long, global = true, value_name = "NAME")]
    isa: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs scenarios on the baseline and the optimized stack and reports what they did and how fast.
    #[command(after_help = run::AFTER_HELP)]
    Run(Box<run::Run>),
    /// Matches in many books at once, one per product, on one core and on more, and reports what a message costs.
    #[command(after_help = books::AFTER_HELP)]
    Books(books::Books),
    /// Says whether one build is slower than another, from the run reports of both, and how sure that is.
    #[command(after_help = compare::AFTER_HELP)]
    Compare(compare::Compare),
    /// Plays load: many clients, bursts, or steps up to saturation, through a bounded queue; reports throughput and latency.
    #[command(after_help = load::AFTER_HELP)]
    Load(load::Load),
    /// Keeps a ledger on disk: carries requests out, and answers each when it is durable.
    #[cfg(unix)]
    #[command(after_help = node::AFTER_HELP)]
    Node(Box<node::Node>),
    /// Opens a ledger as a node does, and stops again: what was not finished is, and a snapshot is written.
    #[cfg(unix)]
    #[command(after_help = ledger::RECOVER_AFTER_HELP)]
    Recover(ledger::Recover),
    /// Says what is in a ledger's folder, without carrying anything out: snapshots, segments, frames, and what is damaged.
    #[cfg(unix)]
    #[command(after_help = ledger::INSPECT_AFTER_HELP)]
    Inspect(ledger::Inspect),
    /// Verifies a chain file or a ledger: linkage, proof of work, Merkle roots, and all events and state roots by replay.
    #[command(after_help = chain::VERIFY_AFTER_HELP)]
    Verify(chain::Verify),
    /// Writes the headers of a chain file, 80 bytes each: all that `check-proof` needs of the chain.
    Headers(chain::Headers),
    /// Proves one transaction, an order with its fills say, of a chain file.
    Prove(chain::Prove),
    /// Checks a proof against the headers alone.
    CheckProof(chain::CheckProof),
}

/// Why a command ended without doing what it was asked: a message for people, and an exit code.
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Bad usage, or a file.
    pub fn usage(message: impl ToString) -> Self {
        Failure { message: message.to_string(), code: EXIT_USAGE }
    }

    /// Something that does not verify.
    pub fn refused(message: impl ToString) -> Self {
        Failure { message: message.to_string(), code: EXIT_REFUSED }
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let Cli { command, run, isa } = Cli::parse();
    let done =
        force_platform(isa.as_deref()).and_then(|()| match command.unwrap_or_else(|| Command::Run(Box::new(run))) {
            Command::Run(run) => run.execute(),
            Command::Books(books) => books.execute(),
            Command::Compare(compare) => compare.execute(),
            Command::Load(load) => load.execute(),
            #[cfg(unix)]
            Command::Node(node) => node.execute(),
            #[cfg(unix)]
            Command::Recover(recover) => recover.execute(),
            #[cfg(unix)]
            Command::Inspect(inspect) => inspect.execute(),
            Command::Verify(verify) => verify.execute(),
            Command::Headers(headers) => headers.execute(),
            Command::Prove(prove) => prove.execute(),
            Command::CheckProof(check) => check.execute(),
        });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Failure { message, code }) => {
            output::print_error(&format!("error: {message}\n"));
            ExitCode::from(code)
        }
    }
}

/// Before anything hashes.
fn force_platform(name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    Platform::named(name).and_then(Platform::force).map_err(|error| Failure::usage(format!("--isa: {error}")))
}
