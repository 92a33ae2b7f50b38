//! Ties sockets, HTTP and balancing together.
//!
//! [`exchange`] decides what happens to a request, without touching a socket; `worker` moves the
//! bytes it decides on. Everything they are told is in [`settings`].

pub mod exchange;
mod fault;
mod pipe;
pub mod settings;
mod transfer;

pub use fault::Fault;
