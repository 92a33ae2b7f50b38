//! The JSON for the page and `/data`: figures of the model and the state of the source, for one
//! window.
//!
//! Latencies are in milliseconds, times in milliseconds since 1970 UTC, shares between 0 and 1, and
//! what is unknown is null.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::description::Description;
use super::estimate::{ALPHA, Averages, WINDOW};
use super::model::{LATEST_REQUESTS, Model, NOT_DISPATCHED, Request};
use super::source::{State, Status};
use super::timeline::{Cell, Slot};
use super::window::Window;

/// How many of the latest requests are listed.
const LISTED_REQUESTS: usize = 50;

/// How many backends have lines: those with the most requests in the window. More lines could not
/// be told apart.
const LINES_MAX: usize = 32;

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
    backends: Vec<Backend>,
    not_dispatched: NotDispatched,
    series: Series,
    latest: Vec<Latest>,
    /// Rows that are in no window and on no axis, because their times are outliers.
    outlier_rows: u64,
    broken_rows: u64,
    last_broken_row: Option<String>,
    /// Whether this program was built with the charts' script.
    charts: bool,
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
    errors: u64,
    error_share: f64,
    #[serde(flatten)]
    latency: Latency,
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
    #[serde(flatten)]
    latency: Latency,
    requests_since: u64,
    share_since: f64,
    errors_since: u64,
    /// How often it was chosen for which reason since reading began.
    reasons: BTreeMap<String, u64>,
    #[serde(flatten)]
    averages: Averages,
}

/// Requests without a backend.
#[derive(Debug, Serialize)]
struct NotDispatched {
    requests: u64,
    requests_since: u64,
}

/// One value per slot; null where nothing happened.
#[derive(Debug, Serialize)]
struct Series {
    start_ms: i64,
    step_ms: i64,
    requests: Vec<u64>,
    backends: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Latest {
    time_ms: f64,
    backend: Option<String>,
    method: String,
    path: String,
    status: Option<u16>,
    error: bool,
    fault: String,
    latency_ms: Option<f64>,
    /// Why its backend was chosen; null if the log does not say.
    reason: Option<String>,
    in_flight: Option<u32>,
    /// What became of its second attempt, and where that went; null if it had none.
    hedge: Option<String>,
    hedge_backend: Option<String>,
    #[serde(flatten)]
    averages: Averages,
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
        let end = end(model, &source, window, now_us);
        let (timeline, count) = window.of(model);
        let (start, slots) = match (end, window) {
            (End::Now, Window::Minute | Window::FiveMinutes) => {
                timeline.until(second(now_us), count)
            }
            _ => timeline.newest(count),
        };
        let cells = lanes(model).map(|lane| sum(&slots, lane)).collect::<Vec<_>>();
        let order = order(model);
        let series = Series {
            start_ms: start * 1000,
            step_ms: timeline.slot_seconds() * 1000,
            requests: slots.iter().map(|slot| requests(*slot, model)).collect(),
            backends: busiest(&order, &cells).map(|at| line(model, at, &slots)).collect(),
        };
        Self {
            message,
            mode: Some(model.routing_mode.clone()).filter(|mode| !mode.is_empty()),
            connection: model.connection.clone().or_else(|| connection_of(stem?)),
            requests_per_s: rate(model, &source, now_us),
            recent: Recent {
                requests: model.latest.len().min(LATEST_REQUESTS),
                mean_ms: model.latest_mean_us().map(millis),
            },
            window: figures(model, window, end, now_us, &cells),
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
            backends: order.iter().map(|&at| backend(model, at, &cells)).collect(),
            not_dispatched: not_dispatched(model, &cells),
            series,
            latest: latest(model),
            outlier_rows: model.outlier_rows(),
            broken_rows: model.broken_lines,
            last_broken_row: model.last_broken.as_ref().map(ToString::to_string),
            charts: cfg!(feature = "charts"),
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

/// The backends with the most requests, as many as have lines, in the given order.
fn busiest(order: &[usize], cells: &[Cell]) -> impl Iterator<Item = usize> {
    let mut busiest = order.to_vec();
    busiest.sort_by_key(|at| Reverse(cells[at + 1].requests));
    busiest.truncate(LINES_MAX);
    order.iter().copied().filter(move |at| busiest.contains(at))
}

fn lanes(model: &Model) -> std::ops::RangeInclusive<usize> {
    NOT_DISPATCHED..=model.backends.len()
}

fn requests(slot: Option<&Slot>, model: &Model) -> u64 {
    let Some(slot) = slot else { return 0 };
    lanes(model).filter_map(|lane| slot.cell(lane)).map(|cell| cell.requests).sum()
}

/// All that happened in a lane.
fn sum(slots: &[Option<&Slot>], lane: usize) -> Cell {
    let mut sum = Cell::default();
    for cell in slots.iter().flatten().filter_map(|slot| slot.cell(lane)) {
        sum.merge(cell);
    }
    sum
}

fn line(model: &Model, backend: usize, slots: &[Option<&Slot>]) -> Line {
    let quantiles = |share| {
        let of = |slot: Option<&Slot>| slot.and_then(|slot| slot.cell(backend + 1)?.ms(share));
        slots.iter().copied().map(of).collect()
    };
    let name = model.backends[backend].name.clone();
    Line { name, p50_ms: quantiles(0.50), p95_ms: quantiles(0.95) }
}

fn end(model: &Model, status: &Status, window: Window, now_us: i64) -> End {
    let Some((_, newest_us)) = model.span_us() else { return End::LastRow };
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
        latency: all.latency(),
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

fn backend(model: &Model, at: usize, cells: &[Cell]) -> Backend {
    let known = &model.backends[at];
    let cell = &cells[at + 1];
    let in_window: u64 = cells.iter().skip(1).map(|cell| cell.requests).sum();
    let since: u64 = model.backends.iter().map(|backend| backend.requests).sum();
    Backend {
        name: known.name.clone(),
        label: short_name(&known.name).to_owned(),
        requests: cell.requests,
        share: share(cell.requests, in_window),
        errors: cell.errors,
        latency: cell.latency(),
        requests_since: known.requests,
        share_since: share(known.requests, since),
        errors_since: known.errors,
        reasons: known.reasons.clone(),
        averages: rounded(known.averages()),
    }
}

fn not_dispatched(model: &Model, cells: &[Cell]) -> NotDispatched {
    let dispatched: u64 = model.backends.iter().map(|backend| backend.requests).sum();
    NotDispatched {
        requests: cells[NOT_DISPATCHED].requests,
        requests_since: model.requests - dispatched,
    }
}

fn latest(model: &Model) -> Vec<Latest> {
    let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let row = |request: &Request| Latest {
        time_ms: millis(request.timestamp_us as f64),
        backend: request.backend.map(|at| model.backends[at].name.clone()),
        method: request.method.clone(),
        path: request.path.clone(),
        status: request.status,
        error: request.is_error,
        fault: request.fault.clone(),
        latency_ms: request.latency_us.map(|latency_us| millis(latency_us as f64)),
        reason: told(&request.reason),
        in_flight: request.in_flight,
        hedge: told(&request.hedge),
        hedge_backend: told(&request.hedge_backend),
        averages: rounded(request.averages),
    };
    model.latest.iter().rev().take(LISTED_REQUESTS).map(row).collect()
}

impl Cell {
    fn ms(&self, share: f64) -> Option<f64> {
        self.latencies.quantile_us(share).map(|us| millis(us as f64))
    }

    fn latency(&self) -> Latency {
        Latency {
            mean_ms: self.mean_us().map(millis),
            p50_ms: self.ms(0.50),
            p95_ms: self.ms(0.95),
            p99_ms: self.ms(0.99),
        }
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

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e6).round() / 1e6 }
}

fn millis(micros: f64) -> f64 {
    round(micros / 1000.0)
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn rounded(averages: Averages) -> Averages {
    Averages { sma_ms: averages.sma_ms.map(round), ewma_ms: averages.ewma_ms.map(round) }
}

#[cfg(test)]
mod tests;
