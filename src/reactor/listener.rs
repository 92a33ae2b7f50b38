//! Listening sockets: one per event loop, sharing a port.
//!
//! With a socket of its own each loop accepts without a lock and is woken only for its own
//! connections. The kernel spreads them by a hash of the addresses.

use std::io;
use std::net::{SocketAddr, TcpListener};

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::{Key, Poller};

/// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A non-blocking listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: mio::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`. Port 0 has the kernel choose; `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not permitted.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = open(address)?;
        socket.bind(&address.into())?;
        Self::listen(socket)
    }

    /// Listens on `address` with `count` sockets, among which the kernel spreads the connections.
    ///
    /// The first is bound without `SO_REUSEPORT`, for with it a port that another of our processes
    /// holds would be shared in silence.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_group(address: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        let mut group: Vec<Self> = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = open(address)?;
            match group.first() {
                None => {
                    socket.bind(&address.into())?;
                    socket.set_reuse_port(true)?;
                }
                Some(first) => {
                    socket.set_reuse_port(true)?;
                    socket.bind(&first.address.into())?;
                }
            }
            group.push(Self::listen(socket)?);
        }
        Ok(group)
    }

    fn listen(socket: Socket) -> io::Result<Self> {
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Self { socket: mio::net::TcpListener::from_std(socket), address })
    }

    /// The address listened on, with the port the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Has `poller` wake `key` when connections begin to wait.
    ///
    /// # Errors
    /// When the kernel refuses to watch one more descriptor.
    pub fn register(&mut self, key: Key, poller: &Poller) -> io::Result<()> {
        poller.register_readable(&mut self.socket, key)
    }

    /// Whether a connection waits. It costs a system call, and no descriptor as accepting does.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut sockets, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Takes one waiting connection and the address it came from, or `None` if there is none.
    ///
    /// Readiness is edge-triggered: the next event comes only with the next connection. A caller
    /// that stops before `None`, at an error or at a limit of its own, must try again by a timer or
    /// whenever a connection ends, or those that wait now will wait for ever.
    ///
    /// # Errors
    /// When descriptors or memory are short (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): pause, then
    /// try again. Connections that broke while they waited are skipped.
    pub fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            match self.socket.accept() {
                Ok((stream, peer)) => return Ok(Some((stream, canonical(peer)))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if broke_while_waiting(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Options that accepted sockets inherit are set here once; `TCP_NODELAY` is one on Linux.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Errors of the one connection that accept would have returned (accept(2), "Error handling").
fn broke_while_waiting(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
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
    )
}

/// Shows an IPv4 address that a dual-stack socket wrapped into IPv6 as what it is.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
