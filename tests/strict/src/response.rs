//! Responses, as a client receives them one after the other on a connection.

use super::{
    Faults, Field, Framing, Length, chunked, fields, has_bare_feed, head, is_text, shown, values,
};

/// How their stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// In order.
    Finished,
    /// By a reset.
    Reset,
}

/// What delimits a body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Extent {
    /// There is none.
    #[default]
    NoBody,
    /// `Content-Length`.
    Length,
    /// The last chunk.
    Chunked,
    /// The end of the stream.
    UntilClose,
    /// A tunnel: what follows is no HTTP.
    Tunnel,
}

/// One response, or a part of one.
#[derive(Debug, Default)]
pub struct Response {
    /// `None` if it does not begin like a response.
    pub status: Option<u16>,
    /// The lines of its head.
    pub fields: Vec<Field>,
    /// The lines after its last chunk.
    pub trailers: Vec<Field>,
    /// Its body so far, without chunks.
    pub body: Vec<u8>,
    /// What delimits the body.
    pub extent: Extent,
    /// Whether it is complete.
    pub is_whole: bool,
}

impl Response {
    /// The values of all its fields of that name, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }
}

/// All that a client received.
#[derive(Debug, Default)]
pub struct Responses {
    /// The final ones.
    pub finals: Vec<Response>,
    /// The interim ones (1xx but 101).
    pub interims: Vec<Response>,
    /// What is wrong with any of them.
    pub faults: Faults,
    /// What follows the last expected response.
    pub surplus: Vec<u8>,
}

/// What a client knows when it parses responses.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The methods of its requests, in order.
    pub methods: &'a [Vec<u8>],
    /// How the stream ended, if it did.
    pub ending: Option<Ending>,
    /// Whether its requests were HTTP/1.0.
    pub is_http10: bool,
}

/// Parses the responses in `bytes`.
#[must_use]
pub fn responses(bytes: &[u8], reader: Reader<'_>) -> Responses {
    let mut responses = Responses::default();
    let mut at = 0;
    while at < bytes.len() {
        let Some(method) = reader.methods.get(responses.finals.len()) else {
            responses.surplus = bytes[at..].to_vec();
            break;
        };
        let Some(next) = reader.read(bytes, at, method, &mut responses) else { break };
        at = next;
    }
    responses
}

impl Reader<'_> {
    /// Parses one response; returns where the next one starts, if that is known.
    fn read(self, bytes: &[u8], at: usize, method: &[u8], all: &mut Responses) -> Option<usize> {
        let Some((lines, body)) = head(bytes, at, &mut all.faults) else {
            self.read_partial_head(&bytes[at..], all);
            return None;
        };
        let mut response = Response { status: status(lines[0]), ..Response::default() };
        if !is_status_line(lines[0]) {
            all.faults.push(format!("status line {}", shown(lines[0])));
        }
        response.fields = fields(&lines[1..], &mut all.faults);
        let framing = Framing::of(&response.fields, &mut all.faults);
        self.judge_framing(&response, &framing, &mut all.faults);
        let status = response.status.unwrap_or_default();
        if (100..200).contains(&status) && status != 101 {
            all.interims.push(response);
            return Some(body);
        }
        let is_bare = method == b"HEAD" || matches!(status, 204 | 304);
        let end = if status == 101 {
            response.extent = Extent::Tunnel;
            response.is_whole = true;
            response.body = bytes[body..].to_vec();
            None
        } else if is_bare {
            response.is_whole = true;
            Some(body)
        } else {
            self.read_body(&mut response, &framing, &bytes[body..], &mut all.faults)
                .map(|end| body + end)
        };
        all.finals.push(response);
        end
    }

    fn read_partial_head(self, rest: &[u8], all: &mut Responses) {
        const LONG_ENOUGH_TO_TELL: usize = 12;
        let status = status(rest);
        if self.ending.is_some() && has_bare_feed(rest) {
            all.faults.push("bare LF in a head".to_owned());
        }
        if status.is_none() && (self.ending.is_some() || rest.len() > LONG_ENOUGH_TO_TELL) {
            all.faults.push(format!("no response: {}", shown(rest)));
        } else if status.is_none() {
            return;
        }
        all.finals.push(Response { status, ..Response::default() });
    }

    /// Checks what a sender must not send (RFC 9112 §6.1, RFC 9110 §8.6).
    fn judge_framing(self, response: &Response, framing: &Framing, faults: &mut Faults) {
        if self.is_http10 && !framing.codings.is_empty() {
            faults.push("Transfer-Encoding to an HTTP/1.0 client".to_owned());
        }
        if let Some(status @ (100..200 | 204)) = response.status
            && framing.is_given()
        {
            faults.push(format!("a {status} with Content-Length or Transfer-Encoding"));
        }
    }

    /// Parses the body that `rest` starts with; returns where it ends, unless the stream's end
    /// delimits it.
    fn read_body(
        self,
        response: &mut Response,
        framing: &Framing,
        rest: &[u8],
        faults: &mut Faults,
    ) -> Option<usize> {
        if framing.ends_in_chunked() {
            let read = chunked::read(rest, 0, faults);
            (response.body, response.trailers) = (read.body, read.trailers);
            (response.extent, response.is_whole) = (Extent::Chunked, read.end.is_some());
            return read.end;
        }
        match framing.length {
            Length::Invalid => None,
            Length::Is(length) if framing.codings.is_empty() => {
                response.extent = Extent::Length;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                response.body = rest[..length.min(rest.len())].to_vec();
                response.is_whole = response.body.len() == length;
                response.is_whole.then_some(length)
            }
            _ => {
                response.extent = Extent::UntilClose;
                response.body = rest.to_vec();
                response.is_whole = self.ending == Some(Ending::Finished);
                None
            }
        }
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]`. A proxy sends its own version.
fn is_status_line(line: &[u8]) -> bool {
    let reason = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(3..));
    status(line).is_some_and(|status| status >= 100)
        && reason.is_some_and(|reason| {
            reason.starts_with(b" ") && reason.iter().all(|byte| is_text(*byte))
        })
}

/// The status of what begins like a status line, even a malformed one.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?.get(1..)?;
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let digits = rest.get(blanks..blanks + 3).filter(|_| blanks > 0)?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
