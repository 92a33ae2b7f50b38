//! When which backend was killed or stopped, and which failures that excuses.

use std::fmt;
use std::time::Duration;

/// How many backends a proxy tries for a request, as by default.
const MOST_ATTEMPTS: u32 = 3;

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
#[derive(Debug)]
pub(super) struct Outages {
    backends: usize,
    outages: Vec<Outage>,
}

/// A request that failed between two times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    /// Its label in the log.
    pub(super) fault: &'a str,
    /// The backend that was tried last.
    pub(super) backend: Option<usize>,
    pub(super) attempts: u32,
    /// Whether the proxy could always send it again.
    pub(super) can_be_resent: bool,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// Why a request may have failed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Excuse {
    /// The backend did what the request's path told it.
    AsTold,
    Killed,
    Paused,
    /// Two backends or more were disturbed, and the attempts ran out.
    FewLeft,
    NoneLeft,
}

impl fmt::Display for Excuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsTold => "the backend was told to",
            Self::Killed => "its backend was killed meanwhile",
            Self::Paused => "its backend was stopped meanwhile",
            Self::FewLeft => "its attempts ran out, with two backends down or stopped meanwhile",
            Self::NoneLeft => "all backends were down or stopped meanwhile",
        })
    }
}

impl Outages {
    /// There have been none of so many backends yet.
    pub(super) fn new(backends: usize) -> Self {
        Self { backends, outages: Vec::new() }
    }

    pub(super) fn begin(&mut self, backend: usize, what: Disturbance, now: Duration) {
        self.outages.push(Outage { backend, what, from: now, to: None });
    }

    /// All that is done to `backend` has been undone.
    pub(super) fn end(&mut self, backend: usize, now: Duration) {
        for outage in self.outages.iter_mut().filter(|outage| outage.backend == backend) {
            outage.to.get_or_insert(now);
        }
    }

    pub(super) fn are_over(&self) -> bool {
        self.outages.iter().all(|outage| outage.to.is_some())
    }

    pub(super) fn count(&self, what: Disturbance) -> usize {
        self.outages.iter().filter(|outage| outage.what == what).count()
    }

    /// What excuses `failure`, if anything does.
    pub(super) fn excuse(&self, failure: Failure<'_>) -> Option<Excuse> {
        let Failure { fault, backend, attempts, can_be_resent, .. } = failure;
        let met = |what| {
            let mut outages = self.during(failure);
            outages.any(|outage| outage.what == what && Some(outage.backend) == backend)
        };
        let ran_out = attempts >= MOST_ATTEMPTS;
        match fault {
            // A request that can be sent again has to be, as long as there are attempts left.
            "upstream_closed" if can_be_resent && !ran_out => None,
            "upstream_closed" | "response_truncated" => {
                met(Disturbance::Killed).then_some(Excuse::Killed)
            }
            "response_timeout" | "stream_timeout" => {
                met(Disturbance::Paused).then_some(Excuse::Paused)
            }
            "connect_refused" | "connect_timeout" => {
                let mut disturbed: Vec<_> = self.during(failure).map(|o| o.backend).collect();
                disturbed.sort_unstable();
                disturbed.dedup();
                match disturbed.len() {
                    count if count == self.backends => Some(Excuse::NoneLeft),
                    2.. if ran_out => Some(Excuse::FewLeft),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Outages that overlap with a failed request.
    fn during(&self, failure: Failure<'_>) -> impl Iterator<Item = &Outage> {
        let Failure { from, to, .. } = failure;
        let overlaps =
            move |outage: &&Outage| outage.from <= to && outage.to.is_none_or(|end| end >= from);
        self.outages.iter().filter(overlaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Of three backends 0 is killed from 10 to 20, and 1 stopped from 15 to 25.
    fn outages() -> Outages {
        let mut outages = Outages::new(3);
        outages.begin(0, Disturbance::Killed, at(10));
        outages.begin(1, Disturbance::Paused, at(15));
        outages.end(0, at(20));
        outages.end(1, at(25));
        outages
    }

    fn failure(fault: &str, backend: usize, from: u64, to: u64) -> Failure<'_> {
        let (from, to) = (at(from), at(to));
        Failure { fault, backend: Some(backend), attempts: 1, can_be_resent: false, from, to }
    }

    #[test]
    fn a_fault_is_excused_by_what_was_done_to_its_own_backend_meanwhile() {
        let outages = outages();
        let excuse = |fault, backend, from, to| outages.excuse(failure(fault, backend, from, to));
        assert_eq!(excuse("upstream_closed", 0, 1, 10), Some(Excuse::Killed));
        assert_eq!(excuse("response_truncated", 0, 20, 30), Some(Excuse::Killed));
        assert_eq!(excuse("upstream_closed", 0, 21, 30), None, "it was up again");
        assert_eq!(excuse("upstream_closed", 0, 1, 9), None, "it was still up");
        assert_eq!(excuse("upstream_closed", 1, 10, 20), None, "it was another");
        assert_eq!(excuse("response_timeout", 1, 10, 20), Some(Excuse::Paused));
        assert_eq!(excuse("stream_timeout", 1, 10, 20), Some(Excuse::Paused));
        assert_eq!(excuse("response_timeout", 0, 10, 20), None, "it was not stopped");
        assert_eq!(excuse("response_bad_length", 0, 10, 20), None);
        let undispatched = Failure { backend: None, ..failure("upstream_closed", 0, 10, 20) };
        assert_eq!(outages.excuse(undispatched), None);
    }

    #[test]
    fn what_can_be_sent_again_has_to_be_as_long_as_there_are_attempts() {
        let failure = Failure { can_be_resent: true, ..failure("upstream_closed", 0, 10, 20) };
        let excuse = |attempts| outages().excuse(Failure { attempts, ..failure });
        assert_eq!([1, 2, 3].map(excuse), [None, None, Some(Excuse::Killed)]);
    }

    #[test]
    fn no_connection_at_all_takes_two_disturbed_backends_and_all_attempts_or_all_backends() {
        let mut outages = outages();
        let excuse = |outages: &Outages, attempts, from, to| {
            outages.excuse(Failure { attempts, ..failure("connect_refused", 2, from, to) })
        };
        assert_eq!(excuse(&outages, 3, 10, 14), None);
        assert_eq!(excuse(&outages, 3, 16, 17), Some(Excuse::FewLeft));
        assert_eq!(excuse(&outages, 2, 16, 17), None);
        assert_eq!(excuse(&outages, 3, 21, 22), None);
        outages.begin(2, Disturbance::Killed, at(16));
        assert_eq!(excuse(&outages, 1, 16, 17), Some(Excuse::NoneLeft));
    }

    #[test]
    fn an_outage_lasts_until_it_is_ended() {
        let mut outages = Outages::new(3);
        outages.begin(0, Disturbance::Killed, at(1));
        let excuse = |outages: &Outages| outages.excuse(failure("upstream_closed", 0, 8, 9));
        assert_eq!(excuse(&outages), Some(Excuse::Killed));
        assert!(!outages.are_over());
        outages.end(0, at(2));
        outages.end(0, at(10));
        assert!(outages.are_over());
        assert_eq!(excuse(&outages), None);
        let count = |what| outages.count(what);
        assert_eq!((count(Disturbance::Killed), count(Disturbance::Paused)), (1, 0));
    }
}
