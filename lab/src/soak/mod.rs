//! Mixed traffic for as long as wanted while backends fail: no request, row, byte or descriptor may
//! be lost or mixed up.
//!
//! Six proxies, one per policy and connection mode, serve three backends. Clients have sessions of
//! every kind with them (`kind`), valid and not, while backends are killed, restarted and stopped,
//! and logs are rotated. Each request has a token; its path says what the backend is to do
//! (`request_spec`), and the bytes of both bodies follow from the token (`pattern`). So each end
//! checks every byte it gets. What a client saw is compared with the request's row (`judge`); an
//! error is a finding unless its backend was disturbed at that time (`outages`). At the end there
//! must be as many descriptors as at the start, and as much memory as when all caches were warm
//! (`figures`).
//!
//! The soak's own memory does not grow with its length, except for a bit per request.

mod client;
mod client_session;
mod clock;
mod figures;
mod judge;
mod kind;
pub mod origin;
mod outages;
mod pattern;
mod programs;
mod report;
mod request;
mod request_spec;
mod run;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use report::Report;

/// How to soak.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long clients send requests.
    pub duration: Duration,
    /// The seed of all random choices.
    pub seed: u64,
    /// How many clients there are.
    pub clients: u32,
    /// Requests per second of all clients together, at most.
    pub rate: u32,
}

/// The progress of a soak.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since it began.
    pub elapsed: Duration,
    /// Rows read so far.
    pub rows: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum SoakError {
    /// A program that should be beside the lab's is missing.
    #[error("there is no {}; `./scripts/soak` builds it", .0.display())]
    NoProgram(PathBuf),
    /// A program did not start to serve.
    #[error("{name} does not serve: {output}")]
    Silent {
        /// Which one.
        name: String,
        /// The last lines of its output.
        output: String,
    },
    /// A system call failed.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A second signal came before the end that the first asked for.
    #[error("stopped at once by a second signal")]
    Hurried(i32),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> SoakError {
    move |source| SoakError::System { what, source }
}

/// Runs `plan` with files in `folder`, which must exist and be empty, and calls `progress`
/// meanwhile. A signal ends it early, with a report.
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
