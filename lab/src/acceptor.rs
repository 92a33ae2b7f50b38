//! Accepting connections, also when descriptors run out: what the backend and the relay share.

use std::io;
use std::time::{Duration, Instant};

use tidegate::endpoint::Endpoint;
use tidegate::reactor::{Event, Key, LazyTimer, Listener, Poller, Transport};

const KEY: Key = Key::fixed(0, 0);

/// How long to wait with the next attempt when there are no descriptors left.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A listener, and when accepting is to be tried again.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: Listener,
    retry: LazyTimer,
}

impl Acceptor {
    /// Listens on `endpoint`; events of connections must have keys with another tag than 0.
    pub(super) fn bind(endpoint: &Endpoint, poller: &Poller) -> io::Result<Self> {
        let listener = Listener::bind(endpoint)?;
        listener.register(KEY, poller)?;
        Ok(Self { listener, retry: LazyTimer::default() })
    }

    /// Where it listens, with the port the kernel chose.
    pub(super) fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// Whether the event is about accepting, so that [`Acceptor::next`] is to be called until there
    /// is none.
    pub(super) fn is_meant(&mut self, event: Event) -> bool {
        match event {
            Event::Ready { key: KEY, .. } => true,
            Event::Expired { key: KEY, at } => self.retry.fired(at),
            _ => false,
        }
    }

    /// The next connection that waits.
    pub(super) fn next(&mut self, now: Instant, poller: &mut Poller) -> Option<Transport> {
        let Ok(accepted) = self.listener.accept() else {
            self.retry.set(Some(now + RETRY_PAUSE), KEY, poller.timers());
            return None;
        };
        accepted.map(|(transport, _)| transport)
    }
}
