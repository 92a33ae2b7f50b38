//! What can go wrong.

use std::io;

use crate::endpoint::Endpoint;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// No proxy answers.
    #[error("no proxy answers at {address}: {cause}{}", advice(cause))]
    Unreachable {
        /// Where it was asked.
        address: Endpoint,
        /// The reason.
        cause: io::Error,
    },
    /// It is no proxy that answers.
    #[error("what answers at {address} is no proxy's admin API: {what}")]
    Stranger {
        /// Where it was asked.
        address: Endpoint,
        /// What is odd.
        what: String,
    },
    /// The proxy does not do it.
    #[error("{0}")]
    Refused(String),
    /// It has not come about in time.
    #[error("{0}")]
    TooLate(String),
    /// It is not clear what is asked for.
    #[error("{0}")]
    Misuse(String),
    /// The terminal, or whatever standard output is.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; was it started with --admin? Name the address with --admin or TIDEGATE_ADMIN"
        }
        io::ErrorKind::PermissionDenied => "; the socket is for the proxy's user alone",
        _ => "",
    }
}

impl CtlError {
    /// The status of a program that ends by it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Misuse(_) => 2,
            Self::Unreachable { .. }
            | Self::Stranger { .. }
            | Self::Refused(_)
            | Self::TooLate(_)
            | Self::Output(_) => 1,
        }
    }
}
