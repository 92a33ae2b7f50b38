//! The last seconds: what was counted between two questions.
//!
//! Counters only grow, so what happened lately is the difference to what was counted before. The
//! counts of two earlier questions are kept, the older one being at least [`SPAN`] old if questions
//! come often, and as old as the question before if they don't.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::balance::BackendId;
use crate::proxy::metrics::{BackendSnapshot, Latencies, Snapshot};

/// With questions each second, the last 5 to 10 seconds are told.
const SPAN: Duration = Duration::from_secs(5);

/// A shorter time tells nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// What was counted of one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) latencies: Latencies,
}

impl Counted {
    pub(super) fn of(backend: &BackendSnapshot) -> Self {
        let BackendSnapshot { traffic, latencies, .. } = backend;
        let (requests, errors) = (traffic.requests(), traffic.errors());
        Self { requests, errors, latencies: latencies.clone() }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            latencies: self.latencies.since(&earlier.latencies),
        }
    }
}

type All = HashMap<BackendId, Counted>;

/// See the module.
#[derive(Debug)]
pub(super) struct Recent {
    started: Instant,
    older: Option<(Instant, All)>,
    newer: Option<(Instant, All)>,
}

/// What was counted lately.
#[derive(Debug)]
pub(super) struct Lately {
    /// How long that is.
    pub(super) time: Duration,
    backends: All,
}

impl Lately {
    pub(super) fn of(&self, id: BackendId) -> Counted {
        self.backends.get(&id).cloned().unwrap_or_default()
    }

    /// Of all backends that are there.
    pub(super) fn requests(&self) -> u64 {
        self.backends.values().map(|counted| counted.requests).sum()
    }
}

impl Recent {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, older: None, newer: None }
    }

    /// What happened since an earlier question, or since the start if there is none.
    pub(super) fn ask(&mut self, snapshot: &Snapshot, now: Instant) -> Lately {
        let backends = snapshot.backends.iter();
        self.tell(backends.map(|(id, backend)| (*id, Counted::of(backend))).collect(), now)
    }

    fn tell(&mut self, counted: All, now: Instant) -> Lately {
        let is_old = |(at, _): &(Instant, All)| now.saturating_duration_since(*at) >= SPAN;
        if self.newer.as_ref().is_none_or(is_old) {
            self.older = self.newer.replace((now, counted.clone()));
        }
        let bases = [&self.older, &self.newer].into_iter().flatten();
        let mut bases = bases.map(|(at, all)| (now.saturating_duration_since(*at), all));
        let none = All::new();
        let (time, base) = bases
            .find(|(time, _)| *time >= SHORTEST)
            .unwrap_or((now.saturating_duration_since(self.started), &none));
        let since = |(id, counted): (BackendId, Counted)| match base.get(&id) {
            Some(earlier) => (id, counted.since(earlier)),
            None => (id, counted),
        };
        Lately { time, backends: counted.into_iter().map(since).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{epoch, ids};

    /// The seconds and the requests told to questions at these seconds, a request a second being
    /// counted.
    fn told(asked: &[u64]) -> Vec<(u64, u64)> {
        let (start, id) = (epoch(), ids(1)[0]);
        let mut recent = Recent::new(start);
        let mut tell = |second: &u64| {
            let counted = Counted { requests: *second, ..Counted::default() };
            let lately = recent.tell([(id, counted)].into(), start + Duration::from_secs(*second));
            (lately.time.as_secs(), lately.requests())
        };
        asked.iter().map(&mut tell).collect()
    }

    #[test]
    fn who_asks_each_second_is_told_of_the_last_five_to_ten() {
        let told = told(&(100..120).collect::<Vec<_>>());
        assert_eq!(told[0], (100, 100), "first since the start");
        assert_eq!(told[1..5], [1, 2, 3, 4].map(|second| (second, second)));
        assert!(told[5..].iter().all(|(time, count)| (5..10).contains(time) && count == time));
    }

    #[test]
    fn who_asks_seldom_is_told_of_the_time_in_between() {
        assert_eq!(told(&[60, 120, 180]), [(60, 60); 3]);
    }

    #[test]
    fn two_that_ask_at_once_are_told_the_same() {
        assert_eq!(told(&[60, 60]), [(60, 60); 2]);
        assert_eq!(told(&[60, 120, 120]), [(60, 60); 3]);
    }
}
