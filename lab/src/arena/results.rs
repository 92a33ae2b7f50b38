//! The results of an arena run, as they are kept in `arena.json` and drawn in its page.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::scenario::Scenario;

use super::kept::{histogram, number, text};

/// One run of the arena.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// The machine.
    pub machine: Machine,
    /// Rounds of each contender in each scenario.
    pub rounds: u32,
    /// The contenders, in the order in which they are shown.
    pub contenders: Vec<Entrant>,
    /// Those that were left out, with the reasons.
    pub left_out: Vec<String>,
    /// The scenarios, in the order in which they were run.
    pub scenarios: Vec<Measured>,
}

impl Results {
    /// What went wrong in which scenario.
    pub fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.scenarios.iter().flat_map(move |scenario| {
            scenario.entries.iter().filter_map(move |entry| {
                let name = &self.contenders[entry.contender].name;
                Some(format!("{name} in {}: {}", scenario.name, entry.failure.as_ref()?))
            })
        })
    }
}

/// A contender, as the report shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entrant {
    /// Its name, such as `nginx-least-time`.
    pub name: String,
    /// What its program says of its version.
    pub version: String,
    /// The configuration that it was run with, or its command line.
    pub configuration: String,
    /// What was chosen in the configuration and why, in a line each.
    pub choices: Vec<String>,
}

/// One scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// What was run: with the length and the warm-up that the run used.
    #[serde(with = "text")]
    pub scenario: Scenario,
    /// One entry per contender, in the order of [`Results::contenders`].
    pub entries: Vec<Entry>,
}

/// One contender in one scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// The contender's place in [`Results::contenders`].
    pub contender: usize,
    /// Its complete rounds.
    pub rounds: Vec<Round>,
    /// What the simulator says of the same file, if it knows the contender's policy.
    pub simulated: Option<Predicted>,
    /// Its failure, if it has one; it was not run any further then.
    pub failure: Option<String>,
}

/// One run of a contender in a scenario.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Round {
    /// All requests whose intended start was after the warm-up.
    pub all: Tally,
    /// Those of each focus of the scenario.
    pub focus: Vec<Tally>,
    /// The same over time.
    pub series: Vec<Slice>,
    /// What was measured, in seconds.
    #[serde(deserialize_with = "number")]
    pub seconds: f64,
    /// Requests that clients sent in it, long polls included.
    pub sent: u64,
    /// Requests that each backend received in it, in the order of `Scenario::each_backend`.
    pub received: Vec<u64>,
    /// Processor time of all the contender's threads and processes, per request, in µs.
    #[serde(deserialize_with = "number")]
    pub cpu_us_per_request: f64,
    /// The same of the backends.
    #[serde(default, deserialize_with = "number")]
    pub backends_us_per_request: f64,
    /// How late the client sent, at the 99th percentile, in ms.
    #[serde(deserialize_with = "number")]
    pub lag_ms: f64,
    /// The part of the contender's cores that other programs used.
    #[serde(default, deserialize_with = "number")]
    pub others: f64,
    /// Whether the client was too late, or others used too much, also when it was repeated.
    pub is_disturbed: bool,
}

/// What the clients saw of some requests.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tally {
    /// Latencies from the intended start to the whole answer or the error, in µs, exact to four
    /// digits. Long polls are left out.
    #[serde(with = "histogram")]
    pub latencies: Histogram<u64>,
    /// Errors by kind, such as `503`, `reset`, `unanswered`; no kind is there with 0.
    pub errors: Vec<(String, u64)>,
}

/// A part of a round.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Slice {
    /// When it begins, in seconds from the beginning of the script, warm-up included.
    #[serde(deserialize_with = "number")]
    pub from_s: f64,
    /// What the clients saw of requests whose intended start was in it.
    #[serde(deserialize_with = "number")]
    pub p50_ms: f64,
    /// The same.
    #[serde(deserialize_with = "number")]
    pub p99_ms: f64,
    /// The same.
    pub requests: u64,
    /// The same.
    pub errors: u64,
    /// Requests that each backend received in it.
    pub received: Vec<u64>,
}

/// What the simulator says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Predicted {
    /// The policy that was simulated.
    pub policy: String,
    /// In milliseconds: mean, p50, p95, p99, p99.9.
    pub latency_ms: [f64; 5],
    /// Requests that ended per second.
    #[serde(deserialize_with = "number")]
    pub per_second: f64,
    /// The part of the requests that ended in an error.
    #[serde(deserialize_with = "number")]
    pub error_part: f64,
    /// The part of the attempts that each backend got.
    pub shares: Vec<f64>,
}
