//! The backends as they are now, for people and programs.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::recent::{Counted, Lately};
use crate::balance::{Admission, Cause, Explanation, Known, Scored, Tier};
use crate::proxy::backends::BackendNow;
use crate::proxy::metrics::{BackendSnapshot, Snapshot};

/// The backends with what is known and was counted of each.
pub(super) fn describe(backends: &[BackendNow], snapshot: &Snapshot, lately: &Lately) -> Vec<Json> {
    let none = BackendSnapshot::default();
    let one = |backend: &BackendNow| {
        let counted = snapshot.backends.get(&backend.id).unwrap_or(&none);
        one(backend, counted, lately)
    };
    backends.iter().map(one).collect()
}

fn one(backend: &BackendNow, counted: &BackendSnapshot, lately: &Lately) -> Json {
    let BackendNow { id, backend, known } = backend;
    let role = backend.role;
    let (state, reason) = state(role.admission, known);
    let recent = lately.of(*id);
    json!({
        "id": id.to_string(),
        "url": backend.url,
        "weight": role.weight,
        "max-in-flight": role.max_in_flight,
        "backup": role.tier == Tier::Backup,
        "drained": role.admission == Admission::Drained,
        "state": state,
        "reason": reason,
        "since_seconds": known.age.map(seconds),
        "ejected_for_seconds": known.ejected_for.map(seconds),
        "in_flight": known.in_flight,
        "parked": known.parked,
        "tunnels": known.tunnels,
        "estimate_ms": known.estimate.map(millis),
        "estimate_age_seconds": known.estimate_age.map(seconds),
        "connections": counted.open,
        "idle_connections": counted.idle(),
        "requests": counted.traffic.requests(),
        "errors": counted.traffic.errors(),
        "failed_attempts": counted.failed_attempts.values().sum::<u64>(),
        "lately": figures(&recent, lately),
    })
}

/// A choice, and what it was made from.
pub(super) fn explain(choice: &Explanation) -> Json {
    let candidate = |scored: &Scored| {
        json!({
            "url": scored.backend,
            "score": scored.score,
            "in_flight": scored.in_flight,
            "estimate_ms": scored.estimate.map(millis),
        })
    };
    json!({
        "age_seconds": seconds(choice.age),
        "url": choice.backend,
        "reason": choice.reason.name(),
        "candidates": choice.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "more_candidates": choice.more,
    })
}

/// What was counted in the last seconds.
fn figures(recent: &Counted, lately: &Lately) -> Json {
    let quantile = |share| recent.latencies.quantile(share).map(millis);
    json!({
        "share": ratio(recent.requests as f64, lately.requests() as f64),
        "requests_per_second": ratio(recent.requests as f64, lately.time.as_secs_f64()),
        "errors": recent.errors,
        "p50_ms": quantile(0.5),
        "p99_ms": quantile(0.99),
    })
}

/// The state in a word, and its reason.
fn state(admission: Admission, known: &Known) -> (&'static str, &'static str) {
    match (known.cause, admission) {
        (Cause::Removed, _) => ("removed", Cause::Removed.name()),
        (Cause::Admitted, Admission::Drained) => ("drained", Cause::Admitted.name()),
        (_, Admission::Drained) => ("drained", "configured"),
        (cause, Admission::Open) => (known.availability.name(), cause.name()),
    }
}

/// Rounded to what can be told apart; null of nothing.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole * 1e4).round() / 1e4)
}

pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
