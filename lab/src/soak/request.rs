//! Requests made up at random, each with what should become of it.

use fastrand::Rng;

use super::kind::Kind;
use super::order::{Delimiter, Manner, Order};
use super::pattern::Token;

/// How a request's body is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Upload {
    None,
    Length(u64),
    Chunks(u64),
}

impl Upload {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Length(bytes) | Self::Chunks(bytes) => bytes,
        }
    }
}

/// What should become of a request if no backend is disturbed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// It is answered with this status.
    Answer(u16),
    /// Its answer breaks off, or is replaced by 502 if nothing of it had been passed on.
    Cut,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) method: &'static str,
    pub(super) order: Order,
    pub(super) upload: Upload,
    pub(super) wish: Wish,
}

impl Request {
    pub(super) fn random(kind: Kind, token: Token, rng: &mut Rng) -> Self {
        let method = method(kind, rng);
        let manner = manner(kind, rng);
        let delimiters = [Delimiter::Length, Delimiter::Chunks, Delimiter::Close];
        // A cut shows only where the end of the connection is not the end of the body.
        let choices = if manner == Manner::Cut { &delimiters[..2] } else { &delimiters };
        let delimiter = choices[rng.usize(..choices.len())];
        let up_first = rng.bool();
        let has_body = matches!(method, "POST" | "PUT");
        let down_bytes = match kind {
            Kind::LeftInResponse => large(rng),
            Kind::Large if !(has_body && up_first) => large(rng),
            Kind::Slow => small(rng, 19),
            Kind::CutShort => 1000 + small(rng, 17),
            Kind::Pipelined => small(rng, 12),
            _ => small(rng, 15),
        };
        let up_bytes = match kind {
            Kind::Large if up_first => large(rng),
            Kind::Incomplete | Kind::LeftInRequest | Kind::Early => 1000 + small(rng, 16),
            Kind::Pipelined => small(rng, 11),
            _ => small(rng, 15),
        };
        let upload = match kind {
            _ if !has_body => Upload::None,
            Kind::Chunked => Upload::Chunks(up_bytes),
            _ if rng.u8(..4) == 0 => Upload::Chunks(up_bytes),
            _ => Upload::Length(up_bytes),
        };
        let order = Order { token, manner, delimiter, down_bytes };
        let wish = match (kind, manner) {
            (Kind::Incomplete, _) => Wish::Answer(400),
            (_, Manner::Cut) => Wish::Cut,
            (_, Manner::Mute) => Wish::Answer(502),
            _ => Wish::Answer(order.status()),
        };
        Self { kind, method, order, upload, wish }
    }

    pub(super) fn token(&self) -> Token {
        self.order.token
    }

    /// Whether it can always be sent again (RFC 9110 §9.2.2), for it is idempotent and has no body
    /// that a proxy would have to keep.
    pub(super) fn can_be_resent(&self) -> bool {
        self.method != "POST" && self.upload == Upload::None
    }

    pub(super) fn head(&self) -> String {
        let Self { method, order, upload, .. } = self;
        let token = order.token;
        let framing = match upload {
            Upload::None => String::new(),
            Upload::Length(bytes) => format!("Content-Length: {bytes}\r\n"),
            Upload::Chunks(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let expect = if self.awaits_continue() { "Expect: 100-continue\r\n" } else { "" };
        let connection = if self.kind == Kind::Close { "Connection: close\r\n" } else { "" };
        format!(
            "{method} {order} HTTP/1.1\r\nHost: soak\r\nX-Token: {token}\r\n\
             {framing}{expect}{connection}\r\n"
        )
    }

    /// Whether its body is sent only when asked for.
    pub(super) fn awaits_continue(&self) -> bool {
        // Of those that leave, some are sure that they were heard.
        let may_await = self.kind == Kind::Continue
            || self.kind == Kind::LeftInRequest && self.token().is_multiple_of(2);
        may_await && self.upload.bytes() > 0
    }
}

fn method(kind: Kind, rng: &mut Rng) -> &'static str {
    let methods: &[&str] = match kind {
        Kind::Head => &["HEAD"],
        Kind::Unanswered => &["POST"],
        Kind::Chunked | Kind::Continue | Kind::Incomplete | Kind::LeftInRequest | Kind::Early => {
            &["POST", "PUT"]
        }
        Kind::Pipelined => &["GET", "GET", "GET", "HEAD", "DELETE", "POST", "PUT"],
        _ => &["GET", "GET", "GET", "DELETE", "POST", "PUT"],
    };
    methods[rng.usize(..methods.len())]
}

fn manner(kind: Kind, rng: &mut Rng) -> Manner {
    match kind {
        Kind::CutShort => Manner::Cut,
        Kind::Unanswered => Manner::Mute,
        Kind::Early => Manner::Early,
        Kind::Slow if rng.bool() => Manner::Dripping,
        _ if rng.u8(..20) == 0 => Manner::Closing,
        _ => Manner::Plain,
    }
}

/// Up to `2^exponent` bytes, small sizes as often as large ones.
fn small(rng: &mut Rng, exponent: u32) -> u64 {
    let exponent = rng.u32(..=exponent);
    rng.u64(..1 << exponent)
}

/// From 256 KiB to 4 MiB.
fn large(rng: &mut Rng) -> u64 {
    let exponent = rng.u32(18..=21);
    rng.u64(1 << exponent..2 << exponent)
}

/// What is no valid request, with a path in the place of `PATH`, and how it is refused.
const MALFORMED: [(&str, u16); 15] = [
    ("GET PATH HTTP/1.1\r\n\r\n", 400),
    ("GET PATH HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET PATH HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET PATH HTTP/1.1\nHost: a\n\n", 400),
    ("GET PATH HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
    ("GET PATH HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("GET PATH HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n", 400),
    ("POST PATH HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    ("POST PATH HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    (
        "POST PATH HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n",
        400,
    ),
    ("POST PATH HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("GET PATH HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("TRACE PATH HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
    ("GET PATH/LONG HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("GET PATH HTTP/1.1\r\nHost: a\r\nX: LONG\r\n\r\n", 431),
];

/// More than a head may have by default.
const TOO_LONG: usize = 20_000;

/// A message that must be refused: its bytes, and the status.
pub(super) fn malformed(order: Order, rng: &mut Rng) -> (Vec<u8>, u16) {
    let (text, status) = MALFORMED[rng.usize(..MALFORMED.len())];
    let text = text.replace("LONG", &"x".repeat(TOO_LONG));
    (text.replace("PATH", &order.to_string()).into_bytes(), status)
}
