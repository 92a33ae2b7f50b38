//! Configuration: from the texts that a user gives to the one value that the proxy runs with.
//!
//! [`table`] describes each setting once. [`command_line`], [`environment`] and [`mod@file`] are
//! sources: each returns the settings that it gives, as text, with the place of each. [`sources`]
//! reads them together, [`plan`] parses the texts and checks the result as a whole, and
//! [`describe`] prints it. The proxy does not know the names and texts of settings; it gets the
//! [`Plan`](crate::proxy::settings::Plan).

mod backend;
pub mod changes;
pub mod command_line;
pub mod controller;
pub mod describe;
mod diagnostic;
pub mod edit;
pub mod environment;
pub mod file;
mod format;
mod listen;
pub mod manager;
pub mod meta;
mod options;
pub mod plan;
pub mod reloader;
pub mod reloads;
pub mod scraper;
pub mod setting;
pub mod sources;
pub mod table;
#[cfg(test)]
mod tests;
pub mod watchdog;
