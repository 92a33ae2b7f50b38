//! The words in which a worker and an exchange speak to each other.

use std::time::{Duration, Instant};

use crate::balance::{BackendId, Balancer};
use crate::buffer::FreeList;
use crate::http::Headers;
use crate::proxy::budget::RetryBudget;
use crate::proxy::peer::Peer;
use crate::proxy::settings::Settings;

/// What a worker lends to an exchange while it works.
pub struct Context<'a> {
    /// The instant of this turn of the loop.
    pub now: Instant,
    /// What the proxy runs by.
    pub settings: &'a Settings,
    /// Chooses backends and learns from what they do.
    pub balancer: &'a mut Balancer,
    /// What may still be sent again.
    pub budget: &'a mut RetryBudget,
    /// Blocks for bodies.
    pub free: &'a mut FreeList,
    /// Scratch for parsing a head.
    pub headers: &'a mut Headers,
    /// The current date as IMF-fixdate (RFC 9110 §5.6.7).
    pub date: &'a [u8],
    /// The client.
    pub peer: &'a Peer,
    /// Whether the proxy is stopping.
    pub phase: Phase,
}

/// How far the proxy has come on its way to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It serves as ever, but says that it stops to whoever asks it about itself.
    Leaving,
    /// It finishes what is in flight: each response is the last of its connection.
    Draining,
}

/// The two ends of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one that asks.
    Client,
    /// The backend that answers.
    Upstream,
}

/// How a peer's stream came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamEnd {
    /// In order: a FIN. What was received before is whole as far as it goes.
    Finished,
    /// By a reset or another error.
    Reset,
    /// A write failed. There may still be something to read.
    WriteFailed,
}

/// Why no connection to a backend came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectFailure {
    /// Refused at every address.
    Refused,
    /// This process may not connect there: the file of a Unix socket says so, or a packet filter.
    Denied,
    /// Nobody answered in time.
    TimedOut,
    /// No route, or another error on the way.
    Unreachable,
    /// This host lacks descriptors, ports or memory: no fault of the backend.
    ResourceExhausted,
}

/// How a client's connection is to be ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseMode {
    /// Close it.
    Close,
    /// Reset it, so that what was sent can't be taken for whole.
    Reset,
}

/// What the exchange needs a worker to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Attach a connection to this backend, unless it must be fresh the one that was kept for the
    /// client, else a pooled one.
    Connect {
        /// The backend chosen.
        backend: BackendId,
        /// Whether a pooled connection won't do.
        fresh: bool,
    },
    /// The connection did not come about in time: try the backend's next address, or say
    /// [`Exchange::unreachable`](super::Exchange::unreachable).
    ConnectExpired,
    /// Put the upstream connection back into the pool.
    Recycle {
        /// How long it may rest there.
        idle: Duration,
    },
    /// Keep the upstream connection for this client alone, until either of them ends.
    Keep {
        /// How long it may rest.
        idle: Duration,
    },
    /// Close the upstream connection.
    Discard,
    /// Reset the upstream connection. Over it all was said: unlike a close this leaves no port in
    /// TIME-WAIT (RFC 9293 §3.6), of which a busy proxy would run out. Or it is that of a tunnel
    /// that broke off: an orderly end would make what the backend got look whole.
    Reset,
    /// End the stream towards the upstream (a tunnel's half-close).
    FinishUpstream,
    /// End the stream towards the client; it is still read.
    FinishClient,
    /// Write the row, then call [`Exchange::reported`](super::Exchange::reported).
    Report,
    /// End the client's connection; the exchange is over.
    Hangup(CloseMode),
}
