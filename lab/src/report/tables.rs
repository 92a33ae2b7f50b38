//! The figures as tables, for a terminal and for the page.

use jiff::Timestamp;

use super::Report;
pub(super) use super::comparison::{sentences, table as changes};
use super::conditions::Setup;
use super::configuration::{Configuration, configurations};
use super::estimate::mean;
use super::figure::{self, Figure};
use super::run::Run;
use super::verdict::{self, Verdict};
use super::written::{millis, per_second, percent};
use crate::render::{Row, Table, thousands};
use tidegate::journal::Span;

const HEADS: [&str; 10] = [
    "configuration",
    "requests",
    "requests/s by log",
    "requests/s by wrk",
    "mean ms",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "errors",
];

/// The head of the column for requests that were sent to no backend.
const NO_BACKEND: &str = "no backend";

/// All tables, for a terminal.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = figures(report).text();
    text += "\nShare and mean latency by backend:\n";
    text += &shares(report).text();
    for (title, table) in [
        ("Runs of one configuration: mean (least to most)", repetitions(report)),
        ("Change against the baseline, with its 95 % interval; ≈ may be chance", changes(report)),
    ] {
        if let Some(table) = table {
            text.extend(["\n", title, ":\n", &table.text()]);
        }
    }
    for lines in [conditions(report), remarks(report), verdicts(report), sentences(report)] {
        if !lines.is_empty() {
            text.extend(["\n", &lines.join("\n"), "\n"]);
        }
    }
    text
}

/// The best runs by each figure, if there are several runs.
pub(super) fn verdicts(report: &Report) -> Vec<String> {
    let mut sentences: Vec<_> = verdict::verdicts(report).iter().map(Verdict::text).collect();
    if !sentences.is_empty() {
        sentences.push(verdict::NOISE.to_owned());
    }
    sentences
}

/// How the runs were made: once what all have in common, then what each has of its own.
pub(super) fn conditions(report: &Report) -> Vec<String> {
    let mut lines: Vec<_> = dates(report).into_iter().collect();
    for (index, kind) in ["Load", "Machine", "Versions", "Parameters"].into_iter().enumerate() {
        let own = |run: &Run| {
            let Setup { load, machine, versions, parameters, .. } = run.setup.clone();
            [load, machine, versions, parameters][index].clone()
        };
        let texts: Vec<_> = report.runs.iter().map(|run| (own(run), &run.name)).collect();
        let mut distinct: Vec<_> = texts.iter().map(|(text, _)| text).collect();
        distinct.sort();
        distinct.dedup();
        if let [same] = distinct[..] {
            if !same.is_empty() {
                lines.push(format!("{kind}: {same}."));
            }
            continue;
        }
        let own: Vec<_> = texts
            .iter()
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, name)| format!("{name}: {text}"))
            .collect();
        lines.push(format!("{kind}: {}.", own.join("; ")));
    }
    lines
}

/// When the first run began, and the last.
fn dates(report: &Report) -> Option<String> {
    let mut dates: Vec<Timestamp> =
        report.runs.iter().filter_map(|run| run.setup.date.parse().ok()).collect();
    dates.sort();
    let written = |date: &Timestamp| date.strftime("%F %H:%M:%S UTC").to_string();
    let (first, last) = (written(dates.first()?), written(dates.last()?));
    Some(if first == last {
        format!("Date: {first}.")
    } else {
        format!("Dates: {first} to {last}.")
    })
}

/// The figures of the configurations that were run several times.
pub(super) fn repetitions(report: &Report) -> Option<Table> {
    let figures = figure::figures(report);
    let row = |configuration: &Configuration<'_>| {
        let cell = |figure: &Figure| {
            let values = configuration.runs.iter().filter_map(|run| figure.value(run));
            let mut values: Vec<_> = values.collect();
            values.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (values.first(), values.last()) else {
                return nothing();
            };
            let words = figure.words;
            format!("{} ({} to {})", words(mean(&values)), words(*least), words(*most))
        };
        let count = configuration.runs.len().to_string();
        let cells = [configuration.name.to_owned(), count].into_iter();
        Row { cells: cells.chain(figures.iter().map(cell)).collect(), is_marked: false }
    };
    let all = configurations(report);
    let several = all.iter().filter(|configuration| configuration.runs.len() > 1);
    let rows: Vec<_> = several.map(row).collect();
    let heads = ["configuration", "runs"].into_iter().chain(figures.iter().map(|it| it.title));
    (!rows.is_empty()).then(|| Table {
        caption: "Configurations that were run several times: mean (least to most)".to_owned(),
        heads: heads.map(str::to_owned).collect(),
        rows,
    })
}

/// One row of figures per run.
pub(super) fn figures(report: &Report) -> Table {
    let row = |run: &Run| {
        let latency = run.latency.as_ref();
        let millis = |figure: Option<f64>| figure.map_or_else(nothing, millis);
        let per_second = |figure: Option<f64>| figure.map_or_else(nothing, per_second);
        let cells = vec![
            run.name.clone(),
            thousands(run.requests as f64),
            per_second(run.per_second()),
            per_second(run.wrk_per_second),
            millis(latency.map(|it| it.mean_ms)),
            millis(latency.map(|it| it.p50_ms)),
            millis(latency.map(|it| it.p95_ms)),
            millis(latency.map(|it| it.p99_ms)),
            millis(latency.map(|it| it.max_ms)),
            count(run, run.errors),
        ];
        Row { cells, is_marked: run.errors > 0 || run.broken > 0 }
    };
    Table {
        caption: "Throughput, latency and errors of each configuration".to_owned(),
        heads: HEADS.map(str::to_owned).to_vec(),
        rows: report.runs.iter().map(row).collect(),
    }
}

/// The share of each backend in the requests of each run.
pub(super) fn shares(report: &Report) -> Table {
    let names = backends(report);
    let has_undispatched = report.runs.iter().any(|run| run.undispatched > 0);
    let row = |run: &Run| {
        let cell = |name: &String| match run.backend(name) {
            Some(backend) => {
                let mean = backend.mean_ms.map_or_else(nothing, millis);
                format!("{}, {mean} ms", percent(run.share(backend.requests)))
            }
            None => nothing(),
        };
        let mut cells = vec![run.name.clone()];
        cells.extend(names.iter().map(cell));
        if has_undispatched {
            cells.push(percent(run.share(run.undispatched)));
        }
        Row { cells, is_marked: false }
    };
    let mut heads = vec![HEADS[0].to_owned()];
    heads.extend(names.iter().map(|name| short(name).to_owned()));
    heads.extend(has_undispatched.then(|| NO_BACKEND.to_owned()));
    Table {
        caption: "Share of the requests, and mean latency, of each backend".to_owned(),
        heads,
        rows: report.runs.iter().map(row).collect(),
    }
}

/// The backends of all runs, by name.
pub(super) fn backends(report: &Report) -> Vec<String> {
    let names = report.runs.iter().flat_map(|run| &run.backends).map(|backend| &backend.name);
    let mut names: Vec<_> = names.cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// A backend's name without what all names have in common.
pub(super) fn short(name: &str) -> &str {
    name.strip_prefix("http://").unwrap_or(name)
}

/// Notes on the figures.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    for run in &report.runs {
        let name = &run.name;
        if let Some(first) = &run.first_broken {
            let lines =
                if run.broken == 1 { "line that is no row" } else { "lines that are no rows" };
            remarks.push(format!(
                "{name}: {} {lines}, not counted; the first: {first}.",
                thousands(run.broken as f64)
            ));
        }
        if run.is_mixed {
            remarks.push(format!("{name}: its rows belong to more than one configuration."));
        }
        if let Some(outliers) = run.outliers {
            remarks.push(format!("{name}: {}", odd_times(outliers)));
        }
        if run.per_second().is_none() {
            remarks.push(format!(
                "{name}: all rows have the same time, so there is no rate; give the duration \
                 with --seconds."
            ));
        }
    }
    let drains = report.runs.iter().filter(|run| run.drain_rows > 0);
    let drains: Vec<_> = drains.map(drain).collect();
    if !drains.is_empty() {
        remarks.push(format!(
            "Rows in flight when the load stopped, not counted in requests/s by log nor shown \
             over time: {}.",
            drains.join("; ")
        ));
    }
    remarks.extend(report.left_out.iter().map(|reason| format!("Left out: {reason}.")));
    remarks
}

/// How many rows of a run ended after the load, and how many of them were not answered.
fn drain(run: &Run) -> String {
    let rows = format!("{} of {}", thousands(run.drain_rows as f64), run.name);
    match run.left_at_end {
        0 => rows,
        left => format!(
            "{rows}, of which {} were abandoned by their clients and are no errors",
            thousands(left as f64)
        ),
    }
}

/// A note on rows with implausible times, which are in all figures except those over time.
fn odd_times(outliers: Span) -> String {
    let date = |us| Timestamp::from_microsecond(us).map(|it| it.strftime("%F %T").to_string());
    let (first, last) = (date(outliers.first_us), date(outliers.last_us));
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let dates = if first == last { first } else { format!("{first} to {last}") };
    let rows = match outliers.rows {
        1 => "1 row is".to_owned(),
        rows => format!("{} rows are", thousands(rows as f64)),
    };
    format!(
        "{rows} more than a day from the median row ({dates} UTC), so not in the duration, the \
         requests/s and the plot over time."
    )
}

fn nothing() -> String {
    "–".to_owned()
}

/// A number of requests, with its share of all requests of the run.
fn count(run: &Run, count: u64) -> String {
    let number = thousands(count as f64);
    if count == 0 { number } else { format!("{number} ({})", percent(run.share(count))) }
}
