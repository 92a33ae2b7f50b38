//! The six scenarios of the experiment: each policy with each connection mode, one after the other,
//! each with a new stack under the same load.
//!
//! For each it writes four files to a folder: the proxy's log and its description, the output of
//! `wrk`, and that of the other programs. Files of an earlier run are moved away first, and those
//! of an interrupted scenario are removed, so that the folder has the files of one run only. After
//! a failure the files stay, because they may contain the reason.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use super::process::{Process, describe};
use super::report::per_second;
use super::setup;
use super::signals::Signals;
use super::stack::{BACKENDS, Output, Plan, Programs, Stack, StackError, check_ports, system};
use tidegate::balance::Policy;
use tidegate::journal::{is_held, meta_path};

/// Both connection modes, in the order of the scenarios.
const CONNECTIONS: [&str; 2] = ["persistent", "non-persistent"];

/// Where files of earlier runs go, inside the folder.
const OLD: &str = "old";

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(200);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Scenarios {
    /// Seconds of load for each.
    pub seconds: u32,
    /// The folder for the files.
    pub folder: PathBuf,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where the backends listen on localhost.
    pub backend_ports: [u16; BACKENDS.len()],
}

/// What is called with the progress.
pub trait Progress {
    /// Earlier files were moved to this folder.
    fn moved(&mut self, to: &Path);
    /// A scenario begins.
    fn begins(&mut self, name: &str);
    /// The time under load of all scenarios so far.
    fn tick(&mut self, under_load: Duration);
    /// A scenario has ended.
    fn ends(&mut self, done: &Done);
}

/// A complete scenario.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its name, with which the names of its files begin.
    pub name: String,
    /// The proxy's log.
    pub log: PathBuf,
    /// Requests, errors, rows and rows lost, as the proxy counted them.
    pub totals: Totals,
    /// Requests per second as `wrk` counted them.
    pub per_second: Option<f64>,
    /// Errors of connections and statuses that `wrk` printed.
    pub complaints: Vec<String>,
}

impl Done {
    /// Whether every request succeeded and has a row.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.totals.are_clean() && self.complaints.is_empty()
    }
}

/// The totals that a proxy prints at its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Requests of which at least a byte arrived.
    pub requests: u64,
    /// Those with a status of 400 or more, or a fault.
    pub errors: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that could not be written.
    pub lost: u64,
}

/// Why the scenarios were not all run.
#[derive(Debug, Error)]
pub enum ScenariosError {
    /// `wrk` is not installed.
    #[error("there is no wrk, which makes the load; ./scripts/setup installs it")]
    NoWrk,
    /// A file can't be created, moved or read.
    #[error("can't {what} `{}`: {source}", .path.display())]
    File {
        /// What could not be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A log of an earlier run is still written.
    #[error("a proxy is writing `{}`; stop it, or name another folder with --logs", .0.display())]
    InUse(PathBuf),
    /// The stack did not start, or a part of it ended.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// `wrk` failed.
    #[error("wrk {how}; what it said is in `{}`", .said.display())]
    Wrk {
        /// Its exit status as text.
        how: String,
        /// The file with its output.
        said: PathBuf,
    },
    /// The proxy ended without its totals.
    #[error("the proxy did not say how many requests there were; see `{}`", .0.display())]
    NoTotals(PathBuf),
    /// A signal stopped it.
    #[error("stopped by a signal; finished scenarios keep their files, this one's were removed")]
    Stopped(i32),
}

/// The names of the six, in order.
pub fn names() -> impl Iterator<Item = String> {
    all().map(|(policy, connections)| name(policy, connections))
}

fn all() -> impl Iterator<Item = (Policy, &'static str)> {
    CONNECTIONS.into_iter().flat_map(|mode| Policy::PUBLISHED.map(|policy| (policy, mode)))
}

fn name(policy: Policy, connections: &str) -> String {
    // As in the name of the proxy's log.
    format!("{policy}_{}", connections.replace('-', "_"))
}

/// Runs all six, and returns their results in order.
///
/// # Errors
/// One could not be completed. Nothing is left running.
pub fn run(
    scenarios: &Scenarios,
    progress: &mut dyn Progress,
) -> Result<Vec<Done>, ScenariosError> {
    if setup::find("wrk").is_none() {
        return Err(ScenariosError::NoWrk);
    }
    let programs = Programs::beside_the_lab()?;
    let signals = Signals::watch().map_err(system("watch signals"))?;
    let plans: Vec<_> = all().map(|(policy, mode)| scenarios.plan(policy, mode)).collect();
    check_ports(&plans[0])?;
    if let Some(old) = put_away(&scenarios.folder)? {
        progress.moved(&old);
    }
    let mut done = Vec::new();
    for plan in &plans {
        let files = Files::of(plan, &scenarios.folder);
        progress.begins(&files.name);
        let load = Duration::from_secs(scenarios.seconds.into());
        let before = load * u32::try_from(done.len()).unwrap_or(0);
        let run = Run { load, before, plan, files, programs: &programs };
        match run.measure(&signals, progress) {
            Ok(outcome) => {
                progress.ends(&outcome);
                done.push(outcome);
            }
            Err(error) => {
                if matches!(error, ScenariosError::Stopped(_)) {
                    run.files.remove();
                }
                return Err(error);
            }
        }
    }
    Ok(done)
}

impl Scenarios {
    fn plan(&self, policy: Policy, connections: &str) -> Plan {
        let log = self.folder.join(name(policy, connections)).with_extension("csv");
        Plan {
            policy,
            connections: connections.to_owned(),
            listen: self.listen,
            backend_ports: self.backend_ports,
            dashboard_port: None,
            // At its end wrk closes connections with requests in flight. Those are no errors.
            proxy_flags: ["--client-half-close", "allow", "--log"]
                .map(OsString::from)
                .into_iter()
                .chain([log.into()])
                .collect(),
        }
    }
}

/// The files of one scenario.
struct Files {
    name: String,
    log: PathBuf,
    wrk: PathBuf,
    console: PathBuf,
}

impl Files {
    fn of(plan: &Plan, folder: &Path) -> Self {
        let name = name(plan.policy, &plan.connections);
        Self {
            log: folder.join(format!("{name}.csv")),
            wrk: folder.join(format!("{name}_wrk.txt")),
            console: folder.join(format!("{name}_console.txt")),
            name,
        }
    }

    fn remove(&self) {
        for file in [&self.log, &meta_path(&self.log), &self.wrk, &self.console] {
            // A file that does not exist yet need not be removed.
            let _ = fs::remove_file(file);
        }
    }
}

/// One scenario that runs.
struct Run<'a> {
    /// How long it is under load.
    load: Duration,
    /// How long those before it were under load.
    before: Duration,
    plan: &'a Plan,
    files: Files,
    programs: &'a Programs,
}

impl Run<'_> {
    fn measure(
        &self,
        signals: &Signals,
        progress: &mut dyn Progress,
    ) -> Result<Done, ScenariosError> {
        let console = create(&self.files.console)?;
        let mut stack = Stack::new(signals, self.programs, Output::File(console));
        let load = self.put_under_load(&mut stack, progress);
        // The first error is the cause of later ones.
        let stopped = stack.stop();
        load?;
        stopped.map_err(|error| match error {
            // The load was over, so this was the first signal.
            StackError::Hurried(signal) => ScenariosError::Stopped(signal),
            error => error.into(),
        })?;
        let Files { name, log, wrk, console } = &self.files;
        let totals = Totals::find(&read(console)?);
        let totals = totals.ok_or_else(|| ScenariosError::NoTotals(console.clone()))?;
        let said = read(wrk)?;
        let (per_second, complaints) = (per_second(&said), complaints(&said));
        Ok(Done { name: name.clone(), log: log.clone(), totals, per_second, complaints })
    }

    fn put_under_load(
        &self,
        stack: &mut Stack<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), ScenariosError> {
        if let Some(signal) = stack.start_all(self.plan)? {
            return Err(ScenariosError::Stopped(signal));
        }
        let time = format!("-d{}s", self.load.as_secs());
        let args = ["-t4", "-c100", &time, "--latency", &self.plan.proxy_url()].map(OsString::from);
        let (lab, output) = (self.programs.lab(), self.files.wrk.clone());
        let mut wrk =
            Process::start(lab, Path::new("wrk"), &args, output).map_err(system("start wrk"))?;
        let started = now();
        loop {
            if let Some(signal) = stack.wait(TICK)? {
                return Err(ScenariosError::Stopped(signal));
            }
            progress.tick(self.before + started.elapsed().min(self.load));
            match wrk.ended().map_err(system("watch wrk"))? {
                None => {}
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let (how, said) = (describe(status), self.files.wrk.clone());
                    return Err(ScenariosError::Wrk { how, said });
                }
            }
        }
    }
}

impl Totals {
    /// Finds them in the output of the programs.
    fn find(console: &str) -> Option<Self> {
        let line = console.lines().rev().find(|line| line.ends_with(" rows lost"))?;
        let (_, counts) = line.split_once("| ")?;
        let mut numbers = counts.split(", ").map(|count| count.split(' ').next()?.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { requests: next()?, errors: next()?, rows: next()?, lost: next()? })
    }

    fn are_clean(self) -> bool {
        self.errors == 0 && self.lost == 0 && self.rows == self.requests
    }
}

/// The lines in which `wrk` reports errors of connections and statuses.
fn complaints(wrk: &str) -> Vec<String> {
    let lines = wrk.lines().map(str::trim);
    let complains = |line: &&str| line.starts_with("Socket errors") || line.starts_with("Non-2xx");
    lines.filter(complains).map(str::to_owned).collect()
}

/// Moves files of an earlier run in `folder` into a new folder below [`OLD`], which is returned.
fn put_away(folder: &Path) -> Result<Option<PathBuf>, ScenariosError> {
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

fn create(path: &Path) -> Result<File, ScenariosError> {
    // Several programs append to it.
    let opened = OpenOptions::new().append(true).create_new(true).open(path);
    opened.map_err(file("make", path))
}

fn read(path: &Path) -> Result<String, ScenariosError> {
    fs::read_to_string(path).map_err(file("read", path))
}

#[expect(clippy::disallowed_methods, reason = "the lab measures processes, in real time")]
fn now() -> Instant {
    Instant::now()
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ScenariosError + use<> {
    let path = path.to_owned();
    move |source| ScenariosError::File { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};

    #[test]
    fn there_are_six_in_the_order_of_the_original() {
        let names: Vec<_> = names().collect();
        let expected = [
            "round-robin_persistent",
            "adaptive_sma_persistent",
            "adaptive_ewma_persistent",
            "round-robin_non_persistent",
            "adaptive_sma_non_persistent",
            "adaptive_ewma_non_persistent",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn totals_are_found_under_the_name_of_the_proxy() {
        let said = "backend A | listening on http://127.0.0.1:1\n\
                    proxy     | policy round-robin\n\
                    proxy     | 12 requests, 3 errors, 11 rows, 1 rows lost\n";
        let totals = Totals { requests: 12, errors: 3, rows: 11, lost: 1 };
        assert_eq!(Totals::find(said), Some(totals));
        assert!(!totals.are_clean());
        assert!(Totals { errors: 0, rows: 12, lost: 0, ..totals }.are_clean());
        assert_eq!(Totals::find("proxy     | listening\n"), None);
        assert_eq!(Totals::find("proxy     | many requests, and no rows lost\n"), None);
    }

    #[test]
    fn what_wrk_complains_of_is_not_passed_over() {
        let said = "Running 1s test\n  Socket errors: connect 0, read 3, write 0, timeout 0\n\
                    \u{20} Non-2xx or 3xx responses: 7\nRequests/sec: 10\n";
        let expected =
            ["Socket errors: connect 0, read 3, write 0, timeout 0", "Non-2xx or 3xx responses: 7"];
        assert_eq!(complaints(said), expected);
        assert!(complaints("Requests/sec: 10\n").is_empty());
    }

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
