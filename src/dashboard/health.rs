//! Asking a dashboard whether it is there, from outside: for images without a shell.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::answer::HEALTHY;

/// For each of connecting, asking and waiting for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

const QUESTION: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Why a dashboard does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It cannot be reached or breaks off.
    #[error("no dashboard answers at {address}: {cause}")]
    Unreachable {
        /// The address asked.
        address: SocketAddr,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Something else answers.
    #[error("what answers at {address} is no dashboard")]
    Stranger {
        /// The address asked.
        address: SocketAddr,
    },
}

/// Asks the dashboard that listens on `address`; the wildcard is asked on the loopback.
///
/// # Errors
/// When none answers within seconds.
pub fn check(address: SocketAddr) -> Result<(), HealthError> {
    let address = reachable(address);
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(HEALTHY) => Ok(()),
        Ok(_) => Err(HealthError::Stranger { address }),
        Err(cause) => Err(HealthError::Unreachable { address, cause }),
    }
}

/// Where to connect to for what listens on `address`.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    /// No dashboard says more, and a stranger need not be listened to for longer.
    const ANSWER_BYTES_MAX: u64 = 4096;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
