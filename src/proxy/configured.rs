//! A backend of the plan, and the backends of the roster that stand for it: none while its name has
//! no address, else one; or one for each address, if its name stands for several servers.

use std::net::IpAddr;
use std::time::Instant;

use super::allowance::Allowance;
use super::locate::{Located, endpoints};
use super::settings::{Address, Backend, Resolve};
use crate::balance::{BackendId, MAX_BACKENDS};
use crate::endpoint::Endpoint;

/// Addresses that are used of a name, so that no name server can take the slots of all others.
const MOST_ADDRESSES: usize = MAX_BACKENDS / 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Configured {
    /// As it is in the plan.
    pub(super) backend: Backend,
    addresses: Vec<Endpoint>,
    /// How many more its name has than are used of one.
    pub(super) left_out: usize,
    /// When it came to have these addresses, or to have none.
    pub(super) moved_at: Instant,
    /// What stands for it.
    pub(super) members: Vec<(BackendId, Backend)>,
    /// Of lines about its addresses.
    allowance: Allowance,
}

impl Configured {
    /// One for which nothing stands yet.
    pub(super) fn new(located: Located, now: Instant) -> Self {
        let Located { backend, addresses } = located;
        let mut configured = Self {
            backend,
            addresses: Vec::new(),
            left_out: 0,
            moved_at: now,
            members: Vec::new(),
            allowance: Allowance::default(),
        };
        configured.addresses = configured.used(addresses.unwrap_or_default());
        configured
    }

    /// What is to stand for it, each with its addresses.
    pub(super) fn wanted(&self) -> Vec<(Backend, Vec<Endpoint>)> {
        match (self.backend.resolve, &self.addresses[..]) {
            (_, []) => Vec::new(),
            (Resolve::One, all) => vec![(self.backend.clone(), all.to_vec())],
            (Resolve::All, all) => {
                all.iter().map(|address| (self.at(address), vec![address.clone()])).collect()
            }
        }
    }

    /// The backend at one of the addresses. It is known by that.
    fn at(&self, endpoint: &Endpoint) -> Backend {
        let (role, resolve) = (self.backend.role, self.backend.resolve);
        match endpoint {
            Endpoint::Tcp(address) => {
                let host = address.ip().to_string();
                let address = Address::Tcp { host, port: address.port() };
                Backend { url: format!("http://{address}"), address, role, resolve }
            }
            Endpoint::Unix(_) => self.backend.clone(),
        }
    }

    /// Those of these lines about its addresses that may be printed. Before them: how many were
    /// left out in the last minute that is over. Called after each look-up.
    pub(super) fn tell(&mut self, lines: Vec<String>, now: Instant) -> Vec<String> {
        let (mut lines, left_out) = self.allowance.take(lines, now);
        if left_out > 0 {
            let url = &self.backend.url;
            lines.insert(0, format!("{url}: {left_out} lines like those before were left out"));
        }
        lines
    }

    /// The ids of what stands for it.
    pub(super) fn ids(&self) -> impl Iterator<Item = BackendId> {
        self.members.iter().map(|(id, _)| *id)
    }

    /// It is configured in another way; the ids of those that have that role now.
    pub(super) fn adjust(&mut self, to: Backend) -> Vec<BackendId> {
        for (_, member) in &mut self.members {
            member.role = to.role;
        }
        self.backend = to;
        self.ids().collect()
    }

    /// The IP addresses of its name.
    pub(super) fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(address.ip()),
            Endpoint::Unix(_) => None,
        })
    }

    /// Where it is reached if its name has these addresses.
    pub(super) fn endpoints(&self, ips: &[IpAddr]) -> Vec<Endpoint> {
        match &self.backend.address {
            Address::Tcp { port, .. } => endpoints(ips, *port),
            Address::Unix(_) => self.addresses.clone(),
        }
    }

    /// Those of these addresses that are used. If there are more than one name may have, those in
    /// use stay.
    pub(super) fn used(&mut self, mut addresses: Vec<Endpoint>) -> Vec<Endpoint> {
        // Those in use are what is left after a look-up that failed.
        if addresses != self.addresses {
            self.left_out = addresses.len().saturating_sub(MOST_ADDRESSES);
        }
        if addresses.len() > MOST_ADDRESSES {
            addresses.sort_by_cached_key(|address| !self.addresses.contains(address));
            addresses.truncate(MOST_ADDRESSES);
        }
        addresses
    }

    /// It is reached at these addresses from now on; what that changes, in a line for people.
    pub(super) fn relocate(&mut self, addresses: Vec<Endpoint>, now: Instant) -> Option<String> {
        let earlier = std::mem::replace(&mut self.addresses, addresses);
        let only = |some: &[Endpoint], others: &[Endpoint]| {
            listed(some.iter().filter(|address| !others.contains(address)))
        };
        let parts = [
            ("added", only(&self.addresses, &earlier)),
            ("removed", only(&earlier, &self.addresses)),
        ];
        let parts = parts.iter().filter(|(_, addresses)| !addresses.is_empty());
        let parts: Vec<_> = parts.map(|(what, addresses)| format!("{what} {addresses}")).collect();
        if parts.is_empty() {
            return None;
        }
        self.moved_at = now;
        Some(format!("{}: {}", self.backend.url, parts.join("; ")))
    }
}

/// Addresses for people. There may be thousands, because name servers choose them.
pub(super) fn listed<'a>(addresses: impl Iterator<Item = &'a Endpoint>) -> String {
    const LISTED: usize = 4;
    let all: Vec<_> = addresses.collect();
    let (first, others) = all.split_at(all.len().min(LISTED));
    let first = first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match others.len() {
        0 => first,
        count => format!("{first} and {count} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::epoch;

    fn configured(resolve: Resolve, addresses: &[&str]) -> Configured {
        let backend = Backend { resolve, ..Backend::tcp("app", 80) };
        Configured::new(Located { backend, addresses: Ok(some(addresses)) }, epoch())
    }

    fn some(texts: &[&str]) -> Vec<Endpoint> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn urls(configured: &Configured) -> Vec<String> {
        configured.wanted().into_iter().map(|(backend, _)| backend.url).collect()
    }

    #[test]
    fn a_name_stands_for_one_server_or_for_one_at_each_address() {
        let addresses = ["10.0.0.1:80", "[fd00::1]:80"];
        assert_eq!(urls(&configured(Resolve::One, &addresses)), ["http://app:80"]);
        let each = ["http://10.0.0.1:80", "http://[fd00::1]:80"];
        let all = configured(Resolve::All, &addresses);
        assert_eq!(urls(&all), each);
        assert!(all.wanted().iter().all(|(_, addresses)| addresses.len() == 1));
        for resolve in [Resolve::One, Resolve::All] {
            assert_eq!(urls(&configured(resolve, &[])), [""; 0]);
        }
    }

    #[test]
    fn of_many_addresses_the_first_ones_are_told_and_how_many_there_are() {
        let mut configured = configured(Resolve::One, &[]);
        let many: Vec<String> =
            (1..=1000).map(|n| format!("10.0.{}.{}:80", n / 256, n % 256)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let line = configured.relocate(some(&many), epoch());
        let first = "10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80";
        let expected = format!("http://app:80: added {first} and 996 more");
        assert_eq!(line.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn what_has_moved_is_told_in_one_line() {
        let mut configured = configured(Resolve::One, &["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(configured.relocate(some(&["10.0.0.1:80", "10.0.0.2:80"]), epoch()), None);
        let line = configured.relocate(some(&["10.0.0.2:80", "10.0.0.3:80"]), epoch());
        let expected = "http://app:80: added 10.0.0.3:80; removed 10.0.0.1:80";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(
            configured.relocate(some(&["10.0.0.3:80", "10.0.0.2:80"]), epoch()),
            None,
            "the order"
        );
    }
}
