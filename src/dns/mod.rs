//! Which addresses a host name has: a stub resolver (RFC 1034 §5.3.1) without sockets and clocks.
//!
//! [`Lookup`] is one look-up. It is told what came back and how late it is, and tells what is to be
//! asked of which server. [`ResolvConf`] and [`Hosts`] read the files by which systems configure
//! this. The C library's own resolver knows no TTL, can't be told to stop, and takes a thread for
//! each name that is waited for.

mod hosts;
mod lookup;
mod message;
mod name;
mod resolv_conf;
mod stream;

pub use hosts::Hosts;
pub use lookup::{Ask, Failure, Found, Lookup, Outcome, Via};
pub use message::{Family, PORT};
pub use name::Name;
pub use resolv_conf::ResolvConf;
pub use stream::{Framed, framed};

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::message::tests::{answer, record};
}
