//! Listening sockets that were open before this program started and were passed to it, as a service
//! manager does (socket activation, `sd_listen_fds(3)`).
//!
//! The service manager keeps them open. While no process accepts, connections wait instead of being
//! refused. Several processes can accept from a socket, one after the other or at the same time.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::endpoint::{Endpoint, UnixName};

/// The first descriptor that is passed has this number.
const FIRST: usize = 3;

/// The names of the descriptors, with colons in between. Some may be empty.
const NAMES: &str = "LISTEN_FDNAMES";

/// All sockets that were passed. They stay open, because a reload may use one that is not used now.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Arc<[InheritedSocket]>);

/// A socket that was passed. Displayed, it is the number of its descriptor, and its name if it has
/// one.
#[derive(Debug)]
pub struct InheritedSocket {
    descriptor: OwnedFd,
    endpoint: Endpoint,
    /// Such as "descriptor 3 (tidegate.socket)".
    called: String,
}

/// A descriptor was passed that nothing can be accepted from.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} was passed to this program and is no socket that listens for streams; its socket unit \
     needs ListenStream= and Accept=no"
)]
pub struct InheritError(String);

impl Inherited {
    /// Takes the sockets that the environment names. Only the first call gets any.
    ///
    /// Call it before any thread is started, because it changes the environment.
    ///
    /// # Errors
    /// See [`InheritError`].
    pub fn take() -> Result<Self, InheritError> {
        let names = env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|place| {
            let called = called(place, names.next().unwrap_or_default());
            let taken = take(&mut passed, place);
            match taken.filter(|(socket, _)| socket_acceptconn(socket).unwrap_or(false)) {
                Some((descriptor, endpoint)) => {
                    Ok(InheritedSocket { descriptor, endpoint, called })
                }
                None => Err(InheritError(called)),
            }
        });
        sockets.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The socket that listens at this address, if one was passed.
    pub(super) fn at(&self, endpoint: &Endpoint) -> Option<&OwnedFd> {
        let socket = self.0.iter().find(|socket| socket.endpoint == *endpoint);
        socket.map(|socket| &socket.descriptor)
    }

    /// Those that listen at other addresses than these.
    pub fn others<'a>(&'a self, used: &'a [Endpoint]) -> impl Iterator<Item = &'a InheritedSocket> {
        self.0.iter().filter(|socket| !used.contains(&socket.endpoint))
    }
}

impl InheritedSocket {
    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Display for InheritedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.called)
    }
}

/// What a message calls the descriptor at this place. systemd calls it `unknown` if it has no name.
fn called(place: usize, name: &str) -> String {
    let number = place + FIRST;
    match name {
        "" | "unknown" => format!("descriptor {number}"),
        name => format!("descriptor {number} ({name})"),
    }
}

/// The socket at this place and its address, if it is a stream socket that has an address.
fn take(passed: &mut ListenFd, place: usize) -> Option<(OwnedFd, Endpoint)> {
    if let Ok(Some(socket)) = passed.take_tcp_listener(place) {
        let endpoint = tcp_endpoint(&socket).ok()?;
        return Some((socket.into(), endpoint));
    }
    let socket = passed.take_unix_listener(place).ok()??;
    let endpoint = unix_endpoint(&socket).ok()??;
    Some((socket.into(), endpoint))
}

fn tcp_endpoint(socket: &TcpListener) -> io::Result<Endpoint> {
    socket.local_addr().map(Endpoint::from)
}

fn unix_endpoint(socket: &UnixListener) -> io::Result<Option<Endpoint>> {
    let address = socket.local_addr()?;
    let text = match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
        (None, Some(name)) => [b"@", name].concat(),
        (None, None) => return Ok(None),
    };
    Ok(UnixName::new(OsStr::from_bytes(&text)).ok().map(Endpoint::from))
}
