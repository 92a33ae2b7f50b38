//! What an arena runs.

use std::path::PathBuf;
use std::time::Duration;

use super::contender::Contender;
use crate::scenario::{ReadError, Scenario};

/// The scenarios that are run if none is named: a name, and maybe a load in place of the file's.
pub const SCENARIOS: [&str; 14] = [
    "original",
    "uneven@0.5",
    "uneven",
    "uneven@0.9",
    "one-big",
    "slow-phase-8",
    "fails-fast-3s",
    "hangs",
    "joins-cold",
    "short-pauses",
    "heavy-tail",
    "drifting",
    "long-polls",
    "four-proxies",
];

/// Those of a quick run.
pub const QUICK: [&str; 6] =
    ["original", "uneven", "one-big", "slow-phase-8", "fails-fast-3s", "heavy-tail"];

/// About how long a turn takes in which scenarios are as long as their files say.
pub const ROUND: Duration = Duration::from_secs(8);

/// Independent runs of the simulator, whose results are taken together.
const SEEDS: u64 = 64;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenarios with their names, as they are run.
    pub scenarios: Vec<(String, Scenario)>,
    /// The contenders.
    pub contenders: Vec<Contender>,
    /// Rounds per scenario, in each of which every contender has one turn.
    pub rounds: u32,
    /// A folder in which the logs of tidegate in the first round are kept, by scenario.
    pub logs: Option<PathBuf>,
}

impl Plan {
    /// The contenders of a scenario, by their places in `contenders`. Where a scenario has several
    /// proxies, they are ours.
    pub(super) fn line_up(scenario: &Scenario, contenders: &[Contender]) -> Vec<usize> {
        let is_in = |contender: &Contender| {
            scenario.proxies.count == 1 || contender.name.starts_with("tidegate")
        };
        (0..contenders.len()).filter(|index| is_in(&contenders[*index])).collect()
    }
}

/// Reads a scenario by its name or file, as in `uneven`, `own.toml` or `uneven@0.9`, for rounds of
/// this length and proxies with so many workers.
///
/// # Errors
/// There is none, or something in it is wrong.
pub fn scenario(name: &str, round: Duration, workers: usize) -> Result<Scenario, ReadError> {
    let (file, load) = match name.rsplit_once('@') {
        Some((file, load)) => match load.parse().ok().filter(|load| *load > 0.0 && *load <= 10.0) {
            Some(load) => (file, Some(load)),
            None => (name, None),
        },
        None => (name, None),
    };
    let part = round.as_secs_f64() / ROUND.as_secs_f64();
    let mut scenario = Scenario::read(file, load)?.for_arena(part, SEEDS);
    scenario.proxies.workers = workers;
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Load;

    fn read(name: &str) -> Result<Scenario, String> {
        scenario(name, ROUND / 2, 2).map_err(|error| error.to_string())
    }

    /// What starting and ending takes in a turn, on average.
    const AROUND: Duration = Duration::from_millis(800);

    /// How long so many turns of eight contenders take in these scenarios, of which the last one is
    /// not for all in a full run.
    fn takes(names: &[&str], round: Duration, rounds: u32) -> Duration {
        let turn = |name: &&str| {
            let run = scenario(name, round, 1).expect(name).run;
            run.warm_up + run.length + AROUND
        };
        names.iter().map(turn).sum::<Duration>() * 8 * rounds
    }

    #[test]
    fn a_full_run_takes_less_than_45_minutes_and_a_quick_one_less_than_five() {
        let (four_proxies, others) = SCENARIOS.split_last().expect("some");
        let full = takes(others, ROUND, 3) + takes(&[four_proxies], ROUND, 3) / 8;
        assert!(full < Duration::from_secs(44 * 60 - 30), "{full:?}");
        let quick = takes(&QUICK, ROUND / 2, 1);
        assert!(quick < Duration::from_secs(280), "{quick:?}");
        assert!(QUICK.iter().all(|name| SCENARIOS.contains(name)));
    }

    #[test]
    fn a_load_may_follow_the_name() {
        let rate = |name| match read(name).expect("a scenario").load {
            Load::Open { rate, .. } => rate.round().to_string(),
            Load::Closed { .. } => String::new(),
        };
        assert_eq!(["uneven@0.5", "uneven", "uneven@0.9"].map(rate), ["350", "490", "630"]);
        assert_eq!(read("uneven").expect("a scenario").proxies.workers, 2);
        for wrong in ["uneven@", "uneven@x", "uneven@0", "uneven@11"] {
            let refusal = read(wrong).unwrap_err();
            assert!(refusal.starts_with(&format!("there is no scenario `{wrong}`")), "{refusal}");
        }
    }
}
