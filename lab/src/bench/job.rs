//! The job of a workload, which every contender gets in its own configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tidegate::endpoint::Endpoint;

/// Upstreams of every proxy, several so that it has to choose. They may be the same backend, so
/// that there are not too many processes on the load's cores.
const UPSTREAMS: usize = 3;

/// What a contender is to do.
#[derive(Clone, Debug)]
pub(super) struct Job<'a> {
    pub(super) listen: SocketAddr,
    /// The backends.
    pub(super) backends: &'a [Endpoint],
    /// Whether every request has a new connection.
    pub(super) is_fresh: bool,
    /// The cores of its workers.
    pub(super) cores: &'a [usize],
    /// A folder for its files.
    pub(super) folder: &'a Path,
}

impl Job<'_> {
    /// The upstreams.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = &Endpoint> {
        self.backends.iter().cycle().take(UPSTREAMS)
    }

    /// A file of the contender of that name.
    pub(super) fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(name).with_extension(extension)
    }
}
