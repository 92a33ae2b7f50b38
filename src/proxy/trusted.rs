//! Proxies in front of this one that are believed when they say where a request comes from.
//!
//! Any client can send `X-Forwarded-For`. Each trusted proxy appends the address of its client, so
//! the chain is true from its right end up to the first hop that is not trusted, and no further.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::endpoint::{Client, UNIX};

/// Addresses with a prefix in common (RFC 4632 §3.1, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Without the bits behind the prefix, and never IPv4 within IPv6.
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNetwork {
    /// There is no address in it.
    #[error(
        "`{0}` is no address; give one such as 10.0.0.7, a network such as 10.0.0.0/8, or `unix:`"
    )]
    Address(String),
    /// What follows the address is no length of a prefix.
    #[error("`/{prefix}` is no prefix, which has 0 to {longest} bits here")]
    Prefix {
        /// As given.
        prefix: String,
        /// Bits of such an address.
        longest: u8,
    },
}

impl Network {
    /// Whether an address, which is not IPv4 within IPv6, is one of these.
    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && masked(address, self.prefix_bits) == self.address
    }
}

/// An address without the bits behind its first so many.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let dropped = |width: u8| u32::from(width.saturating_sub(prefix_bits));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(dropped(32)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(dropped(128)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr =
            address.parse().map_err(|_| InvalidNetwork::Address(text.to_owned()))?;
        let longest = if given.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => longest,
            Some(prefix) => {
                let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
                let bits = prefix.parse().ok().filter(|bits| digits && *bits <= longest);
                bits.ok_or_else(|| InvalidNetwork::Prefix { prefix: prefix.to_owned(), longest })?
            }
        };
        // Peers are known by their IPv4 address where they have one, so networks are, too.
        let (address, prefix_bits) = match (given, given.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if prefix_bits >= 96 => {
                (address, prefix_bits - 96)
            }
            _ => (given, prefix_bits),
        };
        Ok(Self { address: masked(address, prefix_bits), prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// Where a proxy that is trusted comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// An address in this network.
    Network(Network),
    /// Any Unix socket: the mode of its file says which users may connect.
    Unix,
}

impl FromStr for Origin {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text == UNIX { Ok(Self::Unix) } else { text.parse().map(Self::Network) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

/// All such proxies.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<Origin>);

impl TrustedProxies {
    /// Whether a client is one of them.
    #[must_use]
    pub fn trusts(&self, client: Client) -> bool {
        match client {
            Client::Ip(address) => self.contains(address.ip()),
            Client::Unix => self.0.contains(&Origin::Unix),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let is_there =
            |origin: &Origin| matches!(origin, Origin::Network(own) if own.contains(address));
        self.0.iter().any(is_there)
    }

    /// The last hop that is not trusted of a chain that a trusted peer has told, in the order of
    /// the way; port 0 where none is told. The walk ends before what is no address, such as
    /// `unknown`, and a chain of trusted hops alone begins with the client. `None` if nothing is
    /// told: then it is the peer.
    #[must_use]
    pub fn client<'a>(
        &self,
        chain: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Option<SocketAddr> {
        let mut client = None;
        for hop in chain.rev().filter(|hop| !hop.is_empty()) {
            let Some(hop) = address_of(hop) else { break };
            client = Some(hop);
            if !self.contains(hop.ip()) {
                break;
            }
        }
        client
    }
}

/// Reads an address with or without a port, an IPv6 one with or without brackets.
fn address_of(hop: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => SocketAddr::new(bare.parse::<Ipv6Addr>().ok()?.into(), 0),
        None => match text.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, 0),
            Err(_) => text.parse().ok()?,
        },
    };
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(networks: &[&str]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(|text| text.parse().expect(text)).collect())
    }

    fn client(ip: &str) -> Client {
        Client::Ip((ip.parse::<IpAddr>().expect(ip), 80).into())
    }

    #[test]
    fn a_network_is_an_address_and_a_prefix() {
        for (text, shown) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/31", "10.1.2.2/31"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("fd00:1::/16", "fd00::/16"),
            ("::/0", "::/0"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Network>().map(|n| n.to_string()).as_deref(), Ok(shown));
        }
        for (text, reason) in [
            ("", "no address"),
            ("localhost", "`localhost` is no address"),
            ("10.0.0/8", "`10.0.0/8` is no address"),
            ("unix:/run/a.sock", "`unix:/run/a.sock` is no address"),
            ("[::1]/128", "no address"),
            ("10.0.0.0/33", "`/33` is no prefix, which has 0 to 32 bits"),
            ("10.0.0.0/", "`/` is no prefix"),
            ("10.0.0.0/+8", "`/+8`"),
            ("10.0.0.0/255.0.0.0", "no prefix"),
            ("::/129", "0 to 128 bits"),
        ] {
            let refusal = text.parse::<Network>().expect_err(text).to_string();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn peers_within_a_network_are_trusted() {
        let trusted = trusting(&["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::ffff:198.51.100.0/120"]);
        for peer in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "fd12::1", "198.51.100.9"] {
            assert!(trusted.trusts(client(peer)), "{peer}");
        }
        for peer in ["11.0.0.0", "9.255.255.255", "192.0.2.8", "fe00::", "::1", "198.51.101.0"] {
            assert!(!trusted.trusts(client(peer)), "{peer}");
        }
        for (network, peer, is_trusted) in [
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(trusting(&[network]).trusts(client(peer)), is_trusted, "{network} {peer}");
        }
        assert!(!TrustedProxies::default().trusts(client("127.0.0.1")));
    }

    #[test]
    fn those_that_come_over_a_unix_socket_are_trusted_by_that_word_alone() {
        assert!(trusting(&["unix:"]).trusts(Client::Unix));
        assert!(!trusting(&["unix:"]).trusts(client("127.0.0.1")));
        assert!(!trusting(&["0.0.0.0/0", "::/0"]).trusts(Client::Unix));
        assert!(!TrustedProxies::default().trusts(Client::Unix));
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let trusted = trusting(&["10.0.0.0/8", "fd00::/8"]);
        for (chain, client) in [
            ("203.0.113.9", Some("203.0.113.9:0")),
            ("6.6.6.6, 203.0.113.9", Some("203.0.113.9:0")),
            ("6.6.6.6,203.0.113.9,10.0.0.1,10.0.0.2", Some("203.0.113.9:0")),
            ("10.0.0.3, 10.0.0.2", Some("10.0.0.3:0")),
            ("203.0.113.9:4711, fd00::1", Some("203.0.113.9:4711")),
            ("[2001:db8::1]:80, [fd00::1]", Some("[2001:db8::1]:80")),
            ("[2001:db8::1]", Some("[2001:db8::1]:0")),
            ("2001:db8::1, [fd00::1]:443", Some("[2001:db8::1]:0")),
            ("::ffff:203.0.113.9", Some("203.0.113.9:0")),
            ("6.6.6.6, ::ffff:10.0.0.1", Some("6.6.6.6:0")),
            ("6.6.6.6, , 10.0.0.1,", Some("6.6.6.6:0")),
            // What is behind junk was not told by anyone who can be believed.
            ("6.6.6.6, unknown, 10.0.0.1", Some("10.0.0.1:0")),
            ("6.6.6.6, 10.0.0.1:x", None),
            ("6.6.6.6, _hidden", None),
            ("6.6.6.6, [10.0.0.1]", None),
            ("203.0.113.9, 010.0.0.1", None),
            ("unknown", None),
            ("", None),
            (" , ", None),
        ] {
            let hops = chain.split(',').map(|hop| hop.trim().as_bytes());
            let found = trusted.client(hops).map(|client| client.to_string());
            assert_eq!(found.as_deref(), client, "{chain}");
        }
    }
}
