//! Writes the head of a response for the client: without the fields that concern the backend's
//! connection, and with a framing that the client can read.

use super::Version;
use super::framing::Framing;
use super::headers::{Field, Headers};
use super::name::Name;
use super::response::ResponseHead;
use super::wire::{self, CRLF};

/// How the body is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOut {
    /// Not at all: 1xx, 204, 304 and answers to `HEAD`. A described length is forwarded where it is
    /// allowed.
    None,
    /// As so many bytes.
    Length(u64),
    /// In chunks; never to an HTTP/1.0 client.
    Chunked,
    /// Up to the end of the connection; sends `Connection: close`.
    UntilClose,
}

impl BodyOut {
    /// How a body that came framed like this goes to a client of this version.
    #[must_use]
    pub fn new(framing: Framing, to: Version) -> BodyOut {
        match (framing, to) {
            (Framing::None, _) => BodyOut::None,
            (Framing::Length(length), _) => BodyOut::Length(length),
            (Framing::Chunked | Framing::UntilClose, Version::Http11) => BodyOut::Chunked,
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => BodyOut::UntilClose,
        }
    }
}

/// What is sent to the client besides the response itself.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHop<'a> {
    /// How the body is framed.
    pub body: BodyOut,
    /// Whether the connection ends after this response.
    pub close: bool,
    /// Whether the client uses HTTP/1.0 and asked for keep-alive, which has to be confirmed.
    pub keep_alive_10: bool,
    /// The date now, as an IMF-fixdate, for final responses that have none (RFC 9110 §6.6.1).
    pub date: &'a [u8],
}

/// Appends the head that forwards `response`, always as HTTP/1.1. Forwarded fields keep their
/// order.
pub fn rewrite_response(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    response: &ResponseHead,
    hop: &ResponseHop<'_>,
) {
    // The line as it came, if nothing is missing in it.
    let is_plain =
        head.starts_with(b"HTTP/1.1 ") && response.reason.start() == b"HTTP/1.1 200 ".len();
    let unchanged = if is_plain { response.reason.end() + CRLF.len() } else { 0 };
    if !is_plain {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(response.reason.of(head));
        out.extend_from_slice(CRLF);
    }
    let passed = headers.fields().iter().filter(|field| passes(field, hop.body));
    wire::copy(out, head, unchanged, passed);
    if response.status >= 200 {
        if !headers.has(Name::Date) {
            wire::field(out, "Date: ", hop.date);
        }
        write_framing(out, response, hop.body);
    }
    write_connection(out, head, headers, response, hop);
    out.extend_from_slice(CRLF);
}

fn passes(field: &Field, body: BodyOut) -> bool {
    match field.id {
        Name::ContentLength => false,
        // A `Date` is added only if none was received.
        Name::Date => true,
        // Trailers are announced only if they can follow.
        Name::Trailer => !field.named && body == BodyOut::Chunked,
        id => !field.named && !id.is_hop_by_hop(),
    }
}

fn write_framing(out: &mut Vec<u8>, response: &ResponseHead, body: BodyOut) {
    match (body, response.length) {
        (BodyOut::None, Some(described)) => wire::number(out, "Content-Length: ", described),
        (BodyOut::Length(length), _) => wire::number(out, "Content-Length: ", length),
        (BodyOut::Chunked, _) => wire::field(out, "Transfer-Encoding: ", b"chunked"),
        (BodyOut::None, None) | (BodyOut::UntilClose, _) => {}
    }
}

/// `Upgrade` is the only hop-by-hop field that concerns the client: the protocol of a 101, or those
/// that a 426 requires. Interim responses say nothing about the connection.
fn write_connection(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    response: &ResponseHead,
    hop: &ResponseHop<'_>,
) {
    let upgrade = matches!(response.status, 101 | 426) && headers.has(Name::Upgrade);
    let close = hop.close || hop.body == BodyOut::UntilClose;
    let options: &[u8] = match (upgrade, close) {
        (true, _) if response.status == 101 => b"upgrade",
        (true, true) => b"close, upgrade",
        (true, false) => b"upgrade",
        (false, _) if response.status < 200 => return,
        (false, true) => b"close",
        (false, false) if hop.keep_alive_10 => b"keep-alive",
        (false, false) => return,
    };
    wire::field(out, "Connection: ", options);
    if upgrade {
        let upgrades = headers.fields().iter().filter(|field| field.id == Name::Upgrade);
        wire::copy(out, head, 0, upgrades);
    }
}
