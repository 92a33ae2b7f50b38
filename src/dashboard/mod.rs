//! The live dashboard: a page over the log, and the figures on it as JSON.
//!
//! It is a program of its own that knows the proxy only by the log it writes, so that it can look
//! at the log of any proxy, of another machine or of last week, and nothing it does can slow a
//! request. It never writes, and takes in as much memory whatever the log's length.
//!
//! ```text
//! source ─► tail ─► model ─► board ─► snapshot as JSON ─► answer, stream
//! (which log)       (what is known)   (at most one per window and half second)
//! ```

mod answer;
mod assets;
mod board;
mod connection;
mod description;
mod estimate;
mod histogram;
mod hosts;
mod model;
mod reader;
mod server;
mod snapshot;
mod source;
mod timeline;
mod window;

#[cfg(test)]
mod tests;

pub use answer::HEALTH;
pub use server::{DESCRIPTORS_MIN, Dashboard, Options, STREAMS_MAX};
