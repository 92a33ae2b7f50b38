//! The figures for programs.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Report;
use super::comparison::{Compared, Comparison, comparisons};
use super::estimate::Change;
use super::figure::standard_errors;
use super::run::{Backend, Run};
use super::verdict::{self, Verdict};

pub(super) fn document(report: &Report) -> String {
    let (baseline, comparisons) = comparisons(report);
    let document = json!({
        "latency": "latency_ms of all rows that have it: from dispatch to the backend's last byte",
        "quantiles": "linear between ranks",
        "requests_per_s": "rows that ended under load by its length: from the first dispatch to \
            the last, unless --seconds said it",
        "noise": verdict::NOISE,
        "best": verdict::verdicts(report).iter().map(best).collect::<Vec<_>>(),
        "baseline": baseline,
        "comparisons": comparisons.iter().map(comparison).collect::<Vec<_>>(),
        "configurations": report.runs.iter().map(run).collect::<Vec<_>>(),
        "left_out": report.left_out,
    });
    format!("{document:#}\n")
}

/// The best runs by a figure; none if the runs are too short to tell.
fn best(verdict: &Verdict<'_>) -> Value {
    json!({ "figure": verdict.figure.key, "names": verdict.leaders() })
}

/// A configuration against the baseline; changes are shares of the baseline's figure.
fn comparison(comparison: &Comparison<'_>) -> Value {
    let change = |it: &Compared| {
        let change = it.change.filter(|_| comparison.obstacles.is_empty());
        json!({
            "figure": it.figure.key,
            "value": it.own.value,
            "baseline": it.base.value,
            "change": change.map(|it| it.by),
            "interval_95": change.map(|it| [it.from, it.to]),
            "more_than_chance": change.map(Change::is_certain),
        })
    };
    json!({
        "name": comparison.name,
        "not_comparable": comparison.obstacles,
        "figures": comparison.figures.iter().map(change).collect::<Vec<_>>(),
    })
}

fn run(run: &Run) -> Value {
    let latency = run.latency.as_ref();
    json!({
        "name": run.name,
        "file": run.path.to_string_lossy(),
        "routing_mode": run.routing_mode,
        "connection": run.connection,
        "scenario": run.setup.scenario,
        "date": run.setup.date,
        "load": run.setup.load,
        "machine": run.setup.machine,
        "versions": run.setup.versions,
        "parameters": run.setup.parameters,
        "is_mixed": run.is_mixed,
        "requests": run.requests,
        "outlier_rows": run.outlier_rows(),
        "drain_rows": run.drain_rows,
        "left_at_end": run.left_at_end,
        "seconds": run.seconds,
        "requests_per_s": run.per_second(),
        "wrk_requests_per_s": run.wrk_per_second,
        "standard_errors": standard_errors(run).collect::<HashMap<_, _>>(),
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
