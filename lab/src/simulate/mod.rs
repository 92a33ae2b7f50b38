//! A simulator of balancing: discrete events, one thread, no sockets, the same result each time.
//!
//! It drives the proxy's own `balance` module in simulated time, so what it says of a policy is
//! said of the code that runs. What it does not model is in docs/simulate.md.

mod baseline;
mod contender;
mod matrix;
mod measured;
mod proxy;
mod report;
pub mod targets;
#[cfg(test)]
#[expect(clippy::float_cmp, reason = "runs are the same each time, and none is exactly 0")]
mod tests;
mod world;

use tidegate::balance::{InvalidOptions, RegistryFull};

use crate::scenario::Scenario;
use world::World;

pub use baseline::Kind;
pub use contender::Contender;
pub use matrix::Matrix;
pub use measured::{Measured, Tally};
pub use report::Report;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The balancer could not be made.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// A backend left and joined more often than its requests ended.
    #[error(transparent)]
    Full(#[from] RegistryFull),
    /// The latencies can't be counted.
    #[error("{0}")]
    Latencies(#[from] hdrhistogram::CreationError),
}

/// Runs a scenario with each of its seeds, and takes the results together.
///
/// # Errors
/// Backends come and go faster than the registry has slots.
pub fn simulate(scenario: &Scenario, contender: Contender) -> Result<Measured, SimulateError> {
    let backends = scenario.each_backend().count();
    let mut measured = Measured::new(backends, scenario.focus.len())?;
    for seed in 1..=scenario.run.seeds {
        measured.add(&World::new(scenario, contender, seed)?.run()?);
    }
    Ok(measured)
}
