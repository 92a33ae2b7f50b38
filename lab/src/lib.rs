//! Tools around the proxy: what it is measured against and with.
//!
//! Everything here works on processes and files from outside. The lab never looks into a running
//! proxy; what it knows of one it reads from flags, ports, signals and exit statuses, as its users
//! do.

mod acceptor;
pub mod backend;
pub mod bench;
pub mod load;
pub mod parent_death;
pub mod ports;
mod process;
pub mod relay;
mod render;
pub mod report;
pub mod scenarios;
pub mod setup;
mod signals;
pub mod soak;
pub mod stack;
pub mod up;
