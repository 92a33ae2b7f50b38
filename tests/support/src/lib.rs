//! What the end-to-end tests share: the programs as processes, clients and backends that do what a
//! test needs, and deadlines.
//!
//! Nothing here waits by sleeping: it looks again and again until something holds, up to a deadline
//! that only a failing test reaches.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "panicking is what it is for")]
#![expect(clippy::must_use_candidate, reason = "a test may ignore what it waited for")]

pub mod clock;
pub mod commands;
pub mod dnsmasq;
pub mod http;
pub mod load;
pub mod log;
pub mod network;
pub mod origin;
pub mod over;
pub mod ports;
pub mod process;
pub mod programs;
pub mod scripted;
pub mod server;
pub mod unix;
