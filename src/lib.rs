//! tidegate: an adaptive HTTP/1.1 reverse proxy and load balancer.
//!
//! The library is a house. A module imports only from the floors below its own:
//!
//! ```text
//! bin/                                thin programs: flags, one call, an exit code
//! dashboard/                          what the log says, as a page
//! proxy/                              ties sockets, HTTP and balancing together
//! journal/                            one CSV schema for writer and readers
//! reactor/  |  http/  |  balance/     know nothing of each other
//! buffer, console, health, time, usage   ground
//! ```
//!
//! `docs/architecture.md` tells why; `tests/tidy.rs` keeps it so.

pub mod balance;
pub mod buffer;
pub mod console;
pub mod dashboard;
pub mod health;
pub mod http;
pub mod journal;
pub mod proxy;
pub mod reactor;
pub mod time;
pub mod usage;
