//! Installs the programs that the demo and the tests call and that cargo does not build.
//!
//! If something is missing it calls Debian's `apt-get`, as root or through `sudo`. On other systems
//! it says what is missing.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use thiserror::Error;

/// A program, and the Debian package that has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tool {
    /// Its command.
    pub command: &'static str,
    /// The package to install.
    pub package: &'static str,
    /// What it is called for.
    pub purpose: &'static str,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.command, self.purpose)
    }
}

/// What the demo and the tests need.
pub const TOOLS: [Tool; 5] = [
    Tool { command: "wrk", package: "wrk", purpose: "makes load" },
    Tool { command: "curl", package: "curl", purpose: "a client of the tests" },
    Tool { command: "python3", package: "python3", purpose: "a client of the tests" },
    Tool { command: "chromium", package: "chromium", purpose: "a client of the tests" },
    Tool { command: "chromedriver", package: "chromium-driver", purpose: "drives it" },
];

/// What only a bench needs. Debian installs these in `/usr/sbin` and starts the servers where there
/// is a service manager.
pub const BENCH_TOOLS: [Tool; 3] = [
    Tool { command: "nginx", package: "nginx-light", purpose: "is measured against" },
    Tool { command: "haproxy", package: "haproxy", purpose: "is measured against" },
    Tool { command: "valgrind", package: "valgrind", purpose: "counts instructions" },
];

/// Why something is still missing.
#[derive(Debug, Error)]
pub enum SetupError {
    /// There is no `apt-get` here.
    #[error("missing: {}; there is no apt-get here, install them your system's way", list(.0))]
    NoInstaller(Vec<Tool>),
    /// Neither root nor `sudo`.
    #[error("missing: {}; as root, run: apt-get install {}", list(.0), packages(.0).join(" "))]
    NotAllowed(Vec<Tool>),
    /// `apt-get` could not be run.
    #[error("can't run {command}: {source}")]
    Run {
        /// What was called.
        command: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It ran, and something is still missing.
    #[error("still missing after apt-get: {}", list(.0))]
    StillMissing(Vec<Tool>),
}

/// Installs what is missing of `tools`, and returns it.
///
/// # Errors
/// Something is missing and can't be installed.
pub fn setup(tools: &[Tool], path: &OsStr, is_root: bool) -> Result<Vec<Tool>, SetupError> {
    let missing = missing(tools, path);
    if missing.is_empty() {
        return Ok(missing);
    }
    let prefix = installer(path, is_root, &missing)?;
    // If this fails, because a source does not answer, the packages may still be installable.
    run(prefix, &["update", "-q"])?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(packages(&missing));
    run(prefix, &install)?;
    match self::missing(tools, path) {
        left if left.is_empty() => Ok(missing),
        left => Err(SetupError::StillMissing(left)),
    }
}

/// Whether a command is in one of the folders of `path`, which has the format of `PATH`.
#[must_use]
pub fn is_installed(path: &OsStr, command: &str) -> bool {
    std::env::split_paths(path).any(|folder| {
        let file = folder.join(command).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

fn missing(tools: &[Tool], path: &OsStr) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !is_installed(path, tool.command)).collect()
}

/// The words before `apt-get`'s own arguments.
fn installer(
    path: &OsStr,
    is_root: bool,
    missing: &[Tool],
) -> Result<&'static [&'static str], SetupError> {
    if !is_installed(path, "apt-get") {
        Err(SetupError::NoInstaller(missing.to_vec()))
    } else if is_root {
        Ok(&["apt-get"])
    } else if is_installed(path, "sudo") {
        Ok(&["sudo", "apt-get"])
    } else {
        Err(SetupError::NotAllowed(missing.to_vec()))
    }
}

/// Runs the installer. Its exit status is ignored, because the caller checks what is installed.
fn run(prefix: &[&str], args: &[&str]) -> Result<(), SetupError> {
    let words = [prefix, args].concat();
    let status =
        Command::new(words[0]).args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive").status();
    let command = || words.join(" ");
    status.map(drop).map_err(|source| SetupError::Run { command: command(), source })
}

fn list(tools: &[Tool]) -> String {
    tools.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn packages(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().map(|tool| tool.package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const THREE: &[Tool] = &[
        Tool { command: "wrk", package: "wrk", purpose: "makes load" },
        Tool { command: "curl", package: "curl", purpose: "a client of the tests" },
        Tool { command: "python3", package: "python3", purpose: "a client of the tests" },
    ];

    fn folder_with(commands: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for command in commands {
            add(folder.path(), command);
        }
        folder
    }

    fn add(folder: &Path, command: &str) {
        let file = folder.join(command);
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn missing_commands(folder: &Path) -> Vec<&'static str> {
        missing(THREE, folder.as_os_str()).iter().map(|tool| tool.command).collect()
    }

    #[test]
    fn only_what_is_not_there_is_missing() {
        let folder = folder_with(&["curl"]);
        assert_eq!(missing_commands(folder.path()), ["wrk", "python3"]);
        add(folder.path(), "wrk");
        add(folder.path(), "python3");
        assert!(missing_commands(folder.path()).is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_executed_and_a_folder_are_no_commands() {
        let folder = folder_with(&[]);
        fs::write(folder.path().join("wrk"), "").expect("written");
        fs::create_dir(folder.path().join("curl")).expect("made");
        assert_eq!(missing_commands(folder.path()), ["wrk", "curl", "python3"]);
    }

    #[test]
    fn every_folder_of_the_path_is_searched() {
        let (one, two) = (folder_with(&["wrk"]), folder_with(&["curl", "python3"]));
        let path = std::env::join_paths([one.path(), two.path()]).expect("a path");
        assert!(missing(THREE, &path).is_empty());
    }

    #[test]
    fn if_nothing_is_missing_nothing_is_called() {
        // There is no apt-get in that folder; calling it would fail.
        let folder = folder_with(&["wrk", "curl", "python3"]);
        let installed = setup(THREE, folder.path().as_os_str(), true).expect("nothing to do");
        assert_eq!(installed, []);
    }

    #[test]
    fn it_installs_as_root_or_through_sudo_and_else_says_the_command() {
        let folder = folder_with(&["curl", "python3"]);
        add(folder.path(), "apt-get");
        let path = folder.path().as_os_str();
        let wrk = &THREE[..1];
        assert_eq!(installer(path, true, wrk).expect("root"), ["apt-get"]);
        let refusal = setup(THREE, path, false).expect_err("not allowed").to_string();
        assert_eq!(refusal, "missing: wrk (makes load); as root, run: apt-get install wrk");
        add(folder.path(), "sudo");
        assert_eq!(installer(path, false, wrk).expect("sudo"), ["sudo", "apt-get"]);
    }

    #[test]
    fn without_an_installer_it_names_what_is_missing() {
        let folder = folder_with(&["curl"]);
        let refusal =
            setup(THREE, folder.path().as_os_str(), true).expect_err("no apt-get").to_string();
        assert!(refusal.starts_with("missing: wrk (makes load), python3 ("), "{refusal}");
        assert!(refusal.contains("no apt-get"), "{refusal}");
    }
}
