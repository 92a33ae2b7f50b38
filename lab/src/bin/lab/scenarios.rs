//! `scenarios` on the command line.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidegate_lab::scenarios::{Done, Progress, Scenarios, ScenariosError, names, run};

use crate::meter::Meter;
use crate::places::Places;
use crate::report::tell_of;
use crate::{fail, signal_code, stack_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab scenarios
      2 minutes each, 12 in all
  tidegate-lab scenarios --seconds 30
  tidegate-lab scenarios --logs runs/tuesday
  tidegate-lab scenarios --repeat 3
      all six three times, in turn; the report tells how much a figure changes between them

FILES, for each scenario, such as adaptive_ewma_persistent
  logs/<scenario>.csv             one row per request, by the proxy
  logs/<scenario>.csv.meta.json   how the proxy was set up
  logs/<scenario>_wrk.txt         what wrk printed
  logs/<scenario>_console.txt     what the proxy and the backends said
  logs/<scenario>_run.json        the date, the machine, the versions and the load
  logs/<scenario>_2.csv, ...      the same of the second run of each
  logs/old/                       whatever an earlier run left
and reports/report.html, with .md, .csv and .json, on all of them

EXIT STATUS
  0           all six were run, and every request succeeded
  1           a request failed or has no row, or a scenario or the report could not be made
  2           a flag is wrong
  130, 143    stopped by Ctrl-C or SIGTERM; what was started has been stopped";

#[derive(Args, Debug)]
pub(crate) struct ScenariosFlags {
    /// Seconds of load for each scenario
    #[arg(
        long, value_name = "N", default_value_t = 120,
        value_parser = clap::value_parser!(u32).range(1..=86_400),
    )]
    seconds: u32,

    /// How many times all six are run
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100),
    )]
    repeat: u32,

    /// Folder for logs and captures
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    logs: PathBuf,

    /// Folder for the report on all six
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,

    #[command(flatten)]
    places: Places,
}

impl ScenariosFlags {
    pub(crate) fn run(self) -> ExitCode {
        let scenarios = Scenarios {
            seconds: self.seconds,
            repeat: self.repeat,
            folder: self.logs,
            listen: self.places.listen(),
            backend_ports: self.places.backend_ports(),
        };
        let mut shown = Shown::new(self.seconds, self.repeat);
        let outcome = run(&scenarios, &mut shown);
        drop(shown);
        match outcome {
            Ok(done) => {
                let logs: Vec<_> = done.iter().map(|done| done.log.clone()).collect();
                let told = tell_of(&logs, &self.out);
                if told == ExitCode::SUCCESS && !done.iter().all(Done::is_clean) {
                    return fail(1, &"not every request succeeded and has its row; see above");
                }
                told
            }
            Err(error) => {
                let code = match &error {
                    ScenariosError::Stopped(signal) => signal_code(*signal),
                    ScenariosError::Stack(error) => stack_code(error),
                    _ => 1,
                };
                fail(code, &error)
            }
        }
    }
}

/// How many seconds of all scenarios have passed, and each result as it comes.
struct Shown {
    meter: Meter,
    /// Of one scenario.
    seconds: u64,
    begun: u64,
    name: String,
}

impl Shown {
    fn new(seconds: u32, repeat: u32) -> Self {
        let (seconds, runs) = (u64::from(seconds), names().count() as u64 * u64::from(repeat));
        let meter = Meter::of_seconds(runs * seconds, seconds);
        Self { meter, seconds, begun: 0, name: String::new() }
    }
}

impl Progress for Shown {
    fn moved(&mut self, to: &Path) {
        self.meter.say(&format!("an earlier run was moved to {}\n", to.display()));
    }

    fn begins(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.meter.begin(self.begun * self.seconds, name);
        self.begun += 1;
    }

    fn tick(&mut self, under_load: Duration) {
        self.meter.at(under_load.as_secs(), &self.name);
    }

    fn ends(&mut self, done: &Done) {
        let Done { name, totals, complaints, per_second, .. } = done;
        let mut words = format!(
            "{name}: {} requests, {} errors, {} rows, {} rows lost\n",
            totals.requests, totals.errors, totals.rows, totals.lost
        );
        // Writing to a String can't fail.
        if let Some(per_second) = per_second {
            let _ = writeln!(words, "  wrk: {per_second:.1} requests/s");
        }
        for complaint in complaints {
            let _ = writeln!(words, "  wrk: {complaint}");
        }
        self.meter.say(&words);
    }
}
