//! One request's lease and row, whatever becomes of it.
//!
//! A future that serves a request is dropped when the client leaves, so what must happen in the
//! end happens when this is dropped: the lease is given back and the row is written.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Body;
use hyper::{Method, Request, StatusCode, Uri};
use tidegate::balance::{BackendId, Lease, Outcome};
use tidegate::endpoint::Client;
use tidegate::journal::Record;

use crate::now;
use crate::peak_ewma::Latency;
use crate::shared::{Peer, Shared};

/// What the log says of a request whose client left.
const CLIENT_GONE: &str = "client_gone";

/// The facts of one request.
pub(crate) struct Account {
    pub(crate) shared: Arc<Shared>,
    peer: Arc<Peer>,
    method: Method,
    target: Uri,
    request_bytes: u64,
    pub(crate) response_bytes: u64,
    lease: Option<Lease>,
    latency: Option<Latency>,
    started: Instant,
    backend: Option<BackendId>,
    first_byte: Option<Instant>,
    status: Option<StatusCode>,
    fault: Option<&'static str>,
    is_whole: bool,
}

impl Account {
    pub(crate) fn open<B: Body>(
        shared: Arc<Shared>,
        peer: Arc<Peer>,
        request: &Request<B>,
    ) -> Self {
        let started = now();
        let (lease, latency) = shared.choose(started);
        Self {
            peer,
            method: request.method().clone(),
            target: request.uri().clone(),
            request_bytes: request.body().size_hint().exact().unwrap_or(0),
            response_bytes: 0,
            backend: lease.as_ref().map(Lease::backend),
            lease,
            latency,
            started,
            first_byte: None,
            status: None,
            fault: None,
            is_whole: false,
            shared,
        }
    }

    /// Where to send the request.
    pub(crate) fn backend(&self) -> Option<BackendId> {
        self.backend
    }

    /// The head of the response is here.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        let now = now();
        self.first_byte = Some(now);
        self.status = Some(status);
        let is_failure = matches!(status.as_u16(), 502..=504);
        self.observe(if is_failure { Outcome::Failed } else { Outcome::Answered }, now);
    }

    /// The attempt came to nothing, and the client is told by `status`.
    pub(crate) fn failed(&mut self, status: StatusCode, fault: &'static str, outcome: Outcome) {
        self.status = Some(status);
        self.fault = Some(fault);
        self.observe(outcome, now());
        self.is_whole = true;
    }

    /// The response broke off.
    pub(crate) fn truncated(&mut self) {
        self.fault = Some("response_truncated");
        self.observe(Outcome::Failed, now());
    }

    /// The last byte of the response is here.
    pub(crate) fn finished(&mut self) {
        self.is_whole = true;
    }

    fn observe(&mut self, outcome: Outcome, now: Instant) {
        self.latency = None;
        if let Some(lease) = &mut self.lease {
            self.shared.balancer().observe(lease, outcome, now);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let now = now();
        let started = self.lease.as_ref().map(|_| self.started);
        let balancer = self.shared.balancer();
        if let Some(lease) = self.lease.take() {
            balancer.release(lease);
        }
        let left = !self.is_whole && self.fault.is_none();
        let since = |from: Instant, to: Instant| to.saturating_duration_since(from);
        self.shared.record(&Record {
            client: Client::Ip(self.peer.address),
            backend: self.backend.and_then(|backend| balancer.name(backend)),
            status: self.status.map_or(499, |status| status.as_u16()),
            method: self.method.as_str().as_bytes(),
            path: self.target.path_and_query().map_or(&b"/"[..], |path| path.as_str().as_bytes()),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            latency: started.map(|started| since(started, now)),
            first_byte: started.zip(self.first_byte).map(|(from, to)| since(from, to)),
            attempts: u32::from(self.backend.is_some()),
            fault: if left { Some(CLIENT_GONE) } else { self.fault },
            dispatched: started,
            ..Record::new(now)
        });
    }
}
