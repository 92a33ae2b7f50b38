//! The file beside a log with what no row can say: the settings of the run.
//!
//! Its text is given. This file only writes it, as a whole or not at all, and moves it with its
//! log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Its path: `logs/x.csv.meta.json` for `logs/x.csv`.
#[must_use]
pub fn meta_path(log: &Path) -> PathBuf {
    with_suffix(log, ".meta.json")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes `text` beside `log` in one step, so that no reader sees a part of it.
pub(super) fn put(log: &Path, text: &str) -> io::Result<()> {
    let path = meta_path(log);
    // It is there already when a log is reopened, and rows must not wait for a busy disk.
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let temporary = with_suffix(&path, ".tmp");
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path)).inspect_err(|_| {
        // A file that is there describes another run. Failing to remove it changes nothing.
        let _ = fs::remove_file(&temporary);
        let _ = fs::remove_file(&path);
    })
}

/// Moves the file of `log` beside `aside`, where the log was moved.
pub(super) fn move_aside(log: &Path, aside: &Path) {
    // Logs of an older version or of other tools have none, and readers do not need it.
    let _ = fs::rename(meta_path(log), meta_path(aside));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_put_whole_and_in_place_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("x.csv");
        for text in ["first and longer", "second"] {
            put(&log, text).expect("put");
            assert_eq!(fs::read_to_string(meta_path(&log)).expect("a file"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn what_cannot_be_put_leaves_nothing_wrong_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("x.csv");
        put(&log, "another run's").expect("put");
        fs::create_dir(with_suffix(&log, ".meta.json.tmp")).expect("in the way");
        put(&log, "this run's").expect_err("a folder is in the way");
        assert!(!meta_path(&log).exists());
    }
}
