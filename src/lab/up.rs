//! The whole stack in the foreground: three backends, then the proxy; on a signal, the reverse.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::child::{Child, describe};
use super::ports::{self, Owner};
use super::setup;
use super::signals::{Notice, Signals};
use crate::balance::Policy;

/// The names of the backends; each has a latency profile of its own.
pub const BACKENDS: [&str; 3] = ["A", "B", "C"];

/// How long a child may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait between two attempts to reach it.
const START_PAUSE: Duration = Duration::from_millis(20);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the proxy chooses.
    pub policy: Policy,
    /// How the proxy uses upstream connections, as its flag has it.
    pub connections: String,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where the backends listen on localhost.
    pub backend_ports: [u16; BACKENDS.len()],
    /// Further flags of the proxy.
    pub proxy_flags: Vec<OsString>,
}

/// Why the stack is not up, or no longer.
#[derive(Debug, Error)]
pub enum UpError {
    /// A program that belongs beside the lab isn't there.
    #[error("there is no {}; `cargo build --release` builds it", .0.display())]
    NoProgram(PathBuf),
    /// The proxy refuses its flags; it has said why.
    #[error("the proxy refuses to run so")]
    Refused,
    /// One port is to be used twice.
    #[error("port {0} is named twice; every program needs its own")]
    PortTwice(u16),
    /// Somebody else has the port.
    #[error("port {port} for {name} is taken{}; stop that, or choose others, such as {way_out}",
        .owner.as_ref().map_or(String::new(), |owner| format!(" by {owner}")))]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// Who has it, if that can be seen.
        owner: Option<Owner>,
        /// The flag that chooses others, with an example.
        way_out: &'static str,
    },
    /// The port can't be had for another reason.
    #[error("can't listen on port {port} for {name}: {source}")]
    Port {
        /// The port.
        port: u16,
        /// What it is for.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The system doesn't let the lab run or watch programs.
    #[error("can't {what}: {source}")]
    System {
        /// What could not be done.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A child ended by itself.
    #[error("{name} {how}")]
    Ended {
        /// Which one.
        name: String,
        /// Its exit status in words.
        how: String,
    },
    /// A child runs and can't be reached.
    #[error("{name} doesn't answer at {address} after {START_PATIENCE:?}")]
    Silent {
        /// Which one.
        name: String,
        /// Where it should.
        address: SocketAddr,
    },
    /// A second signal came while the first was obeyed.
    #[error("stopped at once by a second signal; what was in flight is lost")]
    Hurried(i32),
}

/// Runs the stack until SIGINT or SIGTERM, then stops it in order: the proxy finishes what is in
/// flight while its backends still answer.
///
/// # Errors
/// It did not come up, a child ended by itself, or it had to be stopped hastily. Whatever had been
/// started has been stopped.
pub fn up(plan: &Plan) -> Result<(), UpError> {
    let programs = Programs::beside_the_lab()?;
    let signals = Signals::watch().map_err(system("watch signals"))?;
    programs.check(plan)?;
    check_ports(plan)?;
    let mut stack = Stack { signals, children: Vec::new() };
    let outcome = stack.rise(plan, &programs);
    stack.stop().and(outcome)
}

struct Programs {
    lab: PathBuf,
    proxy: PathBuf,
    backend: PathBuf,
}

impl Programs {
    fn beside_the_lab() -> Result<Self, UpError> {
        let lab = env::current_exe().map_err(system("find the lab's own program"))?;
        let sibling = |name: &str| {
            let path = lab.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(UpError::NoProgram(path)) }
        };
        let (proxy, backend) = (sibling("tidegate")?, sibling("tidegate-backend")?);
        Ok(Self { lab, proxy, backend })
    }

    /// Has the proxy judge its flags, for it knows them best.
    fn check(&self, plan: &Plan) -> Result<(), UpError> {
        let what = format!("run {}", self.proxy.display());
        let output = Command::new(&self.proxy)
            .args(plan.proxy_args())
            .arg("--check")
            .output()
            .map_err(system(&what))?;
        if output.status.success() {
            return Ok(());
        }
        say(io::stderr(), &output.stderr);
        Err(UpError::Refused)
    }
}

impl Plan {
    fn proxy_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            self.policy.to_string().into(),
            "--connections".into(),
            self.connections.clone().into(),
            "--listen".into(),
            self.listen.to_string().into(),
        ];
        for port in self.backend_ports {
            args.extend(["--upstream".into(), format!("http://localhost:{port}").into()]);
        }
        args.extend(self.proxy_flags.iter().cloned());
        args
    }

    /// Where a client on this machine reaches the proxy.
    fn proxy_address(&self) -> SocketAddr {
        let ip = match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.listen.port())
    }

    /// The proxy's address as people write it.
    fn proxy_url(&self) -> String {
        let address = self.proxy_address();
        if address.ip().is_loopback() {
            format!("http://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        }
    }
}

/// Names a taken port before anything is started.
fn check_ports(plan: &Plan) -> Result<(), UpError> {
    let mut ports = plan.backend_ports.to_vec();
    ports.push(plan.listen.port());
    ports.sort_unstable();
    if let Some(pair) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(UpError::PortTwice(pair[0]));
    }
    for (id, port) in BACKENDS.into_iter().zip(plan.backend_ports) {
        // The proxy goes to `localhost`, so somebody else's port counts in both families.
        ports::probe_localhost(port).map_err(|source| {
            unavailable(port, &backend_name(id), "--backend-ports 18081,18082,18083", source)
        })?;
    }
    ports::probe(plan.listen)
        .map_err(|source| unavailable(plan.listen.port(), "the proxy", "--port 19090", source))
}

fn unavailable(port: u16, name: &str, way_out: &'static str, source: io::Error) -> UpError {
    let name = name.to_owned();
    match source.kind() {
        ErrorKind::AddrInUse => {
            UpError::PortTaken { port, name, owner: ports::owner(port), way_out }
        }
        _ => UpError::Port { port, name, source },
    }
}

/// The children in the order they were started, and what is heard of them.
struct Stack {
    signals: Signals,
    children: Vec<Child>,
}

impl Stack {
    /// Starts everything and stays until a signal or a child's end.
    fn rise(&mut self, plan: &Plan, programs: &Programs) -> Result<(), UpError> {
        let backends: Vec<_> = BACKENDS.into_iter().zip(plan.backend_ports).collect();
        for (id, port) in &backends {
            let args = ["--id", id, "--listen", "127.0.0.1", "--port", &port.to_string()];
            self.start(&backend_name(id), programs, &programs.backend, &args.map(OsString::from))?;
        }
        for (id, port) in backends {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if !self.reach(&backend_name(id), address)? {
                return Ok(());
            }
        }
        self.start("proxy", programs, &programs.proxy, &plan.proxy_args())?;
        if !self.reach("proxy", plan.proxy_address())? {
            return Ok(());
        }
        say(io::stdout(), greeting(plan).as_bytes());
        while !self.heard_stop(Duration::MAX)? {}
        Ok(())
    }

    fn start(
        &mut self,
        name: &str,
        programs: &Programs,
        program: &Path,
        args: &[OsString],
    ) -> Result<(), UpError> {
        let child = Child::start(name, &programs.lab, program, args)
            .map_err(system(&format!("start {name}")))?;
        self.children.push(child);
        Ok(())
    }

    /// Waits until somebody accepts connections at `address`; `false` if a signal came first. It
    /// sends nothing, for every request counts: in a backend's profile and in the proxy's log.
    fn reach(&mut self, name: &str, address: SocketAddr) -> Result<bool, UpError> {
        let deadline = now() + START_PATIENCE;
        while TcpStream::connect_timeout(&address, START_PATIENCE).is_err() {
            if self.heard_stop(START_PAUSE)? {
                return Ok(false);
            }
            if now() >= deadline {
                return Err(UpError::Silent { name: name.to_owned(), address });
            }
        }
        Ok(true)
    }

    /// Waits for a notice, at most for `patience`: whether it was to stop.
    fn heard_stop(&mut self, patience: Duration) -> Result<bool, UpError> {
        match self.signals.wait(patience) {
            None => Ok(false),
            Some(Notice::Stop(_)) => Ok(true),
            Some(Notice::ChildEnded) => self.all_run().map(|()| false),
        }
    }

    /// Finds the child that has ended, and forgets it.
    fn all_run(&mut self) -> Result<(), UpError> {
        for index in 0..self.children.len() {
            let child = &mut self.children[index];
            if let Some(status) = child.ended().map_err(system("watch a child"))? {
                let name = self.children.remove(index).name().to_owned();
                return Err(UpError::Ended { name, how: describe(status) });
            }
        }
        Ok(())
    }

    /// Stops the children one after the other, the last started first.
    fn stop(mut self) -> Result<(), UpError> {
        let mut outcome = Ok(());
        while let Some(mut child) = self.children.pop() {
            child.terminate();
            let status = loop {
                if let Some(status) = child.ended().map_err(system("watch a child"))? {
                    break status;
                }
                if let Some(Notice::Stop(signal)) = self.signals.wait(Duration::MAX) {
                    // The rest is killed as it is dropped.
                    return Err(UpError::Hurried(signal));
                }
            };
            if !status.success() && outcome.is_ok() {
                let name = child.name().to_owned();
                outcome = Err(UpError::Ended { name, how: describe(status) });
            }
        }
        outcome
    }
}

fn backend_name(id: &str) -> String {
    format!("backend {id}")
}

/// What to open, and what to run next.
fn greeting(plan: &Plan) -> String {
    let url = plan.proxy_url();
    let mut text = format!(
        "\n{} over {} connections is up at {url}; Ctrl-C stops everything.\n\
         \n  try it     curl {url}\n  load it    wrk -t4 -c100 -d30s {url}\n",
        plan.policy, plan.connections
    );
    if !setup::is_installed(&env::var_os("PATH").unwrap_or_default(), "wrk") {
        // Writing to a String can't fail.
        let _ = writeln!(text, "             wrk is not installed yet: ./scripts/setup does it");
    }
    text.push('\n');
    text
}

fn system(what: &str) -> impl Fn(io::Error) -> UpError + use<'_> {
    move |source| UpError::System { what: what.to_owned(), source }
}

/// Nobody is left to tell when the stream is gone.
fn say(mut stream: impl io::Write, text: &[u8]) {
    let _ = stream.write_all(text).and_then(|()| stream.flush());
}

#[expect(clippy::disallowed_methods, reason = "the lab waits for processes, in real time")]
fn now() -> Instant {
    Instant::now()
}
