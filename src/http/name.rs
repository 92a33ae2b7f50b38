//! The field names that mean something to a proxy. Each name is classified once, so that no name is
//! compared twice. All other names are opaque.

/// A field name, or [`Name::Other`] if it means nothing to this hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum Name {
    Authorization,
    Connection,
    ContentLength,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    WwwAuthenticate,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    /// Not one of these, but merged with one by programs that map names as CGI does.
    Alias,
    Other,
}

impl Name {
    /// Classifies a name, ignoring case. Length and first letter leave at most one candidate.
    pub(super) fn classify(name: &[u8]) -> Name {
        let Some(first) = name.first() else { return Name::Other };
        let (candidate, id): (&[u8], Name) = match (name.len(), first.to_ascii_lowercase()) {
            (2, b't') => (b"te", Name::Te),
            (3, b'v') => (b"via", Name::Via),
            (4, b'd') => (b"date", Name::Date),
            (4, b'h') => (b"host", Name::Host),
            (6, b'e') => (b"expect", Name::Expect),
            (7, b't') => (b"trailer", Name::Trailer),
            (7, b'u') => (b"upgrade", Name::Upgrade),
            (9, b'f') => (b"forwarded", Name::Forwarded),
            (10, b'c') => (b"connection", Name::Connection),
            (10, b'k') => (b"keep-alive", Name::KeepAlive),
            (12, b'm') => (b"max-forwards", Name::MaxForwards),
            (13, b'a') => (b"authorization", Name::Authorization),
            (14, b'c') => (b"content-length", Name::ContentLength),
            (14, b'h') => (b"http2-settings", Name::Http2Settings),
            (15, b'x') => (b"x-forwarded-for", Name::XForwardedFor),
            (16, b'p') => (b"proxy-connection", Name::ProxyConnection),
            (16, b'w') => (b"www-authenticate", Name::WwwAuthenticate),
            (16, b'x') => (b"x-forwarded-host", Name::XForwardedHost),
            (17, b't') => (b"transfer-encoding", Name::TransferEncoding),
            (17, b'x') => (b"x-forwarded-proto", Name::XForwardedProto),
            (18, b'p') => (b"proxy-authenticate", Name::ProxyAuthenticate),
            (19, b'p') => (b"proxy-authorization", Name::ProxyAuthorization),
            (25, b'p') => (b"proxy-authentication-info", Name::ProxyAuthenticationInfo),
            _ => return Name::Other,
        };
        match is_spelt(name, candidate) {
            true => id,
            false if merges(name, candidate) => Name::Alias,
            false => Name::Other,
        }
    }

    /// Whether the field concerns one connection only, whether or not `Connection` names it
    /// (RFC 9110 §7.6.1). Proxy credentials are among them because they are meant for this proxy
    /// and not for a backend (RFC 9110 §11.7). An alias of any name that matters here is not
    /// forwarded either.
    pub(super) fn is_hop_by_hop(self) -> bool {
        match self {
            Name::Alias
            | Name::Connection
            | Name::Http2Settings
            | Name::KeepAlive
            | Name::ProxyAuthenticate
            | Name::ProxyAuthenticationInfo
            | Name::ProxyAuthorization
            | Name::ProxyConnection
            | Name::Te
            | Name::TransferEncoding
            | Name::Upgrade => true,
            Name::Authorization
            | Name::ContentLength
            | Name::Date
            | Name::Expect
            | Name::Forwarded
            | Name::Host
            | Name::MaxForwards
            | Name::Trailer
            | Name::Via
            | Name::WwwAuthenticate
            | Name::XForwardedFor
            | Name::XForwardedHost
            | Name::XForwardedProto
            | Name::Other => false,
        }
    }
}

/// Whether `name` is `plain`, of the same length and in lower case, in any case. It is a token, so
/// no byte of it but a letter becomes another one of a token by setting the bit of lower case.
/// Looking at all of them, with no way out before the last, is several times as fast.
fn is_spelt(name: &[u8], plain: &[u8]) -> bool {
    let differs = |(byte, own): (&u8, &u8)| (byte | 0x20) ^ own;
    name.iter().zip(plain).map(differs).fold(0, |all, one| all | one) == 0
}

/// Whether a program that turns names into variables makes the same variable of both, as it makes
/// `CONTENT_LENGTH` of `Content-Length` and of `Content_Length` (RFC 3875 §4.1.18). Some programs
/// map other separators, too. `plain` is in lower case.
pub(super) fn merges(name: &[u8], plain: &[u8]) -> bool {
    let folds = |(byte, own): (&u8, &u8)| match own {
        b'-' => !byte.is_ascii_alphanumeric(),
        own => byte.eq_ignore_ascii_case(own),
    };
    name.len() == plain.len() && name.iter().zip(plain).all(folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case_and_near_misses_are_not() {
        for (name, id) in [
            ("te", Name::Te),
            ("via", Name::Via),
            ("date", Name::Date),
            ("host", Name::Host),
            ("expect", Name::Expect),
            ("trailer", Name::Trailer),
            ("upgrade", Name::Upgrade),
            ("forwarded", Name::Forwarded),
            ("connection", Name::Connection),
            ("keep-alive", Name::KeepAlive),
            ("max-forwards", Name::MaxForwards),
            ("authorization", Name::Authorization),
            ("content-length", Name::ContentLength),
            ("http2-settings", Name::Http2Settings),
            ("x-forwarded-for", Name::XForwardedFor),
            ("proxy-connection", Name::ProxyConnection),
            ("www-authenticate", Name::WwwAuthenticate),
            ("x-forwarded-host", Name::XForwardedHost),
            ("transfer-encoding", Name::TransferEncoding),
            ("x-forwarded-proto", Name::XForwardedProto),
            ("proxy-authenticate", Name::ProxyAuthenticate),
            ("proxy-authorization", Name::ProxyAuthorization),
            ("proxy-authentication-info", Name::ProxyAuthenticationInfo),
        ] {
            assert_eq!(Name::classify(name.as_bytes()), id);
            assert_eq!(Name::classify(name.to_ascii_uppercase().as_bytes()), id, "{name}");
            let mut other = name.as_bytes().to_vec();
            for index in 0..other.len() {
                let kept = std::mem::replace(&mut other[index], b'_');
                let id = if kept == b'-' { Name::Alias } else { Name::Other };
                assert_eq!(Name::classify(&other), id, "{name} with _ at {index}");
                other[index] = kept;
            }
            assert_eq!(Name::classify(&other[1..]), Name::Other, "{name} shortened");
        }
        assert_eq!(Name::classify(b""), Name::Other);
    }
}
