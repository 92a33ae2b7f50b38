//! tidegate: an adaptive HTTP/1.1 reverse proxy and load balancer.
//!
//! A module imports only from the layers below its own:
//!
//! ```text
//! bin/                                thin programs: flags, one call, an exit code
//! admin/  |  ctl/                     what the running proxy is asked and told; its client
//! control/  |  dashboard/             settings become a plan; a live page over the log
//! proxy/                              connects sockets, HTTP and balancing
//! journal/                            one CSV schema for writer and readers
//! reactor/ | http/ | balance/ | dns/  know nothing of each other; health
//! buffer, console, endpoint, hosts, sandbox, time, usage   used by all others
//! ```
//!
//! `docs/architecture.md` explains why; `tests/tidy.rs` checks it.

pub mod admin;
pub mod balance;
pub mod buffer;
pub mod console;
pub mod control;
pub mod ctl;
pub mod dashboard;
pub mod decision;
pub mod dns;
pub mod endpoint;
pub mod health;
pub mod hosts;
pub mod http;
pub mod journal;
pub mod proxy;
pub mod reactor;
pub mod sandbox;
pub mod time;
pub mod usage;
