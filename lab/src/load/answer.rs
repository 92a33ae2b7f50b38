//! Answers to GET requests, as far as a client that only counts has to understand them.

use tidegate::http::{
    Asked, Chunks, Framing, HeadSearch, Headers, LONGEST_HEAD, Method, Part, parse_response,
};

/// More header fields than are of use.
const FIELDS: usize = 256;

/// Bytes of a trailer section.
const TRAILER_LIMIT: usize = 16 * 1024;

/// A whole answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether the connection can be used again.
    pub(super) keep_alive: bool,
}

/// What came is no answer, or more than one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken;

#[derive(Debug)]
enum State {
    Head { search: HeadSearch, bytes: Vec<u8> },
    Length { answer: Answer, left: u64 },
    Chunked { answer: Answer, chunks: Chunks },
    UntilClose { answer: Answer },
}

/// The answers on one connection, one after the other.
#[derive(Debug)]
pub(super) struct Answers {
    state: State,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { state: State::Head { search: HeadSearch::response(), bytes: Vec::new() } }
    }

    /// Takes what was received: the answer, if it is whole now.
    pub(super) fn receive(&mut self, mut input: &[u8]) -> Result<Option<Answer>, Broken> {
        while let State::Head { .. } = self.state {
            match self.read_head(input)? {
                Some(rest) => input = &input[rest..],
                None => return Ok(None),
            }
        }
        let answer = self.read_body(input)?;
        if answer.is_some() {
            *self = Self::new();
        }
        Ok(answer)
    }

    /// The connection has ended: the answer, if that was its end.
    pub(super) fn end(&mut self) -> Option<Answer> {
        match self.state {
            State::UntilClose { answer } => Some(answer),
            _ => None,
        }
    }

    /// Where in `input` the head ends, if it does.
    fn read_head(&mut self, input: &[u8]) -> Result<Option<usize>, Broken> {
        let State::Head { search, bytes } = &mut self.state else { return Ok(None) };
        let before = bytes.len();
        bytes.extend_from_slice(input);
        let Some(end) = search.find(bytes, LONGEST_HEAD).map_err(|_| Broken)? else {
            return Ok(None);
        };
        let asked = Asked { method: Method::Get, protocols: b"" };
        let mut headers = Headers::new(FIELDS);
        let head = parse_response(&bytes[..end.end], &mut headers, asked).map_err(|_| Broken)?;
        let answer = Answer { status: head.status, keep_alive: head.keep_alive };
        self.state = match head.framing {
            _ if head.is_interim() => Self::new().state,
            Framing::None => State::Length { answer, left: 0 },
            Framing::Length(left) => State::Length { answer, left },
            Framing::Chunked => State::Chunked { answer, chunks: Chunks::new(TRAILER_LIMIT) },
            Framing::UntilClose => State::UntilClose { answer },
        };
        Ok(Some(end.end - before))
    }

    fn read_body(&mut self, mut input: &[u8]) -> Result<Option<Answer>, Broken> {
        match &mut self.state {
            State::Length { answer, left } => {
                *left = left.checked_sub(input.len() as u64).ok_or(Broken)?;
                Ok((*left == 0).then_some(*answer))
            }
            State::Chunked { answer, chunks } => loop {
                let (count, part) = chunks.next(input).map_err(|_| Broken)?;
                input = &input[count..];
                if part == Part::End {
                    return if input.is_empty() { Ok(Some(*answer)) } else { Err(Broken) };
                }
                if count == 0 {
                    return Ok(None);
                }
            },
            State::Head { .. } | State::UntilClose { .. } => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Answer = Answer { status: 200, keep_alive: true };

    /// Feeds an answer whole, byte by byte, and in two at every place, three times over.
    fn feed(text: &str) -> Result<Option<Answer>, Broken> {
        let text = text.as_bytes();
        let mut cuts: Vec<Vec<&[u8]>> = vec![vec![text], text.chunks(1).collect()];
        cuts.extend((1..text.len()).map(|at| vec![&text[..at], &text[at..]]));
        let mut outcomes = Vec::new();
        for parts in cuts {
            let mut answers = Answers::new();
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
        let mut answers = Answers::new();
        assert_eq!(answers.receive(text.as_bytes()), Ok(Some(closed)));
    }

    #[test]
    fn an_answer_without_a_length_ends_with_the_connection() {
        let mut answers = Answers::new();
        assert_eq!(answers.receive(b"HTTP/1.1 200 OK\r\n\r\nabc"), Ok(None));
        assert_eq!(answers.end(), Some(Answer { status: 200, keep_alive: false }));
    }

    #[test]
    fn what_is_cut_or_too_much_is_no_answer() {
        let mut answers = Answers::new();
        assert_eq!(answers.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Ok(None));
        assert_eq!(answers.end(), None);
        assert_eq!(answers.receive(b"cd"), Err(Broken));
        assert_eq!(Answers::new().receive(b"SSH-2.0\r\n\r\n"), Err(Broken));
        let long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx";
        assert_eq!(Answers::new().receive(long), Err(Broken));
    }
}
