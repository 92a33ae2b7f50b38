//! The two kinds of connections a worker holds, and what ties one to the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::exchange::{AttemptId, AttemptIds, ConnectFailure, Discard, Exchange, MAX_ATTEMPTS};
use super::peer::Peer;
use super::resolver::AddressCursor;
use crate::balance::BackendId;
use crate::endpoint::Endpoint;
use crate::reactor::{Key, Stream};

/// A client's connection. While nothing is asked it is no more than this.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    /// There from the first byte of a request, or of an empty line before it, to the last of its
    /// response; and behind the last response until the client has ended.
    pub(super) in_flight: Option<Box<InFlight>>,
    /// The upstream connection that rests until the client's next request, because it is
    /// authenticated as this client.
    pub(super) bound: Option<Key>,
    /// When it came, or had its last answer.
    pub(super) idle_since: Instant,
    /// When it is closed if no request comes.
    pub(super) idle_until: Instant,
    pub(super) standing: Standing,
}

/// What a client has under way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) exchange: Exchange,
    pub(super) links: Links,
}

/// The upstream connections of an exchange's attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    by_attempt: [Option<Key>; MAX_ATTEMPTS],
    /// The attempts that have one.
    open: AttemptIds,
}

impl Links {
    /// The attempts that have a connection, each with its own.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AttemptId, Key)> + use<> {
        let Self { by_attempt, open } = *self;
        open.filter_map(move |id| Some((id, by_attempt[id.index()]?)))
    }

    /// The connection of an attempt.
    pub(super) fn get(&self, attempt: AttemptId) -> Option<Key> {
        self.by_attempt[attempt.index()]
    }

    /// The attempt that has this connection.
    pub(super) fn attempt_of(&self, link: Key) -> Option<AttemptId> {
        self.iter().find(|(_, own)| *own == link).map(|(attempt, _)| attempt)
    }

    pub(super) fn set(&mut self, attempt: AttemptId, link: Key) {
        self.by_attempt[attempt.index()] = Some(link);
        self.open.insert(attempt);
    }

    pub(super) fn take(&mut self, attempt: AttemptId) -> Option<Key> {
        self.open.remove(attempt);
        self.by_attempt[attempt.index()].take()
    }
}

/// What a client's connection has come to, as far as its end goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It had no answer yet, so it can be closed at any time.
    New,
    /// It had an answer, of which a part may still be on the way.
    Served,
    /// It had its last answer and is only read until it ends. It holds no place.
    Leaving,
}

/// A connection to a backend.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) stream: Stream,
    pub(super) backend: BackendId,
    pub(super) task: Task,
    /// There until the first byte was sent.
    pub(super) cursor: Option<AddressCursor>,
    pub(super) target: Target,
    /// When it last came to rest, in the pool or with its client; before that, when it was opened.
    pub(super) idle_since: Instant,
    /// When it is closed if nobody uses it before, or the answer has not ended.
    pub(super) idle_until: Instant,
}

/// Where a connection to a backend leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// To this address, by which the backend is reached.
    Ip(SocketAddr),
    /// To a Unix socket, which has no other address.
    Unix,
    /// To an address that the backend does not have any more: unless that comes back, it is closed
    /// once it has done what it does, or at this instant.
    Former { address: SocketAddr, until: Instant },
}

impl Target {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp(address) => Self::Ip(*address),
            Endpoint::Unix(_) => Self::Unix,
        }
    }
}

/// What a connection to a backend does.
#[derive(Debug)]
pub(super) enum Task {
    /// It serves a client.
    Serve(Key),
    /// It rests, in the pool or with the client it is bound to.
    Rest,
    /// The answer to an attempt that was cancelled is read to its end.
    Discard(Box<Discard>),
}

/// A connection that rested this long is asked for what its backend may have sent meanwhile: a 408,
/// or its end. One that is used again sooner is spared the system call; no backend gives up on a
/// connection so soon.
pub(super) const RESTED: Duration = Duration::from_millis(1);

impl Upstream {
    /// The client it serves.
    pub(super) fn client(&self) -> Option<Key> {
        match self.task {
            Task::Serve(client) => Some(client),
            Task::Rest | Task::Discard(_) => None,
        }
    }

    /// Whether a connection that rests can serve another request. Events have told of what came
    /// before this turn; its work may have taken a while since.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        let has_rested = self.idle_since + RESTED <= now;
        let has_word = self.stream.can_read() || has_rested && self.stream.has_unread();
        // Timers come last in a turn, so its time may be up.
        now < self.idle_until && !has_word
    }
}

/// What kept a connection from being made, as the exchange needs to know it.
pub(super) fn connect_failure(error: &std::io::Error) -> ConnectFailure {
    use std::io::ErrorKind::{
        AddrInUse, AddrNotAvailable, ConnectionRefused, ConnectionReset, NotFound, OutOfMemory,
        PermissionDenied, TimedOut,
    };
    match error.kind() {
        _ if crate::reactor::descriptors::are_exhausted(error) => ConnectFailure::ResourceExhausted,
        AddrInUse | AddrNotAvailable | OutOfMemory => ConnectFailure::ResourceExhausted,
        // A Unix socket that is not there is as a port on which no process listens.
        ConnectionRefused | ConnectionReset | NotFound => ConnectFailure::Refused,
        PermissionDenied => ConnectFailure::Denied,
        TimedOut => ConnectFailure::TimedOut,
        _ => ConnectFailure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_limits_are_no_fault_of_a_backend() {
        for code in [24 /* EMFILE */, 23 /* ENFILE */, 99 /* EADDRNOTAVAIL */] {
            let error = std::io::Error::from_raw_os_error(code);
            assert_eq!(connect_failure(&error), ConnectFailure::ResourceExhausted, "{error}");
        }
    }

    #[test]
    fn a_backend_that_is_not_there_refuses_and_one_that_is_kept_from_us_denies() {
        for (code, failure) in [
            (111 /* ECONNREFUSED */, ConnectFailure::Refused),
            (2 /* ENOENT */, ConnectFailure::Refused),
            (13 /* EACCES */, ConnectFailure::Denied),
            (113 /* EHOSTUNREACH */, ConnectFailure::Unreachable),
        ] {
            let error = std::io::Error::from_raw_os_error(code);
            assert_eq!(connect_failure(&error), failure, "{error}");
        }
    }
}
