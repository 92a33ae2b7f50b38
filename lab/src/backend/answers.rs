//! What the backend answers, rendered before the first request.
//!
//! A reply has a head for each kind of persistence, the start of the body, and the body's length.
//! The rest of a body comes from one pattern that all replies share, so that a body of a gigabyte
//! takes no memory.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use super::profile::Millis;
use super::request::Persistence;
use crate::fleet::OK;
use crate::scenario::{Conduct, Group, Service};

/// What a backend does.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The name it answers with.
    pub id: String,
    /// How it queues and works on requests, and what happens to it.
    pub group: Group,
    /// The status of its answers, 200 to 599.
    pub status: u16,
    /// The length its bodies are cut or padded to, in bytes; the text's own length if `None`.
    pub body_size: Option<u64>,
    /// Every nth request is answered 500.
    pub fail_every: Option<NonZeroU64>,
    /// After every nth response the connection is closed.
    pub close_every: Option<NonZeroU64>,
}

impl Behaviour {
    /// One that does only what `group` says.
    #[must_use]
    pub fn new(id: &str, group: Group) -> Self {
        let id = id.to_owned();
        Self { id, group, status: OK, body_size: None, fail_every: None, close_every: None }
    }
}

/// The status of every nth answer that is to fail.
const FAILURE: u16 = 500;

/// The status of errors that come by chance.
const UNAVAILABLE: u16 = 503;

/// The replies of one backend, and how many requests it was asked.
#[derive(Debug)]
pub(super) struct Answers {
    /// Those whose text says how long the work took, in that order.
    timed: Vec<(Duration, Reply)>,
    other: Reply,
    failures: Vec<(u16, Reply)>,
    fail_every: Option<NonZeroU64>,
    close_every: Option<NonZeroU64>,
    requests: u64,
}

impl Answers {
    pub(super) fn new(behaviour: &Behaviour) -> Self {
        let Behaviour { id, group, status, body_size, fail_every, close_every } = behaviour;
        let reply = |status, text: String| Reply::render(status, text.into_bytes(), *body_size);
        let mut delays = match &group.service {
            Service::Cycle(profile) | Service::Sample(profile) => profile.delays().to_vec(),
            Service::Fixed(delay) => vec![*delay],
            _ => Vec::new(),
        };
        delays.sort_unstable();
        delays.dedup();
        let text = |delay| format!("Hello from {id} – simulated {}ms", Millis(delay));
        let timed = delays.iter().map(|delay| (*delay, reply(*status, text(*delay)))).collect();
        let mut failures = vec![FAILURE, UNAVAILABLE];
        failures.extend(group.script.iter().filter_map(|phase| match phase.conduct {
            Conduct::Fail(status, _) => Some(status),
            _ => None,
        }));
        let failures =
            failures.into_iter().map(|it| (it, reply(it, format!("{id} fails on purpose"))));
        Self {
            timed,
            other: reply(*status, format!("Hello from {id}")),
            failures: failures.collect(),
            fail_every: *fail_every,
            close_every: *close_every,
            requests: 0,
        }
    }

    /// Counts a request; returns its number, from 1.
    pub(super) fn count(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// The reply to the request of this number, on which the backend worked for so long, and
    /// whether it is the last one on its connection.
    pub(super) fn reply(&self, number: u64, status: u16, took: Duration) -> (&Reply, bool) {
        let is_turn = |every: Option<NonZeroU64>| every.is_some_and(|n| number % n == 0);
        let status = if is_turn(self.fail_every) { FAILURE } else { status };
        let failure = self.failures.iter().find(|(it, _)| *it == status && status != OK);
        let reply = failure.map(|(_, reply)| reply).or_else(|| {
            let at = self.timed.binary_search_by_key(&took, |(delay, _)| *delay).ok()?;
            Some(&self.timed[at].1)
        });
        (reply.unwrap_or(&self.other), is_turn(self.close_every))
    }
}

/// A rendered response.
#[derive(Debug)]
pub(super) struct Reply {
    assumed: Vec<u8>,
    agreed: Vec<u8>,
    closing: Vec<u8>,
    start: Vec<u8>,
    length: u64,
}

/// A body up to this length is rendered completely, so that pipelined answers are sent together.
const RENDERED_BYTES: u64 = 4096;

impl Reply {
    fn render(status: u16, mut text: Vec<u8>, body_size: Option<u64>) -> Self {
        // RFC 9110 §15.3.5, §15.3.6, §15.4.5: no content; and no length but for 205's zero.
        let bodiless = matches!(status, 204 | 205 | 304);
        let length = if bodiless { 0 } else { body_size.unwrap_or(text.len() as u64) };
        text.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        if length <= RENDERED_BYTES {
            let at = text.len() as u64;
            text.extend_from_slice(filling(at..length));
        }
        let fields = match status {
            204 | 304 => String::new(),
            _ => format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n"),
        };
        let head = |connection: &str| {
            format!("HTTP/1.1 {status} {}\r\n{fields}{connection}\r\n", reason(status)).into_bytes()
        };
        Self {
            assumed: head(""),
            agreed: head("Connection: keep-alive\r\n"),
            closing: head("Connection: close\r\n"),
            start: text,
            length,
        }
    }

    pub(super) fn head(&self, persistence: Persistence) -> &[u8] {
        match persistence {
            Persistence::Assumed => &self.assumed,
            Persistence::Agreed => &self.agreed,
            Persistence::Closing => &self.closing,
        }
    }

    /// The start of the body, and the range of it that [`filling`] supplies.
    pub(super) fn body(&self) -> (&[u8], Range<u64>) {
        (&self.start, self.start.len() as u64..self.length)
    }
}

/// 64 bytes, each of them another one, so that a shifted or truncated body is found.
const TILE: [u8; 64] = *b"\nABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz.";

/// Long enough for the system call to cost little compared with the copying.
static PATTERN: [[u8; 64]; 4096] = [TILE; 4096];

/// The bytes of a body in `range`: all of them, or as many from its start as the pattern has in one
/// piece.
pub(super) fn filling(range: Range<u64>) -> &'static [u8] {
    let pattern = PATTERN.as_flattened();
    let length = pattern.len() as u64;
    let at = range.start % length;
    let end = length.min(at + (range.end - range.start));
    // Both are at most the pattern's length.
    let [at, end] = [at, end].map(|place| usize::try_from(place).unwrap_or(0));
    &pattern[at..end]
}

/// The reason phrases of common statuses; clients ignore them (RFC 9112 §4).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour() -> Behaviour {
        Behaviour::new("A", Group::new("cycle:10,2.5,0x2".parse().unwrap()))
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn shown(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// The whole body, as a client would get it.
    fn body(reply: &Reply) -> Vec<u8> {
        let (start, mut rest) = reply.body();
        let mut body = start.to_vec();
        while !rest.is_empty() {
            let piece = filling(rest.clone());
            body.extend_from_slice(piece);
            rest.start += piece.len() as u64;
        }
        body
    }

    fn status(reply: &Reply) -> &str {
        &shown(reply.head(Persistence::Assumed))[9..12]
    }

    #[test]
    fn the_text_says_how_long_the_work_took_where_that_is_known_before() {
        let answers = Answers::new(&behaviour());
        let text = |took| shown(&body(answers.reply(1, OK, took).0)).to_owned();
        assert_eq!(text(ms(10)), "Hello from A – simulated 10ms");
        assert_eq!(text(Duration::from_micros(2500)), "Hello from A – simulated 2.5ms");
        assert_eq!(text(ms(0)), "Hello from A – simulated 0ms");
        assert_eq!(text(ms(11)), "Hello from A", "it was slow");
    }

    #[test]
    fn heads_say_whether_the_connection_persists() {
        let answers = Answers::new(&behaviour());
        let (reply, _) = answers.reply(1, OK, ms(10));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Length: 31\r\n";
        for (persistence, more) in [
            (Persistence::Assumed, ""),
            (Persistence::Agreed, "Connection: keep-alive\r\n"),
            (Persistence::Closing, "Connection: close\r\n"),
        ] {
            assert_eq!(shown(reply.head(persistence)), format!("{head}{more}\r\n"));
        }
        assert_eq!(body(reply).len(), 31, "the dash is three bytes");
    }

    #[test]
    fn bodies_have_exactly_the_size_asked_for() {
        for size in [0, 1, 31, 32, 4095, 4096, 4097, 262_143, 262_144, 262_145, 600_000] {
            let answers = Answers::new(&Behaviour { body_size: Some(size), ..behaviour() });
            let (reply, _) = answers.reply(1, OK, ms(10));
            let body = body(reply);
            assert_eq!(body.len() as u64, size);
            let text = "Hello from A – simulated 10ms".as_bytes();
            for (index, byte) in body.iter().enumerate() {
                assert_eq!(*byte, text.get(index).copied().unwrap_or(TILE[index % 64]));
            }
            let head = shown(reply.head(Persistence::Assumed));
            assert!(head.contains(&format!("Content-Length: {size}\r\n")));
        }
    }

    #[test]
    fn failures_and_closes_happen_in_time() {
        let mut answers = Answers::new(&Behaviour {
            fail_every: NonZeroU64::new(2),
            close_every: NonZeroU64::new(3),
            ..behaviour()
        });
        let seen: Vec<_> = (0..6)
            .map(|_| {
                let number = answers.count();
                let (reply, closes) = answers.reply(number, OK, ms(10));
                (status(reply).to_owned(), closes)
            })
            .collect();
        let expected = [
            ("200", false),
            ("500", false),
            ("200", true),
            ("500", false),
            ("200", false),
            ("500", true),
        ];
        assert_eq!(seen, expected.map(|(status, closes)| (status.to_owned(), closes)));
    }

    #[test]
    fn each_status_that_a_script_or_chance_may_want_has_its_reply() {
        let group = Group {
            script: vec!["1s..2s fail 429 after 1ms".parse().unwrap()],
            ..behaviour().group
        };
        let answers = Answers::new(&Behaviour { group, status: 404, ..behaviour() });
        for (wanted, got) in [(OK, "404"), (429, "429"), (503, "503")] {
            assert_eq!(status(answers.reply(1, wanted, ms(10)).0), got);
        }
    }

    #[test]
    fn a_status_without_content_gets_none() {
        for (status, length) in [(204, None), (304, None), (205, Some("Content-Length: 0\r\n"))] {
            let behaviour = Behaviour { status, body_size: Some(100), ..behaviour() };
            let answers = Answers::new(&behaviour);
            let (reply, _) = answers.reply(1, OK, ms(10));
            let head = shown(reply.head(Persistence::Assumed));
            assert!(length.map_or(!head.contains("Content-"), |length| head.contains(length)));
            assert_eq!(body(reply), b"");
        }
    }
}
