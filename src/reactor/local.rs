//! Which addresses are this host's own.

use std::fs;
use std::net::{IpAddr, UdpSocket};

/// Whether what is sent to `ip` stays on this host.
#[must_use]
pub fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || if may_bind_any(ip) { is_own_source(ip) } else { can_bind(ip) }
}

/// A socket can be bound to our own addresses alone.
fn can_bind(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Unless the system allows others, for addresses that move between hosts.
fn may_bind_any(ip: IpAddr) -> bool {
    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    let setting = fs::read_to_string(format!("/proc/sys/net/{family}/ip_nonlocal_bind"));
    setting.is_ok_and(|text| text.trim() == "1")
}

/// Then only the address is found from which the system would send to itself, and not a second one
/// of the same network. Nothing is sent.
fn is_own_source(ip: IpAddr) -> bool {
    const DISCARD_PORT: u16 = 9;
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let source = UdpSocket::bind(any).and_then(|socket| {
        socket.connect((ip, DISCARD_PORT))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_loopback_is_ours_and_what_is_for_documentation_is_not() {
        for own in ["127.0.0.1", "127.9.8.7", "::1"] {
            assert!(is_local(ip(own)), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_local(ip(other)), "{other}");
            assert!(!is_own_source(ip(other)), "{other}");
        }
    }

    #[test]
    fn both_ways_find_an_address_of_ours() {
        assert!(can_bind(ip("127.0.0.1")) && is_own_source(ip("127.0.0.1")));
    }
}
