//! The clients of a scenario: they send its load, at the instants at which the simulator does, and
//! count what becomes of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::{CreationError, Histogram};
use tidegate::time::format_duration;

use super::super::load::{End, Traffic};
use super::results::Tally;
use crate::scenario::{Class, Load, PATIENCE, Request, Requests, Scenario, Streams};

/// How long a client of a closed loop waits after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// Latencies are exact to so many digits.
const DIGITS: u8 = 4;

/// What the clients saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// Of requests whose intended start was in the measured part. Long polls are left out.
    pub(super) all: Tally,
    /// The same, by focus.
    pub(super) focus: Vec<Tally>,
    /// From the beginning to the end, with the warm-up.
    pub(super) bins: Vec<Bin>,
    /// By how much requests of the measured part were sent too late, in µs.
    pub(super) lag: Histogram<u64>,
    /// Requests of the measured part, long polls included.
    pub(super) sent: u64,
    /// All requests that were sent.
    pub(super) total: u64,
}

/// What the clients saw of requests that came in a part of the time.
#[derive(Clone, Debug, Default)]
pub(super) struct Bin {
    /// In µs.
    latencies: Vec<u64>,
    pub(super) errors: u64,
}

impl Bin {
    pub(super) fn requests(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// The latencies, in ms, that these parts of the requests did not exceed.
    pub(super) fn quantiles_ms<const N: usize>(&mut self, parts: [f64; N]) -> [f64; N] {
        self.latencies.sort_unstable();
        parts.map(|part| {
            let rank = (part * self.latencies.len() as f64).ceil().max(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "1 or more"
            )]
            self.latencies.get(rank as usize - 1).map_or(0.0, |us| *us as f64 / 1e3)
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Clients<'a> {
    scenario: &'a Scenario,
    requests: Requests<'a>,
    /// When the script begins.
    begin: Instant,
    /// The measured part, since the beginning.
    measured: Range<Duration>,
    bin: Duration,
    /// When clients of a closed loop send their next requests.
    ready: BinaryHeap<Reverse<Instant>>,
    /// What comes before the seed in a request of each class, what follows it, and the head for
    /// each target.
    paths: Vec<String>,
    classes: Vec<String>,
    heads: Vec<String>,
    /// Requests that are measured and under way.
    open: u64,
    seen: Seen,
}

/// A request and its intended start.
#[derive(Debug)]
pub(super) struct Ticket {
    start: Instant,
    request: Request,
}

impl<'a> Clients<'a> {
    /// The clients of one round, which count in bins of this length.
    pub(super) fn new(
        scenario: &'a Scenario,
        seed: u64,
        targets: &[SocketAddr],
        begin: Instant,
        bin: Duration,
    ) -> Result<Self, CreationError> {
        let Streams { arrivals, requests, .. } = Streams::new(seed);
        let tally = Tally { latencies: Histogram::new(DIGITS)?, errors: Vec::new() };
        let end = scenario.run.warm_up + scenario.run.length;
        let bins = end.as_nanos().div_ceil(bin.as_nanos());
        let clients = match scenario.load {
            Load::Closed { clients } => clients,
            Load::Open { .. } => 0,
        };
        Ok(Self {
            scenario,
            requests: Requests::new(scenario, arrivals, requests),
            begin,
            measured: scenario.run.warm_up..end,
            bin,
            ready: std::iter::repeat_n(Reverse(begin), clients).collect(),
            classes: scenario.classes.iter().map(query).collect(),
            paths: paths(&scenario.classes),
            heads: targets.iter().map(|to| format!(" HTTP/1.1\r\nHost: {to}\r\n\r\n")).collect(),
            open: 0,
            seen: Seen {
                focus: vec![tally.clone(); scenario.focus.len()],
                all: tally,
                bins: vec![Bin::default(); usize::try_from(bins).unwrap_or(0)],
                lag: Histogram::new(DIGITS)?,
                sent: 0,
                total: 0,
            },
        })
    }

    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }

    fn since_begin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begin)
    }

    /// Whether it is part of what is measured.
    fn is_measured(&self, ticket: &Ticket) -> bool {
        self.measured.contains(&self.since_begin(ticket.start))
    }

    fn is_poll(&self, ticket: &Ticket) -> bool {
        self.scenario.classes[ticket.request.class].wait.is_some()
    }
}

/// How a request of each class begins. Classes have paths of their own, so that logs tell them from
/// each other.
fn paths(classes: &[Class]) -> Vec<String> {
    let path = |class: &Class| {
        if classes.len() == 1 {
            return "GET /?seed=".to_owned();
        }
        let name = class.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("GET /{name}?seed=")
    };
    classes.iter().map(path).collect()
}

/// The part of a query that makes a request one of this class.
fn query(class: &Class) -> String {
    let wait = class.wait.map(|wait| format!("&wait={}", format_duration(wait)));
    format!("&cost={}{}", class.cost, wait.unwrap_or_default())
}

/// The kind of an error; `None` for an answer.
fn error_of(end: End) -> Option<String> {
    Some(match end {
        End::Answered(..400) => return None,
        End::Answered(status) => status.to_string(),
        End::Refused => "refused".to_owned(),
        End::Reset => "reset".to_owned(),
        End::Closed => "closed".to_owned(),
        End::Invalid => "invalid".to_owned(),
        End::Unanswered => "unanswered".to_owned(),
    })
}

fn record(tally: &mut Tally, us: u64, error: Option<&str>) {
    // A histogram that grows takes every value.
    let _ = tally.latencies.record(us);
    let Some(error) = error else { return };
    match tally.errors.iter_mut().find(|(kind, _)| kind == error) {
        Some((_, count)) => *count += 1,
        None => tally.errors.push((error.to_owned(), 1)),
    }
}

impl Traffic for Clients<'_> {
    type Ticket = Ticket;

    fn next_start(&self) -> Option<Instant> {
        match self.requests.next_at() {
            Some(at) => Some(self.begin + at),
            None => self.ready.peek().map(|Reverse(start)| *start),
        }
    }

    fn take(&mut self, start: Instant) -> (usize, Ticket) {
        self.ready.pop();
        let request = self.requests.take(self.since_begin(start));
        let ticket = Ticket { start, request };
        if self.is_measured(&ticket) {
            self.seen.sent += 1;
            self.open += u64::from(!self.is_poll(&ticket));
        }
        (request.proxy, ticket)
    }

    fn send(&mut self, ticket: &Ticket, now: Instant, bytes: &mut Vec<u8>) {
        self.seen.total += 1;
        if self.is_measured(ticket) {
            let _ = self.seen.lag.record(micros(now - ticket.start));
        }
        let Request { class, proxy, seed, .. } = ticket.request;
        let seed = seed.to_string();
        for part in [&self.paths[class], &seed, &self.classes[class], &self.heads[proxy]] {
            bytes.extend_from_slice(part.as_bytes());
        }
    }

    fn ended(&mut self, ticket: Ticket, end: End, now: Instant) {
        let error = error_of(end);
        if self.requests.next_at().is_none() {
            let pause = if error.is_some() { RETRY_PAUSE } else { Duration::ZERO };
            self.ready.push(Reverse(now + pause));
        }
        if self.is_poll(&ticket) {
            return;
        }
        let us = micros(now - ticket.start).max(1);
        let at = self.since_begin(ticket.start);
        let index = usize::try_from(at.as_nanos() / self.bin.as_nanos()).unwrap_or(usize::MAX);
        if let Some(bin) = self.seen.bins.get_mut(index).filter(|_| at < self.measured.end) {
            bin.latencies.push(us);
            bin.errors += u64::from(error.is_some());
        }
        if self.is_measured(&ticket) {
            self.open -= 1;
            record(&mut self.seen.all, us, error.as_deref());
            for (index, focus) in self.seen.focus.iter_mut().enumerate() {
                if ticket.request.focus >> index & 1 == 1 {
                    record(focus, us, error.as_deref());
                }
            }
        }
    }

    fn settle(&mut self, now: Instant) -> Option<Instant> {
        let end = self.begin + self.measured.end;
        let last = end + PATIENCE;
        if now < end {
            return Some(end);
        }
        (self.open > 0 && now < last).then_some(last)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
