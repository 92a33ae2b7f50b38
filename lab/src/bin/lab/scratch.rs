//! A folder for configurations and logs, removed at the end.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

/// See the module.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Of the task of that name.
    pub(crate) fn new(task: &str) -> io::Result<Self> {
        let path = env::temp_dir().join(format!("tidegate-{task}-{}", process::id()));
        fs::create_dir(&path).map(|()| Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Leftovers in the folder for temporary files do no harm.
        let _ = fs::remove_dir_all(self.path());
    }
}
