//! Writes the head of a request for the next hop. What concerned the client's connection stays
//! behind, what the backend should know of it is added, and the framing is our own.

use super::Version;
use super::framing::Framing;
use super::headers::{Field, Headers};
use super::name::Name;
use super::request::{RequestHead, offered_protocols};
use super::wire::{self, CRLF};

/// What the next hop is told besides the request itself.
#[derive(Debug, Clone, Copy)]
pub struct RequestHop<'a> {
    /// The client's address as text, for `X-Forwarded-For`.
    pub peer: &'a str,
    /// Whether the client is a proxy that is believed what it says of where the request comes from.
    /// Of anybody else, nothing of that is passed on.
    pub is_trusted: bool,
    /// The `Host` of requests that name none, such as the backend's own authority. May be empty,
    /// which the RFC allows but some servers refuse.
    pub default_host: &'a str,
    /// Whether the backend is asked to close its connection after the response. An upgrade is not
    /// combined with that: its connection ends with the tunnel anyway.
    pub close: bool,
}

/// Appends the head that forwards `request`, always as HTTP/1.1 and with at most one framing
/// field. The order of the fields passed on is kept.
pub fn rewrite_request(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    request: &RequestHead,
    hop: &RequestHop<'_>,
) {
    out.extend_from_slice(request.method_name.of(head));
    out.push(b' ');
    request.target.write(out, head, request.method);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let authority = request.authority.of(head);
    let host = if authority.is_empty() { hop.default_host.as_bytes() } else { authority };
    wire::field(out, "Host", host);
    for field in headers.fields().iter().filter(|field| passes(field, request, hop)) {
        wire::copy(out, head, field);
    }
    write_forwarded(out, head, headers, request, hop);
    if let Some(forwards) = request.max_forwards {
        wire::number(out, "Max-Forwards", forwards.saturating_sub(1));
    }
    match request.framing {
        Framing::Length(length) => wire::number(out, "Content-Length", length),
        Framing::Chunked => wire::field(out, "Transfer-Encoding", b"chunked"),
        Framing::None | Framing::UntilClose => {}
    }
    if request.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: ");
        offered_protocols(head, headers, request, out);
        out.extend_from_slice(CRLF);
    } else if hop.close {
        wire::field(out, "Connection", b"close");
    }
    out.extend_from_slice(CRLF);
}

/// Whether a field goes on as it is. What we write ourselves doesn't, and `Connection` has no say
/// in that: neither framing, `Host` nor the forwarded fields can be named away.
fn passes(field: &Field, request: &RequestHead, hop: &RequestHop<'_>) -> bool {
    match field.id {
        Name::Host | Name::ContentLength | Name::Via | Name::XForwardedFor => false,
        Name::Forwarded | Name::XForwardedHost | Name::XForwardedProto => hop.is_trusted,
        // An HTTP/1.0 client can't wait for a 100, so it can't have asked for one.
        Name::Expect => !field.named && request.version == Version::Http11,
        Name::MaxForwards => request.max_forwards.is_none(),
        Name::Trailer => !field.named && request.framing == Framing::Chunked,
        id => !field.named && !id.is_hop_by_hop(),
    }
}

/// Tells where the request comes from: in addition to what a trusted proxy said of it, in place of
/// what anyone else did.
fn write_forwarded(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    request: &RequestHead,
    hop: &RequestHop<'_>,
) {
    let peer = hop.peer.as_bytes();
    if hop.is_trusted {
        let way = (Name::XForwardedFor, "X-Forwarded-For");
        wire::append(out, head, headers, way, &[peer]);
    } else {
        wire::field(out, "X-Forwarded-For", peer);
    }
    let is_told = |id| hop.is_trusted && headers.has(id);
    if !is_told(Name::XForwardedProto) {
        wire::field(out, "X-Forwarded-Proto", b"http");
    }
    if !is_told(Name::XForwardedHost) && !request.authority.is_empty() {
        wire::field(out, "X-Forwarded-Host", request.authority.of(head));
    }
    let received = [request.version_number.of(head), b" tidegate"];
    wire::append(out, head, headers, (Name::Via, "Via"), &received);
}
