//! Everybody plays the same commands: first to see that they do the same, then in interleaved rounds for time.
//!
//! `ns` and `M/s` are medians per command (for a sweep, per fill); a ratio's interval holds the true median with 95 %
//! probability, or says what it reaches. Allocations are those of a warm
//! book, on which the same commands were played before.

mod cases;
pub mod contender;
mod counting;
mod lobster;
mod matchcore;
mod ours;

use cases::{Case, FLOW_SEED, shuffle};
use contender::{Commands, Contender, Depth, Entry, Room, Tally};
use counting::allocations;
use joulebook::hash::to_hex;
use joulebook::measure::{cpu_model, cpus, median, median_interval};
use joulebook::types::{Side, Ticks};
use joulebook::workload::{FlowMessage, FlowShape, Random, flow_digest};
use std::hint::black_box;
use std::time::Instant;

/// Ours, and the peers that build with the Rust that joulebook asks for.
pub const ENTRIES: &[Entry] = &[
    Entry::of::<ours::Ours>("joulebook"),
    Entry { known: Some(BEYOND), ..Entry::of::<matchcore::MatchCore>("matchcore") },
    // Every price that was ever used stays in its map, and is walked over: up to 50 us per message in a whole flow.
    Entry { whole_flows: false, ..Entry::of::<lobster::Lobster>("lobster") },
];

const BEYOND: &str = "an order that trades goes on beyond its limit";

/// How much is done.
pub struct Size {
    rounds: usize,
    /// Orders that rest before the single operations.
    resting: u32,
    operations: u32,
    flow_orders: u32,
    /// Messages of a flow that everybody plays.
    flow_start: usize,
    flow_rounds: usize,
}

/// A book is warm after so many times at the latest.
const WARM_UPS: usize = 20;

/// To measure.
pub const FULL: Size = Size {
    rounds: 21,
    resting: 10_000,
    operations: 10_000,
    flow_orders: 1_000_000,
    flow_start: 20_000,
    flow_rounds: 7,
};
/// To see whether it works.
pub const SMOKE: Size =
    Size { rounds: 2, resting: 200, operations: 100, flow_orders: 2_000, flow_start: 500, flow_rounds: 1 };

/// Compares all entries, the first of which is ours, in every case whose name contains the command line's word.
pub fn run(entries: &[Entry], size: &Size) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("{}, {} CPUs", cpu_model(), cpus());
    for case in Case::operations(size).iter().filter(|case| case.name.contains(&wanted)) {
        println!("\n{}, {} orders resting beside", case.name, case.base.len());
        compare(case, size.rounds, entries);
    }
    let patient: Vec<Entry> = entries.iter().filter(|entry| entry.whole_flows).copied().collect();
    for shape in FlowShape::ALL.into_iter().filter(|shape| format!("{} flow", shape.name()).contains(&wanted)) {
        let messages = shape.messages(size.flow_orders, FLOW_SEED);
        for (part, entries) in [(&messages[..], &patient[..]), (&messages[..size.flow_start], entries)] {
            let digest = &to_hex(&flow_digest(part))[..16];
            println!("\n{} flow, {} messages from an empty book on, digest {digest}", shape.name(), part.len());
            compare(&Case::flow(shape.name(), part), size.flow_rounds, entries);
        }
    }
}

/// What somebody did with a case.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Done {
    tally: Tally,
    depth: Depth,
}

struct Player {
    entry: Entry,
    book: Box<dyn Contender>,
    done: Done,
    allocations: u64,
    seconds: Vec<f64>,
}

fn compare(case: &Case, rounds: usize, entries: &[Entry]) {
    let room = case.room(rounds + WARM_UPS);
    let mut players: Vec<Player> = entries.iter().map(|&entry| Player::warm(entry, case, room)).collect();
    assert_eq!(players[0].allocations, 0, "{}: a warm book allocates", case.name);
    for other in &players[1..] {
        assert!(
            other.done == players[0].done || other.entry.known.is_some(),
            "{}: {} did something else",
            case.name,
            other.entry.name
        );
    }
    let (mut order, mut random): (Vec<usize>, _) = ((0..players.len()).collect(), Random::new(7, 2));
    for _ in 0..rounds {
        // In another order each round, so that nobody always follows the same one.
        shuffle(&mut order, &mut random);
        order.iter().for_each(|&at| players[at].round(case, room));
    }
    let fills = players[0].done.tally.fills;
    let per = if case.timed.len() == 1 { fills } else { case.timed.len() as u64 } as f64;
    for player in &players {
        let ns = 1e9 * median(&mut player.seconds.clone()) / per;
        let ratios: Vec<f64> = player.seconds.iter().zip(&players[0].seconds).map(|(own, ours)| own / ours).collect();
        let ratio = median_interval(&ratios, 0.95);
        println!(
            "  {:<13}{ns:>9.1} ns {:>7.2} M/s {:>7.2} x ({:.2} to {:.2}, {:.1} %) {:>6.2} allocations",
            player.entry.name,
            1e3 / ns,
            ratio.median,
            ratio.low,
            ratio.high,
            100.0 * ratio.confidence,
            player.allocations as f64 / per,
        );
    }
    let Done { tally, depth } = players[0].done;
    println!("  {} fills, {} Wh, digest {:016x}", tally.fills, tally.wh, tally.digest);
    println!("  {} levels, {} Wh left, digest {:016x}", depth.levels, depth.wh, depth.digest);
    for other in players.iter().filter(|player| player.done != players[0].done) {
        explain(other, entries[0], case, room);
    }
}

impl Player {
    /// Plays a case again and again on one book, until it allocates nothing or as often as the time before. What is
    /// done must be the same each time.
    fn warm(entry: Entry, case: &Case, room: Room) -> Player {
        let mut book = (entry.new)(room);
        book.play(&case.base, &mut Tally::default());
        let mut once = || {
            book.play(&case.before, &mut Tally::default());
            let before = allocations();
            let mut tally = Tally::default();
            book.carry_out(&case.timed, &mut tally);
            let allocations = allocations() - before;
            let done = Done { tally, depth: book.depth() };
            book.play(&case.after, &mut Tally::default());
            (done, allocations)
        };
        let (done, mut allocations) = once();
        for _ in 1..WARM_UPS {
            let (again, now) = once();
            assert!(done == again, "{}: {} does something else when repeated", case.name, entry.name);
            let settled = now == 0 || now == allocations;
            allocations = now;
            if settled {
                break;
            }
        }
        Player { entry, book, done, allocations, seconds: Vec::new() }
    }

    fn round(&mut self, case: &Case, room: Room) {
        if case.fresh {
            self.book = (self.entry.new)(room);
            self.book.play(&case.base, &mut Tally::default());
        }
        self.book.play(&case.before, &mut Tally::default());
        let mut tally = Tally::default();
        let clock = Instant::now();
        self.book.carry_out(black_box(&case.timed), &mut tally);
        self.seconds.push(clock.elapsed().as_secs_f64());
        assert_eq!(tally, self.done.tally, "{}: {} does something else when timed", case.name, self.entry.name);
        self.book.play(&case.after, &mut Tally::default());
    }
}

/// Says how what somebody did differs from what we did.
fn explain(other: &Player, ours: Entry, case: &Case, room: Room) {
    let Done { tally, depth } = other.done;
    println!("  {} differs: {}", other.entry.name, other.entry.known.unwrap_or("nobody knows why"));
    println!("    {} fills, {} Wh; {} levels, {} Wh left", tally.fills, tally.wh, depth.levels, depth.wh);
    let Commands::Messages(messages) = &case.timed else { return };
    let mut books = [(ours.new)(room), (other.entry.new)(room)];
    for book in &mut books {
        book.play(&case.base, &mut Tally::default());
        book.play(&case.before, &mut Tally::default());
    }
    let mut tallies = [Tally::default(); 2];
    let mut beyond = [0; 2];
    let mut first = None;
    let sides = case.sides();
    for (at, message) in messages.iter().enumerate() {
        for (one, (book, tally)) in books.iter_mut().zip(&mut tallies).enumerate() {
            let before = tally.fills;
            book.play(std::slice::from_ref(message), tally);
            beyond[one] += u64::from(tally.fills > before && is_beyond(*message, &sides, tally.last_price));
        }
        if first.is_none() && tallies[0] != tallies[1] {
            first = Some(at);
        }
    }
    let first = first.map_or("none".into(), |at| at.to_string());
    println!("    {} orders filled beyond their limits (ours: {}); first at command {first}", beyond[1], beyond[0]);
}

/// Whether the last fill of a message is at a price that its order does not accept.
fn is_beyond(message: FlowMessage, sides: &[Side], last: Ticks) -> bool {
    let (FlowMessage::New { id, price, .. } | FlowMessage::Modify { id, price, .. }) = message else { return false };
    match sides[id as usize] {
        Side::Buy => last > price,
        Side::Sell => last < price,
    }
}
