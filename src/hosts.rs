//! Which hosts a request may name.
//!
//! The name of another site can be made to resolve to the loopback (DNS rebinding). A page of that
//! site could then read what is served here, because the browser takes this server for its own. So
//! only names are answered that no other site can have.

use std::net::{IpAddr, Ipv6Addr};

/// The names that are answered, with any port.
#[derive(Clone, Debug)]
pub struct Hosts {
    listen: IpAddr,
    /// In lower case.
    allowed: Vec<String>,
}

impl Hosts {
    /// The loopback's names, the address listened on, and the names `allowed` by the user.
    #[must_use]
    pub fn new(listen: IpAddr, allowed: &[String]) -> Self {
        let allowed = allowed.iter().map(|name| canonical(name)).collect();
        Self { listen: listen.to_canonical(), allowed }
    }

    /// Whether a request that came in at the address `local` may name this host.
    #[must_use]
    pub fn admit(&self, authority: &str, local: IpAddr) -> bool {
        let name = canonical(without_port(authority));
        match address(&name) {
            Some(ip) if ip.is_loopback() || ip == self.listen => true,
            Some(ip) if ip == local && self.listen.is_unspecified() => true,
            None if name == "localhost" || name.ends_with(".localhost") => true,
            _ => self.allowed.contains(&name),
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => authority,
    }
}

/// In lower case, and without the dot that may stand at the end.
fn canonical(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

/// The address that a host is, if it is one.
fn address(host: &str) -> Option<IpAddr> {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().ok().map(|ip| IpAddr::V6(ip).to_canonical()),
        None => host.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(listen: &str, local: &str, authority: &str) -> bool {
        let hosts = Hosts::new(listen.parse().unwrap(), &["Lab.Example.".to_owned()]);
        hosts.admit(authority, local.parse().unwrap())
    }

    #[test]
    fn the_loopback_and_the_address_listened_on_are_admitted() {
        for (listen, local, authority) in [
            ("127.0.0.1", "127.0.0.1", "localhost"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.7:5002"),
            ("10.0.0.7", "10.0.0.7", "[::ffff:10.0.0.7]"),
            ("0.0.0.0", "10.0.0.7", "10.0.0.7"),
            ("::", "fd00::7", "[FD00::7]:1"),
            ("::", "10.0.0.7", "10.0.0.7"),
            ("127.0.0.1", "127.0.0.1", "x.Localhost."),
            ("127.0.0.1", "127.0.0.1", "lab.example.:80"),
        ] {
            assert!(admits(listen, local, authority), "{listen} {authority}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for (listen, local, authority) in [
            ("127.0.0.1", "127.0.0.1", ""),
            ("127.0.0.1", "127.0.0.1", ":5002"),
            ("127.0.0.1", "127.0.0.1", "."),
            ("127.0.0.1", "127.0.0.1", ".."),
            ("127.0.0.1", "127.0.0.1", "localhost.."),
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("0.0.0.0", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.7.example"),
            ("::", "fd00::7", "[fd00::8]"),
            ("127.0.0.1", "127.0.0.1", "example"),
            ("127.0.0.1", "127.0.0.1", "xlocalhost"),
        ] {
            assert!(!admits(listen, local, authority), "{listen} {authority}");
        }
    }
}
