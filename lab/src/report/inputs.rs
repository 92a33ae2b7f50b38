//! The files of a report, and their names.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file_name::{end, stem};
use super::run::{Run, Unread};
use super::{Report, ReportError, plain};

/// The folder to which a run moves the files of the run before it.
const OLD: &str = "old";

/// Reads every log of `places`, each once. Those of a folder are sorted; the order of `places` is
/// kept.
pub(super) fn read(places: &[PathBuf], seconds: Option<f64>) -> Result<Report, ReportError> {
    let report =
        Report { runs: Vec::new(), left_out: Vec::new(), bare: Vec::new(), baseline: None };
    let mut inputs = Inputs { seconds, known: HashSet::new(), report };
    for place in places {
        if place.is_dir() {
            inputs.folder(place)?;
        } else {
            inputs.file(place)?;
        }
    }
    let report = inputs.report;
    if report.runs.is_empty() {
        let places = places.iter().map(|place| plain(&place.to_string_lossy())).collect();
        return Err(ReportError::NoLog { places, left_out: report.left_out });
    }
    Ok(report)
}

struct Inputs {
    seconds: Option<f64>,
    /// Device and inode of the files read, because a file may be named twice or have several names.
    known: HashSet<(u64, u64)>,
    report: Report,
}

impl Inputs {
    /// A file that was named must be a log, but may have no rows if another has some.
    fn file(&mut self, path: &Path) -> Result<(), ReportError> {
        match self.run(path, &stem(path)) {
            Ok(run) => self.report.runs.extend(run),
            Err(Unread::NotALog(source)) => {
                return Err(ReportError::Log { path: path.to_owned(), source });
            }
            Err(error) => self.leave_out_log(path, &error),
        }
        Ok(())
    }

    /// A file of a folder may be no log; then it is left out.
    fn folder(&mut self, folder: &Path) -> Result<(), ReportError> {
        let mut paths = Vec::new();
        let listed = self.find(folder, &mut paths);
        listed.map_err(|source| ReportError::Folder { path: folder.to_owned(), source })?;
        // A log is named by its own name and not by a link's.
        paths.sort_by_cached_key(|path| (path.is_symlink(), path.clone()));
        let mut runs = Vec::new();
        for path in paths {
            let below = path.strip_prefix(folder).unwrap_or(&path);
            match self.run(&path, &below.with_file_name(stem(below)).to_string_lossy()) {
                Ok(run) => runs.extend(run),
                Err(error) => self.leave_out_log(&path, &error),
            }
        }
        runs.sort_by_key(Run::rank);
        self.report.runs.append(&mut runs);
        Ok(())
    }

    /// Finds the files that may be logs. Links to folders are not followed, because they may form a
    /// loop, and folders of earlier runs only if they are named.
    fn find(&mut self, folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if entry.file_name() != OLD
                    && let Err(error) = self.find(&path, paths)
                {
                    self.leave_out(&path, &error);
                }
            } else if end(&path).is_some() && path.is_file() {
                paths.push(path);
            }
        }
        Ok(())
    }

    /// `None` if the file was read under another name.
    fn run(&mut self, path: &Path, label: &str) -> Result<Option<Run>, Unread> {
        let is_new = match fs::metadata(path) {
            Ok(file) => self.known.insert((file.dev(), file.ino())),
            // Reading it gives the reason.
            Err(_) => true,
        };
        is_new.then(|| Run::read(path, label, self.seconds)).transpose()
    }

    fn leave_out_log(&mut self, path: &Path, reason: &Unread) {
        if matches!(reason, Unread::NoRows) {
            self.report.bare.push(plain(&path.to_string_lossy()));
        }
        self.leave_out(path, reason);
    }

    fn leave_out(&mut self, path: &Path, reason: &dyn std::fmt::Display) {
        self.report.left_out.push(format!("{}: {reason}", plain(&path.to_string_lossy())));
    }
}
