//! Why there can be no log, and what to do about it; and why a line is not a row.

use std::io;
use std::path::PathBuf;

use super::form::Form;

/// A log that cannot be written. Each message names the file and a way out.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its folder cannot be created, opened, moved aside or written.
    #[error(
        "cannot write the log `{}`: {source}; name another file with {flag}, or {flag} none",
        path.display(), flag = form.flag()
    )]
    Unwritable {
        /// The log as it was named.
        path: PathBuf,
        /// Which log that is.
        form: Form,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the lock on this log.
    #[error(
        "another process is writing the log `{}`; stop it, or name another file with {}",
        path.display(), form.flag()
    )]
    Locked {
        /// The log as it was named.
        path: PathBuf,
        /// Which log that is.
        form: Form,
    },
    /// The file contains something else than a log, and is left alone.
    #[error(
        "`{}` exists and is no log of this format; name another file with {}, or move it away",
        path.display(), form.flag()
    )]
    NotALog {
        /// The log as it was named.
        path: PathBuf,
        /// Which log that is.
        form: Form,
    },
    /// The path is a named pipe without a reader, which would block the start.
    #[error(
        "nothing reads the pipe `{}`; start its reader first, or name a file with {}",
        path.display(), form.flag()
    )]
    NoReader {
        /// The log as it was named.
        path: PathBuf,
        /// Which log that is.
        form: Form,
    },
    /// Rows and choices would be in one file.
    #[error(
        "--log `{}` and --decisions `{}` are the same file; name two files",
        log.display(), decisions.display()
    )]
    OneFile {
        /// The log of requests as it was named.
        log: PathBuf,
        /// The log of choices as it was named.
        decisions: PathBuf,
    },
    /// The thread could not be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[source] io::Error),
}

/// A field that cannot be read as a value of its column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no {column}")]
pub struct RowError {
    /// The name of the column.
    pub column: &'static str,
    /// The field, with broken UTF-8 replaced.
    pub value: String,
}
