//! The words in which a worker and an exchange speak to each other.

use std::time::{Duration, Instant};

use super::attempt::AttemptId;
use crate::balance::{BackendId, Balancer};
use crate::buffer::FreeList;
use crate::http::{Headers, Method};
use crate::proxy::budget::RetryBudget;
use crate::proxy::fault::Fault;
use crate::proxy::hedging::Hedger;
use crate::proxy::peer::Peer;
use crate::proxy::queue::{Ticket, WorkerQueue};
use crate::proxy::resolver::AddressCursor;
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
    /// When second attempts may begin, for all workers.
    pub hedger: &'a Hedger,
    /// Where requests wait while all backends are at their limits.
    pub queue: &'a WorkerQueue,
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

impl Context<'_> {
    /// A backend may take a request that took none before, or does not take requests any more.
    #[inline]
    pub(super) fn freed(&self) {
        self.queue.freed(|| self.balancer.places(self.now));
    }

    /// One that waits has got a backend, and leaves the queue.
    pub(super) fn goes(&self, ticket: &Ticket) {
        let is_out = || self.balancer.next_chance(self.now).is_some();
        ticket.goes(|| self.balancer.places(self.now), is_out);
    }
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

/// The ends of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The one that asks.
    Client,
    /// A backend that is asked.
    Upstream(AttemptId),
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

/// Why no connection to an address came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectFailure {
    /// It was refused.
    Refused,
    /// This process may not connect there: the file of a Unix socket says so, or a packet filter.
    Denied,
    /// Nothing answered in time.
    TimedOut,
    /// No route, or another error on the way.
    Unreachable,
    /// This host lacks descriptors, ports or memory: no fault of the backend.
    ResourceExhausted,
}

impl ConnectFailure {
    /// What it means for a request, if no address is left.
    pub(in crate::proxy) fn fault(self) -> Fault {
        match self {
            Self::Refused => Fault::ConnectRefused,
            Self::Denied => Fault::ConnectDenied,
            Self::TimedOut => Fault::ConnectTimeout,
            Self::Unreachable => Fault::ConnectUnreachable,
            Self::ResourceExhausted => Fault::ResourceExhausted,
        }
    }
}

/// How a connection is to be ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseMode {
    /// Close it.
    Close,
    /// Reset it, so that what was sent can't be taken for whole.
    Reset,
}

/// What became of a second attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HedgeEvent {
    /// It began.
    Sent,
    /// Its answer was the first acceptable one.
    Won,
}

/// What the exchange needs a worker to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Give this attempt a connection to this backend, in place of the one that it has; then say
    /// [`Exchange::reused`](super::Exchange::reused) or
    /// [`Exchange::dialing`](super::Exchange::dialing).
    Dial {
        /// The attempt that is to have it.
        attempt: AttemptId,
        /// The backend chosen.
        backend: BackendId,
        /// Where it comes from.
        source: Source,
    },
    /// No address of this backend answered, so its name may have moved.
    Refresh {
        /// The backend.
        backend: BackendId,
    },
    /// Count that an attempt at this backend failed, and that the request goes on with another one.
    CountFailure {
        /// The backend.
        backend: BackendId,
        /// What went wrong.
        fault: Fault,
    },
    /// Count a second attempt at this backend.
    CountHedge {
        /// The backend.
        backend: BackendId,
        /// What became of it.
        event: HedgeEvent,
    },
    /// Put the attempt's connection back into the pool.
    Recycle {
        /// The attempt, which is over.
        attempt: AttemptId,
        /// How long the connection may rest there.
        idle: Duration,
    },
    /// Keep the attempt's connection for this client alone, until either of them ends.
    Keep {
        /// The attempt, which is over.
        attempt: AttemptId,
        /// How long the connection may rest.
        idle: Duration,
    },
    /// Read the answer to the attempt, which was cancelled, to its end and drop it, then put the
    /// connection into the pool. Close it if that takes too long, see
    /// [`Discard`](super::Discard).
    Discard {
        /// The attempt, which is over.
        attempt: AttemptId,
        /// The method of its request.
        method: Method,
    },
    /// End the attempt's connection. By a reset if over it all was said: unlike a close this leaves
    /// no port in TIME-WAIT (RFC 9293 §3.6), of which a busy proxy would run out. Or if it is that
    /// of a tunnel that broke off: an orderly end would make what the backend got look whole.
    Close {
        /// The attempt, which is over.
        attempt: AttemptId,
        /// How it ends.
        how: CloseMode,
    },
    /// End the stream towards this side; it is still read.
    Finish(Side),
    /// Write the row, then call [`Exchange::reported`](super::Exchange::reported).
    Report,
    /// End the client's connection; the exchange is over.
    Hangup(CloseMode),
}

/// Where the connection of an attempt comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The one that was kept for the client, else the pool; if neither has one, as
    /// [`Source::Fresh`].
    Reuse,
    /// It is made to the backend's first address.
    Fresh,
    /// It is made to the address behind this one, which failed.
    After(AddressCursor),
}
