//! Listening sockets, one for each event loop.
//!
//! Over TCP each loop has a socket of its own at the same port: it accepts without a lock and is
//! woken only for its own connections, which the kernel distributes by a hash of the addresses
//! (`SO_REUSEPORT`). Unix sockets have no such option, so all loops share one, and a connection
//! wakes one of those that wait. So do those that use a socket that was passed to this program.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport, set_tcp_nodelay,
};
use rustix::net::{AddressFamily, SocketFlags, acceptfrom_with, bind, getsockname, listen};

use super::inherited::Inherited;
use super::socket_file::SocketFile;
use super::transport::{Transport, family, open};
use super::{Key, Poller};
use crate::endpoint::{Client, Endpoint, UnixName};

/// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The mode of a Unix socket's file by default: every user that can reach the file may connect, as
/// to a TCP port.
pub const DEFAULT_MODE: u32 = 0o666;

/// A non-blocking listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: Arc<Socket>,
    endpoint: Endpoint,
}

/// Knows a [`Listener`] and does not keep it open.
#[derive(Clone, Debug)]
pub struct ListenerHandle(Weak<Socket>);

#[derive(Debug)]
struct Socket {
    // It is dropped before the socket is closed; see there.
    file: Option<SocketFile>,
    descriptor: OwnedFd,
}

impl Listener {
    /// Listens on `endpoint`. Port 0 has the kernel choose; `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not permitted.
    pub fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = open_tcp(*address)?;
                bind(&socket, address)?;
                Self::listen_tcp(socket)
            }
            Endpoint::Unix(name) => Self::bind_unix(name, DEFAULT_MODE),
        }
    }

    /// Listens on `endpoint` for `count` loops, among which connections are distributed. The file
    /// of a Unix socket gets `mode`: users that may write to it may connect.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_group(endpoint: &Endpoint, mode: u32, count: usize) -> io::Result<Vec<Self>> {
        match endpoint {
            Endpoint::Tcp(address) => Self::bind_tcp_group(*address, count, Sharing::WithNone),
            Endpoint::Unix(name) => Ok(Self::bind_unix(name, mode)?.shared(count)),
        }
    }

    /// As [`Listener::bind_group`], at a socket that was passed to this program; `None` if none of
    /// them has this address. Its file is not ours: its mode stays, and it is not removed.
    ///
    /// # Errors
    /// An error of the system.
    pub fn inherit_group(
        endpoint: &Endpoint,
        count: usize,
        inherited: &Inherited,
    ) -> io::Result<Option<Vec<Self>>> {
        let Some(descriptor) = inherited.at(endpoint) else { return Ok(None) };
        let descriptor = descriptor.try_clone()?;
        ioctl_fionbio(&descriptor, true)?;
        if matches!(endpoint, Endpoint::Tcp(_)) {
            set_tcp_nodelay(&descriptor, true)?;
        }
        let socket = Arc::new(Socket { file: None, descriptor });
        Ok(Some(Self { socket, endpoint: endpoint.clone() }.shared(count)))
    }

    fn shared(self, count: usize) -> Vec<Self> {
        let Self { socket, endpoint } = self;
        let shared = || Self { socket: Arc::clone(&socket), endpoint: endpoint.clone() };
        (0..count).map(|_| shared()).collect()
    }

    /// As [`Listener::bind_group`], at a port at which this process listens already, at an address
    /// that includes this one or is included in it. The kernel prefers the narrower one.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_group_beside(address: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        Self::bind_tcp_group(address, count, Sharing::WithOwn)
    }

    fn bind_tcp_group(
        address: SocketAddr,
        count: usize,
        sharing: Sharing,
    ) -> io::Result<Vec<Self>> {
        let mut group: Vec<Self> = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = open_tcp(address)?;
            let chosen = match group.first().map(Self::endpoint) {
                Some(Endpoint::Tcp(chosen)) => Some(*chosen),
                _ => (sharing == Sharing::WithOwn).then_some(address),
            };
            if let Some(chosen) = chosen {
                set_socket_reuseport(&socket, true)?;
                bind(&socket, &chosen)?;
            } else {
                bind(&socket, &address)?;
                set_socket_reuseport(&socket, true)?;
            }
            group.push(Self::listen_tcp(socket)?);
        }
        Ok(group)
    }

    fn listen_tcp(descriptor: OwnedFd) -> io::Result<Self> {
        listen(&descriptor, BACKLOG)?;
        let endpoint = SocketAddr::try_from(getsockname(&descriptor)?)?.into();
        Ok(Self { socket: Arc::new(Socket { file: None, descriptor }), endpoint })
    }

    fn bind_unix(name: &UnixName, mode: u32) -> io::Result<Self> {
        let descriptor = open(AddressFamily::UNIX)?;
        let file = SocketFile::bind(&descriptor, name, mode)?;
        let socket = Arc::new(Socket { file, descriptor });
        listen(&socket.descriptor, BACKLOG)?;
        Ok(Self { socket, endpoint: name.clone().into() })
    }

    /// Where it listens, with the port the kernel chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A handle that does not keep it open.
    #[must_use]
    pub fn handle(&self) -> ListenerHandle {
        ListenerHandle(Arc::downgrade(&self.socket))
    }

    /// Has `poller` wake `key` when connections begin to wait.
    ///
    /// # Errors
    /// When the kernel refuses to watch one more descriptor.
    pub fn register(&self, key: Key, poller: &Poller) -> io::Result<()> {
        poller.register_readable(&self.socket.descriptor, key)
    }

    /// Whether a connection waits. It costs a system call, and no descriptor as accepting does.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let mut sockets = [PollFd::new(&self.socket.descriptor, PollFlags::IN)];
        poll(&mut sockets, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Takes one waiting connection and the client it came from, or `None` if there is none.
    ///
    /// Readiness is edge-triggered: the next event comes only with the next connection. A caller
    /// that stops before `None`, at an error or at a limit of its own, must try again by a timer or
    /// whenever a connection ends, or those that wait now will wait for ever.
    ///
    /// # Errors
    /// When descriptors or memory are short (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): pause, then
    /// try again. Connections that broke while they waited are skipped.
    pub fn accept(&mut self) -> io::Result<Option<(Transport, Client)>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            match acceptfrom_with(&self.socket.descriptor, flags) {
                Ok((socket, address)) => {
                    let ip = address.and_then(|address| SocketAddr::try_from(address).ok());
                    let client = ip.map_or(Client::Unix, |ip| Client::Ip(canonical(ip)));
                    return Ok(Some((Transport::accepted(socket, ip.is_some()), client)));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) if broke_while_waiting(error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Has `poller`, where it is registered, wake nobody any more, and prevents new connections
    /// where that is possible while those that wait can still be accepted: the file of a Unix
    /// socket is removed.
    ///
    /// The kernel wakes one of the loops that watch a socket. One that is shared with others stays
    /// open, and a loop that has left must not be the one that is woken.
    pub fn withdraw(&self, poller: &Poller) {
        // It is registered, or the loop ends without it.
        let _ = poller.deregister(&self.socket.descriptor);
        if let Some(file) = &self.socket.file {
            file.remove();
        }
    }
}

impl ListenerHandle {
    /// Gives the file of a Unix socket this mode. Others have no file.
    ///
    /// # Errors
    /// The file or the listener is gone, or an error of the system.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        let socket = self.0.upgrade().ok_or(io::ErrorKind::NotFound)?;
        socket.file.as_ref().map_or(Ok(()), |file| file.set_mode(mode))
    }
}

/// Whether the first socket of a group may have a port that is in use. It is bound without
/// `SO_REUSEPORT` unless the port is known to be this process's own, because with it a port that
/// another process of this user holds would be shared in silence.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Sharing {
    WithNone,
    WithOwn,
}

/// Options that accepted sockets inherit are set here once; `TCP_NODELAY` is one on Linux.
fn open_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = open(family(address))?;
    set_socket_reuseaddr(&socket, true)?;
    set_tcp_nodelay(&socket, true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, false)?;
    }
    Ok(socket)
}

/// Errors of the one connection that accept would have returned (accept(2), "Error handling").
fn broke_while_waiting(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::OPNOTSUPP
            | Errno::PERM
    )
}

/// Shows an IPv4 address that a dual-stack socket wrapped into IPv6 as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
