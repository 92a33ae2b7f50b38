//! Mixed traffic for as long as one likes, against backends that die and stall: nothing may get
//! lost, mixed up or left behind.
//!
//! Six proxies, one per policy and connection mode, stand in front of three backends. Clients have
//! conversations of every kind with them (`kind`), well-behaved and not, while backends are killed,
//! restarted and stopped, and logs are taken away. Each request has a token, its path says what the
//! backend is to do (`order`), and the bytes of both bodies follow from it (`pattern`); so either
//! end can tell whether what it got is right, byte for byte. What a client saw is held against the
//! request's row (`judge`); an error counts as one unless something was done to that very backend
//! at that very time (`outages`). At the end descriptors must be where they were at the start, and
//! memory where it was when all was warm (`figures`).
//!
//! The memory of the soak itself does not grow with its length, but for a bit per request.

mod client;
mod clock;
mod figures;
mod judge;
mod kind;
mod message;
mod order;
pub mod origin;
mod outages;
mod pattern;
mod players;
mod report;
mod request;
mod run;
mod talk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use report::Report;

/// How to soak.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long clients ask.
    pub duration: Duration,
    /// What all chance follows from.
    pub seed: u64,
    /// How many clients there are.
    pub clients: u32,
    /// Requests per second of all clients together, at most.
    pub rate: u32,
}

/// How far a soak is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since it began.
    pub elapsed: Duration,
    /// Rows that were read so far.
    pub rows: u64,
    /// What must not be, so far.
    pub findings: u64,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum SoakError {
    /// A program that belongs beside the lab isn't there.
    #[error("there is no {}; `cargo build --release` builds it", .0.display())]
    NoProgram(PathBuf),
    /// A program did not start to serve.
    #[error("{name} does not serve: {output}")]
    Silent {
        /// Which one.
        name: String,
        /// What it said last.
        output: String,
    },
    /// The system doesn't let the lab do what it must.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A second signal came while the first was obeyed.
    #[error("stopped at once by a second signal")]
    Hurried(i32),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> SoakError {
    move |source| SoakError::System { what, source }
}

/// Runs `plan` with files in `folder`, which must exist and be empty, and tells `progress` of it. A
/// signal ends it early, with a report of what there is.
///
/// # Errors
/// It could not be run. What the proxies do wrong is in the report.
pub fn soak(
    plan: &Plan,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, SoakError> {
    let mut run = run::Run::begin(plan, folder)?;
    run.traffic(progress)?;
    run.end()
}
