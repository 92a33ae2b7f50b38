//! A socket as a script uses it: written whole or in pieces, ended well or not.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

use crate::support::clock::pause;

/// Between two pieces, so that they travel apart.
const APART: Duration = Duration::from_micros(200);

/// A message is cut into about as many pieces at most, that it does not take for ever.
const MOST_PIECES: usize = 300;

/// How bytes are handed to the system.
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

/// Has the connection reset when its last handle is dropped.
pub fn reset_on_drop(stream: &TcpStream) {
    // A connection that is gone already needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
