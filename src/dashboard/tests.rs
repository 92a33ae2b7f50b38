//! What the tests of this room share.

use std::time::Duration;

use serde_json::{Value, json};

use crate::journal::Row;

/// A successful request to `backend` in a log of the five columns.
pub(super) fn row(timestamp_us: i64, backend: &str, latency: Duration) -> Row<'_> {
    Row {
        timestamp_us,
        backend_url: Some(backend),
        latency: Some(latency),
        status: Some(200),
        routing_mode: "adaptive_sma",
        ..Row::default()
    }
}

/// A line of the decision log that was made for a sample, with these candidates and their states.
pub(super) fn choice(time: &str, chosen: &str, candidates: &[(&str, &str)]) -> Value {
    let candidate = |(url, state): &(&str, &str)| {
        let cause = (*state == "ejected").then_some("failures");
        json!({ "url": url, "state": state, "cause": cause, "since_seconds": 4.0,
            "ejected_for_seconds": null, "estimate_ms": 8.0, "estimate_age_ms": 1.0,
            "in_flight": 2, "usual_in_flight": 1.5, "weight": 1.0, "score": 12.0 })
    };
    let candidates: Vec<_> = candidates.iter().map(candidate).collect();
    json!({ "time": time, "worker": 0, "request": format!("{time}/0/127.0.0.1:4000"),
        "policy": "adaptive", "chosen": chosen, "reason": "best", "recorded": "sample",
        "runner_up": null, "probability": null, "candidates": candidates, "more_candidates": 0 })
}
