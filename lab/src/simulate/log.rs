//! Writes the requests of a simulated run as a log of the proxy, for the tools that read logs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tidegate::journal::meta_path;
use tidegate::time::format_duration;

use super::contender::Contender;
use super::workload::{Dispatch, Drawn, Ended, Workload};
use super::{Measured, SimulateError, run};
use crate::fleet::Ask;
use crate::fleet::time::Time;
use crate::scenario::{Request, Scenario};

/// When simulated time begins: 2025-01-01.
const ZERO_US: i64 = 1_735_689_600_000_000;

const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode,connection,worker,\
    client,method,path,first_byte_ms,attempts,fault,started,in_flight\n";

/// Ports of the clients' connections begin here.
const FIRST_PORT: usize = 10_000;

/// Simulates a scenario with one seed, and writes the log of the run to `path`.
///
/// # Errors
/// It can't be simulated or written.
pub fn simulate_log(
    scenario: &Scenario,
    contender: Contender,
    seed: u64,
    path: &Path,
) -> Result<Measured, LogError> {
    let mut to = BufWriter::new(File::create(path)?);
    to.write_all(HEADER.as_bytes())?;
    let logged = Logged {
        drawn: Drawn::new(scenario, seed),
        scenario,
        policy: contender.name(),
        to,
        failure: None,
        idle: BinaryHeap::new(),
        connections: 0,
        of_request: HashMap::new(),
    };
    let (measured, logged) = run(scenario, logged, contender, seed)?;
    let Logged { mut to, failure, .. } = logged;
    failure.map_or(Ok(()), Err)?;
    to.flush()?;
    fs::write(meta_path(path), meta(scenario, contender))?;
    Ok(measured)
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The scenario could not be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The file could not be written.
    #[error("can't write the log: {0}")]
    Write(#[from] io::Error),
}

/// What the proxy writes beside its log, as far as the scenario says it.
fn meta(scenario: &Scenario, contender: Contender) -> String {
    let proxies = &scenario.proxies;
    let backends = scenario.each_backend().enumerate().map(|(index, group)| {
        let mut backend = json!({ "url": url(index) });
        if let Some(weight) = group.weight {
            backend["weight"] = json!(weight);
        }
        if let Some(limit) = group.max_in_flight {
            backend["max-in-flight"] = json!(limit);
        }
        if group.backup {
            backend["backup"] = json!(true);
        }
        backend
    });
    let mut settings = json!({
        "response-timeout": format_duration(proxies.response_timeout),
        "max-attempts": proxies.max_attempts,
        "eject-after": proxies.eject_after,
        "slow-start": format_duration(proxies.slow_start),
        "hedge": proxies.hedge,
        "hedge-attempts": proxies.hedge_attempts,
        "hedge-same": proxies.hedge_same,
    });
    if let Some(delay) = proxies.hedge_delay {
        settings["hedge-delay"] = json!(format_duration(delay));
    }
    let meta = json!({
        "format": 1,
        "policy": contender.name(),
        "workers": proxies.workers,
        "backends": backends.collect::<Vec<_>>(),
        "settings": settings,
    });
    meta.to_string() + "\n"
}

fn url(backend: usize) -> String {
    format!("http://backend-{backend}")
}

/// See the module.
struct Logged<'a> {
    drawn: Drawn<'a>,
    scenario: &'a Scenario,
    policy: &'static str,
    to: BufWriter<File>,
    failure: Option<io::Error>,
    /// Connections of clients that have no request, and the number of all.
    idle: BinaryHeap<Reverse<usize>>,
    connections: usize,
    /// The connection of each request, by its seed.
    of_request: HashMap<u64, usize>,
}

impl Logged<'_> {
    fn write(&mut self, ended: &Ended, connection: usize) -> io::Result<()> {
        let Ended { request, came, at, status, last } = *ended;
        let ms = |time: Time| time as f64 / 1e6;
        let fault = match (status, last) {
            (503, None) => "backends_full",
            (502, _) => "connect_refused",
            (504, _) => "response_timeout",
            _ => "",
        };
        let class = &self.scenario.classes[request.class].name;
        let path = class.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let (ends, policy, worker) = (stamp(at), self.policy, request.worker);
        let (ip, port) = (connection / 50_000 + 1, FIRST_PORT + connection % 50_000);
        if let Some(Dispatch { backend, attempt, in_flight, at: sent }) = last {
            let (latency, first_byte) = (ms(at - came), ms(at - sent));
            writeln!(
                self.to,
                "{ends},{},{latency:.3},{status},{policy},persistent,{worker},127.0.0.{ip}:{port},\
                 GET,/{path},{first_byte:.3},{attempt},{fault},{},{in_flight}",
                url(backend),
                stamp(came),
            )
        } else {
            writeln!(
                self.to,
                "{ends},,,{status},{policy},persistent,{worker},127.0.0.{ip}:{port},GET,/{path},,0,\
                 {fault},,",
            )
        }
    }
}

/// In microseconds.
fn stamp(at: Time) -> String {
    let us = ZERO_US.saturating_add(i64::try_from(at / 1000).unwrap_or(i64::MAX));
    let stamp = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    format!("{stamp:.6}")
}

impl Workload for Logged<'_> {
    fn opening(&mut self) -> Vec<Time> {
        self.drawn.opening()
    }

    fn next_at(&self) -> Option<Time> {
        self.drawn.next_at()
    }

    fn take(&mut self, now: Time) -> Request {
        let request = self.drawn.take(now);
        let connection = self.idle.pop().map_or(self.connections, |Reverse(idle)| idle);
        self.connections = self.connections.max(connection + 1);
        self.of_request.insert(request.seed, connection);
        request
    }

    fn ask(&mut self, request: &Request, to: Dispatch) -> Ask {
        self.drawn.ask(request, to)
    }

    fn ended(&mut self, ended: &Ended) -> Option<Time> {
        let connection = self.of_request.remove(&ended.request.seed).unwrap_or(0);
        self.idle.push(Reverse(connection));
        if let Err(error) = self.write(ended, connection) {
            self.failure.get_or_insert(error);
        }
        self.drawn.ended(ended)
    }
}
