//! Which files a report is of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::run::Run;
use super::{Report, ReportError, plain};

/// Reads every log of `places`. Those of a folder are put in order; others stay as they were named.
pub(super) fn read(places: &[PathBuf], seconds: Option<f64>) -> Result<Report, ReportError> {
    let mut report = Report { runs: Vec::new(), left_out: Vec::new() };
    for place in places {
        if place.is_dir() {
            folder(place, seconds, &mut report)?;
        } else {
            let run = Run::read(place, seconds);
            let run = run.map_err(|source| ReportError::Log { path: place.clone(), source })?;
            report.runs.push(run);
        }
    }
    if report.runs.is_empty() {
        let folders = places.iter().map(|place| plain(&place.to_string_lossy())).collect();
        return Err(ReportError::NoLog { folders, left_out: report.left_out });
    }
    Ok(report)
}

/// A CSV file of a folder that is no log was not asked for by name, so it is only told of.
fn folder(folder: &Path, seconds: Option<f64>, report: &mut Report) -> Result<(), ReportError> {
    let files = csv_files(folder);
    let files = files.map_err(|source| ReportError::Folder { path: folder.to_owned(), source })?;
    let mut runs = Vec::new();
    for path in files {
        match Run::read(&path, seconds) {
            Ok(run) => runs.push(run),
            Err(error) => {
                report.left_out.push(format!("{}: {error}", plain(&path.to_string_lossy())));
            }
        }
    }
    runs.sort_by_key(Run::rank);
    report.runs.append(&mut runs);
    Ok(())
}

/// By name; not those of folders within it.
fn csv_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
        if is_csv && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
