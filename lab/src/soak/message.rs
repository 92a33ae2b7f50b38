//! Reads HTTP/1.1 messages off a stream, for both ends of the soak.
//!
//! It is written apart from the proxy's own parser, so that the two don't share their mistakes, and
//! accepts nothing but what a proxy that writes its heads anew has to send (RFC 9112).

use std::io::{self, ErrorKind, Read};

/// Bytes of a head, and of a line between chunks.
const LONGEST_HEAD: usize = 64 * 1024;

/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no more of a message.
#[derive(Debug)]
pub(super) enum NoMore {
    /// The stream ended between two messages.
    Over,
    /// The stream ended, or was reset, within a message.
    Torn,
    /// Nothing came for as long as the stream waits.
    Silent,
    /// It is no message.
    Invalid(String),
}

/// A stream of messages.
#[derive(Debug)]
pub(super) struct Messages<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
}

/// A start line and its fields.
#[derive(Debug)]
pub(super) struct Head(String);

impl Head {
    pub(super) fn start_line(&self) -> &str {
        self.0.split("\r\n").next().unwrap_or_default()
    }

    /// The word at `index` of the start line.
    pub(super) fn word(&self, index: usize) -> &str {
        self.start_line().split(' ').nth(index).unwrap_or_default()
    }

    /// A field's value; a field that comes twice has none.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.0.split("\r\n").skip(1).filter_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether its connection ends behind it.
    pub(super) fn closes(&self) -> bool {
        self.field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body that comes behind it, if there can be one; `otherwise` is one without any framing.
    pub(super) fn body(&self, otherwise: Body) -> Result<Body, NoMore> {
        match (self.field("Transfer-Encoding"), self.field("Content-Length")) {
            (None, None) => Ok(otherwise),
            (Some("chunked"), None) => Ok(Body::ChunkSize),
            (None, Some(length)) => match length.parse() {
                Ok(length) => Ok(Body::Length(length)),
                Err(_) => Err(NoMore::Invalid(format!("a length of {length:?}"))),
            },
            (coding, length) => {
                Err(NoMore::Invalid(format!("framed by {coding:?} and {length:?}")))
            }
        }
    }
}

/// How a body goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// A line with a chunk's size comes next.
    ChunkSize,
    /// So many bytes of a chunk are left.
    Chunk(u64),
    UntilClose,
    Over,
}

impl<S: Read> Messages<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), start: 0 }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The next message's head.
    pub(super) fn head(&mut self) -> Result<Head, NoMore> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(at) = find(&rest[searched..], b"\r\n\r\n") {
                let end = searched + at;
                let head = String::from_utf8(rest[..end].to_vec())
                    .map_err(|_| NoMore::Invalid("a head that is no text".to_owned()))?;
                self.start += end + 4;
                return Ok(Head(head));
            }
            searched = rest.len().saturating_sub(3);
            if rest.len() > LONGEST_HEAD {
                return Err(NoMore::Invalid("a head without an end".to_owned()));
            }
            let is_between = rest.is_empty();
            if !self.receive()? {
                return Err(if is_between { NoMore::Over } else { NoMore::Torn });
            }
        }
    }

    /// The next bytes of a body, at most `most`; `None` behind its last one.
    pub(super) fn piece(&mut self, body: &mut Body, most: usize) -> Result<Option<&[u8]>, NoMore> {
        loop {
            let left = match body {
                Body::Over | Body::Length(0) => {
                    *body = Body::Over;
                    return Ok(None);
                }
                Body::Chunk(0) => {
                    self.line_end()?;
                    *body = Body::ChunkSize;
                    continue;
                }
                Body::ChunkSize => {
                    *body = self.chunk()?;
                    continue;
                }
                Body::Length(left) | Body::Chunk(left) => *left,
                Body::UntilClose => u64::MAX,
            };
            if self.is_drained() && !self.receive()? {
                if *body != Body::UntilClose {
                    return Err(NoMore::Torn);
                }
                *body = Body::Over;
                continue;
            }
            let here = (self.buffer.len() - self.start).min(most);
            let count = usize::try_from(left).map_or(here, |left| left.min(here));
            match body {
                Body::Length(left) | Body::Chunk(left) => *left -= count as u64,
                _ => {}
            }
            self.start += count;
            return Ok(Some(&self.buffer[self.start - count..self.start]));
        }
    }

    /// What follows a line with a chunk's size; trailers are passed over.
    fn chunk(&mut self) -> Result<Body, NoMore> {
        let line = self.line()?;
        let is_plain = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u64::from_str_radix(&line, 16) {
            Ok(0) if is_plain => {
                while !self.line()?.is_empty() {}
                Ok(Body::Over)
            }
            Ok(size) if is_plain => Ok(Body::Chunk(size)),
            _ => Err(NoMore::Invalid(format!("a chunk of size {line:?}"))),
        }
    }

    fn line_end(&mut self) -> Result<(), NoMore> {
        let line = self.line()?;
        if line.is_empty() { Ok(()) } else { Err(NoMore::Invalid("a chunk too long".to_owned())) }
    }

    /// The next line within a message.
    fn line(&mut self) -> Result<String, NoMore> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(end) = find(rest, b"\r\n") {
                let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.start += end + 2;
                return Ok(line);
            }
            if rest.len() > LONGEST_HEAD {
                return Err(NoMore::Invalid("a line without an end".to_owned()));
            }
            if !self.receive()? {
                return Err(NoMore::Torn);
            }
        }
    }

    /// Whether all that was received is used up.
    pub(super) fn is_drained(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Whether the stream is at its end, with nothing more on it.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_drained() && matches!(self.receive(), Ok(false) | Err(NoMore::Torn))
    }

    /// Reads once; `false` at the end of the stream.
    fn receive(&mut self) -> Result<bool, NoMore> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = self.stream.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + read.as_ref().map_or(0, |count| *count));
        read.map(|count| count > 0).map_err(|error| stop(&error))
    }
}

fn stop(error: &io::Error) -> NoMore {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NoMore::Silent,
        _ => NoMore::Torn,
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
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
        let mut body = messages.head()?.body(Body::UntilClose)?;
        let mut text = String::new();
        while let Some(piece) = messages.piece(&mut body, 7)? {
            text += str::from_utf8(piece).unwrap();
        }
        Ok(text)
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
    fn a_field_is_found_in_any_case_and_only_if_it_comes_once() {
        let text = "GET /x HTTP/1.1\r\nhost: a\r\nX: 1\r\nx: 2\r\nConnection: Close\r\n\r\n";
        let head = Messages::new(text.as_bytes()).head().unwrap();
        assert_eq!((head.start_line(), head.word(1)), ("GET /x HTTP/1.1", "/x"));
        assert_eq!((head.field("Host"), head.field("X")), (Some("a"), None));
        assert!(head.closes());
    }
}
