//! The backends of a scenario, for real: one process with one event loop on cores of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// They listen from [`Backends::start`] on and do what their scripts say of the beginning, until
/// [`Backends::begin`]. Dropping it ends them.
#[derive(Debug)]
pub struct Backends {
    /// Where each listens, in the order of `Scenario::each_backend`.
    pub addresses: Vec<SocketAddr>,
}

/// What the backends have seen since their scripts began.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Counts {
    /// Requests that each backend received, in each bin of time. All have as many bins.
    pub received: Vec<Vec<u64>>,
    /// Requests at each backend whose client left before the answer.
    pub abandoned: Vec<u64>,
    /// How exact the service times were, over all backends.
    pub accuracy: Accuracy,
}

/// Service times as they were asked for and as they were, and how much later than it should have
/// been an answer was sent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Accuracy {
    /// Requests that were worked on.
    pub requests: u64,
    /// In milliseconds: mean, p50, p90, p99, p99.9.
    pub asked_ms: [f64; 5],
    /// The same.
    pub measured_ms: [f64; 5],
    /// In microseconds: p50, p99, max.
    pub late_us: [f64; 3],
}

impl Backends {
    /// Starts the backends of a scenario (a file, or the name of one of the lab) through `lab`, the
    /// executable of `tidegate-lab`, and waits until they listen. Requests are counted in `bins`.
    ///
    /// # Errors
    /// The scenario is wrong, or they can't be started.
    pub fn start(lab: &Path, scenario: &Path, bins: Duration, cores: &[usize]) -> io::Result<Self> {
        let _ = (lab, scenario, bins, cores);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sets time zero of scripts and bins, which may be in the future. Speeds that drift do so by
    /// `seed`, as in the simulator.
    ///
    /// # Errors
    /// They have ended.
    pub fn begin(&mut self, at: SystemTime, seed: u64) -> io::Result<()> {
        let _ = (at, seed);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends them.
    ///
    /// # Errors
    /// They had ended before.
    pub fn stop(self) -> io::Result<Counts> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
