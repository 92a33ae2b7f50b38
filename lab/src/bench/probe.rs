//! Single requests: to check an answer, and to open connections that are then idle.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use strict::{Body, Messages, NoMore};

use super::workload::Workload;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A complete answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Head and body together.
    pub(super) bytes: usize,
}

/// Sends one request of `workload`. The connection can be used again.
///
/// # Errors
/// There is no complete answer with a length.
pub(super) fn ask(address: SocketAddr, workload: &Workload) -> io::Result<(Answer, TcpStream)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request(address, workload))?;
    let answer = read_answer(&stream)?;
    Ok((answer, stream))
}

/// Opens the idle connections of `workload`, and sends one request over each.
///
/// # Errors
/// The first failure of any.
pub(super) fn idle(address: SocketAddr, workload: &Workload) -> io::Result<Vec<TcpStream>> {
    (0..workload.idle).map(|_| ask(address, workload).map(|(_, stream)| stream)).collect()
}

/// The request as wrk writes it.
fn request(address: SocketAddr, workload: &Workload) -> Vec<u8> {
    match workload.request_bytes {
        0 => format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes(),
        length => {
            let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}");
            [head.as_bytes(), b"\r\n\r\n", &vec![b'x'; length]].concat()
        }
    }
}

fn read_answer(stream: impl Read) -> io::Result<Answer> {
    let mut messages = Messages::new(stream);
    let head = messages.head().map_err(failure)?;
    let (_, status) = head.status_line().map_err(invalid)?;
    let Body::Length(length) = Body::of_response(&head, "GET").map_err(invalid)? else {
        return Err(invalid("the answer has no Content-Length"));
    };
    let body = messages.whole(Body::Length(length)).map_err(failure)?;
    if !messages.is_drained() {
        return Err(invalid("the answer is longer than it says"));
    }
    Ok(Answer { status, bytes: head.text().len() + body.len(), body })
}

fn failure(why: NoMore) -> io::Error {
    match why {
        NoMore::Over | NoMore::Torn => io::ErrorKind::UnexpectedEof.into(),
        NoMore::Silent => io::ErrorKind::TimedOut.into(),
        NoMore::Invalid(fault) => invalid(fault),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::super::workload::WORKLOADS;
    use super::*;

    fn read(text: &str) -> Result<Answer, io::ErrorKind> {
        read_answer(text.as_bytes()).map_err(|error| error.kind())
    }

    #[test]
    fn an_answer_is_its_status_and_as_much_body_as_it_says() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let answer = Answer { status: 200, body: b"ab".to_vec(), bytes: text.len() };
        assert_eq!(read(text), Ok(answer));
    }

    #[test]
    fn an_answer_that_is_cut_or_too_long_is_none() {
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na";
        assert_eq!(read(cut), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read("HTTP/1.1 200"), Err(io::ErrorKind::UnexpectedEof));
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc";
        assert_eq!(read(long), Err(io::ErrorKind::InvalidData));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nabc"), Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_post_carries_the_bytes_it_announces() {
        let address = "127.0.0.1:1".parse().expect("an address");
        let post = Workload { request_bytes: 3, ..WORKLOADS[0] };
        let text = "POST / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 3\r\n\r\nxxx";
        assert_eq!(request(address, &post), text.as_bytes());
    }
}
