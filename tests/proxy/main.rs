//! The proxy from end to end: the real programs, real sockets, real clients.
//!
//! What single bytes do is the matter of the wire-level cases, and what the proxy decides that of
//! its unit tests. Here it is shown that the parts make up a proxy.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod bound;
mod capacity;
mod clients;
mod command_line;
mod log;
mod policies;
mod trusted;
mod tunnel;
