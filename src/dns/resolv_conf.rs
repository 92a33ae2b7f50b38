//! `/etc/resolv.conf`: which servers are asked, how, and for which names (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::message::PORT;
use super::name::Name;

/// The most that is taken of each list. The C library takes three servers.
const MAX_SERVERS: usize = 8;
const MAX_DOMAINS: usize = 32;

/// The limits that the C library has.
const MAX_DOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
const MAX_ATTEMPTS: usize = 5;

/// See the module. What is not given has the default of the C library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvConf {
    /// In the order in which they are asked; at least one.
    pub servers: Vec<SocketAddr>,
    /// The domains in which a name may be.
    pub search: Vec<Name>,
    /// A name with so many dots is tried as it is first.
    pub dots: usize,
    /// How long one server is waited for.
    pub timeout: Duration,
    /// How often each server is asked.
    pub attempts: usize,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl ResolvConf {
    /// Reads the file. What is not known is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        let mut servers = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.extend(address.map(|address| SocketAddr::from((address, PORT))));
                }
                // The last line of the two counts.
                Some("search") => {
                    conf.search = words.filter_map(Name::new).take(MAX_DOMAINS).collect();
                }
                Some("domain") => conf.search = words.filter_map(Name::new).take(1).collect(),
                Some("options") => words.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        servers.truncate(MAX_SERVERS);
        if !servers.is_empty() {
            conf.servers = servers;
        }
        conf
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(number))) = option.split_once(':').map(|(n, v)| (n, v.parse::<usize>()))
        else {
            return;
        };
        match name {
            "ndots" => self.dots = number.min(MAX_DOTS),
            "timeout" => {
                let seconds = u64::try_from(number).unwrap_or(MAX_TIMEOUT);
                self.timeout = Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT));
            }
            "attempts" => self.attempts = number.clamp(1, MAX_ATTEMPTS),
            _ => {}
        }
    }

    /// The names that a host name may stand for, in the order in which they are tried.
    #[must_use]
    pub fn candidates(&self, host: &str) -> Vec<Name> {
        let Some(name) = Name::new(host) else { return Vec::new() };
        if host.ends_with('.') {
            return vec![name];
        }
        let mut candidates: Vec<Name> =
            self.search.iter().filter_map(|domain| name.below(domain)).collect();
        let has_dots = host.matches('.').count() >= self.dots;
        candidates.insert(if has_dots { 0 } else { candidates.len() }, name);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_pod_is_read() {
        let conf = ResolvConf::parse(
            "# written by the kubelet\nsearch prod.svc.cluster.local svc.cluster.local\n\
             nameserver 10.96.0.10\nnameserver fd00::10\noptions ndots:5 edns0 timeout:2\n\
             options attempts:3\n",
        );
        let servers = ["10.96.0.10:53", "[fd00::10]:53"].map(|text| text.parse().expect(text));
        assert_eq!(conf.servers, servers);
        assert_eq!((conf.dots, conf.timeout, conf.attempts), (5, Duration::from_secs(2), 3));
        let names = |host| {
            let names = conf.candidates(host);
            names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("app"), "app.prod.svc.cluster.local app.svc.cluster.local app");
        assert_eq!(names("app.example."), "app.example");
        assert_eq!(names("a..b"), "");
    }

    #[test]
    fn a_name_with_enough_dots_is_tried_as_it_is_first() {
        let conf = ResolvConf::parse("domain gone\nsearch example\n");
        let names =
            |host| conf.candidates(host).iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            (names("app").as_str(), names("a.b").as_str()),
            ("app.example app", "a.b a.b.example")
        );
    }

    #[test]
    fn what_is_missing_or_wrong_has_its_default() {
        let wrong =
            "nameserver\nnameserver x\noptions ndots timeout:x attempts:-1\nsortlist 1\n;\n";
        assert_eq!(ResolvConf::parse(wrong), ResolvConf::default());
        let most = "options ndots:99 timeout:0 attempts:99\nnameserver fe80::1%eth0\n";
        let ResolvConf { dots, timeout, attempts, servers, .. } = ResolvConf::parse(most);
        assert_eq!((dots, timeout, attempts), (MAX_DOTS, Duration::from_secs(1), MAX_ATTEMPTS));
        assert_eq!(servers, ResolvConf::default().servers);
        let many = ResolvConf::parse(&"nameserver 10.0.0.1\n".repeat(100));
        assert_eq!(many.servers.len(), MAX_SERVERS);
    }
}
