//! A connection that speaks HTTP/1.1 as plainly as a test needs it, and reads it strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use strict::{Body, Head, Messages, NoMore};

use super::clock::PATIENCE;

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, up to its empty line.
    pub head: String,
    /// Its body, without chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of the first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Either end of a connection.
pub struct Connection(Messages<TcpStream>);

impl Connection {
    /// Connects to a server.
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server accepts"))
    }

    /// One that is made already.
    pub fn new(stream: TcpStream) -> Self {
        // A Unix socket has no such option, and needs none.
        let _ = stream.set_nodelay(true);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(Messages::new(stream))
    }

    /// Its socket.
    pub fn stream(&self) -> &TcpStream {
        self.0.stream()
    }

    /// Writes bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream().write_all(bytes.as_ref()).expect("the peer takes it");
    }

    /// As [`Connection::send`], to a peer that may be gone: whether it took the bytes.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream().write_all(bytes.as_ref()).is_ok()
    }

    /// Breaks the connection off.
    pub fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends the stream towards the peer. One that has reset the connection is noticed by reading.
    pub fn finish(&self) {
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// A head up to its empty line, or `None` if the stream ended before it began.
    pub fn head(&mut self) -> Option<String> {
        match self.0.head() {
            Ok(head) => Some(head.text().to_owned()),
            Err(NoMore::Over) => None,
            Err(why) => panic!("no head: {why:?}"),
        }
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("all bytes");
        bytes
    }

    /// Reads so many bytes, unless the stream ends before: whether all came.
    pub fn read_up_to(&mut self, count: u64) -> bool {
        let came = std::io::copy(&mut self.0.by_ref().take(count), &mut std::io::sink());
        came.is_ok_and(|came| came == count)
    }

    /// What there is now, at most `block`; nothing at the end of the stream.
    pub fn read(&mut self, block: &mut [u8]) -> usize {
        self.0.read(block).expect("bytes or the end")
    }

    /// Whether something can be read that was not yet: bytes, or the end.
    pub fn has_bytes(&self) -> bool {
        self.stream().set_nonblocking(true).unwrap();
        let found = self.stream().peek(&mut [0]).is_ok();
        self.stream().set_nonblocking(false).unwrap();
        found || !self.0.is_drained()
    }

    /// Waits for the peer: whether it sent something, rather than go away.
    pub fn has_answer(&self) -> bool {
        self.stream().peek(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Waits for the end, in order or by a reset: whether nothing comes before it.
    pub fn is_closed(&mut self) -> bool {
        self.0.is_over()
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

    /// The body after `head`, which is that of a request, or of a response to anything but HEAD.
    pub fn body(&mut self, head: &str) -> Vec<u8> {
        let (head, _) = Head::read(head.as_bytes()).unwrap().unwrap();
        let is_response = head.start_line().starts_with("HTTP/");
        let body =
            if is_response { Body::of_response(&head, "GET") } else { Body::of_request(&head) };
        self.0.whole(body.unwrap()).expect("a whole body")
    }

    /// The data of one chunk, as it was sent; `None` at the end of the stream.
    pub fn chunk(&mut self) -> Option<String> {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            let mut byte = [0];
            if self.0.read(&mut byte).ok()? == 0 {
                return None;
            }
            line.push(byte[0].into());
        }
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
        let chunk = self.take(size + 2);
        let data = chunk.strip_suffix(b"\r\n").expect("the end of a chunk");
        Some(String::from_utf8(data.to_vec()).expect("text"))
    }

    /// A whole response to anything but HEAD.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.answer_head();
        answer.body = self.body(&answer.head);
        answer
    }

    /// The head of a response.
    pub fn answer_head(&mut self) -> Answer {
        let head = self.head().expect("a response");
        Answer { status: head[9..12].parse().expect("a status"), head, body: Vec::new() }
    }

    /// A whole request, as a server reads it: head and body. `None` at the end of the stream.
    pub fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let body = self.body(&head);
        Some((head, body))
    }

    /// Sends a request and reads its response.
    pub fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        if request.starts_with("HEAD ") { self.answer_head() } else { self.answer() }
    }

    /// Asks for `path` and keeps the connection.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }
}

/// The value of the first field of that name.
pub fn field(head: &str, name: &str) -> Option<String> {
    header(head, name).map(str::to_owned)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

/// Asks for `path` on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    Connection::connect(address).ask(&request)
}
