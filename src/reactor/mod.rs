//! Sockets, readiness and time for one event loop: everything the operating system tells a worker.
//!
//! The loop belongs to the caller. [`Poller::turn`] hands out what happened as a list of [`Wake`]s,
//! each naming a [`Key`], and calls nobody back; the caller looks the key up in its own [`Slots`]
//! and moves bytes through its own [`Stream`]s. A key whose slot has been given to something else
//! in the meantime finds nothing, so an event that comes too late is harmless.
//!
//! Everything is edge-triggered and registered once: reusing a connection costs no system call.
//! The room knows no HTTP and no balancing; to it a connection is bytes, readiness and an alarm.

mod alarm;
mod alarms;
pub mod cores;
pub mod descriptors;
mod listener;
mod lists;
mod local;
mod poller;
mod slots;
mod stream;
#[cfg(test)]
mod tests;
mod timers;

pub use alarm::Alarm;
pub use alarms::Alarms;
pub use listener::Listener;
pub use lists::Lists;
pub use local::is_local;
pub use poller::{Caller, Poller, Readiness, Wake};
pub use slots::{Key, Slots};
pub use stream::{Received, Stream};
pub use timers::Timers;
