//! A non-blocking TCP connection that remembers what the kernel said about it.
//!
//! Edge-triggered readiness is told once, so it must be kept until it is used up. Here, and only
//! here, it is kept: a [`Readiness`] is noted when an event comes and cleared when an operation
//! would block or comes up short. Coming up short proves as much as the extra system call that
//! would block, and saves it.
//!
//! An urgent byte (RFC 9293 §3.8.5) is not among what is read: the system takes it out of the
//! stream, as it does for most servers (`SO_OOBINLINE` is off). What is parsed here is what is sent
//! on, so nobody behind this hop can see it differently. But a read stops where the byte was, and
//! such a short read proves nothing.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::set_tcp_quickack;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::{Domain, SockRef, Socket, Type};

use super::{Key, Poller, Readiness};

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing for now; an event will tell.
    Nothing,
    /// The peer has finished sending.
    End,
}

/// A connection registered with a [`Poller`]. Dropping it closes it and ends the registration.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one connection")]
pub struct Stream {
    socket: TcpStream,
    known: Readiness,
    /// The peer's end was read.
    ended: bool,
    /// We have finished sending.
    finished: bool,
    /// A write was told that the peer broke the connection off.
    broken: bool,
    /// Acknowledgements wait for the first bytes to carry them.
    hushed: bool,
}

impl Stream {
    /// Starts to connect to `address` and registers the connection under `key`.
    ///
    /// It counts as writable at once: on the loopback the handshake is over before `connect`
    /// returns, and elsewhere the first write would block and an event follows. A refusal shows as
    /// [`Stream::failed`] after an event, or as the error of the first write.
    ///
    /// # Errors
    /// When there is no descriptor, no local port or no route; none of it is the peer's doing.
    pub fn connect(address: SocketAddr, key: Key, poller: &Poller) -> io::Result<Self> {
        let socket = begin_to_connect(address)?;
        let known = Readiness { writable: true, ..Readiness::default() };
        Ok(Self { hushed: true, ..Self::register(socket, known, key, poller)? })
    }

    /// Registers a connection that a [`Listener`](super::Listener) accepted under `key`. It counts
    /// as writable; what it has sent already makes the first event, so that no read is tried in
    /// vain.
    ///
    /// # Errors
    /// When the kernel refuses to watch one more descriptor.
    pub fn accepted(socket: TcpStream, key: Key, poller: &Poller) -> io::Result<Self> {
        let known = Readiness { writable: true, ..Readiness::default() };
        Self::register(socket, known, key, poller)
    }

    fn register(
        mut socket: TcpStream,
        known: Readiness,
        key: Key,
        poller: &Poller,
    ) -> io::Result<Self> {
        poller.register(&mut socket, key)?;
        let (ended, finished, broken, hushed) = (false, false, false, false);
        Ok(Self { socket, known, ended, finished, broken, hushed })
    }

    /// Remembers what an event told. An end or an error is for life.
    pub fn note(&mut self, event: Readiness) {
        self.known.read_closed |= event.read_closed || event.failed;
        self.known.failed |= event.failed;
        self.known.urgent |= event.urgent;
        self.known.readable |= event.readable || self.known.read_closed;
        self.known.writable |= event.writable || event.failed;
    }

    /// Whether a read is worth trying.
    #[must_use]
    pub fn can_read(&self) -> bool {
        self.known.readable
    }

    /// Whether a write is worth trying.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.known.writable
    }

    /// Whether an event told of an error, such as a refusal or a reset. Bytes that came before it
    /// can still be read; the read after them, or a write, names it.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.known.failed
    }

    /// Whether the peer has finished sending, as an event told. Bytes from before may be unread.
    #[must_use]
    pub fn read_closed(&self) -> bool {
        self.known.read_closed
    }

    /// Reads once, and again if a signal interrupts. An empty buffer brings [`Received::Nothing`].
    ///
    /// A short read means that the socket is drained, with two exceptions. Once its end was
    /// announced, reading goes on until it or the error is met, for that edge won't come again; and
    /// once an urgent byte was, until there is nothing left.
    ///
    /// # Errors
    /// The connection's failure, a reset for instance; it is over then.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if buffer.is_empty() {
            return Ok(Received::Nothing);
        }
        match retry_on_intr(|| recv(&self.socket, &mut *buffer, RecvFlags::empty())) {
            Ok((0, _)) => {
                (self.known.readable, self.ended) = (false, true);
                // The kernel tells of a reset once. If that was to a write, this is no end.
                if self.broken { Err(Errno::CONNRESET.into()) } else { Ok(Received::End) }
            }
            Ok((count, _)) => {
                let may_follow = self.known.read_closed || self.known.urgent;
                if count < buffer.len() && !may_follow {
                    self.known.readable = false;
                }
                Ok(Received::Bytes(count))
            }
            Err(Errno::AGAIN) => {
                self.known.readable = false;
                self.known.urgent = false;
                Ok(Received::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes both parts, one after the other, with one system call, and again if a signal
    /// interrupts; returns how many bytes of both together were taken, or `None` if none can be for
    /// now and an event will tell. Two empty parts are written without a system call.
    ///
    /// # Errors
    /// The connection's failure, also that of the connect; it is over then.
    pub fn write(&mut self, parts: [&[u8]; 2]) -> io::Result<Option<usize>> {
        self.send(parts, SendFlags::NOSIGNAL)
    }

    /// As [`Stream::write`], for the last bytes there will be: once all of them are taken, the
    /// stream is [finished](Self::finish), so that the end leaves in the segment of the last byte.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn write_last(&mut self, parts: [&[u8]; 2]) -> io::Result<Option<usize>> {
        let taken = self.send(parts, SendFlags::NOSIGNAL | SendFlags::MORE)?;
        if taken == Some(parts.iter().map(|part| part.len()).sum()) {
            // To leave it to a close would be a system call less, but one with bytes unread drops
            // what is held back. A peer that is gone by now will be noticed by reading.
            let _ = self.finish();
        }
        Ok(taken)
    }

    fn send(&mut self, parts: [&[u8]; 2], flags: SendFlags) -> io::Result<Option<usize>> {
        let [first, second] = parts;
        let written = match (first.is_empty(), second.is_empty()) {
            (true, true) => return Ok(Some(0)),
            (false, true) => retry_on_intr(|| send(&self.socket, first, flags)),
            (true, false) => retry_on_intr(|| send(&self.socket, second, flags)),
            (false, false) => {
                let parts = parts.map(IoSlice::new);
                let mut none = SendAncillaryBuffer::default();
                retry_on_intr(|| sendmsg(&self.socket, &parts, &mut none, flags))
            }
        };
        match written {
            Ok(count) => {
                self.known.writable = count == first.len() + second.len();
                if std::mem::take(&mut self.hushed) {
                    // Else a peer that writes in pieces, one per acknowledgement (Nagle), would
                    // wait for those as long as they may be put off, 40 ms.
                    set_tcp_quickack(&self.socket, true)?;
                }
                Ok(Some(count))
            }
            // A connection that is not yet established takes no bytes; that is no failure.
            Err(Errno::AGAIN | Errno::NOTCONN) => {
                self.known.writable = false;
                Ok(None)
            }
            Err(error) => {
                self.broken |= error == Errno::CONNRESET;
                Err(error.into())
            }
        }
    }

    /// Whether something can be read, bytes or the end, that no event may have told of yet.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = retry_on_intr(|| recv(&self.socket, &mut [0; 1], flags));
        !matches!(peeked, Err(Errno::AGAIN))
    }

    /// Whether the peer's end was read, so that nothing more will come.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Tells the peer that nothing more will be sent; reading goes on. Once is enough.
    ///
    /// # Errors
    /// When the connection is not, or no longer, connected.
    pub fn finish(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        self.socket.shutdown(Shutdown::Write)
    }

    /// Closes so that the peer sees a reset and no orderly end: what it got is not whole.
    pub fn reset(self) {
        // Should the option be refused, an orderly close is the best that is left.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

/// Connects without waiting for it. The ACK that ends the handshake is left to the first bytes,
/// which the caller has ready: a segment less.
fn begin_to_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_quickack(false)?;
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::sockopt::tcp_quickack;

    use super::*;

    #[test]
    fn acknowledgements_are_put_off_until_the_first_bytes_and_no_longer() {
        let poller = Poller::new(1).expect("a poller");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut stream = Stream::connect(address, Key::fixed(0, 0), &poller).expect("a connection");
        assert_eq!(stream.write([b"first", b""]).expect("a write"), Some(5));
        assert!(tcp_quickack(&stream.socket).expect("an option"));
    }
}
