//! The JSON for the page and `/data`: figures of the model and the state of the source, for one
//! window.
//!
//! Latencies are in milliseconds, times in milliseconds since 1970 UTC, shares between 0 and 1, and
//! what is unknown is null.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::{Cell, Parts};
use super::description::Description;
use super::estimate::{ALPHA, Averages, WINDOW};
use super::incidents::Incident;
use super::listed::Entry;
use super::model::{LATEST_REQUESTS, Model, NOT_DISPATCHED, is_by_client};
use super::rounding::{millis, round, rounded, share};
use super::series::{Series, busiest, requests};
use super::source::{State, Status};
use super::switches::Switch;
use super::timeline::Slot;
use super::window::Window;

/// How many of the latest requests are listed.
const LISTED_REQUESTS: usize = 50;

/// How many errors, or groups of them, are listed.
const LISTED_INCIDENTS: usize = 50;

/// A backend that had no request for so long before the newest row is quiet.
const QUIET_US: i64 = 5_000_000;

/// Over how many seconds the present rate is taken, without the newest second, which is not over.
const RATE_SECONDS: i64 = 5;

/// How long a row takes from its request's end to here, at most.
const LAG_US: i64 = 250_000;

/// See the module.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    source: Status,
    /// Why no new rows are shown; null while rows come.
    message: Option<String>,
    /// The routing mode of the newest row.
    mode: Option<String>,
    connection: Option<String>,
    /// Rows per second in the last seconds; 0 if none come any more.
    requests_per_s: f64,
    recent: Recent,
    window: Figures,
    since: Since,
    /// How the averages were computed; null for a log of ours, which says why a backend was chosen.
    estimates: Option<Estimates>,
    /// What the proxy wrote beside the log, if anything.
    description: Option<Description>,
    /// The policy of that, if it is not the one of the newest row.
    other_policy: Option<String>,
    backends: Vec<Backend>,
    not_dispatched: NotDispatched,
    series: Series,
    /// Errors of the window, those of one kind that followed each other as one; the newest first.
    incidents: Vec<Errors>,
    /// When the policy changed within the window.
    switches: Vec<Change>,
    latest: Vec<Entry>,
    /// Rows that are in no window and on no axis, because their times are outliers.
    outlier_rows: u64,
    broken_rows: u64,
    last_broken_row: Option<String>,
}

/// The latest requests, however old.
#[derive(Debug, Serialize)]
struct Recent {
    requests: usize,
    mean_ms: Option<f64>,
}

/// The figures of all requests of the window.
#[derive(Debug, Serialize)]
struct Figures {
    name: &'static str,
    end: End,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    requests: u64,
    requests_per_s: f64,
    /// 4xx, 5xx and faults.
    errors: u64,
    error_share: f64,
    /// Those of them that are not their clients'.
    failures: u64,
    failure_share: f64,
    #[serde(flatten)]
    latency: Latency,
    /// Null if the log does not tell.
    parts: Option<MeanParts>,
}

/// What a window ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// The log's proxy runs, or the last row is younger than the window is long.
    Now,
    LastRow,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "a field's name is its name in JSON")]
struct Latency {
    mean_ms: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// Errors of one kind that followed each other.
#[derive(Debug, Serialize)]
struct Errors {
    status: Option<u16>,
    fault: String,
    backend: Option<String>,
    from_ms: i64,
    to_ms: i64,
    requests: u64,
    by_client: bool,
}

/// Another policy than before.
#[derive(Debug, Serialize)]
struct Change {
    at_ms: i64,
    from: String,
    to: String,
}

/// Where the time of requests went on average, one part after the other, in milliseconds.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "a field's name is its name in JSON")]
struct MeanParts {
    /// Waiting for a backend that is not full.
    queue_ms: f64,
    connect_ms: f64,
    /// From there to the first byte of the answer.
    wait_ms: f64,
    /// Earlier attempts, sending the request, and the body of the answer.
    rest_ms: f64,
}

/// All since reading began.
#[derive(Debug, Serialize)]
struct Since {
    from_ms: Option<i64>,
    requests: u64,
    errors: u64,
}

/// How the averages were computed.
#[derive(Debug, Serialize)]
struct Estimates {
    label: &'static str,
    sma_window: usize,
    ewma_alpha: f64,
}

#[derive(Debug, Serialize)]
struct Backend {
    name: String,
    /// The name without its scheme.
    label: String,
    requests: u64,
    share: f64,
    errors: u64,
    failures: u64,
    requests_per_s: f64,
    retries: u64,
    /// What its requests found in flight there, on average; null if the log does not say.
    in_flight: Option<f64>,
    #[serde(flatten)]
    latency: Latency,
    /// Null if the log does not tell.
    parts: Option<MeanParts>,
    /// What its newest requests tell of it.
    state: BackendState,
    /// Since when they do; null without one.
    state_since_ms: Option<i64>,
    /// Whether it was so before, too, in what was left out of the log.
    state_is_older: bool,
    requests_since: u64,
    share_since: f64,
    errors_since: u64,
    /// How often it was chosen for which reason since reading began.
    reasons: BTreeMap<String, u64>,
    #[serde(flatten)]
    averages: Averages,
}

/// What the newest requests of a backend tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum BackendState {
    /// It has none.
    Unused,
    Answers,
    Fails,
    /// It has none lately, while others have some.
    Quiet,
}

/// Requests without a backend.
#[derive(Debug, Serialize)]
struct NotDispatched {
    requests: u64,
    requests_since: u64,
}

impl Snapshot {
    /// `stem` is the name of the log without its extension.
    pub(super) fn new(
        model: &Model,
        status: &Status,
        stem: Option<&str>,
        window: Window,
        now_us: i64,
    ) -> Self {
        let source = match (model.span_us(), &model.description) {
            (None, _) => status.without_rows(),
            (Some((_, newest_us)), Some(_)) => {
                status.without_requests(u64::try_from(second(now_us - newest_us)).unwrap_or(0))
            }
            (Some(_), None) => status.clone(),
        };
        let message = (source.state != State::Live).then(|| source.message.clone());
        let window = window.within(model);
        let end = end(model, &source, window, now_us);
        let (timeline, count) = window.of(model);
        let (start, slots) = match (end, window) {
            (End::Now, Window::Minute | Window::FiveMinutes) => {
                timeline.until(second(now_us), count)
            }
            (_, Window::Between(_, to)) => timeline.until(to, count),
            _ => timeline.newest(count),
        };
        let cells = model.lanes().map(|lane| sum(&slots, lane)).collect::<Vec<_>>();
        let order = order(model);
        let times = [start, timeline.slot_seconds()];
        let series = Series::new(model, times, &slots, busiest(&order, &cells));
        let window_figures = figures(model, window, end, now_us, &cells);
        let (seconds, skips) = (window_figures.seconds(), source.skipped_bytes > 0);
        Self {
            message,
            mode: Some(model.routing_mode.clone()).filter(|mode| !mode.is_empty()),
            connection: model.connection.clone().or_else(|| connection_of(stem?)),
            requests_per_s: rate(model, &source, now_us),
            recent: Recent {
                requests: model.each.len().min(LATEST_REQUESTS),
                mean_ms: model.latest_mean_us().map(millis),
            },
            incidents: incidents(model, &window_figures),
            switches: switches(model, &window_figures),
            window: window_figures,
            since: Since {
                from_ms: model.span_us().map(|(first_us, _)| first_us.div_euclid(1000)),
                requests: model.requests,
                errors: model.errors,
            },
            estimates: model.is_foreign().then_some(Estimates {
                label: "recomputed from the log, the policy's parameters are unknown",
                sma_window: WINDOW,
                ewma_alpha: ALPHA,
            }),
            description: model.description.clone(),
            other_policy: model.other_policy().map(str::to_owned),
            backends: order.iter().map(|&at| backend(model, skips, at, &cells, seconds)).collect(),
            not_dispatched: not_dispatched(model, &cells),
            series,
            latest: latest(model),
            outlier_rows: model.outlier_rows(),
            broken_rows: model.broken_lines,
            last_broken_row: model.last_broken.as_ref().map(ToString::to_string),
            source,
        }
    }
}

/// The backends in the order of their names, which does not depend on the order in the log.
fn order(model: &Model) -> Vec<usize> {
    let mut order: Vec<usize> = (0..model.backends.len()).collect();
    order.sort_by(|a, b| model.backends[*a].name.cmp(&model.backends[*b].name));
    order
}

fn incidents(model: &Model, window: &Figures) -> Vec<Errors> {
    let (Some(from_ms), Some(to_ms)) = (window.from_ms, window.to_ms) else { return Vec::new() };
    let told = |it: &Incident| Errors {
        status: it.status,
        fault: it.fault.clone(),
        backend: it.backend.map(|at| model.backends[at].name.clone()),
        from_ms: it.first_us.div_euclid(1_000),
        to_ms: it.last_us.div_euclid(1_000),
        requests: it.requests,
        by_client: is_by_client(it.status, &it.fault),
    };
    let found = model.incidents.between(from_ms * 1_000, to_ms.saturating_add(1) * 1_000);
    found.take(LISTED_INCIDENTS).map(told).collect()
}

fn switches(model: &Model, window: &Figures) -> Vec<Change> {
    let (Some(from_ms), Some(to_ms)) = (window.from_ms, window.to_ms) else { return Vec::new() };
    let told = |it: &Switch| Change {
        at_ms: it.at_us.div_euclid(1_000),
        from: it.from.clone(),
        to: it.to.clone(),
    };
    let found = model.switches.between(from_ms * 1_000, to_ms.saturating_add(1) * 1_000);
    found.map(told).collect()
}

/// All that happened in a lane.
fn sum(slots: &[Option<&Slot>], lane: usize) -> Cell {
    let mut sum = Cell::default();
    for cell in slots.iter().flatten().filter_map(|slot| slot.cell(lane)) {
        sum.merge(cell);
    }
    sum
}

fn end(model: &Model, status: &Status, window: Window, now_us: i64) -> End {
    let Some((_, newest_us)) = model.span_us() else { return End::LastRow };
    if matches!(window, Window::Between(..)) {
        return End::LastRow;
    }
    let age_s = second(now_us) - second(newest_us);
    // While a log is read up to the present, its newest row so far is old.
    let is_read = status.state != State::Reading;
    let is_running = status.state == State::Idle;
    let is_now = is_read && age_s >= 0 && (is_running || age_s < window.seconds());
    if is_now { End::Now } else { End::LastRow }
}

fn second(time_us: i64) -> i64 {
    time_us.div_euclid(1_000_000)
}

fn figures(model: &Model, window: Window, end: End, now_us: i64, cells: &[Cell]) -> Figures {
    let mut all = Cell::default();
    for cell in cells {
        all.merge(cell);
    }
    let range_us = model.span_us().map(|(first_us, newest_us)| {
        let end_us = if end == End::Now { now_us.max(newest_us) } else { newest_us };
        let start_us = match window {
            Window::Minute | Window::FiveMinutes => {
                (second(end_us) - window.seconds() + 1) * 1_000_000
            }
            Window::All => first_us,
            Window::Between(from, to) => return (from * 1_000_000, to * 1_000_000 + 999_999),
        };
        (first_us.max(start_us), end_us)
    });
    // A rate per second needs a second.
    let seconds = range_us.map_or(1.0, |(from, to)| ((to - from) as f64 / 1e6).max(1.0));
    Figures {
        name: window.name(),
        end,
        from_ms: range_us.map(|(from_us, _)| from_us.div_euclid(1000)),
        to_ms: range_us.map(|(_, to_us)| to_us.div_euclid(1000)),
        requests: all.requests,
        requests_per_s: round(all.requests as f64 / seconds),
        errors: all.errors,
        error_share: share(all.errors, all.requests),
        failures: all.failures,
        failure_share: share(all.failures, all.requests),
        latency: all.latency(),
        parts: all.parts().means(),
    }
}

impl Figures {
    fn seconds(&self) -> f64 {
        let span = self.from_ms.zip(self.to_ms);
        span.map_or(1.0, |(from, to)| ((to - from) as f64 / 1000.0).max(1.0))
    }
}

/// Rows per second over the last whole seconds.
fn rate(model: &Model, status: &Status, now_us: i64) -> f64 {
    let Some((first_us, newest_us)) = model.span_us() else { return 0.0 };
    let end = match (end(model, status, Window::Minute, now_us), status.state) {
        (End::Now, _) => second(now_us - LAG_US).max(second(first_us)),
        // An old log that is being written or read.
        (End::LastRow, State::Live | State::Reading) => second(newest_us),
        (End::LastRow, _) => return 0.0,
    };
    let seconds = (end - second(first_us)).min(RATE_SECONDS);
    // In its first second a log has only the second that is not over.
    let (last, seconds) = if seconds == 0 { (end, 1) } else { (end - 1, seconds) };
    let (_, slots) = model.recent.until(last, seconds);
    let rows: u64 = slots.iter().map(|slot| requests(*slot, model)).sum();
    round(rows as f64 / seconds as f64)
}

fn backend(model: &Model, skips: bool, at: usize, cells: &[Cell], seconds: f64) -> Backend {
    let (state, state_since_ms) = state(model, at);
    let known = &model.backends[at];
    let is_older = state != BackendState::Quiet && known.last.is_some_and(|last| last.is_first);
    let cell = &cells[at + 1];
    let in_window: u64 = cells.iter().skip(1).map(|cell| cell.requests).sum();
    let since: u64 = model.backends.iter().map(|backend| backend.requests).sum();
    Backend {
        name: known.name.clone(),
        label: short_name(&known.name).to_owned(),
        requests: cell.requests,
        share: share(cell.requests, in_window),
        errors: cell.errors,
        failures: cell.failures,
        requests_per_s: round(cell.requests as f64 / seconds),
        retries: cell.retries,
        in_flight: cell.in_flight().map(round),
        latency: cell.latency(),
        parts: cell.parts().means(),
        state,
        state_since_ms,
        state_is_older: skips && is_older,
        requests_since: known.requests,
        share_since: share(known.requests, since),
        errors_since: known.errors,
        reasons: known.reasons.clone(),
        averages: rounded(known.averages()),
    }
}

/// What the newest requests of a backend tell of it, and since when.
fn state(model: &Model, at: usize) -> (BackendState, Option<i64>) {
    let Some(last) = model.backends[at].last else { return (BackendState::Unused, None) };
    let newest_us = model.span_us().map_or(last.at_us, |(_, newest_us)| newest_us);
    let (state, since_us) = if newest_us - last.at_us > QUIET_US {
        (BackendState::Quiet, last.at_us)
    } else if last.has_failed {
        (BackendState::Fails, last.since_us)
    } else {
        (BackendState::Answers, last.since_us)
    };
    (state, Some(since_us.div_euclid(1_000)))
}

fn not_dispatched(model: &Model, cells: &[Cell]) -> NotDispatched {
    let dispatched: u64 = model.backends.iter().map(|backend| backend.requests).sum();
    NotDispatched {
        requests: cells[NOT_DISPATCHED].requests,
        requests_since: model.requests - dispatched,
    }
}

fn latest(model: &Model) -> Vec<Entry> {
    model.each.latest().take(LISTED_REQUESTS).map(|it| Entry::of(model, it)).collect()
}

impl Cell {
    fn latency(&self) -> Latency {
        Latency {
            mean_ms: self.mean_us().map(millis),
            p50_ms: self.ms(0.50),
            p95_ms: self.ms(0.95),
            p99_ms: self.ms(0.99),
            max_ms: self.longest_ms(),
        }
    }
}

impl Parts {
    /// `None` of no requests.
    fn means(self) -> Option<MeanParts> {
        let mean = |total: u64| millis(total as f64 / self.requests as f64);
        (self.requests > 0).then(|| MeanParts {
            queue_ms: mean(self.queue),
            connect_ms: mean(self.connect),
            wait_ms: mean(self.wait),
            rest_ms: mean(self.rest),
        })
    }
}

/// How the proxy was connected, from the name of a log without that column.
fn connection_of(stem: &str) -> Option<String> {
    let stem = stem.to_ascii_lowercase().replace('-', "_");
    let named = |word: &str| stem.contains(word).then(|| word.replace('_', "-"));
    named("non_persistent").or_else(|| named("persistent"))
}

/// The name of a backend without its scheme.
fn short_name(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or(url)
}

#[cfg(test)]
mod tests;
