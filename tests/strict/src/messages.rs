//! A stream of messages, read by a client or a server that waits for each.

use std::io::{self, ErrorKind, Read};

use super::{Body, Head};

/// More bytes than this are no head, if its end is not among them.
const LONGEST_HEAD: usize = 64 * 1024;

/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no more of a message.
#[derive(Debug)]
pub enum NoMore {
    /// The stream ended between two messages.
    Over,
    /// The stream ended, or was reset, within a message.
    Torn,
    /// Nothing arrived for as long as the stream waits.
    Silent,
    /// It is no message; why.
    Invalid(String),
}

impl From<String> for NoMore {
    fn from(fault: String) -> Self {
        Self::Invalid(fault)
    }
}

/// A stream of messages. As [`Read`] it gives the bytes after the last one that was read.
#[derive(Debug)]
pub struct Messages<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
}

impl<S: Read> Messages<S> {
    /// Nothing of `stream` has been read yet.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), start: 0 }
    }

    /// The stream, of which more may have been read than was asked for.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// As [`Messages::stream`].
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next message's head.
    ///
    /// # Errors
    /// There is none.
    pub fn head(&mut self) -> Result<Head, NoMore> {
        loop {
            if let Some((head, length)) = Head::read(self.rest())? {
                self.start += length;
                return Ok(head);
            }
            if self.rest().len() > LONGEST_HEAD {
                return Err(NoMore::Invalid("a head without an end".to_owned()));
            }
            let is_between = self.is_drained();
            if !self.receive()? {
                return Err(if is_between { NoMore::Over } else { NoMore::Torn });
            }
        }
    }

    /// The next bytes of a body; `None` after its last one.
    ///
    /// # Errors
    /// It goes on, and there is no more of it.
    pub fn piece(&mut self, body: &mut Body) -> Result<Option<&[u8]>, NoMore> {
        while !body.is_over() {
            let (used, data) = body.read(self.rest())?;
            let length = data.len();
            self.start += used;
            if length > 0 {
                return Ok(Some(&self.buffer[self.start - length..self.start]));
            }
            if used == 0 && !self.receive()? {
                return if *body == Body::UntilClose { Ok(None) } else { Err(NoMore::Torn) };
            }
        }
        Ok(None)
    }

    /// A whole body.
    ///
    /// # Errors
    /// As [`Messages::piece`].
    pub fn whole(&mut self, mut body: Body) -> Result<Vec<u8>, NoMore> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut body)? {
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// Whether all that was received has been read.
    pub fn is_drained(&self) -> bool {
        self.rest().is_empty()
    }

    /// Whether the stream is at its end, with nothing more on it.
    pub fn is_over(&mut self) -> bool {
        self.is_drained() && matches!(self.receive(), Ok(false) | Err(NoMore::Torn))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads once; `false` at the end of the stream.
    fn receive(&mut self) -> Result<bool, NoMore> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = self.stream.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + read.as_ref().map_or(0, |count| *count));
        read.map(|count| count > 0).map_err(|error| no_more(&error))
    }
}

impl<S: Read> Read for Messages<S> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.is_drained() {
            return self.stream.read(to);
        }
        let count = self.rest().read(to)?;
        self.start += count;
        Ok(count)
    }
}

fn no_more(error: &io::Error) -> NoMore {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NoMore::Silent,
        _ => NoMore::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that hands out so many bytes at a time.
    struct Cut<'a>(&'a [u8], usize);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// The bodies of all messages in `text`, and why there is no more.
    fn bodies(text: &str, step: usize) -> (Vec<String>, NoMore) {
        let mut messages = Messages::new(Cut(text.as_bytes(), step));
        let mut bodies = Vec::new();
        loop {
            match one(&mut messages) {
                Ok(body) => bodies.push(body),
                Err(why) => return (bodies, why),
            }
        }
    }

    fn one(messages: &mut Messages<Cut<'_>>) -> Result<String, NoMore> {
        let body = Body::of_response(&messages.head()?, "GET")?;
        Ok(String::from_utf8(messages.whole(body)?).expect("text"))
    }

    #[test]
    fn messages_end_where_their_framing_says_however_they_are_cut() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n00a\r\n0123456789\r\n0\r\nA: b\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\
            HTTP/1.1 200 OK\r\n\r\nthe rest";
        for step in 1..text.len() {
            let (bodies, why) = bodies(text, step);
            assert_eq!(bodies, ["abc", "abc0123456789", "", "the rest"], "by {step}");
            assert!(matches!(why, NoMore::Over), "{why:?} by {step}");
        }
    }

    #[test]
    fn what_is_torn_or_broken_is_told_apart() {
        for (text, is_torn) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false),
        ] {
            for step in [1, 5, text.len()] {
                let (bodies, why) = bodies(text, step);
                assert!(bodies.is_empty(), "{text}");
                assert_eq!(matches!(why, NoMore::Torn), is_torn, "{why:?}: {text}");
                assert_eq!(matches!(why, NoMore::Invalid(_)), !is_torn, "{why:?}: {text}");
            }
        }
    }

    #[test]
    fn what_follows_the_messages_is_read_as_bytes() {
        let mut messages = Messages::new(Cut(b"HTTP/1.1 101 Go\r\n\r\nno HTTP", 21));
        messages.head().expect("a head");
        assert!(!messages.is_drained() && !messages.is_over());
        let mut rest = String::new();
        messages.read_to_string(&mut rest).expect("a text");
        assert_eq!(rest, "no HTTP");
        assert!(messages.is_over());
    }

    #[test]
    fn a_head_without_an_end_is_given_up() {
        let mut endless = Messages::new(b"GET / HTTP/1.1\r\nX: ".chain(io::repeat(b'x')));
        assert!(matches!(endless.head(), Err(NoMore::Invalid(_))));
    }
}
