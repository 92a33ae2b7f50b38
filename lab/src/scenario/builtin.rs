//! The scenarios that come with the lab: those in `lab/scenarios/`, by name.

use std::fmt;

use tidegate::usage::or_nearest;

/// Names and texts.
pub const BUILTIN: [(&str, &str); 30] = [
    ("original", include_str!("../../scenarios/original.toml")),
    ("uneven", include_str!("../../scenarios/uneven.toml")),
    ("uneven-us", include_str!("../../scenarios/uneven-us.toml")),
    ("uneven-cores", include_str!("../../scenarios/uneven-cores.toml")),
    ("one-core", include_str!("../../scenarios/one-core.toml")),
    ("one-big", include_str!("../../scenarios/one-big.toml")),
    ("bursts", include_str!("../../scenarios/bursts.toml")),
    ("heavy-tail", include_str!("../../scenarios/heavy-tail.toml")),
    ("pareto", include_str!("../../scenarios/pareto.toml")),
    ("mixed", include_str!("../../scenarios/mixed.toml")),
    ("long-polls", include_str!("../../scenarios/long-polls.toml")),
    ("slow-phase", include_str!("../../scenarios/slow-phase.toml")),
    ("slow-phase-8", include_str!("../../scenarios/slow-phase-8.toml")),
    ("short-slow", include_str!("../../scenarios/short-slow.toml")),
    ("short-pauses", include_str!("../../scenarios/short-pauses.toml")),
    ("drifting", include_str!("../../scenarios/drifting.toml")),
    ("speeds-up", include_str!("../../scenarios/speeds-up.toml")),
    ("recovers", include_str!("../../scenarios/recovers.toml")),
    ("joins-cold", include_str!("../../scenarios/joins-cold.toml")),
    ("restarts", include_str!("../../scenarios/restarts.toml")),
    ("refuses", include_str!("../../scenarios/refuses.toml")),
    ("fails-fast", include_str!("../../scenarios/fails-fast.toml")),
    ("fails-fast-3s", include_str!("../../scenarios/fails-fast-3s.toml")),
    ("fails-whole", include_str!("../../scenarios/fails-whole.toml")),
    ("failure-burst", include_str!("../../scenarios/failure-burst.toml")),
    ("hangs", include_str!("../../scenarios/hangs.toml")),
    ("wrong-answers", include_str!("../../scenarios/wrong-answers.toml")),
    ("background-errors", include_str!("../../scenarios/background-errors.toml")),
    ("four-proxies", include_str!("../../scenarios/four-proxies.toml")),
    ("fleet", include_str!("../../scenarios/fleet.toml")),
];

/// The text of the built-in scenario of this name.
///
/// # Errors
/// There is none; the message names those there are.
pub fn text_of(name: &str) -> Result<&'static str, UnknownScenario> {
    let found = BUILTIN.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).ok_or_else(|| UnknownScenario(name.to_owned()))
}

/// A name that no scenario has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownScenario(String);

impl fmt::Display for UnknownScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = BUILTIN.map(|(name, _)| name);
        let refusal = format!(
            "there is no scenario `{}`; give a file that ends in .toml, or one of {}",
            self.0,
            names.join(", ")
        );
        f.write_str(&or_nearest(&refusal, &self.0, names))
    }
}

impl std::error::Error for UnknownScenario {}
