//! The figures for programs.

use serde_json::{Value, json};

use super::Report;
use super::run::{Backend, Run};
use super::verdict::{self, Estimate, Verdict};

pub(super) fn document(report: &Report) -> String {
    let document = json!({
        "latency": "latency_ms of all rows that have it: from dispatch to the backend's last byte",
        "quantiles": "linear between ranks",
        "requests_per_s": "rows that ended under load by its length: from the first dispatch to \
            the last, unless --seconds said it",
        "noise": verdict::NOISE,
        "best": verdict::verdicts(report).iter().map(best).collect::<Vec<_>>(),
        "configurations": report.runs.iter().map(run).collect::<Vec<_>>(),
        "left_out": report.left_out,
    });
    format!("{document:#}\n")
}

/// The best runs by a figure; none if the runs are too short to tell.
fn best(verdict: &Verdict<'_>) -> Value {
    json!({ "figure": verdict.criterion.key, "names": verdict.leaders() })
}

/// A figure's standard error.
fn error(estimate: Option<Estimate>) -> Option<f64> {
    estimate?.error
}

fn run(run: &Run) -> Value {
    let latency = run.latency.as_ref();
    json!({
        "name": run.name,
        "file": run.path.to_string_lossy(),
        "routing_mode": run.routing_mode,
        "connection": run.connection,
        "is_mixed": run.is_mixed,
        "requests": run.requests,
        "outlier_rows": run.outlier_rows(),
        "drain_rows": run.drain_rows,
        "left_at_end": run.left_at_end,
        "seconds": run.seconds,
        "requests_per_s": run.per_second(),
        "wrk_requests_per_s": run.wrk_per_second,
        "standard_errors": {
            "requests_per_s": error(verdict::rate(run, run.per_second())),
            "wrk_requests_per_s": error(verdict::rate(run, run.wrk_per_second)),
            "mean_ms": error(latency.map(verdict::mean_ms)),
            "p95_ms": error(latency.map(verdict::p95_ms)),
        },
        "latencies": latency.map_or(0, |it| it.count),
        "mean_ms": latency.map(|it| it.mean_ms),
        "p50_ms": latency.map(|it| it.p50_ms),
        "p95_ms": latency.map(|it| it.p95_ms),
        "p99_ms": latency.map(|it| it.p99_ms),
        "max_ms": latency.map(|it| it.max_ms),
        "errors": run.errors,
        "not_dispatched": run.undispatched,
        "broken_lines": run.broken,
        "first_broken": run.first_broken,
        "backends": run.backends.iter().map(|one| backend(run, one)).collect::<Vec<_>>(),
    })
}

fn backend(run: &Run, backend: &Backend) -> Value {
    json!({
        "backend_url": backend.name,
        "requests": backend.requests,
        "share": run.share(backend.requests),
        "mean_ms": backend.mean_ms,
        "errors": backend.errors,
    })
}
