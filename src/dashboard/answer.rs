//! What each request is answered: the page's files, the figures, or a stream of them.

use std::sync::Arc;
use std::time::SystemTime;

use super::assets::Asset;
use super::board::{Board, Edition};
use super::window::Window;
use crate::health::Question;
use crate::http::{Framing, Headers, Method, RequestHead, Version, reason_phrase};

/// Nothing of the page comes from elsewhere, and nothing in it may run but its own files. Styles in
/// elements are allowed, for the charts set them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The answer to `/health`, by which the program knows itself.
const HEALTHY: &str = "tidegate-dashboard\n";

/// How a dashboard is asked whether it is there.
pub const HEALTH: Question = Question {
    server: "dashboard",
    bytes: b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: HEALTHY.as_bytes(),
};

/// Bytes to send: a head and a body that is not copied.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) head: Vec<u8>,
    pub(super) body: Body,
}

/// What follows a head.
#[derive(Debug, Default)]
pub(super) enum Body {
    #[default]
    Empty,
    File(&'static [u8]),
    Figures(Arc<str>),
    Text(String),
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::File(bytes) => bytes,
            Self::Figures(json) => json.as_bytes(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// What a request asks for.
#[derive(Debug)]
pub(super) enum Wish {
    File(&'static Asset),
    Data(Window),
    Stream(Window),
    Health,
    /// The status and the reason why it is not granted.
    Refused(u16, String),
}

/// A request as far as it matters for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) wish: Wish,
    /// The answer has no body.
    head_only: bool,
    /// Whether the connection ends after the answer.
    pub(super) close: bool,
    takes_gzip: bool,
    known_tags: String,
}

impl Asked {
    /// Reads a request that came in for one of `hosts`; `is_ours` tells whether a host is.
    pub(super) fn of(
        head: &[u8],
        headers: &Headers,
        request: &RequestHead,
        is_ours: impl Fn(&str) -> bool,
    ) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let authority = text(request.authority.of(head));
        // Only a client of HTTP/1.0 can name no host; no browser is one.
        let hostless = authority.is_empty() && request.version == Version::Http10;
        let wish = if hostless || is_ours(&authority) {
            let target = text(request.target.path_and_query().of(head));
            Wish::of(request.method, &target, request.version)
        } else {
            let why = format!(
                "this dashboard does not answer for the host \"{authority}\"; start it with \
                 --allow-host NAME if it should"
            );
            Wish::Refused(421, why)
        };
        let value = |name: &str| text(value(head, headers, name));
        Self {
            wish,
            head_only: request.method == Method::Head,
            // What would follow a body is not looked for.
            close: !request.keep_alive
                || !matches!(request.framing, Framing::None | Framing::Length(0)),
            takes_gzip: value("Accept-Encoding").contains("gzip"),
            known_tags: value("If-None-Match"),
        }
    }

    /// A request whose head is refused, after which nothing is known of the connection.
    pub(super) fn refused(status: u16, why: &str) -> Self {
        Self {
            wish: Wish::Refused(status, why.to_owned()),
            head_only: false,
            close: true,
            takes_gzip: false,
            known_tags: String::new(),
        }
    }

    /// The whole answer to anything but a stream.
    pub(super) fn answer(&self, board: &Board) -> Message {
        match &self.wish {
            Wish::File(asset) => self.file(asset),
            Wish::Data(window) => {
                let json = Body::Figures(board.latest(*window).json);
                self.message(200, json, &[("Content-Type", "application/json")])
            }
            Wish::Health => self.text(200, HEALTHY.to_owned()),
            Wish::Refused(status, reason) => self.text(*status, format!("{reason}\n")),
            Wish::Stream(_) => {
                let why = "there is no stream to be had; ask /data instead\n";
                self.text(503, why.to_owned())
            }
        }
    }

    fn file(&self, asset: &Asset) -> Message {
        let etag = asset.etag();
        let caching = [("ETag", &*etag), ("Cache-Control", "no-cache")];
        if self.known_tags.contains(&etag) {
            return self.message(304, Body::Empty, &caching);
        }
        let kind = ("Content-Type", asset.content_type);
        let vary = ("Vary", "Accept-Encoding");
        let [etag, cache] = caching;
        match asset.plain {
            _ if self.takes_gzip => {
                let gzip = ("Content-Encoding", "gzip");
                self.message(200, Body::File(asset.gzip), &[kind, gzip, vary, etag, cache])
            }
            Some(plain) => self.message(200, Body::File(plain), &[kind, vary, etag, cache]),
            None => self.text(406, "this file is only to be had with gzip\n".to_owned()),
        }
    }

    fn text(&self, status: u16, text: String) -> Message {
        let kind = ("Content-Type", "text/plain; charset=utf-8");
        match status {
            405 => self.message(status, Body::Text(text), &[kind, ("Allow", "GET, HEAD")]),
            503 => self.message(status, Body::Text(text), &[kind, ("Retry-After", "30")]),
            _ => self.message(status, Body::Text(text), &[kind]),
        }
    }

    fn message(&self, status: u16, body: Body, fields: &[(&str, &str)]) -> Message {
        let mut head = begin(status);
        let uncached = [("Cache-Control", "no-store")];
        let is_named = fields.iter().any(|(name, _)| *name == "Cache-Control");
        let cache: &[_] = if is_named { &[] } else { &uncached };
        let always = [
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ];
        fields.iter().chain(cache).chain(&always).for_each(|field| add(&mut head, *field));
        if status != 304 {
            add(&mut head, ("Content-Length", &body.bytes().len().to_string()));
        }
        if self.close {
            add(&mut head, ("Connection", "close"));
        }
        head.extend_from_slice(b"\r\n");
        Message { head, body: if self.head_only { Body::Empty } else { body } }
    }
}

impl Wish {
    fn of(method: Method, target: &str, version: Version) -> Self {
        if !matches!(method, Method::Get | Method::Head) {
            return Self::Refused(405, "only GET is answered".to_owned());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let granted: fn(Window) -> Self = match path {
            "/data" => Self::Data,
            "/events" => Self::Stream,
            "/health" => return Self::Health,
            _ => return Asset::at(path).map_or_else(not_found, Self::File),
        };
        let asked = query.split('&').find_map(|field| field.strip_prefix("window="));
        match asked.map_or(Ok(Window::Minute), str::parse) {
            // It has no length, and HTTP/1.0 has no chunks.
            Ok(_) if path == "/events" && (version, method) != (Version::Http11, Method::Get) => {
                Self::Refused(503, "a stream needs GET and HTTP/1.1; ask for /data".to_owned())
            }
            Ok(window) => granted(window),
            Err(error) => Self::Refused(400, error.to_string()),
        }
    }
}

fn not_found() -> Wish {
    Wish::Refused(404, "there is no such page".to_owned())
}

/// The value of the first field of this name; empty without one.
fn value<'a>(head: &'a [u8], headers: &Headers, name: &str) -> &'a [u8] {
    let mut fields = headers.fields().iter();
    let field = fields.find(|field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes()));
    field.map_or(&[], |field| field.value.of(head))
}

fn begin(status: u16) -> Vec<u8> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let reason = reason_phrase(status);
    format!("HTTP/1.1 {status} {reason}\r\nDate: {date}\r\n").into_bytes()
}

fn add(head: &mut Vec<u8>, (name, value): (&str, &str)) {
    for part in [name, ": ", value, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
}

/// The head of a stream of events, which has no end.
pub(super) fn stream() -> Message {
    let mut head = begin(200);
    for field in [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Transfer-Encoding", "chunked"),
    ] {
        add(&mut head, field);
    }
    head.extend_from_slice(b"\r\n");
    Message { head, body: Body::Empty }
}

/// One event in one chunk (RFC 9112 §7.1). JSON has no line end in it, so it is one line of data.
pub(super) fn event(edition: &Edition) -> Message {
    let event = format!("id: {}\ndata: {}\n\n", edition.number, edition.json);
    let head = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    Message { head, body: Body::Empty }
}
