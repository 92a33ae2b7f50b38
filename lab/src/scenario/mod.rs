//! Scenarios: backends, what happens to them, and the load, as files in TOML.
//!
//! A file describes a workload and nothing of how it is run, so that the same one can be simulated
//! and run over sockets. Every unknown key is an error, because a misspelt one would silently
//! measure something else.

mod arena;
mod builtin;
mod error;
mod file;
mod group;
mod load;
mod proxies;
mod requests;
mod script;
mod service;
#[cfg(test)]
mod tests;
mod written;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tidegate::time::parse_duration;

pub use arena::Arena;
pub use builtin::{BUILTIN, UnknownScenario, text_of};
pub use error::ScenarioError;
use file::File;
pub use group::{Drift, Group};
pub use load::{Arrivals, Burst, Class, Load};
pub use proxies::Proxies;
pub use requests::{Request, Requests, Streams};
pub use script::{Conduct, Phase, Window};
pub use service::{PARETO_CUT, Service, exponential, normal};

/// One scenario, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it shows, in a line.
    pub about: String,
    /// Its groups of backends, in the order of the file.
    pub backends: Vec<Group>,
    /// Kinds of requests; one that is like any other if the file names none.
    pub classes: Vec<Class>,
    /// How requests come.
    pub load: Load,
    /// What is before the backends.
    pub proxies: Proxies,
    /// Parts of the run that are looked at by themselves.
    pub focus: Vec<Focus>,
    /// For how long it runs.
    pub run: Run,
    /// How it is run over sockets instead.
    pub arena: Arena,
}

/// A part of the requests that is looked at by itself.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// What it is called.
    pub name: String,
    /// Those that came then.
    pub during: Option<Window>,
    /// Those of this class.
    pub class: Option<String>,
}

/// For how long a scenario runs.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Run {
    /// What comes before is not measured.
    #[serde(deserialize_with = "duration")]
    pub warm_up: Duration,
    /// What is measured.
    #[serde(deserialize_with = "duration")]
    pub length: Duration,
    /// Independent runs.
    #[serde(default = "three")]
    pub seeds: u64,
}

/// How long what came in the measured time is waited for after its end, under continued load.
pub const PATIENCE: Duration = Duration::from_secs(2);

const fn three() -> u64 {
    3
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}

impl Scenario {
    /// Reads a file, or the built-in scenario of that name. With `load`, the rate is that part of
    /// what the backends can do, whatever the file says.
    ///
    /// # Errors
    /// There is none, or something in it is wrong.
    pub fn read(name: &str, load: Option<f64>) -> Result<Self, ReadError> {
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(path)
                .map_err(|error| ScenarioError::unreadable(name, &error))?;
            return Ok(Self::parse(name, &text, load)?);
        }
        Ok(Self::parse(name, text_of(name)?, load)?)
    }

    /// Reads the text of the file `name`.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(name: &str, text: &str, load: Option<f64>) -> Result<Self, ScenarioError> {
        let file: File =
            toml::from_str(text).map_err(|error| ScenarioError::of_toml(name, text, &error))?;
        file.check(load).map_err(|(at, what)| ScenarioError::of_table(name, text, at, what))
    }

    /// The group of each backend.
    pub fn each_backend(&self) -> impl Iterator<Item = &Group> {
        self.backends.iter().flat_map(|group| std::iter::repeat_n(group, group.count))
    }

    /// The part of the requests that is of this class.
    #[must_use]
    pub fn part(&self, class: &Class) -> f64 {
        class.share / self.classes.iter().map(|class| class.share).sum::<f64>()
    }

    /// The longest time after which something begins again.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        let scripts = self.backends.iter().flat_map(|group| &group.script);
        let windows = self.focus.iter().filter_map(|focus| focus.during);
        scripts.map(|phase| phase.window).chain(windows).filter_map(|window| window.every).max()
    }
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No built-in one has this name.
    #[error(transparent)]
    Unknown(#[from] UnknownScenario),
    /// Its file is wrong.
    #[error(transparent)]
    Wrong(#[from] ScenarioError),
}
