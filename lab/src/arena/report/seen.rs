//! What was seen of some requests in all rounds of a contender.

use super::super::results::{Entry, Tally};
use crate::bench::Spread;

/// A quantile is known if at least so many requests of all rounds took longer.
const FEWEST_BEYOND: f64 = 100.0;

/// A quantile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Quantile {
    P50,
    P95,
    P99,
    P999,
}

impl Quantile {
    pub(super) const ALL: [Self; 4] = [Self::P50, Self::P95, Self::P99, Self::P999];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    const fn part(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }
}

/// The tallies of a contender, one per round.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a>(Vec<&'a Tally>);

impl<'a> Seen<'a> {
    /// Of all requests.
    pub(super) fn all(entry: &'a Entry) -> Self {
        Self(entry.rounds.iter().map(|round| &round.all).collect())
    }

    /// Of those of a focus of the scenario.
    pub(super) fn focus(entry: &'a Entry, focus: usize) -> Self {
        Self(entry.rounds.iter().filter_map(|round| round.focus.get(focus)).collect())
    }

    /// Requests of all rounds.
    pub(super) fn requests(&self) -> u64 {
        self.0.iter().map(|tally| tally.latencies.len()).sum()
    }

    /// Errors of all rounds by kind.
    pub(super) fn kinds(&self) -> Vec<(&'a str, u64)> {
        let mut kinds: Vec<(&str, u64)> = Vec::new();
        for (kind, count) in self.0.iter().flat_map(|tally| &tally.errors) {
            match kinds.iter_mut().find(|(known, _)| known == kind) {
                Some((_, sum)) => *sum += count,
                None => kinds.push((kind, *count)),
            }
        }
        kinds
    }

    /// Errors of all rounds.
    pub(super) fn errors(&self) -> u64 {
        self.kinds().iter().map(|(_, count)| count).sum()
    }

    /// The part of the requests that ended in an error.
    pub(super) fn error_part(&self) -> f64 {
        self.errors() as f64 / self.requests().max(1) as f64
    }

    /// The median of the rounds' means.
    pub(super) fn mean_ms(&self) -> Option<f64> {
        let means = self.0.iter().filter(|tally| !tally.latencies.is_empty());
        Some(Spread::of(means.map(|tally| tally.latencies.mean() / 1e3))?.median)
    }

    /// A quantile of each round; `None` if all rounds together have too few requests for it.
    pub(super) fn rounds_ms(&self, quantile: Quantile) -> Option<Vec<f64>> {
        // A part is not exact in binary: 100 of 10,000 are enough.
        let beyond = (1.0 - quantile.part()) * self.requests() as f64;
        let of = |tally: &&Tally| tally.latencies.value_at_quantile(quantile.part()) as f64 / 1e3;
        (beyond >= FEWEST_BEYOND - 1e-6).then(|| self.0.iter().map(of).collect())
    }

    /// The median of the rounds' quantiles; `None` if they have too few requests for it.
    pub(super) fn quantile_ms(&self, quantile: Quantile) -> Option<f64> {
        let rounds = self.rounds_ms(quantile)?.into_iter().filter(|ms| *ms > 0.0);
        Some(Spread::of(rounds)?.median)
    }
}
