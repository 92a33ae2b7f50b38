//! The four forms of a request target (RFC 9112 §3.2); a gateway supports three of them.

use super::error::HeadError;
use super::host::is_authority;
use super::method::Method;
use super::span::Span;

/// A request target. Paths and queries are never normalised, only forwarded (RFC 9110 §7.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Path and query, starting with a slash.
    Origin(Span),
    /// `http://authority/path?query`. The authority replaces `Host`.
    Absolute {
        /// Host and possibly a port, valid and not empty.
        authority: Span,
        /// Path and query. It may be empty or only a query; then a slash is put before it.
        path_and_query: Span,
    },
    /// `*`: the server itself, for `OPTIONS` only.
    Asterisk(Span),
}

const SCHEME: &[u8] = b"http://";

impl Target {
    /// Parses the target of any method but `CONNECT`.
    pub(super) fn parse(head: &[u8], span: Span, method: Method) -> Result<Target, HeadError> {
        let text = span.of(head);
        // Fragments are never sent, control bytes and spaces are never valid. Bytes above ASCII are
        // no URI either, but are common and harmless: no parser splits a head at them.
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

    /// Path and query as received, for the log; empty if an absolute target has none.
    #[must_use]
    pub fn path_and_query(self) -> Span {
        match self {
            Target::Origin(span) | Target::Asterisk(span) => span,
            Target::Absolute { path_and_query, .. } => path_and_query,
        }
    }
}
