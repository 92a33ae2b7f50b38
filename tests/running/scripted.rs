//! Programs that are shell scripts, to be found before the real ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

/// A folder with them, each given by name and text.
pub(crate) fn programs(scripts: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in scripts {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}
