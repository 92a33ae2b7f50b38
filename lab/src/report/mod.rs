//! The report: logs of runs compared by requests per second, latency, errors, and the share of each
//! backend.
//!
//! It reads logs of tidegate, and others with the same five columns. Every figure is exact:
//! quantiles are those of all rows, not of a sample or of buckets.

mod comparison;
mod conditions;
mod configuration;
mod csv;
mod estimate;
mod figure;
mod file_name;
mod inputs;
mod json;
mod latencies;
mod limit;
mod load;
mod markdown;
mod page;
mod plots;
mod run;
mod tables;
mod tally;
mod verdict;
mod written;
mod wrk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use tidegate::journal::TailError;

pub use conditions::{Conditions, Setup};
pub use limit::Limit;
pub use run::{Backend, Block, Latency, Run, Slot};
pub use tables::text;
pub(super) use wrk::per_second;

/// Runs to be compared.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the order in which they are shown.
    pub runs: Vec<Run>,
    /// Files that have no rows, and files of a folder that are no logs, each with the reason.
    pub left_out: Vec<String>,
    /// Logs without rows.
    pub bare: Vec<String>,
    /// The configuration that the others are compared with; `None` for the first.
    pub baseline: Option<String>,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A file that was named does not exist, or is no log.
    #[error("can't read the log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TailError,
    },
    /// A folder that was named can't be listed.
    #[error("can't read the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No configuration has the name that was given for the baseline.
    #[error("there is no run called `{name}` to compare with; there are: {}", .there.join("; "))]
    NoBaseline {
        /// What was given.
        name: String,
        /// The names there are.
        there: Vec<String>,
    },
    /// None of the files has a row.
    #[error("there is no log with rows in {}{}", .places.join(", "), reasons(.left_out))]
    NoLog {
        /// What was named.
        places: Vec<String>,
        /// The files that were found, each with the reason why it is left out.
        left_out: Vec<String>,
    },
}

fn reasons(left_out: &[String]) -> String {
    let lines: Vec<_> = left_out.iter().map(|reason| format!("\n  {reason}")).collect();
    lines.concat()
}

/// Reads `places`: logs, and folders with all CSV files in and below them, except in folders named
/// `old`. A run's rate is that over `seconds` if given, else that over the time under load.
///
/// # Errors
/// A file that was named can't be read or is no log, or no log is left.
pub fn report(places: &[PathBuf], seconds: Option<f64>) -> Result<Report, ReportError> {
    let mut report = inputs::read(places, seconds)?;
    run::tell_apart(&mut report.runs);
    Ok(report)
}

impl Report {
    /// Compares the others with the configuration called `name`: its name, the number of its
    /// scenario, or the name of its log.
    ///
    /// # Errors
    /// There is none.
    pub fn set_baseline(&mut self, name: &str) -> Result<(), ReportError> {
        let all = configuration::configurations(self);
        let is_meant =
            |run: &&Run| run.name == name || run.label == name || run.setup.scenario == name;
        let found = all.iter().find(|it| it.name == name || it.runs.iter().any(is_meant));
        let Some(found) = found else {
            let there = all.iter().map(|it| it.name.to_owned()).collect();
            return Err(ReportError::NoBaseline { name: plain(name), there });
        };
        self.baseline = Some(found.name.to_owned());
        Ok(())
    }
}

/// Writes `report.csv`, `report.json`, `report.md` and `report.html` into `folder`, which is
/// created if need be; returns their paths.
///
/// # Errors
/// A file can't be written.
pub fn write(report: &Report, folder: &Path) -> io::Result<[PathBuf; 4]> {
    fs::create_dir_all(folder)?;
    let kinds = ["csv", "json", "md", "html"];
    let paths = kinds.map(|kind| folder.join("report").with_extension(kind));
    fs::write(&paths[0], csv::rows(report)?)?;
    fs::write(&paths[1], json::document(report))?;
    fs::write(&paths[2], markdown::document(report))?;
    fs::write(&paths[3], page::page(report))?;
    Ok(paths)
}

/// Text from a log or a path for a terminal: shortened, and without control characters.
fn plain(text: &str) -> String {
    const CHARS_MAX: usize = 100;
    let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(CHARS_MAX).map(shown).collect()
}

#[cfg(test)]
mod tests;
