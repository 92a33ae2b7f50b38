//! `arena` on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use tidegate_lab::arena::contender::Contender;
use tidegate_lab::arena::{
    ArenaError, Plan, Progress, QUICK, ROUND, Results, SCENARIOS, contender, report, run, scenario,
};

use crate::hedge::HedgeFlags;
use crate::scratch::Scratch;
use crate::turns::Turns;
use crate::{MISUSE, fail, say, signal_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab arena --quick
  tidegate-lab arena --scenario uneven@0.9 --contender tidegate-adaptive --rounds 5
  tidegate-lab arena --scenario own.toml --rounds 5 --seconds 30 --out /tmp/own
  tidegate-lab arena --from reports/arena.json --out /tmp/drawn-anew

EXIT STATUS
  0    everything was run
  1    it could not be run, or a contender failed
  2    a flag or a scenario is wrong
  130  stopped by Ctrl-C (143: by SIGTERM)";

#[derive(Args, Debug)]
pub(crate) struct ArenaFlags {
    /// Only this scenario, or a file that ends in .toml; `@0.9` after it is a load in place of the
    /// file's; may be repeated
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Vec<String>,

    /// Only this contender; may be repeated
    #[arg(long, value_name = "NAME", value_parser = contender::find)]
    contender: Vec<Contender>,

    /// Rounds per scenario, in each of which every contender has a turn [default: 3, or 1 with
    /// --quick]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// Length of a turn, with its start and its end, in seconds; scenarios that say so are as much
    /// longer or shorter [default: 8, or 4 with --quick]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,

    /// Six scenarios and one round: under five minutes
    #[arg(long)]
    quick: bool,

    /// Workers of each proxy
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = value_parser!(u16).range(1..=256),
    )]
    workers: u16,

    /// Run nothing: read the arena.json of an earlier run, and write its report anew
    #[arg(
        long, value_name = "FILE",
        conflicts_with_all = [
            "scenario", "contender", "rounds", "seconds", "quick", "workers", "logs", "hedge",
            "hedge_delay", "hedge_attempts", "hedge_same",
        ],
    )]
    from: Option<PathBuf>,

    #[command(flatten)]
    hedging: HedgeFlags,

    /// Keep the logs of tidegate's first rounds in this folder: `<scenario>/<policy>.csv` and, with
    /// every tenth choice, `<policy>.jsonl`; else it writes none
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,

    /// Folder for arena.json and arena.html
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,
}

impl ArenaFlags {
    pub(crate) fn run(self) -> ExitCode {
        if let Some(file) = &self.from {
            return match report::read(file) {
                Ok(results) => {
                    for measured in &results.scenarios {
                        say(&format!("\n{}", report::scenario(&results, measured)));
                    }
                    self.tell(&results)
                }
                Err(error) => {
                    fail(MISUSE, &format!("can't read results from {}: {error}", file.display()))
                }
            };
        }
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(error) => return fail(MISUSE, &error),
        };
        let scratch = match Scratch::new("arena") {
            Ok(scratch) => scratch,
            Err(error) => return fail(1, &format!("can't make a temporary folder: {error}")),
        };
        let mut shown = Shown { out: &self.out, turns: Turns::default() };
        match run(&plan, scratch.path(), &mut shown) {
            Ok(results) => self.tell(&results),
            Err(error) => {
                let code = match error {
                    ArenaError::NobodyLeft(_) => MISUSE,
                    ArenaError::Stopped(signal) => signal_code(signal),
                    _ => 1,
                };
                fail(code, &error)
            }
        }
    }

    fn plan(&self) -> Result<Plan, String> {
        let names: Vec<&str> = match (self.scenario.as_slice(), self.quick) {
            ([], true) => QUICK.to_vec(),
            ([], false) => SCENARIOS.to_vec(),
            (names, _) => names.iter().map(String::as_str).collect(),
        };
        let quick = Duration::from_secs(4);
        let round =
            self.seconds.map_or(if self.quick { quick } else { ROUND }, Duration::from_secs);
        let read = |name: &str| match scenario(name, round, self.workers.into()) {
            Ok(mut scenario) => {
                self.hedging.adapt(&mut scenario.proxies);
                Ok((name.to_owned(), scenario))
            }
            Err(error) => Err(error.to_string()),
        };
        let contenders = if self.contender.is_empty() {
            contender::DEFAULT.iter().map(|name| contender::find(name)).collect::<Result<_, _>>()?
        } else {
            self.contender.clone()
        };
        Ok(Plan {
            scenarios: names.into_iter().map(read).collect::<Result<_, _>>()?,
            contenders,
            rounds: self.rounds.unwrap_or(if self.quick { 1 } else { 3 }),
            logs: self
                .logs
                .as_deref()
                .map(std::path::absolute)
                .transpose()
                .map_err(|it| it.to_string())?,
        })
    }

    fn tell(&self, results: &Results) -> ExitCode {
        say(&format!("\n{}", report::summary(results)));
        match report::write(results, &self.out) {
            Ok(paths) => {
                let paths = paths.map(|path| path.display().to_string()).join(", ");
                say(&format!("written: {paths}\n"));
            }
            Err(error) => {
                let folder = self.out.display();
                return fail(1, &format!("can't write the report to {folder}: {error}"));
            }
        }
        let failures: Vec<_> = results.failures().collect();
        if failures.is_empty() {
            return ExitCode::SUCCESS;
        }
        fail(1, &format!("FAILED:\n  {}", failures.join("\n  ")))
    }
}

/// Shows the turns, and each scenario's table as soon as it is known.
struct Shown<'a> {
    /// Where the report is.
    out: &'a Path,
    turns: Turns,
}

impl Progress for Shown<'_> {
    fn announce(&mut self, turns: u64) {
        self.turns.announced(turns);
    }

    fn turn(&mut self, scenario: &str, contender: &str, again: bool) {
        if again {
            self.turns.again(&format!("{scenario} {contender}, again because it was disturbed"));
        } else {
            self.turns.begin(&format!("{scenario} {contender}"));
        }
    }

    fn measured(&mut self, results: &Results) {
        if let Some(measured) = results.scenarios.last() {
            self.turns.say(&format!("\n{}", report::scenario(results, measured)));
        }
        // What was measured is not lost if the run ends early. A failure is told at the end.
        let _ = report::write(results, self.out);
    }
}
