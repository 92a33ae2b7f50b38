//! Parses a complete request head: the request line here, the fields with httparse, and then
//! everything that a proxy has to know before it forwards the request.

use super::connection::Options;
use super::error::HeadError;
use super::find::find;
use super::framing::{self, Framing};
use super::headers::Headers;
use super::host::is_authority;
use super::list::{elements, is_token};
use super::method::Method;
use super::name::Name;
use super::span::Span;
use super::target::Target;
use super::{LONGEST_HEAD, Version};

/// A parsed request head. The spans point into the head that it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, classified.
    pub method: Method,
    /// The method as written.
    pub method_name: Span,
    /// The resource asked for.
    pub target: Target,
    /// The client's version.
    pub version: Version,
    /// Its number as written, which `Via` repeats.
    pub version_number: Span,
    /// Host and port that the request is for: from an absolute target, else from `Host`. Empty if
    /// neither names one.
    pub authority: Span,
    /// How the body is delimited; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client wants to keep the connection after this exchange (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client offers an upgrade to a protocol that may be tunnelled.
    pub upgrade: bool,
    /// Whether the client waits for a 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// For `OPTIONS`: how many more times the request may be forwarded.
    pub max_forwards: Option<u64>,
}

impl RequestHead {
    /// Whether this proxy has to answer and must not forward the request (RFC 9110 §7.6.2).
    #[must_use]
    pub fn ends_here(&self) -> bool {
        self.max_forwards == Some(0)
    }
}

/// Parses a head found by [`HeadSearch`](super::HeadSearch), empty line included.
///
/// # Errors
/// Whatever two parsers might interpret differently, and what can't be forwarded. After a refused
/// request the connection can't be used, because the end of the request is not known.
pub fn parse_request(head: &[u8], headers: &mut Headers) -> Result<RequestHead, HeadError> {
    if head.len() > LONGEST_HEAD {
        return Err(HeadError::HeadTooLarge);
    }
    let line = RequestLine::parse(head)?;
    headers.parse(head, line.end)?;
    let options = Options::read(head, headers)?;
    let is_http11 = line.version == Version::Http11;
    Ok(RequestHead {
        method: line.method,
        method_name: line.method_name,
        target: line.target,
        version: line.version,
        version_number: line.version_number,
        authority: authority(&line, head, headers)?,
        framing: framing::of_request(line.version, head, headers)?,
        keep_alive: !options.close && (is_http11 || options.keep_alive),
        upgrade: is_http11 && options.upgrade && offers(head, headers).next().is_some(),
        expect_continue: is_http11 && headers.has(Name::Expect) && expects_continue(head, headers),
        max_forwards: max_forwards(line.method, head, headers)?,
    })
}

pub(super) struct RequestLine {
    method: Method,
    method_name: Span,
    target: Target,
    version: Version,
    version_number: Span,
    /// Offset of the first field line.
    end: usize,
}

impl RequestLine {
    /// `method SP request-target SP HTTP-version CRLF`, with exactly these single spaces.
    pub(super) fn parse(head: &[u8]) -> Result<RequestLine, HeadError> {
        let feed = find(b'\n', head).ok_or(HeadError::BadRequestLine)?;
        let line = head[..feed].strip_suffix(b"\r").ok_or(HeadError::BareLineFeed)?;
        let first = find(b' ', line).ok_or(HeadError::BadRequestLine)?;
        let second = find(b' ', &line[first + 1..]).ok_or(HeadError::BadRequestLine)?;
        let second = first + 1 + second;
        if !is_token(&line[..first]) {
            return Err(HeadError::BadRequestLine);
        }
        let version = Version::parse(&line[second + 1..])?;
        let method = Method::classify(&line[..first]);
        if matches!(method, Method::Connect | Method::Trace) {
            return Err(HeadError::MethodNotAllowed);
        }
        Ok(RequestLine {
            method,
            method_name: Span::new(0, first),
            target: Target::parse(head, Span::new(first + 1, second), method)?,
            version,
            version_number: Span::new(second + 1 + b"HTTP/".len(), line.len()),
            end: feed + 1,
        })
    }
}

/// The authority that a request is for (RFC 9112 §3.2, §3.3). HTTP/1.1 requires one valid `Host`,
/// even if an absolute target overrides it; it may be empty if no authority is known.
fn authority(line: &RequestLine, head: &[u8], headers: &Headers) -> Result<Span, HeadError> {
    let mut hosts = headers.fields().iter().filter(|field| field.id == Name::Host);
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(HeadError::DuplicateHost);
    }
    let host = match host {
        None if line.version == Version::Http11 => return Err(HeadError::MissingHost),
        None => Span::default(),
        Some(field) => field.value,
    };
    let value = host.of(head);
    match line.target {
        _ if !value.is_empty() && !is_authority(value) => Err(HeadError::BadHost),
        Target::Absolute { authority, .. } => Ok(authority),
        Target::Origin(_) | Target::Asterisk(_) => Ok(host),
    }
}

/// The protocols of `Upgrade` that may be offered to a backend: no other HTTP version and no TLS,
/// in which requests would pass uninspected, and only valid ones (RFC 9110 §7.8, RFC 2817 §3).
fn offers<'a>(head: &'a [u8], headers: &'a Headers) -> impl Iterator<Item = &'a [u8]> {
    headers.values(head, Name::Upgrade).flat_map(elements).filter(|protocol| {
        let mut parts = protocol.splitn(2, |byte| *byte == b'/');
        let name = parts.next().unwrap_or_default();
        let hidden: [&[u8]; 3] = [b"h2c", b"http", b"tls"];
        let hides = hidden.into_iter().any(|hidden| name.eq_ignore_ascii_case(hidden));
        is_token(name) && parts.next().is_none_or(is_token) && !hides
    })
}

/// Appends the protocols that a request offers, as a list, or nothing if it offers none: what is
/// sent to the backend, and what [`Asked`](super::Asked) compares its answer with.
pub fn offered_protocols(head: &[u8], headers: &Headers, request: &RequestHead, out: &mut Vec<u8>) {
    if !request.upgrade {
        return;
    }
    for (index, protocol) in offers(head, headers).enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(protocol);
    }
}

fn expects_continue(head: &[u8], headers: &Headers) -> bool {
    let is_named = |id| headers.fields().iter().any(|field| field.id == id && field.named);
    headers
        .values(head, Name::Expect)
        .flat_map(elements)
        .any(|expectation| expectation.eq_ignore_ascii_case(b"100-continue"))
        && !is_named(Name::Expect)
}

/// `Max-Forwards` applies to `TRACE` and `OPTIONS` only; otherwise it is forwarded like any field.
/// A number that does not fit counts as the largest that does (RFC 9110 §7.6.2).
fn max_forwards(method: Method, head: &[u8], headers: &Headers) -> Result<Option<u64>, HeadError> {
    if method != Method::Options {
        return Ok(None);
    }
    let mut values = headers.values(head, Name::MaxForwards);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(digits), None) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Ok(Some(framing::decimal(digits).unwrap_or(u64::MAX)))
        }
        _ => Err(HeadError::BadMaxForwards),
    }
}
