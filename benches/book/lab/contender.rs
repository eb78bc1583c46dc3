//! What is compared, behind one small trait.

use joulebook::types::{Side, Ticks, Wh};
use joulebook::workload::FlowMessage;

/// What a book is told to do in one go. Messages are apart, so that who plays a million of them asks nothing else about each.
pub enum Commands {
    /// Limit orders, cancels, replaces.
    Messages(Vec<FlowMessage>),
    /// An order without a limit; what is not filled expires.
    Market { id: u32, side: Side, wh: Wh },
}

impl Commands {
    pub fn len(&self) -> usize {
        match self {
            Commands::Messages(messages) => messages.len(),
            Commands::Market { .. } => 1,
        }
    }
}

/// How large a book gets: whoever wants to can reserve memory.
#[derive(Clone, Copy)]
pub struct Room {
    /// Orders that rest at the same time.
    pub orders: usize,
    /// Largest id.
    pub ids: usize,
    /// Commands, as often as they are repeated.
    pub commands: usize,
    /// Lowest and highest price.
    pub prices: [Ticks; 2],
}

/// The fills of some commands. The digest takes in maker, taker, price and quantity of each, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub fills: u64,
    pub wh: u64,
    pub digest: u64,
    pub last_price: Ticks,
}

impl Tally {
    #[inline(always)]
    pub fn fill(&mut self, maker: u32, taker: u32, price: Ticks, wh: Wh) {
        self.fills += 1;
        self.wh += u64::from(wh);
        // A sum over all fills of what they are and the how many-th: nobody's fill waits for the digest of the one before.
        let who = fold(self.fills, pair(maker, taker));
        self.digest = self.digest.wrapping_add(fold(who, pair(price as u32, wh)));
        self.last_price = price;
    }
}

/// What rests in a book: its levels' prices and quantities, folded in the order of their prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub levels: usize,
    pub wh: u64,
    pub digest: u64,
}

#[inline(always)]
fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Cheap, and no cryptography: nobody here wants to be mistaken for somebody else.
#[inline(always)]
fn fold(digest: u64, word: u64) -> u64 {
    (digest.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A book that takes commands. Ids are its owner's; one that is not there is no error.
pub trait Peer: 'static {
    fn new(room: Room) -> Self;
    /// A new limit order; with `ioc`, what is not filled expires.
    fn place(&mut self, id: u32, side: Side, price: Ticks, wh: Wh, ioc: bool, tally: &mut Tally);
    fn market(&mut self, id: u32, side: Side, wh: Wh, tally: &mut Tally);
    fn cancel(&mut self, id: u32);
    /// A new limit and a larger open quantity, behind all others of that price.
    fn replace(&mut self, id: u32, price: Ticks, wh: Wh, tally: &mut Tally);
    /// Side, price and quantity of each level, in any order.
    fn levels(&self) -> Vec<(Side, Ticks, u64)>;
}

/// A [`Peer`] whose type is forgotten: one call for many commands.
pub trait Contender {
    fn play(&mut self, messages: &[FlowMessage], tally: &mut Tally);
    fn carry_out(&mut self, commands: &Commands, tally: &mut Tally);
    fn depth(&self) -> Depth;
}

impl<P: Peer> Contender for P {
    fn play(&mut self, messages: &[FlowMessage], tally: &mut Tally) {
        for &message in messages {
            match message {
                FlowMessage::New { id, side, price, wh, ioc } => self.place(id, side, price, wh, ioc, tally),
                FlowMessage::Cancel { id } => self.cancel(id),
                FlowMessage::Modify { id, price, wh } => self.replace(id, price, wh, tally),
            }
        }
    }

    fn carry_out(&mut self, commands: &Commands, tally: &mut Tally) {
        match *commands {
            Commands::Messages(ref messages) => self.play(messages, tally),
            Commands::Market { id, side, wh } => self.market(id, side, wh, tally),
        }
    }

    fn depth(&self) -> Depth {
        let mut levels = self.levels();
        levels.sort_unstable_by_key(|&(side, price, _)| (side as u8, price));
        levels.iter().fold(Depth::default(), |depth, &(side, price, wh)| Depth {
            levels: depth.levels + 1,
            wh: depth.wh + wh,
            digest: fold(fold(depth.digest, pair(side as u32, price as u32)), wh),
        })
    }
}

/// Somebody who takes part.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    /// What it is known to do differently: then, differences are shown and not refused.
    pub known: Option<&'static str>,
    /// Whether it gets through millions of messages in seconds.
    pub whole_flows: bool,
    pub new: fn(Room) -> Box<dyn Contender>,
}

impl Entry {
    pub const fn of<P: Peer>(name: &'static str) -> Entry {
        Entry { name, known: None, whole_flows: true, new: |room| Box::new(P::new(room)) }
    }
}
