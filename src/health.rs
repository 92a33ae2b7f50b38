//! The client of `--health`, which checks a server from outside, in images without a shell; and
//! what `tidegatectl` asks with. It knows no HTTP: the request is given, and the form of the answer
//! that is expected.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, connect, socket};

use crate::endpoint::Endpoint;

/// How long a server may take, and how much it may send.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For each of connecting, sending and waiting for more of the answer.
    pub time: Duration,
    /// For all of the answer.
    pub bytes: u64,
}

/// A healthy server is quick, and sends no more than this.
const HEALTHY: Patience = Patience { time: Duration::from_secs(2), bytes: 4096 };

/// The request to a kind of server, and the form of its answer.
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
    /// It can't be reached, closes the connection or sends nothing.
    #[error("no {server} answers at {address}: {cause}")]
    Unreachable {
        /// The kind of server.
        server: &'static str,
        /// Its address.
        address: Endpoint,
        /// The operating system's error, or a timeout.
        cause: io::Error,
    },
    /// It sends something else.
    #[error("the server at {address} is no healthy {server}")]
    Stranger {
        /// The kind of server.
        server: &'static str,
        /// Its address.
        address: Endpoint,
    },
}

impl Question {
    /// Asks the server that listens at `endpoint`; for a wildcard, at the loopback address.
    ///
    /// # Errors
    /// If there is no answer within the timeouts, or another one than expected.
    pub fn ask(&self, endpoint: &Endpoint) -> Result<(), HealthError> {
        let server = self.server;
        let address = match endpoint {
            Endpoint::Tcp(address) => reachable(*address).into(),
            Endpoint::Unix(_) => endpoint.clone(),
        };
        match exchange(&address, self.bytes, HEALTHY) {
            Ok(answer) if answer.starts_with(self.begins) && answer.ends_with(self.ends) => Ok(()),
            Ok(_) => Err(HealthError::Stranger { server, address }),
            Err(cause) => Err(HealthError::Unreachable { server, address, cause }),
        }
    }
}

/// The address to connect to for a server that listens on `address`.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

/// Sends the bytes to a server, and gives back what it sends until it closes the connection.
///
/// # Errors
/// Those of the system, and a timeout.
pub fn exchange(endpoint: &Endpoint, question: &[u8], patience: Patience) -> io::Result<Vec<u8>> {
    ask(endpoint, question, patience).map_err(|cause| clarify(cause, patience.time))
}

fn ask(endpoint: &Endpoint, question: &[u8], patience: Patience) -> io::Result<Vec<u8>> {
    let time = Some(patience.time);
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, patience.time)?;
            stream.set_read_timeout(time)?;
            stream.set_write_timeout(time)?;
            converse(stream, question, patience.bytes)
        }
        Endpoint::Unix(name) => {
            let stream = UnixStream::from(socket(AddressFamily::UNIX, SocketType::STREAM, None)?);
            stream.set_read_timeout(time)?;
            // It counts for connecting, too, should too many already wait there.
            stream.set_write_timeout(time)?;
            connect(&stream, &name.address()?)?;
            converse(stream, question, patience.bytes)
        }
    }
}

fn converse(mut stream: impl Read + Write, question: &[u8], bytes: u64) -> io::Result<Vec<u8>> {
    stream.write_all(question)?;
    let mut answer = Vec::new();
    stream.take(bytes).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The system calls a timeout of a blocking socket "Resource temporarily unavailable".
fn clarify(cause: io::Error, time: Duration) -> io::Error {
    match cause.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let words = format!("no answer within {} s", time.as_secs());
            io::Error::new(ErrorKind::TimedOut, words)
        }
        _ => cause,
    }
}
