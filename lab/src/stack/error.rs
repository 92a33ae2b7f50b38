//! Why a stack does not run. Messages name the program and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use super::START_PATIENCE;
use crate::ports::Owner;
use crate::process::describe;

/// Why the stack does not run, or no longer.
#[derive(Debug, Error)]
pub enum StackError {
    /// A program that should be beside the lab's is missing.
    #[error("there is no {}; `cargo build --release` builds it", .0.display())]
    NoProgram(PathBuf),
    /// The proxy refuses its flags, and has said why.
    #[error("the proxy does not accept these flags")]
    Refused,
    /// With one of its flags the proxy prints something and ends.
    #[error("with these flags the proxy does not serve; run `tidegate` itself with them")]
    NoServer,
    /// One port is given twice.
    #[error("port {0} is named twice; every program needs a port of its own")]
    PortTwice(u16),
    /// Another process has the port.
    #[error("port {port} for {name} is taken{}; stop that, or choose others, such as {way_out}",
        .owner.as_ref().map_or(String::new(), |owner| format!(" by {owner}")))]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// The process that has it, if that can be seen.
        owner: Option<Owner>,
        /// The flag for other ports, with some that are free.
        way_out: String,
    },
    /// It is not possible to listen on the port for another reason.
    #[error("can't listen on port {port} for {name}: {source}")]
    Port {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A system call failed.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A child ended by itself.
    #[error("{name} {}", describe(*.status))]
    Ended {
        /// Which one.
        name: String,
        /// How.
        status: ExitStatus,
    },
    /// A child runs and accepts no connections.
    #[error("{name} doesn't answer at {address} after {START_PATIENCE:?}")]
    Silent {
        /// Which one.
        name: String,
        /// Where it should.
        address: SocketAddr,
    },
    /// The proxy runs and has no log.
    #[error("the proxy makes no log `{}` within {START_PATIENCE:?}", .0.display())]
    NoLog(PathBuf),
    /// A second signal came before the end that the first asked for.
    #[error("stopped at once by a second signal; what was in flight is lost")]
    Hurried(i32),
}

pub(crate) fn system(what: &str) -> impl Fn(io::Error) -> StackError + use<'_> {
    move |source| StackError::System { what: what.to_owned(), source }
}
