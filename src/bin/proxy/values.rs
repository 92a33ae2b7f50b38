//! The values of flags, read from text: each refusal says what would be accepted.

use std::num::NonZeroU64;
use std::time::Duration;

use tidegate::balance::{MAX_WINDOW, Policy};
use tidegate::endpoint::{Endpoint, UNIX, UnixName};
use tidegate::proxy::settings::{Address, Backend, Listen};
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

/// Reads an address, and behind that of a Unix socket `mode=` and who may connect.
pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    let mut words = text.split_ascii_whitespace();
    let endpoint = words.next().unwrap_or_default().parse::<Endpoint>();
    let mut listen = Listen::from(endpoint.map_err(|error| error.to_string())?);
    for word in words {
        match (word.split_once('='), &listen.endpoint) {
            (Some(("mode", mode)), Endpoint::Unix(_)) => listen.mode = file_mode(mode)?,
            (Some(("mode", _)), Endpoint::Tcp(_)) => {
                return Err("only the file of a Unix socket has a mode".to_owned());
            }
            _ => return Err(format!("`{word}` is no option; there is mode=0660")),
        }
    }
    Ok(listen)
}

fn file_mode(digits: &str) -> Result<u32, String> {
    let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o777);
    mode.ok_or_else(|| format!("`{digits}` is no mode; give octal digits such as mode=0660"))
}

/// Reads `http://host[:port]`, whose port is 80 unless given, or `unix:` and a path.
pub(crate) fn upstream(text: &str) -> Result<Backend, String> {
    const FORM: &str = "give http://host, http://host:port or unix:/path/to/socket";
    if let Some(path) = text.strip_prefix(UNIX) {
        UnixName::new(path.as_ref()).map_err(|error| error.to_string())?;
        if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!("the path of a backend's socket can't contain {odd:?}"));
        }
        return Ok(Backend { url: text.to_owned(), address: Address::Unix(path.into()) });
    }
    let Some(authority) = text.strip_prefix("http://") else {
        return Err(if text.starts_with("https://") {
            "TLS towards backends is not supported, give an http:// URL".to_owned()
        } else {
            format!("it must start with http:// or unix:; {FORM}")
        });
    };
    if authority.starts_with(UNIX) {
        return Err(format!("a Unix socket has no http:// in front; {FORM}"));
    }
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
    Ok(Backend { url: text.to_owned(), address: Address::Tcp { host, port } })
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
            let address = Address::Tcp { host: host.to_owned(), port };
            assert_eq!(upstream(text), Ok(Backend { url: text.to_owned(), address }));
        }
    }

    #[test]
    fn an_upstream_is_a_unix_socket() {
        for (text, path) in [
            ("unix:/run/app.sock", "/run/app.sock"),
            ("unix:app.sock", "app.sock"),
            ("unix:@app", "@app"),
        ] {
            let address = Address::Unix(path.into());
            assert_eq!(upstream(text), Ok(Backend { url: text.to_owned(), address }));
        }
    }

    #[test]
    fn a_listener_is_an_address_or_a_unix_socket_with_a_mode() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock mode=0666"),
            ("unix:/run/a.sock mode=0660", "unix:/run/a.sock mode=0660"),
            ("unix:/run/a.sock  mode=777", "unix:/run/a.sock mode=0777"),
            ("unix:@a", "unix:@a mode=0666"),
        ] {
            assert_eq!(listen(text).map(|listen| listen.to_string()).as_deref(), Ok(shown));
        }
        for (text, reason) in [
            ("9090", "127.0.0.1:9090"),
            ("", "an address"),
            ("unix:", "missing"),
            ("unix:/a mode=0888", "`0888` is no mode"),
            ("unix:/a mode=1777", "`1777` is no mode"),
            ("unix:/a mode=+7", "`+7` is no mode"),
            ("unix:/a mode=", "no mode"),
            ("unix:/a mod=0660", "`mod=0660` is no option"),
            ("unix:/a b", "`b` is no option"),
            ("127.0.0.1:80 mode=0660", "only the file of a Unix socket"),
        ] {
            let refusal = listen(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
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
            ("unix:", "missing"),
            ("unix:/a b", "' '"),
            ("unix:/ä", "'ä'"),
            ("http://unix:/run/app.sock", "no http:// in front"),
            ("/run/app.sock", "unix:/path/to/socket"),
        ] {
            let refusal = upstream(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
