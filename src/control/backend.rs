//! Parses a backend: its URL, followed by options.

use std::net::Ipv6Addr;

use super::options::Options;
use crate::endpoint::{UNIX, UnixName};
use crate::proxy::settings::{Address, Backend};

/// The options of a backend. There are none yet.
const KEYS: [&str; 0] = [];

const FORM: &str = "give http://host, http://host:port or unix:/path/to/socket";

/// Parses `URL key=value …`.
pub(super) fn parse(text: &str) -> Result<Backend, String> {
    let Options { subject: url, pairs: _ } = Options::read(text, &KEYS)?;
    Ok(Backend { url: url.to_owned(), address: address(url)? })
}

/// Parses `http://host[:port]`, with the default port 80, or `unix:/path`.
fn address(url: &str) -> Result<Address, String> {
    if let Some(path) = url.strip_prefix(UNIX) {
        UnixName::new(path.as_ref()).map_err(|error| error.to_string())?;
        if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!("the path of a backend's socket can't contain {odd:?}"));
        }
        return Ok(Address::Unix(path.into()));
    }
    let Some(authority) = url.strip_prefix("http://") else {
        return Err(if url.starts_with("https://") {
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
    let (host, port) = host_and_port(authority)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("`{host}` is no host name; {FORM}"));
    }
    let number = port.parse::<u16>().ok().filter(|number| *number > 0);
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = number.filter(|_| digits).ok_or_else(|| format!("`{port}` is no port; {FORM}"))?;
    Ok(Address::Tcp { host, port })
}

fn host_and_port(authority: &str) -> Result<(String, &str), String> {
    const DEFAULT_PORT: &str = "80";
    if let Some((address, rest)) = authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        let address: Ipv6Addr =
            address.parse().map_err(|_| format!("`{address}` is no IPv6 address"))?;
        let port = rest.strip_prefix(':').or(rest.is_empty().then_some(DEFAULT_PORT));
        return Ok((address.to_string(), port.ok_or_else(|| FORM.to_owned())?));
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address needs brackets: http://[::1]:8081".to_owned())
        }
        Some((host, port)) => Ok((host.to_owned(), port)),
        None => Ok((authority.to_owned(), DEFAULT_PORT)),
    }
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
            let parsed = parse(text).expect(text);
            let address = Address::Tcp { host: host.to_owned(), port };
            assert_eq!((parsed.url.as_str(), parsed.address), (text, address));
        }
    }

    #[test]
    fn an_upstream_is_a_unix_socket() {
        for path in ["/run/app.sock", "app.sock", "@app", "/run/a=b"] {
            let text = format!("unix:{path}");
            let parsed = parse(&text).expect(path);
            assert_eq!((parsed.url, parsed.address), (text, Address::Unix(path.into())));
        }
    }

    #[test]
    fn an_upstream_that_is_none_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "http://"),
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
            ("http://a,b", "host name"),
            ("http://a b", "`b` is not key=value"),
            ("http://a weight=3", "`weight` is not an option"),
            ("unix:", "missing"),
            ("unix:/a b", "`b` is not key=value"),
            ("unix:/ä", "'ä'"),
            ("http://unix:/run/app.sock", "no http:// in front"),
            ("/run/app.sock", "unix:/path/to/socket"),
        ] {
            let refusal = parse(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
