//! `report` on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tidegate_lab::report::{Limit, Report, report, text, write};

use crate::{fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab report
      every CSV file in logs/ and the folders below, but not in old/
  tidegate-lab report logs/round-robin_persistent.csv logs/adaptive_ewma_persistent.csv
  tidegate-lab report --seconds 120 --out reports/tuesday runs/tuesday
  tidegate-lab report --baseline 1.1 --fail-if 'p95>250' --fail-if 'errors>0.1%'
      changes against scenario 1.1; exits with 3 if a run has a p95 above 250 ms, or more errors

FILES
  <run>.csv       a log of tidegate, or any with its columns timestamp, backend_url,
                  latency_ms, status_code and routing_mode; also .tsv, and packed as .gz
  <run>.csv.meta.json, <run>_run.json   how the proxy was set up, and the machine and the load, if
                  they are there
  <run>_wrk.txt   what wrk printed about it, if it is there: its requests/s are shown, and compared
  <run>_2.csv, <run>_3.csv   repetitions of <run>.csv, counted as one configuration
  report.html, report.md, report.json, report.csv   what is written; the page needs nothing else,
                  and report.md is for pasting

EXIT STATUS
  0    the report is written
  1    a file that was named can't be read or is no log, no log has rows, or it can't be written
  2    a flag is wrong, or no run is called as --baseline says
  3    a run is as --fail-if says; the report is written";

#[derive(Args, Debug)]
pub(crate) struct ReportFlags {
    /// Logs, and folders of logs
    #[arg(value_name = "FILES", default_value = "logs")]
    places: Vec<PathBuf>,

    /// How long each run was under load [default: from its first dispatch to its last]
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<f64>,

    /// Folder for report.html, report.md, report.json and report.csv
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,

    /// The run that the others are compared with: its name, its log's, or its scenario's number
    /// [default: the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,

    /// Exit with 3 if this is true of a run, such as 'p95>250', 'errors>0.1%' or 'requests/s<400';
    /// may be repeated
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Limit>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0);
    seconds.ok_or_else(|| "give a number of seconds above 0, such as 120".to_owned())
}

impl ReportFlags {
    pub(crate) fn run(self) -> ExitCode {
        let mut report = match report(&self.places, self.seconds) {
            Ok(report) => report,
            Err(error) => return fail(1, &error),
        };
        if let Some(baseline) = &self.baseline
            && let Err(error) = report.set_baseline(baseline)
        {
            return fail(2, &error);
        }
        let told = tell(&report, &self.out);
        let exceeded: Vec<_> =
            self.fail_if.iter().flat_map(|limit| limit.exceeded(&report)).collect();
        if told == ExitCode::SUCCESS && !exceeded.is_empty() {
            return fail(3, &exceeded.join("; "));
        }
        told
    }
}

/// Reports on the logs at `places`, here and in the folder `out`.
pub(crate) fn tell_of(places: &[PathBuf], out: &Path) -> ExitCode {
    match report(places, None) {
        Ok(report) => tell(&report, out),
        Err(error) => fail(1, &error),
    }
}

fn tell(report: &Report, out: &Path) -> ExitCode {
    say(&text(report));
    match write(report, out) {
        Ok(paths) => {
            let paths = paths.map(|path| path.display().to_string()).join(", ");
            say(&format!("\nwritten: {paths}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &format!("can't write the report to {}: {error}", out.display())),
    }
}
