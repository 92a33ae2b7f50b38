//! Which contender has the shortest tail in a scenario, which are equal, which are not ranked.

use super::super::results::{Entry, Measured};
use super::seen::{Quantile, Seen};
use super::stats::Ratio;

/// A contender whose part of errors is higher than the lowest of the scenario by more than this is
/// not ranked. It is half of the part of the requests that a p99 leaves out, so that no contender
/// has a good p99 because most of its slow requests are errors.
pub(super) const MOST_ERRORS: f64 = 0.005;

/// What is shown of what is not known.
pub(super) const NOTHING: &str = "–";

/// What a contender's latency is worth beside the others'.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It has the lowest median of all that are ranked.
    Best,
    /// The rounds do not tell it from the best.
    Equal,
    /// It is slower than the best.
    Behind,
    /// Not ranked: it has more errors than others.
    Errors,
    /// Not ranked: it has too few requests for the quantile.
    Few,
    /// Not ranked: it has failed, or has no round.
    Failed,
}

/// A contender in a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// The contender, as in [`Entry::contender`].
    pub(super) contender: usize,
    /// The quantile, median of the rounds.
    pub(super) ms: Option<f64>,
    /// How many times that of the best.
    pub(super) times: Option<f64>,
    /// Round by round to the best.
    pub(super) ratio: Option<Ratio>,
    /// Round by round to the first contender of the run.
    pub(super) to_first: Option<Ratio>,
    /// Errors of all rounds.
    pub(super) errors: u64,
    /// The part of the requests that they are.
    pub(super) error_part: f64,
    /// Whether a round was disturbed.
    pub(super) is_disturbed: bool,
    pub(super) verdict: Verdict,
}

/// All contenders in a scenario.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    /// What they are compared by: the highest quantile up to p99 that is known of at least half of
    /// them.
    pub(super) quantile: Quantile,
    /// One per entry. In some scenarios not all contenders run.
    pub(super) places: Vec<Place>,
}

impl Verdict {
    /// Whether no other contender is better.
    pub(super) const fn is_best(self) -> bool {
        matches!(self, Self::Best | Self::Equal)
    }

    /// Whether it is compared with the best.
    pub(super) const fn is_ranked(self) -> bool {
        matches!(self, Self::Best | Self::Equal | Self::Behind)
    }

    /// For programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Equal => "equal",
            Self::Behind => "behind",
            Self::Errors => "errors",
            Self::Few => "too few requests",
            Self::Failed => "failed",
        }
    }
}

impl Place {
    /// How many times the best; `=` if the rounds do not tell the two apart.
    pub(super) fn times_text(&self) -> String {
        let is_known = !matches!(self.verdict, Verdict::Failed | Verdict::Few);
        let Some(times) = self.times.filter(|_| is_known) else { return NOTHING.to_owned() };
        let mark = if self.verdict == Verdict::Equal { "= " } else { "" };
        if times >= 100.0 { format!("{mark}{times:.0}") } else { format!("{mark}{times:.2}") }
    }

    /// What is wrong, if something is; errors as a number or, if they are many, as a part.
    pub(super) fn wrong(&self) -> Option<String> {
        match self.verdict {
            Verdict::Failed => Some("failed".to_owned()),
            Verdict::Few => Some("few requests".to_owned()),
            _ if self.errors == 0 => None,
            Verdict::Errors => Some(format!("{:.1} % errors", 100.0 * self.error_part)),
            _ if self.errors == 1 => Some("1 error".to_owned()),
            _ => Some(format!("{} errors", self.errors)),
        }
    }
}

impl Standing {
    /// The place of a contender; `None` if it did not run in this scenario.
    pub(super) fn place(&self, contender: usize) -> Option<&Place> {
        self.places.iter().find(|place| place.contender == contender)
    }

    /// Whether there is anything to compare. A contender that runs alone is not better than others.
    pub(super) fn is_contest(&self) -> bool {
        self.places.len() > 1
    }

    /// How many scenarios compare contenders.
    pub(super) fn contests(standings: &[Self]) -> usize {
        standings.iter().filter(|standing| standing.is_contest()).count()
    }

    pub(super) fn of(measured: &Measured) -> Self {
        let seen: Vec<Seen> = measured.entries.iter().map(Seen::all).collect();
        let quantile = quantile(&seen);
        let rounds: Vec<Vec<f64>> =
            seen.iter().map(|it| it.rounds_ms(quantile).unwrap_or_default()).collect();
        let is_complete = |entry: &Entry| entry.failure.is_none() && !entry.rounds.is_empty();
        let lowest = measured.entries.iter().zip(&seen).filter(|(entry, _)| is_complete(entry));
        let lowest = lowest.map(|(_, seen)| seen.error_part()).fold(f64::INFINITY, f64::min);
        let rank = |index: usize| {
            let ms = seen[index].quantile_ms(quantile);
            let verdict = if !is_complete(&measured.entries[index]) {
                Verdict::Failed
            } else if seen[index].error_part() > lowest + MOST_ERRORS {
                Verdict::Errors
            } else if ms.is_none() {
                Verdict::Few
            } else {
                Verdict::Behind
            };
            (ms, verdict)
        };
        let ranks: Vec<(Option<f64>, Verdict)> = (0..seen.len()).map(rank).collect();
        let ranked = ranks.iter().enumerate().filter(|(_, rank)| rank.1 == Verdict::Behind);
        let ranked = ranked.filter_map(|(index, (ms, _))| Some((index, (*ms)?)));
        let best = ranked.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index);
        let place = |index: usize| {
            let (ms, verdict) = ranks[index];
            let ratio = best.and_then(|best| Ratio::of(&rounds[index], &rounds[best]));
            let times = best.and_then(|best| Some(ms? / ranks[best].0?));
            let to_first = rounds.first().and_then(|first| Ratio::of(&rounds[index], first));
            let verdict = match verdict {
                Verdict::Behind if best == Some(index) => Verdict::Best,
                Verdict::Behind if ratio.is_some_and(Ratio::is_equal) => Verdict::Equal,
                other => other,
            };
            let (errors, error_part) = (seen[index].errors(), seen[index].error_part());
            let Entry { contender, ref rounds, .. } = measured.entries[index];
            let is_disturbed = rounds.iter().any(|it| it.is_disturbed);
            Place {
                contender,
                ms,
                times,
                ratio,
                to_first,
                errors,
                error_part,
                is_disturbed,
                verdict,
            }
        };
        Self { quantile, places: (0..seen.len()).map(place).collect() }
    }
}

fn quantile(seen: &[Seen]) -> Quantile {
    let ran = seen.iter().filter(|it| it.requests() > 0).count();
    let is_known = |quantile: &Quantile| {
        let known = seen.iter().filter(|it| it.rounds_ms(*quantile).is_some()).count();
        known > 0 && 2 * known >= ran
    };
    let choices = [Quantile::P99, Quantile::P95];
    choices.into_iter().find(is_known).unwrap_or(Quantile::P99)
}
