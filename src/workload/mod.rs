//! Seeded, reproducible work: who takes part, what they ask, and in which order.
//!
//! Figures of the predecessor: 100 accounts, 50 initial orders, energy 1 to 100 kWh, prices 0.08 to 0.25 WATT/kWh
//! around 0.15 +-10 %, 67 % placing and 33 % cancelling, 70/25/5 for the mixed scenario. The flows are the public
//! matching challenge's, in shape.

mod arrivals;
mod chaos;
mod crowd;
mod flow;
mod population;
mod queries;
mod random;
mod streams;
mod trader;

pub use arrivals::Arrivals;
pub use chaos::{Chaos, ChaosProfile};
pub use crowd::crowd;
pub use flow::{FlowMessage, FlowShape, flow_digest};
pub use population::{InitialOrders, Population};
pub use queries::Query;
pub use random::Random;
pub use streams::{Op, Stream};
pub use trader::{Habit, Trader};
