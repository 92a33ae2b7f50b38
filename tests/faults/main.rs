//! Faults, one by one, over real sockets: what the client gets, and what the log says.
//!
//! `docs/reliability.md` is the table of these tests. What the proxy decides in each case is tested
//! without sockets in `tests/exchange`; here the operating system takes part.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod checks;
mod circles;
mod clients;
mod console;
mod crowds;
mod descriptors;
mod ends;
mod hedging;
mod log;
mod queueing;
mod retries;
mod reuse;
mod stopping;
mod table;
mod timing;
mod unix;
mod unreachable;
mod uploads;
mod urgent;
