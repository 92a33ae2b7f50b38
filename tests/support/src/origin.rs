//! Backends that do what a test needs, on threads of the test.

use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::http::Connection;

/// An address that is reserved, and at which nothing listens until told.
pub struct Silent {
    socket: Socket,
    /// The address.
    pub address: SocketAddr,
}

impl Silent {
    /// Reserves one of 127.0.0.1.
    pub fn reserve() -> Self {
        Self::reserve_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Reserves one of `ip`.
    pub fn reserve_at(ip: IpAddr) -> Self {
        Self::reserve_on(SocketAddr::new(ip, 0))
    }

    /// Reserves this one.
    pub fn reserve_on(wanted: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, None).unwrap();
        socket.bind(&wanted.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    /// Has the system accept one connection and no more, so that connecting never ends.
    pub fn hang(self) -> Hanging {
        self.socket.listen(0).unwrap();
        // It waits to be accepted, which never happens.
        let first = TcpStream::connect(self.address).unwrap();
        Hanging { address: self.address, _held: (self.socket, first) }
    }

    /// Listens from now on, and has `act` deal with each connection on a thread of its own.
    pub fn serve(self, act: impl Fn(Connection) + Send + Sync + 'static) -> Origin {
        const BACKLOG: i32 = 1024;
        self.socket.listen(BACKLOG).unwrap();
        let acceptor = Acceptor::start(self.socket, act);
        Origin { address: self.address, acceptor }
    }
}

/// Accepts connections of either kind on a thread, until it is dropped.
pub(crate) struct Acceptor {
    listener: Socket,
    accepted: Arc<AtomicUsize>,
}

impl Acceptor {
    /// Has `act` deal with each connection of a socket that listens, on a thread of its own.
    pub(crate) fn start(
        listener: Socket,
        act: impl Fn(Connection) + Send + Sync + 'static,
    ) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptor =
            Self { listener: listener.try_clone().unwrap(), accepted: Arc::clone(&accepted) };
        let act = Arc::new(act);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let act = Arc::clone(&act);
                thread::spawn(move || act(Connection::new(stream.into())));
            }
        });
        acceptor
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let _ = self.listener.shutdown(Shutdown::Both);
    }
}

/// An address at which connections are neither made nor refused.
pub struct Hanging {
    /// The address.
    pub address: SocketAddr,
    _held: (Socket, TcpStream),
}

/// A backend; it accepts no connection any more once it is dropped.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    acceptor: Acceptor,
}

impl Origin {
    /// Has `act` deal with each connection on a thread of its own, at a free port of 127.0.0.1.
    pub fn serve(act: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        Silent::reserve().serve(act)
    }

    /// One that answers every request, on connections that are kept, with its target as the body.
    pub fn echoing_targets() -> Self {
        Self::serve(|mut connection| {
            while let Some((head, _)) = connection.request() {
                let target = head.split(' ').nth(1).unwrap();
                connection.send(ok(target));
            }
        })
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.acceptor.accepted()
    }
}

/// A response with this body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
