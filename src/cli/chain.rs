//! `verify`, `headers`, `prove`, `check-proof`.

use super::Failure;
use super::output::{Pending, print};
use clap::Args;
use indicatif::ProgressBar;
use joulebook::block::{ChainParams, ChainReader, HeaderChain, StoredBlock, TradeProof};
use joulebook::command::{Command, NewOrder, Sequenced};
use joulebook::event::Event;
use joulebook::hash::{to_hex, to_hex_reversed};
use joulebook::node::verify::verify;
use joulebook::report::{count, kwh, price, watt};
use joulebook::types::Side;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// What `joulebook verify --help` says at its end; lines short enough for any terminal.
pub const VERIFY_AFTER_HELP: &str = "\
A ledger's folder is read and not changed; while a node works in it, it is
refused. Every frame of the journal and every byte of the snapshots is checked;
from the newest good snapshot on every command is carried out again, and every
block that was sealed is derived again and compared.

Exit codes: 0 all is as it was written, 1 something is damaged or does not
agree, 2 it cannot be read.";

/// Options of `verify`.
#[derive(Args)]
pub struct Verify {
    /// A chain file, as `joulebook run --chain FILE` writes it, or a ledger's folder, as `joulebook node --data DIR` makes it
    path: PathBuf,
}

/// Options of `headers`.
#[derive(Args)]
pub struct Headers {
    /// A chain file
    file: PathBuf,
    /// Where to write the headers: the chain's parameters, then 80 bytes a block
    out: PathBuf,
}

/// Options of `prove`.
#[derive(Args)]
pub struct Prove {
    /// A chain file
    file: PathBuf,
    /// Sequence of the transaction: an order's id
    #[arg(long, value_name = "N")]
    sequence: u64,
    /// Where to write the proof (JSON, joulebook.proof.v1) [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Options of `check-proof`.
#[derive(Args)]
pub struct CheckProof {
    /// A proof, as `joulebook prove` writes it
    proof: PathBuf,
    /// The chain's headers, as `joulebook headers` writes them
    #[arg(long, value_name = "FILE")]
    headers: PathBuf,
}

impl Verify {
    /// Verifies and says what was verified.
    pub fn execute(&self) -> Result<u8, Failure> {
        #[cfg(unix)]
        if self.path.is_dir() {
            return super::ledger::verify(&self.path);
        }
        let file = open(&self.path)?;
        let bar = ProgressBar::new_spinner();
        let progress = &mut |done| bar.set_message(format!("{} verified", blocks(done)));
        let verified = verify(BufReader::new(file), progress);
        bar.finish_and_clear();
        let verified = verified.map_err(|error| refused(&self.path, error))?;
        print(&format!(
            "{}: valid\n  {}, {} transactions, {} trades, each replayed; every header, Merkle root and state \
             root agrees\n  work        2^{:.1} hashes expected\n  last block  {}\n  state root  {}\n",
            self.path.display(),
            blocks(verified.blocks),
            count(verified.transactions),
            count(verified.fills),
            verified.work_log2,
            to_hex_reversed(&verified.tip),
            to_hex(&verified.state_root),
        ))?;
        Ok(0)
    }
}

impl Headers {
    /// Extracts the headers, after checking them as a chain.
    pub fn execute(&self) -> Result<u8, Failure> {
        let out = Pending::create(&self.out)?;
        not_the_chain(&out, &self.file)?;
        let mut headers = Vec::new();
        let params = for_each_block(&self.file, |block| {
            headers.push(block.header);
            Ok(true)
        })?;
        let chain = HeaderChain { params, headers };
        let (tip, _) = chain.check().map_err(|error| refused(&self.file, error))?;
        out.write(&chain.encode())?;
        print(&format!("headers of {}, the last one {}\n", blocks(tip.height()), to_hex_reversed(&tip.hash())))?;
        Ok(0)
    }
}

impl Prove {
    /// Finds the transaction and writes its proof.
    pub fn execute(&self) -> Result<u8, Failure> {
        let out = self.out.as_deref().map(Pending::create).transpose()?;
        if let Some(out) = &out {
            not_the_chain(out, &self.file)?;
        }
        let mut proof = None;
        let mut last = 0;
        for_each_block(&self.file, |block| {
            last = block.seal.last_sequence;
            proof = TradeProof::of(block, self.sequence);
            Ok(last < self.sequence)
        })?;
        let Some(proof) = proof else {
            let Self { file, sequence, .. } = self;
            let why = if *sequence > last {
                format!("the chain's last transaction has sequence {last}")
            } else {
                "the command with that sequence was refused, so that no block holds it".to_string()
            };
            return Err(refused(file, format!("no transaction has sequence {sequence}: {why}")));
        };
        let json = serde_json::to_string_pretty(&proof).expect("a proof is plain text") + "\n";
        match out {
            Some(out) => out.write(json.as_bytes())?,
            None => print(&json)?,
        }
        Ok(0)
    }
}

impl CheckProof {
    /// Checks and says what is proven.
    pub fn execute(&self) -> Result<u8, Failure> {
        let text = read_bounded(&self.proof)?;
        let proof: TradeProof =
            serde_json::from_slice(&text).map_err(|error| refused(&self.proof, format!("not a proof: {error}")))?;
        let bytes = read_bounded(&self.headers)?;
        let chain = HeaderChain::decode(&bytes).map_err(|error| refused(&self.headers, error))?;
        let (command, events) = proof.check(&chain).map_err(|error| refused(&self.proof, error))?;
        let (tip, work) = chain.check().expect("checked with the proof");
        let mut text = format!("proven: transaction {} of block {}\n", proof.index, count(proof.height));
        describe(&command, &events, &mut text);
        let (blocks, work, tip) = (blocks(tip.height()), work.log2(), to_hex_reversed(&tip.hash()));
        writeln!(text, "  in a chain of {blocks} with 2^{work:.1} hashes of work, the last one\n  {tip}")
            .expect("a string takes all");
        text.push_str("  Compare that hash with one from somebody you trust: anybody can make a chain of their own.\n");
        print(&text)?;
        Ok(0)
    }
}

/// `1 block`, `2 blocks`.
fn blocks(number: u64) -> String {
    format!("{} block{}", count(number), if number == 1 { "" } else { "s" })
}

/// What is written must not take the chain's place.
fn not_the_chain(out: &Pending, chain: &Path) -> Result<(), Failure> {
    if out.is_same(chain) {
        return Err(Failure::usage(format!("{} is the chain itself: name another file to write", chain.display())));
    }
    Ok(())
}

/// A file of at most 1 GiB, that is of thirteen million headers: what is larger is not what it should be.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Failure> {
    const MOST: u64 = 1 << 30;
    let mut bytes = Vec::new();
    let read = open(path)?.take(MOST + 1).read_to_end(&mut bytes);
    match read {
        Err(error) => Err(unreadable(path, error)),
        Ok(length) if length as u64 > MOST => Err(refused(path, format!("more than {MOST} bytes"))),
        Ok(_) => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", path.display()))
}

fn refused(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::refused(format!("{}: {error}", path.display()))
}

fn open(path: &Path) -> Result<File, Failure> {
    if path.is_dir() {
        return Err(Failure::usage(format!("{} is a directory, not a file", path.display())));
    }
    File::open(path).map_err(|error| unreadable(path, error))
}

/// Reads a chain file to its end, or until `see` says `false`. Returns the chain's parameters.
fn for_each_block(
    path: &Path,
    mut see: impl FnMut(&StoredBlock) -> Result<bool, Failure>,
) -> Result<ChainParams, Failure> {
    let file = open(path)?;
    let source: Box<dyn Read> = Box::new(BufReader::new(file));
    let mut reader = ChainReader::open(source).map_err(|error| refused(path, error))?;
    while let Some(block) = reader.next_block().map_err(|error| refused(path, error))? {
        if !see(&block)? {
            break;
        }
    }
    Ok(*reader.params())
}

/// A command and what it caused, in words.
fn describe(command: &Sequenced, events: &[Event], out: &mut String) {
    let said = match command.command {
        Command::Place(NewOrder { account, side, limit, wh, time_in_force, .. }) => format!(
            "order {}: account {} {} {} kWh {}, {time_in_force:?}",
            command.sequence,
            account.0,
            if side == Side::Buy { "buys" } else { "sells" },
            kwh(wh.into()),
            limit.map_or("at the market".to_string(), |limit| format!("at {} WATT/kWh", price(limit))),
        ),
        other => format!("command {}: {other:?}", command.sequence),
    };
    writeln!(out, "  {said}").expect("a string takes all");
    for event in events {
        let said = match *event {
            Event::Fill { maker, maker_account, price: at, wh, fee, .. } => format!(
                "traded {} kWh at {} WATT/kWh with order {} of account {}, grid fee {} WATT",
                kwh(wh.into()),
                price(at),
                maker.0,
                maker_account.0,
                watt(fee)
            ),
            Event::Rested { price: at, wh, .. } => {
                format!("rests in the book with {} kWh at {} WATT/kWh", kwh(wh.into()), price(at))
            }
            other => format!("{other:?}"),
        };
        writeln!(out, "    {said}").expect("a string takes all");
    }
}
