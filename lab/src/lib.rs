//! Tools that run, load, measure and compare the proxy.
//!
//! They treat a proxy as its users do: as a process with flags, ports, signals, files and an exit
//! status. None of them uses the inside of a running proxy.

mod acceptor;
pub mod arena;
pub mod backend;
pub mod bench;
pub mod explain;
mod fleet;
pub mod load;
pub mod machine;
pub mod parent_death;
pub mod ports;
mod process;
pub mod relay;
mod render;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod scenarios;
pub mod setup;
mod signals;
pub mod simulate;
pub mod soak;
pub mod stack;
mod ticker;
pub mod up;
