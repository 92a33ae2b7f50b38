//! Random requests, each with the outcome that is expected of it.

use fastrand::Rng;

use super::kind::Kind;
use super::pattern::Token;
use super::request_spec::{Behaviour, Delimiter, RequestSpec};

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

/// The outcome of a request while no backend is disturbed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expected {
    /// A response with this status.
    Response(u16),
    /// A response that breaks off, or a 502 if nothing of it had been passed on.
    Cut,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) method: &'static str,
    pub(super) spec: RequestSpec,
    pub(super) upload: Upload,
    pub(super) expected: Expected,
}

impl Request {
    pub(super) fn random(kind: Kind, token: Token, rng: &mut Rng) -> Self {
        let method = method(kind, rng);
        let behaviour = behaviour(kind, rng);
        let delimiters = [Delimiter::Length, Delimiter::Chunks, Delimiter::Close];
        // A cut is seen only where the end of the connection is not the end of the body.
        let choices = if behaviour == Behaviour::Cut { &delimiters[..2] } else { &delimiters };
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
        let spec = RequestSpec { token, behaviour, delimiter, down_bytes };
        let expected = match (kind, behaviour) {
            (Kind::Incomplete, _) => Expected::Response(400),
            (_, Behaviour::Cut) => Expected::Cut,
            (_, Behaviour::Mute) => Expected::Response(502),
            _ => Expected::Response(spec.status()),
        };
        Self { kind, method, spec, upload, expected }
    }

    pub(super) fn token(&self) -> Token {
        self.spec.token
    }

    /// Whether it can always be sent again: its method is idempotent (RFC 9110 §9.2.2), and it has
    /// no body that a proxy would have to keep.
    pub(super) fn can_be_resent(&self) -> bool {
        self.method != "POST" && self.upload == Upload::None
    }

    pub(super) fn head(&self) -> String {
        let Self { method, spec, upload, .. } = self;
        let token = spec.token;
        let framing = match upload {
            Upload::None => String::new(),
            Upload::Length(bytes) => format!("Content-Length: {bytes}\r\n"),
            Upload::Chunks(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let expect = if self.awaits_continue() { "Expect: 100-continue\r\n" } else { "" };
        let connection = if self.kind == Kind::Close { "Connection: close\r\n" } else { "" };
        format!(
            "{method} {spec} HTTP/1.1\r\nHost: soak\r\nX-Token: {token}\r\n\
             {framing}{expect}{connection}\r\n"
        )
    }

    /// Whether its body is sent only after 100 Continue.
    pub(super) fn awaits_continue(&self) -> bool {
        // Of the clients that leave, some know that their head was read.
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

fn behaviour(kind: Kind, rng: &mut Rng) -> Behaviour {
    match kind {
        Kind::CutShort => Behaviour::Cut,
        Kind::Unanswered => Behaviour::Mute,
        Kind::Early => Behaviour::Early,
        Kind::Slow if rng.bool() => Behaviour::Slow,
        _ if rng.u8(..20) == 0 => Behaviour::Closing,
        _ => Behaviour::Plain,
    }
}

/// Up to `2^exponent` bytes; each power of two is as likely as the others.
fn small(rng: &mut Rng, exponent: u32) -> u64 {
    let exponent = rng.u32(..=exponent);
    rng.u64(..1 << exponent)
}

/// From 256 KiB to 4 MiB.
fn large(rng: &mut Rng) -> u64 {
    let exponent = rng.u32(18..=21);
    rng.u64(1 << exponent..2 << exponent)
}

/// Requests that are not valid, with `PATH` where the path goes, and the status of the refusal.
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

/// Longer than the proxies accept a head.
const TOO_LONG: usize = 20_000;

/// A request that must be refused: its bytes, and the status.
pub(super) fn malformed(spec: RequestSpec, rng: &mut Rng) -> (Vec<u8>, u16) {
    let (text, status) = MALFORMED[rng.usize(..MALFORMED.len())];
    let text = text.replace("LONG", &"x".repeat(TOO_LONG));
    (text.replace("PATH", &spec.to_string()).into_bytes(), status)
}
