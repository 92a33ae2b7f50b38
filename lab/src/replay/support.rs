//! When a log says too little for a prediction, and what to do then.

use std::fmt;

use super::drive::Outcome;
use super::figures::{Figures, QUANTILES};
use super::model::{Backend, Model};
use super::trace::{Member, Trace};
use super::visits::Division;

/// Requests that a backend must have answered.
pub(super) const LEAST_SAMPLES: usize = 30;

/// A prediction of which a larger part is guessed is none.
const MOST_GUESSED: f64 = 0.05;

/// How many times as many requests as it had a backend may get whose limit the log does not show.
const MOST_TIMES: u64 = 2;

/// By what parts the replay of the policy that was used may miss the p50, the p95 and the p99.
pub(super) const NEAR: [f64; 3] = [0.1, 0.1, 0.2];

/// Why nothing is predicted.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The log has too few requests of a backend.
    Unseen {
        /// Its URL.
        backend: String,
        /// The requests it has, and of how many.
        seen: usize,
        /// The requests of the log.
        of: usize,
    },
    /// The replay of the policy that was used is too far from what happened.
    Missed {
        /// The policy that was used.
        used: String,
        /// A quantile, by what part it is wrong, and what it may be.
        quantile: &'static str,
        /// See `quantile`.
        error: f64,
        /// See `quantile`.
        most: f64,
    },
    /// A policy would give a backend more requests than the log has of it at that time.
    Few {
        /// Its URL.
        backend: String,
        /// The part of all requests that is guessed there.
        guessed: f64,
        /// The requests that it would get, and those that it had.
        needed: u64,
        /// See `needed`.
        seen: usize,
    },
    /// A policy would give a backend many times the requests of the log, which does not show its
    /// limit.
    Times {
        /// Its URL.
        backend: String,
        /// The part of all requests that is guessed there.
        guessed: f64,
        /// The requests that it would get, and those that it had.
        needed: u64,
        /// See `needed`.
        seen: usize,
    },
    /// A policy would give a backend more at once than it was seen with.
    Beyond {
        /// Its URL.
        backend: String,
        /// The part of all requests that is guessed there.
        guessed: f64,
        /// With how many at once it was hardly ever seen.
        seen: u32,
    },
}

impl Refusal {
    /// In a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Unseen { .. } => "unseen",
            Self::Missed { .. } => "missed",
            Self::Few { .. } => "few",
            Self::Times { .. } => "times",
            Self::Beyond { .. } => "beyond",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen { backend, seen, of } => write!(
                f,
                "{backend} answered {seen} of the {of} requests of the log, and {LEAST_SAMPLES} \
                 are needed to tell how fast it is. Run `tidegate round-robin --log FILE` with the \
                 same backends for a while, which gives each the same number of requests, and \
                 replay that log"
            ),
            Self::Missed { used, quantile, error, most } => write!(
                f,
                "the replay of {used}, which was used, is wrong by {:+.0} % at the {quantile}, and \
                 {:.0} % is the most at which other policies are predicted. Something matters that \
                 the log does not tell, or the policy amplifies small differences. Replay a longer \
                 log, or one of `tidegate round-robin` or `least-conn`; --force prints the figures \
                 all the same",
                100.0 * error,
                100.0 * most
            ),
            Self::Few { backend, guessed, needed, seen } => write!(
                f,
                "{:.0} % of its requests would be guesses: {backend} would get {needed}, and had \
                 {seen} in the log, with more than ten standing for one at times. Run `tidegate \
                 round-robin --log FILE` with the same backends for a while, and replay that log",
                100.0 * guessed
            ),
            Self::Times { backend, guessed, needed, seen } => write!(
                f,
                "{:.0} % of its requests would be guesses: {backend} would get {needed}, more than \
                 {MOST_TIMES} times the {seen} that it had in the log, where its limit does not \
                 show. Run `tidegate round-robin --log FILE` at a higher rate for a while, and \
                 replay that log",
                100.0 * guessed
            ),
            Self::Beyond { backend, guessed, seen } => write!(
                f,
                "{:.0} % of its requests would be guesses: they come to {backend} when it has more \
                 than {seen} at once, which 99 % of the requests in the log did not exceed, and \
                 its limit does not show. Run `tidegate round-robin --log FILE` at a higher rate \
                 for a while, and replay that log",
                100.0 * guessed
            ),
        }
    }
}

/// A backend of which the log says too little for any policy but the one that was used.
pub(super) fn unseen(trace: &Trace, model: &Model) -> Option<Refusal> {
    let pairs = || trace.backends.iter().zip(&model.backends).filter(|(it, _)| !it.is_backup);
    let (member, least) = pairs().min_by_key(|(_, backend)| backend.samples)?;
    (least.samples < LEAST_SAMPLES).then(|| Refusal::Unseen {
        backend: member.url.clone(),
        seen: least.samples,
        of: trace.rows.len(),
    })
}

/// Whether the replay of the policy that was used shows that others can't be predicted.
pub(super) fn missed(used: &str, replayed: &Figures, real: &Figures) -> Option<Refusal> {
    let [_, quantiles @ ..] = replayed.errors(real);
    let each = quantiles.into_iter().zip(NEAR).zip(QUANTILES);
    let wrong = each.filter(|((error, most), _)| error.is_nan() || error.abs() > *most);
    let worst = wrong.max_by(|((a, _), _), ((b, _), _)| a.abs().total_cmp(&b.abs()));
    worst.map(|((error, most), (quantile, _))| Refusal::Missed {
        used: used.to_owned(),
        quantile,
        error,
        most,
    })
}

/// Why an outcome of the simulator is no prediction: the backend where most of it is guessed, if
/// that is too much.
pub(super) fn guessed(trace: &Trace, model: &Model, outcome: &Outcome) -> Option<Refusal> {
    let requests: u64 = outcome.levels.iter().flatten().sum();
    let part = |count: u64| count as f64 / requests.max(1) as f64;
    let (mut all, mut worst) = (0.0, None);
    let backends = trace.backends.iter().zip(&model.backends);
    for ((member, backend), (levels, uses)) in
        backends.zip(outcome.levels.iter().zip(&outcome.uses))
    {
        let (guessed, refusal) = of_backend(member, backend, levels, uses.total(), &part);
        all += guessed;
        if worst.as_ref().is_none_or(|(most, _)| guessed > *most) {
            worst = Some((guessed, refusal));
        }
    }
    worst.filter(|_| all > MOST_GUESSED).map(|(_, refusal)| refusal)
}

fn of_backend(
    member: &Member,
    backend: &Backend,
    levels: &[u64],
    [needed, overused]: [u64; 2],
    part: &impl Fn(u64) -> f64,
) -> (f64, Refusal) {
    let (url, seen) = (member.url.clone(), backend.samples);
    let [_, most, _] = backend.levels;
    let is_limited = backend.division != Division::Unlimited;
    let unless_limited = |count: u64| if is_limited { 0.0 } else { part(count) };
    let beyond = unless_limited(levels.iter().skip(most as usize + 1).sum());
    let times = unless_limited(needed.saturating_sub(MOST_TIMES * seen as u64));
    let few = part(if seen == 0 { needed } else { overused });
    if few >= beyond.max(times) {
        (few, Refusal::Few { backend: url, guessed: few, needed, seen })
    } else if beyond >= times {
        (beyond, Refusal::Beyond { backend: url, guessed: beyond, seen: most })
    } else {
        (times, Refusal::Times { backend: url, guessed: times, needed, seen })
    }
}
