//! The port of a backend, which its script may close and open again.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tidegate::endpoint::Endpoint;
use tidegate::reactor::{Key, Poller};

use crate::acceptor::Acceptor;

#[derive(Debug)]
pub(super) struct Port {
    key: Key,
    endpoint: Endpoint,
    /// A socket that has the port and does not listen, so that no other program gets it while it is
    /// closed. Both have `SO_REUSEADDR`, with which one of them may listen (socket(7)).
    _reservation: Option<Socket>,
    /// While it is open.
    pub(super) acceptor: Option<Acceptor>,
}

impl Port {
    /// Takes the port, and leaves it closed. Its events will have this key.
    pub(super) fn reserve(endpoint: &Endpoint, key: Key) -> io::Result<Self> {
        let Endpoint::Tcp(address) = endpoint else {
            return Ok(Self {
                key,
                endpoint: endpoint.clone(),
                _reservation: None,
                acceptor: None,
            });
        };
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&(*address).into())?;
        let chosen: Option<SocketAddr> = socket.local_addr()?.as_socket();
        let endpoint = chosen.unwrap_or(*address).into();
        Ok(Self { key, endpoint, _reservation: Some(socket), acceptor: None })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn open(&mut self, poller: &Poller) -> io::Result<()> {
        self.acceptor = Some(Acceptor::bind(&self.endpoint, self.key, poller)?);
        Ok(())
    }

    /// Connections that were not accepted yet are reset by the system.
    pub(super) fn close(&mut self) {
        self.acceptor = None;
    }
}
