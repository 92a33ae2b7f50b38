//! The files of the scenarios, and what becomes of those of an earlier run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{ScenariosError, file, names};
use tidegate::journal::{is_held, meta_path};

/// Where files of earlier runs go, inside the folder.
const OLD: &str = "old";

/// The files of one scenario.
pub(super) struct Files {
    pub(super) name: String,
    pub(super) log: PathBuf,
    pub(super) wrk: PathBuf,
    pub(super) console: PathBuf,
}

impl Files {
    pub(super) fn of(name: String, folder: &Path) -> Self {
        Self {
            log: folder.join(format!("{name}.csv")),
            wrk: folder.join(format!("{name}_wrk.txt")),
            console: folder.join(format!("{name}_console.txt")),
            name,
        }
    }

    pub(super) fn remove(&self) {
        for file in [&self.log, &meta_path(&self.log), &self.wrk, &self.console] {
            // A file that does not exist yet need not be removed.
            let _ = fs::remove_file(file);
        }
    }
}

/// Moves files of an earlier run in `folder` into a new folder below [`OLD`], which is returned.
pub(super) fn put_away(folder: &Path) -> Result<Option<PathBuf>, ScenariosError> {
    fs::create_dir_all(folder).map_err(file("make", folder))?;
    let entries = fs::read_dir(folder).map_err(file("read", folder))?;
    let is_left_over = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_of_ours = names().any(|scenario| {
            name.strip_prefix(&scenario).is_some_and(|rest| rest.starts_with(['.', '_']))
        });
        is_of_ours && path.is_file()
    };
    let left: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_left_over).collect();
    if left.is_empty() {
        return Ok(None);
    }
    if let Some(path) = left.iter().find(|path| is_held(path) == Some(true)) {
        return Err(ScenariosError::InUse(path.clone()));
    }
    let old = unused_folder(&folder.join(OLD))?;
    for path in left {
        let target = old.join(path.file_name().unwrap_or_default());
        fs::rename(&path, target).map_err(file("move", &path))?;
    }
    Ok(Some(old))
}

/// Creates a folder named after the current time.
fn unused_folder(parent: &Path) -> Result<PathBuf, ScenariosError> {
    fs::create_dir_all(parent).map_err(file("make", parent))?;
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = now.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    for taken in 0u32.. {
        let suffix = if taken == 0 { String::new() } else { format!("-{taken}") };
        let path = parent.join(format!("{date}{suffix}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|()| path.clone()).map_err(file("make", &path)),
        }
    }
    unreachable!("a second has fewer runs than there are numbers")
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn a_log_that_is_still_written_stays_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("round-robin_persistent.csv");
        let writer = File::create(&path).expect("a log");
        flock(&writer, FlockOperation::NonBlockingLockExclusive).expect("a lock");
        let error = put_away(folder.path()).expect_err("in use").to_string();
        assert!(error.contains("round-robin_persistent.csv"), "{error}");
        assert!(path.is_file());
    }

    #[test]
    fn only_files_of_an_earlier_run_are_put_away_and_none_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        assert!(put_away(folder.path()).expect("nothing to do").is_none());
        let ours = [
            "round-robin_persistent.csv",
            "round-robin_persistent.2026-01-02T03-04-05Z.csv",
            "adaptive_sma_non_persistent_wrk.txt",
        ];
        let others = ["mine.csv", "round-robin_persistently.csv"];
        let mut folders = Vec::new();
        for run in ["first", "second"] {
            for name in ours.iter().chain(&others) {
                fs::write(path(name), run).expect("written");
            }
            folders.push((run, put_away(folder.path()).expect("moved").expect("something")));
            assert!(ours.iter().all(|name| !path(name).exists()));
            assert!(others.iter().all(|name| path(name).exists()));
        }
        for (run, old) in folders {
            for name in ours {
                assert_eq!(fs::read_to_string(old.join(name)).expect("kept"), run);
            }
        }
    }
}
