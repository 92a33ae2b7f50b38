//! Asking a backend whether it is there, from outside and without disturbing its cycle.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Why a backend does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It cannot be reached or breaks off.
    #[error("no backend answers at {address}: {cause}")]
    Unreachable {
        /// The address asked.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Something answers that does not speak HTTP.
    #[error("what answers at {address} is no backend")]
    Stranger {
        /// The address asked.
        address: SocketAddr,
    },
}

/// For each of connecting, asking and waiting for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `OPTIONS *` is answered at once and takes no place in the cycle.
const PING: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const PONG: &[u8] = b"HTTP/1.1 200 ";

/// Asks the backend that listens on `address`; the wildcard is asked on the loopback.
///
/// # Errors
/// When none answers within seconds.
pub fn check(address: SocketAddr) -> Result<(), HealthError> {
    let address = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    };
    match ask(address) {
        Ok(true) => Ok(()),
        Ok(false) => Err(HealthError::Stranger { address }),
        Err(cause) => Err(HealthError::Unreachable { address, cause }),
    }
}

fn ask(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(PING)?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer == PONG)
}
