//! Clients and backends at Unix sockets.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::http::Connection;
use super::origin::Acceptor;

/// A client's connection to the server at `path`.
pub fn connect(path: &Path) -> Connection {
    let stream = UnixStream::connect(path).expect("the server accepts");
    // The type is named after TCP, and any kind of stream socket will do.
    Connection::new(TcpStream::from(OwnedFd::from(stream)))
}

/// The name of a socket as flags and logs have it.
pub fn name(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A backend; it accepts no connection any more once it is dropped, and does not remove its file.
pub struct UnixOrigin {
    /// Where it listens.
    pub path: PathBuf,
    acceptor: Acceptor,
}

impl UnixOrigin {
    /// Has `act` deal with each connection on a thread of its own.
    pub fn serve(path: &Path, act: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = OwnedFd::from(UnixListener::bind(path).unwrap());
        Self { path: path.to_owned(), acceptor: Acceptor::start(listener.into(), act) }
    }

    /// Its name as flags and logs have it.
    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.acceptor.accepted()
    }
}

/// Runs `start` on a thread to which the modes of files apply, even if this is root, and so they do
/// to the programs that it starts.
pub fn as_anybody<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let act = move || {
        for right in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
            // It fails where the right is missing already.
            let _ = remove_capability_from_bounding_set(right);
        }
        start()
    };
    thread::spawn(act).join().unwrap()
}
