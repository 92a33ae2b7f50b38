//! A socket for datagrams to one peer and from it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use super::transport::family;
use super::{Key, Poller};

/// A UDP socket at a port that the system chooses at random. Being connected it takes datagrams
/// from its peer alone, and learns if nothing listens there. Dropping it closes it.
#[derive(Debug)]
pub struct Datagrams(OwnedFd);

impl Datagrams {
    /// A socket for this peer, registered under `key`.
    ///
    /// # Errors
    /// If there is no descriptor, no local port or no route.
    pub fn connect(peer: SocketAddr, key: Key, poller: &Poller) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family(peer), SocketType::DGRAM, flags, None)?;
        connect(&socket, &peer)?;
        poller.register(&socket, key)?;
        Ok(Self(socket))
    }

    /// Sends one datagram. It may get lost, even here.
    ///
    /// # Errors
    /// What the system knows of why it can't arrive.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match retry_on_intr(|| send(&self.0, datagram, SendFlags::NOSIGNAL)) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The length of the next datagram, which is in `buffer` then; `None` if there is none. After
    /// an event all are to be received, because the next event tells only of the next one.
    ///
    /// # Errors
    /// The peer can't be reached, or nothing listens there.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match retry_on_intr(|| recv(&self.0, &mut *buffer, RecvFlags::empty())) {
            Ok((count, _)) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::reactor::Event;

    /// Waits for an event of the socket.
    fn wait(poller: &mut Poller) {
        let mut events = Vec::new();
        while !events.iter().any(|event| matches!(event, Event::Ready { .. })) {
            poller.turn(&mut events, false).expect("a turn");
        }
    }

    #[test]
    fn a_datagram_comes_from_the_peer_and_from_nobody_else() {
        let [peer, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let mut poller = Poller::new(8).expect("a poller");
        let address = peer.local_addr().expect("an address");
        let datagrams = Datagrams::connect(address, Key::fixed(1, 0), &poller).expect("a socket");
        datagrams.send(b"question").expect("sent");
        let mut buffer = [0; 16];
        let (count, own) = peer.recv_from(&mut buffer).expect("received");
        assert_eq!(&buffer[..count], b"question");
        stranger.send_to(b"forged", own).expect("sent");
        peer.send_to(b"answer", own).expect("sent");
        let count = loop {
            if let Some(count) = datagrams.receive(&mut buffer).expect("no failure") {
                break count;
            }
            wait(&mut poller);
        };
        assert_eq!(&buffer[..count], b"answer");
        assert_eq!(datagrams.receive(&mut buffer).expect("no failure"), None);
    }

    #[test]
    fn it_is_known_that_nothing_listens_there() {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = peer.local_addr().expect("an address");
        drop(peer);
        let mut poller = Poller::new(8).expect("a poller");
        let datagrams = Datagrams::connect(address, Key::fixed(1, 0), &poller).expect("a socket");
        datagrams.send(b"question").expect("sent");
        let error = loop {
            match datagrams.receive(&mut [0; 16]) {
                Ok(_) => wait(&mut poller),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
