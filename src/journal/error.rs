//! Why a log can't be written from the start.

use std::io;
use std::path::PathBuf;

/// A log that can't be opened. Each message names the path and says what can be done.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder can't be made, or the file can't be opened.
    #[error(
        "can't write the log {}: {source}; choose another place with --log FILE, or --log none",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes this very file.
    #[error(
        "the log {} is being written by another proxy; choose another file with --log FILE",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is a pipe at the path, and nobody reads from it.
    #[error("the log {} is a pipe without a reader; start its reader first", path.display())]
    NoReader {
        /// The pipe.
        path: PathBuf,
    },
    /// The system gives no thread for the writer.
    #[error("can't start the log's thread: {0}")]
    Thread(io::Error),
}
