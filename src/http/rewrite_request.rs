//! Writes the head of a request for the next hop: without the fields that concern the client's
//! connection, with those that describe the client to the backend, and with the proxy's own
//! framing.

use super::Version;
use super::framing::Framing;
use super::headers::{Field, Headers};
use super::name::Name;
use super::request::{RequestHead, offered_protocols};
use super::target::Target;
use super::wire::{self, CRLF};

/// What is sent to the next hop besides the request itself.
#[derive(Debug, Clone, Copy)]
pub struct RequestHop<'a> {
    /// The client's address as text, for `X-Forwarded-For`; `None` if it has none.
    pub peer: Option<&'a [u8]>,
    /// The name of this hop in `Via`.
    pub pseudonym: &'a str,
    /// Whether the peer is a trusted proxy, whose forwarded fields are kept. Those of any other
    /// peer are replaced.
    pub is_trusted: bool,
    /// The `Host` for requests without one, such as the backend's own authority. May be empty,
    /// which the RFC allows but some servers refuse.
    pub default_host: &'a str,
    /// Whether the backend is asked to close the connection after the response. This is not
    /// combined with an upgrade, whose connection ends with the tunnel anyway.
    pub close: bool,
}

/// Appends the head that forwards `request`, always as HTTP/1.1 and with at most one framing
/// field. Forwarded fields keep their order.
pub fn rewrite_request(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    request: &RequestHead,
    hop: &RequestHop<'_>,
) {
    let unchanged = unchanged(head, request);
    if unchanged == 0 {
        out.extend_from_slice(request.method_name.of(head));
        out.push(b' ');
        request.target.write(out, head, request.method);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let authority = request.authority.of(head);
        let host = if authority.is_empty() { hop.default_host.as_bytes() } else { authority };
        wire::field(out, "Host: ", host);
    }
    let passed = headers.fields().iter().filter(|field| passes(field, request, hop));
    wire::copy(out, head, unchanged, passed);
    write_forwarded(out, head, headers, request, hop);
    if let Some(forwards) = request.max_forwards {
        wire::number(out, "Max-Forwards: ", forwards.saturating_sub(1));
    }
    match request.framing {
        Framing::Length(length) => wire::number(out, "Content-Length: ", length),
        Framing::Chunked => wire::field(out, "Transfer-Encoding: ", b"chunked"),
        Framing::None | Framing::UntilClose => {}
    }
    if request.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
        offered_protocols(head, headers, request, out);
        out.extend_from_slice(CRLF);
    } else if hop.close {
        wire::field(out, "Connection: ", b"close");
    }
    out.extend_from_slice(CRLF);
}

/// The length of the request line and of `Host` behind it, if they leave as they came.
fn unchanged(head: &[u8], request: &RequestHead) -> usize {
    let line = request.version_number.end() + CRLF.len();
    let is_line = request.version_number.of(head) == b"1.1"
        && matches!(request.target, Target::Origin(_) | Target::Asterisk(_));
    let (start, end) = (request.authority.start(), request.authority.end());
    let is_host = start < end
        && head.get(line..start) == Some(b"Host: ")
        && head.get(end..end + CRLF.len()) == Some(CRLF);
    if is_line && is_host { end + CRLF.len() } else { 0 }
}

/// Whether a field is forwarded unchanged. Fields that this proxy writes itself are not, and
/// `Connection` does not change that: it can't remove framing, `Host` or the forwarded fields.
fn passes(field: &Field, request: &RequestHead, hop: &RequestHop<'_>) -> bool {
    match field.id {
        Name::Host | Name::ContentLength | Name::Via => false,
        Name::Forwarded | Name::XForwardedHost | Name::XForwardedProto => hop.is_trusted,
        // Nothing is added to what a trusted proxy sent if that has no address itself.
        Name::XForwardedFor => hop.is_trusted && hop.peer.is_none(),
        // An HTTP/1.0 client can't wait for a 100, so it can't expect one.
        Name::Expect => !field.named && request.version == Version::Http11,
        Name::MaxForwards => request.max_forwards.is_none(),
        Name::Trailer => !field.named && request.framing == Framing::Chunked,
        id => !field.named && !id.is_hop_by_hop(),
    }
}

/// Writes the forwarded fields: in addition to those of a trusted proxy, in place of those of any
/// other peer.
fn write_forwarded(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    request: &RequestHead,
    hop: &RequestHop<'_>,
) {
    match hop.peer {
        Some(peer) if hop.is_trusted => {
            let way = (Name::XForwardedFor, "X-Forwarded-For: ");
            wire::append(out, head, headers, way, &[peer]);
        }
        Some(peer) => wire::field(out, "X-Forwarded-For: ", peer),
        None => {}
    }
    let is_told = |id| hop.is_trusted && headers.has(id);
    if !is_told(Name::XForwardedProto) {
        out.extend_from_slice(b"X-Forwarded-Proto: http\r\n");
    }
    if !is_told(Name::XForwardedHost) && !request.authority.is_empty() {
        wire::field(out, "X-Forwarded-Host: ", request.authority.of(head));
    }
    let received = [request.version_number.of(head), b" ", hop.pseudonym.as_bytes()];
    wire::append(out, head, headers, (Name::Via, "Via: "), &received);
}
