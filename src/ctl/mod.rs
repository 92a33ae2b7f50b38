//! The client of the admin API: what `tidegatectl` does.
//!
//! It knows the proxy by that API alone. So it can ask a proxy of another version, as long as the
//! names there are the same.

mod backend;
mod client;
mod error;
mod flags;
mod names;
mod screen;
mod table;
mod tasks;

pub use error::CtlError;
pub use flags::{ADVICE, Flags};
pub use tasks::run;
