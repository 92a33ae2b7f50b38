//! What is compared: the proxy's policies, and baselines that only the simulator has.

use std::fmt;
use std::str::FromStr;

use tidegate::balance::Policy;
use tidegate::usage::or_nearest;

use super::baseline::{self, Baseline, Kind};

/// By name: a policy of the proxy, else a baseline.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Contender {
    /// The proxy's own.
    Policy(Policy),
    /// What others do.
    Baseline(Kind),
}

impl Contender {
    /// All there are.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let policies = Policy::ALL.into_iter().map(Self::Policy);
        policies.chain(Kind::ALL.map(Self::Baseline)).collect()
    }

    /// The canonical name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy(policy) => policy.name(),
            Self::Baseline(kind) => kind.name(),
        }
    }

    /// The policy of the balancer, which under a baseline is not asked.
    pub(super) fn policy(self) -> Policy {
        match self {
            Self::Policy(policy) => policy,
            Self::Baseline(_) => Policy::RoundRobin,
        }
    }

    pub(super) fn baseline(self, backends: usize) -> Option<Box<dyn Baseline>> {
        match self {
            Self::Policy(_) => None,
            Self::Baseline(kind) => Some(baseline::new(kind, backends)),
        }
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(policy) = text.parse() {
            return Ok(Self::Policy(policy));
        }
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.map(Self::Baseline).ok_or_else(|| {
            let names: Vec<&str> = Self::all().into_iter().map(Self::name).collect();
            let refusal = format!("`{text}` is not a policy; give any of {}", names.join(", "));
            or_nearest(&refusal, text, names)
        })
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_is_there_once() {
        let all = Contender::all();
        let names: Vec<&str> = all.iter().map(|contender| contender.name()).collect();
        for (contender, name) in all.iter().zip(&names) {
            assert_eq!(name.parse(), Ok(*contender));
            assert_eq!(names.iter().filter(|other| other == &name).count(), 1, "{name}");
        }
        for name in ["round-robin", "adaptive_ewma", "least-conn", "least-time", "random"] {
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_answered_with_the_nearest() {
        let refusal = "least-tme".parse::<Contender>().unwrap_err();
        assert!(refusal.ends_with("did you mean least-time?"), "{refusal}");
    }
}
