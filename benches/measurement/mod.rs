//! Criterion's wall time, with the counters per iteration printed beside it.
//!
//! What criterion analyses, saves and compares is the wall time alone, so baselines (`--save-baseline NAME`, `--baseline NAME`) are
//! those of any other benchmark. The counters are read outside of what is timed. In a bench program:
//!
//! ```ignore
//! #[path = "measurement/mod.rs"]
//! mod measurement;
//! use measurement::{Counted, print_counters};
//!
//! fn bench(criterion: &mut Criterion<Counted>) {
//!     criterion.bench_function("name", |bencher| bencher.iter(work));
//!     print_counters("name");
//! }
//! criterion_group! { name = all; config = Counted::criterion(); targets = bench }
//! ```

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};
use joulebook::measure::Reading;
use joulebook::measure::counters::{self, CounterReading, Sample, Scope, Source};
use joulebook::report::counter_rows;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// What was counted since the last benchmark was printed.
struct State {
    source: Box<dyn Source>,
    span: Sample,
    wall: Duration,
    /// The times per iteration that criterion showed since then, in ns: lower end, estimate, upper end first of all.
    shown_ns: Vec<f64>,
    reasons_said: bool,
}

thread_local! {
    /// Criterion owns the measurement and gives nobody a look at it. Its benchmarks run on one thread.
    static STATE: RefCell<State> = RefCell::new(State {
        // Of every thread: some benchmarks use a pool.
        source: counters::open(Scope::Process),
        span: Sample::default(),
        wall: Duration::ZERO,
        shown_ns: Vec::new(),
        reasons_said: false,
    });
}

/// Wall time, with counters beside it.
pub struct Counted(WallTime);

impl Counted {
    /// Criterion as it is, but with counters.
    pub fn criterion() -> Criterion<Counted> {
        Criterion::default().with_measurement(Counted(WallTime))
    }
}

impl Measurement for Counted {
    type Intermediate = (Sample, Instant);
    type Value = Duration;

    fn start(&self) -> (Sample, Instant) {
        (STATE.with_borrow_mut(|state| state.source.read()), self.0.start())
    }

    fn end(&self, (before, since): (Sample, Instant)) -> Duration {
        let wall = self.0.end(since);
        STATE.with_borrow_mut(|state| {
            let span = state.source.read().since(&before);
            state.span.add(&span);
            state.wall += wall;
        });
        wall
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        self.0.add(one, other)
    }

    fn zero(&self) -> Duration {
        self.0.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Counted {
    fn format_value(&self, value: f64) -> String {
        STATE.with_borrow_mut(|state| state.shown_ns.push(value));
        self.0.formatter().format_value(value)
    }

    fn format_throughput(&self, throughput: &Throughput, value: f64) -> String {
        self.0.formatter().format_throughput(throughput, value)
    }

    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        self.0.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        self.0.formatter().scale_throughputs(typical, throughput, values)
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        self.0.formatter().scale_for_machines(values)
    }
}

/// Prints what was counted per iteration since the last time, after a benchmark. Criterion does not say how many iterations there
/// were; but it says how long one took, and how long all took is known here. The warm-up is counted, too.
///
/// Nothing is printed where criterion shows no time: under `cargo test`, and for benchmarks that were filtered out.
pub fn print_counters(name: &str) {
    STATE.with_borrow_mut(|state| {
        let (span, wall) = (std::mem::take(&mut state.span), std::mem::take(&mut state.wall));
        let shown_ns = std::mem::take(&mut state.shown_ns);
        let Some(&each_ns) = shown_ns.get(1) else { return };
        let iterations = wall.as_nanos() as f64 / each_ns;
        let mut readings = counters::per_operation(&*state.source, &span, 1);
        for reading in &mut readings {
            if let Reading::Value(value) = &mut reading.per_operation {
                *value /= iterations;
            }
        }
        let (there, missing): (Vec<CounterReading>, Vec<CounterReading>) =
            readings.into_iter().partition(|reading| matches!(reading.per_operation, Reading::Value(_)));
        let rows = counter_rows(&there);
        let figures: Vec<String> = rows.iter().map(|[name, figure]| format!("{name} {figure}")).collect();
        println!("{name}: counters per iteration: {}", figures.join("; "));
        // Once per program, not under each benchmark.
        if !std::mem::replace(&mut state.reasons_said, true) {
            counter_rows(&missing).iter().for_each(|[names, reason]| println!("  {names}: {reason}"));
            state.source.notes().iter().for_each(|note| println!("  note: {note}"));
        }
    });
}
