//! The arena: real proxies before real backends that queue, slow down, fail, join and pause, one
//! after the other in the same scenario, beside what the simulator says of it.

pub mod contender;
mod kept;
pub mod report;
mod results;

pub use results::{Entrant, Entry, Measured, Predicted, Results, Round, Slice, Tally};
