//! What came of looking the names of backends up, for people and for metrics.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::SystemTime;

use crate::dns::Outcome;

/// What is known of a name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameNow {
    /// The name.
    pub name: String,
    /// How many addresses of it are in use.
    pub addresses: usize,
    /// How many more there are than may be used of one name.
    pub left_out: usize,
    /// Look-ups that found addresses, since a backend has the name and the proxy serves.
    pub found: u64,
    /// Those that were told that there is no such name, or that it has no address.
    pub absent: u64,
    /// Those to which no server gave an answer that can be used.
    pub failed: u64,
    /// When addresses were found last, the first ones at the start or in a reload included.
    pub found_at: Option<SystemTime>,
    /// Whether the last look-up failed.
    pub is_failing: bool,
}

/// The names of all backends.
#[derive(Debug, Default)]
pub(super) struct Lookups(BTreeMap<String, NameNow>);

impl Lookups {
    /// These are the names, with their addresses. What was known of others is forgotten.
    pub(super) fn follow(&mut self, names: &HashMap<String, Vec<IpAddr>>, now: SystemTime) {
        self.0.retain(|name, _| names.contains_key(name));
        for (name, addresses) in names {
            let new = || NameNow { name: name.clone(), ..NameNow::default() };
            let known = self.0.entry(name.clone()).or_insert_with(new);
            if known.found_at.is_none() && !addresses.is_empty() {
                known.found_at = Some(now);
            }
        }
    }

    /// This came of a look-up.
    pub(super) fn count(&mut self, name: &str, outcome: &Outcome, now: SystemTime) {
        let Some(known) = self.0.get_mut(name) else { return };
        known.is_failing = matches!(outcome, Outcome::Failed(_));
        match outcome {
            Outcome::Found(_) => {
                known.found += 1;
                known.found_at = Some(now);
            }
            Outcome::Absent => known.absent += 1,
            Outcome::Failed(_) => known.failed += 1,
        }
    }

    /// What is known of a name.
    pub(super) fn of(&self, name: &str) -> Option<&NameNow> {
        self.0.get(name)
    }

    /// All names in their order, of which these are the addresses.
    pub(super) fn now(&self, names: &HashMap<String, Vec<IpAddr>>) -> Vec<NameNow> {
        let addresses = |name: &str| {
            let mut addresses = names.get(name).cloned().unwrap_or_default();
            addresses.sort_unstable();
            addresses.dedup();
            addresses.len()
        };
        let now = |known: &NameNow| NameNow { addresses: addresses(&known.name), ..known.clone() };
        self.0.values().map(now).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Failure, Found};
    use std::time::Duration;

    #[test]
    fn outcomes_are_counted_as_long_as_a_backend_has_the_name() {
        let ip: IpAddr = [10, 0, 0, 1].into();
        let both = HashMap::from([("a".to_owned(), vec![ip, ip]), ("b".to_owned(), Vec::new())]);
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let mut lookups = Lookups::default();
        lookups.follow(&both, at(1));
        assert_eq!(lookups.now(&both)[0].addresses, 1, "two backends have the name");
        assert_eq!(lookups.of("a").and_then(|name| name.found_at), Some(at(1)));
        assert_eq!(lookups.of("b").and_then(|name| name.found_at), None);
        let found = Outcome::Found(Found::new(vec![ip], None, None));
        for (outcome, second) in [
            (found, 2),
            (Outcome::Absent, 3),
            (Outcome::Failed(Failure::TimedOut(([10, 0, 0, 9], 53).into())), 4),
        ] {
            lookups.count("a", &outcome, at(second));
            lookups.count("c", &outcome, at(second));
        }
        lookups.follow(&both, at(5));
        let a = lookups.of("a").expect("known");
        assert_eq!((a.found, a.absent, a.failed, a.found_at), (1, 1, 1, Some(at(2))));
        assert!(a.is_failing);
        let both = HashMap::from([("a".to_owned(), vec![ip]), ("b".to_owned(), vec![ip])]);
        lookups.follow(&both, at(6));
        let found_at = |name| lookups.of(name).and_then(|name| name.found_at);
        assert_eq!((found_at("a"), found_at("b")), (Some(at(2)), Some(at(6))), "by a reload");
        lookups.follow(&HashMap::new(), at(7));
        assert_eq!(lookups.now(&both), []);
    }
}
