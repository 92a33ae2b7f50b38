//! Asking a server whether it is there, from outside: what `--health` does in images without a
//! shell. It knows no HTTP; the question and the shape of its answer are told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For each of connecting, asking and waiting for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// No healthy server says more, and another one need not be listened to for longer.
const ANSWER_BYTES_MAX: u64 = 4096;

/// What a kind of server is asked, and by what answer it is known.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The kind of server, as a noun.
    pub server: &'static str,
    /// What is sent to it. The server must close the connection after its answer.
    pub bytes: &'static [u8],
    /// How the answer begins.
    pub begins: &'static [u8],
    /// How the answer ends.
    pub ends: &'static [u8],
}

/// Why a server does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It cannot be reached, breaks off or says nothing.
    #[error("no {server} answers at {address}: {cause}")]
    Unreachable {
        /// The kind of server.
        server: &'static str,
        /// The address asked.
        address: SocketAddr,
        /// What the operating system said, or that nothing came in time.
        cause: io::Error,
    },
    /// It says something else.
    #[error("what answers at {address} is no healthy {server}")]
    Stranger {
        /// The kind of server.
        server: &'static str,
        /// The address asked.
        address: SocketAddr,
    },
}

impl Question {
    /// Asks the server that listens on `address`; the wildcard is asked on the loopback.
    ///
    /// # Errors
    /// When none answers within seconds, or not as it should.
    pub fn ask(&self, address: SocketAddr) -> Result<(), HealthError> {
        let (server, address) = (self.server, reachable(address));
        match exchange(address, self.bytes) {
            Ok(answer) if answer.starts_with(self.begins) && answer.ends_with(self.ends) => Ok(()),
            Ok(_) => Err(HealthError::Stranger { server, address }),
            Err(cause) => Err(HealthError::Unreachable { server, address, cause: clarify(cause) }),
        }
    }
}

/// Where to connect to for what listens on `address`.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn exchange(address: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(question)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// A timeout of a blocking socket is called "Resource temporarily unavailable".
fn clarify(cause: io::Error) -> io::Error {
    match cause.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let words = format!("no answer within {} s", PATIENCE.as_secs());
            io::Error::new(ErrorKind::TimedOut, words)
        }
        _ => cause,
    }
}
