//! Everything the dashboard knows of a log, counted row by row.
//!
//! Its size depends on the number of backends, up to a limit, and not on the number of rows. It
//! knows neither files nor clocks: times are those of the rows.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::balance::MAX_BACKENDS;
use crate::decision::Logged;
use crate::journal::{Days, LineError, Row, Span};

use super::cell::{Cell, Counted};
use super::description::Description;
use super::estimate::{Averages, Estimator};
use super::incidents::Incidents;
use super::recorded::Recorded;
use super::requests::Requests;
use super::switches::Switches;
use super::timeline::{Timeline, WhenFull};

/// The longest window that is shown second by second.
pub(super) const RECENT_SECONDS: i64 = 300;

/// How many points a line has at most that shows all since reading began.
pub(super) const WHOLE_SLOTS: i64 = 300;

/// A log is being written if its latest rows are at most a day from now.
const DAY_US: u64 = 86_400_000_000;

/// Over how many of the latest requests there is a mean.
pub(super) const LATEST_REQUESTS: usize = 200;

/// Text from the log is cut to this length where it is kept.
const TEXT_CHARS_MAX: usize = 200;

/// Lane 0 of the timelines counts requests without a backend; backend `i` has lane `i + 1`.
pub(super) const NOT_DISPATCHED: usize = 0;

/// The name under which backends beyond [`MAX_BACKENDS`] are counted.
const MORE_BACKENDS: &str = "more backends";

/// How many reasons are counted apart. Our proxy has half as many.
const REASONS_MAX: usize = 16;

/// The reason of a request that was sent again, and what a row says if a second attempt answered
/// first.
const RETRY: &str = "retry";
const HEDGE_WON: &str = "won";

/// The name under which others are counted.
const MORE_REASONS: &str = "other";

/// See the module.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) backends: Vec<Backend>,
    lanes: HashMap<String, usize>,
    /// The last [`RECENT_SECONDS`].
    pub(super) recent: Timeline,
    /// All since reading began.
    pub(super) whole: Timeline,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) each: Requests,
    pub(super) incidents: Incidents,
    /// The newest lines of the decision log.
    pub(super) recorded: Recorded,
    /// The reasons for choices in the order in which they first appeared, which is their number.
    pub(super) reasons: Vec<String>,
    pub(super) routing_mode: String,
    /// When another one began.
    pub(super) switches: Switches,
    pub(super) connection: Option<String>,
    /// What the proxy wrote beside the log, from the first row with its policy on.
    pub(super) description: Option<Description>,
    /// The same before that row. It may be of a policy that has no row yet, or of an earlier run.
    pending: Option<Description>,
    /// Whether a row had a worker, as only rows of our proxy do.
    is_ours: bool,
    days: Days,
    /// The rows that are shown: all but the outliers.
    span: Option<Span>,
    /// The time of a row near the present, if the log is being written.
    present_us: Option<i64>,
    pub(super) broken_lines: u64,
    pub(super) last_broken: Option<LineError>,
}

/// A backend as the log names it, and its counts since reading began.
#[derive(Debug, Default)]
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// How often it was chosen for which reason.
    pub(super) reasons: BTreeMap<String, u64>,
    /// The time of its newest request, and how it ended.
    pub(super) last: Option<Ended>,
    estimator: Estimator,
}

/// How the newest requests of a backend ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// When the newest ended.
    pub(super) at_us: i64,
    /// Whether it failed because of the backend or the way there.
    pub(super) has_failed: bool,
    /// When the first of those ended that ended like it, one after the other.
    pub(super) since_us: i64,
    /// Whether that is the first request that is known.
    pub(super) is_first: bool,
}

impl Backend {
    fn learn(&mut self, row: &Row<'_>) {
        let (at_us, has_failed) = (row.timestamp_us, has_failed(row));
        let same = self.last.filter(|last| last.has_failed == has_failed);
        let since_us = same.map_or(at_us, |last| last.since_us);
        let is_first = self.last.is_none_or(|last| last.is_first && same.is_some());
        self.last = Some(Ended { at_us, has_failed, since_us, is_first });
        if let Some(reason) = row.reason {
            self.count_reason(reason);
        }
        if let (None, Some(latency)) = (row.worker, row.latency) {
            self.estimator.observe(latency);
        }
    }

    fn count_reason(&mut self, reason: &str) {
        if let Some(count) = self.reasons.get_mut(reason) {
            *count += 1;
            return;
        }
        let is_known = reason.len() <= TEXT_CHARS_MAX && self.reasons.len() < REASONS_MAX;
        let reason = if is_known { reason } else { MORE_REASONS };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }

    pub(super) fn averages(&self) -> Averages {
        self.estimator.averages()
    }
}

impl Model {
    /// A model of a log before its first row.
    pub(super) fn new(description: Option<Description>) -> Self {
        Self {
            backends: Vec::new(),
            lanes: HashMap::new(),
            recent: Timeline::new(RECENT_SECONDS, WhenFull::Forget),
            whole: Timeline::new(WHOLE_SLOTS, WhenFull::Widen),
            requests: 0,
            errors: 0,
            each: Requests::default(),
            incidents: Incidents::default(),
            recorded: Recorded::default(),
            reasons: Vec::new(),
            routing_mode: String::new(),
            switches: Switches::default(),
            connection: None,
            description: None,
            pending: description,
            is_ours: false,
            days: Days::default(),
            span: None,
            present_us: None,
            broken_lines: 0,
            last_broken: None,
        }
    }

    pub(super) fn feed(&mut self, row: Result<Row<'_>, LineError>) {
        match row {
            Ok(row) if row.is_probe() => {}
            Ok(row) => self.row(&row),
            Err(error) => {
                self.broken_lines += 1;
                self.last_broken = Some(error);
            }
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        if row.routing_mode != self.routing_mode {
            self.describe(row.routing_mode);
        }
        let backend = row.backend_url.map(|url| self.backend(url));
        self.is_ours |= row.worker.is_some();
        self.count(row, backend);
        if row.is_error() {
            let mut fault = String::new();
            copy(&mut fault, row.fault.unwrap_or_default());
            self.incidents.add(row.timestamp_us, row.status, &fault, backend);
        }
        let averages = backend.map(|index| self.backends[index].averages()).unwrap_or_default();
        self.each.add(row, backend, averages);
        if row.routing_mode != self.routing_mode {
            self.switches.add(row.timestamp_us, &self.routing_mode, row.routing_mode);
            copy(&mut self.routing_mode, row.routing_mode);
        }
        if row.connection != self.connection.as_deref() {
            self.connection =
                row.connection.map(|text| text.chars().take(TEXT_CHARS_MAX).collect());
        }
    }

    /// Uses what is beside the log, if it is of this policy.
    fn describe(&mut self, routing_mode: &str) {
        let Some(known) = self.pending.take_if(|known| known.is_of(routing_mode)) else { return };
        for backend in &known.backends {
            self.backend(&backend.url);
        }
        self.description = Some(known);
    }

    /// The policy of what is beside the log, if the newest row has another one.
    pub(super) fn other_policy(&self) -> Option<&str> {
        let known = self.pending.as_ref().or(self.description.as_ref())?;
        (self.requests > 0 && !known.is_of(&self.routing_mode)).then_some(&*known.policy)
    }

    /// Whether lines of the decision log can be taken in. Before the first row it is not known
    /// whether that is of this log, and which time is shown.
    pub(super) fn takes_choices(&self) -> bool {
        let has_description = self.description.is_some() || self.pending.is_some();
        self.requests > 0 && has_description
    }

    /// Takes in a line of the decision log. What is none is passed over. Call [`Model::settle`]
    /// before, because only choices of the time that is shown are counted.
    pub(super) fn choice(&mut self, line: &[u8], now_us: i64) {
        let Ok(choice) = serde_json::from_slice::<Logged<'static>>(line) else { return };
        self.recorded.add(&choice.request, line);
        let Ok(time) = choice.time.parse::<Timestamp>() else { return };
        let second = second(time.as_microsecond());
        if !self.may_be_shown(second, now_us) {
            return;
        }
        for candidate in &choice.decision.candidates {
            let backend = self.backend(&candidate.url);
            let is_chosen = candidate.url == choice.decision.chosen;
            self.recent.note(second, backend + 1, candidate, is_chosen);
            self.whole.note(second, backend + 1, candidate, is_chosen);
        }
    }

    /// Whether this second is shown, or may be soon: a row comes after the choice for it.
    fn may_be_shown(&self, at: i64, now_us: i64) -> bool {
        let soon = |span: Span| match self.present_us {
            Some(_) => second(now_us.max(span.last_us)),
            None => second(span.last_us),
        };
        let shown = |span: Span| second(span.first_us)..=soon(span) + RECENT_SECONDS;
        self.span.is_some_and(|span| shown(span).contains(&at))
    }

    /// The index of a backend, which is added when it is first named.
    fn backend(&mut self, url: &str) -> usize {
        if let Some(&known) = self.lanes.get(url) {
            return known;
        }
        let room = self.backends.len() < MAX_BACKENDS;
        let mut name = String::new();
        copy(&mut name, if room { url } else { MORE_BACKENDS });
        if let Some(&known) = self.lanes.get(&name) {
            return known;
        }
        let index = self.backends.len();
        self.lanes.insert(name.clone(), index);
        self.backends.push(Backend { name, ..Backend::default() });
        index
    }

    fn count(&mut self, row: &Row<'_>, backend: Option<usize>) {
        let is_error = row.is_error();
        self.requests += 1;
        self.errors += u64::from(is_error);
        if let Some(backend) = backend.map(|index| &mut self.backends[index]) {
            backend.requests += 1;
            backend.errors += u64::from(is_error);
            backend.learn(row);
        }
        self.place_in_time(row.timestamp_us);
        let second = second(row.timestamp_us);
        let lane = backend.map_or(NOT_DISPATCHED, |index| index + 1);
        let counted = Counted {
            latency_us: row.latency.map(micros),
            is_error,
            has_failed: has_failed(row),
            is_retry: row.reason == Some(RETRY)
                || row.hedge_backend_url.is_none() && row.attempts.is_some_and(|it| it > 1),
            in_flight: row.in_flight,
            reason: row.reason.map(|reason| self.reason(reason)),
            hedge_won: row.hedge.map(|hedge| hedge == HEDGE_WON),
            queue_us: row.queue.map(micros),
            connect_us: row.connect.map(micros),
            first_byte_us: row.first_byte.map(micros),
        };
        self.recent.add(second, lane, counted);
        self.whole.add(second, lane, counted);
    }

    /// The number of a reason, which is added when it is first named.
    fn reason(&mut self, reason: &str) -> usize {
        let place = |known: &str, all: &[String]| all.iter().position(|it| it == known);
        if let Some(number) = place(reason, &self.reasons) {
            return number;
        }
        let is_known = reason.len() <= TEXT_CHARS_MAX && self.reasons.len() < REASONS_MAX;
        let reason = if is_known { reason } else { MORE_REASONS };
        place(reason, &self.reasons).unwrap_or_else(|| {
            self.reasons.push(reason.to_owned());
            self.reasons.len() - 1
        })
    }

    fn place_in_time(&mut self, timestamp_us: i64) {
        self.days.add(timestamp_us);
        let has_all = self.outlier_rows() == 1;
        match &mut self.span {
            Some(span) if span.has(timestamp_us) => span.rows += 1,
            // If there are no outliers that it might connect, a row near the others is one of them.
            Some(span) if has_all && span.is_near(timestamp_us) => {
                span.add(timestamp_us);
                let span = *span;
                self.show_span(span);
            }
            _ => self.show(),
        }
    }

    /// Finds out whether the log is being written. If so, the present is shown, even if there are
    /// more rows of last week.
    pub(super) fn settle(&mut self, now_us: i64) {
        let latest = self.each.latest().take(LATEST_REQUESTS);
        let mut times: Vec<_> = latest.map(|request| request.timestamp_us).collect();
        times.sort_unstable();
        let median_us = times.get(times.len() / 2).copied();
        let present_us = median_us.filter(|median_us| median_us.abs_diff(now_us) <= DAY_US);
        if self.present_us.is_some() || present_us.is_some() {
            self.present_us = present_us;
            self.show();
        }
    }

    fn show(&mut self) {
        let present = self.present_us.and_then(|present_us| self.days.span_around(present_us));
        self.span = present.or_else(|| self.days.span());
        if let Some(span) = self.span {
            self.show_span(span);
        }
    }

    fn show_span(&mut self, span: Span) {
        let seconds = second(span.first_us)..=second(span.last_us);
        self.recent.show(seconds.clone());
        self.whole.show(seconds);
    }

    /// The lanes of the timelines.
    pub(super) fn lanes(&self) -> std::ops::RangeInclusive<usize> {
        NOT_DISPATCHED..=self.backends.len()
    }

    /// The times of the first and of the newest row that is shown, in microseconds.
    pub(super) fn span_us(&self) -> Option<(i64, i64)> {
        self.span.map(|span| (span.first_us, span.last_us))
    }

    /// How many rows are in no window because their times are outliers.
    pub(super) fn outlier_rows(&self) -> u64 {
        self.requests - self.span.map_or(0, |span| span.rows)
    }

    /// Whether the log is one of another tool, which does not say why a backend was chosen.
    pub(super) fn is_foreign(&self) -> bool {
        self.requests > 0 && !self.is_ours
    }

    /// The mean latency of the latest requests in microseconds; `None` if none has a latency.
    pub(super) fn latest_mean_us(&self) -> Option<f64> {
        let mut sum = Cell::default();
        for request in self.each.latest().take(LATEST_REQUESTS) {
            sum.add(Counted { latency_us: request.latency_us, ..Counted::default() });
        }
        sum.mean_us()
    }
}

/// Seconds since 1970.
fn second(timestamp_us: i64) -> i64 {
    timestamp_us.div_euclid(1_000_000)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Whether the request failed, and not because of its client.
fn has_failed(row: &Row<'_>) -> bool {
    row.is_error() && !is_by_client(row.status, row.fault.unwrap_or_default())
}

/// Whether an error is its client's. Once an answer has begun, the status does not tell; a tunnel
/// in which nobody sends anything is no failure, either.
pub(super) fn is_by_client(status: Option<u16>, fault: &str) -> bool {
    const FAULTS: [&str; 5] =
        ["client_gone", "client_stalled", "request_incomplete", "body_timeout", "tunnel_timeout"];
    let is_backends = ["response_", "upstream_"].iter().any(|side| fault.starts_with(side));
    let is_4xx = status.is_some_and(|status| (400..500).contains(&status));
    !is_backends && (is_4xx || FAULTS.contains(&fault))
}

/// Replaces `kept` by the beginning of `text`, in the memory it has.
pub(super) fn copy(kept: &mut String, text: &str) {
    kept.clear();
    kept.extend(text.chars().take(TEXT_CHARS_MAX));
}

#[cfg(test)]
mod tests;
