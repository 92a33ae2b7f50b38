//! The backends of a scenario, for real: one process with one event loop on cores of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::backend::Counts;

/// They listen from [`Backends::start`] on and do what their scripts say of the beginning, until
/// [`Backends::begin`]. Dropping it ends them.
#[derive(Debug)]
pub struct Backends {
    /// Where each listens, in the order of `Scenario::each_backend`.
    pub addresses: Vec<SocketAddr>,
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
