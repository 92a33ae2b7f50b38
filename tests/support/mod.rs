//! What the end-to-end tests share: the programs as processes, peers that do what a test needs,
//! and patience.
//!
//! Nothing here waits by sleeping: one looks again until something is so, with a deadline that only
//! a failing test ever reaches.

#![allow(dead_code, reason = "each test program takes its part of this")]

pub mod clock;
pub mod http;
pub mod log;
pub mod origin;
pub mod process;
pub mod programs;
pub mod unix;
