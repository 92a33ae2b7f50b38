//! The values of flags, read from text: each refusal says what would be accepted.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use tidegate::balance::{MAX_WINDOW, Policy};
use tidegate::proxy::settings::Backend;
use tidegate::time::parse_duration;
use tidegate::usage::or_nearest;

/// A value, or the word that stands for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<T>(pub(crate) Option<T>);

/// Where workers run.
#[derive(Clone, Debug)]
pub(crate) enum Pin {
    None,
    Auto,
    List(Vec<usize>),
}

pub(crate) fn policy_name(text: &str) -> Result<Policy, String> {
    text.parse().map_err(|error| or_nearest(&error, text, Policy::ALL.map(Policy::name)))
}

pub(crate) fn window(text: &str) -> Result<usize, String> {
    let refuse = || format!("give a number of samples from 1 to {MAX_WINDOW}");
    text.parse().ok().filter(|n| (1..=MAX_WINDOW).contains(n)).ok_or_else(refuse)
}

pub(crate) fn alpha(text: &str) -> Result<f64, String> {
    let refuse = || "give a number above 0 and at most 1, such as 0.2".to_owned();
    text.parse().ok().filter(|x| *x > 0.0 && *x <= 1.0).ok_or_else(refuse)
}

pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("it must be longer than 0".to_owned()) } else { Ok(duration) }
}

pub(crate) fn or_off(text: &str) -> Result<Setting<Duration>, String> {
    if text == "off" { Ok(Setting(None)) } else { positive(text).map(Some).map(Setting) }
}

pub(crate) fn or_auto(text: &str) -> Result<Setting<usize>, String> {
    const MOST: usize = 1024;
    let refuse = || format!("give a number from 1 to {MOST}, or `auto`");
    match text {
        "auto" => Ok(Setting(None)),
        _ => text
            .parse()
            .ok()
            .filter(|n| (1..=MOST).contains(n))
            .map(|n| Setting(Some(n)))
            .ok_or_else(refuse),
    }
}

pub(crate) fn bytes_or_off(text: &str) -> Result<Setting<u64>, String> {
    match text {
        "off" => Ok(Setting(None)),
        _ => text
            .parse()
            .map(|n| Setting(Some(n)))
            .map_err(|_| "give a number of bytes, or `off`".to_owned()),
    }
}

pub(crate) fn rate_or_off(text: &str) -> Result<Setting<NonZeroU64>, String> {
    match text {
        "off" => Ok(Setting(None)),
        _ => text
            .parse()
            .map(|rate| Setting(Some(rate)))
            .map_err(|_| "give a number of bytes per second above 0, or `off`".to_owned()),
    }
}

pub(crate) fn pin(text: &str) -> Result<Pin, String> {
    match text {
        "none" => Ok(Pin::None),
        "auto" => Ok(Pin::Auto),
        list => list
            .split(',')
            .map(|core| core.trim().parse())
            .collect::<Result<_, _>>()
            .map(Pin::List)
            .map_err(|_| "give `auto`, `none`, or core numbers like 0,2".to_owned()),
    }
}

pub(crate) fn listener(text: &str) -> Result<SocketAddr, String> {
    let refuse = || "give an address and a port, such as 127.0.0.1:9090 or [::]:9090".to_owned();
    text.parse().map_err(|_| refuse())
}

/// Reads `http://host[:port]`; the port is 80 unless given.
pub(crate) fn upstream(text: &str) -> Result<Backend, String> {
    const FORM: &str = "give http://host or http://host:port";
    let Some(authority) = text.strip_prefix("http://") else {
        return Err(if text.starts_with("https://") {
            "TLS towards backends is not supported, give an http:// URL".to_owned()
        } else {
            format!("it must start with http://; {FORM}")
        });
    };
    if let Some(at) = authority.find(['/', '?', '#']) {
        return Err(format!(
            "`{}` can't be part of it, requests keep their own path; {FORM}",
            &authority[at..]
        ));
    }
    if authority.contains('@') {
        return Err(format!("user names are not supported; {FORM}"));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let address: std::net::Ipv6Addr =
                address.parse().map_err(|_| format!("`{address}` is no IPv6 address"))?;
            let port = rest.strip_prefix(':').or(rest.is_empty().then_some("80"));
            (address.to_string(), port.ok_or_else(|| FORM.to_owned())?)
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets: http://[::1]:8081".to_owned());
            }
            Some((host, port)) => (host.to_owned(), port),
            None => (authority.to_owned(), "80"),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("`{host}` is no host name; {FORM}"));
    }
    let number = port.parse::<u16>().ok().filter(|number| *number > 0);
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = number.filter(|_| digits).ok_or_else(|| format!("`{port}` is no port; {FORM}"))?;
    Ok(Backend { url: text.to_owned(), host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("http://localhost:8081", "localhost", 8081),
            ("http://10.0.0.1", "10.0.0.1", 80),
            ("http://[::1]:8081", "::1", 8081),
            ("http://[::1]", "::1", 80),
            ("http://my_service.internal:1", "my_service.internal", 1),
        ] {
            let parsed = upstream(text).expect(text);
            assert_eq!(
                (parsed.host.as_str(), parsed.port, parsed.url.as_str()),
                (host, port, text)
            );
        }
    }

    #[test]
    fn an_upstream_that_is_none_is_refused_with_the_reason() {
        for (text, reason) in [
            ("https://a", "TLS"),
            ("localhost:8081", "http://"),
            ("http://a/", "`/`"),
            ("http://a:80/api", "`/api`"),
            ("http://a?x", "`?x`"),
            ("http://", "host name"),
            ("http://:80", "host name"),
            ("http://a:0", "`0` is no port"),
            ("http://a:65536", "no port"),
            ("http://a:+80", "no port"),
            ("http://a:", "no port"),
            ("http://u@a", "user"),
            ("http://::1", "brackets"),
            ("http://[::1", "brackets"),
            ("http://[::1]x", "http://host"),
            ("http://a b", "host name"),
        ] {
            let refusal = upstream(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
