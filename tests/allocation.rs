//! A warm optimized engine does not allocate, and memory grows linearly with orders and accounts. Measured with an allocator
//! that counts. `cargo test --test allocation -- --nocapture` prints the bytes per order and per account.
#![allow(unsafe_code)]

use joulebook::block::StateTree;
use joulebook::command::{Batch, Command};
use joulebook::engine::{AccountRecord, Engine};
use joulebook::event::EventLog;
use joulebook::hash::Hashing;
use joulebook::optimized::Optimized;
use joulebook::optimized::book::{Band, Book, Tag};
use joulebook::optimized::exchange::{Action, BookId, BookSpec, Exchange, Message, Terms};
use joulebook::types::{AccountId, Limits, OrderId, Rules, Side};
use joulebook::workload::{InitialOrders, Population, Query, Random, Stream};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);
/// The counters are the process's: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above. Passed on, so that big zeroed columns stay lazily zeroed.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above, that is from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

fn live_bytes() -> u64 {
    LIVE_BYTES.load(Ordering::Relaxed)
}

struct Machine {
    engine: Optimized,
    next: u64,
    log: EventLog,
}

impl Machine {
    fn new(rules: Rules) -> Self {
        Machine { engine: Optimized::new(rules), next: 1, log: EventLog::default() }
    }

    fn apply(&mut self, commands: &[Command]) -> u32 {
        let mut accepted = 0;
        for batch in commands.chunks(256) {
            self.log.clear();
            accepted += self.engine.apply(Batch { first: self.next, time: 0, commands: batch }, &mut self.log);
            self.next += batch.len() as u64;
        }
        accepted
    }
}

/// Writes with the same prices, and cancels of everything that rests at the end.
#[test]
fn a_warm_engine_does_not_allocate() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let population = Population { users: 100, orders: 50, seed: 1 };
    let stream = Stream::writes(population, 200_000);
    let mut machine = Machine::new(stream.rules);
    machine.apply(&stream.setup);
    let orders: Vec<Command> = stream.commands.iter().filter(|c| matches!(c, Command::Place(_))).copied().collect();
    let mut cancels = Vec::new();
    let round = |machine: &mut Machine, cancels: &mut Vec<Command>| {
        let before = allocations();
        let accepted = machine.apply(&orders);
        let while_placing = allocations() - before;
        cancels.clear();
        for side in Side::BOTH {
            machine.engine.for_each_order(side, |order| {
                cancels.push(Command::Cancel { account: order.account, order: order.order });
            });
        }
        let before = allocations();
        assert_eq!(machine.apply(cancels) as usize, cancels.len());
        (accepted, while_placing + allocations() - before)
    };
    let (_, cold) = round(&mut machine, &mut cancels);
    assert!(cold > 0, "a cold engine allocates: the counter works");
    // The balances differ now, and with them nothing that the book sees: the second round does what the first did.
    let (accepted, warm) = round(&mut machine, &mut cancels);
    assert!(accepted > 100_000);
    assert_eq!(warm, 0, "allocations in {} warm commands", orders.len() + cancels.len());
    let before = allocations();
    let mut random = Random::new(1, 1);
    let mut sum = 0u64;
    for _ in 0..100_000 {
        sum = sum.wrapping_add(Query::random(&mut random, &population).answer(&machine.engine));
    }
    black_box(sum);
    assert_eq!(allocations(), before, "reads do not allocate");
}

#[test]
fn a_feed_does_not_allocate() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let stream = Stream::writes(Population { users: 100, orders: 50, seed: 1 }, 1_000);
    let mut machine = Machine::new(stream.rules);
    machine.apply(&stream.setup[..200]);
    let (mut feed, mut reader) = joulebook::feed::feed(1 << 8);
    let (before, mut read) = (allocations(), 0);
    for _ in 0..100 {
        feed.publish(1, &machine.log).expect("there is room");
        read += reader.drain(1 << 8, |entry| _ = black_box(entry));
    }
    assert_eq!((allocations(), read), (before, 100 * machine.log.events.len()));
}

/// `Book::memory` is what the allocator gave, once the reserved address space is in use; and a few levels take little of it.
#[test]
fn a_book_says_what_it_allocates() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = live_bytes();
    // As many orders and levels as there is room for, so far from each other that they use all leaves that are reserved.
    let mut book = Book::new(Band { min: -50_000, max: 400_000, tick: 1 }, 4_224);
    let mut handles = Vec::with_capacity(4_224);
    for number in 0..4_224 {
        let step = 32 * (number % 512);
        let price = [20_000 - step, 20_000 + step][number as usize % 2];
        handles.push(book.insert(Side::BOTH[number as usize % 2], price, 1, Tag::default()));
    }
    let allocated = (live_bytes() - before) as usize - size_of::<u32>() * handles.capacity();
    let said = book.memory() - size_of::<Book>();
    println!("a book of 4,224 orders at 512 prices: {said} bytes, allocated {allocated}");
    // The test runner starts threads meanwhile.
    assert!(said.abs_diff(allocated) < 4 << 10, "{said} bytes, allocated {allocated}");
    handles.into_iter().for_each(|handle| assert_eq!(book.remove(handle).wh, 1));
    assert!(book.is_empty() && book.memory() == said + size_of::<Book>());
    // As many at 42 prices beside each other.
    let mut few = Book::new(Band { min: -50_000, max: 400_000, tick: 1 }, 512);
    for number in 0..512 {
        let price = [19_980, 20_000][number as usize % 2] + number / 25;
        few.insert(Side::BOTH[number as usize % 2], price, 1, Tag::default());
    }
    assert!(few.memory() < 64 << 10, "{} bytes", few.memory());
}

/// `Optimized::memory` grows by what the allocator gives, but for the book's arena, which is reserved as a whole: 36 bytes of it are
/// an order's, or a level's.
#[test]
fn an_engine_says_what_it_allocates() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let bytes = |users: u32, orders: u32| {
        let population = Population { users, orders, seed: 6 };
        let setup = population.setup(InitialOrders::OffBand);
        let limits = Limits { accounts: users + 1, orders: 1 << 17 };
        let before = live_bytes();
        let mut machine = Machine::new(Rules { limits, ..population.rules(0) });
        machine.apply(&setup);
        machine.log = EventLog::default();
        let allocated = (live_bytes() - before) as f64;
        let mut levels = BTreeSet::new();
        for side in Side::BOTH {
            machine.engine.for_each_order(side, |order| {
                levels.insert(order.price);
            });
        }
        let of_arena = 36.0 * f64::from(orders + levels.len() as u32);
        (machine.engine.memory() as f64 - of_arena, allocated)
    };
    let (small, accounts, orders) = (bytes(20_000, 10_000), bytes(80_000, 10_000), bytes(20_000, 110_000));
    let [said, allocated] = [[accounts.0 - small.0, orders.0 - small.0], [accounts.1 - small.1, orders.1 - small.1]];
    println!("60,000 accounts and 100,000 orders more: {said:.0?} bytes, allocated {allocated:.0?}");
    assert!(said.iter().zip(&allocated).all(|(said, allocated)| (0.99..1.01).contains(&(said / allocated))));
}

#[test]
fn memory_grows_linearly_with_orders() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let bytes = |orders: u32| {
        let population = Population { users: 1_000, orders, seed: 2 };
        let setup = population.setup(InitialOrders::OffBand);
        let before = live_bytes();
        let mut machine = Machine::new(Rules { limits: Limits { accounts: 1_001, orders }, ..population.rules(0) });
        assert_eq!(machine.apply(&setup) as usize, setup.len());
        assert_eq!(machine.engine.stats().open_orders, orders);
        machine.log = EventLog::default();
        live_bytes() - before
    };
    let (none, quarter, half, full) = (bytes(1), bytes(250_000), bytes(500_000), bytes(1_000_000));
    let per_order = |total: u64, orders: u64| (total - none) as f64 / orders as f64;
    let figures = [per_order(quarter, 250_000), per_order(half, 500_000), per_order(full, 1_000_000)];
    println!("bytes per resting order at 250,000 / 500,000 / 1,000,000: {figures:.1?}; fixed: {none} bytes");
    assert!(figures.iter().all(|&bytes| bytes <= 64.0), "{figures:?}");
}

/// Orders that come and go must not leave memory behind: levels' queues hold marks of removed orders, and ids of orders that
/// stay move to a second table. Both are bounded by the orders that rest.
#[test]
fn memory_per_order_stays_bounded_under_churn() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let stream = Stream::writes(Population { users: 1_000, orders: 250_000, seed: 4 }, 4_000_000);
    let mut figures = Vec::new();
    let before = live_bytes();
    let mut machine = Machine::new(stream.rules);
    let reserved = live_bytes() - before;
    machine.apply(&stream.setup);
    for commands in stream.commands.chunks(1_000_000) {
        machine.apply(commands);
        machine.log = EventLog::default();
        let orders = u64::from(machine.engine.stats().open_orders);
        // The arena is reserved as a whole; 36 bytes of it are an order's.
        figures.push((live_bytes() - before - reserved) as f64 / orders as f64 + 36.0);
    }
    println!("bytes per resting order after 1 / 2 / 3 / 4 million writes on 250,000: {figures:.1?}");
    assert!(figures.iter().all(|&bytes| bytes <= 112.0), "{figures:?}");
}

#[test]
fn memory_grows_linearly_with_accounts() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let bytes = |users: u32| {
        let population = Population { users, orders: 0, seed: 3 };
        let setup = population.setup(InitialOrders::OffBand);
        let before = live_bytes();
        let mut machine = Machine::new(population.rules(0));
        assert_eq!(machine.apply(&setup) as usize, setup.len());
        machine.log = EventLog::default();
        let mut tree = StateTree::new();
        {
            let mut changed = Vec::new();
            machine.engine.take_changed(&mut changed);
            assert_eq!(changed.len(), users as usize + 1);
            let mut records: Vec<(u32, [u8; AccountRecord::ENCODED_LEN])> =
                changed.iter().map(|record| (record.account.0, record.encode())).collect();
            tree.update(&mut records, Hashing::on_one_core());
        }
        assert!(machine.engine.balances(AccountId(users)).is_some());
        let total = live_bytes() - before;
        black_box((&machine.engine, &tree));
        total
    };
    let (none, quarter, half, full) = (bytes(2), bytes(250_000), bytes(500_000), bytes(1_000_000));
    let per_account = |total: u64, accounts: u64| (total - none) as f64 / accounts as f64;
    let figures = [per_account(quarter, 250_000), per_account(half, 500_000), per_account(full, 1_000_000)];
    println!(
        "bytes per account, state tree included, at 250,000 / 500,000 / 1,000,000: {figures:.1?}; fixed: {none} bytes"
    );
    assert!(figures.iter().all(|&bytes| bytes <= 192.0), "{figures:?}");
}

/// On one shard. With more, the thread pool takes a note per batch and further shard.
#[test]
fn a_warm_exchange_does_not_allocate() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut exchange = Exchange::new(1);
    let spec = BookSpec { band: Band { min: 0, max: 1_000, tick: 1 }, orders_max: 10_000 };
    let books: Vec<BookId> = (0..300).map(|_| exchange.open_book(spec)).collect();
    let mut random = Random::new(5, 0);
    let mut messages: Vec<Message> = (0..100_000)
        .map(|order| {
            let side = Side::BOTH[random.below(2) as usize];
            let limit = Some(500 + random.between(-40, 40));
            let action = Action::Place(Terms { limit, ..Terms::new(side, random.between(1, 50) as u32) });
            Message { book: books[random.below(300) as usize], order: OrderId(order), action }
        })
        .collect();
    let cancels: Vec<Message> = messages.iter().map(|place| Message { action: Action::Cancel, ..*place }).collect();
    messages.extend(cancels);
    let mut round = || {
        let before = allocations();
        let mut events = 0;
        for batch in messages.chunks(8_192) {
            events += exchange.apply(batch).iter().map(|(_, events)| events.len()).sum::<usize>();
        }
        (events, allocations() - before)
    };
    assert!(round().1 > 0, "a cold exchange allocates: the counter works");
    // The books are empty again, and have all that they need.
    assert!(round().0 > 200_000);
    assert_eq!(round().1, 0);
}
