//! Tools around the proxy: what it is measured against and with.

pub mod backend;
