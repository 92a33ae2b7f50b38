//! Replays a log under other policies: what would they have made of the same requests?
//!
//! From the log come the requests, and what can be told of the backends. The simulator does the
//! rest with the proxy's own balancer. What a replay can't know it says, and how wrong it is for
//! the policy that was used, see docs/replay.md.

#![expect(
    clippy::cast_possible_truncation,
    reason = "rows are compact: times are single floats, and rows, backends and classes are counted"
)]

mod changes;
mod clients;
mod division;
mod drive;
mod figures;
mod judge;
mod model;
mod outages;
mod pauses;
mod predict;
mod read;
mod report;
mod settings;
mod stalls;
mod support;
#[cfg(test)]
mod tests;
mod trace;
mod turns;
mod visits;
mod waits;
mod works;

pub use clients::Loop;
pub use figures::Figures;
pub use judge::judge;
pub use predict::{Predicted, Prediction, Replay, ReplayError};
pub use read::ReadError;
pub use report::{json, text};
pub use support::Refusal;
