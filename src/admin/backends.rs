//! The backends as they are now, for people and programs.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::recent::{Counted, Lately};
use crate::balance::{Admission, Availability, Cause, Known, Tier};
use crate::proxy::backends::{BackendNow, Unresolved};
use crate::proxy::decisions::Explained;
use crate::proxy::metrics::BackendSnapshot;
use crate::proxy::observed::Observed;
use crate::proxy::settings::Backend;

/// The state and the reason of one that is configured as drained.
const DRAINED: (&str, &str) = ("drained", "configured");

/// The backends with what is known and was counted of each.
pub(super) fn describe(observed: &Observed, lately: &Lately) -> Vec<Json> {
    let Observed { backends, unresolved, snapshot, .. } = observed;
    let none = BackendSnapshot::default();
    let one = |backend: &BackendNow| {
        let counted = snapshot.backends.get(&backend.id).unwrap_or(&none);
        one(backend, counted, lately)
    };
    let without_address = |it: &Unresolved| self::unresolved(it, lately);
    backends.iter().map(one).chain(unresolved.iter().map(without_address)).collect()
}

/// The backend of a name, which is its id or its URL. One that was removed has its URL no longer if
/// another one has it.
pub(super) fn find<'a>(backends: &'a [Json], name: &str) -> Option<&'a Json> {
    let is_it = |it: &&Json| [&it["id"], &it["url"]].iter().any(|own| *own == name);
    backends.iter().filter(is_it).min_by_key(|it| it["state"] == Cause::Removed.name())
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
    with(told, backend, counted, &figures(&lately.of(*id), lately))
}

/// One whose name has no address, and which has no id therefore.
fn unresolved(unresolved: &Unresolved, lately: &Lately) -> Json {
    let Unresolved { backend, reason, age } = unresolved;
    let (state, reason) = match backend.role.admission {
        Admission::Drained => DRAINED,
        Admission::Open => (Availability::Down.name(), *reason),
    };
    let told = json!({
        "id": null,
        "state": state,
        "reason": reason,
        "since_seconds": seconds(*age),
        "ejected_for_seconds": null,
        "in_flight": 0,
        "parked": 0,
        "tunnels": 0,
        "estimate_ms": null,
        "estimate_age_seconds": null,
    });
    with(told, backend, &BackendSnapshot::default(), &figures(&Counted::default(), lately))
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
fn figures(recent: &Counted, lately: &Lately) -> Json {
    let quantile = |share| recent.latencies.quantile(share).map(millis);
    let of = |whole: f64| ratio(recent.requests as f64, whole);
    json!({
        "share": of(lately.requests() as f64),
        "requests_per_second": of(lately.time.as_secs_f64()),
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
        (_, Admission::Drained) => DRAINED,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_removed_does_not_hide_the_one_that_has_its_url_now() {
        let one = |id, state| json!({ "id": id, "url": "http://app:80", "state": state });
        let told = [one(Some("0.0"), "removed"), one(None, "down")];
        assert_eq!(find(&told, "http://app:80"), Some(&told[1]));
        assert_eq!(find(&told, "0.0"), Some(&told[0]));
        assert_eq!(find(&told[..1], "http://app:80"), Some(&told[0]));
        assert_eq!(find(&told, "1.0"), None);
    }
}
