//! What the backend answers, rendered before the first request.
//!
//! A reply has a head for each kind of persistence, the start of the body, and the body's length.
//! The rest of a body comes from one pattern that all replies share, so that a body of a gigabyte
//! takes no memory.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use super::profile::{Millis, Profile};
use super::request::Persistence;

/// What a backend does.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The name it answers with.
    pub id: String,
    /// The delays of its answers.
    pub profile: Profile,
    /// The status of its answers, 200 to 599.
    pub status: u16,
    /// The length its bodies are cut or padded to, in bytes; the text's own length if `None`.
    pub body_size: Option<u64>,
    /// Every nth request is answered 500.
    pub fail_every: Option<NonZeroU64>,
    /// After every nth response the connection is closed.
    pub close_every: Option<NonZeroU64>,
}

/// What to do with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action {
    /// How long to wait before the answer.
    pub(super) delay: Duration,
    /// Whether the connection is closed afterwards.
    pub(super) close: bool,
    reply: usize,
}

/// A behaviour, and its position in the cycle of delays, which all connections share.
#[derive(Debug)]
pub(super) struct Script {
    /// One per delay of the profile, then the failure.
    replies: Vec<Reply>,
    delays: Vec<Duration>,
    fail_every: Option<NonZeroU64>,
    close_every: Option<NonZeroU64>,
    requests: u64,
    position: usize,
}

impl Script {
    pub(super) fn new(behaviour: &Behaviour) -> Self {
        let Behaviour { id, profile, status, body_size, fail_every, close_every } = behaviour;
        let hello = |delay| format!("Hello from {id} – simulated {}ms", Millis(delay)).into_bytes();
        let mut replies: Vec<Reply> = profile
            .delays()
            .iter()
            .map(|delay| Reply::render(*status, hello(*delay), *body_size))
            .collect();
        let failure = format!("{id} fails on purpose").into_bytes();
        replies.push(Reply::render(500, failure, *body_size));
        Self {
            replies,
            delays: profile.delays().to_vec(),
            fail_every: *fail_every,
            close_every: *close_every,
            requests: 0,
            position: 0,
        }
    }

    /// Counts a request; returns what to do with it.
    pub(super) fn next(&mut self) -> Action {
        self.requests += 1;
        let position = self.position;
        self.position = (position + 1) % self.delays.len();
        let is_turn = |every: Option<NonZeroU64>| every.is_some_and(|n| self.requests % n == 0);
        let reply = if is_turn(self.fail_every) { self.delays.len() } else { position };
        Action { delay: self.delays[position], close: is_turn(self.close_every), reply }
    }

    pub(super) fn reply(&self, action: Action) -> &Reply {
        &self.replies[action.reply]
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

    fn behaviour(profile: &str) -> Behaviour {
        Behaviour {
            id: "A".to_owned(),
            profile: profile.parse().unwrap(),
            status: 200,
            body_size: None,
            fail_every: None,
            close_every: None,
        }
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

    #[test]
    fn the_cycle_is_kept_exactly() {
        let mut script = Script::new(&behaviour("10,2.5,0x2"));
        let texts: Vec<String> = (0..6)
            .map(|_| {
                let action = script.next();
                format!("{} {:?}", shown(&body(script.reply(action))), action.delay)
            })
            .collect();
        assert_eq!(
            texts,
            [
                "Hello from A – simulated 10ms 10ms",
                "Hello from A – simulated 2.5ms 2.5ms",
                "Hello from A – simulated 0ms 0ns",
                "Hello from A – simulated 0ms 0ns",
                "Hello from A – simulated 10ms 10ms",
                "Hello from A – simulated 2.5ms 2.5ms",
            ]
        );
    }

    #[test]
    fn heads_say_whether_the_connection_persists() {
        let mut script = Script::new(&behaviour("10"));
        let action = script.next();
        let reply = script.reply(action);
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
            let mut script = Script::new(&Behaviour { body_size: Some(size), ..behaviour("10") });
            let action = script.next();
            let body = body(script.reply(action));
            assert_eq!(body.len() as u64, size);
            let text = "Hello from A – simulated 10ms".as_bytes();
            for (index, byte) in body.iter().enumerate() {
                assert_eq!(*byte, text.get(index).copied().unwrap_or(TILE[index % 64]));
            }
            let head = shown(script.reply(action).head(Persistence::Assumed));
            assert!(head.contains(&format!("Content-Length: {size}\r\n")));
        }
    }

    #[test]
    fn failures_and_closes_happen_in_time_and_do_not_shift_the_cycle() {
        let mut script = Script::new(&Behaviour {
            fail_every: NonZeroU64::new(2),
            close_every: NonZeroU64::new(3),
            ..behaviour("1,2,3")
        });
        let mut seen = Vec::new();
        for _ in 0..6 {
            let action = script.next();
            let head = shown(script.reply(action).head(Persistence::Assumed));
            seen.push((action.delay.as_millis(), head[9..12].to_owned(), action.close));
        }
        let expected = [
            (1, "200", false),
            (2, "500", false),
            (3, "200", true),
            (1, "500", false),
            (2, "200", false),
            (3, "500", true),
        ];
        assert_eq!(seen, expected.map(|(ms, status, close)| (ms, status.to_owned(), close)));
    }

    #[test]
    fn a_status_without_content_gets_none() {
        for (status, length) in [(204, None), (304, None), (205, Some("Content-Length: 0\r\n"))] {
            let behaviour = Behaviour { status, body_size: Some(100), ..behaviour("0") };
            let mut script = Script::new(&behaviour);
            let action = script.next();
            let head = shown(script.reply(action).head(Persistence::Assumed));
            assert!(length.map_or(!head.contains("Content-"), |length| head.contains(length)));
            assert_eq!(body(script.reply(action)), b"");
        }
    }
}
