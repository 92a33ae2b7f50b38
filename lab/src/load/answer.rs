//! Responses to GET requests, as far as a client that counts them has to understand them.

use strict::{Body, Head, Version};

/// A whole response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether the connection can be used again.
    pub(super) keep_alive: bool,
}

/// The bytes are no response, or more than one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken;

impl From<String> for Broken {
    fn from(_: String) -> Self {
        Self
    }
}

/// The responses on one connection, one after the other.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Bytes that were received and can't be parsed yet.
    held: Vec<u8>,
    /// The response whose body is being read.
    current: Option<(Answer, Body)>,
}

impl Answers {
    /// Takes what was received; the response, if it is complete now.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<Option<Answer>, Broken> {
        if self.held.is_empty() {
            let (used, answer) = self.read(input)?;
            self.held.extend_from_slice(&input[used..]);
            return Ok(answer);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(input);
        let (used, answer) = self.read(&held)?;
        held.drain(..used);
        self.held = held;
        Ok(answer)
    }

    /// The connection has ended: the response, if that was its end.
    pub(super) fn end(&self) -> Option<Answer> {
        let (answer, body) = self.current.as_ref()?;
        (*body == Body::UntilClose).then_some(*answer)
    }

    /// Reads as far as it can, and tells how far that is. No byte may follow a response.
    fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<Answer>), Broken> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let Some((answer, body)) = &mut self.current else {
                let Some((head, length)) = Head::read(rest)? else { return Ok((used, None)) };
                used += length;
                let (version, status) = head.status_line()?;
                if !matches!(status, 100..200) {
                    let body = Body::of_response(&head, "GET")?;
                    let persists = match version {
                        Version::Http11 => !head.has_token("connection", "close"),
                        Version::Http10 => head.has_token("connection", "keep-alive"),
                    };
                    let keep_alive = persists && body != Body::UntilClose;
                    self.current = Some((Answer { status, keep_alive }, body));
                }
                continue;
            };
            if body.is_over() {
                let answer = Some(*answer);
                self.current = None;
                return if rest.is_empty() { Ok((used, answer)) } else { Err(Broken) };
            }
            match body.read(rest)? {
                (0, _) => return Ok((used, None)),
                (count, _) => used += count,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Answer = Answer { status: 200, keep_alive: true };

    /// Passes a response on whole, byte by byte, and cut at every place, three times in a row.
    fn feed(text: &str) -> Result<Option<Answer>, Broken> {
        let text = text.as_bytes();
        let mut cuts: Vec<Vec<&[u8]>> = vec![vec![text], text.chunks(1).collect()];
        cuts.extend((1..text.len()).map(|at| vec![&text[..at], &text[at..]]));
        let mut outcomes = Vec::new();
        for parts in cuts {
            let mut answers = Answers::default();
            for _ in 0..3 {
                let last = parts.len() - 1;
                for part in &parts[..last] {
                    if answers.receive(part) != Ok(None) {
                        return Err(Broken);
                    }
                }
                outcomes.push(answers.receive(parts[last]));
            }
        }
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    }

    #[test]
    fn an_answer_ends_where_its_framing_says() {
        assert_eq!(feed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), Ok(Some(KEPT)));
        assert_eq!(feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(Some(KEPT)));
        let none = Answer { status: 204, keep_alive: true };
        assert_eq!(feed("HTTP/1.1 204 No Content\r\n\r\n"), Ok(Some(none)));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(feed(&format!("{chunked}3;x\r\nabc\r\n0\r\nA: b\r\n\r\n")), Ok(Some(KEPT)));
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
        assert_eq!(feed(&format!("{interim}{interim}{last}")), Ok(Some(KEPT)));
    }

    #[test]
    fn an_answer_says_whether_the_connection_is_kept() {
        let closed = Answer { status: 503, keep_alive: false };
        let text = "HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 1\r\n\r\na";
        let mut answers = Answers::default();
        assert_eq!(answers.receive(text.as_bytes()), Ok(Some(closed)));
    }

    #[test]
    fn an_answer_without_a_length_ends_with_the_connection() {
        let mut answers = Answers::default();
        assert_eq!(answers.receive(b"HTTP/1.1 200 OK\r\n\r\nabc"), Ok(None));
        assert_eq!(answers.end(), Some(Answer { status: 200, keep_alive: false }));
    }

    #[test]
    fn what_is_cut_or_too_much_is_no_answer() {
        let mut answers = Answers::default();
        assert_eq!(answers.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Ok(None));
        assert_eq!(answers.end(), None);
        assert_eq!(answers.receive(b"cd"), Err(Broken));
        assert_eq!(Answers::default().receive(b"SSH-2.0\r\n\r\n"), Err(Broken));
        let long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx";
        assert_eq!(Answers::default().receive(long), Err(Broken));
    }
}
