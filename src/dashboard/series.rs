//! The figures over time: one value per slot, for the charts.

use std::cmp::Reverse;

use serde::Serialize;

use super::availability::{Seen, Stretch, stretches};
use super::cell::Cell;
use super::known::Known;
use super::model::{Model, NOT_DISPATCHED};
use super::rounding::{millis, round};
use super::timeline::Slot;

/// How many backends have lines: those with the most requests in the window. More lines could not
/// be told apart.
pub(super) const LINES_MAX: usize = 32;

/// The reason of a request to see whether a backend is back.
const TRIAL: &str = "trial";

/// One value per slot; null where nothing happened.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    start_ms: i64,
    step_ms: i64,
    requests: Vec<u64>,
    errors: Vec<u64>,
    backends: Vec<Line>,
    /// How many requests were sent for which reason.
    reasons: Vec<ReasonLine>,
    /// How many second attempts answered first, and how many did not; null if there were none.
    hedges: Option<Hedges>,
    /// Requests that waited because all backends were full; null if there were none.
    queue: Option<Queue>,
}

#[derive(Debug, Serialize)]
struct ReasonLine {
    reason: String,
    requests: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Hedges {
    won: Vec<u64>,
    lost: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Queue {
    requests: Vec<u64>,
    mean_ms: Vec<Option<f64>>,
    max_ms: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    mean_ms: Vec<Option<f64>>,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
    max_ms: Vec<Option<f64>>,
    requests: Vec<u64>,
    errors: Vec<u64>,
    /// Requests to see whether it is back.
    trials: Vec<u64>,
    in_flight: Vec<Option<f64>>,
    /// The mean time to the first byte of answers, from which policies learn.
    first_byte_ms: Vec<Option<f64>>,
    /// What the policy knew of it; null if no choice was recorded.
    known: Option<KnownLine>,
    /// What it was, from the first slot to the last.
    states: Vec<Stretch>,
}

/// Means over the recorded choices of each slot.
#[derive(Debug, Serialize)]
struct KnownLine {
    estimate_ms: Vec<Option<f64>>,
    score: Vec<Option<f64>>,
    /// Without the request that was to be sent.
    in_flight: Vec<Option<f64>>,
    /// How many fell on it.
    chosen: Vec<u64>,
}

impl Series {
    /// `times` are the second in which the first slot begins and the length of a slot, and
    /// `backends` those that have a line.
    pub(super) fn new(
        model: &Model,
        times: [i64; 2],
        slots: &[Option<&Slot>],
        backends: impl Iterator<Item = usize>,
    ) -> Self {
        let [start_ms, step_ms] = times.map(|seconds| seconds * 1000);
        let requests = sums(model, slots, |cell| cell.requests);
        // Those that no backend got are nobody's.
        let sent = requests.iter().zip(slots).map(|(all, slot)| {
            let none = slot.and_then(|slot| slot.cell(NOT_DISPATCHED));
            all - none.map_or(0, |cell| cell.requests)
        });
        let sent: Vec<_> = sent.collect();
        let retries = sums(model, slots, |cell| cell.retries);
        let line = |at| Line {
            states: states(model, at, slots, [start_ms, step_ms], [&sent, &retries]),
            ..line(model, at, slots)
        };
        let backends = backends.map(line).collect();
        Self {
            start_ms,
            step_ms,
            requests,
            errors: sums(model, slots, |cell| cell.errors),
            backends,
            reasons: reasons(model, slots),
            hedges: hedges(model, slots),
            queue: queue(model, slots),
        }
    }
}

/// The backends with the most requests, as many as have lines, in the given order.
pub(super) fn busiest(order: &[usize], cells: &[Cell]) -> impl Iterator<Item = usize> {
    let mut busiest = order.to_vec();
    busiest.sort_by_key(|at| Reverse(cells[at + 1].requests));
    busiest.truncate(LINES_MAX);
    order.iter().copied().filter(move |at| busiest.contains(at))
}

pub(super) fn requests(slot: Option<&Slot>, model: &Model) -> u64 {
    let Some(slot) = slot else { return 0 };
    model.lanes().filter_map(|lane| slot.cell(lane)).map(|cell| cell.requests).sum()
}

/// A sum over all lanes for each slot.
fn sums(model: &Model, slots: &[Option<&Slot>], of: impl Fn(&Cell) -> u64) -> Vec<u64> {
    let sum = |slot: Option<&Slot>| {
        let Some(slot) = slot else { return 0 };
        model.lanes().filter_map(|lane| slot.cell(lane)).map(&of).sum()
    };
    slots.iter().copied().map(sum).collect()
}

/// The reasons for which requests were sent, in the order in which they first appeared.
fn reasons(model: &Model, slots: &[Option<&Slot>]) -> Vec<ReasonLine> {
    let line = |(number, reason): (usize, &String)| ReasonLine {
        reason: reason.clone(),
        requests: sums(model, slots, |cell| cell.of_reason(number)),
    };
    let lines = model.reasons.iter().enumerate().map(line);
    lines.filter(|line| line.requests.iter().any(|count| *count > 0)).collect()
}

fn hedges(model: &Model, slots: &[Option<&Slot>]) -> Option<Hedges> {
    let [won, lost] = [0, 1].map(|at| sums(model, slots, |cell| cell.hedges()[at]));
    won.iter().chain(&lost).any(|count| *count > 0).then_some(Hedges { won, lost })
}

fn queue(model: &Model, slots: &[Option<&Slot>]) -> Option<Queue> {
    let sum = |slot: Option<&Slot>| {
        let cells = model.lanes().filter_map(|lane| slot.and_then(|slot| slot.cell(lane)));
        cells.map(Cell::queued).fold([0; 3], |[requests, sum, longest], of| {
            [requests + of[0], sum + of[1], longest.max(of[2])]
        })
    };
    let sums: Vec<_> = slots.iter().copied().map(sum).collect();
    sums.iter().any(|[requests, ..]| *requests > 0).then(|| Queue {
        requests: sums.iter().map(|[requests, ..]| *requests).collect(),
        mean_ms: (sums.iter())
            .map(|[count, sum, _]| (*count > 0).then(|| millis(*sum as f64 / *count as f64)))
            .collect(),
        max_ms: (sums.iter())
            .map(|[count, _, longest]| (*count > 0).then(|| millis(*longest as f64)))
            .collect(),
    })
}

/// What the backend was over time; `requests` and `retries` are those of all backends.
fn states(
    model: &Model,
    backend: usize,
    slots: &[Option<&Slot>],
    times: [i64; 2],
    [requests, retries]: [&[u64]; 2],
) -> Vec<Stretch> {
    let trial = model.reasons.iter().position(|reason| reason == TRIAL);
    let seen = |at: usize| {
        let none = Seen { others: requests[at], others_retries: retries[at], ..Seen::default() };
        let known = slots[at].and_then(|slot| slot.known(backend + 1));
        let standing = known.and_then(Known::standing);
        let none = Seen {
            standing: standing.map(|(standing, _)| standing),
            choices: standing.map_or(0, |(_, choices)| choices),
            ..none
        };
        let Some(cell) = slots[at].and_then(|slot| slot.cell(backend + 1)) else { return none };
        Seen {
            requests: cell.requests,
            failures: cell.failures,
            trials: trial.map_or(0, |number| cell.of_reason(number)),
            others: none.others - cell.requests,
            others_retries: none.others_retries - cell.retries,
            ..none
        }
    };
    let seen: Vec<_> = (0..slots.len()).map(seen).collect();
    let [start_ms, _] = times;
    let before = model.backends[backend].last.filter(|it| it.at_us < start_ms * 1000);
    stretches(times, &seen, before.map(|last| last.has_failed))
}

fn line(model: &Model, backend: usize, slots: &[Option<&Slot>]) -> Line {
    let cells = || slots.iter().map(|slot| slot.and_then(|slot| slot.cell(backend + 1)));
    let quantiles = |share| cells().map(|cell| cell.and_then(|cell| cell.ms(share))).collect();
    let counts = |of: &dyn Fn(&Cell) -> u64| cells().map(|it| it.map_or(0, of)).collect();
    let trial = model.reasons.iter().position(|reason| reason == TRIAL);
    Line {
        name: model.backends[backend].name.clone(),
        mean_ms: cells().map(|it| it.and_then(Cell::mean_us).map(millis)).collect(),
        p50_ms: quantiles(0.50),
        p95_ms: quantiles(0.95),
        max_ms: cells().map(|cell| cell.and_then(Cell::longest_ms)).collect(),
        requests: counts(&|cell| cell.requests),
        errors: counts(&|cell| cell.errors),
        trials: counts(&|cell| trial.map_or(0, |number| cell.of_reason(number))),
        in_flight: cells().map(|cell| cell.and_then(Cell::in_flight).map(round)).collect(),
        first_byte_ms: cells().map(|it| it.and_then(Cell::first_byte_us).map(millis)).collect(),
        known: known(backend, slots),
        states: Vec::new(),
    }
}

fn known(backend: usize, slots: &[Option<&Slot>]) -> Option<KnownLine> {
    let all = || slots.iter().map(|slot| slot.and_then(|slot| slot.known(backend + 1)));
    let line = |of: &dyn Fn(&Known) -> Option<f64>| all().map(|it| it.and_then(of)).collect();
    all().any(|it| it.is_some()).then(|| KnownLine {
        estimate_ms: line(&Known::estimate_ms),
        score: line(&Known::score),
        in_flight: line(&Known::in_flight),
        chosen: all().map(|it| it.map_or(0, |known| known.chosen)).collect(),
    })
}
