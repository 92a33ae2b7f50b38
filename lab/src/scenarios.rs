//! The six scenarios of the experiment: each policy with each connection mode, one after the other,
//! each with a new stack under the same load.
//!
//! For each it writes five files to a folder: the proxy's log and its description, what `wrk`
//! printed, what the other programs did, and on what it was run. Files of earlier runs are moved
//! away first, and those of an interrupted scenario are removed, so the folder has the files of
//! one run only. After a failure the files stay, because they may contain the reason.

mod files;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;

use super::machine::Machine;
use super::process::{Process, describe};
use super::report::{Conditions, per_second};
use super::setup;
use super::signals::Signals;
use super::stack::{BACKENDS, Output, Plan, Programs, Stack, StackError, check_ports, system};
use files::{Files, put_away};
use tidegate::balance::Policy;
use tidegate::reactor::cores;

/// Both connection modes, in the order of the scenarios.
const CONNECTIONS: [&str; 2] = ["persistent", "non-persistent"];

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(200);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Scenarios {
    /// Seconds of load for each.
    pub seconds: u32,
    /// How many times all are run.
    pub repeat: u32,
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

/// The number of a scenario in the original, such as `2.1`.
fn number(policy: Policy, connections: &str) -> String {
    let place = |found: Option<usize>| found.map_or(0, |place| place + 1);
    let policies = Policy::PUBLISHED.map(Policy::name);
    let connections = place(CONNECTIONS.iter().position(|known| *known == connections));
    format!("{connections}.{}", place(policies.iter().position(|known| *known == policy.name())))
}

/// The name of a scenario's run in a round.
fn repeated(name: String, round: u32) -> String {
    if round > 1 { format!("{name}_{round}") } else { name }
}

/// Runs all six as often as asked, one after the other, and returns their results in order.
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
    let rounds = 1..=scenarios.repeat;
    let plans = rounds.flat_map(|round| all().map(move |(policy, mode)| (policy, mode, round)));
    let plans: Vec<_> = plans
        .map(|(policy, mode, round)| {
            let name = repeated(name(policy, mode), round);
            (scenarios.plan(policy, mode, &name), Files::of(name, &scenarios.folder))
        })
        .collect();
    if let Some((first, _)) = plans.first() {
        check_ports(first)?;
    }
    if let Some(old) = put_away(&scenarios.folder)? {
        progress.moved(&old);
    }
    let mut done = Vec::new();
    for (plan, files) in &plans {
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
    fn plan(&self, policy: Policy, connections: &str, name: &str) -> Plan {
        let log = self.folder.join(format!("{name}.csv"));
        Plan {
            policy,
            connections: connections.to_owned(),
            listen: self.listen,
            backend_ports: self.backend_ports,
            dashboard_port: None,
            admin: None,
            // At its end wrk closes connections with requests in flight. Those are no errors.
            proxy_flags: ["--client-half-close", "allow", "--log"]
                .map(OsString::from)
                .into_iter()
                .chain([log.into()])
                .collect(),
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
    files: &'a Files,
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
        let date = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let load = self.put_under_load(&mut stack, progress);
        // The first error is the cause of later ones.
        let stopped = stack.stop();
        load?;
        stopped.map_err(|error| match error {
            // The load was over, so this was the first signal.
            StackError::Hurried(signal) => ScenariosError::Stopped(signal),
            error => error.into(),
        })?;
        self.write_conditions(date)?;
        let Files { name, log, wrk, console } = self.files;
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
        let args = self.load_flags().map(OsString::from);
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

impl Run<'_> {
    /// The flags of wrk.
    fn load_flags(&self) -> [String; 5] {
        let time = format!("-d{}s", self.load.as_secs());
        let url = self.plan.proxy_url();
        ["-t4".to_owned(), "-c100".to_owned(), time, "--latency".to_owned(), url]
    }

    /// Notes on what it was run, and with what.
    fn write_conditions(&self, date: jiff::Timestamp) -> Result<(), ScenariosError> {
        let cores = cores::allowed().map_or(0, |cores| cores.len());
        let programs = [(self.programs.proxy(), "--version"), (Path::new("wrk"), "-v")];
        let conditions = Conditions {
            scenario: number(self.plan.policy, &self.plan.connections),
            date: date.to_string(),
            load: format!("wrk {}", self.load_flags().join(" ")),
            machine: Machine::this(cores, &programs),
        };
        let log = &self.files.log;
        conditions.write(log).map_err(file("write", &Conditions::path(log)))
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
    fn their_numbers_are_those_of_the_original() {
        let numbers: Vec<_> = all().map(|(policy, mode)| number(policy, mode)).collect();
        assert_eq!(numbers, ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"]);
        assert_eq!(repeated("x".to_owned(), 1), "x");
        assert_eq!(repeated("x".to_owned(), 2), "x_2");
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
}
