//! Single requests, to find out whether a proxy is ready.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long to wait for an answer. A backend that stands still does not answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether a request to this address is answered with 200. It may not be while a proxy that listens
/// already does not know its backends yet. A request without an answer stays in `held`, so that the
/// next one goes to another backend.
///
/// # Errors
/// There is no answer.
pub(super) fn is_ready(address: SocketAddr, held: &mut Vec<TcpStream>) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if read.is_err() {
        held.push(stream);
    }
    read.map(|_| answer.starts_with(b"HTTP/1.1 200 "))
}
