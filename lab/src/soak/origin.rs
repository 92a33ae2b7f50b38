//! The backend of a soak: it does what the path says, and checks what it receives.
//!
//! Every response carries the token of its request and the number of body bytes that were right. A
//! request whose path and field carry different tokens, or whose body differs in a byte, is
//! answered with a status that no client expects. Each connection has a thread.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use strict::{Body, Head, Messages, NoMore};

use super::clock;
use super::pattern::{Direction, Pattern, Token};
use super::request_spec::{Behaviour, Delimiter, RequestSpec};

/// The subcommand of `tidegate-lab` that calls [`serve`].
pub const SUBCOMMAND: &str = "soak-origin";

/// The status of the answer to a request that the proxy should not have sent.
const WRONG: u16 = 599;

/// Bytes written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Pieces of a body that is sent slowly, and the pause between two.
const SLOW_PIECES: u64 = 8;
const SLOW_PAUSE: Duration = Duration::from_millis(15);

/// Listens on `address` and serves until killed.
///
/// # Errors
/// It can't listen there.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        // Without a thread the connection is closed.
        let _ = thread::Builder::new().name("connection".to_owned()).spawn(|| converse(stream));
    }
    Ok(())
}

/// Serves one connection to its end.
fn converse(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut messages = Messages::new(stream);
    while let Ok(true) = answer(&mut messages) {}
}

/// Answers one request; whether another may follow.
fn answer(messages: &mut Messages<TcpStream>) -> io::Result<bool> {
    let head = match messages.head() {
        Ok(head) => head,
        Err(NoMore::Invalid(why)) => return refuse(messages.stream(), &why),
        Err(_) => return Ok(false),
    };
    let spec = match read_spec(&head) {
        Ok(spec) => spec,
        Err(why) => return refuse(messages.stream(), &why),
    };
    if spec.behaviour == Behaviour::Early {
        reply(messages.stream(), &head, spec, 0)?;
        messages.stream().shutdown(Shutdown::Write)?;
        drop(receive(messages, &head, spec.token));
        return Ok(false);
    }
    if head.has_token("Expect", "100-continue") {
        messages.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let received = match receive(messages, &head, spec.token) {
        Ok(received) => received,
        Err(NoMore::Invalid(why)) => return refuse(messages.stream(), &why),
        Err(_) => return Ok(false),
    };
    if spec.behaviour == Behaviour::Mute {
        return Ok(false);
    }
    reply(messages.stream(), &head, spec, received)?;
    Ok(!closes(spec))
}

fn closes(spec: RequestSpec) -> bool {
    !matches!(spec.behaviour, Behaviour::Plain | Behaviour::Slow)
        || spec.delimiter == Delimiter::Close
}

/// The spec of a request that is as a proxy should send it.
fn read_spec(head: &Head) -> Result<RequestSpec, String> {
    let (_, target, _) = head.request_line()?;
    let spec = RequestSpec::from_str(target).map_err(|_| format!("{:?}", head.start_line()))?;
    let token = spec.token.to_string();
    for (name, wanted) in [("X-Token", Some(token.as_str())), ("Via", None), ("Host", None)] {
        match head.field(name) {
            Some(value) if wanted.is_none_or(|wanted| wanted == value) => {}
            value => return Err(format!("{name} is {value:?} of {}", head.start_line())),
        }
    }
    Ok(spec)
}

/// Reads a request's body: how many bytes it had, if they are all right.
fn receive(messages: &mut Messages<TcpStream>, head: &Head, token: Token) -> Result<u64, NoMore> {
    let mut body = Body::of_request(head)?;
    let mut pattern = Pattern::new(token, Direction::Up);
    while let Some(piece) = messages.piece(&mut body)? {
        if !pattern.matches(piece) {
            return Err(NoMore::Invalid(format!("byte {} of {token} is wrong", pattern.at())));
        }
    }
    Ok(pattern.at())
}

fn refuse(mut stream: &TcpStream, why: &str) -> io::Result<bool> {
    let length = why.len();
    let head = format!(
        "HTTP/1.1 {WRONG} Wrong\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{why}"
    );
    stream.write_all(head.as_bytes())?;
    Ok(false)
}

fn reply(mut stream: &TcpStream, head: &Head, spec: RequestSpec, received: u64) -> io::Result<()> {
    let RequestSpec { token, behaviour, delimiter, down_bytes } = spec;
    let status = spec.status();
    let framing = match delimiter {
        Delimiter::Length => format!("Content-Length: {down_bytes}\r\n"),
        Delimiter::Chunks => "Transfer-Encoding: chunked\r\n".to_owned(),
        Delimiter::Close => String::new(),
    };
    // A cut is not announced.
    let announced = behaviour != Behaviour::Cut && closes(spec);
    let connection = if announced { "Connection: close\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 {status} As asked\r\nX-Token: {token}\r\nX-Received: {received}\r\n\
         {framing}{connection}\r\n"
    );
    // If this program is killed in the middle of a body that only the connection's end delimits,
    // the body must not look whole (RFC 9112 §8): until it is, the connection would be reset.
    let socket = SockRef::from(stream);
    if delimiter == Delimiter::Close {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    stream.write_all(text.as_bytes())?;
    if !head.start_line().starts_with("HEAD ") {
        write_body(stream, spec)?;
    }
    socket.set_linger(None)
}

/// Writes a response's body, or half of one that is to be cut.
fn write_body(mut stream: &TcpStream, spec: RequestSpec) -> io::Result<()> {
    let RequestSpec { token, behaviour, delimiter, down_bytes } = spec;
    let mut left = if behaviour == Behaviour::Cut { down_bytes / 2 } else { down_bytes };
    let is_slow = behaviour == Behaviour::Slow;
    let most = if is_slow { down_bytes / SLOW_PIECES + 1 } else { u64::MAX };
    let mut pattern = Pattern::new(token, Direction::Down);
    let mut piece = vec![0; PIECE_BYTES];
    while left > 0 {
        let count = left.min(most).min(PIECE_BYTES as u64);
        left -= count;
        // It is at most the piece's length.
        let piece = &mut piece[..usize::try_from(count).unwrap_or(PIECE_BYTES)];
        pattern.fill(piece);
        if delimiter == Delimiter::Chunks {
            stream.write_all(&[format!("{count:x}\r\n").as_bytes(), piece, b"\r\n"].concat())?;
        } else {
            stream.write_all(piece)?;
        }
        if is_slow {
            clock::pause(SLOW_PAUSE);
        }
    }
    if delimiter == Delimiter::Chunks && behaviour != Behaviour::Cut {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Whether connections to `address` are accepted.
pub(super) fn is_up(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
