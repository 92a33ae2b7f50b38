//! What is counted of the requests of one backend in one span of time.

use super::histogram::Histogram;
use super::rounding::millis;

/// What is counted of one request. All times are in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) latency_us: Option<u64>,
    pub(super) is_error: bool,
    /// Whether it failed, and not because of its client.
    pub(super) has_failed: bool,
    /// Whether an attempt of it had failed.
    pub(super) is_retry: bool,
    /// How many its backend had in flight when it was chosen.
    pub(super) in_flight: Option<u32>,
    /// The number of the reason why its backend was chosen.
    pub(super) reason: Option<usize>,
    /// Whether its second attempt answered first; `None` if it had none.
    pub(super) hedge_won: Option<bool>,
    /// How long it waited because all backends were full; `None` if it did not.
    pub(super) queue_us: Option<u64>,
    pub(super) connect_us: Option<u64>,
    pub(super) first_byte_us: Option<u64>,
}

/// The requests of one lane in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) failures: u64,
    pub(super) retries: u64,
    /// The sum of the latencies in `latencies`, and the longest of them.
    latency_sum_us: u64,
    longest_us: u64,
    /// The latencies of those requests that have one.
    pub(super) latencies: Histogram,
    /// What requests found in flight.
    in_flight: Sum,
    /// How long those waited that did, and the longest of these times.
    queue: Sum,
    longest_queue_us: u64,
    /// Where the time of answered requests went.
    parts: Parts,
    /// How many were sent for each reason, by its number.
    reasons: Vec<u32>,
    /// Requests with a second attempt: how many of these answered first, and how many did not.
    hedges: [u64; 2],
}

/// A sum of so many values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    count: u64,
    total: u64,
}

impl Sum {
    pub(super) fn add(&mut self, value: u64) {
        self.count += 1;
        self.total = self.total.saturating_add(value);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
    }

    /// `None` of no values.
    pub(super) fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.total as f64 / self.count as f64)
    }
}

/// Sums over the requests of which the time to the first byte of the answer is known, in
/// microseconds. One part follows the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) requests: u64,
    pub(super) queue: u64,
    pub(super) connect: u64,
    /// From the connection to the first byte of the answer.
    pub(super) wait: u64,
    /// The rest: earlier attempts, sending the request, and the body of the answer.
    pub(super) rest: u64,
}

impl Parts {
    fn add(&mut self, request: Counted) {
        let (Some(latency), Some(first_byte)) = (request.latency_us, request.first_byte_us) else {
            return;
        };
        let connect = request.connect_us.unwrap_or(0).min(first_byte);
        self.merge(Self {
            requests: 1,
            queue: request.queue_us.unwrap_or(0),
            connect,
            wait: first_byte - connect,
            rest: latency.saturating_sub(first_byte),
        });
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.queue = self.queue.saturating_add(other.queue);
        self.connect = self.connect.saturating_add(other.connect);
        self.wait = self.wait.saturating_add(other.wait);
        self.rest = self.rest.saturating_add(other.rest);
    }
}

impl Cell {
    pub(super) fn add(&mut self, request: Counted) {
        self.requests += 1;
        self.errors += u64::from(request.is_error);
        self.failures += u64::from(request.has_failed);
        self.retries += u64::from(request.is_retry);
        if let Some(latency_us) = request.latency_us {
            self.latencies.add(latency_us);
            self.latency_sum_us = self.latency_sum_us.saturating_add(latency_us);
            self.longest_us = self.longest_us.max(latency_us);
        }
        if let Some(in_flight) = request.in_flight {
            self.in_flight.add(in_flight.into());
        }
        if let Some(queue_us) = request.queue_us {
            self.queue.add(queue_us);
            self.longest_queue_us = self.longest_queue_us.max(queue_us);
        }
        self.parts.add(request);
        if let Some(reason) = request.reason {
            let count = self.reason(reason);
            *count = count.saturating_add(1);
        }
        if let Some(has_won) = request.hedge_won {
            self.hedges[usize::from(!has_won)] += 1;
        }
    }

    fn reason(&mut self, reason: usize) -> &mut u32 {
        if self.reasons.len() <= reason {
            self.reasons.resize(reason + 1, 0);
        }
        &mut self.reasons[reason]
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.failures += other.failures;
        self.retries += other.retries;
        self.latency_sum_us = self.latency_sum_us.saturating_add(other.latency_sum_us);
        self.longest_us = self.longest_us.max(other.longest_us);
        self.latencies.merge(&other.latencies);
        self.in_flight.merge(other.in_flight);
        self.queue.merge(other.queue);
        self.longest_queue_us = self.longest_queue_us.max(other.longest_queue_us);
        self.parts.merge(other.parts);
        for (reason, count) in other.reasons.iter().enumerate() {
            let own = self.reason(reason);
            *own = own.saturating_add(*count);
        }
        for (own, other) in self.hedges.iter_mut().zip(other.hedges) {
            *own += other;
        }
    }

    /// The longest latency in milliseconds; `None` without one.
    pub(super) fn longest_ms(&self) -> Option<f64> {
        (self.latencies.total() > 0).then(|| millis(self.longest_us as f64))
    }

    /// The latency in milliseconds that so large a share does not exceed; `None` without one.
    pub(super) fn ms(&self, share: f64) -> Option<f64> {
        self.latencies.quantile_us(share).map(|us| millis(us as f64))
    }

    /// How many requests found in flight on average; `None` if none tells it.
    pub(super) fn in_flight(&self) -> Option<f64> {
        self.in_flight.mean()
    }

    /// How many were sent for the reason of this number.
    pub(super) fn of_reason(&self, reason: usize) -> u64 {
        self.reasons.get(reason).copied().unwrap_or(0).into()
    }

    /// How many second attempts answered first, and how many did not.
    pub(super) fn hedges(&self) -> [u64; 2] {
        self.hedges
    }

    /// The mean latency in microseconds; `None` without one.
    pub(super) fn mean_us(&self) -> Option<f64> {
        let count = self.latencies.total();
        (count > 0).then(|| self.latency_sum_us as f64 / count as f64)
    }

    /// How many requests waited for a backend, how long they did together, and the longest.
    pub(super) fn queued(&self) -> [u64; 3] {
        [self.queue.count, self.queue.total, self.longest_queue_us]
    }

    pub(super) fn parts(&self) -> Parts {
        self.parts
    }

    /// The mean time to the first byte in microseconds; `None` if none is known.
    pub(super) fn first_byte_us(&self) -> Option<f64> {
        let Parts { requests, connect, wait, .. } = self.parts;
        (requests > 0).then(|| connect.saturating_add(wait) as f64 / requests as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_answered_requests_are_summed_and_others_left_out() {
        let answered = Counted {
            latency_us: Some(100),
            first_byte_us: Some(70),
            connect_us: Some(20),
            queue_us: Some(5),
            ..Counted::default()
        };
        let mut cell = Cell::default();
        cell.add(answered);
        cell.add(Counted { connect_us: None, queue_us: None, ..answered });
        let silent = Counted { first_byte_us: None, queue_us: Some(9), ..answered };
        cell.add(silent);
        let parts = Parts { requests: 2, queue: 5, connect: 20, wait: 120, rest: 60 };
        assert_eq!((cell.parts(), cell.queued()), (parts, [2, 14, 9]));
        assert_eq!(cell.first_byte_us(), Some(70.0));
        let mut both = cell.clone();
        both.merge(&cell);
        assert_eq!((both.parts().wait, both.queued()), (240, [4, 28, 9]));
        assert_eq!((Cell::default().first_byte_us(), Cell::default().in_flight()), (None, None));
    }
}
