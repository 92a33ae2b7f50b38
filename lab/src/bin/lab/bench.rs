//! `bench` on the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use tidegate_lab::bench::{
    BenchError, Contender, LineUp, Measured, Plan, Progress, QUICK, Results, WORKLOADS, Workload,
    bench, report,
};

use crate::scratch::Scratch;
use crate::turns::Turns;
use crate::{MISUSE, fail, say, signal_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab bench --quick
  tidegate-lab bench --workload small-64 --contender tidegate --contender relay --rounds 9
  tidegate-lab bench --workload fresh --seconds 10 --reports /tmp/fresh

EXIT STATUS
  0    everything was measured, and every answer was right
  1    it could not be run, or a contender gave a wrong answer
  2    a flag is wrong
  130  stopped by Ctrl-C (143: by SIGTERM)";

#[derive(Args, Debug)]
pub(crate) struct BenchFlags {
    /// Four workloads and three rounds of one second: under two minutes
    #[arg(long)]
    quick: bool,

    /// Rounds per contender and workload [default: 5, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Length of a round [default: 3, or 1 with --quick]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=3600))]
    seconds: Option<u32>,

    /// Only this workload; may be repeated
    #[arg(long, value_name = "NAME", value_parser = workload_names())]
    workload: Vec<String>,

    /// Only this contender; may be repeated
    #[arg(long, value_name = "NAME", value_parser = contender_names())]
    contender: Vec<String>,

    /// Folder for bench.csv, bench.json, bench.md and bench.html
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    reports: PathBuf,
}

fn workload_names() -> PossibleValuesParser {
    PossibleValuesParser::new(WORKLOADS.map(|workload| workload.name))
}

fn contender_names() -> PossibleValuesParser {
    let line_ups = [LineUp::Everyone, LineUp::OneOfEach, LineUp::Workers, LineUp::Transports];
    let mut names: Vec<&str> = Vec::new();
    for contender in line_ups.into_iter().flat_map(LineUp::contenders) {
        if !names.contains(&contender.name) {
            names.push(contender.name);
        }
    }
    PossibleValuesParser::new(names)
}

impl BenchFlags {
    pub(crate) fn run(self) -> ExitCode {
        let scratch = match Scratch::new("bench") {
            Ok(scratch) => scratch,
            Err(error) => return fail(1, &format!("can't make a temporary folder: {error}")),
        };
        let plan = self.plan();
        match bench(&plan, scratch.path(), &mut Turns::default()) {
            Ok(results) => self.tell(&results),
            Err(error) => {
                let code = match error {
                    BenchError::NobodyLeft(_) => MISUSE,
                    BenchError::Stopped(signal) => signal_code(signal),
                    _ => 1,
                };
                fail(code, &error)
            }
        }
    }

    fn plan(&self) -> Plan {
        let is_wanted = |workload: &Workload| {
            if self.workload.is_empty() {
                !self.quick || QUICK.contains(&workload.name)
            } else {
                self.workload.iter().any(|name| name == workload.name)
            }
        };
        Plan {
            workloads: WORKLOADS.into_iter().filter(is_wanted).collect(),
            contenders: self.contender.clone(),
            rounds: self.rounds.unwrap_or(if self.quick { 3 } else { 5 }),
            seconds: self.seconds.unwrap_or(if self.quick { 1 } else { 3 }),
        }
    }

    fn tell(&self, results: &Results) -> ExitCode {
        say(&format!("\n{}\n{}", report::goals(results), report::summary(results)));
        match report::write(results, &self.reports) {
            Ok(paths) => {
                let paths = paths.map(|path| path.display().to_string()).join(", ");
                say(&format!("written: {paths}\n"));
            }
            Err(error) => {
                let folder = self.reports.display();
                return fail(1, &format!("can't write the reports to {folder}: {error}"));
            }
        }
        let failures: Vec<_> = results.failures().collect();
        if failures.is_empty() {
            return ExitCode::SUCCESS;
        }
        fail(1, &format!("FAILED:\n  {}", failures.join("\n  ")))
    }
}

impl Progress for Turns {
    fn announce(&mut self, turns: u64) {
        self.announced(turns);
    }

    fn turn(&mut self, workload: &Workload, contender: &Contender) {
        self.begin(&format!("{} {}", workload.name, contender.name));
    }

    fn measured(&mut self, measured: &Measured) {
        self.say(&format!("\n{}", report::table(measured)));
    }
}
