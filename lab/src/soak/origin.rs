//! The backend of a soak: it does what the path orders, and proves what it received.
//!
//! Every answer carries the token of its request and the number of body bytes that were right. It
//! trusts the proxy with nothing: a request whose path and field carry different tokens, or whose
//! body differs in a byte, is answered with a status nobody asked for. A thread serves each
//! connection, as plainly as can be; what the proxy has to bear is done by whoever kills it.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::clock;
use super::message::{Body, Head, Messages, NoMore};
use super::order::{Delimiter, Manner, Order};
use super::pattern::{Pattern, Token, Way};

/// The subcommand of `tidegate-lab` that calls [`serve`].
pub const SUBCOMMAND: &str = "soak-origin";

/// The status that says that the proxy did wrong.
const WRONG: u16 = 599;

/// Bytes written at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Pieces of a body that drips, and the pause between two.
const DRIPS: u64 = 8;
const DRIP_PAUSE: Duration = Duration::from_millis(15);

/// Listens on `address` and serves until killed.
///
/// # Errors
/// The address can't be had.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        // Without a thread the connection is closed, which the proxy sees.
        let _ = thread::Builder::new().name("connection".to_owned()).spawn(|| talk(stream));
    }
    Ok(())
}

/// Serves one connection to its end, whatever that is.
fn talk(stream: TcpStream) {
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
    let order = match read_order(&head) {
        Ok(order) => order,
        Err(why) => return refuse(messages.stream(), &why),
    };
    if order.manner == Manner::Early {
        reply(messages.stream(), &head, order, 0)?;
        messages.stream().shutdown(Shutdown::Write)?;
        drop(receive(messages, &head, order.token));
        return Ok(false);
    }
    if head.field("Expect").is_some() {
        messages.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let received = match receive(messages, &head, order.token) {
        Ok(received) => received,
        Err(NoMore::Invalid(why)) => return refuse(messages.stream(), &why),
        Err(_) => return Ok(false),
    };
    if order.manner == Manner::Mute {
        return Ok(false);
    }
    reply(messages.stream(), &head, order, received)?;
    Ok(!closes(order))
}

fn closes(order: Order) -> bool {
    order.manner != Manner::Plain && order.manner != Manner::Dripping
        || order.delimiter == Delimiter::Close
}

/// The order of a request that is as a proxy should send it.
fn read_order(head: &Head) -> Result<Order, String> {
    let order = Order::from_str(head.word(1)).map_err(|_| format!("{:?}", head.start_line()))?;
    let token = order.token.to_string();
    for (name, wanted) in [("X-Token", Some(token.as_str())), ("Via", None), ("Host", None)] {
        match head.field(name) {
            Some(value) if wanted.is_none_or(|wanted| wanted == value) => {}
            value => return Err(format!("{name} is {value:?} of {}", head.start_line())),
        }
    }
    Ok(order)
}

/// Reads a request's body: how many bytes it had, if they are all right.
fn receive(messages: &mut Messages<TcpStream>, head: &Head, token: Token) -> Result<u64, NoMore> {
    let mut body = head.body(Body::Over)?;
    let mut pattern = Pattern::new(token, Way::Up);
    while let Some(piece) = messages.piece(&mut body, usize::MAX)? {
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

fn reply(mut stream: &TcpStream, head: &Head, order: Order, received: u64) -> io::Result<()> {
    let Order { token, manner, delimiter, down_bytes } = order;
    let status = order.status();
    let framing = match delimiter {
        Delimiter::Length => format!("Content-Length: {down_bytes}\r\n"),
        Delimiter::Chunks => "Transfer-Encoding: chunked\r\n".to_owned(),
        Delimiter::Close => String::new(),
    };
    // A cut is not announced.
    let announced = manner != Manner::Cut && closes(order);
    let connection = if announced { "Connection: close\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 {status} As ordered\r\nX-Token: {token}\r\nX-Received: {received}\r\n\
         {framing}{connection}\r\n"
    );
    // Killed in the middle of a body that only the connection's end delimits, it must not look
    // done (RFC 9112 §8). So until it is done, its end would be a reset.
    let socket = SockRef::from(stream);
    if delimiter == Delimiter::Close {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    stream.write_all(text.as_bytes())?;
    if head.word(0) != "HEAD" {
        write_body(stream, order)?;
    }
    socket.set_linger(None)
}

/// Writes an answer's body, or half of one that is to be cut.
fn write_body(mut stream: &TcpStream, order: Order) -> io::Result<()> {
    let Order { token, manner, delimiter, down_bytes } = order;
    let mut left = if manner == Manner::Cut { down_bytes / 2 } else { down_bytes };
    let most = if manner == Manner::Dripping { down_bytes / DRIPS + 1 } else { u64::MAX };
    let mut pattern = Pattern::new(token, Way::Down);
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
        if manner == Manner::Dripping {
            clock::pause(DRIP_PAUSE);
        }
    }
    if delimiter == Delimiter::Chunks && manner != Manner::Cut {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Whether somebody listens on `address`.
pub(super) fn is_up(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
