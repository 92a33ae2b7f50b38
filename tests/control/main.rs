//! A proxy in this process, over real sockets: what can be told to it, and read of it, while it
//! runs.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod checks;
mod hedging;
mod listeners;
mod live;
mod membership;
mod metrics;
mod queueing;
mod settings;
mod stopping;
