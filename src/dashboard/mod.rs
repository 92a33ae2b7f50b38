//! The live dashboard: a page over the log, and the figures on it as JSON.
//!
//! It is a program of its own that knows the proxy only by the log that it writes. So it can show
//! the log of any proxy, of another machine or of last week, and nothing it does can slow down a
//! request. It never writes, and needs the same memory whatever the log's length.
//!
//! ```text
//! source ─► tail ─► model ─► snapshot_cache ─► snapshot as JSON ─► answer, stream
//! (which log)       (counts)                   (at most one per window and half second)
//! ```

mod answer;
mod assets;
mod availability;
mod cell;
mod connection;
mod decisions;
mod description;
mod estimate;
mod histogram;
mod incidents;
mod known;
mod listed;
mod model;
mod reader;
mod recorded;
mod requests;
mod rounding;
mod series;
mod server;
mod snapshot;
mod snapshot_cache;
mod source;
mod switches;
mod timeline;
mod window;

#[cfg(test)]
mod tests;

pub use answer::HEALTH;
pub use server::{DESCRIPTORS_MIN, Dashboard, Options, STREAMS_MAX};
