//! The operations that are compared. A case leaves the book as it found it, so it can be repeated on a warm one.

use super::Size;
use super::contender::{Command, Contender, Peer, Room, Tally};
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
    pub base: Vec<Command>,
    /// Before each time, not timed.
    pub before: Vec<Command>,
    pub timed: Vec<Command>,
    /// After each time, not timed.
    pub after: Vec<Command>,
    /// Whether each round is timed on a new book.
    pub fresh: bool,
}

impl Case {
    fn new(name: &str, base: &[Command], parts: [Vec<Command>; 3]) -> Case {
        let [before, timed, after] = parts;
        Case { name: name.into(), base: base.to_vec(), before, timed, after, fresh: false }
    }

    /// All single operations, and matching.
    pub fn operations(size: &Size) -> Vec<Case> {
        let mut random = Random::new(7, 1);
        let base: Vec<Command> = (1..=size.resting).map(|id| resting(id, &mut random)).collect();
        let first = size.resting + 1;
        let ids = first..first + size.operations;
        let inserts: Vec<Command> = ids.clone().map(|id| resting(id, &mut random)).collect();
        let mut shuffled: Vec<u32> = ids.collect();
        shuffle(&mut shuffled, &mut random);
        let cancels: Vec<Command> = shuffled.iter().map(|&id| cancel(id)).collect();
        let replaces: Vec<Command> =
            shuffled.iter().map(|&id| replaced(inserts[(id - first) as usize], &mut random)).collect();
        let mut cases = vec![
            Case::new("insert", &base, [vec![], inserts.clone(), cancels.clone()]),
            Case::new("cancel", &base, [inserts.clone(), cancels.clone(), vec![]]),
            Case::new("replace", &base, [inserts, replaces, cancels]),
        ];
        // Sellers stand alone: one order per price, up from the middle, placed in random order.
        let buyers: Vec<Command> = base.into_iter().filter(|command| side(*command) == Side::Buy).collect();
        let makers: Vec<Command> = shuffled.iter().map(|&id| maker(id, (id - first) as Ticks)).collect();
        for levels in [1, 10, 100].into_iter().filter(|levels| size.operations >= *levels) {
            let takers = (0..size.operations / levels).map(|taker| {
                let price = MIDDLE + ((taker + 1) * levels) as Ticks;
                new(first + size.operations + taker, Side::Buy, price, levels * MAKER_WH, false)
            });
            let name = format!("match of {levels} level{}", if levels == 1 { "" } else { "s" });
            cases.push(Case::new(&name, &buyers, [makers.clone(), takers.collect(), vec![]]));
        }
        let everything = Command::Market {
            id: first + size.operations,
            side: Side::Buy,
            // More than there is: what is not filled expires.
            wh: size.operations * MAKER_WH + 1,
        };
        let levels = 1 + size.operations / 10;
        let makers = shuffled.iter().map(|&id| maker(id, (id % levels) as Ticks)).collect();
        let name = format!("sweep of {} orders on {levels} levels", size.operations);
        cases.push(Case::new(&name, &buyers, [makers, vec![everything], vec![]]));
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
        let timed = messages.iter().copied().map(Command::Message);
        Case { fresh: true, ..Case::new(&format!("{name} flow"), &[], [vec![], timed.collect(), left.collect()]) }
    }

    /// By id: the side of each order.
    pub fn sides(&self) -> Vec<Side> {
        let mut sides = vec![Side::Buy; 1 + self.ids()];
        for command in self.all() {
            if let Command::Market { id, side, .. } | Command::Message(FlowMessage::New { id, side, .. }) = *command {
                sides[id as usize] = side;
            }
        }
        sides
    }

    fn all(&self) -> impl Iterator<Item = &Command> {
        [&self.base, &self.before, &self.timed, &self.after].into_iter().flatten()
    }

    /// Largest id.
    fn ids(&self) -> usize {
        self.all().map(|command| id(*command)).max().unwrap_or(0) as usize
    }

    /// What a book must have room for. The most that rest at once are those of our book.
    pub fn room(&self, repeats: usize) -> Room {
        let prices = || {
            self.all().filter_map(|command| match command {
                Command::Message(FlowMessage::New { price, .. } | FlowMessage::Modify { price, .. }) => Some(*price),
                _ => None,
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
        for command in self.all() {
            book.play(std::slice::from_ref(command), &mut tally);
            // One place is free: an order that may rest needs it when it comes, even if all of it trades.
            room.orders = room.orders.max(book.len() + 1);
        }
        room
    }
}

fn new(id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool) -> Command {
    Command::Message(FlowMessage::New { id, side, price, wh, ioc })
}

fn cancel(id: u32) -> Command {
    Command::Message(FlowMessage::Cancel { id })
}

fn maker(id: u32, level: Ticks) -> Command {
    new(id, Side::Sell, MIDDLE + 1 + level, MAKER_WH, false)
}

fn id(command: Command) -> u32 {
    let (Command::Market { id, .. }
    | Command::Message(FlowMessage::New { id, .. } | FlowMessage::Cancel { id } | FlowMessage::Modify { id, .. })) =
        command;
    id
}

fn side(command: Command) -> Side {
    match command {
        Command::Market { side, .. } | Command::Message(FlowMessage::New { side, .. }) => side,
        _ => unreachable!("an order"),
    }
}

fn price_on(side: Side, random: &mut Random) -> Ticks {
    match side {
        Side::Buy => MIDDLE - random.between(0, REACH),
        Side::Sell => MIDDLE + random.between(1, REACH),
    }
}

/// An order that meets nobody.
fn resting(id: u32, random: &mut Random) -> Command {
    let side = Side::BOTH[random.below(2) as usize];
    new(id, side, price_on(side, random), random.between(1, 100) as Wh, false)
}

/// The same order anywhere else on its side, one larger.
fn replaced(command: Command, random: &mut Random) -> Command {
    let Command::Message(FlowMessage::New { id, side, wh, .. }) = command else { unreachable!("an order") };
    Command::Message(FlowMessage::Modify { id, price: price_on(side, random), wh: wh + 1 })
}

/// All orders are equally likely.
pub fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last as u64 + 1) as usize);
    }
}
