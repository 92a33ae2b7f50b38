//! Servers at addresses of the loopback network, which a name may have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::until;
use crate::origin::{Origin, Silent, ok};

/// The port of all of them.
pub const PORT: u16 = 8080;

/// A server that answers with its address.
pub struct Server {
    origin: Origin,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it at the address.
    pub fn start(ip: &'static str) -> Self {
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        let address = SocketAddr::new(ip.parse().unwrap(), PORT);
        let origin = Silent::reserve_on(address).serve(move |mut connection| {
            count.fetch_add(1, Ordering::Relaxed);
            while connection.request().is_some_and(|_| connection.offer(ok(ip))) {}
            count.fetch_sub(1, Ordering::Relaxed);
        });
        Self { origin, open }
    }

    /// Waits until it has connections.
    pub fn is_used(&self) {
        until("a connection", || (self.open.load(Ordering::Relaxed) > 0).then_some(()));
    }

    /// Waits until it has no connection any more.
    pub fn is_left(&self) {
        until("the end of its connections", || {
            (self.open.load(Ordering::Relaxed) == 0).then_some(())
        });
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.origin.accepted()
    }
}
