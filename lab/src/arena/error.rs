//! Why an arena has no results.

use std::io;

use thiserror::Error;

use crate::simulate::SimulateError;

/// Why there are no results.
#[derive(Debug, Error)]
pub enum ArenaError {
    /// A program is missing that every round needs.
    #[error("there is no {0}; ./scripts/setup installs it")]
    NoProgram(&'static str),
    /// No contender is left.
    #[error("none of the contenders asked for takes part; {}", .0.join("; "))]
    NobodyLeft(Vec<String>),
    /// A scenario can't be simulated.
    #[error("can't simulate {0}: {1}")]
    Simulate(String, SimulateError),
    /// A system call failed, or a program of ours.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A signal stopped it.
    #[error("stopped by a signal")]
    Stopped(i32),
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> ArenaError {
    move |source| ArenaError::System { what, source }
}
