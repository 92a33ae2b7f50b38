//! `simulate` on the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use serde_json::{Map, Value};
use tidegate_lab::scenario::{BUILTIN, Load, ReadError, Scenario};
use tidegate_lab::simulate::targets::{self, Judge, TARGETS};
use tidegate_lab::simulate::{Contender, Matrix, Report, simulate, simulate_log};

use crate::hedge::HedgeFlags;
use crate::meter::Meter;
use crate::{MISUSE, fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab simulate uneven
  tidegate-lab simulate uneven least-conn least-time --load 0.9
  tidegate-lab simulate own.toml --seeds 10 --json
  tidegate-lab simulate all adaptive least-conn --seeds 1
  tidegate-lab simulate --targets

EXIT STATUS
  0  the results are printed; all targets are met
  1  it could not be simulated, or a target is missed
  2  a flag or the scenario is wrong";

/// In place of a scenario's name: every one.
const ALL: &str = "all";

#[derive(Args, Debug)]
pub(crate) struct SimulateFlags {
    /// A scenario of the lab, a file that ends in .toml, or `all`; none lists those there are
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,

    /// Policies to compare, and baselines that are not the proxy's [default: all]
    #[arg(value_name = "POLICY", value_parser = str::parse::<Contender>)]
    policies: Vec<Contender>,

    /// The rate as a part of what the backends can serve, in place of the scenario's load
    #[arg(long, value_name = "PART", value_parser = part)]
    load: Option<f64>,

    /// Independent runs, in place of the scenario's number
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,

    /// Seconds of simulated time that are measured in each run, in place of the scenario's length
    #[arg(
        long, value_name = "N", conflicts_with = "requests",
        value_parser = value_parser!(u64).range(1..=86_000),
    )]
    seconds: Option<u64>,

    /// As many seconds as have about this number of requests, in whole periods of its phases
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    requests: Option<u64>,

    /// Proxies before the backends, in place of the scenario's number
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1000))]
    proxies: Option<u16>,

    /// Workers of each proxy, in place of the scenario's number
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=256))]
    workers: Option<u16>,

    #[command(flatten)]
    hedging: HedgeFlags,

    /// Also write the requests of one run with each policy as logs of the proxy to this folder:
    /// `<policy>.csv`, warm-up included
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,

    /// Print JSON in place of tables
    #[arg(long)]
    json: bool,

    /// Measure what the policy `adaptive` is to reach, in the scenarios of the lab
    #[arg(long, exclusive = true)]
    targets: bool,
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| *part > 0.0 && *part <= 10.0);
    part.ok_or_else(|| "give a number above 0, such as 0.7".to_owned())
}

impl SimulateFlags {
    pub(crate) fn run(self) -> ExitCode {
        if self.targets {
            return judge_targets();
        }
        let Some(name) = &self.scenario else {
            say(&list());
            return ExitCode::SUCCESS;
        };
        let contenders =
            if self.policies.is_empty() { Contender::all() } else { self.policies.clone() };
        if name == ALL {
            return self.run_all(&contenders);
        }
        let scenario = match self.adapted(name) {
            Ok(scenario) => scenario,
            Err(error) => return fail(MISUSE, &error),
        };
        if self.requests.is_some() && matches!(scenario.load, Load::Closed { .. }) {
            return fail(MISUSE, &format!("{name} has no rate but clients: give --seconds"));
        }
        let mut meter = Meter::new(contenders.len() as u64, "policies", 1, "{bar:30} {msg}");
        let mut report = Report::new(&scenario);
        for (position, contender) in (0..).zip(contenders) {
            meter.at(position, contender.name());
            if let Some(folder) = &self.logs {
                let path = folder.join(format!("{contender}.csv"));
                if let Err(error) = std::fs::create_dir_all(folder) {
                    return fail(1, &format!("can't make {}: {error}", folder.display()));
                }
                if let Err(error) = simulate_log(&scenario, contender, 1, &path) {
                    return fail(1, &format!("{}: {error}", path.display()));
                }
            }
            match simulate(&scenario, contender) {
                Ok(measured) => report.add(contender, measured),
                Err(error) => return fail(1, &error),
            }
        }
        drop(meter);
        say(&if self.json { format!("{:#}\n", report.json()) } else { report.text() });
        ExitCode::SUCCESS
    }

    /// One table of all scenarios of the lab.
    fn run_all(&self, contenders: &[Contender]) -> ExitCode {
        let (mut matrix, mut figures) = (Matrix::new(contenders), Map::new());
        let mut meter = Meter::new(BUILTIN.len() as u64, "scenarios", 1, "{bar:30} {msg}");
        for (position, (name, _)) in (0..).zip(BUILTIN) {
            meter.at(position, name);
            let scenario = match self.adapted(name) {
                Ok(scenario) => scenario,
                Err(error) => return fail(MISUSE, &error),
            };
            let mut report = Report::new(&scenario);
            for contender in contenders {
                match simulate(&scenario, *contender) {
                    Ok(measured) => report.add(*contender, measured),
                    Err(error) => return fail(1, &error),
                }
            }
            matrix.add(name, &report);
            figures.insert(name.to_owned(), report.json());
        }
        drop(meter);
        let figures = Value::Object(figures);
        say(&if self.json { format!("{figures:#}\n") } else { matrix.text() });
        ExitCode::SUCCESS
    }

    /// The scenario with what the flags change.
    fn adapted(&self, name: &str) -> Result<Scenario, ReadError> {
        let mut scenario = Scenario::read(name, self.load)?;
        if let Some(count) = self.proxies {
            scenario.proxies.count = count.into();
        }
        if let Some(workers) = self.workers {
            scenario.proxies.workers = workers.into();
        }
        self.hedging.adapt(&mut scenario.proxies);
        let run = &mut scenario.run;
        run.seeds = self.seeds.unwrap_or(run.seeds);
        run.length = self.seconds.map_or(run.length, Duration::from_secs);
        if let (Some(requests), Load::Open { rate, .. }) = (self.requests, scenario.load) {
            let needed = requests as f64 / rate;
            let period = scenario.period().map_or(needed, |period| period.as_secs_f64());
            let seconds = (needed / period).ceil() * period;
            scenario.run.length = Duration::from_secs_f64(seconds.clamp(1e-3, 86_000.0));
        }
        Ok(scenario)
    }
}

fn judge_targets() -> ExitCode {
    let mut meter = Meter::new(TARGETS.len() as u64, "targets", 1, "{bar:30} {pos} of {len}");
    let mut judge = Judge::default();
    let mut judged = Vec::new();
    for (position, target) in (0..).zip(TARGETS) {
        meter.at(position, "");
        match judge.judge(target, |_| {}) {
            Ok(one) => judged.push(one),
            Err(error) => return fail(1, &error),
        }
    }
    drop(meter);
    say(&targets::table(&judged));
    match judged.iter().filter(|one| !one.is_met(1.0)).count() {
        0 => ExitCode::SUCCESS,
        count => fail(1, &format!("{count} of {} targets are missed", judged.len())),
    }
}

/// The scenarios of the lab with what they show.
fn list() -> String {
    let line = |(name, _): (&str, &str)| {
        let about = Scenario::read(name, None).map_or(String::new(), |scenario| scenario.about);
        format!("{name:<18}{about}\n")
    };
    BUILTIN.into_iter().map(line).collect()
}
