//! The command line.

use clap::{Parser, ValueEnum};
use joulebook::workload::FlowShape;

const AFTER_HELP: &str = "\
An ENGINE is a shared library for the challenge's harness. Two joulebook
engines are among the examples; build them as profiling/challenge.sh does:

  RUSTFLAGS='-C target-cpu=native' CARGO_TARGET_DIR=target/challenge \\
      cargo build --release --example challenge_own_ring \\
      --example challenge_harness_ring
  cargo run --release --example challenge_paced -- \\
      target/challenge/release/examples/libchallenge_own_ring.so \\
      target/challenge/release/examples/libchallenge_harness_ring.so

First, three times: all messages at once, as fast as the engine takes them.
Then, in so many rounds: message i is due i / rate after the beginning,
whether or not the engine is ready for it, and its latency is from that moment
until another thread has the first report about it. So what waits because an
earlier message took long is not forgotten. All messages that are due are
handed over together, as one batch if the engine takes batches, and then
flushed (engine_flush and the transport's flush).

Each run is a process of its own, and the engines take turns. Two rows of the
table are no engines. `nothing` acknowledges each message and has no book, at
the highest rate of the others: what the rest of the way takes. `idle CPUs`
are two threads that only look at the clock: how long a message that takes no
time would wait because one of the two was halted by the system or by the
machine below it. No engine can be measured below that.

Compare engines at one rate (--rate), and read p99.9 beside those two rows.

Exit codes: 0 all is well, 1 an engine failed or reported something else than
the first one, 2 bad usage or a file that cannot be played.";

/// Takes the latency of each message at a fixed rate, for engines behind the C interface of the public matching challenge
/// (flash1-dev/matching-engine-benchmark).
#[derive(Clone, Debug, Parser)]
#[command(name = "challenge_paced", after_help = AFTER_HELP, max_term_width = 120)]
pub struct Args {
    /// Shared libraries, each an engine of the challenge
    #[arg(required = true, value_name = "ENGINE.so")]
    pub engines: Vec<String>,

    /// Play only: as fast as it goes (--rounds times), or at the given --rate. Default: both
    #[arg(long, value_name = "LOAD")]
    pub load: Option<LoadKind>,

    /// Messages per second, in millions, for all engines. Default: half of what each took as fast as it goes
    #[arg(long, value_name = "M/s", value_parser = rate)]
    pub rate: Option<f64>,

    /// The shape of the flow, more than once for more of them. Default: all five
    #[arg(long = "shape", value_name = "SHAPE", value_parser = shape)]
    pub shapes: Vec<FlowShape>,

    /// Orders in the flow; about twice as many messages
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    pub orders: u32,

    /// The flow's seed
    #[arg(long, default_value_t = 67)]
    pub seed: u64,

    /// Rounds: runs of each engine and shape at the rate
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,

    /// Runs at the rate from which one is chosen for each round: the first one from which the system took hardly any time for other
    /// programs, or else the one from which it took the least ("no CPU us" in the table). For machines that are not left alone.
    /// It says nothing about an engine that has threads of its own on the same CPUs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub tries: u32,

    /// The first messages, in percent of all, whose latencies are left out: an engine touches its memory for the first time there
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=90))]
    pub warm_up: u32,

    /// Reports that may be in flight. A smaller ring stays in the caches, and holds up an engine whose reader was halted
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1_024..=1 << 24))]
    pub capacity: u32,

    /// CPUs of the matcher and of the drainer
    #[arg(long, value_name = "M,D", default_value = "0,1", value_parser = cores)]
    pub cores: (usize, usize),

    /// What this process is to do for the one that started it
    #[arg(long, hide = true)]
    pub errand: Option<Errand>,

    /// The rate of that errand, in messages per second
    #[arg(long, hide = true, default_value_t = 0.0)]
    pub per_second: f64,
}

/// What to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadKind {
    /// As fast as it goes
    Max,
    /// Each message when it is due
    Paced,
}

/// What a process does that plays one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Errand {
    /// Say whether it can be played.
    Open,
    /// Play it as fast as it goes.
    Max,
    /// Play it at the rate.
    Paced,
    /// Look at the clock only.
    Idle,
}

impl Args {
    /// The command line, with what options ask of each other.
    ///
    /// # Errors
    /// Two options do not go together; in words.
    pub fn checked(mut self) -> Result<Args, String> {
        if self.shapes.is_empty() {
            self.shapes = FlowShape::ALL.to_vec();
        }
        match (self.load, self.rate) {
            (Some(LoadKind::Paced), None) => {
                Err("--load paced needs a --rate: half of what goes through is known only \
                                                  after --load max, so leave --load out"
                    .into())
            }
            (Some(LoadKind::Max), Some(_)) => Err("--load max has no --rate: all messages are there at once".into()),
            _ => Ok(self),
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1e-3..=1e3).contains(&rate) => Ok(rate),
        _ => Err("it is no number of millions per second from 0.001 to 1000".into()),
    }
}

fn shape(text: &str) -> Result<FlowShape, String> {
    FlowShape::ALL.into_iter().find(|shape| shape.name() == text).ok_or_else(|| {
        let names = FlowShape::ALL.map(FlowShape::name).join(", ");
        format!("there are: {names}")
    })
}

fn cores(text: &str) -> Result<(usize, usize), String> {
    let two = text.split_once(',').and_then(|(matcher, drainer)| Some((matcher.parse().ok()?, drainer.parse().ok()?)));
    match two {
        Some((matcher, drainer)) if matcher == drainer => {
            Err("both threads turn all the time: each needs a CPU of its own".into())
        }
        Some(two) => Ok(two),
        None => Err("two numbers of CPUs are wanted, as in 0,1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &str) -> Result<Args, String> {
        let arguments = ["challenge_paced"].into_iter().chain(arguments.split_whitespace());
        Args::try_parse_from(arguments).map_err(|error| error.to_string()).and_then(Args::checked)
    }

    #[test]
    fn defaults() {
        Args::command().debug_assert();
        let args = parse("a.so").unwrap();
        assert_eq!((args.orders, args.rounds, args.cores, args.rate), (1_000_000, 6, (0, 1), None));
        assert_eq!(args.shapes, FlowShape::ALL);
        let args = parse("a.so b.so --shape swing-25 --shape static --rate 2.5 --cores 3,2 --load paced").unwrap();
        assert_eq!(args.shapes, [FlowShape::Swing25, FlowShape::Static]);
        assert_eq!((args.engines.len(), args.rate, args.cores), (2, Some(2.5), (3, 2)));
    }

    #[test]
    fn errors_say_what_is_wanted() {
        for (arguments, said) in [
            ("", "ENGINE.so"),
            ("a.so --rate fast", "millions per second"),
            ("a.so --rate 0", "millions per second"),
            ("a.so --rate NaN", "millions per second"),
            ("a.so --shape calm", "static, normal, swing-25, swing-40, flash-crash"),
            ("a.so --cores 1", "as in 0,1"),
            ("a.so --cores 1,1", "a CPU of its own"),
            ("a.so --rounds 0", "1..=1000"),
            ("a.so --warm-up 100", "0..=90"),
            ("a.so --capacity 1", "1024..=16777216"),
            ("a.so --orders 0", "1..=20000000"),
            ("a.so --load paced", "needs a --rate"),
            ("a.so --load max --rate 1", "no --rate"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(said), "{arguments}: {error}");
        }
    }
}
