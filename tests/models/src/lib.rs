//! The balancing of the proxy and its queue, compiled with the atomics and locks of loom.

#[path = "../../../src/balance/mod.rs"]
pub mod balance;
#[path = "../../../src/proxy/queue/mod.rs"]
pub mod queue;
