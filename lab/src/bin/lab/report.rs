//! `report` on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tidegate_lab::report::{report, text, write};

use crate::{fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab report
      every CSV file in logs/ and the folders below, but not in old/
  tidegate-lab report logs/round-robin_persistent.csv logs/adaptive_ewma_persistent.csv
  tidegate-lab report --seconds 120 --out reports/tuesday runs/tuesday

FILES
  <run>.csv       a log of tidegate, or any with its columns timestamp, backend_url,
                  latency_ms, status_code and routing_mode; also .tsv, and packed as .gz
  <run>_wrk.txt   what wrk printed about it, if it is there: its requests/s are shown, and compared
  report.csv, report.json, report.html   what is written; the page needs nothing else

EXIT STATUS
  0    the report is written
  1    a file that was named can't be read or is no log, no log has rows, or it can't be written
  2    a flag is wrong";

#[derive(Args, Debug)]
pub(crate) struct ReportFlags {
    /// Logs, and folders of logs
    #[arg(value_name = "FILES", default_value = "logs")]
    places: Vec<PathBuf>,

    /// How long each run was under load [default: from its first dispatch to its last]
    #[arg(long, value_name = "N", value_parser = seconds)]
    seconds: Option<f64>,

    /// Folder for report.csv, report.json and report.html
    #[arg(long, value_name = "FOLDER", default_value = "reports")]
    out: PathBuf,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0);
    seconds.ok_or_else(|| "give a number of seconds above 0, such as 120".to_owned())
}

impl ReportFlags {
    pub(crate) fn run(self) -> ExitCode {
        tell(&self.places, self.seconds, &self.out)
    }
}

/// Reports on the logs at `places`, here and in the folder `out`.
pub(crate) fn tell(places: &[PathBuf], seconds: Option<f64>, out: &Path) -> ExitCode {
    let report = match report(places, seconds) {
        Ok(report) => report,
        Err(error) => return fail(1, &error),
    };
    say(&text(&report));
    match write(&report, out) {
        Ok(paths) => {
            let paths = paths.map(|path| path.display().to_string()).join(", ");
            say(&format!("\nwritten: {paths}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &format!("can't write the report to {}: {error}", out.display())),
    }
}
