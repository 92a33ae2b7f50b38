//! Clients and backends that meet the proxy at Unix sockets.

use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use socket2::SockRef;

use super::http::Connection;

/// A client's connection to what listens at `path`.
pub fn connect(path: &Path) -> Connection {
    connection(UnixStream::connect(path).expect("somebody listens"))
}

/// The type is named after TCP, and any kind of stream will do.
fn connection(stream: UnixStream) -> Connection {
    Connection::new(TcpStream::from(OwnedFd::from(stream)))
}

/// The name of a socket as flags and logs have it.
pub fn name(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A backend; it accepts nobody any more once it is dropped, and leaves its file behind.
pub struct UnixOrigin {
    pub path: PathBuf,
    accepted: Arc<AtomicUsize>,
    listener: UnixListener,
}

impl UnixOrigin {
    pub fn serve(path: &Path, act: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let origin = Self {
            path: path.to_owned(),
            accepted: Arc::clone(&accepted),
            listener: listener.try_clone().unwrap(),
        };
        let act = Arc::new(act);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let act = Arc::clone(&act);
                thread::spawn(move || act(connection(stream)));
            }
        });
        origin
    }

    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for UnixOrigin {
    fn drop(&mut self) {
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

/// Does `start` on a thread that, should this be root, must heed the modes of files as anybody
/// else; and so must the programs that it starts.
pub fn as_anybody<T: Send + 'static>(start: impl FnOnce() -> T + Send + 'static) -> T {
    let act = move || {
        for right in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
            // Who can't give it up does not have it.
            let _ = remove_capability_from_bounding_set(right);
        }
        start()
    };
    thread::spawn(act).join().unwrap()
}
