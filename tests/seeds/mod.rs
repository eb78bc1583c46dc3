//! Schedules by the thousand, each from its seed, on all cores; and where seeds come from.

use rayon::prelude::*;
use std::time::Instant;

/// A seed from the environment, or from the commit, or a fixed one.
pub fn base_seed() -> u64 {
    let commit = || {
        let mut git = std::process::Command::new("git");
        let output = git.args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let text = std::env::var("JOULEBOOK_SEED").ok().or_else(commit).unwrap_or_else(|| "no commit".to_string());
    let digest = joulebook::hash::sha256(text.as_bytes());
    let base = u64::from_le_bytes(*digest.first_chunk().unwrap());
    println!("base seed {base} of {text:?}");
    base
}

/// The seed of the one schedule that is asked for.
pub fn one_seed() -> u64 {
    std::env::var("JOULEBOOK_SCHEDULE").expect("JOULEBOOK_SCHEDULE=seed").parse().expect("a seed")
}

/// Plays so many schedules from a seed on, and adds up what they say. Panics with the first twenty that are broken.
pub fn play_many<T: Default + std::fmt::Debug + Send>(
    base: u64,
    count: u64,
    play: impl Fn(u64) -> Result<T, String> + Sync + std::panic::RefUnwindSafe,
    add: impl Fn(T, T) -> T + Sync,
) -> T {
    let since = Instant::now();
    let one = |seed| {
        let played = std::panic::catch_unwind(|| play(seed));
        played.unwrap_or_else(|_| Err(format!("seed {seed} panics"))).map_err(|what| vec![what])
    };
    let merge = |a: Result<T, Vec<String>>, b: Result<T, Vec<String>>| match (a, b) {
        (Ok(a), Ok(b)) => Ok(add(a, b)),
        (Err(a), Ok(_)) | (Ok(_), Err(a)) => Err(a),
        (Err(a), Err(b)) => Err(a.into_iter().chain(b).take(20).collect()),
    };
    let seeds = (0..count).into_par_iter().map(|at| base.wrapping_add(at));
    let tally = seeds.map(one).reduce(|| Ok(T::default()), merge).unwrap_or_else(|broken| panic!("{broken:#?}"));
    println!("{tally:#?}\nin {:.1} s", since.elapsed().as_secs_f64());
    tally
}
