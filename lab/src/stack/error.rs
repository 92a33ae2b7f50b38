//! Why a stack is not up, in words that name the program and a way out.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use super::START_PATIENCE;
use crate::ports::Owner;
use crate::process::describe;

/// Why the stack is not up, or no longer.
#[derive(Debug, Error)]
pub enum StackError {
    /// A program that belongs beside the lab isn't there.
    #[error("there is no {}; `cargo build --release` builds it", .0.display())]
    NoProgram(PathBuf),
    /// The proxy refuses its flags; it has said why.
    #[error("the proxy refuses to run so")]
    Refused,
    /// A flag has the proxy say something and end.
    #[error("with these flags the proxy says something and ends; run `tidegate` itself with them")]
    NoServer,
    /// One port is to be used twice.
    #[error("port {0} is named twice; every program needs its own")]
    PortTwice(u16),
    /// Somebody else has the port.
    #[error("port {port} for {name} is taken{}; stop that, or choose others, such as {way_out}",
        .owner.as_ref().map_or(String::new(), |owner| format!(" by {owner}")))]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// Who has it, if that can be seen.
        owner: Option<Owner>,
        /// The flag that chooses others, with some that are free.
        way_out: String,
    },
    /// The port can't be had for another reason.
    #[error("can't listen on port {port} for {name}: {source}")]
    Port {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The system doesn't let the lab run or watch programs.
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
    /// A child runs and can't be reached.
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
    /// A second signal came while the first was obeyed.
    #[error("stopped at once by a second signal; what was in flight is lost")]
    Hurried(i32),
}

pub(crate) fn system(what: &str) -> impl Fn(io::Error) -> StackError + use<'_> {
    move |source| StackError::System { what: what.to_owned(), source }
}
