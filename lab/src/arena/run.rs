//! Puts one contender after the other before the backends of one scenario after the other.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::signals::Signals;
use super::contender::{Contender, Tools};
use super::error::{ArenaError, system};
use super::plan::Plan;
use super::results::{Entrant, Entry, Measured, Predicted, Results, Round};
use super::round::{Turn, disturbance};
use crate::bench::Place;
use crate::machine::Machine;
use crate::scenario::Scenario;
use crate::simulate::{self, simulate};
use tidegate::reactor::{cores, descriptors};

/// What is called with the progress.
pub trait Progress {
    /// The number of all turns.
    fn announce(&mut self, turns: u64);
    /// A contender's turn in a scenario begins, maybe again.
    fn turn(&mut self, scenario: &str, contender: &str, again: bool);
    /// A scenario has been measured, the last one of the results so far.
    fn measured(&mut self, results: &Results);
}

/// Runs `plan` with files in `folder`, which must exist, and reports to `progress`.
///
/// # Errors
/// It could not be run. Failures of contenders are in the results.
pub fn run(plan: &Plan, folder: &Path, progress: &mut dyn Progress) -> Result<Results, ArenaError> {
    descriptors::raise_limit().map_err(system("raise the limit of file descriptors"))?;
    let allowed = cores::allowed().map_err(system("tell its cores"))?;
    let lab = std::env::current_exe().map_err(system("find its own program"))?;
    let tools = Tools::beside(&lab);
    let signals = Signals::watch().map_err(system("watch signals"))?;
    let (contenders, left_out) = entrants(plan, &tools);
    if contenders.is_empty() {
        return Err(ArenaError::NobodyLeft(left_out));
    }
    let (contenders, entrants): (Vec<_>, Vec<_>) = contenders.into_iter().unzip();
    let line_ups = plan.scenarios.iter().map(|(_, it)| Plan::line_up(it, &contenders).len());
    progress.announce(u64::from(plan.rounds) * line_ups.sum::<usize>() as u64);
    let mut results = Results {
        machine: Machine::this(allowed.len(), &[]),
        rounds: plan.rounds,
        contenders: entrants,
        left_out,
        scenarios: Vec::new(),
    };
    let (rounds, logs) = (plan.rounds, plan.logs.as_deref());
    let arena = Arena { rounds, contenders, tools, lab, signals, folder, allowed, logs };
    for (name, scenario) in &plan.scenarios {
        let measured = arena.measure(name, scenario, progress)?;
        results.scenarios.push(measured);
        progress.measured(&results);
    }
    Ok(results)
}

/// The contenders whose programs are there, and why the others are left out.
fn entrants(plan: &Plan, tools: &Tools) -> (Vec<(Contender, Entrant)>, Vec<String>) {
    let (mut there, mut left_out) = (Vec::new(), Vec::new());
    for contender in &plan.contenders {
        match contender.entrant(tools) {
            Some(entrant) => there.push((*contender, entrant)),
            None => left_out.push(contender.program.absence()),
        }
    }
    left_out.dedup();
    (there, left_out)
}

struct Arena<'a> {
    rounds: u32,
    contenders: Vec<Contender>,
    tools: Tools,
    lab: PathBuf,
    signals: Signals,
    folder: &'a Path,
    allowed: Vec<usize>,
    /// Where logs of the first round go, if they are kept.
    logs: Option<&'a Path>,
}

impl Arena<'_> {
    fn measure(
        &self,
        name: &str,
        scenario: &Scenario,
        progress: &mut dyn Progress,
    ) -> Result<Measured, ArenaError> {
        let folder = self.folder.join(name.replace('/', "-"));
        fs::create_dir_all(&folder).map_err(system("make a folder"))?;
        let file = folder.join("scenario.toml");
        fs::write(&file, scenario.to_string()).map_err(system("write a scenario"))?;
        let logs = self.logs.map(|logs| logs.join(name.replace('/', "-")));
        if let Some(logs) = &logs {
            fs::create_dir_all(logs).map_err(system("make a folder for logs"))?;
        }
        let mut entries = Vec::new();
        for index in Plan::line_up(scenario, &self.contenders) {
            let Contender { program, simulated, .. } = self.contenders[index];
            let proxies = program.adapted(&scenario.proxies);
            let adapted = Scenario { proxies, ..scenario.clone() };
            let simulated = simulated.map(|policy| predict(name, &adapted, policy)).transpose()?;
            entries.push(Entry { contender: index, rounds: Vec::new(), simulated, failure: None });
        }
        let place = Place::new(&self.allowed, scenario.proxies.workers);
        let count = entries.len();
        for round in 0..self.rounds {
            for turn in 0..count {
                // Each round begins with another contender.
                let entry = &mut entries[(turn + round as usize) % count];
                let contender = &self.contenders[entry.contender];
                progress.turn(name, contender.name, false);
                if entry.failure.is_some() {
                    continue;
                }
                let turn = Turn {
                    scenario,
                    file: &file,
                    // Every contender gets the same requests in a round.
                    seed: u64::from(round) + 1,
                    contender,
                    tools: &self.tools,
                    lab: &self.lab,
                    signals: &self.signals,
                    folder: &folder.join(contender.name),
                    place: &place,
                    logs: logs.as_deref().filter(|_| round == 0),
                };
                let mut outcome = turn.run()?;
                if outcome.as_ref().is_ok_and(|round| round.is_disturbed) {
                    progress.turn(name, contender.name, true);
                    outcome = quieter(outcome, turn.run()?);
                }
                match outcome {
                    Ok(round) => entry.rounds.push(round),
                    Err(failure) => entry.failure = Some(failure),
                }
            }
        }
        Ok(Measured { name: name.to_owned(), scenario: scenario.clone(), entries })
    }
}

/// Of a round and its repetition, the one that was disturbed less.
fn quieter(first: Result<Round, String>, second: Result<Round, String>) -> Result<Round, String> {
    let (first, second) = (first?, second?);
    let disturbance = |round: &Round| disturbance(round.lag_ms, round.others);
    Ok(if disturbance(&first) < disturbance(&second) { first } else { second })
}

/// What the simulator says of a scenario.
fn predict(
    name: &str,
    scenario: &Scenario,
    policy: simulate::Contender,
) -> Result<Predicted, ArenaError> {
    let simulated = simulate(scenario, policy);
    let simulated = simulated.map_err(|error| ArenaError::Simulate(name.to_owned(), error))?;
    let all = &simulated.all;
    let [p50, p95, p99, p999] = [0.5, 0.95, 0.99, 0.999].map(|part| all.quantile_ms(part));
    Ok(Predicted {
        policy: policy.name().to_owned(),
        latency_ms: [all.mean_ms(), p50, p95, p99, p999],
        per_second: simulated.per_second(),
        error_part: all.error_part(),
        shares: all.shares(),
    })
}
