//! The backends that a worker chooses from, and how.

use std::sync::Arc;

use super::availability::Rules;
use super::clock::{Nanos, nanos};
use super::id::BackendId;
use super::options::Options;
use super::policy::Selector;
use super::role::{Admission, Role, Tier};

/// One backend of a roster.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) id: BackendId,
    pub(super) name: Arc<str>,
    pub(super) label: Box<str>,
    pub(super) role: Role,
    /// When it is chosen; `None` if it is drained.
    pub(super) tier: Option<Tier>,
    pub(super) weight: f64,
    /// `1 / √weight`.
    pub(super) handicap: f64,
}

impl Member {
    /// What everything but people calls it.
    #[must_use]
    pub fn id(&self) -> BackendId {
        self.id
    }

    /// The name as configured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in short: the port where all backends are on one host, else host and port.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How it is configured beside the others.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// A backend that is active, as the membership knows it.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) id: BackendId,
    pub(super) name: Arc<str>,
    pub(super) role: Role,
}

/// The active backends in the order of their addition, and the options in force. It never changes:
/// a worker is handed another one.
#[derive(Debug)]
pub struct Roster {
    version: u64,
    members: Box<[Member]>,
    /// The place of each slot's backend among the members, if it has one.
    places: Box<[Option<u16>]>,
    pub(super) options: Options,
    pub(super) rules: Rules,
    /// These three are times of the options; the first one has no end if that is none.
    pub(super) resample_after: Nanos,
    pub(super) slow_start: Nanos,
    pub(super) probe_timeout: Nanos,
    pub(super) selector: Arc<Selector>,
}

impl Roster {
    pub(super) fn new(
        version: u64,
        backends: &[Added],
        slots: usize,
        options: Options,
        selector: Arc<Selector>,
    ) -> Self {
        let names: Vec<&str> = backends.iter().map(|added| &*added.name).collect();
        let member = |(added, label): (&Added, String)| Member {
            id: added.id,
            name: Arc::clone(&added.name),
            label: label.into(),
            role: added.role,
            tier: (added.role.admission == Admission::Open).then_some(added.role.tier),
            weight: f64::from(added.role.weight),
            handicap: f64::from(added.role.weight).sqrt().recip(),
        };
        let mut places = vec![None; slots].into_boxed_slice();
        for (place, added) in (0..).zip(backends) {
            places[added.id.slot()] = Some(place);
        }
        Self {
            version,
            members: backends.iter().zip(labels(&names)).map(member).collect(),
            places,
            options,
            rules: options.rules(),
            resample_after: options.resample_after.map_or(Nanos::MAX, nanos),
            slow_start: nanos(options.slow_start),
            probe_timeout: nanos(options.probe_timeout),
            selector,
        }
    }

    /// Grows with each change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The backends in order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// This backend, if it is in the roster.
    #[must_use]
    pub fn member(&self, id: BackendId) -> Option<&Member> {
        let place = (*self.places.get(id.slot())?)?;
        self.members.get(usize::from(place)).filter(|member| member.id == id)
    }

    /// Whether this backend is in the roster and gets requests.
    #[must_use]
    pub fn admits(&self, id: BackendId) -> bool {
        self.member(id).is_some_and(|member| member.tier.is_some())
    }

    /// Whether this backend is in the roster.
    #[must_use]
    pub fn contains(&self, id: BackendId) -> bool {
        self.member(id).is_some()
    }
}

/// The short names: only the ports, if every name has one and all hosts are the same.
fn labels(names: &[&str]) -> Vec<String> {
    let authority = |name: &&str| {
        let start = name.find("://").map_or(0, |at| at + "://".len());
        name[start..].trim_end_matches('/').to_owned()
    };
    let authorities: Vec<String> = names.iter().map(authority).collect();
    let split = |authority: &String| {
        let (host, port) = authority.rsplit_once(':')?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        is_port.then(|| (host.to_owned(), port.to_owned()))
    };
    let parts: Option<Vec<(String, String)>> = authorities.iter().map(split).collect();
    match parts {
        Some(parts) if parts.windows(2).all(|pair| pair[0].0 == pair[1].0) => {
            parts.into_iter().map(|(_, port)| port).collect()
        }
        _ => authorities,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_short_as_the_names_allow() {
        let on_one_host = ["http://localhost:8081", "http://localhost:8082/"];
        assert_eq!(labels(&on_one_host), ["8081", "8082"]);
        assert_eq!(labels(&["http://[::1]:8081", "http://[::1]:8082"]), ["8081", "8082"]);
        assert_eq!(labels(&["http://a:8080", "http://b:8080"]), ["a:8080", "b:8080"]);
        assert_eq!(labels(&["http://a", "http://a:8080"]), ["a", "a:8080"]);
        assert_eq!(labels(&["http://[::1]"]), ["[::1]"]);
        assert_eq!(labels(&["a:1"]), ["1"]);
        assert_eq!(labels(&["http://"]), [""]);
    }
}
