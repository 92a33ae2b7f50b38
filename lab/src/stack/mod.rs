//! The whole stack as child processes: three backends, the proxy, the dashboard. They are started
//! in this order and stopped in the reverse, so that what is in flight is still answered.
//!
//! It knows how they are started and watched, and not what for: `up` shows them to a person, and
//! the scenarios put load on them.

mod child;
mod error;
mod plan;
mod programs;

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use child::Child;
pub(super) use child::Output;
pub use error::StackError;
pub(super) use error::system;
pub use plan::Plan;
pub(super) use programs::Programs;

use super::ports;
use super::signals::{Notice, Signals};

/// The names of the backends; each has a latency profile of its own.
pub const BACKENDS: [&str; 3] = ["A", "B", "C"];

/// The name of the proxy among the children.
pub const PROXY: &str = "proxy";

/// How long a child may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait between two attempts to reach it.
const START_PAUSE: Duration = Duration::from_millis(20);

/// Names a port that two programs would have.
///
/// # Errors
/// There is one.
pub(super) fn check_plan(plan: &Plan) -> Result<(), StackError> {
    let mut ports = plan.backend_ports.to_vec();
    ports.push(plan.listen.port());
    ports.extend(plan.dashboard_port);
    ports.sort_unstable();
    if let Some(pair) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(StackError::PortTwice(pair[0]));
    }
    Ok(())
}

/// Names a taken port before anything is started.
///
/// # Errors
/// A port is taken, named twice or can't be had.
pub(super) fn check_ports(plan: &Plan) -> Result<(), StackError> {
    check_plan(plan)?;
    for (id, port) in BACKENDS.into_iter().zip(plan.backend_ports) {
        // The proxy goes to `localhost`, so somebody else's port counts in both families.
        ports::probe_localhost(port)
            .map_err(|source| unavailable(port, &backend_name(id), "--backend-ports", source))?;
    }
    let port = plan.listen.port();
    ports::probe(plan.listen).map_err(|source| unavailable(port, "the proxy", "--port", source))?;
    if let Some(port) = plan.dashboard_port {
        let dashboard = |source| unavailable(port, "the dashboard", "--dashboard-port", source);
        ports::probe(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(dashboard)?;
    }
    Ok(())
}

fn unavailable(port: u16, name: &str, flag: &'static str, source: io::Error) -> StackError {
    let name = name.to_owned();
    if source.kind() != ErrorKind::AddrInUse {
        return StackError::Port { port, name, source };
    }
    let count = if flag == "--backend-ports" { BACKENDS.len() } else { 1 };
    let free: Vec<_> = ports::free_above(port, count).iter().map(u16::to_string).collect();
    let way_out = format!("{flag} {}", free.join(","));
    StackError::PortTaken { port, name, owner: ports::owner(port), way_out }
}

/// The children in the order they were started, and what is heard of them.
pub(super) struct Stack<'a> {
    signals: &'a Signals,
    programs: &'a Programs,
    output: Output,
    children: Vec<Child>,
}

impl<'a> Stack<'a> {
    /// None is running yet; what they will say goes to `output`.
    pub(super) fn new(signals: &'a Signals, programs: &'a Programs, output: Output) -> Self {
        Self { signals, programs, output, children: Vec::new() }
    }

    /// Starts the backends and the proxy; the signal, if one came first.
    ///
    /// # Errors
    /// One could not be started, ended, or doesn't answer. What runs must still be stopped.
    pub(super) fn rise(&mut self, plan: &Plan) -> Result<Option<i32>, StackError> {
        let backends: Vec<_> = BACKENDS.into_iter().zip(plan.backend_ports).collect();
        for (id, port) in &backends {
            let args = backend_args(id, *port).map(OsString::from);
            self.start(&backend_name(id), &self.programs.backend, &args)?;
        }
        for (id, port) in backends {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if let Some(signal) = self.reach(&backend_name(id), address)? {
                return Ok(Some(signal));
            }
        }
        self.start(PROXY, &self.programs.proxy, &plan.proxy_args())?;
        self.reach(PROXY, plan.proxy_address())
    }

    /// Waits until the proxy has made its log, which it does once it has its port; the signal, if
    /// one came first.
    ///
    /// # Errors
    /// The proxy ended, or makes none.
    pub(super) fn begin_log(&mut self, log: &Path) -> Result<Option<i32>, StackError> {
        let deadline = now() + START_PATIENCE;
        while !log.exists() {
            if let Some(signal) = self.wait(START_PAUSE)? {
                return Ok(Some(signal));
            }
            if now() >= deadline {
                return Err(StackError::NoLog(log.to_owned()));
            }
        }
        Ok(None)
    }

    /// Starts a dashboard that shows `log`; the signal, if one came before it answers.
    ///
    /// # Errors
    /// As [`Stack::rise`].
    pub(super) fn show(&mut self, log: &Path, port: u16) -> Result<Option<i32>, StackError> {
        let args = ["--listen".into(), "127.0.0.1".into(), "--port".into(), port.to_string()];
        let mut args = args.map(OsString::from).to_vec();
        args.extend(["--log".into(), log.into()]);
        self.start("dashboard", &self.programs.dashboard, &args)?;
        self.reach("dashboard", SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn start(&mut self, name: &str, program: &Path, args: &[OsString]) -> Result<(), StackError> {
        let child = Child::start(name, self.programs.lab(), program, args, &self.output)
            .map_err(system(&format!("start {name}")))?;
        self.children.push(child);
        Ok(())
    }

    /// Waits until somebody accepts connections at `address`; the signal, if one came first. It
    /// sends nothing, for every request counts: in a backend's profile and in the proxy's log.
    fn reach(&mut self, name: &str, address: SocketAddr) -> Result<Option<i32>, StackError> {
        let deadline = now() + START_PATIENCE;
        while TcpStream::connect_timeout(&address, START_PATIENCE).is_err() {
            if let Some(signal) = self.wait(START_PAUSE)? {
                return Ok(Some(signal));
            }
            if now() >= deadline {
                return Err(StackError::Silent { name: name.to_owned(), address });
            }
        }
        Ok(None)
    }

    /// Waits for a notice, at most for `patience`: the signal, if somebody wants it to stop.
    ///
    /// # Errors
    /// A child has ended by itself.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<Option<i32>, StackError> {
        match self.signals.wait(patience) {
            None => Ok(None),
            Some(Notice::Stop(signal)) => Ok(Some(signal)),
            Some(Notice::ChildEnded) => self.take_ended()?.map_or(Ok(None), Err),
        }
    }

    /// As [`Stack::wait`], for as long as it takes, but without the backends and the dashboard:
    /// `tell` is told of each that has ended, and with what command it is started again.
    ///
    /// # Errors
    /// The proxy has ended by itself.
    pub(super) fn outlast(
        &mut self,
        plan: &Plan,
        mut tell: impl FnMut(&StackError, Option<String>),
    ) -> Result<i32, StackError> {
        loop {
            match self.signals.wait(Duration::MAX) {
                None => {}
                Some(Notice::Stop(signal)) => return Ok(signal),
                Some(Notice::ChildEnded) => {
                    while let Some(ended) = self.take_ended()? {
                        match &ended {
                            StackError::Ended { name, .. } if name != PROXY => {
                                tell(&ended, self.command_of(name, plan));
                            }
                            _ => return Err(ended),
                        }
                    }
                }
            }
        }
    }

    /// The command that starts a backend again.
    fn command_of(&self, name: &str, plan: &Plan) -> Option<String> {
        let mut backends = BACKENDS.into_iter().zip(plan.backend_ports);
        let (id, port) = backends.find(|(id, _)| backend_name(id) == name)?;
        Some(format!("{} {}", self.programs.backend.display(), backend_args(id, port).join(" ")))
    }

    /// Finds a child that has ended, and forgets it: how it ended.
    fn take_ended(&mut self) -> Result<Option<StackError>, StackError> {
        for index in 0..self.children.len() {
            let child = &mut self.children[index];
            if let Some(status) = child.ended().map_err(system("watch a child"))? {
                let name = self.children.remove(index).name().to_owned();
                return Ok(Some(StackError::Ended { name, status }));
            }
        }
        Ok(None)
    }

    /// Stops the children one after the other, the last started first.
    ///
    /// # Errors
    /// One ended badly, or a second signal came; then the rest is killed.
    pub(super) fn stop(mut self) -> Result<(), StackError> {
        let mut outcome = Ok(());
        while let Some(mut child) = self.children.pop() {
            child.terminate();
            let status = loop {
                if let Some(status) = child.ended().map_err(system("watch a child"))? {
                    break status;
                }
                if let Some(Notice::Stop(signal)) = self.signals.wait(Duration::MAX) {
                    return Err(StackError::Hurried(signal));
                }
            };
            if !status.success() && outcome.is_ok() {
                let name = child.name().to_owned();
                outcome = Err(StackError::Ended { name, status });
            }
        }
        outcome
    }
}

fn backend_args(id: &str, port: u16) -> [String; 6] {
    ["--id", id, "--listen", "127.0.0.1", "--port", &port.to_string()].map(str::to_owned)
}

fn backend_name(id: &str) -> String {
    format!("backend {id}")
}

#[expect(clippy::disallowed_methods, reason = "the lab waits for processes, in real time")]
fn now() -> Instant {
    Instant::now()
}
