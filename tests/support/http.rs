//! A connection that speaks HTTP/1.1 as plainly as a test needs it.
//!
//! It believes what it reads: the wire-level cases are strict so that other tests need not be.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::clock::PATIENCE;

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Either end of a connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("somebody listens"))
    }

    pub fn new(stream: TcpStream) -> Self {
        // A Unix socket has no such option, and needs none.
        let _ = stream.set_nodelay(true);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("the peer takes it");
    }

    /// As [`Connection::send`], to a peer that may be gone: whether it took the bytes.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Breaks the connection off.
    pub fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the stream towards the peer.
    pub fn finish(&self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// A head up to its empty line, or `None` if the stream ended before it began.
    pub fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let count = self.0.read_line(&mut head).expect("a line");
            if count == 0 && head.is_empty() {
                return None;
            }
            assert_ne!(count, 0, "the end after {head:?}");
        }
        Some(head)
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("all bytes");
        bytes
    }

    /// Reads so many bytes, unless the stream ends before: whether all came.
    pub fn read_up_to(&mut self, count: u64) -> bool {
        std::io::copy(&mut self.0.by_ref().take(count), &mut std::io::sink())
            .is_ok_and(|came| came == count)
    }

    /// Whether something can be read that was not yet: bytes, or the end.
    pub fn has_bytes(&self) -> bool {
        self.stream().set_nonblocking(true).unwrap();
        let found = self.stream().peek(&mut [0]).is_ok();
        self.stream().set_nonblocking(false).unwrap();
        found
    }

    /// Waits for the peer: whether it sent something, rather than go away.
    pub fn has_answer(&self) -> bool {
        self.stream().peek(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// What there is now, at most `block`; nothing at the end of the stream.
    pub fn read(&mut self, block: &mut [u8]) -> usize {
        self.0.read(block).expect("bytes or the end")
    }

    /// All that comes until the peer ends the stream in order.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("the end of the stream");
        rest
    }

    /// All that comes, and how it ends: in order, or not.
    pub fn end(&mut self) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        (rest, end.map(drop).map_err(|error| error.kind()))
    }

    /// The body that `head` announces.
    pub fn body(&mut self, head: &str) -> Vec<u8> {
        if let Some(length) = field(head, "content-length") {
            return self.take(length.parse().unwrap());
        }
        if field(head, "transfer-encoding").is_some() {
            return self.chunks();
        }
        Vec::new()
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
            if size == 0 {
                while self.line() != "\r\n" {}
                return body;
            }
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// A whole response to anything but HEAD.
    pub fn answer(&mut self) -> Answer {
        let head = self.head().expect("a response");
        let status = head[9..12].parse().expect("a status");
        let framed = ["content-length", "transfer-encoding"];
        let until_close = status >= 200
            && !matches!(status, 204 | 304)
            && framed.iter().all(|name| field(&head, name).is_none());
        let body = if until_close { self.rest() } else { self.body(&head) };
        Answer { status, head, body }
    }

    /// A whole request, as a server reads it: head and body. `None` at the end of the stream.
    pub fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let body = self.body(&head);
        Some((head, body))
    }

    /// Asks for `path` and keeps the connection.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.answer()
    }
}

/// The value of the first field of that name.
pub fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim().to_owned())
}

/// Asks for `path` on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    let mut connection = Connection::connect(address);
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    connection.answer()
}
