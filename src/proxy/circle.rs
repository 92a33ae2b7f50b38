//! Upstreams that are the proxy itself: each request to one would come back for ever.

use std::net::{IpAddr, SocketAddr};

use super::settings::Backend;
use crate::health::reachable;
use crate::reactor::is_local;

/// An upstream that is one of the proxy's own listeners.
#[derive(Debug, thiserror::Error)]
#[error(
    "the upstream {url} is this proxy itself: port {} of {} is taken by --listen {listen}, and \
     requests would come back for ever; choose another port with --listen, or name the backend's",
    .address.port(), .address.ip()
)]
pub struct CircleError {
    url: String,
    address: SocketAddr,
    listen: SocketAddr,
}

/// Looks for an address of a backend which is listened on.
///
/// # Errors
/// The first one.
pub fn refuse_circle(
    backend: &Backend,
    addresses: &[SocketAddr],
    listen: &[SocketAddr],
) -> Result<(), CircleError> {
    for &address in addresses {
        if let Some(&listen) = listen.iter().find(|listen| takes(**listen, address)) {
            return Err(CircleError { url: backend.url.clone(), address, listen });
        }
    }
    Ok(())
}

/// Whether a listener gets what is sent to `address`.
fn takes(listen: SocketAddr, address: SocketAddr) -> bool {
    if listen.port() != address.port() {
        return false;
    }
    // Who connects to the wildcard reaches the loopback.
    let ip = reachable(canonical(address)).ip();
    match canonical(listen).ip() {
        IpAddr::V4(own) if own.is_unspecified() => ip.is_ipv4() && is_local(ip),
        // It takes IPv4 as well.
        IpAddr::V6(own) if own.is_unspecified() => is_local(ip),
        own => own == ip,
    }
}

/// An IPv4 address in the clothes of IPv6 is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes_text(listen: &str, address: &str) -> bool {
        takes(listen.parse().expect("an address"), address.parse().expect("an address"))
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
}
