//! An exchange does what books that know nothing of each other do, one message after the other, whatever its shards and
//! batches are.

mod naive_books;

use joulebook::optimized::book::{Band, Refused};
use joulebook::optimized::exchange::{
    Action, BookId, BookSpec, CloseRefused, Event, Exchange, Message, Refusal, Terms,
};
use joulebook::types::{OrderId, Side, Ticks, TimeInForce, Wh};
use joulebook::workload::Random;
use naive_books::NaiveBooks;
use std::collections::{BTreeMap, BTreeSet};

const SPEC: BookSpec = BookSpec { band: Band { min: -200, max: 800, tick: 2 }, orders_max: 16 };

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn random_message(random: &mut Random, books: &[BookId], orders: u64) -> Message {
    let limit = |random: &mut Random| match random.below(40) {
        0 => random.between(-300, 900),
        1 => Ticks::MIN,
        2 => Ticks::MAX,
        _ => 300 + 2 * random.between(-12, 12),
    };
    let wh = |random: &mut Random| if random.percent(2) { 0 } else { random.between(1, 60) as Wh };
    let action = match random.below(10) {
        0..6 => Action::Place(Terms {
            side: pick(random, &Side::BOTH),
            limit: if random.percent(10) { None } else { Some(limit(random)) },
            wh: wh(random),
            time_in_force: pick(random, &[TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]),
            post_only: random.percent(10),
        }),
        6..8 => Action::Cancel,
        _ => Action::Replace { price: limit(random), wh: wh(random) },
    };
    // The high half of an id counts, too.
    let order = OrderId(random.below(orders) | random.below(3) << 32);
    Message { book: pick(random, books), order, action }
}

/// All events, with their messages' numbers: what must be the same.
type Story = Vec<(usize, Event)>;

fn tell(exchange: &mut Exchange, messages: &[Message], first: usize, story: &mut Story) {
    let outcome = exchange.apply(messages);
    let before = story.len();
    for (at, (message, events)) in outcome.iter().enumerate() {
        assert_eq!(message, &messages[at]);
        assert!(!events.is_empty(), "a message causes an event");
        story.extend(events.iter().map(|&event| (first + at, event)));
    }
    assert_eq!(story.len() - before, outcome.events());
}

fn kind(event: &Event) -> String {
    format!("{event:?}").split([' ', '{']).next().unwrap().to_string()
}

#[test]
fn an_exchange_is_many_books() {
    // One shard asks ahead for the memory of 60, whatever their messages say, and not for that of 5.
    for books in [1, 5, 60] {
        let mut random = Random::new(11, books);
        let mut first = Exchange::new(1);
        let mut ids: Vec<BookId> = (0..books).map(|_| first.open_book(SPEC)).collect();
        let open = ids.clone();
        // Two that are not open: one was never, one is closed.
        ids.push(first.open_book(SPEC));
        ids.push(first.open_book(SPEC));
        let messages: Vec<Message> =
            (0..60_000).map(|_| random_message(&mut random, &ids, 30 + 6_000 / books)).collect();
        let mut naive = NaiveBooks::new(SPEC);
        open.iter().for_each(|&id| naive.open(id));
        let mut expected: Story = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            expected.extend(naive.carry_out(message).into_iter().map(|event| (at, event)));
        }
        let kinds: BTreeSet<String> = expected.iter().map(|(_, event)| kind(event)).collect();
        assert!(kinds.len() >= 6, "{kinds:?}");
        for shards in [1, 2, 3, 7] {
            for batch in [1, 7, 1_000, 60_000] {
                // One message at a time over the threads is slow, and shows nothing new.
                let messages = if batch == 1 { &messages[..3_000] } else { &messages };
                let mut exchange = Exchange::new(shards);
                assert_eq!((0..books).map(|_| exchange.open_book(SPEC)).collect::<Vec<_>>(), open);
                exchange.open_book(SPEC);
                exchange.close_book(ids[books as usize]).unwrap();
                let mut story = Vec::new();
                for (at, part) in messages.chunks(batch).enumerate() {
                    tell(&mut exchange, part, at * batch, &mut story);
                }
                let same = story.iter().zip(&expected).position(|(found, wanted)| found != wanted);
                assert_eq!(same, None, "{books} books, {shards} shards, batches of {batch}");
                assert_eq!(story.len(), expected.partition_point(|(at, _)| *at < messages.len()));
                for &id in &open {
                    exchange.book(id).unwrap().check_invariants();
                    if batch > 1 {
                        assert_eq!(exchange.book(id).unwrap().len(), naive.resting(id).len());
                    }
                }
            }
        }
    }
}

#[test]
fn every_event_and_every_refusal_occurs() {
    let mut random = Random::new(12, 0);
    let mut exchange = Exchange::new(2);
    let mut ids: Vec<BookId> = (0..3).map(|_| exchange.open_book(SPEC)).collect();
    ids.push(Exchange::new(1).open_book(SPEC));
    exchange.close_book(ids[0]).unwrap();
    ids.push(exchange.open_book(SPEC));
    let messages: Vec<Message> = (0..100_000).map(|_| random_message(&mut random, &ids, 60)).collect();
    let mut story = Vec::new();
    tell(&mut exchange, &messages, 0, &mut story);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    story.iter().for_each(|(_, event)| {
        let name = if let Event::Refused(refusal) = event { format!("{refusal:?}") } else { kind(event) };
        *counts.entry(name).or_default() += 1;
    });
    let book = [
        Refused::ZeroQuantity,
        Refused::OutOfBand,
        Refused::OffTick,
        Refused::ConflictingTerms,
        Refused::Full,
        Refused::WouldTrade,
        Refused::NotFillable,
    ];
    let own = [Refusal::UnknownBook, Refusal::UnknownOrder, Refusal::IdInUse];
    let refusals = own.into_iter().chain(book.map(Refusal::Book)).map(|refusal| format!("{refusal:?}"));
    let others = ["Filled", "Rested", "Expired", "Cancelled", "Replaced"].map(String::from);
    for wanted in refusals.chain(others) {
        assert!(counts.get(&wanted).is_some_and(|&count| count > 10), "{wanted} is rare: {counts:?}");
    }
}

#[test]
fn books_open_and_close_between_batches() {
    let play = |shards: usize| {
        let mut random = Random::new(13, 0);
        let (mut exchange, mut naive) = (Exchange::new(shards), NaiveBooks::new(SPEC));
        let (mut open, mut closed): (Vec<BookId>, Vec<BookId>) = (Vec::new(), Vec::new());
        let (mut story, mut refused) = (Vec::new(), 0);
        for round in 0..400 {
            if open.len() < 3 || random.percent(40) && open.len() < 25 {
                let id = exchange.open_book(SPEC);
                assert!(!closed.contains(&id), "an id is given once");
                naive.open(id);
                open.push(id);
            } else if random.percent(50) {
                // Some with orders in them, which are cancelled first.
                let id = open.swap_remove(random.below(open.len() as u64) as usize);
                let orders = naive.resting(id);
                if !orders.is_empty() {
                    assert_eq!(exchange.close_book(id), Err(CloseRefused::OrdersRest(orders.len())));
                    refused += 1;
                }
                let cancels: Vec<Message> =
                    orders.iter().map(|&order| Message { book: id, order, action: Action::Cancel }).collect();
                tell(&mut exchange, &cancels, 0, &mut story);
                cancels.iter().for_each(|message| drop(naive.carry_out(message)));
                assert_eq!(exchange.close_book(id), Ok(()));
                assert_eq!(exchange.close_book(id), Err(CloseRefused::UnknownBook));
                naive.close(id);
                closed.push(id);
            }
            // Late messages to closed books, too.
            let ids: Vec<BookId> = open.iter().copied().chain(closed.iter().rev().take(3).copied()).collect();
            let messages: Vec<Message> = (0..200).map(|_| random_message(&mut random, &ids, 40)).collect();
            let mut told = Vec::new();
            tell(&mut exchange, &messages, 0, &mut told);
            let wanted: Story = messages
                .iter()
                .enumerate()
                .flat_map(|(at, message)| naive.carry_out(message).into_iter().map(move |event| (at, event)))
                .collect();
            assert!(told == wanted, "round {round}, {shards} shards");
            story.extend(told);
            assert_eq!(exchange.books(), open.len());
        }
        assert!(refused > 20 && closed.len() > 50);
        (story, open, closed)
    };
    let one = play(1);
    assert!([2, 3, 7].iter().all(|&shards| play(shards) == one));
}

#[test]
fn an_exchange_without_books_or_messages() {
    let mut exchange = Exchange::new(3);
    assert_eq!(exchange.apply(&[]).iter().count(), 0);
    let lost = Message { book: Exchange::new(1).open_book(SPEC), order: OrderId(1), action: Action::Cancel };
    let outcome = exchange.apply(std::slice::from_ref(&lost));
    assert_eq!(outcome.iter().next().unwrap().1, [Event::Refused(Refusal::UnknownBook)]);
    assert_eq!(exchange.apply(&[]).events(), 0);
    assert_eq!(exchange.close_book(lost.book), Err(CloseRefused::UnknownBook));
    assert!(exchange.book(lost.book).is_none());
}

#[test]
fn a_book_with_few_levels_is_small() {
    let spec = BookSpec { band: Band { min: -500_000, max: 500_000, tick: 1 }, orders_max: 1 << 20 };
    let mut exchange = Exchange::new(1);
    let id = exchange.open_book(spec);
    let empty = exchange.memory();
    let messages: Vec<Message> = (0..100)
        .map(|at| {
            let side = if at % 2 == 0 { Side::Buy } else { Side::Sell };
            let away = if side == Side::Buy { -1 - at / 10 } else { 1 + at / 10 };
            let action = Action::Place(Terms { limit: Some(30_000 + 5 * away), ..Terms::new(side, 10) });
            Message { book: id, order: OrderId(at as u64), action }
        })
        .collect();
    let rested = exchange.apply(&messages).iter().all(|(_, events)| events == [Event::Rested { wh: 10 }]);
    assert!(rested);
    println!("a book: {empty} bytes; with 100 orders on 20 levels: {} bytes", exchange.memory());
    assert!(empty <= 8 << 10, "{empty} bytes");
    assert!(exchange.memory() <= 32 << 10, "{} bytes", exchange.memory());
}
