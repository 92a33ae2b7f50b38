//! Upstreams that are the proxy itself: each request to one would come back again and again.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::settings::{Backend, Listen};
use crate::endpoint::{Endpoint, UnixName};
use crate::health::reachable;
use crate::reactor::is_local;

/// An upstream that is one of the proxy's own listeners.
#[derive(Debug, thiserror::Error)]
#[error(
    "the upstream {url} is this proxy itself, which listens at {listen}: {} is taken, and requests \
     would come back; choose another {} with --listen or --admin, or name the backend's",
    place(.address).0, place(.address).1
)]
pub struct CircleError {
    url: String,
    address: Endpoint,
    listen: Endpoint,
}

/// Where that is, and what is to be another.
fn place(address: &Endpoint) -> (String, &'static str) {
    match address {
        Endpoint::Tcp(address) => (format!("port {} of {}", address.port(), address.ip()), "port"),
        Endpoint::Unix(name) => (name.to_string(), "path"),
    }
}

/// Looks for an address of a backend which is listened on.
///
/// # Errors
/// The first one.
pub(super) fn refuse_circle(
    backend: &Backend,
    addresses: &[Endpoint],
    listen: &[Listen],
) -> Result<(), CircleError> {
    for address in addresses {
        if let Some(listen) = listen.iter().find(|listen| takes(&listen.endpoint, address)) {
            let (address, listen) = (address.clone(), listen.endpoint.clone());
            return Err(CircleError { url: backend.url.clone(), address, listen });
        }
    }
    Ok(())
}

/// Whether a listener gets what is sent to `address`.
fn takes(listen: &Endpoint, address: &Endpoint) -> bool {
    match (listen, address) {
        (Endpoint::Tcp(listen), Endpoint::Tcp(address)) => takes_tcp(*listen, *address),
        (Endpoint::Unix(listen), Endpoint::Unix(address)) => {
            listen == address || file(listen).is_some_and(|own| file(address) == Some(own))
        }
        _ => false,
    }
}

/// Where a Unix socket's file is, or will be, whatever links lead to it.
fn file(name: &UnixName) -> Option<PathBuf> {
    let path = name.path()?;
    if let Ok(file) = path.canonicalize() {
        return Some(file);
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

fn takes_tcp(listen: SocketAddr, address: SocketAddr) -> bool {
    if listen.port() != address.port() {
        return false;
    }
    // A connection to the wildcard leads to the loopback.
    let ip = reachable(canonical(address)).ip();
    match canonical(listen).ip() {
        IpAddr::V4(own) if own.is_unspecified() => ip.is_ipv4() && is_local(ip),
        // It takes IPv4 as well.
        IpAddr::V6(own) if own.is_unspecified() => is_local(ip),
        own => own == ip,
    }
}

/// An IPv4-mapped IPv6 address is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes_text(listen: &str, address: &str) -> bool {
        takes(&listen.parse().expect("an address"), &address.parse().expect("an address"))
    }

    #[test]
    fn a_listener_takes_its_own_address_and_a_wildcard_all_of_this_host() {
        for (listen, address) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::1]:80", "[::]:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.9.8.7:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:80", "[::1]:80"),
            ("[::]:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert!(takes_text(listen, address), "{listen} {address}");
        }
    }

    #[test]
    fn other_ports_and_other_hosts_are_no_circle() {
        for (listen, address) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("0.0.0.0:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("127.0.0.1:80", "[::1]:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("0.0.0.0:80", "192.0.2.1:80"),
            ("[::]:80", "192.0.2.1:80"),
            ("[::]:80", "[2001:db8::1]:80"),
            ("0.0.0.0:0", "127.0.0.1:80"),
        ] {
            assert!(!takes_text(listen, address), "{listen} {address}");
        }
    }

    #[test]
    fn a_unix_socket_is_known_by_its_file_whatever_it_is_called() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| format!("unix:{}", folder.path().join(name).display());
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).expect("a link");
        for (listen, address) in [
            ("a.sock", "a.sock"),
            ("a.sock", "link/a.sock"),
            ("link/a.sock", "a.sock"),
            ("./a.sock", "link/./a.sock"),
        ] {
            assert!(takes_text(&path(listen), &path(address)), "{listen} {address}");
        }
        assert!(takes_text("unix:a.sock", "unix:./a.sock"));
        assert!(takes_text("unix:@a", "unix:@a"));
        for (listen, address) in [
            (path("a.sock"), path("b.sock")),
            (path("gone/a.sock"), path("gone/b.sock")),
            ("unix:@a".to_owned(), "unix:@b".to_owned()),
            ("unix:@a".to_owned(), "unix:a".to_owned()),
            (path("a.sock"), "127.0.0.1:80".to_owned()),
        ] {
            assert!(!takes_text(&listen, &address), "{listen} {address}");
        }
    }
}
