//! Errors of one kind that followed each other, told as one: 50 times 504, of B.

use std::collections::VecDeque;

/// How many are remembered.
const INCIDENTS_MAX: usize = 200;

/// After so long without an error of its kind, the next one begins another.
const GAP_US: u64 = 10_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    /// In the order of their newest errors.
    all: VecDeque<Incident>,
}

/// Errors with the same status, fault and backend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) status: Option<u16>,
    pub(super) fault: String,
    /// An index into the backends; `None` if no backend was asked.
    pub(super) backend: Option<usize>,
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) requests: u64,
}

impl Incidents {
    /// Counts an error.
    pub(super) fn add(
        &mut self,
        at_us: i64,
        status: Option<u16>,
        fault: &str,
        backend: Option<usize>,
    ) {
        let is_same = |known: &Incident| {
            let is_near = at_us.abs_diff(known.last_us) <= GAP_US
                || (known.first_us..=known.last_us).contains(&at_us);
            is_near && (known.status, &*known.fault, known.backend) == (status, fault, backend)
        };
        let place = self.all.iter().rposition(is_same);
        if let Some(mut known) = place.and_then(|place| self.all.remove(place)) {
            known.requests += 1;
            known.first_us = known.first_us.min(at_us);
            known.last_us = known.last_us.max(at_us);
            self.all.push_back(known);
            return;
        }
        if self.all.len() == INCIDENTS_MAX {
            self.all.pop_front();
        }
        let fault = fault.to_owned();
        self.all.push_back(Incident {
            status,
            fault,
            backend,
            first_us: at_us,
            last_us: at_us,
            requests: 1,
        });
    }

    /// Those with an error between two times, the newest first.
    pub(super) fn between(&self, from_us: i64, to_us: i64) -> impl Iterator<Item = &Incident> {
        let newest_first = self.all.iter().rev();
        newest_first.filter(move |it| it.first_us <= to_us && it.last_us >= from_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn told(incidents: &Incidents) -> Vec<(Option<u16>, i64, i64, u64)> {
        let all = incidents.between(i64::MIN, i64::MAX);
        let second = |us: i64| us / SECOND_US;
        all.map(|it| (it.status, second(it.first_us), second(it.last_us), it.requests)).collect()
    }

    #[test]
    fn errors_of_one_kind_are_one_until_there_is_none_for_a_while() {
        let mut incidents = Incidents::default();
        for second in [0, 3, 13, 24, 25] {
            incidents.add(second * SECOND_US, Some(504), "response_timeout", Some(1));
        }
        assert_eq!(told(&incidents), [(Some(504), 24, 25, 2), (Some(504), 0, 13, 3)]);
        let between = |from: i64, to: i64| {
            incidents.between(from * SECOND_US, to * SECOND_US).map(|it| it.requests).sum::<u64>()
        };
        assert_eq!([between(0, 99), between(14, 99), between(5, 9), between(14, 20)], [5, 2, 3, 0]);
    }

    #[test]
    fn another_status_fault_or_backend_is_another_one() {
        let mut incidents = Incidents::default();
        incidents.add(0, Some(502), "connect_refused", Some(0));
        incidents.add(1, Some(502), "connect_refused", Some(1));
        incidents.add(2, Some(502), "reset", Some(1));
        incidents.add(3, Some(404), "", Some(1));
        incidents.add(4, Some(502), "connect_refused", Some(0));
        let counts: Vec<_> = incidents.between(0, 9).map(|it| it.requests).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut incidents = Incidents::default();
        for second in 0..300 {
            incidents.add(second * 20 * SECOND_US, None, "", None);
        }
        let known = told(&incidents);
        assert_eq!((known.len(), known[199].1), (INCIDENTS_MAX, 100 * 20));
        // One that goes on is not the oldest.
        incidents.add((100 * 20 + 1) * SECOND_US, None, "", None);
        incidents.add(9_999 * SECOND_US, Some(500), "", None);
        assert_eq!(told(&incidents)[1], (None, 100 * 20, 100 * 20 + 1, 2));
    }
}
