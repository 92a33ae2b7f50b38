//! When which backend was killed or stopped, and what that excuses.

use std::fmt;
use std::time::Duration;

/// What is done to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Disturbance {
    Killed,
    Paused,
}

/// One disturbance, from before it was made until after it was undone.
#[derive(Clone, Copy, Debug)]
struct Outage {
    backend: usize,
    what: Disturbance,
    from: Duration,
    to: Option<Duration>,
}

/// All disturbances of a soak.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<Outage>);

/// Why a request may have failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Excuse {
    /// The backend did as it was told.
    Ordered,
    Killed,
    Paused,
    /// Two backends or more were disturbed, so that the attempts could run out.
    FewLeft,
}

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordered => "the backend was told to",
            Self::Killed => "its backend was killed meanwhile",
            Self::Paused => "its backend was stopped meanwhile",
            Self::FewLeft => "two or more backends were down or stopped meanwhile",
        })
    }
}

impl Outages {
    pub(super) fn begin(&mut self, backend: usize, what: Disturbance, now: Duration) {
        self.0.push(Outage { backend, what, from: now, to: None });
    }

    /// All that is done to `backend` has been undone.
    pub(super) fn end(&mut self, backend: usize, now: Duration) {
        for outage in self.0.iter_mut().filter(|outage| outage.backend == backend) {
            outage.to.get_or_insert(now);
        }
    }

    pub(super) fn are_over(&self) -> bool {
        self.0.iter().all(|outage| outage.to.is_some())
    }

    pub(super) fn count(&self, what: Disturbance) -> usize {
        self.0.iter().filter(|outage| outage.what == what).count()
    }

    /// What excuses `fault` of a request that `backend` was tried for last.
    pub(super) fn excuse(
        &self,
        fault: &str,
        backend: Option<usize>,
        from: Duration,
        to: Duration,
    ) -> Option<Excuse> {
        let met = |what| {
            self.during(from, to)
                .any(|outage| outage.what == what && Some(outage.backend) == backend)
        };
        match fault {
            "upstream_closed" | "response_truncated" => {
                met(Disturbance::Killed).then_some(Excuse::Killed)
            }
            "response_timeout" => met(Disturbance::Paused).then_some(Excuse::Paused),
            "connect_refused" | "connect_timeout" => {
                let mut backends: Vec<_> = self.during(from, to).map(|o| o.backend).collect();
                backends.sort_unstable();
                backends.dedup();
                (backends.len() > 1).then_some(Excuse::FewLeft)
            }
            _ => None,
        }
    }

    fn during(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Outage> {
        self.0
            .iter()
            .filter(move |outage| outage.from <= to && outage.to.is_none_or(|end| end >= from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Backend 0 is killed from 10 to 20, backend 1 stopped from 15 to 25.
    fn outages() -> Outages {
        let mut outages = Outages::default();
        outages.begin(0, Disturbance::Killed, at(10));
        outages.begin(1, Disturbance::Paused, at(15));
        outages.end(0, at(20));
        outages.end(1, at(25));
        outages
    }

    #[test]
    fn a_fault_is_excused_by_what_was_done_to_its_own_backend_meanwhile() {
        let outages = outages();
        let excuse = |fault, backend, from, to| outages.excuse(fault, backend, at(from), at(to));
        assert_eq!(excuse("upstream_closed", Some(0), 1, 10), Some(Excuse::Killed));
        assert_eq!(excuse("response_truncated", Some(0), 20, 30), Some(Excuse::Killed));
        assert_eq!(excuse("upstream_closed", Some(0), 21, 30), None, "it was up again");
        assert_eq!(excuse("upstream_closed", Some(0), 1, 9), None, "it was still up");
        assert_eq!(excuse("upstream_closed", Some(1), 10, 20), None, "it was another");
        assert_eq!(excuse("upstream_closed", None, 10, 20), None);
        assert_eq!(excuse("response_timeout", Some(1), 10, 20), Some(Excuse::Paused));
        assert_eq!(excuse("response_timeout", Some(0), 10, 20), None, "it was not stopped");
        assert_eq!(excuse("bad_response_head", Some(0), 10, 20), None);
    }

    #[test]
    fn no_connection_at_all_takes_two_disturbed_backends() {
        let outages = outages();
        let excuse = |from, to| outages.excuse("connect_refused", Some(2), at(from), at(to));
        assert_eq!(excuse(10, 14), None);
        assert_eq!(excuse(16, 17), Some(Excuse::FewLeft));
        assert_eq!(excuse(21, 22), None);
    }

    #[test]
    fn an_outage_lasts_until_it_is_ended() {
        let mut outages = Outages::default();
        outages.begin(0, Disturbance::Killed, at(1));
        let excuse = |outages: &Outages| outages.excuse("upstream_closed", Some(0), at(8), at(9));
        assert_eq!(excuse(&outages), Some(Excuse::Killed));
        outages.end(0, at(2));
        outages.end(0, at(10));
        assert_eq!(excuse(&outages), None);
        assert_eq!(
            (outages.count(Disturbance::Killed), outages.count(Disturbance::Paused)),
            (1, 0)
        );
    }
}
