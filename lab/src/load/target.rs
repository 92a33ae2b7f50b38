//! A URL, as far as a GET over HTTP needs it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An `http://` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    host: String,
    port: u16,
    /// Path and query.
    path: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let refuse = || format!("`{url}` is no URL to ask; give http://host:port/path");
        let rest = url.strip_prefix("http://").ok_or_else(refuse)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let is_plain = |c: char| c.is_ascii_graphic() && c != '@' && c != '#';
        if authority.is_empty() || !rest.chars().all(is_plain) {
            return Err(refuse());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| refuse())?)
            }
            _ => (authority, 80),
        };
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl Target {
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn addresses(&self) -> io::Result<impl Iterator<Item = SocketAddr> + use<>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        (host, self.port).to_socket_addrs()
    }

    /// The request's bytes.
    pub(super) fn request(&self) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.authority()).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_may_have_a_port_and_a_path() {
        for (url, request) in [
            ("http://localhost:9090", "GET / HTTP/1.1\r\nHost: localhost:9090\r\n\r\n"),
            ("http://a/b?c=d/e", "GET /b?c=d/e HTTP/1.1\r\nHost: a:80\r\n\r\n"),
            ("http://[::1]:1/x:2", "GET /x:2 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n"),
            ("http://[::1]", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
        ] {
            let target: Target = url.parse().expect(url);
            assert_eq!(String::from_utf8(target.request()).expect("text"), request);
        }
        let target: Target = "http://[::1]:7".parse().expect("a URL");
        assert_eq!(target.addresses().expect("found").next(), "[::1]:7".parse().ok());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in
            ["", "localhost", "https://a", "http://", "http:///x", "http://a:b", "http://a/ b"]
        {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}
