//! The admin API: what a running proxy is asked and told over HTTP, by `tidegatectl` and by
//! programs.
//!
//! One thread answers at all addresses of `--admin`, on the proxy's reactor. What changes something
//! is permitted over a Unix socket alone, and is done by another thread, because the name of a new
//! backend may have to be waited for. Nothing here touches a request of a client: it reads counters
//! that workers write anyway, and tells the [`Controller`](crate::control::controller::Controller)
//! what to change.
//!
//! ```text
//! listeners ─► server ─► connection ─► request ─► routes ─► backends, changes ─► answer
//! (where)      (loop)    (no socket)   (for us?)  (which)
//! ```

mod answer;
mod backends;
mod changes;
mod connection;
mod listeners;
mod recent;
mod request;
mod routes;
mod server;

pub use listeners::{Bound, ListenError};
pub use routes::Service;
pub use server::Server;
