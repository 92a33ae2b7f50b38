//! Strict syntax of `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2), because a lenient and a
//! strict parser may read two different hosts.

/// Whether `text` names a host: no userinfo, no spaces, a port within 0..=65535 if there is one.
/// An empty host is none, with or without a port (RFC 9110 §4.2.1).
pub(super) fn is_authority(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(close) = memchr::memchr(b']', rest) else { return false };
        return is_ip_literal(&rest[..close]) && is_port_suffix(&rest[close + 1..]);
    }
    let port = after_registered_name(text);
    port.is_some_and(|port| port.len() < text.len() && is_port_suffix(port))
}

/// Nothing, or a colon and possibly a number: `port = *DIGIT` may be empty.
fn is_port_suffix(text: &[u8]) -> bool {
    let [colon, digits @ ..] = text else { return true };
    let mut number: u32 = 0;
    *colon == b':'
        && digits.iter().all(|digit| {
            number = (number * 10 + u32::from(digit.wrapping_sub(b'0'))).min(1 << 16);
            digit.is_ascii_digit()
        })
        && number < 1 << 16
}

/// What stands behind `reg-name = *( unreserved / pct-encoded / sub-delims )`, which IPv4 addresses
/// match, too: nothing, or a colon and more.
fn after_registered_name(mut text: &[u8]) -> Option<&[u8]> {
    while let Some(at) = text.iter().position(|byte| !NAME_BYTES[usize::from(*byte)]) {
        match &text[at..] {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text = rest;
            }
            port @ [b':', ..] => return Some(port),
            _ => return None,
        }
    }
    Some(&[])
}

/// [`is_unreserved_or_sub_delim`] as a table, because every request has a host.
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        table[byte as usize] = is_unreserved_or_sub_delim(byte);
        byte += 1;
    }
    table
};

const fn is_unreserved_or_sub_delim(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

/// What may stand between brackets: an IPv6 address without a zone, or the future
/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = text {
        let Some(dot) = memchr::memchr(b'.', rest) else { return false };
        let (version, address) = (&rest[..dot], &rest[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|byte| is_unreserved_or_sub_delim(*byte) || *byte == b':');
    }
    // `core::net` is used for the notation of addresses only.
    str::from_utf8(text).is_ok_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn hosts_and_ports_the_grammar_allows() {
        for text in [
            "a",
            "a.example",
            "A.EXAMPLE.",
            "a:80",
            "a:",
            "a:0",
            "a:00080",
            "a:65535",
            "127.0.0.1:8080",
            "xn--bcher-kva.example",
            "under_score",
            "a%20b",
            "!$&'()*+,;=-._~",
            "[::1]",
            "[::1]:80",
            "[2001:db8::1]:",
            "[::ffff:127.0.0.1]",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[v1.a:b]",
        ] {
            assert!(is_authority(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            ":80",
            "a b",
            " a",
            "a ",
            "a\t",
            "u@a",
            "u:p@a",
            "@a",
            "a:8x",
            "a:+80",
            "a:-1",
            "a:65536",
            "a:4294967376",
            "a:99999999999999999999",
            "a:80:80",
            "a::1",
            "a/",
            "a?",
            "a#",
            "a\\b",
            "a\"",
            "<a>",
            "{a}",
            "a|b",
            "a^b",
            "a`b",
            "a%",
            "a%2",
            "a%zz",
            "a\0",
            "a\u{7f}",
            "é",
            "http://a",
            "a,b:80,",
            "[]",
            "[",
            "[::1",
            "::1",
            "[::1]80",
            "[::1]x",
            "[::1]:x",
            "[::1]]",
            "[[::1]]",
            "[::1%25eth0]",
            "[::1%eth0]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1:2:3:4:5:6:7]",
            "[1::2::3]",
            "[12345::]",
            "[127.0.0.1]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "[vg.a]",
            "[v1.a@]",
            "x[::1]",
        ] {
            assert!(!is_authority(text.as_bytes()), "{text:?}");
        }
    }
}
