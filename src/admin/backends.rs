//! The backends as they are now, for people and programs.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::recent::{Counted, Lately};
use crate::balance::{Admission, Cause, Known, Tier};
use crate::proxy::backends::{BackendNow, Unresolved};
use crate::proxy::decisions::Explained;
use crate::proxy::metrics::{BackendSnapshot, Snapshot};
use crate::proxy::settings::Backend;

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
    let (state, reason) = state(backend.role.admission, known);
    let told = json!({
        "id": id.to_string(),
        "state": state,
        "reason": reason,
        "since_seconds": known.age.map(seconds),
        "ejected_for_seconds": known.ejected_for.map(seconds),
        "in_flight": known.in_flight,
        "parked": known.parked,
        "tunnels": known.tunnels,
        "estimate_ms": known.estimate.map(millis),
        "estimate_age_seconds": known.estimate_age.map(seconds),
    });
    with(told, backend, counted, &figures(&lately.of(*id), Some(lately)))
}

/// One whose name has no address, and which has no id therefore.
pub(super) fn unresolved(unresolved: &Unresolved) -> Json {
    let Unresolved { backend, reason, age } = unresolved;
    let told = json!({
        "id": null,
        "state": "down",
        "reason": reason,
        "since_seconds": seconds(*age),
        "ejected_for_seconds": null,
        "in_flight": 0,
        "parked": 0,
        "tunnels": 0,
        "estimate_ms": null,
        "estimate_age_seconds": null,
    });
    with(told, backend, &BackendSnapshot::default(), &figures(&Counted::default(), None))
}

/// The same with how a backend is configured and what was counted of it.
fn with(mut told: Json, backend: &Backend, counted: &BackendSnapshot, lately: &Json) -> Json {
    let role = backend.role;
    let more = json!({
        "url": backend.url,
        "weight": role.weight,
        "max-in-flight": role.max_in_flight,
        "backup": role.tier == Tier::Backup,
        "drained": role.admission == Admission::Drained,
        "connections": counted.open,
        "idle_connections": counted.idle(),
        "requests": counted.traffic.requests(),
        "errors": counted.traffic.errors(),
        "failed_attempts": counted.failed_attempts.values().sum::<u64>(),
        "lately": lately,
    });
    if let (Json::Object(told), Json::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

/// A choice, and what it was made from.
pub(super) fn explain(explained: &Explained) -> Json {
    let mut json = json!(explained.decision);
    json["age_seconds"] = seconds(explained.age).into();
    json
}

/// What was counted in the last seconds, if anything could be.
fn figures(recent: &Counted, lately: Option<&Lately>) -> Json {
    let quantile = |share| recent.latencies.quantile(share).map(millis);
    let of = |whole: fn(&Lately) -> f64| ratio(recent.requests as f64, lately.map_or(0.0, whole));
    json!({
        "share": of(|lately| lately.requests() as f64),
        "requests_per_second": of(|lately| lately.time.as_secs_f64()),
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
