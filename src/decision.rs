//! A choice as it is told: the JSON of the decision log and of the admin API, and what it says in
//! sentences.
//!
//! The names are a contract: programs read them. New members may be added, and none changes its
//! meaning.

mod sentence;
#[cfg(test)]
mod tests;

pub(crate) use sentence::seconds;
pub use sentence::{plain, tell, tell_reason};

use std::borrow::Cow;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// A choice. In the decision log time, worker and request stand before it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Decision<'a> {
    /// The policy.
    pub policy: Cow<'a, str>,
    /// The backend that it fell on.
    pub chosen: Cow<'a, str>,
    /// Why, in a word as in the CSV log.
    pub reason: Cow<'a, str>,
    /// Why it was recorded: `sample`, `unusual` or `asked`.
    pub recorded: Cow<'a, str>,
    /// The candidate that would have been next by its score.
    pub runner_up: Option<Cow<'a, str>>,
    /// How likely the choice was, if chance decided.
    pub probability: Option<f64>,
    /// The backends that there were, or the first of many.
    pub candidates: Vec<Candidate<'a>>,
    /// How many more there were.
    pub more_candidates: usize,
}

/// A choice that is told later, on another thread.
pub trait Told: Debug + Send {
    /// What there is to tell.
    fn decision(&self) -> Decision<'_>;
}

/// A line of the decision log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Logged<'a> {
    /// When the choice was made, as in the CSV log.
    pub time: Cow<'a, str>,
    /// The worker that made it.
    pub worker: usize,
    /// The request that it was made for: `started`, `worker` and `client` of its row, with a slash
    /// between them.
    pub request: Cow<'a, str>,
    /// The choice.
    #[serde(flatten)]
    pub decision: Decision<'a>,
}

/// A backend as a choice saw it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Candidate<'a> {
    /// Its URL.
    pub url: Cow<'a, str>,
    /// `up` if it could be chosen, else why not: `ejected`, `probing`, `down`, `drained`, `full`,
    /// `tried` or `backup`.
    pub state: Cow<'a, str>,
    /// Why it is `ejected`, `probing` or `down`.
    pub cause: Option<Cow<'a, str>>,
    /// Seconds since it is up, or not up.
    pub since_seconds: Option<f64>,
    /// Seconds to the end of its ejection.
    pub ejected_for_seconds: Option<f64>,
    /// The latency that was expected of it.
    pub estimate_ms: Option<f64>,
    /// The age of the last sample in that.
    pub estimate_age_ms: Option<f64>,
    /// Requests in flight, without the one that was to be sent.
    pub in_flight: u32,
    /// How many it usually has in flight.
    pub usual_in_flight: Option<f64>,
    /// Its weight.
    pub weight: f64,
    /// The least one is chosen.
    pub score: Option<f64>,
}

impl Decision<'_> {
    /// The backend that was chosen, if it is listed.
    #[must_use]
    pub fn chosen_candidate(&self) -> Option<&Candidate<'_>> {
        self.candidates.iter().find(|candidate| candidate.url == self.chosen)
    }
}
