//! What moves the bytes of one connection: a TCP socket or a Unix one.
//!
//! The kinds differ here and in [`Listener`](super::Listener) alone: in how a connection begins,
//! what its peer's address is, and whether it can be reset. A [`Stream`](super::Stream) moves bytes
//! and keeps what is known of readiness; neither it nor its owner asks for the kind.
//!
//! Each kind keeps this contract: after a read that comes up short there is nothing left to read,
//! neither in the kernel nor inside the transport, so the next event tells of the next byte. A kind
//! that buffers bytes inside, such as TLS, reads on until the caller's buffer is full or nothing is
//! left.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay, set_tcp_quickack};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType,
    connect, getsockname, recv, send, sendmsg, shutdown, socket_with,
};

use crate::endpoint::{Endpoint, UnixName};

/// See the module's description. Dropping it closes the connection.
#[derive(Debug)]
pub struct Transport {
    socket: OwnedFd,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// TCP before the first write, which carries the ACK that ends the handshake.
    TcpBeginning,
    Tcp,
    Unix,
    /// A Unix socket that is not connected yet, because the backlog of its peer is full.
    UnixBusy,
}

impl Transport {
    /// Starts to connect to `endpoint`, without waiting for it.
    ///
    /// # Errors
    /// Over TCP, if there is no descriptor, no local port or no route; none of these is the peer's
    /// fault. Over a Unix socket, also if no process listens, there is no such file, or its mode
    /// does not permit it.
    pub(super) fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = open(family(*address))?;
                set_tcp_nodelay(&socket, true)?;
                // The ACK that ends the handshake is left to the first bytes, which the caller has
                // ready: a segment less.
                set_tcp_quickack(&socket, false)?;
                match connect(&socket, address) {
                    Ok(()) | Err(Errno::INPROGRESS) => {
                        Ok(Self { socket, kind: Kind::TcpBeginning })
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Endpoint::Unix(name) => {
                let socket = open(AddressFamily::UNIX)?;
                let mut transport = Self { socket, kind: Kind::UnixBusy };
                transport.connect_unix(name)?;
                Ok(transport)
            }
        }
    }

    /// A connection that a listener accepted.
    pub(super) fn accepted(socket: OwnedFd, is_tcp: bool) -> Self {
        Self { socket, kind: if is_tcp { Kind::Tcp } else { Kind::Unix } }
    }

    /// The address of ours that the peer connected to, or from which we did.
    ///
    /// # Errors
    /// When it has none, as over a Unix socket.
    pub fn local_ip(&self) -> io::Result<IpAddr> {
        let address = SocketAddr::try_from(getsockname(&self.socket)?)?;
        Ok(address.ip().to_canonical())
    }

    /// Whether the peer's backlog is full. No event tells when it has room again.
    pub(super) fn is_busy(&self) -> bool {
        self.kind == Kind::UnixBusy
    }

    /// Tries once more to connect to a peer that was busy.
    ///
    /// # Errors
    /// As [`Transport::connect`].
    pub(super) fn connect_again(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        match endpoint {
            Endpoint::Unix(name) if self.is_busy() => self.connect_unix(name),
            _ => Ok(()),
        }
    }

    fn connect_unix(&mut self, name: &UnixName) -> io::Result<()> {
        let address = name.address()?;
        match retry_on_intr(|| connect(&self.socket, &address)) {
            Ok(()) => {
                self.kind = Kind::Unix;
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads once, and again if a signal interrupts; 0 bytes are the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (count, _) = retry_on_intr(|| recv(&self.socket, &mut *buffer, RecvFlags::empty()))?;
        Ok(count)
    }

    /// Writes both parts, one after the other and at least one of them with something in it, with
    /// one system call, and again if a signal interrupts. With `more`, the last segment may wait
    /// for what follows at once.
    pub(super) fn write(&mut self, parts: [&[u8]; 2], more: bool) -> Result<usize, Errno> {
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let written = match parts {
            [only, []] | [[], only] => retry_on_intr(|| send(&self.socket, only, flags)),
            parts => {
                let parts = parts.map(IoSlice::new);
                let mut none = SendAncillaryBuffer::default();
                retry_on_intr(|| sendmsg(&self.socket, &parts, &mut none, flags))
            }
        }?;
        if self.kind == Kind::TcpBeginning {
            self.kind = Kind::Tcp;
            // Else a peer that writes in pieces, one per acknowledgement (Nagle), would wait for
            // those as long as they may be put off, 40 ms.
            set_tcp_quickack(&self.socket, true)?;
        }
        Ok(written)
    }

    /// Whether a read would bring something: bytes, the end or an error.
    pub(super) fn has_unread(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = retry_on_intr(|| recv(&self.socket, &mut [0; 1], flags));
        !matches!(peeked, Err(Errno::AGAIN))
    }

    /// Tells the peer that nothing more will be written.
    pub(super) fn finish(&mut self) -> Result<(), Errno> {
        shutdown(&self.socket, Shutdown::Write)
    }

    /// Closes it by a reset, if it is TCP. Unix sockets have no reset and are closed in order.
    pub(super) fn reset(self) {
        if matches!(self.kind, Kind::Tcp | Kind::TcpBeginning) {
            // Should the option be refused, an orderly close is the best that is left.
            let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
        }
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(super) fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// A socket that waits for nothing.
pub(super) fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::sockopt::tcp_quickack;

    use super::*;

    #[test]
    fn acknowledgements_are_put_off_until_the_first_bytes_and_no_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut transport = Transport::connect(&address.into()).expect("a connection");
        assert_eq!(transport.write([b"first", b""], false), Ok(5));
        assert_eq!(tcp_quickack(&transport), Ok(true));
    }
}
