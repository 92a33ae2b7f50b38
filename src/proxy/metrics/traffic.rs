//! What became of requests: of all, or of those that a backend had.

use super::counter::Counter;
use super::faults::{FaultCounters, Faults, merge_faults};
use crate::journal::Record;

/// What kind of answer a client got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerClass {
    /// 1xx: the connection changed its protocol.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx but 499.
    ClientError,
    /// 5xx, and what a backend made up above that.
    ServerError,
    /// 499: the client left before.
    ClientGone,
}

impl AnswerClass {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// The class of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            499 => Self::ClientGone,
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

/// One worker's counts.
#[derive(Debug, Default)]
pub(super) struct TrafficCounters {
    answers: [Counter; AnswerClass::COUNT],
    request_bytes: Counter,
    response_bytes: Counter,
    retries: Counter,
    /// Answers below 400 with a fault: those that broke off.
    broken: Counter,
    faults: FaultCounters,
}

impl TrafficCounters {
    /// Counts a request that ended, and its answer of that class.
    pub(super) fn record(&self, record: &Record<'_>, class: AnswerClass) {
        self.answers[class as usize].add(1);
        self.request_bytes.add(record.request_bytes);
        self.response_bytes.add(record.response_bytes);
        if record.attempts > 1 {
            self.retries.add(u64::from(record.attempts - 1));
        }
        if let Some(label) = record.fault {
            self.record_fault(label, record.status);
        }
    }

    #[cold]
    fn record_fault(&self, label: &'static str, status: u16) {
        if status < 400 {
            self.broken.add(1);
        }
        self.faults.add(label);
    }
}

/// What became of requests up to some moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Requests that ended, by the class of their answer; see [`Traffic::answers`].
    answers: [u64; AnswerClass::COUNT],
    broken: u64,
    /// Bytes of requests that came from clients.
    pub request_bytes: u64,
    /// Bytes of responses that went to clients.
    pub response_bytes: u64,
    /// Attempts beyond the first of their request, hedges included.
    pub retries: u64,
    /// Requests by the label of what went wrong.
    pub faults: Faults,
}

impl Traffic {
    pub(super) fn add(&mut self, counters: &TrafficCounters) {
        for (sum, counter) in self.answers.iter_mut().zip(&counters.answers) {
            *sum += counter.get();
        }
        self.broken += counters.broken.get();
        self.request_bytes += counters.request_bytes.get();
        self.response_bytes += counters.response_bytes.get();
        self.retries += counters.retries.get();
        counters.faults.sum_into(&mut self.faults);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.answers.iter_mut().zip(other.answers) {
            *sum += count;
        }
        self.broken += other.broken;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.retries += other.retries;
        merge_faults(&mut self.faults, &other.faults);
    }

    /// Requests that ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answers.iter().sum()
    }

    /// Those of them that were answered so.
    #[must_use]
    pub fn answers(&self, class: AnswerClass) -> u64 {
        self.answers[class as usize]
    }

    /// Those of them that were answered 4xx or 5xx or had a fault.
    #[must_use]
    pub fn errors(&self) -> u64 {
        use AnswerClass::{ClientError, ClientGone, ServerError};
        let classes = [ClientError, ClientGone, ServerError];
        self.broken + classes.iter().map(|class| self.answers(*class)).sum::<u64>()
    }
}
