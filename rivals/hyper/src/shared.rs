//! What the connections of one worker share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::HeaderValue;
use tidegate::balance::Balancer;
use tidegate::journal::{Record, RecordSender};

use crate::flags::Mode;
use crate::upstream::Upstreams;

/// See the module. All of it stays on one thread; the locks are there for the type system, are
/// never contended, and cost nothing that could be measured.
pub(crate) struct Shared {
    balancer: Mutex<Balancer>,
    pub(crate) upstreams: Upstreams,
    pub(crate) mode: Mode,
    sender: Mutex<RecordSender>,
}

/// A client's address, also as text for the fields that name it.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) ip: HeaderValue,
}

impl Shared {
    pub(crate) fn new(
        balancer: Balancer,
        upstreams: Upstreams,
        sender: RecordSender,
        mode: Mode,
    ) -> Arc<Self> {
        let (balancer, sender) = (Mutex::new(balancer), Mutex::new(sender));
        Arc::new(Self { balancer, upstreams, mode, sender })
    }

    pub(crate) fn balancer(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, record: &Record<'_>) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).record(record);
    }
}
