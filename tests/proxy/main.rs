//! The proxy from end to end: the real programs, real sockets, real clients.
//!
//! Single bytes are tested by the wire-level cases, decisions of the proxy by its unit tests. These
//! tests show that the parts work together.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bodies;
mod bound;
mod capacity;
mod clients;
mod command_line;
mod configured;
mod decisions;
mod descriptors;
mod listeners;
mod log;
mod policies;
mod reload;
mod trusted;
mod tunnel;
mod unix;
