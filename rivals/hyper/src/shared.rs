//! What the connections of one worker share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::http::HeaderValue;
use tidegate::balance::{Balancer, Lease, Tried};
use tidegate::journal::{Record, RecordSender};

use crate::flags::{Flags, Mode};
use crate::peak_ewma::{Latency, PeakEwma};
use crate::upstream::Upstreams;

/// See the module. All of it stays on one thread; the locks are there for the type system, are
/// never contended, and cost nothing that could be measured.
pub(crate) struct Shared {
    balancer: Mutex<Balancer>,
    /// Chooses in place of the balancer's policy, if it is there.
    peak_ewma: Option<Mutex<PeakEwma>>,
    pub(crate) upstreams: Upstreams,
    pub(crate) mode: Mode,
    /// For the head of a response.
    pub(crate) response_timeout: Duration,
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
        peak_ewma: Option<PeakEwma>,
        upstreams: Upstreams,
        sender: RecordSender,
        flags: &Flags,
    ) -> Arc<Self> {
        Arc::new(Self {
            balancer: Mutex::new(balancer),
            peak_ewma: peak_ewma.map(Mutex::new),
            upstreams,
            mode: flags.connections,
            response_timeout: flags.response_timeout,
            sender: Mutex::new(sender),
        })
    }

    /// The backend of a request that begins now, and what measures its latency under `PeakEwma`.
    pub(crate) fn choose(&self, now: Instant) -> (Option<Lease>, Option<Latency>) {
        let Some(peak_ewma) = &self.peak_ewma else {
            return (self.balancer().acquire(&Tried::default(), now).lease(), None);
        };
        match peak_ewma.lock().unwrap_or_else(PoisonError::into_inner).choose() {
            Some((id, latency)) => (self.balancer().acquire_bound(id, now).lease(), Some(latency)),
            None => (None, None),
        }
    }

    pub(crate) fn balancer(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, record: &Record<'_>) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).record(record);
    }
}
