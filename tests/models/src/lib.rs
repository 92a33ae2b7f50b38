//! The balancing of the proxy, compiled with the atomics of loom.

#[path = "../../../src/balance/mod.rs"]
pub mod balance;
