//! A non-blocking connection that remembers what the kernel said about it.
//!
//! Edge-triggered readiness is told once, so it must be kept until it is used up. Here, and only
//! here, it is kept: a [`Readiness`] is noted when an event comes and cleared when an operation
//! would block or comes up short. Coming up short proves as much as the extra system call that
//! would block, and saves it.
//!
//! An urgent byte (RFC 9293 §3.8.5) is not among what is read: the system takes it out of the
//! stream, as it does for most servers (`SO_OOBINLINE` is off). What is parsed here is what is
//! forwarded, so no later hop can see it differently. But a read stops where the byte was, and such
//! a short read proves nothing. Unix sockets have urgent bytes since Linux 5.15.

use std::io;
use std::mem;

use rustix::io::Errno;

use super::transport::Transport;
use super::{Key, Poller, Readiness};
use crate::endpoint::Endpoint;

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
pub struct Stream {
    transport: Transport,
    known: Readiness,
    /// We have finished sending.
    finished: bool,
    /// A write was told that the peer broke the connection off.
    broken: bool,
}

impl Stream {
    /// Starts to connect to `endpoint` and registers the connection under `key`.
    ///
    /// It counts as writable at once: on this host the connection is there before `connect`
    /// returns, and elsewhere the first write would block and an event follows. A refusal that
    /// comes later shows as [`Stream::failed`] after an event, or as the error of the first write.
    ///
    /// # Errors
    /// Over TCP, if there is no descriptor, no local port or no route; none of these is the peer's
    /// fault. Over a Unix socket, also if no process listens, there is no such file, or its mode
    /// does not permit it.
    pub fn connect(endpoint: &Endpoint, key: Key, poller: &Poller) -> io::Result<Self> {
        Self::new(Transport::connect(endpoint)?, key, poller)
    }

    /// Registers a connection that a [`Listener`](super::Listener) accepted under `key`. It counts
    /// as writable; what it has sent already makes the first event, so that no read is tried in
    /// vain.
    ///
    /// # Errors
    /// When the kernel refuses to watch one more descriptor.
    pub fn accepted(transport: Transport, key: Key, poller: &Poller) -> io::Result<Self> {
        Self::new(transport, key, poller)
    }

    fn new(transport: Transport, key: Key, poller: &Poller) -> io::Result<Self> {
        let (known, finished, broken) = (Readiness::default(), false, false);
        let mut stream = Self { transport, known, finished, broken };
        stream.begin(key, poller)?;
        Ok(stream)
    }

    /// The connection is there or is being made.
    fn begin(&mut self, key: Key, poller: &Poller) -> io::Result<()> {
        if !self.transport.is_busy() {
            poller.register(&self.transport, key)?;
            self.known.writable = true;
        }
        Ok(())
    }

    /// Whether there is no connection yet because the peer's backlog is full. No event tells when
    /// it has room again; [`Stream::connect_again`] finds out.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.transport.is_busy()
    }

    /// Tries once more to connect to the `endpoint` of a peer that was busy.
    ///
    /// # Errors
    /// As [`Stream::connect`].
    pub fn connect_again(
        &mut self,
        endpoint: &Endpoint,
        key: Key,
        poller: &Poller,
    ) -> io::Result<()> {
        self.transport.connect_again(endpoint)?;
        self.begin(key, poller)
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
        match self.transport.read(buffer) {
            Ok(0) => {
                self.known.readable = false;
                // The kernel tells of a reset once. If that was to a write, this is no end.
                if self.broken { Err(Errno::CONNRESET.into()) } else { Ok(Received::End) }
            }
            Ok(count) => {
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
        self.send(parts, false)
    }

    /// As [`Stream::write`], for the last bytes there will be: once all of them are taken, the
    /// stream is [finished](Self::finish), so that the end leaves in the segment of the last byte.
    ///
    /// # Errors
    /// The connection's failure.
    pub fn write_last(&mut self, parts: [&[u8]; 2]) -> io::Result<Option<usize>> {
        let taken = self.send(parts, true)?;
        if taken == Some(parts.iter().map(|part| part.len()).sum()) {
            // To leave it to a close would be a system call less, but one with bytes unread drops
            // what is held back. A peer that is gone by now will be noticed by reading.
            let _ = self.finish();
        }
        Ok(taken)
    }

    fn send(&mut self, parts: [&[u8]; 2], more: bool) -> io::Result<Option<usize>> {
        let length = parts[0].len() + parts[1].len();
        if length == 0 {
            return Ok(Some(0));
        }
        match self.transport.write(parts, more) {
            Ok(count) => {
                self.known.writable = count == length;
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
        self.transport.has_unread()
    }

    /// Tells the peer that nothing more will be sent; reading goes on. Once is enough.
    ///
    /// # Errors
    /// When the connection is not, or no longer, connected.
    pub fn finish(&mut self) -> io::Result<()> {
        if mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        Ok(self.transport.finish()?)
    }

    /// Closes so that the peer sees a reset and no orderly end, where the kind of transport has
    /// one: what it got is not whole.
    pub fn reset(self) {
        self.transport.reset();
    }
}
