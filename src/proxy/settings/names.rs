//! Settings of names.

use std::net::SocketAddr;
use std::time::Duration;

/// How the host names of backends are looked up while the proxy runs.
#[derive(Clone, Debug)]
pub struct Names {
    /// From a look-up to the next one, unless what was found may not be used for so long.
    pub every: Duration,
    /// How long the addresses of a name are used that does not exist any more.
    pub hold: Duration,
    /// The name servers that are asked in place of those of the system, if there are any.
    pub servers: Vec<SocketAddr>,
}

impl Default for Names {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), hold: Duration::from_secs(30), servers: Vec::new() }
    }
}
