//! The answer to each request: a file of the page, the figures, or a stream of them.

use std::sync::Arc;
use std::time::SystemTime;

use super::assets::Asset;
use super::listed;
use super::requests::Filter;
use super::snapshot_cache::{Published, SnapshotCache};
use super::window::Window;
use crate::health::Question;
use crate::http::{Framing, Headers, Method, RequestHead, Version, reason_phrase};

/// The page loads nothing from elsewhere, and has no scripts and styles but those of its files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The answer to `/health`, by which `--health` recognises the program.
const HEALTHY: &str = "tidegate-dashboard\n";

/// How `--health` asks a dashboard whether it is there.
pub const HEALTH: Question = Question {
    server: "dashboard",
    bytes: b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: HEALTHY.as_bytes(),
};

/// Bytes to send: a head and a body that is not copied.
#[derive(Debug, Default)]
pub(super) struct Response {
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
pub(super) enum Resource {
    File(&'static Asset),
    Data(Window),
    Stream(Window),
    Requests(Filter),
    /// The name of a request.
    Explain(String),
    Health,
    /// The status and the reason of the refusal.
    Refused(u16, String),
}

/// What matters of a request for its answer.
#[derive(Debug)]
pub(super) struct PageRequest {
    pub(super) resource: Resource,
    /// Whether the answer has no body.
    head_only: bool,
    /// Whether the connection ends after the answer.
    pub(super) close: bool,
    takes_gzip: bool,
    known_tags: String,
}

impl PageRequest {
    /// Reads a request that came in for one of `hosts`; `is_ours` tells whether a host is.
    pub(super) fn of(
        head: &[u8],
        headers: &Headers,
        request: &RequestHead,
        is_ours: impl Fn(&str) -> bool,
    ) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let authority = text(request.authority.of(head));
        // Only a client of HTTP/1.0 may send no host, and no browser is one.
        let hostless = authority.is_empty() && request.version == Version::Http10;
        let resource = if hostless || is_ours(&authority) {
            let target = text(request.target.path_and_query().of(head));
            Resource::of(request.method, &target, request.version)
        } else {
            let why = format!(
                "this dashboard does not answer for the host \"{authority}\"; start it with \
                 --allow-host NAME if it should"
            );
            Resource::Refused(421, why)
        };
        let value = |name: &str| text(value(head, headers, name));
        Self {
            resource,
            head_only: request.method == Method::Head,
            // A body is not read, so nothing behind it could be.
            close: !request.keep_alive
                || !matches!(request.framing, Framing::None | Framing::Length(0)),
            takes_gzip: value("Accept-Encoding").contains("gzip"),
            known_tags: value("If-None-Match"),
        }
    }

    /// A request whose head is refused; what follows it on the connection cannot be parsed.
    pub(super) fn refused(status: u16, why: &str) -> Self {
        Self {
            resource: Resource::Refused(status, why.to_owned()),
            head_only: false,
            close: true,
            takes_gzip: false,
            known_tags: String::new(),
        }
    }

    /// The whole answer to anything but a stream.
    pub(super) fn answer(&self, cache: &SnapshotCache) -> Response {
        match &self.resource {
            Resource::File(asset) => self.file(asset),
            Resource::Data(window) => {
                let json = Body::Figures(cache.latest(*window).json);
                self.message(200, json, &[("Content-Type", "application/json")])
            }
            Resource::Requests(filter) => {
                let json = Body::Figures(cache.requests(filter));
                self.message(200, json, &[("Content-Type", "application/json")])
            }
            Resource::Explain(request) => {
                let json = Body::Figures(cache.explain(request));
                self.message(200, json, &[("Content-Type", "application/json")])
            }
            Resource::Health => self.text(200, HEALTHY.to_owned()),
            Resource::Refused(status, reason) => self.text(*status, format!("{reason}\n")),
            Resource::Stream(_) => {
                let why = "there is no stream to be had; ask /data instead\n";
                self.text(503, why.to_owned())
            }
        }
    }

    fn file(&self, asset: &Asset) -> Response {
        let etag = asset.etag();
        let caching = [("ETag", &*etag), ("Cache-Control", "no-cache")];
        if self.known_tags.contains(&etag) {
            return self.message(304, Body::Empty, &caching);
        }
        let kind = ("Content-Type", asset.content_type);
        let vary = ("Vary", "Accept-Encoding");
        let [etag, cache] = caching;
        if self.takes_gzip {
            let gzip = ("Content-Encoding", "gzip");
            return self.message(200, Body::File(asset.gzip), &[kind, gzip, vary, etag, cache]);
        }
        self.message(200, Body::File(asset.plain), &[kind, vary, etag, cache])
    }

    fn text(&self, status: u16, text: String) -> Response {
        let kind = ("Content-Type", "text/plain; charset=utf-8");
        match status {
            405 => self.message(status, Body::Text(text), &[kind, ("Allow", "GET, HEAD")]),
            503 => self.message(status, Body::Text(text), &[kind, ("Retry-After", "30")]),
            _ => self.message(status, Body::Text(text), &[kind]),
        }
    }

    fn message(&self, status: u16, body: Body, fields: &[(&str, &str)]) -> Response {
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
        Response { head, body: if self.head_only { Body::Empty } else { body } }
    }
}

impl Resource {
    fn of(method: Method, target: &str, version: Version) -> Self {
        if !matches!(method, Method::Get | Method::Head) {
            return Self::Refused(405, "only GET is answered".to_owned());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let make: fn(Window) -> Self = match path {
            "/data" => Self::Data,
            "/events" => Self::Stream,
            "/health" => return Self::Health,
            "/explain" => {
                return match listed::request(query) {
                    Some(request) => Self::Explain(request),
                    None => Self::Refused(400, "ask for request=NAME, from /requests".to_owned()),
                };
            }
            "/requests" => {
                return match listed::filter(query) {
                    Ok(filter) => Self::Requests(filter),
                    Err(error) => Self::Refused(400, error.to_string()),
                };
            }
            _ => return Asset::at(path).map_or_else(not_found, Self::File),
        };
        match Window::asked(query) {
            // A stream has no length, and HTTP/1.0 has no chunks.
            Ok(_) if path == "/events" && (version, method) != (Version::Http11, Method::Get) => {
                Self::Refused(503, "a stream needs GET and HTTP/1.1; ask for /data".to_owned())
            }
            Ok(window) => make(window),
            Err(error) => Self::Refused(400, error.to_string()),
        }
    }
}

fn not_found() -> Resource {
    Resource::Refused(404, "there is no such page".to_owned())
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
pub(super) fn stream() -> Response {
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
    Response { head, body: Body::Empty }
}

/// One event in one chunk (RFC 9112 §7.1). JSON has no line end in it, so it is one line of data.
pub(super) fn event(published: &Published) -> Response {
    let event = format!("id: {}\ndata: {}\n\n", published.number, published.json);
    let head = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    Response { head, body: Body::Empty }
}
