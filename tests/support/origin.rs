//! Backends that do what a test needs, on threads of the test.

use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use super::http::Connection;

/// An address that is ours, and at which nobody listens until told.
pub struct Silent {
    socket: Socket,
    pub address: SocketAddr,
}

impl Silent {
    pub fn reserve() -> Self {
        Self::reserve_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    pub fn reserve_at(ip: IpAddr) -> Self {
        let wanted = SocketAddr::new(ip, 0);
        let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, None).unwrap();
        socket.bind(&wanted.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    /// Has the system accept one connection and no more, so that connecting takes for ever.
    pub fn hang(self) -> Hanging {
        self.socket.listen(0).unwrap();
        // One waits to be accepted, which nobody does.
        let first = TcpStream::connect(self.address).unwrap();
        Hanging { address: self.address, _held: (self.socket, first) }
    }

    /// Listens from now on, and has `act` deal with each connection on a thread of its own.
    pub fn serve(self, act: impl Fn(Connection) + Send + Sync + 'static) -> Origin {
        const BACKLOG: i32 = 1024;
        self.socket.listen(BACKLOG).unwrap();
        let listener = TcpListener::from(self.socket);
        let accepted = Arc::new(AtomicUsize::new(0));
        let origin = Origin {
            address: self.address,
            accepted: Arc::clone(&accepted),
            listener: listener.try_clone().unwrap(),
        };
        let act = Arc::new(act);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let act = Arc::clone(&act);
                thread::spawn(move || act(Connection::new(stream)));
            }
        });
        origin
    }
}

/// An address at which connections are neither made nor refused.
pub struct Hanging {
    pub address: SocketAddr,
    _held: (Socket, TcpStream),
}

/// A backend; it accepts nobody any more once it is dropped.
pub struct Origin {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    listener: TcpListener,
}

impl Origin {
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
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

/// A response with this body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
