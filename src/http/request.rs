//! Judges a whole request head: the request line by hand, the fields by httparse, and then
//! everything a proxy has to know before it sends the request on.

use super::connection::Options;
use super::error::HeadError;
use super::framing::{self, Framing};
use super::headers::Headers;
use super::host::is_authority;
use super::list::{elements, is_token};
use super::method::Method;
use super::name::Name;
use super::span::Span;
use super::target::Target;
use super::{LONGEST_HEAD, Version};

/// What a request head says. The spans point into the head it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, recognised.
    pub method: Method,
    /// The method as written.
    pub method_name: Span,
    /// What is asked for.
    pub target: Target,
    /// The client's version.
    pub version: Version,
    /// Its number as written, which `Via` repeats.
    pub version_number: Span,
    /// Host and port the request is for: of an absolute target, else of `Host`. Empty if neither
    /// names one.
    pub authority: Span,
    /// How the body is delimited; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client wants the connection kept after this exchange (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client offers to change to another protocol that may be tunnelled.
    pub upgrade: bool,
    /// Whether the client waits for a 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// For `OPTIONS`: through how many more servers the request may go.
    pub max_forwards: Option<u64>,
}

impl RequestHead {
    /// Whether the request asks whoever has it now, and must not go further (RFC 9110 §7.6.2).
    #[must_use]
    pub fn ends_here(&self) -> bool {
        self.max_forwards == Some(0)
    }
}

/// Parses a head found by [`HeadSearch`](super::HeadSearch), empty line included.
///
/// # Errors
/// Whatever two readers might read differently, and what can't be forwarded. A request refused
/// leaves the connection useless: its end is not known.
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
        let feed = memchr::memchr(b'\n', head).ok_or(HeadError::BadRequestLine)?;
        let line = head[..feed].strip_suffix(b"\r").ok_or(HeadError::BareLineFeed)?;
        let mut spaces = memchr::memchr_iter(b' ', line);
        let (Some(first), Some(second)) = (spaces.next(), spaces.next()) else {
            return Err(HeadError::BadRequestLine);
        };
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

/// The authority a request is for (RFC 9112 §3.2, §3.3). HTTP/1.1 demands one valid `Host`,
/// even if an absolute target overrules it; it may be empty where no authority is known.
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

/// The protocols of `Upgrade` that may be offered to a backend: no other HTTP and no TLS, in which
/// requests would pass unseen, and nothing that is no protocol (RFC 9110 §7.8, RFC 2817 §3).
fn offers<'a>(head: &'a [u8], headers: &'a Headers) -> impl Iterator<Item = &'a [u8]> {
    headers.values(head, Name::Upgrade).flat_map(elements).filter(|protocol| {
        let mut parts = protocol.splitn(2, |byte| *byte == b'/');
        let name = parts.next().unwrap_or_default();
        let hidden: [&[u8]; 3] = [b"h2c", b"http", b"tls"];
        let hides = hidden.into_iter().any(|hidden| name.eq_ignore_ascii_case(hidden));
        is_token(name) && parts.next().is_none_or(is_token) && !hides
    })
}

/// Appends the protocols a request offers to change to, as a list, or nothing if it offers none:
/// what is sent to the backend, and what [`Asked`](super::Asked) holds its answer to.
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

/// `Max-Forwards` binds `TRACE` and `OPTIONS` alone; elsewhere it is passed on like any field. A
/// number too large to hold is as good as the largest (RFC 9110 §7.6.2).
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
