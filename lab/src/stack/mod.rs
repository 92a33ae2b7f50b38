//! The whole stack as child processes: three backends, the proxy, the dashboard. They are started
//! in this order and stopped in the reverse, so that requests in flight are still answered.
//!
//! `up` runs it in the foreground, and the scenarios put load on it.

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
pub use plan::{Admin, Plan};
pub(super) use programs::Programs;

use super::ports;
use super::signals::{Notice, Signals};

/// The names of the backends; each has a latency profile of its own.
pub const BACKENDS: [&str; 3] = ["A", "B", "C"];

/// The name of the proxy among the children.
pub const PROXY: &str = "proxy";

/// How long a child may take to accept connections.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait between two attempts to connect to it.
const START_PAUSE: Duration = Duration::from_millis(20);

/// Checks that no port is given twice.
///
/// # Errors
/// One is.
pub(super) fn check_plan(plan: &Plan) -> Result<(), StackError> {
    let mut ports = plan.backend_ports.to_vec();
    ports.push(plan.listen.port());
    ports.extend(plan.dashboard_port);
    ports.extend(plan.admin.as_ref().map(|admin| admin.port));
    ports.sort_unstable();
    if let Some(pair) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(StackError::PortTwice(pair[0]));
    }
    Ok(())
}

/// Checks all ports before anything is started.
///
/// # Errors
/// A port is given twice, is taken, or can't be listened on.
pub(super) fn check_ports(plan: &Plan) -> Result<(), StackError> {
    check_plan(plan)?;
    for (id, port) in BACKENDS.into_iter().zip(plan.backend_ports) {
        // The proxy connects to `localhost`, which can be IPv4 or IPv6.
        ports::probe_localhost(port)
            .map_err(|source| unavailable(port, &backend_name(id), "--backend-ports", source))?;
    }
    let port = plan.listen.port();
    ports::probe(plan.listen).map_err(|source| unavailable(port, "the proxy", "--port", source))?;
    if let Some(admin) = &plan.admin {
        let taken = |source| unavailable(admin.port, "the admin API", "--admin-port", source);
        ports::probe(admin.address()).map_err(taken)?;
    }
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

/// The children in the order in which they were started.
pub(super) struct Stack<'a> {
    signals: &'a Signals,
    programs: &'a Programs,
    output: Output,
    children: Vec<Child>,
}

impl<'a> Stack<'a> {
    /// None is running yet; their output will go to `output`.
    pub(super) fn new(signals: &'a Signals, programs: &'a Programs, output: Output) -> Self {
        Self { signals, programs, output, children: Vec::new() }
    }

    /// Starts the backends and the proxy; the signal, if one came first.
    ///
    /// # Errors
    /// One could not be started, ended, or accepts no connections. The others must be stopped.
    pub(super) fn start_all(&mut self, plan: &Plan) -> Result<Option<i32>, StackError> {
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

    /// Waits until the proxy has created its log, which it does once it listens; the signal, if one
    /// came first.
    ///
    /// # Errors
    /// The proxy ended, or creates none.
    pub(super) fn await_log(&mut self, log: &Path) -> Result<Option<i32>, StackError> {
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

    /// Starts a dashboard that shows `log`; the signal, if one came before it accepts connections.
    ///
    /// # Errors
    /// As [`Stack::start_all`].
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

    /// Waits until connections to `address` are accepted; the signal, if one came first. It sends
    /// no request, which would be counted in a backend's profile and in the proxy's log.
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

    /// Waits for a notice, for at most `patience`: the signal, if it is to stop.
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

    /// As [`Stack::wait`], without a timeout, but backends and the dashboard may end: `report` is
    /// called with each, and with the command that starts it again.
    ///
    /// # Errors
    /// The proxy has ended by itself.
    pub(super) fn wait_for_proxy(
        &mut self,
        plan: &Plan,
        mut report: impl FnMut(&StackError, Option<String>),
    ) -> Result<i32, StackError> {
        loop {
            match self.signals.wait(Duration::MAX) {
                None => {}
                Some(Notice::Stop(signal)) => return Ok(signal),
                Some(Notice::ChildEnded) => {
                    while let Some(ended) = self.take_ended()? {
                        match &ended {
                            StackError::Ended { name, .. } if name != PROXY => {
                                report(&ended, self.command_of(name, plan));
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

    /// Removes a child that has ended, and returns how it ended.
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
    /// One failed, or a second signal came, after which the others are killed.
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
