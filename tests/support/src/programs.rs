//! The programs of the workspace, where Cargo puts them: above the folder of the test that runs.
//!
//! Cargo builds those of the package it tests; those of the other are built here, if missing.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

const PROGRAMS: [&str; 5] =
    ["tidegate", "tidegatectl", "tidegate-dashboard", "tidegate-backend", "tidegate-lab"];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        let profile = folder.file_name().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--package", "tidegate", "--package", "tidegate-lab", "--profile"]);
        cargo.arg(if profile == "debug" { "dev".as_ref() } else { profile });
        cargo.arg("--target-dir").arg(folder.parent().unwrap());
        cargo.args(missing.iter().flat_map(|name| ["--bin", name]));
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "cargo build --workspace failed:\n{said}");
    }
    folder.to_owned()
});

/// A program of any package.
pub fn program(name: &str) -> PathBuf {
    FOLDER.join(name)
}
