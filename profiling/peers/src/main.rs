//! 64-byte single hashes, many at a time: every kernel of this machine beside hashtree-rs, in interleaved rounds on the same
//! messages. Fails if a digest differs.

use joulebook::hash::{Digest, Platform, sha256, sha256_each};
use joulebook::measure::{cpu_model, median, median_interval};
use std::hint::black_box;
use std::time::Instant;

const MESSAGES: usize = 16_384;
const ROUNDS: usize = 101;

fn main() {
    hashtree_rs::init();
    println!(
        "{}: SHA-256, once, of {MESSAGES} messages of 64 bytes, {ROUNDS} interleaved rounds, one thread",
        cpu_model()
    );
    let halves: Vec<Digest> = (0..2 * MESSAGES as u64).map(|at| sha256(&at.to_le_bytes())).collect();
    let messages: &[[u8; 64]] = halves.as_flattened().as_chunks().0;
    let expected: Vec<Digest> = messages.iter().map(|message| sha256(message)).collect();
    let mut out = vec![Digest::default(); MESSAGES];

    let theirs = |out: &mut Vec<Digest>| {
        let since = Instant::now();
        hashtree_rs::hash(black_box(out.as_flattened_mut()), black_box(messages.as_flattened()), MESSAGES);
        since.elapsed().as_secs_f64()
    };
    for platform in Platform::available() {
        let ours = |out: &mut Vec<Digest>| {
            let since = Instant::now();
            sha256_each(platform, black_box(messages), black_box(out));
            since.elapsed().as_secs_f64()
        };
        let (mut ratios, mut seconds) = (Vec::new(), [Vec::new(), Vec::new()]);
        for round in 0..ROUNDS {
            let mut times = [0.0; 2];
            // Who goes first changes from round to round.
            for who in [round % 2, (round + 1) % 2] {
                out.fill(Digest::default());
                times[who] = if who == 0 { ours(&mut out) } else { theirs(&mut out) };
                assert!(out == expected, "{platform} or hashtree-rs computes something else");
                seconds[who].push(times[who]);
            }
            ratios.push(times[1] / times[0]);
        }
        let rate = |seconds: &mut Vec<f64>| MESSAGES as f64 / median(seconds) / 1e6;
        let [ours, theirs] = seconds.each_mut().map(rate);
        let ratio = median_interval(&ratios, 0.95);
        println!(
            "{:<9} {ours:6.2} M/s   hashtree-rs {theirs:6.2} M/s   {:.2} x ({:.2} to {:.2})",
            platform.name(),
            ratio.median,
            ratio.low,
            ratio.high
        );
    }
}
