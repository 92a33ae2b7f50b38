//! Requests one by one: the latest, and of those before them the ones that failed.

use std::collections::VecDeque;

use super::estimate::Averages;
use super::model::{copy, micros};
use crate::endpoint::Client;
use crate::journal::Row;

/// How many of the latest are remembered.
const LATEST_MAX: usize = 5_000;

/// How many that failed are remembered, because the latest may all be good ones.
const FAILED_MAX: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The newest at the back.
    latest: VecDeque<Request>,
    /// Those that failed and are no longer among the latest.
    failed: VecDeque<Request>,
}

/// One request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) timestamp_us: i64,
    /// An index into the backends.
    pub(super) backend: Option<usize>,
    pub(super) latency_us: Option<u64>,
    pub(super) connect_us: Option<u64>,
    pub(super) first_byte_us: Option<u64>,
    /// How long it waited because all backends were full.
    pub(super) queue_us: Option<u64>,
    pub(super) started_us: Option<i64>,
    pub(super) client: Option<Client>,
    pub(super) status: Option<u16>,
    pub(super) attempts: Option<u32>,
    pub(super) worker: Option<usize>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) fault: String,
    /// Why its backend was chosen; empty if the log does not say.
    pub(super) reason: String,
    /// How many requests its backend had in flight then.
    pub(super) in_flight: Option<u32>,
    /// What became of its second attempt, and where that went; empty if it had none.
    pub(super) hedge: String,
    pub(super) hedge_backend: String,
    pub(super) is_error: bool,
    /// In a log of another tool, the averages of its backend after this request.
    pub(super) averages: Averages,
}

/// Which requests are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) is_error: bool,
    /// Those that took at least so long.
    pub(super) slow_us: Option<u64>,
    /// The name of a backend.
    pub(super) backend: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) fault: Option<String>,
    /// Why its backend was chosen.
    pub(super) reason: Option<String>,
    /// Those that ended from here to there.
    pub(super) from_us: Option<i64>,
    pub(super) to_us: Option<i64>,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.latest.len()
    }

    /// The latest ones, the newest first.
    pub(super) fn latest(&self) -> impl Iterator<Item = &Request> {
        self.latest.iter().rev()
    }

    /// Those that are asked for, the newest first; `backends` are the names.
    pub(super) fn matching<'a>(
        &'a self,
        filter: &'a Filter,
        is_backend: impl Fn(usize) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Request> {
        let all = self.latest().chain(self.failed.iter().rev());
        all.filter(move |request| filter.takes(request, &is_backend))
    }

    /// Remembers the request of a row.
    pub(super) fn add(&mut self, row: &Row<'_>, backend: Option<usize>, averages: Averages) {
        // An entry that is forgotten is used again, because its texts have memory already.
        let mut request = self.make_room().unwrap_or_default();
        request.timestamp_us = row.timestamp_us;
        request.backend = backend;
        request.latency_us = row.latency.map(micros);
        request.connect_us = row.connect.map(micros);
        request.first_byte_us = row.first_byte.map(micros);
        request.queue_us = row.queue.map(micros);
        request.started_us = row.started_us;
        request.client = row.client;
        request.status = row.status;
        request.attempts = row.attempts;
        request.worker = row.worker;
        request.is_error = row.is_error();
        copy(&mut request.method, &String::from_utf8_lossy(row.method.unwrap_or_default()));
        copy(&mut request.path, &String::from_utf8_lossy(row.path.unwrap_or_default()));
        copy(&mut request.fault, row.fault.unwrap_or_default());
        copy(&mut request.reason, row.reason.unwrap_or_default());
        request.in_flight = row.in_flight;
        copy(&mut request.hedge, row.hedge.unwrap_or_default());
        copy(&mut request.hedge_backend, row.hedge_backend_url.unwrap_or_default());
        request.averages = averages;
        self.latest.push_back(request);
    }

    /// Forgets the oldest, if there are as many as may be.
    fn make_room(&mut self) -> Option<Request> {
        let oldest = (self.latest.len() == LATEST_MAX).then(|| self.latest.pop_front())??;
        if !oldest.is_error {
            return Some(oldest);
        }
        let room = self.failed.len() == FAILED_MAX;
        let forgotten = room.then(|| self.failed.pop_front()).flatten();
        self.failed.push_back(oldest);
        forgotten
    }
}

impl Filter {
    fn takes(&self, request: &Request, is_backend: impl Fn(usize) -> bool) -> bool {
        let time = request.timestamp_us;
        (request.is_error || !self.is_error)
            && self.slow_us.is_none_or(|slow| request.latency_us.is_some_and(|it| it >= slow))
            && (self.backend.is_none() || request.backend.is_some_and(is_backend))
            && self.status.is_none_or(|status| request.status == Some(status))
            && self.fault.as_ref().is_none_or(|fault| request.fault == *fault)
            && self.reason.as_ref().is_none_or(|reason| request.reason == *reason)
            && self.from_us.is_none_or(|from| time >= from)
            && self.to_us.is_none_or(|to| time <= to)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::row;
    use super::*;

    const MS: i64 = 1_000;

    /// So many requests, each a millisecond later and slower; every tenth fails.
    fn requests(count: i64) -> Requests {
        let mut requests = Requests::default();
        for number in 0..count {
            let latency = Duration::from_millis(number.unsigned_abs());
            let status = Some(if number % 10 == 0 { 503 } else { 200 });
            let row = Row { status, ..row(number * MS, "a", latency) };
            let backend = (number % 3 > 0).then_some(usize::from(number % 3 == 1));
            requests.add(&row, backend, Averages::default());
        }
        requests
    }

    fn times(requests: &Requests, filter: &Filter) -> Vec<i64> {
        requests.matching(filter, |backend| backend == 1).map(|it| it.timestamp_us / MS).collect()
    }

    #[test]
    fn the_latest_are_remembered_and_of_the_others_those_that_failed() {
        let requests = requests(20_000);
        assert_eq!(requests.len(), LATEST_MAX);
        let all = times(&requests, &Filter::default());
        assert_eq!((all.len(), all[0], all[LATEST_MAX - 1]), (6_000, 19_999, 15_000));
        assert_eq!((all[LATEST_MAX], all[5_999]), (14_990, 5_000), "the newest first");
        let errors = times(&requests, &Filter { is_error: true, ..Filter::default() });
        assert_eq!((errors.len(), errors[0]), (1_500, 19_990));
    }

    #[test]
    fn they_are_found_by_error_time_slowness_and_backend() {
        let requests = requests(40);
        let every = Filter::default();
        let slow = Filter { slow_us: Some(37_000), ..every.clone() };
        assert_eq!(times(&requests, &slow), [39, 38, 37]);
        let within = Filter { from_us: Some(5 * MS), to_us: Some(6 * MS), ..every.clone() };
        assert_eq!(times(&requests, &within), [6, 5]);
        let backend = Some("a".to_owned());
        let one = Filter { backend: backend.clone(), to_us: Some(8 * MS), ..every.clone() };
        assert_eq!(times(&requests, &one), [7, 4, 1]);
        let failed = Filter { is_error: true, backend, ..every };
        assert_eq!(times(&requests, &failed), [10], "0 went to none, 20 and 30 elsewhere");
    }
}
