//! The four forms of a request target (RFC 9112 §3.2), of which a gateway serves three.

use super::error::HeadError;
use super::host::is_authority;
use super::method::Method;
use super::span::Span;

/// What is asked for. Paths and queries are never normalised, only passed on (RFC 9110 §7.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Path and query, starting with a slash.
    Origin(Span),
    /// `http://authority/path?query`. The authority takes the place of `Host`.
    Absolute {
        /// Host and perhaps a port, valid and not empty.
        authority: Span,
        /// Path and query; it may be empty, or a query alone: then a slash goes before it.
        path_and_query: Span,
    },
    /// `*`: the server itself, for `OPTIONS` only.
    Asterisk(Span),
}

const SCHEME: &[u8] = b"http://";

impl Target {
    /// Judges the target of any method but `CONNECT`.
    pub(super) fn parse(head: &[u8], span: Span, method: Method) -> Result<Target, HeadError> {
        let text = span.of(head);
        // A fragment is not sent; controls and spaces can't be. Bytes past ASCII are no URI, yet
        // common and harmless: nothing here or behind it splits at them.
        if text.iter().any(|byte| *byte <= b' ' || *byte == 0x7f || *byte == b'#') {
            return Err(HeadError::BadTarget);
        }
        match text {
            [b'/', ..] => Ok(Target::Origin(span)),
            b"*" if method == Method::Options => Ok(Target::Asterisk(span)),
            _ => {
                let (scheme, rest) =
                    text.split_at_checked(SCHEME.len()).ok_or(HeadError::BadTarget)?;
                let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
                let (authority, path_and_query) = rest.split_at(end);
                if !scheme.eq_ignore_ascii_case(SCHEME) || !is_authority(authority) {
                    return Err(HeadError::BadTarget);
                }
                Ok(Target::Absolute {
                    authority: Span::within(head, authority),
                    path_and_query: Span::within(head, path_and_query),
                })
            }
        }
    }

    /// Appends the form an origin server expects.
    pub(super) fn write(self, out: &mut Vec<u8>, head: &[u8], method: Method) {
        match self {
            Target::Origin(span) | Target::Asterisk(span) => out.extend_from_slice(span.of(head)),
            Target::Absolute { path_and_query, .. } => {
                let text = path_and_query.of(head);
                if text.is_empty() && method == Method::Options {
                    out.push(b'*'); // RFC 9112 §3.2.4
                    return;
                }
                if !text.starts_with(b"/") {
                    out.push(b'/');
                }
                out.extend_from_slice(text);
            }
        }
    }

    /// Path and query as received, for the log; empty when an absolute target has none.
    #[must_use]
    pub fn path_and_query(self) -> Span {
        match self {
            Target::Origin(span) | Target::Asterisk(span) => span,
            Target::Absolute { path_and_query, .. } => path_and_query,
        }
    }
}
