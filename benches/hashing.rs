//! `cargo bench --bench hashing`: every hashing kernel of this machine beside `sha2` and `ring` on the same inputs, in
//! interleaved rounds: what is compared met the same phases of a noisy machine. Fails if any two digests differ. Under
//! `cargo test` it runs once, small.
//!
//! `MH/s` are medians; a ratio's interval holds the true median with 95 % probability. Cycles assume the clock that a chain of
//! multiplications, three cycles each, shows; `of bound` is how near a kernel comes to what the CPU's vector units could do
//! at best: instructions that a kernel must execute, divided by how many of them one cycle can take.

use joulebook::block::{Header, StateTree, Target, merkle};
use joulebook::hash::{Digest, Hashing, NonceSearch, Platform, backend, sha256, sha256_each, sha256d_each, to_hex};
use joulebook::measure::{cpu_model, cpus, median, median_interval};
use joulebook::seal::{Outcome, Watch, search_parallel};
use std::hint::black_box;
use std::time::Instant;

/// How much is done.
struct Size {
    rounds: usize,
    nonces: u32,
    /// Leading zero bits of a winner: some of the nonces win.
    zero_bits: u32,
    messages: usize,
    leaves: usize,
    accounts: u32,
    trades: u32,
}

const FULL: Size = Size {
    rounds: 21,
    nonces: 1 << 19,
    messages: 1 << 14,
    leaves: 65_536,
    zero_bits: 16,
    accounts: 1_000_000,
    trades: 10_000,
};
const SMOKE: Size =
    Size { rounds: 2, nonces: 5_000, messages: 100, leaves: 1_000, zero_bits: 8, accounts: 5_000, trades: 100 };

/// Vector instructions of one nonce's two hashes in 16 lanes: rounds, schedule and sums, without moves.
const SEARCH_INSTRUCTIONS: f64 = 2_846.0;

/// One thing to compare: fills a vector, whose memory is used again, with what it hashed or found.
type Contender<'a> = (String, Box<dyn Fn(&mut Vec<Digest>) + 'a>);

fn main() {
    let under_test = !std::env::args().any(|argument| argument == "--bench");
    let size = if under_test { SMOKE } else { FULL };
    let ghz = clock_ghz();
    println!("{}, {} CPUs, {ghz:.2} GHz under load (by a chain of multiplications)", cpu_model(), cpus());
    println!("sha2 here: {}", backend());
    for name in Platform::ALL_NAMES {
        if let Err(error) = Platform::named(name) {
            println!("not measured: {error}");
        }
    }
    nonce_search(&size, ghz);
    messages::<64>(&size, ghz);
    messages::<96>(&size, ghz);
    messages::<128>(&size, ghz);
    single_hashes(&size, ghz);
    merkle_roots(&size, ghz);
    state_roots(&size);
    threads(&size);
}

/// A multiplication takes three cycles and waits for the one before.
fn clock_ghz() -> f64 {
    let mut rates: Vec<f64> = (0..9)
        .map(|_| {
            let clock = Instant::now();
            let mut product = 1u64;
            for _ in 0..200_000 {
                product = black_box(product.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_mul(product | 3));
            }
            black_box(product);
            200_000.0 * 6.0 / clock.elapsed().as_nanos() as f64
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() - 1]
}

/// Runs all contenders in turn, round by round, and prints them beside the first.
fn compare(title: &str, size: &Size, hashes: f64, ghz: f64, contenders: &[Contender<'_>]) {
    println!("\n{title}");
    let (mut expected, mut out) = (Vec::new(), Vec::new());
    contenders[0].1(&mut expected);
    for (name, run) in contenders {
        run(&mut out);
        assert!(out == expected, "{title}: {name} computes something else");
    }
    let mut seconds = vec![Vec::new(); contenders.len()];
    for round in 0..size.rounds {
        // Each round begins elsewhere, so that nobody always follows the same one.
        for at in 0..contenders.len() {
            let at = (at + round) % contenders.len();
            let clock = Instant::now();
            contenders[at].1(black_box(&mut out));
            seconds[at].push(clock.elapsed().as_secs_f64());
        }
    }
    for ((name, _), own) in contenders.iter().zip(&seconds) {
        let mhs = hashes / median(&mut own.clone()) / 1e6;
        let ratios: Vec<f64> = seconds[0].iter().zip(own).map(|(base, own)| base / own).collect();
        let ratio = median_interval(&ratios, 0.95);
        let cycles = ghz * 1e3 / mhs;
        print!(
            "  {name:<34} {mhs:>8.2} MH/s {cycles:>7.1} cycles  {:>6.2} x ({:.2} to {:.2})",
            ratio.median, ratio.low, ratio.high
        );
        if name == "avx512" && title.starts_with("nonce search") {
            for (per_cycle, core) in [(2.0, "Zen 4"), (4.0, "Zen 5")] {
                let bound = SEARCH_INSTRUCTIONS / 16.0 / per_cycle;
                print!("  {:.0} % of {core}'s bound", 100.0 * bound / cycles);
            }
        }
        println!();
    }
    println!("  digest of all {}", to_hex(&sha256(expected.as_flattened())));
}

fn bytes<const N: usize>(seed: usize) -> [u8; N] {
    let mut out = [0u8; N];
    for (at, chunk) in out.chunks_mut(32).enumerate() {
        chunk.copy_from_slice(&sha256(&[seed as u64, at as u64].map(u64::to_le_bytes).concat())[..chunk.len()]);
    }
    out
}

fn header_bytes() -> [u8; 80] {
    Header { merkle_root: bytes(1), ..Header::new(bytes(2), 1_700_000_000, 0x1d00_ffff) }.encode()
}

/// Calls `lowest` for the range behind each nonce that it finds.
fn all_winners(count: u32, out: &mut Vec<Digest>, lowest: impl Fn(u32) -> Option<u32>) {
    out.clear();
    let mut next = 0;
    while next < count
        && let Some(nonce) = lowest(next)
    {
        push_nonce(out, nonce);
        next = nonce + 1;
    }
}

fn push_nonce(out: &mut Vec<Digest>, nonce: u32) {
    let mut row = [0; 32];
    row[..4].copy_from_slice(&nonce.to_le_bytes());
    out.push(row);
}

fn nonce_search(size: &Size, ghz: f64) {
    let header = header_bytes();
    let target = Target::from_leading_zero_bits(size.zero_bits);
    let count = size.nonces;
    let search = NonceSearch::new(&header, target.as_bytes());
    // Generic, so that what is compared against is inlined.
    fn naive(
        header: [u8; 80],
        target: Target,
        count: u32,
        hash: impl Fn(&[u8]) -> Digest,
    ) -> impl Fn(&mut Vec<Digest>) {
        move |out: &mut Vec<Digest>| {
            out.clear();
            let mut header = Header::decode(&header);
            for nonce in 0..count {
                header.nonce = nonce;
                if target.is_met_by(&hash(&hash(&header.encode()))) {
                    push_nonce(out, nonce);
                }
            }
        }
    }
    let mut contenders: Vec<Contender<'_>> =
        vec![("sha2, a header for each nonce".into(), Box::new(naive(header, target, count, sha256)))];
    contenders.push(("ring, a header for each nonce".into(), Box::new(naive(header, target, count, ring_sha256))));
    for platform in Platform::available() {
        let search = &search;
        let run =
            move |out: &mut Vec<Digest>| all_winners(count, out, |next| search.lowest(platform, next..=count - 1));
        contenders.push((platform.to_string(), Box::new(run)));
    }
    compare("nonce search, one thread: sha256d of an 80-byte header", size, f64::from(count), ghz, &contenders);
}

fn ring_sha256(message: &[u8]) -> Digest {
    ring::digest::digest(&ring::digest::SHA256, message).as_ref().try_into().expect("32 bytes")
}

fn messages<const N: usize>(size: &Size, ghz: f64) {
    let messages: Vec<[u8; N]> = (0..size.messages).map(bytes).collect();
    let messages = &messages;
    let mut contenders: Vec<Contender<'_>> =
        vec![("sha2".into(), Box::new(each(messages, |message| sha256(&sha256(message)))))];
    contenders.push(("ring".into(), Box::new(each(messages, |message| ring_sha256(&ring_sha256(message))))));
    for platform in Platform::available() {
        let run = move |out: &mut Vec<Digest>| {
            out.resize(messages.len(), [0; 32]);
            sha256d_each(platform, messages, out);
        };
        contenders.push((platform.to_string(), Box::new(run)));
    }
    compare(&format!("sha256d of {N} bytes, many messages"), size, messages.len() as f64, ghz, &contenders);
}

/// Hashes one message after another. Generic, so that what is compared against is inlined.
fn each<const N: usize>(messages: &[[u8; N]], hash: impl Fn(&[u8]) -> Digest) -> impl Fn(&mut Vec<Digest>) {
    move |out| {
        out.clear();
        out.extend(messages.iter().map(|message| hash(message)));
    }
}

fn single_hashes(size: &Size, ghz: f64) {
    let messages: Vec<[u8; 64]> = (0..size.messages).map(bytes).collect();
    let messages = &messages;
    let mut contenders: Vec<Contender<'_>> = vec![("sha2".into(), Box::new(each(messages, sha256)))];
    contenders.push(("ring".into(), Box::new(each(messages, ring_sha256))));
    for platform in Platform::available() {
        let run = move |out: &mut Vec<Digest>| {
            out.resize(messages.len(), [0; 32]);
            sha256_each(platform, messages, out);
        };
        contenders.push((platform.to_string(), Box::new(run)));
    }
    compare("sha256, once, of 64 bytes", size, messages.len() as f64, ghz, &contenders);
}

fn merkle_roots(size: &Size, ghz: f64) {
    let leaves: Vec<Digest> = (0..size.leaves).map(bytes).collect();
    let leaves = &leaves;
    let plain = |out: &mut Vec<Digest>| {
        out.clone_from(leaves);
        while out.len() > 1 {
            let parents = out.len().div_ceil(2);
            for parent in 0..parents {
                let pair = [out[2 * parent], out[(2 * parent + 1).min(out.len() - 1)]];
                out[parent] = sha256(&sha256(pair.as_flattened()));
            }
            out.truncate(parents);
        }
    };
    let mut contenders: Vec<Contender<'_>> = vec![("sha2".into(), Box::new(plain))];
    for platform in Platform::available() {
        let run = move |out: &mut Vec<Digest>| {
            out.clone_from(leaves);
            merkle::fold_with_first_branch(out, Hashing { platform, parallel: false });
        };
        contenders.push((platform.to_string(), Box::new(run)));
    }
    let title = format!("Merkle root of {} leaves, one thread (MH/s of inner nodes)", leaves.len());
    compare(&title, size, leaves.len() as f64 - 1.0, ghz, &contenders);
}

/// The state root after a block of trades: hashing only what changed, against hashing every account.
fn state_roots(size: &Size) {
    let record = |id: u32, version: u32| (id, bytes::<96>((u64::from(version) << 32 | u64::from(id)) as usize));
    // Both accounts of each trade, somewhere among all of them.
    let mut touched: Vec<u32> = (0..2 * size.trades)
        .map(|at| u64::from_le_bytes(bytes::<8>(at as usize)) % u64::from(size.accounts))
        .map(|id| id as u32)
        .collect();
    touched.sort_unstable();
    touched.dedup();
    let mut all: Vec<(u32, [u8; 96])> = (0..size.accounts).map(|id| record(id, 0)).collect();
    let changed: Vec<(u32, [u8; 96])> = touched.iter().map(|&id| record(id, 1)).collect();
    let mut before = StateTree::new();
    before.update(&mut all, Hashing::on_one_core());
    changed.iter().for_each(|&(id, record)| all[id as usize] = (id, record));
    let (mut ratios, mut plain_ratios, mut milliseconds) = (Vec::new(), Vec::new(), Vec::new());
    let mut root = Digest::default();
    for _ in 0..size.rounds.min(7) {
        let (mut incremental, mut changed) = (before.clone(), changed.clone());
        let clock = Instant::now();
        incremental.update(&mut changed, Hashing::on_one_core());
        let fast = clock.elapsed().as_secs_f64();
        // Into trees that are there already, so that hashing is compared and not the system's memory.
        let (mut whole, mut plain) = (before.clone(), before.clone());
        let clock = Instant::now();
        whole.update(&mut all, Hashing::on_one_core());
        let slow = clock.elapsed().as_secs_f64();
        root = whole.root();
        assert_eq!(incremental.root(), root, "the incremental state root is another one");
        let clock = Instant::now();
        plain.update(&mut all, Hashing::NAIVE);
        plain_ratios.push(clock.elapsed().as_secs_f64() / fast);
        assert_eq!(plain.root(), root, "sha2's state root is another one");
        ratios.push(slow / fast);
        milliseconds.push(1e3 * fast);
    }
    println!(
        "\nstate root over {} accounts after {} trades ({} accounts changed), one thread: {:.2} ms",
        size.accounts,
        size.trades,
        touched.len(),
        median(&mut milliseconds),
    );
    for (how, ratios) in [(Platform::chosen().name(), ratios), ("sha2, one by one", plain_ratios)] {
        let ratio = median_interval(&ratios, 0.95);
        println!(
            "  hashing every account takes {:.1} x ({:.1} to {:.1}) by {how}",
            ratio.median, ratio.low, ratio.high
        );
    }
    println!("  root {}", to_hex(&root));
}

/// What threads, rayon and the sealer cost against the bare kernel.
fn threads(size: &Size) {
    println!("\nnonce search through the sealer, {}", Platform::chosen());
    let (header, never) = (Header::decode(&header_bytes()), Target::from_leading_zero_bits(220));
    let platform = Platform::chosen();
    let search = NonceSearch::new(&header_bytes(), never.as_bytes());
    let count = size.nonces.saturating_mul(16);
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads"));
    let sealer = |pool: &rayon::ThreadPool| {
        let clock = Instant::now();
        let watch = Watch::new();
        let found = pool.install(|| search_parallel(&header, 0..=count - 1, &never, platform, &watch));
        assert_eq!((found, watch.tried()), (Outcome::Exhausted, u64::from(count)));
        clock.elapsed().as_secs_f64()
    };
    let mut rows = [const { Vec::new() }; 3];
    for _ in 0..size.rounds {
        let clock = Instant::now();
        assert_eq!(search.lowest(platform, 0..=count - 1), None);
        let bare = clock.elapsed().as_secs_f64();
        let [one, two] = [sealer(&pools[0]), sealer(&pools[1])];
        rows[0].push(f64::from(count) / bare / 1e6);
        rows[1].push(bare / one);
        rows[2].push(one / two);
    }
    let interval = |row: &[f64]| {
        let ratio = median_interval(row, 0.95);
        format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.low, ratio.high)
    };
    println!("  bare kernel: {:.2} MH/s", median(&mut rows[0].clone()));
    println!("  one thread through rayon and the sealer, of the bare kernel: {}", interval(&rows[1]));
    println!("  two threads, times one: {}", interval(&rows[2]));
}
