//! The proxies that can be compared: which there are, and how each is run for the same job.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::results::Entrant;
use crate::scenario::{Proxies, Scenario};
use crate::simulate;

/// A program with one way of balancing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    /// Its name on the command line and in the results, such as `nginx-least-time`.
    pub name: &'static str,
    /// Its program.
    pub program: Program,
    /// What the simulator has of the same way.
    pub simulated: Option<simulate::Contender>,
}

/// A proxy with what differs between its contenders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Program {
    /// The proxy of this project.
    Tidegate,
}

/// What a contender is to do.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its backends.
    pub backends: &'a [BackendSpec],
    /// A folder of its own, which exists.
    pub folder: &'a Path,
    /// The cores that it has, one for each worker.
    pub cores: &'a [usize],
    /// What the scenario says of proxies: workers, response timeout, attempts.
    pub proxies: &'a Proxies,
}

/// A backend, as a proxy knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackendSpec {
    /// Where it listens, if it does.
    pub address: SocketAddr,
    /// Its share beside the others.
    pub weight: u32,
    /// Requests that the proxy has there at once, at most.
    pub max_in_flight: Option<u32>,
    /// Whether it gets requests only while no other takes them.
    pub backup: bool,
}

impl BackendSpec {
    /// The backends of a scenario, which listen at `addresses`.
    #[must_use]
    pub fn of(scenario: &Scenario, addresses: &[SocketAddr]) -> Vec<Self> {
        let spec = |(group, address): (&crate::scenario::Group, &SocketAddr)| Self {
            address: *address,
            weight: group.weight.unwrap_or(1),
            max_in_flight: group.max_in_flight,
            backup: group.backup,
        };
        scenario.each_backend().zip(addresses).map(spec).collect()
    }
}

/// How a contender is started. Its caller pins it to its cores.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    lab: PathBuf,
}

impl Tools {
    /// Those beside `lab`, the file of `tidegate-lab`, those that `setup --arena` installed, and
    /// those of the system.
    #[must_use]
    pub fn beside(lab: &Path) -> Self {
        Self { lab: lab.to_owned() }
    }

    /// The file of a program, if it is there.
    #[must_use]
    pub fn program(&self, _program: Program) -> Option<PathBuf> {
        self.lab.is_file().then(|| self.lab.clone())
    }

    /// Why a contender is left out.
    #[must_use]
    pub fn absence(_program: Program) -> String {
        String::new()
    }
}

/// All contenders.
pub const ALL: [Contender; 0] = [];

/// The names of those that are compared if none is named.
pub const DEFAULT: [&str; 0] = [];

/// The contender of that name.
///
/// # Errors
/// There is none; the refusal names the nearest.
pub fn find(name: &str) -> Result<Contender, String> {
    ALL.into_iter().find(|contender| contender.name == name).ok_or_else(String::new)
}

impl Contender {
    /// How it is started for `job`; its configuration is written to the job's folder.
    ///
    /// # Errors
    /// The program is not there, or the configuration can't be written.
    pub fn command(&self, _tools: &Tools, _job: &Job<'_>) -> io::Result<Command> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// As the report shows it; `None` if its program is not there.
    #[must_use]
    pub fn entrant(&self, _tools: &Tools) -> Option<Entrant> {
        None
    }
}
