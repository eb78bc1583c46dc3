//! Many books in one exchange: what a message costs with more books, and what more shards gain.

use super::Progress;
use super::books_report::{BooksReport, BooksResult, BooksSettings};
use super::environment::environment;
use crate::hash::{Sha256, to_hex};
use crate::measure::{median, median_interval};
use crate::optimized::book::Band;
use crate::optimized::exchange::{Action, BookId, BookSpec, Event, Exchange, Message, Terms};
use crate::seal::Watch;
use crate::types::{OrderId, Side, TimeInForce};
use crate::workload::{FlowMessage, FlowShape, Random, crowd};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;
use thiserror::Error;

const ROUNDS: u32 = 7;
const QUICK_ROUNDS: u32 = 3;
const QUICK_SHARE: u32 = 10;

/// The flows stay within it, or some orders are refused.
const SPEC: BookSpec = BookSpec { band: Band { min: 0, max: (1 << 17) - 1, tick: 1 }, orders_max: 1 << 24 };

/// Options of [`run_books`].
#[derive(Clone, Debug)]
pub struct BooksOptions {
    /// Numbers of books, each at least 1.
    pub books: Vec<u32>,
    /// Numbers of shards, each at least 1.
    pub shards: Vec<u32>,
    /// Messages per round, to all books together.
    pub messages: u32,
    /// Messages per batch, at least 1.
    pub batch: u32,
    /// Seed of the flows.
    pub seed: u64,
    /// Interleaved rounds; `None` for the default.
    pub rounds: Option<u32>,
    /// A tenth of the messages, and fewer rounds.
    pub quick: bool,
}

/// Why a run of many books ended without a report.
#[derive(Debug, Error)]
pub enum BooksError {
    /// The number of shards made a difference: a bug, and no figure can be trusted.
    #[error("{books} books: {shards} shards do not do what {others} do ({what}); no figure is valid")]
    Differs {
        /// How many books.
        books: u32,
        /// One number of shards.
        shards: u32,
        /// The other.
        others: u32,
        /// What differs.
        what: &'static str,
    },
}

/// The messages of a round, and those that empty the books again.
struct Load {
    messages: Vec<Message>,
    cleanup: Vec<Message>,
}

/// What a round did.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    digest: String,
    fills: u64,
    events: u64,
    resting: u64,
}

struct Player {
    books: u32,
    shards: u32,
    exchange: Exchange,
    done: Done,
    bytes_per_book: u64,
    seconds: Vec<f64>,
}

/// Plays the same messages on every number of shards and compares the events, then measures in interleaved rounds. When
/// `watch` is cancelled, returns what was measured until then, marked incomplete.
///
/// # Errors
/// If the number of shards makes a difference.
pub fn run_books(
    options: &BooksOptions,
    progress: &mut dyn FnMut(Progress<'_>),
    watch: &Watch,
) -> Result<BooksReport, BooksError> {
    let messages = if options.quick { (options.messages / QUICK_SHARE).max(1) } else { options.messages };
    let rounds = options.rounds.unwrap_or(if options.quick { QUICK_ROUNDS } else { ROUNDS });
    let batch = options.batch as usize;
    let total = options.books.len() as u64 + u64::from(rounds);
    let mut loads = BTreeMap::new();
    let mut players: Vec<Player> = Vec::new();
    for (done, &books) in (0..).zip(&options.books) {
        progress(Progress { doing: &format!("comparing the shards of {books} books"), done, total });
        if watch.is_cancelled() {
            break;
        }
        let (ids, load) = load(books, messages, options.seed);
        let first = players.len();
        for &shards in &options.shards {
            let player = Player::new(shards, &ids, &load, batch);
            players.get(first).map_or(Ok(()), |other| player.compare(other))?;
            players.push(player);
        }
        loads.insert(books, load);
    }
    let mut order: Vec<usize> = (0..players.len()).collect();
    let mut random = Random::new(options.seed, 9);
    for round in 0..rounds {
        progress(Progress { doing: "measuring", done: total - u64::from(rounds - round), total });
        // In another order each round, so that nobody always follows the same one.
        (1..order.len()).rev().for_each(|last| order.swap(last, random.below(last as u64 + 1) as usize));
        if watch.is_cancelled() {
            break;
        }
        for &at in &order {
            let load = &loads[&players[at].books];
            players[at].round(load, batch)?;
        }
    }
    let measured = players.first().map_or(0, |player| player.seconds.len() as u32);
    let results = if measured == 0 { Vec::new() } else { results(&players, messages) };
    let BooksOptions { batch, seed, quick, .. } = *options;
    let threads = rayon::current_num_threads();
    let settings = BooksSettings { messages, batch, seed, rounds: measured, quick, threads };
    let (schema, environment) = (BooksReport::SCHEMA, environment());
    Ok(BooksReport { schema, environment, settings, results, complete: measured == rounds })
}

/// Ids do not depend on the number of shards, so a load is good for every exchange in which nothing but its books was opened.
fn load(books: u32, messages: u32, seed: u64) -> (Vec<BookId>, Load) {
    let mut exchange = Exchange::new(1);
    let ids: Vec<BookId> = (0..books).map(|_| exchange.open_book(SPEC)).collect();
    let flow = crowd(FlowShape::Normal, books, messages, seed);
    let messages: Vec<Message> = flow.iter().map(|(book, message)| translate(ids[*book as usize], message)).collect();
    exchange.apply(&messages);
    let mut cleanup = Vec::new();
    for (&book, side) in ids.iter().flat_map(|id| Side::BOTH.map(|side| (id, side))) {
        exchange.book(book).expect("it is open").walk(side, |_, order| {
            cleanup.push(Message { book, order: OrderId(order.tag.0), action: Action::Cancel });
            ControlFlow::Continue(())
        });
    }
    (ids, Load { messages, cleanup })
}

fn translate(book: BookId, message: &FlowMessage) -> Message {
    let (order, action) = match *message {
        FlowMessage::New { id, side, price, wh, ioc } => {
            let time_in_force = if ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
            (id, Action::Place(Terms { limit: Some(price), time_in_force, ..Terms::new(side, wh) }))
        }
        FlowMessage::Cancel { id } => (id, Action::Cancel),
        FlowMessage::Modify { id, price, wh } => (id, Action::Replace { price, wh }),
    };
    Message { book, order: OrderId(order.into()), action }
}

impl Player {
    /// Opens the books and plays a round with a look at every event, which warms the books, too.
    fn new(shards: u32, ids: &[BookId], load: &Load, batch: usize) -> Player {
        let mut exchange = Exchange::new(shards as usize);
        let opened: Vec<BookId> = ids.iter().map(|_| exchange.open_book(SPEC)).collect();
        assert_eq!(opened, ids, "the same openings give the same ids");
        let mut hash = Sha256::new();
        let (mut fills, mut events) = (0, 0);
        for batch in load.messages.chunks(batch) {
            for (_, caused) in exchange.apply(batch).iter() {
                hash.update(&(caused.len() as u32).to_le_bytes());
                caused.iter().for_each(|event| hash.update(&encode(event)));
                fills += caused.iter().filter(|event| matches!(event, Event::Filled { .. })).count() as u64;
                events += caused.len() as u64;
            }
        }
        let resting = ids.iter().map(|&id| exchange.book(id).expect("it is open").len() as u64).sum();
        let bytes_per_book = (exchange.memory() / ids.len()) as u64;
        let done = Done { digest: to_hex(&hash.finish()), fills, events, resting };
        let mut player =
            Player { books: ids.len() as u32, shards, exchange, done, bytes_per_book, seconds: Vec::new() };
        player.clean_up(load, batch);
        player
    }

    fn clean_up(&mut self, load: &Load, batch: usize) {
        for batch in load.cleanup.chunks(batch) {
            self.exchange.apply(batch);
        }
    }

    fn compare(&self, other: &Player) -> Result<(), BooksError> {
        let same = self.done == other.done;
        let Player { books, shards, .. } = *self;
        let what = "events";
        if same { Ok(()) } else { Err(BooksError::Differs { books, shards, others: other.shards, what }) }
    }

    /// A timed round; the books are empty before it and after it.
    fn round(&mut self, load: &Load, batch: usize) -> Result<(), BooksError> {
        let mut events = 0;
        let clock = Instant::now();
        for batch in load.messages.chunks(batch) {
            events += black_box(self.exchange.apply(batch)).events() as u64;
        }
        self.seconds.push(clock.elapsed().as_secs_f64());
        self.clean_up(load, batch);
        let Player { books, shards, .. } = *self;
        let what = "number of events when timed";
        if events == self.done.events {
            Ok(())
        } else {
            Err(BooksError::Differs { books, shards, others: shards, what })
        }
    }
}

/// An event as 20 bytes: kind, order or refusal, price, quantity, who is done.
fn encode(event: &Event) -> [u8; 20] {
    let (kind, [low, high], price, wh) = match *event {
        Event::Refused(refusal) => (0, [refusal.code(), 0], 0, 0),
        Event::Filled { maker, price, wh, maker_done, taker_done } => {
            let id = [maker.0 as u32, (maker.0 >> 32) as u32];
            (1 | u32::from(maker_done) << 8 | u32::from(taker_done) << 9, id, price, wh)
        }
        Event::Rested { wh } => (2, [0; 2], 0, wh),
        Event::Expired { wh } => (3, [0; 2], 0, wh),
        Event::Cancelled { wh } => (4, [0; 2], 0, wh),
        Event::Replaced { in_place } => (5 | u32::from(in_place) << 8, [0; 2], 0, 0),
    };
    let mut bytes = [0; 20];
    bytes.copy_from_slice([kind, low, high, price as u32, wh].map(u32::to_le_bytes).as_flattened());
    bytes
}

fn results(players: &[Player], messages: u32) -> Vec<BooksResult> {
    let ratio = |above: &Player, below: &Player| {
        let ratios: Vec<f64> = above.seconds.iter().zip(&below.seconds).map(|(above, below)| above / below).collect();
        median_interval(&ratios, 0.95)
    };
    let find = |books: u32, shards: u32| players.iter().find(|other| (other.books, other.shards) == (books, shards));
    let result = |player: &Player| {
        let Player { books, shards, bytes_per_book, .. } = *player;
        let Done { digest, fills, events, resting } = player.done.clone();
        let seconds = median(&mut player.seconds.clone());
        BooksResult {
            books,
            shards,
            messages_per_second: f64::from(messages) / seconds,
            ns_per_message: 1e9 * seconds / f64::from(messages),
            over_one_shard: find(books, 1).map(|one| ratio(one, player)),
            over_one_book: find(1, shards).map(|one| ratio(player, one)),
            fills,
            events,
            resting,
            bytes_per_book,
            digest,
        }
    };
    players.iter().map(result).collect()
}
