//! A request, as far as it matters here, and whether it may come from where it comes from.

use std::net::IpAddr;

use super::answer::Answer;
use super::listeners::Access;
use crate::http::{Framing, Headers, Method, RequestHead, Version};

/// The longest body. A description of a backend is far shorter.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// See the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// As it was sent, without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// Which types are asked for.
    pub(super) accept: String,
    pub(super) body: Vec<u8>,
    /// Whether it may change something.
    pub(super) may_change: bool,
}

impl Request {
    /// The request of a head, without its body, that came in at the address `local`.
    pub(super) fn of(
        head: &[u8],
        headers: &Headers,
        request: &RequestHead,
        access: &Access,
        local: Option<IpAddr>,
    ) -> Result<Self, Answer> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = |name: &str| {
            let mut fields = headers.fields().iter();
            let is_it = |own: &[u8]| own.eq_ignore_ascii_case(name.as_bytes());
            fields.find(|field| is_it(field.name.of(head))).map(|field| text(field.value.of(head)))
        };
        if let Some(origin) = value("Origin") {
            let why = format!("the page of a browser at {origin} may not ask this");
            return Err(Answer::error(403, &why));
        }
        let authority = text(request.authority.of(head));
        if !is_ours(&authority, request.version, access, local) {
            let why = format!(
                "this proxy does not answer for the host \"{authority}\"; ask for the address or \
                 for localhost, or name the host with --admin 'ADDR:PORT host=NAME'"
            );
            return Err(Answer::error(421, &why));
        }
        if matches!(request.framing, Framing::Length(length) if length > BODY_BYTES_MAX as u64) {
            return Err(too_large());
        }
        let target = text(request.target.path_and_query().of(head));
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Ok(Self {
            method: request.method,
            path: path.to_owned(),
            query: query.to_owned(),
            accept: value("Accept").unwrap_or_default(),
            body: Vec::new(),
            may_change: matches!(access, Access::All),
        })
    }

    /// The value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut fields = self.query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

pub(super) fn too_large() -> Answer {
    Answer::error(413, &format!("a body may have {BODY_BYTES_MAX} bytes"))
}

/// Whether a request may name this host. Nothing but programs of this host's users can come over a
/// Unix socket, and no browser sends no host.
fn is_ours(host: &str, version: Version, access: &Access, local: Option<IpAddr>) -> bool {
    match (access, local) {
        (Access::All, _) => true,
        (Access::ReadOnly(_), _) if host.is_empty() && version == Version::Http10 => true,
        (Access::ReadOnly(hosts), Some(local)) => hosts.admit(host, local),
        (Access::ReadOnly(_), None) => false,
    }
}

/// A part of a path without the escapes of a URL; what is no escape stays.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = (*first == b'%').then(|| behind.get(..2)).flatten();
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once_and_what_is_none_stays() {
        for (text, plain) in [
            ("http%3A%2F%2fa:1", "http://a:1"),
            ("http://a", "http://a"),
            ("%2541", "%41"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%+1", "%zz%+1"),
            ("", ""),
        ] {
            assert_eq!(unescaped(text), plain, "{text}");
        }
    }
}
