//! A socket as a script uses it: written whole or in pieces, closed in order or reset.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

use support::clock::pause;

/// The pause between two pieces, so that they are separate segments.
const APART: Duration = Duration::from_micros(200);

/// At most how many pieces a message is cut into, about, to limit the time.
const MOST_PIECES: usize = 300;

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pace {
    #[default]
    Whole,
    /// This many at a time.
    Pieces(usize),
}

pub fn send(mut stream: &TcpStream, bytes: &[u8], pace: Pace) -> io::Result<()> {
    let Pace::Pieces(size) = pace else { return stream.write_all(bytes) };
    for piece in bytes.chunks(size.max(bytes.len() / MOST_PIECES)) {
        stream.write_all(piece)?;
        pause(APART);
    }
    Ok(())
}

pub fn drip(mut stream: &TcpStream, bytes: &[u8], interval: Duration) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        pause(interval);
    }
    Ok(())
}

/// Makes the connection reset when its last handle is dropped.
pub fn reset_on_drop(stream: &TcpStream) {
    // A connection that has ended already needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
