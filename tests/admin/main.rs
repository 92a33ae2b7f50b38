//! The admin API of a running proxy, and `tidegatectl`, which asks it, over real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod api;
mod ctl;
mod limits;
mod load;
mod metrics;
mod names;
mod scene;
mod screen;
