//! A book and its model play the same commands and must give the same answers. Used by `tests/book.rs`, which draws commands
//! at random, and by the fuzz target `book`.

pub mod model;

use joulebook::engine::LevelView;
use joulebook::optimized::book::{Band, Book, Fill, Maker, Meeting, NewOrder, Placed, Refused, Resting, Sink, Tag};
use joulebook::types::{Side, Ticks, TimeInForce, Wh};
use model::{Heard, Model, Mood};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Instead of the handle of an order that does not rest.
const NO_HANDLE: u32 = u32::MAX;

/// The book's sink: decides by its mood and remembers everything.
struct Ear {
    mood: Mood,
    heard: Vec<Heard>,
}

impl Sink for Ear {
    fn meet(&mut self, left: Wh, maker: &Maker) -> Meeting {
        self.heard.push(Heard::Met { left, maker: *maker });
        self.mood.decide(maker)
    }

    fn fill(&mut self, fill: &Fill) {
        assert_eq!(fill.maker_done(), fill.wh == fill.maker.wh);
        self.heard.push(Heard::Filled(*fill));
    }

    fn cancelled(&mut self, maker: &Maker) {
        self.heard.push(Heard::Cancelled(*maker));
    }
}

/// Numbers from 64 bits, until these are used up; then zeros. What matters most is drawn first.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        let drawn = self.0 % n;
        self.0 /= n;
        drawn
    }

    fn side(&mut self) -> Side {
        Side::BOTH[self.below(2) as usize]
    }

    fn mood(&mut self) -> Mood {
        Mood([0, 0, 0, 1, 2, 3, 4, 5][self.below(8) as usize])
    }

    /// Small ones mostly, so that orders are filled exactly, too.
    fn quantity(&mut self) -> Wh {
        match self.below(32) {
            0 => [0, 0, 1 << 31, u32::MAX][self.below(4) as usize],
            1 => self.below(1_000) as Wh,
            _ => 1 + self.below(8) as Wh,
        }
    }
}

pub struct Duel {
    book: Book<true>,
    /// Nobody reads its top. It does what the other one does.
    unwatched: Book,
    model: Model,
    /// Distance between the ends of the band.
    steps: u64,
    /// Everything is compared after each so many commands.
    every: u64,
    played: u64,
    /// All handles were below this.
    handles_end: u32,
    /// Raw inserts may have crossed the book.
    inserted: bool,
    /// The best levels of each side, kept up to date by the book, and how many there are.
    tops: [(Vec<LevelView>, usize); 2],
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Duel {
    pub fn new(band: Band, orders_max: u32, every: u64) -> Self {
        let steps = (i64::from(band.max) - i64::from(band.min)) as u64 / band.tick as u64;
        // Room for more levels than there are, and for fewer.
        let room = [1, 2, 3, 5, 16][((steps + u64::from(orders_max)) % 5) as usize];
        Duel {
            book: Book::watched(band, orders_max),
            unwatched: Book::sparse(band, orders_max),
            model: Model::new(band, orders_max as usize),
            steps,
            every,
            played: 0,
            handles_end: 1,
            inserted: false,
            tops: [(vec![LevelView::default(); room], 0), (vec![LevelView::default(); room], 0)],
            counts: BTreeMap::new(),
        }
    }

    pub fn book(&self) -> &Book<true> {
        &self.book
    }

    /// Plays the command that 64 bits stand for. Returns whether it was refused.
    pub fn play(&mut self, bits: u64) -> bool {
        self.played += 1;
        let mut draw = Draw(bits);
        let refused = match draw.below(16) {
            0..=6 => self.place(&mut draw),
            7 => self.cancel(&mut draw),
            8..=10 => self.replace(&mut draw),
            11 => self.insert(&mut draw),
            12 => self.reduce(&mut draw),
            13 => self.execute(&mut draw),
            14 => self.ask(&mut draw),
            _ => self.look(&mut draw),
        };
        for side in Side::BOTH {
            // Often after one change, sometimes after several; a refused command changes nothing, so neither does this.
            if !refused && bits.rotate_left(7 + 2 * side as u32) & 3 != 0 {
                self.refresh_top(side);
            }
            assert_eq!(self.book.front(side), self.model.front(side));
            assert_eq!(self.book.best_price(side), self.model.front(side).map(|order| order.price));
        }
        assert_eq!((self.book.len(), self.book.is_empty()), (self.model.len(), self.model.len() == 0));
        if self.played.is_multiple_of(self.every) {
            self.compare();
        }
        refused
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A price of the band: near its middle mostly, where buyers, who bid a little less, meet sellers.
    fn price(&self, side: Side, draw: &mut Draw) -> Ticks {
        let half = self.steps / 2;
        let step = match (draw.below(16), side) {
            (0, _) => draw.below(self.steps + 1),
            (1 | 2, Side::Buy) => draw.below(half + 1),
            (1 | 2, Side::Sell) => half + draw.below(half + 2),
            (3, Side::Buy) => draw.below(3),
            (3, Side::Sell) => self.steps.saturating_sub(draw.below(3)),
            (_, Side::Buy) => (half + draw.below(8)).saturating_sub(6),
            (_, Side::Sell) => half + draw.below(8),
        };
        let Band { min, tick, .. } = self.model.band;
        (i64::from(min) + step.min(self.steps) as i64 * i64::from(tick)) as Ticks
    }

    /// A price that may be refused.
    fn any_price(&self, side: Side, draw: &mut Draw) -> Ticks {
        let Band { min, max, .. } = self.model.band;
        match draw.below(16) {
            0 => draw.below(1 << 32) as u32 as Ticks,
            1 => [min.saturating_sub(1), max.saturating_add(1), i32::MIN, i32::MAX][draw.below(4) as usize],
            2 => self.price(side, draw).saturating_add(1),
            _ => self.price(side, draw),
        }
    }

    /// The handle of an order mostly; else one that was an order's or may be a level's, or nonsense.
    fn handle(&self, draw: &mut Draw) -> u32 {
        match draw.below(16) {
            0 => [u32::MAX, u32::MAX - 1, u32::MAX - 2, 1 << 31][draw.below(4) as usize],
            1 | 2 => draw.below(u64::from(self.handles_end) * 2) as u32,
            _ => self.live_handle(draw).unwrap_or(0),
        }
    }

    fn live_handle(&self, draw: &mut Draw) -> Option<u32> {
        self.model.handle_from(draw.below(u64::from(self.handles_end)) as u32)
    }

    fn tag(&self) -> Tag {
        Tag(self.played, (self.played as u32).wrapping_mul(0x9e37_79b9))
    }

    /// Compares what the book and the model heard, and remembers how often it was what.
    fn same_heard(&mut self, book: &[Heard], model: &[Heard]) {
        assert_eq!(book, model);
        for heard in book {
            self.count(match heard {
                Heard::Met { .. } => "met",
                Heard::Filled(_) => "filled",
                Heard::Cancelled(_) => "cancelled by a sink",
            });
        }
    }

    fn place(&mut self, draw: &mut Draw) -> bool {
        let side = draw.side();
        let time_in_force = match draw.below(8) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            _ => TimeInForce::Gtc,
        };
        let (post_only, mood, wh) = (draw.below(8) == 0, draw.mood(), draw.quantity());
        // A market order is IOC; now and then it is not.
        let market = draw.below(if time_in_force == TimeInForce::Ioc { 2 } else { 32 }) == 1;
        let limit = (!market).then(|| self.any_price(side, draw));
        let order = NewOrder { side, limit, wh, time_in_force, post_only, tag: self.tag() };
        let (mut ear, mut heard) = (Ear { mood, heard: Vec::new() }, Vec::new());
        let placed = self.book.place(&order, &mut ear);
        let mut other = Ear { mood, heard: Vec::new() };
        assert_eq!((self.unwatched.place(&order, &mut other), &other.heard), (placed, &ear.heard));
        let handle = placed.ok().and_then(|placed| placed.rests);
        let expected = self.model.place(&order, mood, handle.unwrap_or(NO_HANDLE), &mut heard);
        assert_eq!(placed, expected, "{order:?}");
        self.same_heard(&ear.heard, &heard);
        self.handles_end = self.handles_end.max(handle.map_or(0, |handle| handle + 1));
        self.count(match placed {
            Ok(Placed { rests: Some(_), .. }) => "rests",
            Ok(Placed { filled, .. }) if filled == wh => "filled whole",
            Ok(_) => "expired",
            Err(refused) => name(refused),
        });
        placed.is_err()
    }

    fn cancel(&mut self, draw: &mut Draw) -> bool {
        let handle = self.handle(draw);
        let cancelled = self.book.cancel(handle);
        assert_eq!(cancelled, self.model.remove(handle), "cancel {handle}");
        // The other one is told whose it is, at first wrongly.
        let Tag(id, owner) = cancelled.map_or_else(|| self.tag(), |order| order.tag);
        for stranger in [Tag(id ^ 1 << 63, owner), Tag(id, owner ^ 1)] {
            assert_eq!(self.unwatched.take(handle, stranger), None, "{handle} is another's");
        }
        assert_eq!(self.unwatched.take(handle, Tag(id, owner)), cancelled, "take {handle}");
        self.count(if cancelled.is_some() { "cancelled" } else { "cancel of nothing" });
        cancelled.is_none()
    }

    fn replace(&mut self, draw: &mut Draw) -> bool {
        let handle = self.handle(draw);
        let (mood, wh) = (draw.mood(), draw.quantity());
        let old = self.model.get(handle);
        let price = match old {
            Some(old) if draw.below(2) == 0 => old.price,
            _ => self.any_price(old.map_or(Side::Buy, |old| old.side), draw),
        };
        let (mut ear, mut heard) = (Ear { mood, heard: Vec::new() }, Vec::new());
        let replaced = self.book.replace(handle, price, wh, &mut ear);
        let mut other = Ear { mood, heard: Vec::new() };
        assert_eq!((self.unwatched.replace(handle, price, wh, &mut other), &other.heard), (replaced, &ear.heard));
        let rests = replaced.ok().flatten().and_then(|placed| placed.rests);
        let expected = self.model.replace(handle, (price, wh), mood, rests.unwrap_or(NO_HANDLE), &mut heard);
        assert_eq!(replaced, expected, "replace {handle} ({old:?}) by {wh} at {price}");
        self.same_heard(&ear.heard, &heard);
        self.handles_end = self.handles_end.max(rests.map_or(0, |handle| handle + 1));
        self.count(match (old, replaced) {
            (_, Err(refused)) => name(refused),
            (Some(old), Ok(Some(_))) if price == old.price && wh <= old.wh => "replaced in place",
            (_, Ok(Some(placed))) if placed.filled > 0 => "replaced and traded",
            (_, Ok(Some(_))) => "replaced",
            (_, Ok(None)) => "replace of nothing",
        });
        !matches!(replaced, Ok(Some(_)))
    }

    fn insert(&mut self, draw: &mut Draw) -> bool {
        // Beyond the limit, which is not this function's to know; but not for ever.
        if self.model.len() > self.model.orders_max * 3 / 2 {
            return false;
        }
        let (side, wh, tag) = (draw.side(), draw.quantity().max(1), self.tag());
        let price = self.price(side, draw);
        let handle = self.book.insert(side, price, wh, tag);
        assert_eq!(self.unwatched.insert(side, price, wh, tag), handle);
        self.model.insert(side, Maker { handle, price, wh, tag });
        self.handles_end = self.handles_end.max(handle + 1);
        self.inserted = true;
        false
    }

    /// Some or all of an order, or a removal.
    fn reduce(&mut self, draw: &mut Draw) -> bool {
        let Some(handle) = self.live_handle(draw) else { return false };
        let Resting { wh, .. } = self.model.get(handle).expect("it rests");
        if draw.below(4) == 0 {
            let removed = self.book.remove(handle);
            assert_eq!((Some(removed), removed), (self.model.remove(handle), self.unwatched.remove(handle)));
        } else {
            let wh = wh - draw.below(u64::from(wh) + 1) as Wh;
            let left = self.book.reduce(handle, wh);
            assert_eq!((left, left), (self.model.reduce(handle, wh), self.unwatched.reduce(handle, wh)));
        }
        false
    }

    fn execute(&mut self, draw: &mut Draw) -> bool {
        let (side, mood, wh) = (draw.side(), draw.mood(), draw.quantity());
        let limit = (draw.below(4) > 0).then(|| self.price(side, draw));
        let (mut ear, mut heard) = (Ear { mood, heard: Vec::new() }, Vec::new());
        let left = self.book.execute(side, limit, wh, &mut ear);
        let mut other = Ear { mood, heard: Vec::new() };
        assert_eq!((self.unwatched.execute(side, limit, wh, &mut other), &other.heard), (left, &ear.heard));
        assert_eq!(left, self.model.execute(side, limit, wh, mood, &mut heard).0);
        self.same_heard(&ear.heard, &heard);
        false
    }

    fn ask(&mut self, draw: &mut Draw) -> bool {
        let side = draw.side();
        let limit = (draw.below(4) > 0).then(|| self.price(side, draw));
        let available = self.model.available(side, limit);
        assert_eq!(self.book.crosses(side, limit), available > 0);
        // Just what is there, and 1 Wh more.
        for wh in [0, available, available + 1, u64::from(draw.quantity())] {
            if let Ok(wh) = Wh::try_from(wh) {
                assert_eq!(self.book.can_fill(side, limit, wh), available >= u64::from(wh), "{wh} of {available}");
            }
        }
        false
    }

    fn look(&mut self, draw: &mut Draw) -> bool {
        let side = draw.side();
        let count = [0, 1, 2, 5, 16, 1_000][draw.below(6) as usize];
        let mut levels = vec![LevelView::default(); count];
        let found = self.book.depth(side, &mut levels);
        assert!(levels[..found].iter().copied().eq(self.model.depth(side).take(count)), "{count} levels");
        let mut walked = Vec::new();
        self.book.walk(side, |_, order| {
            walked.push(order.tag);
            if walked.len() <= count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(walked.into_iter().eq(self.model.walk(side).take(count + 1).map(|order| order.tag)));
        let price = self.any_price(side, draw);
        assert_eq!(self.book.level(side, price), self.model.depth(side).find(|level| level.price == price));
        false
    }

    fn refresh_top(&mut self, side: Side) {
        let (levels, count) = &mut self.tops[side as usize];
        let before = levels[..*count].to_vec();
        *count = self.book.refresh_top(side, levels, *count);
        let now = &levels[..*count];
        assert!(now.iter().copied().eq(self.model.depth(side).take(levels.len())), "{before:?} became {now:?}");
        let what = match before.len().cmp(&now.len()) {
            _ if before == now => "top unchanged",
            Ordering::Less => "top longer",
            Ordering::Greater => "top shorter",
            Ordering::Equal => "top changed",
        };
        self.count(what);
    }

    /// Compares everything.
    pub fn compare(&self) {
        self.book.check_invariants();
        self.unwatched.check_invariants();
        assert_eq!(self.unwatched.len(), self.book.len());
        assert!(self.inserted || !self.model.crossed(), "the book is crossed");
        for side in Side::BOTH {
            let mut expected = self.model.walk(side);
            self.book.walk(side, |price, order| {
                let maker = expected.next().expect("the book shows an order too many");
                assert_eq!((price, order), (maker.price, Resting { tag: maker.tag, wh: maker.wh, side, price }));
                assert_eq!((self.book.get(maker.handle), self.book.tag(maker.handle)), (Some(order), Some(order.tag)));
                assert_eq!(self.unwatched.get(maker.handle), Some(order));
                ControlFlow::Continue(())
            });
            assert_eq!(expected.next(), None, "the book does not show it");
            assert!(self.book.front_handles(side).eq(self.model.front_handles(side)));
            assert!(self.unwatched.front_handles(side).eq(self.model.front_handles(side)));
            let mut levels = vec![LevelView::default(); self.model.len() + 1];
            let found = self.book.depth(side, &mut levels);
            assert!(levels[..found].iter().copied().eq(self.model.depth(side)));
        }
    }
}

fn name(refused: Refused) -> &'static str {
    match refused {
        Refused::ZeroQuantity => "zero quantity",
        Refused::OutOfBand => "out of band",
        Refused::OffTick => "off tick",
        Refused::ConflictingTerms => "conflicting terms",
        Refused::Full => "full",
        Refused::WouldTrade => "would trade",
        Refused::NotFillable => "not fillable",
    }
}
