//! Parses a complete response head. A backend is trusted no more than a client: bad framing would
//! desynchronise the connection on which the next client's request is sent.

use super::connection::Options;
use super::error::HeadError;
use super::find::find;
use super::framing::{self, Framing};
use super::headers::Headers;
use super::list::{Names, elements, is_text, trim};
use super::method::Method;
use super::name::Name;
use super::span::Span;
use super::{LONGEST_HEAD, Version};

/// The request that a response answers.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: Method,
    /// The protocols that it offered, as [`offered_protocols`](super::offered_protocols) wrote
    /// them; empty if none.
    pub protocols: &'a [u8],
}

/// A parsed response head. The spans point into the head that it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// The backend's version.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: Span,
    /// How the body is delimited; [`Framing::None`] for 1xx, 204, 304 and answers to `HEAD`.
    pub framing: Framing,
    /// The length that the head describes, which answers to `HEAD` and a 304 have without a body.
    pub length: Option<u64>,
    /// Whether the backend keeps the connection after this exchange. Also false if a body may
    /// follow where none is allowed.
    pub keep_alive: bool,
    /// For how many seconds the backend announces to keep an idle connection: 0 if this was the
    /// last request on it, none if it does not announce anything.
    pub idle_seconds: Option<u64>,
    /// A 101 to a protocol that was offered: after this head the connection is a tunnel.
    pub upgrade: bool,
}

/// Parses a head found by [`HeadSearch`](super::HeadSearch), empty line included.
///
/// # Errors
/// Whatever two parsers might interpret differently, and a switch to a protocol that was not
/// offered. Each means a 502 for the client and the end of the backend's connection.
pub fn parse_response(
    head: &[u8],
    headers: &mut Headers,
    asked: Asked<'_>,
) -> Result<ResponseHead, HeadError> {
    if head.len() > LONGEST_HEAD {
        return Err(HeadError::HeadTooLarge);
    }
    let line = StatusLine::parse(head)?;
    headers.parse_response(head, line.end)?;
    let options = Options::read(head, headers)?;
    let StatusLine { version, status, reason, .. } = line;
    let upgrade = status == 101;
    if upgrade && (version == Version::Http10 || !is_answered(asked.protocols, head, headers)) {
        return Err(HeadError::UnaskedUpgrade);
    }
    let (framing, length) = framing::of_response(version, status, asked.method, head, headers)?;
    let wants_more = version == Version::Http11 || options.keep_alive;
    let keep_alive = wants_more
        && !options.close
        && framing != Framing::UntilClose
        && !(status == 204 && describes_body(head, headers));
    let idle_seconds = idle_seconds(head, headers);
    let framed = ResponseHead {
        version,
        status,
        reason,
        framing,
        length,
        keep_alive,
        idle_seconds,
        upgrade,
    };
    Ok(framed)
}

/// What `Keep-Alive` announces (RFC 2068 §19.7.1.1): the lowest `timeout`, or 0 if `max` is 0.
/// Everything else in it is ignored.
fn idle_seconds(head: &[u8], headers: &Headers) -> Option<u64> {
    if !headers.has(Name::KeepAlive) {
        return None;
    }
    let parameters = headers.values(head, Name::KeepAlive).flat_map(elements);
    let seconds = parameters.filter_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter)?;
        let (name, value) =
            (trim(&parameter[..equals]), framing::decimal(trim(&parameter[equals + 1..])));
        if name.eq_ignore_ascii_case(b"timeout") {
            return value;
        }
        value.filter(|left| *left == 0 && name.eq_ignore_ascii_case(b"max"))
    });
    seconds.min()
}

struct StatusLine {
    version: Version,
    status: u16,
    reason: Span,
    /// Offset of the first field line.
    end: usize,
}

impl StatusLine {
    /// `HTTP-version SP 3DIGIT SP [ reason-phrase ] CRLF`; many servers omit the second space.
    fn parse(head: &[u8]) -> Result<StatusLine, HeadError> {
        let feed = find(b'\n', head).ok_or(HeadError::BadStatusLine)?;
        let line = head[..feed].strip_suffix(b"\r").ok_or(HeadError::BareLineFeed)?;
        let Some((version, [b' ', a @ b'1'..=b'9', b, c, rest @ ..])) = line.split_at_checked(8)
        else {
            return Err(HeadError::BadStatusLine);
        };
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(HeadError::BadStatusLine),
        };
        if !b.is_ascii_digit() || !c.is_ascii_digit() || !reason.iter().copied().all(is_text) {
            return Err(HeadError::BadStatusLine);
        }
        let digit = |byte: &u8| u16::from(byte - b'0');
        Ok(StatusLine {
            version: Version::parse(version)?,
            status: digit(a) * 100 + digit(b) * 10 + digit(c),
            reason: Span::within(head, reason),
            end: feed + 1,
        })
    }
}

/// Whether a 101 names protocols, and all of them were offered (RFC 9110 §7.8).
fn is_answered(offered: &[u8], head: &[u8], headers: &Headers) -> bool {
    let mut chosen =
        headers.values(head, Name::Upgrade).flat_map(elements).filter(|p| !p.is_empty()).peekable();
    let offered = Names::new(elements(offered));
    chosen.peek().is_some() && chosen.all(|protocol| offered.contains(protocol))
}

/// Whether a head that can't have a body has framing fields nevertheless. Some backends send
/// `Content-Length: 0` with a 204, which is wrong but harmless.
fn describes_body(head: &[u8], headers: &Headers) -> bool {
    headers.has(Name::TransferEncoding)
        || headers.values(head, Name::ContentLength).any(|value| value != b"0")
}
