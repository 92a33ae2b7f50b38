//! The figures by which runs are compared.

use super::Report;
use super::configuration::Configuration;
use super::estimate::{Error, Estimate, RUNS_MIN, VALUES_MIN, mean};
use super::run::{Block, Latency, Run};
use super::written::{millis, per_second};

/// A figure of a run.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    /// Its name in JSON.
    pub(super) key: &'static str,
    /// Its name above a column or a plot.
    pub(super) title: &'static str,
    /// The best of several, as in "the lowest mean latency".
    pub(super) best: &'static str,
    pub(super) is_more_better: bool,
    /// A value with its unit.
    pub(super) words: fn(f64) -> String,
    of: fn(&Run) -> Option<f64>,
    /// Its value in a block, and what follows for the run's.
    of_block: fn(&Block) -> f64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A block without a row has none.
    Latency,
    /// A block without a row has 0. Blocks are counted by the log, the figure possibly by wrk, so
    /// only their relative error is the figure's.
    Rate,
}

const MEAN: Figure = Figure {
    key: "mean_ms",
    title: "mean latency",
    best: "lowest mean latency",
    is_more_better: false,
    words: with_unit,
    of: |run| run.latency.as_ref().map(|it| it.mean_ms),
    of_block: |block| block.mean_ms,
    kind: Kind::Latency,
};

const P95: Figure = Figure {
    key: "p95_ms",
    title: "p95 latency",
    best: "lowest 95th percentile",
    of: |run| run.latency.as_ref().map(|it| it.p95_ms),
    of_block: |block| block.p95_ms,
    ..MEAN
};

const P99: Figure = Figure {
    key: "p99_ms",
    title: "p99 latency",
    best: "lowest 99th percentile",
    of: |run| run.latency.as_ref().map(|it| it.p99_ms),
    of_block: |block| block.p99_ms,
    ..MEAN
};

const BY_LOG: Figure = Figure {
    key: "requests_per_s",
    title: "requests/s by log",
    best: "most requests/s by log",
    is_more_better: true,
    words: per_second,
    of: Run::per_second,
    of_block: |block| block.count as f64,
    kind: Kind::Rate,
};

const BY_WRK: Figure = Figure {
    key: "wrk_requests_per_s",
    title: "requests/s by wrk",
    best: "most requests/s by wrk",
    of: |run| run.wrk_per_second,
    ..BY_LOG
};

fn with_unit(ms: f64) -> String {
    format!("{} ms", millis(ms))
}

/// The figures by which the runs of a report are compared. Requests per second are wrk's if all
/// runs have them, because figures that were counted in different ways can't be compared.
pub(super) fn figures(report: &Report) -> [Figure; 4] {
    let by_wrk = report.runs.iter().all(|run| run.wrk_per_second.is_some());
    [if by_wrk { BY_WRK } else { BY_LOG }, MEAN, P95, P99]
}

/// Each figure with an error, and the error; for programs.
pub(super) fn standard_errors(run: &Run) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    let error = |figure: Figure| figure.of_run(run).and_then(|it| Some(it.error?.standard));
    [BY_LOG, BY_WRK, MEAN, P95, P99].into_iter().map(move |it| (it.key, error(it)))
}

impl Figure {
    pub(super) fn value(&self, run: &Run) -> Option<f64> {
        (self.of)(run)
    }

    /// Of a configuration: the mean of its runs.
    pub(super) fn of(&self, configuration: &Configuration<'_>) -> Option<Estimate> {
        let runs: Vec<_> =
            configuration.runs.iter().map(|run| self.of_run(run)).collect::<Option<_>>()?;
        let values: Vec<_> = runs.iter().map(|run: &Estimate| run.value).collect();
        let error = Error::of_mean(&values, RUNS_MIN).or_else(|| mean_of_two(&runs));
        Some(Estimate { value: mean(&values), error })
    }

    fn of_run(&self, run: &Run) -> Option<Estimate> {
        let value = self.value(run)?;
        let blocks = run.latency.as_ref().map_or(&[][..], |latency: &Latency| &latency.blocks);
        let error = match self.kind {
            Kind::Latency => {
                let values: Vec<_> = blocks.iter().flatten().map(self.of_block).collect();
                Error::of_mean(&values, VALUES_MIN)
            }
            Kind::Rate => {
                let count = |block: &Option<Block>| block.as_ref().map_or(0.0, self.of_block);
                let counts: Vec<_> = blocks.iter().map(count).collect();
                let mean = Some(mean(&counts)).filter(|mean| *mean > 0.0);
                let error = Error::of_mean(&counts, VALUES_MIN);
                error.zip(mean).map(|(error, mean)| error.times(value / mean))
            }
        };
        Some(Estimate { value, error })
    }
}

/// The error of the mean of one run or two, from those of the runs.
fn mean_of_two(runs: &[Estimate]) -> Option<Error> {
    let errors: Vec<_> = runs.iter().map(|run| run.error).collect::<Option<_>>()?;
    let sum = errors.into_iter().reduce(Error::with)?;
    Some(sum.times(1.0 / runs.len() as f64))
}
