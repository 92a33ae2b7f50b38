//! The proxies that can be compared: which there are, and how each is run for the same job.
//!
//! Every one is configured as its own documentation recommends for this job; what was chosen and
//! why is in [`Entrant::choices`]. All have in common: one worker for each core that is given, a
//! listener on the loopback, upstream connections that are kept alive, no log of requests, a second
//! to connect, and as much time and as many attempts as the scenario gives.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;
mod ours;
mod tools;
mod traefik;

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tidegate::balance::Policy;
use tidegate::usage::or_nearest;

use super::results::Entrant;
use crate::scenario::{Group, Proxies, Scenario};
use crate::simulate::{self, Kind};

pub use envoy::Health;
pub use tools::Tools;

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
    /// The proxy of this project, with a policy.
    Tidegate(Policy),
    /// The same, with the policy `adaptive` and without the scenario's hedges.
    Unhedged,
    /// The same proxy on hyper, with tower's balancing.
    Hyper,
    /// nginx.
    Nginx {
        /// The directive of its group of servers; it is empty for its default.
        method: &'static str,
        /// Whether a 503 is a failure, after which the request is sent to another server.
        retry_503: bool,
    },
    /// `HAProxy`.
    Haproxy {
        /// The algorithm of `balance`.
        balance: &'static str,
        /// Whether answers count for the health of a server.
        observe: bool,
    },
    /// Envoy with `LEAST_REQUEST`.
    Envoy {
        /// Whether it compares all backends, or two that are drawn.
        is_full_scan: bool,
        /// What it observes of them.
        health: Health,
    },
    /// Traefik, with the strategy of its service.
    Traefik(&'static str),
    /// Caddy, with the value of `lb_policy`.
    Caddy(&'static str),
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
    /// Where its log goes, if it is ours: a folder, and its number among the proxies there, from 1.
    pub log: Option<(&'a Path, usize)>,
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

/// How a contender is started. Its caller pins it to its cores.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// How a program is told what to do.
#[derive(Debug)]
struct Recipe {
    /// Files in the job's folder: name and content.
    files: Vec<(&'static str, String)>,
    /// Of its environment, as in `NAME=value`.
    variables: Vec<String>,
    args: Vec<String>,
}

/// All contenders, in the order in which they are shown.
pub const ALL: [Contender; 25] = [
    tidegate("tidegate-adaptive", Policy::Adaptive),
    tidegate("tidegate-least-conn", Policy::LeastConn),
    tidegate("tidegate-round-robin", Policy::RoundRobin),
    tidegate("tidegate-sma", SMA),
    tidegate("tidegate-ewma", EWMA),
    alike("tidegate-unhedged", Program::Unhedged, Policy::Adaptive),
    known("nginx-least-time", nginx("least_time header", false), Kind::LeastTime),
    known("nginx-least-time-503", nginx("least_time header", true), Kind::LeastTime),
    alike("nginx-least-conn", nginx("least_conn", false), Policy::LeastConn),
    alike("nginx-round-robin", nginx("", false), Policy::RoundRobin),
    known("nginx-random-two", nginx("random two least_conn", false), Kind::P2c),
    alike("haproxy-leastconn", haproxy("leastconn", false), Policy::LeastConn),
    alike("haproxy-leastconn-observe", haproxy("leastconn", true), Policy::LeastConn),
    known("haproxy-random", haproxy("random", false), Kind::P2c),
    known("haproxy-random-observe", haproxy("random", true), Kind::P2c),
    known("envoy-least-request", envoy(false, Health::Unobserved), Kind::TwoDraws),
    known("envoy-outlier-detection", envoy(false, Health::Outliers), Kind::TwoDraws),
    known("envoy-slow-start", envoy(false, Health::SlowStart), Kind::TwoDraws),
    alike("envoy-full-scan", envoy(true, Health::Outliers), Policy::LeastConn),
    // It multiplies the mean of the last hundred latencies, which no simulated policy does.
    Contender {
        name: "traefik-leasttime",
        program: Program::Traefik("leasttime"),
        simulated: None,
    },
    known("traefik-p2c", Program::Traefik("p2c"), Kind::P2c),
    alike("traefik-wrr", Program::Traefik("wrr"), Policy::RoundRobin),
    alike("caddy-least-conn", Program::Caddy("least_conn"), Policy::LeastConn),
    known("caddy-random-choose", Program::Caddy("random_choose 2"), Kind::P2c),
    known("hyper-peak-ewma", Program::Hyper, Kind::PeakEwma),
];

/// The names of those that are compared if none is named: of each program the way that suits
/// backends of different and changing speed best. nginx is there twice, because what is best where
/// backends answer 503 is not its default.
pub const DEFAULT: [&str; 8] = [
    "tidegate-adaptive",
    "nginx-least-time",
    "nginx-least-time-503",
    "haproxy-leastconn-observe",
    "envoy-outlier-detection",
    "traefik-leasttime",
    "caddy-least-conn",
    "hyper-peak-ewma",
];

const SMA: Policy = Policy::PUBLISHED[1];
const EWMA: Policy = Policy::PUBLISHED[2];

const fn tidegate(name: &'static str, policy: Policy) -> Contender {
    alike(name, Program::Tidegate(policy), policy)
}

/// A contender that balances by the same rule as a policy of the proxy.
const fn alike(name: &'static str, program: Program, policy: Policy) -> Contender {
    Contender { name, program, simulated: Some(simulate::Contender::Policy(policy)) }
}

/// A contender by whose rule the simulator has a baseline.
const fn known(name: &'static str, program: Program, kind: Kind) -> Contender {
    Contender { name, program, simulated: Some(simulate::Contender::Baseline(kind)) }
}

const fn nginx(method: &'static str, retry_503: bool) -> Program {
    Program::Nginx { method, retry_503 }
}

const fn envoy(is_full_scan: bool, health: Health) -> Program {
    Program::Envoy { is_full_scan, health }
}

const fn haproxy(balance: &'static str, observe: bool) -> Program {
    Program::Haproxy { balance, observe }
}

/// The contender of that name.
///
/// # Errors
/// There is none; the refusal names the nearest.
pub fn find(name: &str) -> Result<Contender, String> {
    let names = ALL.map(|contender| contender.name);
    ALL.into_iter().find(|contender| contender.name == name).ok_or_else(|| {
        let refusal = format!("`{name}` is no contender; give any of {}", names.join(", "));
        or_nearest(&refusal, name, names)
    })
}

impl BackendSpec {
    /// The backends of a scenario, which are at `addresses`.
    #[must_use]
    pub fn of(scenario: &Scenario, addresses: &[SocketAddr]) -> Vec<Self> {
        let spec = |(group, address): (&Group, &SocketAddr)| Self {
            address: *address,
            weight: group.weight.unwrap_or(1),
            max_in_flight: group.max_in_flight,
            backup: group.backup,
        };
        scenario.each_backend().zip(addresses).map(spec).collect()
    }
}

impl Job<'_> {
    /// The limit of requests in flight that every backend has, if that is the same.
    fn common_limit(&self) -> Option<u32> {
        let limit = self.backends.first()?.max_in_flight;
        let is_common = self.backends.iter().all(|backend| backend.max_in_flight == limit);
        if is_common { limit } else { None }
    }
}

impl Contender {
    /// How it is started for `job`; its configuration is written to the job's folder.
    ///
    /// # Errors
    /// Its program is not there, or the configuration can't be written.
    pub fn command(&self, tools: &Tools, job: &Job<'_>) -> io::Result<Command> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, self.program.absence());
        let program = tools.program(self.program).ok_or_else(missing)?;
        let recipe = self.program.recipe(job);
        for (name, text) in &recipe.files {
            fs::write(job.folder.join(name), text)?;
        }
        Ok(recipe.command(program))
    }

    /// As the report shows it, with the configuration for three backends; `None` if its program is
    /// not there.
    #[must_use]
    pub fn entrant(&self, tools: &Tools) -> Option<Entrant> {
        let program = tools.program(self.program)?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let backend = |port| BackendSpec {
            address: local(port),
            weight: 1,
            max_in_flight: None,
            backup: false,
        };
        let recipe = self.program.recipe(&Job {
            listen: local(8080),
            backends: &[8081, 8082, 8083].map(backend),
            folder: Path::new("arena"),
            cores: &[1],
            proxies: &Proxies::default(),
            log: None,
        });
        Some(Entrant {
            name: self.name.to_owned(),
            version: tools::version(&program, self.program),
            configuration: recipe.text(self.program.executable()),
            choices: self.program.choices().into_iter().map(str::to_owned).collect(),
        })
    }
}

impl Program {
    /// The name of its executable.
    #[must_use]
    pub fn executable(self) -> &'static str {
        match self {
            Self::Tidegate(_) | Self::Unhedged => "tidegate",
            Self::Hyper => "rival-hyper",
            Self::Nginx { .. } => "nginx",
            Self::Haproxy { .. } => "haproxy",
            Self::Envoy { .. } => "envoy",
            Self::Traefik(_) => "traefik",
            Self::Caddy(_) => "caddy",
        }
    }

    /// Why its contenders are left out if it is not there.
    #[must_use]
    pub fn absence(self) -> String {
        let name = self.executable();
        match self {
            Self::Tidegate(_) | Self::Unhedged | Self::Hyper => {
                format!("{name} is not built: cargo build --release --workspace")
            }
            _ => format!("{name} is not installed: ./scripts/setup --arena"),
        }
    }

    /// What the scenario says of proxies, as this one does it.
    pub(super) fn adapted(self, proxies: &Proxies) -> Proxies {
        let hedge = if self == Self::Unhedged { 0 } else { proxies.hedge };
        Proxies { hedge, ..*proxies }
    }

    fn recipe(self, job: &Job<'_>) -> Recipe {
        match self {
            Self::Tidegate(policy) => ours::tidegate(policy, job),
            Self::Unhedged => {
                let proxies = &self.adapted(job.proxies);
                ours::tidegate(Policy::Adaptive, &Job { proxies, ..*job })
            }
            Self::Hyper => ours::hyper(job),
            Self::Nginx { method, retry_503 } => nginx::recipe(method, retry_503, job),
            Self::Haproxy { balance, observe } => haproxy::recipe(balance, observe, job),
            Self::Envoy { is_full_scan, health } => envoy::recipe(is_full_scan, health, job),
            Self::Traefik(strategy) => traefik::recipe(strategy, job),
            Self::Caddy(policy) => caddy::recipe(policy, job),
        }
    }

    fn choices(self) -> Vec<&'static str> {
        match self {
            Self::Tidegate(_) | Self::Unhedged => ours::TIDEGATE_CHOICES.to_vec(),
            Self::Hyper => ours::HYPER_CHOICES.to_vec(),
            Self::Nginx { method, retry_503 } => nginx::choices(method, retry_503),
            Self::Haproxy { balance, observe } => haproxy::choices(balance, observe),
            Self::Envoy { is_full_scan, health } => envoy::choices(is_full_scan, health),
            Self::Traefik(strategy) => traefik::choices(strategy),
            Self::Caddy(policy) => caddy::choices(policy),
        }
    }
}

impl Recipe {
    fn command(self, program: PathBuf) -> Command {
        let args = self.args.into_iter().map(OsString::from);
        // `env` sets the variables, because what pins a program to its cores starts only words.
        if self.variables.is_empty() {
            return Command { program, args: args.collect() };
        }
        let variables = self.variables.into_iter().map(OsString::from);
        let words = variables.chain([program.into()]).chain(args);
        Command { program: "env".into(), args: words.collect() }
    }

    /// The command line and the files, to be read.
    fn text(&self, executable: &str) -> String {
        let words = self.variables.iter().map(String::as_str).chain([executable]);
        let words = words.chain(self.args.iter().map(String::as_str));
        let mut text = format!("$ {}\n", words.collect::<Vec<_>>().join(" "));
        for (name, content) in &self.files {
            // Writing to a String can't fail.
            let _ = write!(text, "\n# {name}\n{content}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
