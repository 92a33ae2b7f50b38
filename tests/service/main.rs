//! The proxy as a service: what it has from the manager that started it and tells it, how one
//! process follows another at the same sockets, and what it is confined to.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod confined;
mod follows;
mod manager;
mod notified;
mod passed;
mod unit;
