//! Where sockets listen and connect, and what their clients are: TCP addresses and Unix sockets.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use rustix::net::SocketAddrUnix;

/// The prefix of a Unix socket's name where addresses of both kinds are possible. By itself it
/// means a client that came over a Unix socket, because such clients have no name.
pub const UNIX: &str = "unix:";

/// Where a socket listens, or connects to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixName),
}

/// The client at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// It came over TCP.
    Ip(SocketAddr),
    /// It came over a Unix socket.
    Unix,
}

/// The name of a Unix socket: a path, or an abstract name, which is no file. As text the latter
/// begins with `@`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnixName(Box<OsStr>);

/// Why a text is no name of a Unix socket.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUnixName {
    /// It is empty.
    #[error("the path of the socket is missing; give one such as unix:/run/app.sock")]
    Missing,
    /// It is longer than the system permits.
    #[error(
        "the path has {0} bytes, and that of a Unix socket has {max} at most; choose a shorter one",
        max = UnixName::MAX_BYTES
    )]
    TooLong(usize),
    /// A path ends at a NUL byte.
    #[error("the path of a Unix socket can't contain a NUL byte")]
    Nul,
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is no address.
    #[error("give an address and a port, such as 127.0.0.1:9090, or unix:/path/to/socket")]
    Address,
    /// It names no Unix socket.
    #[error(transparent)]
    Unix(#[from] InvalidUnixName),
}

impl UnixName {
    /// The longest path that every program can use: `sun_path` with a NUL behind it (unix(7)).
    pub const MAX_BYTES: usize = 107;

    /// Reads a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// If it is empty, too long, or has a NUL byte.
    pub fn new(text: &OsStr) -> Result<Self, InvalidUnixName> {
        let bytes = text.as_bytes();
        let name = bytes.strip_prefix(b"@").unwrap_or(bytes);
        if name.is_empty() {
            return Err(InvalidUnixName::Missing);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(InvalidUnixName::TooLong(name.len()));
        }
        if name.contains(&0) {
            return Err(InvalidUnixName::Nul);
        }
        Ok(Self(text.into()))
    }

    /// The path; `None` for an abstract name.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        (!self.0.as_bytes().starts_with(b"@")).then(|| Path::new(&self.0))
    }

    /// The same as a socket address.
    ///
    /// # Errors
    /// None that is known of, because the name was validated.
    pub fn address(&self) -> io::Result<SocketAddrUnix> {
        Ok(match self.0.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path => SocketAddrUnix::new(path)?,
        })
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UNIX}{}", self.0.display())
    }
}

impl Endpoint {
    /// How a client names it: a URL over TCP.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if matches!(self, Self::Tcp(_)) { "http://" } else { "" };
        format!("{scheme}{self}")
    }

    /// The path of a Unix socket that has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(name) => name.path(),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<UnixName> for Endpoint {
    fn from(name: UnixName) -> Self {
        Self::Unix(name)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        match text.strip_prefix(UNIX) {
            Some(name) => Ok(Self::Unix(UnixName::new(OsStr::new(name))?)),
            None => text.parse().map(Self::Tcp).map_err(|_| InvalidEndpoint::Address),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(name) => name.fmt(f),
        }
    }
}

impl FromStr for Client {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNIX { Ok(Self::Unix) } else { text.parse().map(Self::Ip) }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_as_it_is_read() {
        let longest = format!("unix:/{}", "x".repeat(UnixName::MAX_BYTES - 1));
        for text in
            ["127.0.0.1:80", "[::1]:80", "unix:/run/a.sock", "unix:a", "unix:@a/b", &longest]
        {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text);
        }
        for text in ["10.0.0.1:80", "[::1]:80", "unix:"] {
            assert_eq!(text.parse::<Client>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_name_is_a_path_or_is_abstract() {
        let name = |text: &str| UnixName::new(OsStr::new(text)).expect(text);
        assert_eq!(name("/run/a.sock").path(), Some(Path::new("/run/a.sock")));
        assert_eq!(name("@a").path(), None);
        assert_ne!(name("@a"), name("a"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "an address and a port"),
            ("9090", "an address and a port"),
            ("/run/a.sock", "unix:/path/to/socket"),
            ("unix:", "missing"),
            ("unix:@", "missing"),
            ("unix:/a\0b", "NUL"),
            (
                &format!("unix:/{}", "x".repeat(107)),
                "has 108 bytes, and that of a Unix socket has 107",
            ),
            (&format!("unix:@{}", "x".repeat(108)), "107 at most"),
        ] {
            let refusal = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
