//! The figures of one run, and its name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::conditions::Setup;
use super::latencies::{Latencies, Part, Sorted};
use super::tally::{Counted, Label, Tally};
use super::{plain, wrk};
use tidegate::balance::Policy;
use tidegate::journal::{Span, TailError};

/// The kinds of connections, in the order in which they are shown.
const CONNECTIONS: [&str; 2] = ["persistent", "non-persistent"];

/// The thousandths at which the distribution is drawn: every 0.5 %, and more near 100 %.
fn curve_places() -> impl Iterator<Item = u64> {
    (0..990).step_by(5).chain(990..=1000)
}

/// The figures of one log.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The configuration in the rows, after the scenario's number if there is one, else the file's
    /// name.
    pub name: String,
    /// The log.
    pub path: PathBuf,
    /// How it was made, as far as that is known.
    pub setup: Setup,
    /// The path below the folder that was named, without the ending.
    pub label: String,
    /// The policy, if it is the same in all rows.
    pub routing_mode: Option<String>,
    /// `persistent` or `non-persistent`, if it is the same in all rows.
    pub connection: Option<String>,
    /// Whether it has rows of several configurations.
    pub is_mixed: bool,
    /// Rows.
    pub requests: u64,
    /// Those of them with a status of 400 or more, or a fault.
    pub errors: u64,
    /// Those of them that were sent to no backend.
    pub undispatched: u64,
    /// How long it was under load, without outliers; 0 if all rows have the same time.
    pub seconds: f64,
    /// The rows that ended in that time: all except outliers and the drain, or all except the drain
    /// if the time was given.
    pub timed_requests: u64,
    /// The rows that were in flight when the load stopped, and ended after it.
    pub drain_rows: u64,
    /// Those of them whose clients left, as clients do when a measurement is over. They are counted
    /// neither as errors nor in latencies.
    pub left_at_end: u64,
    /// The rows with implausible times, see [`Days`](tidegate::journal::Days).
    pub outliers: Option<Span>,
    /// Requests per second as wrk counted them.
    pub wrk_per_second: Option<f64>,
    /// The latencies; `None` if no row has one.
    pub latency: Option<Latency>,
    /// The backends, sorted by name.
    pub backends: Vec<Backend>,
    /// Lines that are no rows, and are not counted.
    pub broken: u64,
    /// What is wrong with the first of them.
    pub first_broken: Option<String>,
}

/// How long requests took, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean_ms: f64,
    /// The median, linear between ranks.
    pub p50_ms: f64,
    /// A quantile like [`Latency::p50_ms`].
    pub p95_ms: f64,
    /// A quantile like [`Latency::p50_ms`].
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The distribution: latencies, each with the percentage of requests that took at most so long.
    pub curve: Vec<(f64, f64)>,
    /// The latencies over time.
    pub slots: Vec<Slot>,
    /// The time under load in blocks of equal length, without its first and last second; `None`
    /// for one without a row.
    pub blocks: Vec<Option<Block>>,
}

/// A second of a run, or several if the run is long.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Seconds since the first one.
    pub second: f64,
    /// How many latencies there are.
    pub count: usize,
    /// The median.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// How many of them are each backend's, in the order of [`Run::backends`].
    pub requests: Vec<u64>,
}

/// A part of a run, from which it is told how exact the run's figures are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// How many latencies there are.
    pub count: usize,
    /// Their mean.
    pub mean_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

/// One backend's part of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Its name in the log.
    pub name: String,
    /// Rows.
    pub requests: u64,
    /// Those of them that are errors.
    pub errors: u64,
    /// The mean latency; `None` if no row has one.
    pub mean_ms: Option<f64>,
}

/// Why a file has no figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It is no log, or can't be read.
    #[error(transparent)]
    NotALog(#[from] TailError),
    /// It has only a header.
    #[error("it has no rows")]
    NoRows,
    /// All its rows are health checks.
    #[error("all its {0} rows are health probes")]
    ProbesAlone(u64),
    /// It has lines, but no rows.
    #[error("none of its {lines} lines is a row; the first: {first}")]
    BrokenAlone { lines: u64, first: String },
}

impl Run {
    /// Reads the log at `path`, of a run that was under load for `seconds`, if that is known.
    pub(super) fn read(path: &Path, label: &str, seconds: Option<f64>) -> Result<Self, Unread> {
        let tally = Tally::of(path)?;
        let first_broken = tally.first_broken.as_ref().map(|error| plain(&error.to_string()));
        let Some(span) = tally.days.span() else {
            return Err(match (first_broken, tally.probes) {
                (Some(first), _) => Unread::BrokenAlone { lines: tally.broken, first },
                (None, 0) => Unread::NoRows,
                (None, probes) => Unread::ProbesAlone(probes),
            });
        };
        let (routing_mode, connection) = (tally.routing_mode.agreed(), tally.connection.agreed());
        let setup = Setup::beside(path);
        let name = match (&routing_mode, &connection) {
            (Some(mode), Some(connection)) if setup.scenario.is_empty() => {
                format!("{mode}, {connection}")
            }
            (Some(mode), Some(connection)) => format!("{} {mode}, {connection}", setup.scenario),
            _ => plain(label),
        };
        let is_mixed = [&tally.routing_mode, &tally.connection]
            .iter()
            .any(|label| matches!(label, Label::Mixed));
        let load = tally.under_load;
        let drain_rows = load.map_or(0, |load| load.drain);
        let timed_requests = if seconds.is_some() { tally.requests } else { span.rows };
        let of_log = load.map_or_else(|| span.seconds(), |load| load.seconds());
        let under_load = Span { last_us: load.map_or(span.last_us, |load| load.end_us), ..span };
        let mut backends: Vec<_> = tally.backends.iter().enumerate().collect();
        backends.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let places: Vec<_> = backends.iter().map(|(place, _)| *place).collect();
        let backends = backends.into_iter().map(|(_, counted)| backend(counted)).collect();
        Ok(Self {
            name,
            path: path.to_owned(),
            setup,
            label: plain(label),
            routing_mode,
            connection,
            is_mixed,
            requests: tally.requests,
            errors: tally.errors,
            undispatched: tally.undispatched,
            seconds: seconds.unwrap_or(of_log),
            timed_requests: timed_requests - drain_rows,
            drain_rows,
            left_at_end: tally.left_at_end,
            outliers: tally.days.outliers(),
            wrk_per_second: wrk::per_second_beside(path),
            backends,
            broken: tally.broken,
            first_broken,
            latency: latency(tally.latencies, under_load, &places),
        })
    }

    /// The rows with implausible times.
    #[must_use]
    pub fn outlier_rows(&self) -> u64 {
        self.outliers.map_or(0, |outliers| outliers.rows)
    }

    /// Requests per second while under load; `None` if the run has no length.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.timed_requests as f64 / self.seconds)
    }

    /// `count` as a share of all requests, 0 to 1.
    #[must_use]
    pub fn share(&self, count: u64) -> f64 {
        if self.requests == 0 { 0.0 } else { count as f64 / self.requests as f64 }
    }

    /// One backend's part, if it has one.
    #[must_use]
    pub fn backend(&self, name: &str) -> Option<&Backend> {
        self.backends.iter().find(|backend| backend.name == name)
    }

    /// The key by which the runs of a folder are sorted: the connection mode, then the policy.
    pub(super) fn rank(&self) -> (usize, usize) {
        let of = |label: &Option<String>, names: &[&str]| {
            let place = names.iter().position(|name| label.as_deref() == Some(*name));
            place.unwrap_or(names.len())
        };
        (of(&self.connection, &CONNECTIONS), of(&self.routing_mode, &Policy::ALL.map(Policy::name)))
    }
}

fn backend(counted: &Counted) -> Backend {
    let mean_ms = counted.sum_us as f64 / (counted.latencies as f64 * 1000.0);
    Backend {
        name: counted.name.clone(),
        requests: counted.requests,
        errors: counted.errors,
        mean_ms: (counted.latencies > 0).then_some(mean_ms),
    }
}

/// The backends of the rows are numbered as in `places`.
fn latency(latencies: Latencies, span: Span, places: &[usize]) -> Option<Latency> {
    let (count, mean_ms) = (latencies.count(), latencies.mean_ms()?);
    let (mut slots, mut blocks) = (Vec::new(), Vec::new());
    let add_slot = |part: Part<'_>| {
        let requests = part.sorted.requests(places.len());
        slots.push(Slot {
            second: part.second as f64,
            count: part.sorted.count(),
            p50_ms: part.sorted.quantile_ms(500),
            p95_ms: part.sorted.quantile_ms(950),
            requests: places.iter().map(|place| requests[*place]).collect(),
        });
    };
    let add_block = |block: Option<Sorted<'_>>| {
        blocks.push(block.map(|sorted| Block {
            count: sorted.count(),
            mean_ms: sorted.mean_ms(),
            p95_ms: sorted.quantile_ms(950),
            p99_ms: sorted.quantile_ms(990),
        }));
    };
    let latency = latencies.look(span, add_slot, add_block, |all| Latency {
        count,
        mean_ms,
        p50_ms: all.quantile_ms(500),
        p95_ms: all.quantile_ms(950),
        p99_ms: all.quantile_ms(990),
        max_ms: all.quantile_ms(1000),
        curve: curve_places().map(|at| (all.quantile_ms(at), at as f64 / 10.0)).collect(),
        slots: Vec::new(),
        blocks: Vec::new(),
    })?;
    Some(Latency { slots, blocks, ..latency })
}

/// Makes names unique: the file's name is added to runs of the same name and to those from folders
/// below the one that was named, or the path where the file's name is the same, too.
pub(super) fn tell_apart(runs: &mut [Run]) {
    let plain_names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    let is_below = |run: &Run| run.label.contains('/');
    lengthen(runs, &plain_names, |run| run.label.clone(), is_below);
    lengthen(runs, &plain_names, |run| plain(&run.path.to_string_lossy()), |_| false);
}

/// Adds `longer` to a name if another run has the same, or if it is required.
fn lengthen(
    runs: &mut [Run],
    plain_names: &[String],
    longer: impl Fn(&Run) -> String,
    has_to: impl Fn(&Run) -> bool,
) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for run in &*runs {
        *counts.entry(run.name.clone()).or_default() += 1;
    }
    for (run, name) in runs.iter_mut().zip(plain_names) {
        let longer = longer(run);
        if (counts[&run.name] > 1 || has_to(run)) && *name != longer {
            let is_named = run.routing_mode.is_some() && run.connection.is_some();
            run.name = if is_named { format!("{name} ({longer})") } else { longer };
        }
    }
}
