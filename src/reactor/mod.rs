//! Sockets, readiness and time for one event loop: everything the operating system tells a worker.
//!
//! The loop belongs to the caller. [`Poller::turn`] hands out what happened as a list of
//! [`Event`]s, each naming a [`Key`], and calls nobody back; the caller looks the key up in its own
//! [`Slots`] and moves bytes through its own [`Stream`]s. A key whose slot has been given to
//! something else in the meantime finds nothing, so an event that comes too late is harmless.
//!
//! Everything is edge-triggered and registered once: reusing a connection costs no system call.
//! This module knows no HTTP and no balancing; to it a connection is bytes, readiness and a timer.
//! What kind of connection it is, TCP or a Unix socket, is known to [`Transport`] and [`Listener`]
//! alone.

pub mod cores;
mod datagram;
pub mod descriptors;
mod inherited;
mod lazy_timer;
mod lazy_timers;
mod listener;
mod lists;
mod local;
mod poller;
mod slots;
mod socket_file;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod transport;

pub use datagram::Datagrams;
pub use inherited::{InheritError, Inherited, InheritedSocket};
pub use lazy_timer::LazyTimer;
pub use lazy_timers::LazyTimers;
pub use listener::{DEFAULT_MODE, Listener, ListenerHandle};
pub use lists::Lists;
pub use local::is_local;
pub use poller::{Event, Poller, Readiness, Waker};
pub use slots::{Key, Slots};
pub use stream::{Received, Stream};
pub use timers::Timers;
pub use transport::Transport;
