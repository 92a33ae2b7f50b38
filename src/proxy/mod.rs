//! Ties sockets, HTTP and balancing together.
//!
//! [`exchange`] decides what happens to a request, without touching a socket; a worker moves the
//! bytes it decides on; [`Bound`] and [`Server`] run the workers. Everything they are told is in
//! [`settings`].

mod accept_balancer;
mod allowance;
pub mod backends;
pub mod budget;
pub mod checks;
mod circle;
mod configured;
mod connection;
pub mod decisions;
pub mod exchange;
mod fault;
pub mod hedging;
pub mod listeners;
pub mod locate;
pub mod lookups;
mod mailbox;
pub mod metrics;
pub mod names;
pub mod observed;
mod peer;
mod pipe;
mod pool;
pub mod queue;
mod resolver;
mod server;
pub mod settings;
mod standing;
pub mod statuses;
pub mod trusted;
mod worker;

pub use circle::CircleError;
pub use fault::Fault;
pub use peer::Peer;
pub use resolver::AddressCursor;
pub use server::{Bound, Server, StartError};
pub use worker::CHOICES_KEPT;

use crate::health::Question;

/// Asks the proxy itself, not a backend: an `OPTIONS` that may go no further (RFC 9110 §7.6.2).
pub const HEALTH: Question = Question {
    server: "proxy",
    bytes: b"OPTIONS * HTTP/1.1\r\nHost: health\r\nMax-Forwards: 0\r\n\
             User-Agent: tidegate-health\r\nConnection: close\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: b"",
};

/// The user agent of [`HEALTH`], by which the log tells its requests from those of clients.
const HEALTH_AGENT: &[u8] = b"tidegate-health";
