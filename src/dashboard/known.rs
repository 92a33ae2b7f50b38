//! What the policy knew of one backend in one span of time, over the choices that were recorded:
//! all that are unusual, and a sample of the others.

use super::availability::{Availability, Cause, Standing};
use super::cell::Sum;
use super::rounding::round;
use crate::decision::Candidate;

/// Fractions of what is summed.
const PARTS: f64 = 1_000.0;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Of how many recorded choices it was the one that was chosen.
    pub(super) chosen: u64,
    in_flight: Sum,
    /// Both in thousandths, of those choices that tell them.
    estimate: Sum,
    score: Sum,
    /// What it was, and in how many choices: few, because there are few states.
    standings: Vec<(Standing, u64)>,
}

impl Known {
    pub(super) fn add(&mut self, candidate: &Candidate<'_>, is_chosen: bool) {
        self.chosen += u64::from(is_chosen);
        self.in_flight.add(candidate.in_flight.into());
        for (sum, value) in
            [(&mut self.estimate, candidate.estimate_ms), (&mut self.score, candidate.score)]
        {
            if let Some(value) = value {
                sum.add(parts(value));
            }
        }
        if let Some(standing) = Standing::of(candidate) {
            self.count(standing, 1);
        }
    }

    fn count(&mut self, standing: Standing, choices: u64) {
        match self.standings.iter_mut().find(|(known, _)| *known == standing) {
            Some((_, count)) => *count += choices,
            None => self.standings.push((standing, choices)),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.chosen += other.chosen;
        self.in_flight.merge(other.in_flight);
        self.estimate.merge(other.estimate);
        self.score.merge(other.score);
        for (standing, choices) in &other.standings {
            self.count(*standing, *choices);
        }
    }

    /// What it was in most choices, and in how many.
    pub(super) fn standing(&self) -> Option<(Standing, u64)> {
        self.standings.iter().copied().max_by_key(|(_, choices)| *choices)
    }

    /// The mean number of its requests in flight, the one to be sent not counted.
    pub(super) fn in_flight(&self) -> Option<f64> {
        self.in_flight.mean().map(round)
    }

    /// The mean latency that was expected of it.
    pub(super) fn estimate_ms(&self) -> Option<f64> {
        self.estimate.mean().map(|mean| round(mean / PARTS))
    }

    pub(super) fn score(&self) -> Option<f64> {
        self.score.mean().map(|mean| round(mean / PARTS))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no number of ours becomes the nearest one that is"
)]
fn parts(value: f64) -> u64 {
    (value * PARTS).round() as u64
}

impl Standing {
    /// `None` if the choice does not tell: a backend that its request has tried may be anything.
    fn of(candidate: &Candidate<'_>) -> Option<Self> {
        let state = match &*candidate.state {
            "up" => Availability::Up,
            "ejected" => Availability::Ejected,
            "probing" => Availability::Probing,
            "down" => Availability::Down,
            "drained" => Availability::Drained,
            "full" => Availability::Full,
            "backup" => Availability::Backup,
            _ => return None,
        };
        let cause = match candidate.cause.as_deref() {
            Some("refused") => Some(Cause::Refused),
            Some("failures") => Some(Cause::Failures),
            Some("check failed") => Some(Cause::CheckFailed),
            Some("admin") => Some(Cause::Admin),
            Some("removed") => Some(Cause::Removed),
            _ => None,
        };
        Some(Self { state, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(state: &'static str, estimate_ms: Option<f64>) -> Candidate<'static> {
        Candidate {
            state: state.into(),
            cause: (state == "ejected").then_some("failures".into()),
            estimate_ms,
            score: estimate_ms.map(|ms| ms * 2.0),
            in_flight: 3,
            ..Candidate::default()
        }
    }

    #[test]
    fn means_are_over_the_choices_that_tell_it() {
        let mut known = Known::default();
        assert_eq!((known.estimate_ms(), known.in_flight(), known.standing()), (None, None, None));
        known.add(&candidate("up", Some(8.25)), true);
        known.add(&candidate("up", Some(9.25)), false);
        known.add(&candidate("up", None), true);
        assert_eq!((known.estimate_ms(), known.score()), (Some(8.75), Some(17.5)));
        assert_eq!((known.in_flight(), known.chosen), (Some(3.0), 2));
        let mut both = known.clone();
        both.merge(&known);
        assert_eq!((both.estimate_ms(), both.chosen), (Some(8.75), 4));
    }

    #[test]
    fn a_backend_was_what_most_choices_tell() {
        let mut known = Known::default();
        known.add(&candidate("tried", None), false);
        known.add(&candidate("something new", None), false);
        assert_eq!(known.standing(), None);
        known.add(&candidate("up", None), false);
        known.add(&candidate("ejected", None), false);
        known.add(&candidate("ejected", None), false);
        let ejected = Standing { state: Availability::Ejected, cause: Some(Cause::Failures) };
        assert_eq!(known.standing(), Some((ejected, 2)));
        let mut both = known.clone();
        both.merge(&known);
        assert_eq!(both.standing(), Some((ejected, 4)));
    }

    #[test]
    fn numbers_that_no_log_of_ours_has_do_no_harm() {
        let mut known = Known::default();
        known.add(&candidate("up", Some(f64::NAN)), false);
        known.add(&candidate("up", Some(-5.0)), false);
        known.add(&candidate("up", Some(f64::MAX)), false);
        known.add(&candidate("up", Some(f64::MAX)), false);
        assert!(known.estimate_ms().is_some_and(f64::is_finite));
    }
}
