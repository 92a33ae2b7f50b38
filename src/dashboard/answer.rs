//! What each request is answered: the page's files, the figures, or a stream of them.

use std::io::{self, Write};

use tiny_http::{HTTPVersion, Header, Method, Request, Response, StatusCode};

use super::assets::Asset;
use super::board::{Board, Edition};
use super::seats::Seat;
use super::window::Window;
use crate::health::Question;

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

impl Wish {
    /// Reads the request line.
    pub(super) fn of(request: &Request) -> Self {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Self::Refused(405, "only GET is answered".to_owned());
        }
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        let granted: fn(Window) -> Self = match path {
            "/data" => Self::Data,
            "/events" => Self::Stream,
            "/health" => return Self::Health,
            _ => return Asset::at(path).map_or_else(not_found, Self::File),
        };
        let asked = query.split('&').find_map(|field| field.strip_prefix("window="));
        match asked.map_or(Ok(Window::Minute), str::parse) {
            Ok(window) => granted(window),
            Err(error) => Self::Refused(400, error.to_string()),
        }
    }
}

fn not_found() -> Wish {
    Wish::Refused(404, "there is no such page".to_owned())
}

/// Answers a request that asks for anything but a stream.
pub(super) fn answer(request: Request, wish: &Wish, board: &Board) -> io::Result<()> {
    match wish {
        Wish::File(asset) => send_file(request, asset),
        Wish::Data(window) => {
            let json = board.latest(*window).json;
            send(request, 200, json.as_bytes(), &[("Content-Type", "application/json")])
        }
        Wish::Health => send_text(request, 200, HEALTHY),
        Wish::Refused(status, reason) => send_text(request, *status, &format!("{reason}\n")),
        Wish::Stream(_) => {
            send_text(request, 503, "there is no stream to be had; ask /data instead\n")
        }
    }
}

fn send_file(request: Request, asset: &Asset) -> io::Result<()> {
    let etag = asset.etag();
    let caching = [("ETag", &*etag), ("Cache-Control", "no-cache")];
    if header(&request, "If-None-Match").is_some_and(|known| known.contains(&etag)) {
        return send(request, 304, &[], &caching);
    }
    let accepted = header(&request, "Accept-Encoding").is_some_and(|list| list.contains("gzip"));
    let kind = ("Content-Type", asset.content_type);
    let vary = ("Vary", "Accept-Encoding");
    let [etag, cache] = caching;
    match asset.plain {
        _ if accepted => {
            let gzip = ("Content-Encoding", "gzip");
            send(request, 200, asset.gzip, &[kind, gzip, vary, etag, cache])
        }
        Some(plain) => send(request, 200, plain, &[kind, vary, etag, cache]),
        None => send_text(request, 406, "this file is only to be had with gzip\n"),
    }
}

fn send_text(request: Request, status: u16, text: &str) -> io::Result<()> {
    let kind = ("Content-Type", "text/plain; charset=utf-8");
    match status {
        405 => send(request, status, text.as_bytes(), &[kind, ("Allow", "GET, HEAD")]),
        503 => send(request, status, text.as_bytes(), &[kind, ("Retry-After", "30")]),
        _ => send(request, status, text.as_bytes(), &[kind]),
    }
}

fn send(
    request: Request,
    status: u16,
    body: &[u8],
    headers: &[(&'static str, &str)],
) -> io::Result<()> {
    let always = [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    ];
    let uncached = [("Cache-Control", "no-store")];
    let named = headers.iter().any(|(name, _)| *name == "Cache-Control");
    let cache: &[_] = if named { &[] } else { &uncached };
    let fields = headers.iter().chain(cache).chain(&always);
    let fields = fields.filter_map(|(name, value)| Header::from_bytes(*name, *value).ok());
    let response =
        Response::new(StatusCode(status), fields.collect(), body, Some(body.len()), None);
    // The length of the body is known, so there is no need to send it in chunks.
    request.respond(response.with_chunked_threshold(usize::MAX))
}

fn header<'r>(request: &'r Request, name: &'static str) -> Option<&'r str> {
    let field = request.headers().iter().find(|header| header.field.equiv(name));
    field.map(|header| header.value.as_str())
}

/// Whether a stream can be sent in answer: it has no length, and HTTP/1.0 has no chunks.
pub(super) fn takes_streams(request: &Request) -> bool {
    *request.http_version() == HTTPVersion(1, 1) && *request.method() == Method::Get
}

/// Sends every edition as a server-sent event, until the browser is gone or does not read.
pub(super) fn stream(request: Request, window: Window, board: &Board, _seat: Seat) {
    let mut writer = request.into_writer();
    let mut edition = board.latest(window);
    let begun = writer.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\
          X-Content-Type-Options: nosniff\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let mut sent = begun.and_then(|()| send_event(&mut writer, &edition));
    while sent.is_ok() {
        edition = board.after(edition.number, window);
        sent = send_event(&mut writer, &edition);
    }
}

/// One event in one chunk (RFC 9112 §7.1). JSON has no line end in it, so it is one line of data.
fn send_event(writer: &mut dyn Write, edition: &Edition) -> io::Result<()> {
    let event = format!("id: {}\ndata: {}\n\n", edition.number, edition.json);
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    writer.write_all(chunk.as_bytes())?;
    writer.flush()
}
