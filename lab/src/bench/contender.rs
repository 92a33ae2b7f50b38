//! The programs that are measured, and how each is started for the same job.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::super::process;
use super::job::Job;
use super::workload::LineUp;
use super::{haproxy, nginx};
use tidegate::endpoint::Endpoint;

/// A program that proxies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// Tidegate, with a policy.
    Tidegate(&'static str),
    /// The rival on hyper, with a client.
    Hyper(&'static str),
    /// nginx.
    Nginx,
    /// `HAProxy`.
    Haproxy,
    /// The relay, which does not parse HTTP.
    Relay,
}

/// How a contender reaches its backends. All are reached over TCP themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Over the loopback.
    Tcp,
    /// Over Unix sockets.
    Unix,
}

/// A program with one set of flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contender {
    /// Its name on the command line and in the results.
    pub name: &'static str,
    /// The program.
    pub program: Program,
    /// Whether it logs every request.
    pub logs: bool,
    /// Event loops, each on a core of its own.
    pub workers: usize,
    /// How it reaches its backends.
    pub transport: Transport,
}

const fn one(name: &'static str, program: Program, logs: bool) -> Contender {
    Contender { name, program, logs, workers: 1, transport: Transport::Tcp }
}

const fn unix(name: &'static str, program: Program, logs: bool) -> Contender {
    Contender { transport: Transport::Unix, ..one(name, program, logs) }
}

/// Every contender with one worker.
const EVERYONE: [Contender; 14] = [
    one("tidegate", Program::Tidegate("round-robin"), true),
    one("tidegate-no-log", Program::Tidegate("round-robin"), false),
    one("tidegate-sma", Program::Tidegate("adaptive_sma"), true),
    one("tidegate-ewma", Program::Tidegate("adaptive_ewma"), true),
    one("tidegate-adaptive", Program::Tidegate("adaptive"), true),
    one("hyper", Program::Hyper("own-pool"), true),
    one("hyper-no-log", Program::Hyper("own-pool"), false),
    one("hyper-pooled", Program::Hyper("pooled"), true),
    one("hyper-pooled-no-log", Program::Hyper("pooled"), false),
    one("nginx", Program::Nginx, false),
    one("nginx-log", Program::Nginx, true),
    one("haproxy", Program::Haproxy, false),
    one("haproxy-log", Program::Haproxy, true),
    one("relay", Program::Relay, false),
];

const ONE_OF_EACH: [&str; 5] = ["tidegate", "hyper", "nginx", "haproxy", "relay"];

const WORKERS: [Contender; 6] = [
    one("tidegate", Program::Tidegate("round-robin"), true),
    Contender { name: "tidegate-2", workers: 2, ..EVERYONE[0] },
    one("nginx", Program::Nginx, false),
    Contender { workers: 2, ..one("nginx-2", Program::Nginx, false) },
    one("haproxy", Program::Haproxy, false),
    Contender { workers: 2, ..one("haproxy-2", Program::Haproxy, false) },
];

const TRANSPORTS: [Contender; 8] = [
    one("tidegate", Program::Tidegate("round-robin"), true),
    unix("tidegate-unix", Program::Tidegate("round-robin"), true),
    one("nginx", Program::Nginx, false),
    unix("nginx-unix", Program::Nginx, false),
    one("haproxy", Program::Haproxy, false),
    unix("haproxy-unix", Program::Haproxy, false),
    one("relay", Program::Relay, false),
    unix("relay-unix", Program::Relay, false),
];

impl LineUp {
    /// Its description.
    #[must_use]
    pub fn contenders(self) -> Vec<Contender> {
        match self {
            Self::Everyone => EVERYONE.to_vec(),
            Self::OneOfEach => {
                let is_in = |contender: &Contender| ONE_OF_EACH.contains(&contender.name);
                EVERYONE.into_iter().filter(is_in).collect()
            }
            Self::Workers => WORKERS.to_vec(),
            Self::Transports => TRANSPORTS.to_vec(),
        }
    }
}

impl Program {
    /// The name of its executable.
    #[must_use]
    pub fn executable(self) -> &'static str {
        match self {
            Self::Tidegate(_) => "tidegate",
            Self::Hyper(_) => "rival-hyper",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Relay => "tidegate-lab",
        }
    }

    /// Whether it is built by this workspace, and so is in the folder of the lab.
    #[must_use]
    pub fn is_ours(self) -> bool {
        !matches!(self, Self::Nginx | Self::Haproxy)
    }
}

impl Contender {
    /// The arguments with which its program does `job`; configurations are written to the job's
    /// folder.
    ///
    /// # Errors
    /// A configuration can't be written.
    pub(super) fn args(&self, job: &Job<'_>) -> io::Result<Vec<OsString>> {
        let log = self.logs.then(|| self.file_name(job));
        Ok(match self.program {
            Program::Tidegate(policy) => self.flags(job, policy, log),
            Program::Hyper(client) => {
                let mut flags = self.flags(job, "round-robin", log);
                flags.extend(["--client".into(), client.into()]);
                flags
            }
            Program::Nginx => {
                let config = job.file(self.name, "nginx");
                fs::write(&config, nginx::config(self.workers, log.as_deref(), job))?;
                nginx::Nginx::args(job.folder, &config).to_vec()
            }
            Program::Haproxy => {
                let config = job.file(self.name, "haproxy");
                fs::write(&config, haproxy::config(self.workers, self.logs, job))?;
                vec!["-db".into(), "-f".into(), config.into()]
            }
            Program::Relay => {
                let mut flags: Vec<OsString> =
                    vec!["relay".into(), "--listen".into(), job.listen.to_string().into()];
                for upstream in job.upstreams() {
                    flags.extend(["--upstream".into(), upstream.to_string().into()]);
                }
                flags
            }
        })
    }

    fn file_name(&self, job: &Job<'_>) -> PathBuf {
        job.file(self.name, "log")
    }

    /// The arguments that tidegate and the rival have in common.
    fn flags(&self, job: &Job<'_>, policy: &str, log: Option<PathBuf>) -> Vec<OsString> {
        let connections = if job.is_fresh { "non-persistent" } else { "persistent" };
        let mut flags: Vec<OsString> = vec![
            policy.into(),
            "--connections".into(),
            connections.into(),
            "--listen".into(),
            job.listen.to_string().into(),
            "--log".into(),
            log.map_or("none".into(), PathBuf::into_os_string),
            "--workers".into(),
            self.workers.to_string().into(),
            "--pin".into(),
            process::list(job.cores).into(),
        ];
        for upstream in job.upstreams() {
            let scheme = if matches!(upstream, Endpoint::Tcp(_)) { "http://" } else { "" };
            flags.extend(["--upstream".into(), format!("{scheme}{upstream}").into()]);
        }
        flags
    }
}

#[cfg(test)]
mod tests;
