//! The reactor against real sockets on the loopback.
//!
//! Nothing here sleeps: each wait is for an event, and a timer of the poller's own makes a wait in
//! vain a failure.

mod listener;
mod poller;
mod stream;

use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

use super::{Event, Key, Listener, Poller, Readiness, Stream, Transport};
use crate::endpoint::{Client, Endpoint};

/// Long enough for any machine; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

const PATIENCE_OVER: Key = Key::fixed(250, 0);

/// A poller that waits with a deadline.
struct Loop {
    poller: Poller,
    events: Vec<Event>,
}

impl Loop {
    fn new() -> Self {
        Self { poller: Poller::new(64).unwrap(), events: Vec::new() }
    }

    /// Turns until `look` makes something of a wake.
    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Poller, Event) -> Option<T>) -> T {
        let deadline = self.poller.now() + PATIENCE;
        self.poller.timers().wake_at(PATIENCE_OVER, deadline);
        loop {
            self.poller.turn(&mut self.events, false).unwrap();
            for event in &self.events {
                assert_ne!(*event, Event::Expired { key: PATIENCE_OVER, at: deadline }, "{what}");
                if let Some(found) = look(&self.poller, *event) {
                    return found;
                }
            }
        }
    }

    /// Turns, noting what `stream` (registered under `key`) is told, until `done`.
    fn watch(
        &mut self,
        what: &str,
        key: Key,
        stream: &mut Stream,
        done: impl Fn(&Stream, Readiness) -> bool,
    ) {
        self.until(what, |_, event| match event {
            Event::Ready { key: ready, readiness } if ready == key => {
                stream.note(readiness);
                done(stream, readiness).then_some(())
            }
            _ => None,
        });
    }
}

/// A listener, and the instant no longer than which a plain loop may go on.
fn listener(endpoint: &Endpoint) -> (Listener, Instant) {
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    let deadline = Instant::now() + PATIENCE;
    (Listener::bind(endpoint).unwrap(), deadline)
}

/// Accepts one connection, which the kernel already has or is about to queue.
fn accept(listener: &mut Listener, deadline: Instant) -> (Transport, Client) {
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    while Instant::now() < deadline {
        if let Some(accepted) = listener.accept().unwrap() {
            return accepted;
        }
    }
    panic!("no connection to accept");
}

/// A Unix socket's name in a folder of the test's own.
fn unix(folder: &TempDir, name: &str) -> Endpoint {
    format!("unix:{}", folder.path().join(name).display()).parse().unwrap()
}

/// A blocking connection of a peer's, of either kind.
fn connected(endpoint: &Endpoint) -> Socket {
    let (domain, address) = match endpoint {
        Endpoint::Tcp(address) => (Domain::for_address(*address), (*address).into()),
        Endpoint::Unix(name) => (Domain::UNIX, SockAddr::unix(name.path().unwrap()).unwrap()),
    };
    let socket = Socket::new(domain, Type::STREAM, None).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(&address).unwrap();
    socket
}
