//! The dashboard as a process, over real sockets and files.
//!
//! Nothing here measures time: a wait is for bytes, for a process to end or for a figure to change,
//! and only a failing test waits until its patience is over.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod figures;
mod hosts;
mod limits;
mod program;
mod scene;
mod serving;
mod streams;
