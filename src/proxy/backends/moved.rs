//! Backends whose names have other addresses than before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use super::super::circle::refuse_circle;
use super::super::configured::{Configured, listed};
use super::super::mailbox::Command;
use super::super::settings::Backend;
use super::Backends;
use crate::balance::BackendId;
use crate::endpoint::Endpoint;

/// What follows for the workers.
#[derive(Default)]
struct Effects {
    /// A backend is reached at other addresses.
    has_moved: bool,
    /// There are other backends.
    has_changed: bool,
    /// What people are told.
    lines: Vec<String>,
}

impl Backends {
    /// The host names of the backends, each with its addresses as they are known.
    pub(in crate::proxy) fn names(&self) -> HashMap<String, Vec<IpAddr>> {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for configured in &self.configured {
            if let Some(name) = configured.backend.host_name() {
                // Those of another backend of the same name may be some of them.
                names.entry(name.to_owned()).or_default().extend(configured.ips());
            }
        }
        names
    }

    /// The host name by which this backend is reached.
    pub(in crate::proxy) fn name_of(&self, id: BackendId) -> Option<String> {
        let configured = self.configured.iter().find(|it| it.ids().any(|own| own == id))?;
        configured.backend.host_name().map(str::to_owned)
    }

    /// Backends that get no requests, because their names have no address.
    pub fn unresolved(&self) -> impl Iterator<Item = &Backend> {
        self.without_members().map(|configured| &configured.backend)
    }

    /// Those of the plan for which nothing stands.
    pub(super) fn without_members(&self) -> impl Iterator<Item = &Configured> {
        self.configured.iter().filter(|configured| configured.members.is_empty())
    }

    /// Backends that get requests, as configured.
    pub fn reached(&self) -> impl Iterator<Item = &Backend> {
        let reached = self.configured.iter().filter(|configured| !configured.members.is_empty());
        reached.map(|configured| &configured.backend)
    }

    /// A name has these addresses now: its backends are reached there from now on, and nowhere
    /// else. The lines for people about what is other than before.
    pub(in crate::proxy) fn found(
        &mut self,
        name: &str,
        ips: &[IpAddr],
        now: Instant,
    ) -> Vec<String> {
        let mut effects = Effects::default();
        for place in 0..self.configured.len() {
            if self.configured[place].backend.host_name() == Some(name) {
                let lines = self.relocate(place, ips, now, &mut effects);
                effects.lines.extend(self.configured[place].tell(lines, now));
            }
        }
        if effects.has_moved {
            self.mailboxes.send_all(|| Command::Moved);
        }
        if effects.has_changed {
            self.send_roster();
            self.wake_checks();
        }
        effects.lines
    }

    fn relocate(
        &mut self,
        place: usize,
        ips: &[IpAddr],
        now: Instant,
        effects: &mut Effects,
    ) -> Vec<String> {
        let configured = &mut self.configured[place];
        let listen = &self.settings.taken();
        let is_own = |address: &Endpoint| {
            let address = std::slice::from_ref(address);
            refuse_circle(&configured.backend, address, listen).is_err()
        };
        let (own, found): (Vec<_>, Vec<_>) =
            configured.endpoints(ips).into_iter().partition(is_own);
        let all = found.len();
        let used = configured.used(found);
        let left_out = configured.left_out;
        let line = configured.relocate(used, now);
        let (is_new, wanted) = (line.is_some(), configured.wanted());
        if !is_new && configured.members.len() == wanted.len() {
            return Vec::new();
        }
        let url = &configured.backend.url;
        let mut lines: Vec<String> = line.into_iter().collect();
        if is_new && !own.is_empty() {
            let own = listed(own.iter());
            lines.push(format!("{url}: {own} is this proxy itself and is left out"));
        }
        if is_new && left_out > 0 {
            lines.push(format!("{url}: {left_out} of {all} addresses are more than are used"));
        }
        let is_old = |(_, member): &mut (BackendId, Backend)| {
            !wanted.iter().any(|(backend, _)| backend == member)
        };
        let old: Vec<_> = configured.members.extract_if(.., is_old).collect();
        effects.has_changed |= !old.is_empty();
        self.drain(old, now);
        for (backend, addresses) in wanted {
            let members = &self.configured[place].members;
            if let Some((id, _)) = members.iter().find(|(_, member)| *member == backend) {
                effects.has_moved |= self.resolver.publish(*id, &addresses);
                continue;
            }
            match self.join(&backend, addresses, now) {
                Ok(id) => self.configured[place].members.push((id, backend)),
                // It is tried again with the next answer.
                Err(full) if is_new => {
                    lines.push(format!("{} gets no requests: {full}", backend.url));
                    break;
                }
                Err(_) => break,
            }
            effects.has_changed = true;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Balancer, Choice, Tried};
    use crate::proxy::backends::Change;
    use crate::proxy::locate::Located;
    use crate::proxy::settings::{Resolve, Settings};
    use crate::proxy::worker::tests::settings;
    use crate::reactor::Poller;

    /// Backends before one worker.
    struct Rig {
        backends: Backends,
        balancer: Balancer,
        poller: Poller,
        /// Whether the worker was told to look at its connections.
        has_moved: bool,
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    impl Rig {
        /// `http://app:80`, which has no address yet.
        fn new(resolve: Resolve, settings: &Settings) -> Self {
            let poller = Poller::new(1).expect("a poller");
            let backend = Backend { resolve, ..Backend::tcp("app", 80) };
            let located = vec![Located { backend, addresses: Ok(Vec::new()) }];
            let mut backends = Backends::new(settings, located, vec![poller.waker()], poller.now())
                .expect("valid");
            let balancer = backends.balancer();
            Self { backends, balancer, poller, has_moved: false }
        }

        /// The name has these addresses now; what is told of it.
        fn found(&mut self, addresses: &[&str]) -> String {
            let lines = self.backends.found("app", &ips(addresses), self.poller.now());
            self.has_moved = false;
            for command in self.backends.mailboxes.take(0) {
                match command {
                    Command::Roster(roster) => self.balancer.set_roster(roster),
                    Command::Moved => self.has_moved = true,
                    _ => {}
                }
            }
            lines.join("\n")
        }

        /// The URLs of backends that get requests, and how many are still draining.
        fn active(&mut self) -> (Vec<String>, usize) {
            let draining = self.backends.collect(self.poller.now());
            let urls = self.backends.active().map(|(_, backend)| backend.url.clone());
            (urls.collect(), draining)
        }
    }

    #[test]
    fn a_backend_whose_name_has_no_address_is_there_once_it_has_one() {
        let mut rig = Rig::new(Resolve::One, &settings());
        assert_eq!(rig.backends.unresolved().count(), 1);
        let choice = rig.balancer.acquire(&Tried::default(), rig.poller.now());
        assert!(matches!(choice, Choice::Nobody), "{choice:?}");
        assert_eq!(rig.found(&["10.0.0.1"]), "http://app:80: added 10.0.0.1:80");
        let lease = rig.balancer.acquire(&Tried::default(), rig.poller.now()).lease().expect("it");
        rig.balancer.release(lease);
        assert_eq!((rig.backends.unresolved().count(), rig.active().0.len()), (0, 1));
        assert_eq!(rig.found(&[]), "http://app:80: removed 10.0.0.1:80");
        assert_eq!((rig.backends.unresolved().count(), rig.active()), (1, (Vec::new(), 0)));
    }

    #[test]
    fn one_server_stays_the_same_backend_wherever_it_is_reached() {
        let mut rig = Rig::new(Resolve::One, &settings());
        rig.found(&["10.0.0.1"]);
        let before = rig.backends.active().next().expect("it").0;
        assert!(!rig.has_moved);
        rig.found(&["10.0.0.2", "10.0.0.3"]);
        assert!(rig.has_moved, "its connections are looked at");
        assert_eq!(rig.backends.active().map(|(id, _)| *id).collect::<Vec<_>>(), [before]);
        assert_eq!(rig.found(&["10.0.0.2", "10.0.0.3"]), "");
        assert!(!rig.has_moved);
    }

    #[test]
    fn each_address_is_a_backend_that_comes_and_goes_with_it() {
        let mut rig = Rig::new(Resolve::All, &settings());
        rig.found(&["10.0.0.1", "10.0.0.2"]);
        let both = ["http://10.0.0.1:80", "http://10.0.0.2:80"];
        assert_eq!(rig.active(), (both.map(str::to_owned).into(), 0));
        let ids: Vec<_> = rig.backends.active().map(|(id, _)| *id).collect();
        let lease = rig.balancer.acquire(&Tried::default(), rig.poller.now()).lease().expect("one");
        assert_eq!(lease.backend(), ids[0]);
        let line = rig.found(&["10.0.0.2", "10.0.0.3"]);
        assert_eq!(line, "http://app:80: added 10.0.0.3:80; removed 10.0.0.1:80");
        let now = ["http://10.0.0.2:80", "http://10.0.0.3:80"];
        assert_eq!(rig.active(), (now.map(str::to_owned).into(), 1), "one has a request");
        assert_eq!(rig.backends.active().next().map(|(id, _)| *id), Some(ids[1]), "it stays");
        rig.balancer.release(lease);
        assert_eq!(rig.active().1, 0);
    }

    #[test]
    fn more_addresses_than_there_can_be_backends_are_used_when_there_is_room() {
        let mut rig = Rig::new(Resolve::All, &settings());
        let add = |port| {
            let backend = Backend { resolve: Resolve::All, ..Backend::tcp("app", port) };
            Located { backend, addresses: Ok(Vec::new()) }
        };
        let change = Change { added: [81, 82].map(add).into(), ..Change::default() };
        rig.backends.change(&settings().into(), change, rig.poller.now()).expect("a change");
        let many: Vec<String> = (0..400).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = rig.found(&many);
        assert_eq!(told.lines().count(), 4, "once");
        assert!(told.lines().last().is_some_and(|line| line.contains("exceed the limit of 1024")));
        assert_eq!(rig.active().0.len(), 1024);
        assert_eq!(rig.found(&many), "");
        rig.found(&many[..10]);
        let urls = |port: u16| many[..10].iter().map(move |ip| format!("http://{ip}:{port}"));
        let mut expected: Vec<String> = [80, 81, 82].into_iter().flat_map(urls).collect();
        let (mut active, draining) = rig.active();
        expected.sort();
        active.sort();
        assert_eq!((active, draining), (expected, 0));
    }

    #[test]
    fn one_name_leaves_slots_for_others_and_keeps_to_the_addresses_that_it_uses() {
        let mut rig = Rig::new(Resolve::All, &settings());
        let many: Vec<String> =
            (0..1100).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = rig.found(&many);
        assert!(told.ends_with("588 of 1100 addresses are more than are used"), "{told}");
        assert_eq!(rig.active().0.len(), 512);
        assert_eq!(rig.backends.names_now()[0].left_out, 588);
        many.reverse();
        assert_eq!(rig.found(&many), "", "they are the same in another order");
        assert_eq!(rig.active().0.len(), 512);
        rig.found(&many[..3]);
        assert_eq!(rig.backends.names_now()[0].left_out, 0);
    }

    #[test]
    fn what_moves_all_the_time_is_told_now_and_then() {
        let mut rig = Rig::new(Resolve::One, &settings());
        let told = (0..100).map(|n| rig.found(&[["10.0.0.1"], ["10.0.0.2"]][n % 2]));
        assert_eq!(told.filter(|line| !line.is_empty()).count(), 10);
        let later = rig.poller.now() + std::time::Duration::from_secs(60);
        let mut found = |address: &str| rig.backends.found("app", &ips(&[address]), later);
        let left_out = "http://app:80: 90 lines like those before were left out";
        assert_eq!(found("10.0.0.2"), [left_out], "although nothing is new");
        assert_eq!(found("10.0.0.2"), [""; 0]);
        assert_eq!(found("10.0.0.3").len(), 1);
    }

    #[test]
    fn an_address_at_which_the_proxy_itself_listens_is_left_out() {
        let listen = "10.0.0.1:80".parse::<Endpoint>().expect("an address");
        let mut rig =
            Rig::new(Resolve::All, &Settings { listen: vec![listen.into()], ..settings() });
        let told = rig.found(&["10.0.0.1", "10.0.0.2"]);
        assert!(told.ends_with("10.0.0.1:80 is this proxy itself and is left out"), "{told}");
        assert_eq!(rig.active().0, ["http://10.0.0.2:80"]);
        assert_eq!(rig.found(&["10.0.0.1", "10.0.0.2"]), "");
    }

    #[test]
    fn names_are_known_with_their_addresses_and_those_of_backends_by_their_ids() {
        let mut rig = Rig::new(Resolve::All, &settings());
        assert_eq!(rig.backends.names(), HashMap::from([("app".to_owned(), Vec::new())]));
        rig.found(&["10.0.0.1", "10.0.0.2"]);
        assert_eq!(rig.backends.names()["app"], ips(&["10.0.0.1", "10.0.0.2"]));
        let id = rig.backends.active().last().expect("one").0;
        assert_eq!(rig.backends.name_of(id).as_deref(), Some("app"));
    }
}
