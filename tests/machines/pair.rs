//! Two machines behind one address, and their backend.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::geteuid;
use support::clock::pause;
use support::network::is_inside;
use support::origin::{Origin, Silent, ok};

use crate::clients::{Clients, Patience};
use crate::machine::{Addresses, Machine, make_bridge};

/// Two machines. The first has the address, and the second is ready to take it.
pub(crate) struct Pair {
    pub(crate) first: Machine,
    pub(crate) second: Machine,
    _backend: Origin,
}

impl Pair {
    /// Starts them, if the test of this name is inside a network of its own and all programs are
    /// there.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[])
    }

    /// As [`Pair::start`], with these flags for the first proxy.
    pub(crate) fn start_with(test: &str, flags: &[&str]) -> Option<Self> {
        let is_possible = is_root() && is_installed("keepalived") && is_installed("nft");
        if !is_possible || !is_inside(test) {
            return None;
        }
        make_bridge("10.99.0.1/24");
        let backend = Silent::reserve_on(([10, 99, 0, 1], 8080).into());
        let backend = backend.serve(|mut connection| {
            // Requests are in flight for a while.
            while connection.request().is_some() {
                pause(Duration::from_millis(5));
                if !connection.offer(ok("")) {
                    break;
                }
            }
        });
        let at = Addresses { own: "10.99.0.2", other: "10.99.0.3", shared: "10.99.0.10/24" };
        let mut first = Machine::start("one", at, flags);
        first.has_address();
        let at = Addresses { own: at.other, other: at.own, ..at };
        let mut second = Machine::start("two", at, &[]);
        second.is_ready();
        Some(Self { first, second, _backend: backend })
    }
}

/// Clients of the address, which are served.
pub(crate) fn clients(patience: Patience) -> Clients {
    let clients = Clients::start(|| SocketAddr::from(([10, 99, 0, 10], 80)), patience);
    clients.serves(200);
    clients
}

/// Whether this is root, as keepalived has to be to run its check.
fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("skipped: keepalived has to run as root");
    }
    is_root
}

/// Whether it is, as it has to be in CI.
fn is_installed(program: &str) -> bool {
    let is_there = ["/usr/sbin", "/usr/bin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    if !is_there {
        assert!(env::var_os("CI").is_none(), "{program} is missing: ./scripts/setup --machines");
        println!("skipped: {program} is not installed; ./scripts/setup --machines");
    }
    is_there
}
