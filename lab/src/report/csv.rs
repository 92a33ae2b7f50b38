//! The figures as a table for programs. Shares are 0 to 1; unknown cells are empty.

use std::io;

use super::Report;
use super::tables::backends;
use tidegate::journal::marked;

const HEADER: [&str; 15] = [
    "configuration",
    "file",
    "routing_mode",
    "connection",
    "requests",
    "seconds",
    "requests_per_s",
    "wrk_requests_per_s",
    "mean_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "errors",
    "broken_lines",
];

/// One row per run. The last columns are the share of each backend.
pub(super) fn rows(report: &Report) -> io::Result<Vec<u8>> {
    let names = backends(report);
    let mut table = csv::Writer::from_writer(Vec::new());
    let shares = names.iter().map(|name| format!("share of {name}"));
    table.write_record(HEADER.map(str::to_owned).into_iter().chain(shares))?;
    for run in &report.runs {
        let latency = run.latency.as_ref();
        let figures = [
            Some(run.seconds),
            run.per_second(),
            run.wrk_per_second,
            latency.map(|it| it.mean_ms),
            latency.map(|it| it.p50_ms),
            latency.map(|it| it.p95_ms),
            latency.map(|it| it.p99_ms),
            latency.map(|it| it.max_ms),
        ];
        let path = run.path.to_string_lossy();
        let (mode, connection) = (run.routing_mode.as_deref(), run.connection.as_deref());
        let texts = [&run.name, &*path, mode.unwrap_or_default(), connection.unwrap_or_default()];
        let mut cells: Vec<_> = texts.map(|text| marked(text).into_owned()).into();
        cells.push(run.requests.to_string());
        cells.extend(figures.map(|figure| figure.map_or_else(String::new, |it| it.to_string())));
        cells.extend([run.errors.to_string(), run.broken.to_string()]);
        let share = |name| run.backend(name).map_or(0.0, |backend| run.share(backend.requests));
        cells.extend(names.iter().map(|name| share(name).to_string()));
        table.write_record(cells)?;
    }
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}
