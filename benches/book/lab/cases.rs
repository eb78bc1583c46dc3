//! The operations that are compared. A case leaves the book as it found it, so it can be repeated on a warm one.

use super::Size;
use super::contender::{Commands, Contender, Peer, Room, Tally};
use super::ours::Ours;
use joulebook::types::{Side, Ticks, Wh};
use joulebook::workload::{FlowMessage, Random};
use std::collections::HashSet;

/// Prices of the resting orders: a side's best is beside the middle, its worst this far away.
const MIDDLE: Ticks = 40_000;
const REACH: Ticks = 1_000;
/// Quantity of each order that is there to be matched.
const MAKER_WH: Wh = 10;
/// The flows' seed. It decides how much rests in the moving shapes, because it decides where buyers and sellers meet:
/// with this one, about as much as in the challenge's own flows (`workload::flow` has a test).
pub const FLOW_SEED: u64 = 67;

/// Some commands, and what comes before and after them.
pub struct Case {
    pub name: String,
    /// The book that the case begins with.
    pub base: Vec<FlowMessage>,
    /// Before each time, not timed.
    pub before: Vec<FlowMessage>,
    pub timed: Commands,
    /// After each time, not timed.
    pub after: Vec<FlowMessage>,
    /// Whether each round is timed on a new book.
    pub fresh: bool,
}

impl Case {
    fn new(name: &str, base: &[FlowMessage], parts: [Vec<FlowMessage>; 3]) -> Case {
        let [before, timed, after] = parts;
        let timed = Commands::Messages(timed);
        Case { name: name.into(), base: base.to_vec(), before, timed, after, fresh: false }
    }

    /// All single operations, and matching.
    pub fn operations(size: &Size) -> Vec<Case> {
        let mut random = Random::new(7, 1);
        let base: Vec<FlowMessage> = (1..=size.resting).map(|id| resting(id, &mut random)).collect();
        let first = size.resting + 1;
        let ids = first..first + size.operations;
        let inserts: Vec<FlowMessage> = ids.clone().map(|id| resting(id, &mut random)).collect();
        let mut shuffled: Vec<u32> = ids.collect();
        shuffle(&mut shuffled, &mut random);
        let cancels: Vec<FlowMessage> = shuffled.iter().map(|&id| cancel(id)).collect();
        let replaces: Vec<FlowMessage> =
            shuffled.iter().map(|&id| replaced(inserts[(id - first) as usize], &mut random)).collect();
        let mut cases = vec![
            Case::new("insert", &base, [vec![], inserts.clone(), cancels.clone()]),
            Case::new("cancel", &base, [inserts.clone(), cancels.clone(), vec![]]),
            Case::new("replace", &base, [inserts, replaces, cancels]),
        ];
        // Sellers stand alone: one order per price, up from the middle, placed in random order.
        let buyers: Vec<FlowMessage> =
            base.into_iter().filter(|message| matches!(message, FlowMessage::New { side: Side::Buy, .. })).collect();
        let makers: Vec<FlowMessage> = shuffled.iter().map(|&id| maker(id, (id - first) as Ticks)).collect();
        for levels in [1, 10, 100].into_iter().filter(|levels| size.operations >= *levels) {
            let takers = (0..size.operations / levels).map(|taker| {
                let price = MIDDLE + ((taker + 1) * levels) as Ticks;
                new(first + size.operations + taker, Side::Buy, price, levels * MAKER_WH, false)
            });
            let name = format!("match of {levels} level{}", if levels == 1 { "" } else { "s" });
            cases.push(Case::new(&name, &buyers, [makers.clone(), takers.collect(), vec![]]));
        }
        let everything = Commands::Market {
            id: first + size.operations,
            side: Side::Buy,
            // More than there is: what is not filled expires.
            wh: size.operations * MAKER_WH + 1,
        };
        let levels = 1 + size.operations / 10;
        let makers = shuffled.iter().map(|&id| maker(id, (id % levels) as Ticks)).collect();
        let name = format!("sweep of {} orders on {levels} levels", size.operations);
        cases.push(Case { timed: everything, ..Case::new(&name, &buyers, [makers, vec![], vec![]]) });
        cases
    }

    /// The start of a flow, or all of it, from an empty book on. What is left is cancelled afterwards.
    pub fn flow(name: &str, messages: &[FlowMessage]) -> Case {
        let cancelled: HashSet<u32> =
            messages.iter().filter_map(|m| if let FlowMessage::Cancel { id } = m { Some(*id) } else { None }).collect();
        let left = messages.iter().filter_map(|message| match *message {
            FlowMessage::New { id, ioc: false, .. } if !cancelled.contains(&id) => Some(cancel(id)),
            _ => None,
        });
        Case { fresh: true, ..Case::new(&format!("{name} flow"), &[], [vec![], messages.to_vec(), left.collect()]) }
    }

    /// By id: the side of each limit order.
    pub fn sides(&self) -> Vec<Side> {
        let mut sides = vec![Side::Buy; 1 + self.ids()];
        for message in self.messages() {
            if let FlowMessage::New { id, side, .. } = *message {
                sides[id as usize] = side;
            }
        }
        sides
    }

    fn messages(&self) -> impl Iterator<Item = &FlowMessage> {
        let timed = if let Commands::Messages(messages) = &self.timed { &messages[..] } else { &[] };
        [&self.base[..], &self.before, timed, &self.after].into_iter().flatten()
    }

    /// Largest id.
    fn ids(&self) -> usize {
        let market = if let Commands::Market { id, .. } = self.timed { id } else { 0 };
        self.messages().map(id).fold(market, u32::max) as usize
    }

    /// What a book must have room for. The most that rest at once are those of our book.
    pub fn room(&self, repeats: usize) -> Room {
        let prices = || {
            self.messages().filter_map(|message| match *message {
                FlowMessage::New { price, .. } | FlowMessage::Modify { price, .. } => Some(price),
                FlowMessage::Cancel { .. } => None,
            })
        };
        let (once, each) = (self.base.len(), self.before.len() + self.timed.len() + self.after.len());
        let mut room = Room {
            orders: once + each,
            ids: self.ids(),
            commands: once + repeats * each,
            prices: [prices().min().unwrap_or(0), prices().max().unwrap_or(0)],
        };
        let mut book = Ours::new(room);
        let mut tally = Tally::default();
        room.orders = 0;
        // A market order adds none.
        for message in self.messages() {
            book.play(std::slice::from_ref(message), &mut tally);
            // One place is free: an order that may rest needs it when it comes, even if all of it trades.
            room.orders = room.orders.max(book.len() + 1);
        }
        room
    }
}

fn new(id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool) -> FlowMessage {
    FlowMessage::New { id, side, price, wh, ioc }
}

fn cancel(id: u32) -> FlowMessage {
    FlowMessage::Cancel { id }
}

fn maker(id: u32, level: Ticks) -> FlowMessage {
    new(id, Side::Sell, MIDDLE + 1 + level, MAKER_WH, false)
}

fn id(message: &FlowMessage) -> u32 {
    let (FlowMessage::New { id, .. } | FlowMessage::Cancel { id } | FlowMessage::Modify { id, .. }) = *message;
    id
}

fn price_on(side: Side, random: &mut Random) -> Ticks {
    match side {
        Side::Buy => MIDDLE - random.between(0, REACH),
        Side::Sell => MIDDLE + random.between(1, REACH),
    }
}

/// An order that meets nobody.
fn resting(id: u32, random: &mut Random) -> FlowMessage {
    let side = Side::BOTH[random.below(2) as usize];
    new(id, side, price_on(side, random), random.between(1, 100) as Wh, false)
}

/// The same order anywhere else on its side, one larger.
fn replaced(message: FlowMessage, random: &mut Random) -> FlowMessage {
    let FlowMessage::New { id, side, wh, .. } = message else { unreachable!("an order") };
    FlowMessage::Modify { id, price: price_on(side, random), wh: wh + 1 }
}

/// All orders are equally likely.
pub fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last as u64 + 1) as usize);
    }
}
