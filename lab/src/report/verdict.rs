//! Which run is best by which figure, as far as the runs can tell.
//!
//! Each run was made once. How much a repetition would differ is estimated from its seconds: a
//! figure's *standard error* is the standard deviation of its values per second, divided by the
//! root of their number. Two runs are a *tie* if their figures differ by less than twice the
//! standard error of the difference, or by less than 1 %, because machines are also slower for
//! minutes, which the variation between seconds does not show.

use super::Report;
use super::run::{Latency, Run, Slot};
use super::written::{millis, per_second};

/// A smaller difference, as a share of the figure, is not significant.
const LEAST_DIFFERENCE: f64 = 0.01;

/// A difference of this many standard errors happens by chance in one of twenty cases.
const STANDARD_ERRORS: f64 = 2.0;

/// From fewer seconds no deviation is computed.
const SLOTS_MIN: usize = 5;

/// What a tie is, for the report.
pub(super) const NOISE: &str = "A tie is a difference of less than 1 %, or of less than twice its \
    standard error, which is computed from how a figure changes from second to second of a run.";

/// A figure and its standard error, if that can be computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The figure.
    pub(super) value: f64,
    /// Its standard error, in the same unit.
    pub(super) error: Option<f64>,
}

impl Estimate {
    /// Whether the difference to another is more than noise; `None` if that is not known.
    fn differs(self, other: Self) -> Option<bool> {
        let error = self.error?.hypot(other.error?) * STANDARD_ERRORS;
        let least = self.value.abs().max(other.value.abs()) * LEAST_DIFFERENCE;
        Some((self.value - other.value).abs() > error.max(least))
    }
}

/// What runs are compared by.
pub(super) struct Criterion {
    /// As in "the most requests/s by log".
    pub(super) name: &'static str,
    /// The figure's name in JSON.
    pub(super) key: &'static str,
    pub(super) of: fn(&Run) -> Option<Estimate>,
    is_more_better: bool,
    words: fn(f64) -> String,
}

impl Criterion {
    /// The figure's name above a plot.
    pub(super) fn title(&self) -> &'static str {
        self.name.split_once(' ').map_or(self.name, |(_, title)| title)
    }
}

/// Which run is best by one criterion.
pub(super) struct Verdict<'a> {
    pub(super) criterion: Criterion,
    /// All that have the figure, the best first.
    ranked: Vec<Ranked<'a>>,
    /// Those of them that tie with the best; `None` if the runs are too short to tell.
    leaders: Option<Vec<Ranked<'a>>>,
}

type Ranked<'a> = (&'a Run, Estimate);

/// The figure of requests per second by which runs are compared: wrk's if all of them have it,
/// because figures that were counted in different ways can't be compared.
pub(super) fn throughput(report: &Report) -> Criterion {
    let by_wrk = report.runs.iter().all(|run| run.wrk_per_second.is_some());
    let by_log = Criterion {
        name: "most requests/s by log",
        key: "requests_per_s",
        of: |run| rate(run, run.per_second()),
        is_more_better: true,
        words: per_second,
    };
    if !by_wrk {
        return by_log;
    }
    Criterion {
        name: "most requests/s by wrk",
        key: "wrk_requests_per_s",
        of: |run| rate(run, run.wrk_per_second),
        ..by_log
    }
}

/// The verdicts, if there are several runs.
pub(super) fn verdicts(report: &Report) -> Vec<Verdict<'_>> {
    let mean = Criterion {
        name: "lowest mean latency",
        key: "mean_ms",
        of: |run| run.latency.as_ref().map(mean_ms),
        is_more_better: false,
        words: |ms| format!("{} ms", millis(ms)),
    };
    let tail = Criterion {
        name: "lowest 95th percentile",
        key: "p95_ms",
        of: |run| run.latency.as_ref().map(p95_ms),
        ..mean
    };
    let verdicts = [throughput(report), mean, tail].map(|criterion| verdict(report, criterion));
    verdicts.into_iter().filter(|verdict| verdict.ranked.len() > 1).collect()
}

fn verdict(report: &Report, criterion: Criterion) -> Verdict<'_> {
    let figures = report.runs.iter().filter_map(|run| Some((run, (criterion.of)(run)?)));
    let mut ranked: Vec<_> = figures.collect();
    ranked.sort_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    if criterion.is_more_better {
        ranked.reverse();
    }
    let best = ranked.first().map(|(_, best)| *best);
    let differs: Option<Vec<_>> = ranked.iter().map(|(_, figure)| best?.differs(*figure)).collect();
    let leaders = differs.map(|differs| {
        let judged = ranked.iter().zip(differs);
        judged.filter(|(_, differs)| !differs).map(|(ranked, _)| *ranked).collect()
    });
    Verdict { criterion, ranked, leaders }
}

impl Verdict<'_> {
    /// The best runs; `None` if the runs are too short to tell.
    pub(super) fn leaders(&self) -> Option<Vec<&str>> {
        let leaders = self.leaders.as_ref()?.iter();
        Some(leaders.map(|(run, _)| run.name.as_str()).collect())
    }

    /// A sentence for the report.
    pub(super) fn text(&self) -> String {
        let Criterion { name, words, .. } = &self.criterion;
        let figure = |(run, figure): &Ranked<'_>| format!("{} ({})", run.name, words(figure.value));
        let (Some(best), Some(worst)) = (self.ranked.first(), self.ranked.last()) else {
            return String::new();
        };
        let range = format!("{} to {}", words(best.1.value), words(worst.1.value));
        match self.leaders.as_deref() {
            None => format!("The {name}: the runs are too short to tell ({range})."),
            Some([best]) => format!("The {name}: {}.", figure(best)),
            Some(all) if all.len() == self.ranked.len() => {
                format!("The {name}: a tie of all {} ({range}).", all.len())
            }
            Some(some) => {
                let names: Vec<_> = some.iter().map(figure).collect();
                format!("The {name}: a tie of {}.", names.join(" and "))
            }
        }
    }
}

/// A rate, whose relative error is that of the log's seconds, even if wrk counted it.
pub(super) fn rate(run: &Run, value: Option<f64>) -> Option<Estimate> {
    let value = value?;
    let slots = run.latency.as_ref().map_or(&[][..], |latency| &latency.slots);
    let counts: Vec<_> = whole(slots).iter().map(|slot| slot.count as f64).collect();
    let error = standard_error(&counts).map(|(mean, error)| value * error / mean);
    Some(Estimate { value, error })
}

pub(super) fn mean_ms(latency: &Latency) -> Estimate {
    estimate(latency.mean_ms, latency, |slot| slot.mean_ms)
}

pub(super) fn p95_ms(latency: &Latency) -> Estimate {
    estimate(latency.p95_ms, latency, |slot| slot.p95_ms)
}

fn estimate(value: f64, latency: &Latency, of: fn(&Slot) -> f64) -> Estimate {
    let values: Vec<_> = whole(&latency.slots).iter().map(of).collect();
    Estimate { value, error: standard_error(&values).map(|(_, error)| error) }
}

/// Without the first and the last, which are incomplete seconds.
fn whole(slots: &[Slot]) -> &[Slot] {
    slots.get(1..slots.len().saturating_sub(1)).unwrap_or_default()
}

/// The mean of `values` and its standard error.
fn standard_error(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < SLOTS_MIN {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (squares / (count - 1.0) / count).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, error: f64) -> Estimate {
        Estimate { value, error: Some(error) }
    }

    #[test]
    fn a_difference_within_noise_or_a_hundredth_is_none() {
        for (a, b, differs) in [
            (estimate(100.0, 0.0), estimate(101.0, 0.0), false),
            (estimate(100.0, 0.0), estimate(102.0, 0.0), true),
            // The error of the difference is 5, so 10 may be chance.
            (estimate(100.0, 3.0), estimate(109.9, 4.0), false),
            (estimate(100.0, 3.0), estimate(110.1, 4.0), true),
            (estimate(0.0, 0.0), estimate(0.0, 0.0), false),
        ] {
            assert_eq!(a.differs(b), Some(differs), "{a:?} {b:?}");
            assert_eq!(b.differs(a), Some(differs), "{b:?} {a:?}");
        }
        let unknown = Estimate { value: 100.0, error: None };
        assert_eq!(unknown.differs(estimate(200.0, 1.0)), None);
    }

    #[test]
    fn the_standard_error_is_that_of_a_mean() {
        // Mean 5, squared deviations 4 + 1 + 0 + 1 + 4: variance 2.5, of the mean 0.5.
        let (mean, error) = standard_error(&[3.0, 4.0, 5.0, 6.0, 7.0]).expect("enough");
        assert!((mean - 5.0).abs() < 1e-12 && (error - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(standard_error(&[1.0; 4]), None);
    }
}
