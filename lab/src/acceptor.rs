//! Accepting connections, also when descriptors run out: what the backend and the relay share.

use std::io;
use std::time::{Duration, Instant};

use tidegate::endpoint::Endpoint;
use tidegate::reactor::{Event, Key, LazyTimer, Listener, Poller, Transport};

/// How long to wait with the next attempt when there are no descriptors left.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A listener, and when accepting is to be tried again.
#[derive(Debug)]
pub(super) struct Acceptor {
    key: Key,
    listener: Listener,
    retry: LazyTimer,
}

impl Acceptor {
    /// Listens on `endpoint`; its events have this key.
    pub(super) fn bind(endpoint: &Endpoint, key: Key, poller: &Poller) -> io::Result<Self> {
        let listener = Listener::bind(endpoint)?;
        listener.register(key, poller)?;
        Ok(Self { key, listener, retry: LazyTimer::default() })
    }

    /// Where it listens, with the port the kernel chose.
    pub(super) fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// Whether the event is about accepting, so that [`Acceptor::next`] is to be called until there
    /// is none.
    pub(super) fn is_meant(&mut self, event: Event) -> bool {
        match event {
            Event::Ready { key, .. } => key == self.key,
            Event::Expired { key, at } => key == self.key && self.retry.fired(at),
            Event::Woken => false,
        }
    }

    /// The next connection that waits.
    pub(super) fn next(&mut self, now: Instant, poller: &mut Poller) -> Option<Transport> {
        let Ok(accepted) = self.listener.accept() else {
            self.retry.set(Some(now + RETRY_PAUSE), self.key, poller.timers());
            return None;
        };
        accepted.map(|(transport, _)| transport)
    }
}
