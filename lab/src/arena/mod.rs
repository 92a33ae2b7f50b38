//! The arena: real proxies before real backends that queue, slow down, fail, join and pause, one
//! after the other in the same scenario, beside what the simulator says of it.

mod backends;
mod bins;
mod client;
pub mod contender;
mod error;
mod kept;
mod plan;
mod probe;
pub mod protocol;
pub mod report;
mod results;
mod round;
mod run;

pub use crate::backend::{Accuracy, Counts};
pub use backends::Backends;
pub use error::ArenaError;
pub use plan::{Plan, QUICK, ROUND, SCENARIOS, scenario};
pub use results::{Entrant, Entry, Measured, Predicted, Results, Round, Slice, Tally};
pub use run::{Progress, run};
