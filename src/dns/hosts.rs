//! `/etc/hosts`: addresses that no server is asked for (hosts(5)).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The names of the file, each with its addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads the file. A line that is none is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                hosts.entry(key(name)).or_default().push(address);
            }
        }
        Self(hosts)
    }

    /// The addresses of a name. `localhost` and what is below it are this host also where the file
    /// does not say so (RFC 6761 §6.3).
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = key(name);
        let is_local = || name == "localhost" || name.ends_with(".localhost");
        let local = || [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].to_vec();
        self.0.get(&name).cloned().or_else(|| is_local().then(local))
    }
}

fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<IpAddr> {
        texts.map(|text| text.parse().expect(text)).to_vec()
    }

    #[test]
    fn a_line_is_an_address_with_names() {
        let hosts = Hosts::parse(
            "# hosts\n10.0.0.1 web web.example # the first\n\n10.0.0.2\tWeb\n::1 six\nnone web\n\
             10.0.0.3 # nobody\n127.0.0.1 localhost\nfe80::1%eth0 web\n",
        );
        assert_eq!(hosts.find("web"), Some(addresses(["10.0.0.1", "10.0.0.2"])));
        assert_eq!(hosts.find("WEB.example."), Some(addresses(["10.0.0.1"])));
        assert_eq!(hosts.find("six"), Some(addresses(["::1"])));
        assert_eq!(hosts.find("localhost"), Some(addresses(["127.0.0.1"])), "the file wins");
        assert_eq!(hosts.find("example"), None);
    }

    #[test]
    fn localhost_is_this_host_whatever_the_file_says() {
        let both = Some(addresses(["127.0.0.1", "::1"]));
        for name in ["localhost", "LocalHost.", "app.localhost"] {
            assert_eq!(Hosts::default().find(name), both, "{name}");
        }
        assert_eq!(Hosts::default().find("nolocalhost"), None);
    }
}
