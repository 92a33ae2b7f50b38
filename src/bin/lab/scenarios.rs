//! `scenarios` on the command line.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tidegate::lab::scenarios::{Done, Progress, Scenarios, ScenariosError, names, run};

use crate::places::Places;
use crate::report::tell;
use crate::{fail, say, signal_code, stack_code};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab scenarios
      2 minutes each, 12 in all
  tidegate-lab scenarios --seconds 30
  tidegate-lab scenarios --logs runs/tuesday

FILES, for each scenario, such as adaptive_ewma_persistent
  logs/<scenario>.csv           one row per request, by the proxy
  logs/<scenario>_wrk.txt       what wrk printed
  logs/<scenario>_console.txt   what the proxy and the backends said
  logs/old/                     whatever an earlier run left
and reports/report.html, with .csv and .json, on all six

EXIT STATUS
  0           all six were run, and every request succeeded
  1           a request failed or has no row, or a scenario or the report could not be made
  2           a flag is wrong
  130, 143    stopped by Ctrl-C or SIGTERM; what was started has been stopped";

#[derive(Args, Debug)]
pub(crate) struct ScenariosFlags {
    /// How long each scenario is under load
    #[arg(
        long, value_name = "N", default_value_t = 120,
        value_parser = clap::value_parser!(u32).range(1..=86_400),
    )]
    seconds: u32,

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
            folder: self.logs,
            listen: self.places.listen(),
            backend_ports: self.places.backend_ports(),
        };
        let mut bar = Bar::new(self.seconds);
        let outcome = run(&scenarios, &mut bar);
        bar.0.finish_and_clear();
        match outcome {
            Ok(done) => {
                let logs: Vec<_> = done.iter().map(|done| done.log.clone()).collect();
                let told = tell(&logs, Some(self.seconds.into()), &self.out);
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

/// The seconds of all scenarios as a bar.
struct Bar(ProgressBar);

impl Bar {
    fn new(seconds: u32) -> Self {
        let bar = ProgressBar::new(names().count() as u64 * u64::from(seconds));
        let style = ProgressStyle::with_template("{bar:30} {percent} % {eta} left  {msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn moved(&mut self, to: &Path) {
        self.0.suspend(|| say(&format!("an earlier run was moved to {}\n", to.display())));
    }

    fn begins(&mut self, name: &str) {
        self.0.set_message(name.to_owned());
    }

    fn tick(&mut self, under_load: Duration) {
        self.0.set_position(under_load.as_secs());
    }

    fn ends(&mut self, done: &Done) {
        let Done { name, totals, complaints, .. } = done;
        let mut words = format!(
            "{name}: {} requests, {} errors, {} rows, {} rows lost\n",
            totals.requests, totals.errors, totals.rows, totals.lost
        );
        for complaint in complaints {
            // Writing to a String can't fail.
            let _ = writeln!(words, "  wrk: {complaint}");
        }
        self.0.suspend(|| say(&words));
    }
}
