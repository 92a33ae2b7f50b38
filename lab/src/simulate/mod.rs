//! A simulator of balancing: discrete events, one thread, no sockets, the same result each time.
//!
//! It drives the proxy's own `balance` module in simulated time, so what it says of a policy is
//! said of the code that runs. What it does not model is in docs/simulate.md.

mod baseline;
mod contender;
mod log;
mod matrix;
mod measured;
mod proxy;
mod report;
pub mod targets;
#[cfg(test)]
#[expect(clippy::float_cmp, reason = "runs are the same each time, and none is exactly 0")]
mod tests;
pub(crate) mod workload;
mod world;

use tidegate::balance::{InvalidOptions, RegistryFull};

use crate::scenario::Scenario;
use workload::{Drawn, Workload};
use world::World;

pub use baseline::Kind;
pub use contender::Contender;
pub use log::{LogError, simulate_log};
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
        let workload = Drawn::new(scenario, seed);
        measured.add(&run(scenario, workload, contender, seed)?.0);
    }
    Ok(measured)
}

/// One run of a scenario's backends and proxies under this workload; what was measured, and the
/// workload as it is then.
pub(crate) fn run<W: Workload>(
    scenario: &Scenario,
    workload: W,
    contender: Contender,
    seed: u64,
) -> Result<(Measured, W), SimulateError> {
    World::new(scenario, workload, contender, seed)?.run()
}
