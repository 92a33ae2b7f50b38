//! What the proxy runs with: the settings, and the plan, which has the backends as well.
//!
//! These are plain values with their defaults. Names, formats and help are in `control::table`.

mod hedging;
mod names;
mod sandbox;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use hedging::Hedging;
pub use names::Names;
pub use sandbox::Confinement;

use super::statuses::Statuses;
use super::trusted::TrustedProxies;
use crate::balance::{Options, Policy, Role};
use crate::endpoint::Endpoint;
use crate::reactor::{DEFAULT_MODE, cores};

/// The whole configuration. `control::plan` makes it and checks it as a whole.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All settings.
    pub settings: Settings,
    /// The backends, in the order of the configuration.
    pub backends: Vec<Backend>,
}

impl Default for Plan {
    fn default() -> Self {
        let backends = [8081, 8082, 8083].map(|port| Backend::tcp("localhost", port));
        Self { settings: Settings::default(), backends: backends.into() }
    }
}

/// One backend as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backend {
    /// The URL as given; it names the backend in the CSV.
    pub url: String,
    /// Where it is reached.
    pub address: Address,
    /// How it is configured beside the others.
    pub role: Role,
    /// What its name stands for.
    pub resolve: Resolve,
}

impl Backend {
    /// The backend at a port of a host.
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        let address = Address::Tcp { host: host.to_owned(), port };
        let (role, resolve) = (Role::default(), Resolve::One);
        Self { url: format!("http://{address}"), address, role, resolve }
    }

    /// Whether both are the same server, however it is configured.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        (&self.url, &self.address, self.resolve) == (&other.url, &other.address, other.resolve)
    }

    /// The host name that has to be looked up to reach it.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp { host, .. } => host.parse::<IpAddr>().is_err().then_some(host),
            Address::Unix(_) => None,
        }
    }
}

/// What the name of a backend stands for, which may have several addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolve {
    /// One server, reached at any of the addresses.
    One,
    /// A server at each of them: each address is a backend by itself.
    All,
}

/// Where a backend is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// A port of a host.
    Tcp {
        /// Its name, or an IP address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket: a path, or `@` and an abstract name.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where the proxy listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// The address.
    pub endpoint: Endpoint,
    /// The permissions of a Unix socket's file: users that may write to it may connect.
    pub mode: u32,
}

impl Listen {
    /// A port of all IPv4 addresses.
    #[must_use]
    pub fn all_ipv4(port: u16) -> Self {
        Endpoint::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).into()
    }

    /// The file of a Unix socket that is not abstract.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.endpoint {
            Endpoint::Tcp(_) => None,
            Endpoint::Unix(name) => name.path(),
        }
    }
}

impl From<Endpoint> for Listen {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, mode: DEFAULT_MODE }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        self.file().map_or(Ok(()), |_| write!(f, " mode={:04o}", self.mode))
    }
}

/// Where the proxy listens for the admin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminListen {
    /// The address.
    pub endpoint: Endpoint,
    /// Whether other hosts may reach it. Over TCP only the loopback is allowed otherwise.
    pub exposure: Exposure,
    /// A name by which requests may call this host, beside those of the loopback and addresses.
    pub host: Option<String>,
}

/// From where something can be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposure {
    /// From this host.
    Local,
    /// From wherever the network leads here.
    Exposed,
}

/// How a connection to an upstream is used.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum UpstreamReuse {
    /// Kept alive in a pool and used again, last in first out.
    Persistent,
    /// Opened for each request and closed after it; the client's connection is closed, too.
    NonPersistent,
}

impl UpstreamReuse {
    /// The name on the command line and in the CSV.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::NonPersistent => "non-persistent",
        }
    }
}

/// What it means that a client ends its half of the connection while it waits for an answer. TCP
/// says the same of one that only has nothing more to ask and of one that left.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum HalfClose {
    /// The client left: the attempt is cancelled, and the row says 499.
    Cancel,
    /// The client still reads: its answer is sent.
    Allow,
}

/// When a backend that went unobserved gets a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resample {
    /// When the policy says so. A plan has one of the others instead.
    ByPolicy,
    /// Never.
    Never,
    /// After so long.
    After(Duration),
}

/// The cores that workers stay on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pin {
    /// The system chooses, and may move a worker.
    None,
    /// One for each worker. A plan has [`Pin::Cores`] instead.
    Auto,
    /// These, in the order of the workers.
    Cores(Vec<usize>),
}

/// Every duration after which the proxy stops waiting.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a connection to an upstream, per address.
    pub connect: Duration,
    /// For an upstream that has the request to answer with a whole head, and without a byte of
    /// progress while it takes the request; `None` is no limit, here and in what follows.
    pub response: Option<Duration>,
    /// Without a byte of a response's body.
    pub stream: Option<Duration>,
    /// For a tunnel in which nothing moves.
    pub tunnel: Option<Duration>,
    /// For a backend below its limit, while a request waits in the queue.
    pub queue: Duration,
    /// For the whole head of a request, from its first byte; and until the first byte of a
    /// connection.
    pub header: Duration,
    /// Without a byte of progress by the client, while it sends a body or reads a response.
    pub body: Duration,
    /// For an idle client connection.
    pub client_idle: Duration,
    /// For an idle pooled upstream connection.
    pub upstream_idle: Duration,
    /// How long the proxy accepts clients after it is asked to stop, so that a load balancer in
    /// front of it learns of it first.
    pub shutdown_delay: Duration,
    /// For what is in flight then.
    pub drain: Duration,
    /// For what is in flight at a backend that is removed while the proxy runs.
    pub backend_drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(1),
            response: Some(seconds(60)),
            stream: Some(seconds(60)),
            tunnel: Some(seconds(3600)),
            queue: seconds(10),
            header: seconds(10),
            body: seconds(30),
            client_idle: seconds(75),
            upstream_idle: seconds(30),
            shutdown_delay: Duration::ZERO,
            // A container engine kills 10 s after it asked to stop; the log takes a while, too.
            drain: seconds(8),
            backend_drain: seconds(3600),
        }
    }
}

/// Every amount beyond which the proxy refuses or holds back.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's or a response's head.
    pub head_bytes: usize,
    /// Field lines of a head.
    pub headers: usize,
    /// Bytes of a request's body; `None` is no limit.
    pub body_bytes: Option<u64>,
    /// Bytes per second that a request's body must keep up once `Timeouts::body` is used up; `None`
    /// asks for none.
    pub body_rate: Option<NonZeroU64>,
    /// Client connections per worker; at the limit idle ones are closed, or accepting stops.
    pub connections: usize,
    /// Idle upstream connections per backend and worker.
    pub pool: usize,
    /// Attempts per request, replacing a stale connection included.
    pub attempts: u32,
    /// Requests sent again, per hundred requests.
    pub retry_percent: u8,
    /// Requests that wait while all backends are at their limits, in all workers together.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            headers: 128,
            body_bytes: None,
            body_rate: NonZeroU64::new(10),
            connections: 10_240,
            pool: 512,
            attempts: 3,
            retry_percent: 20,
            queue: 0,
        }
    }
}

/// How backends are checked by requests of the proxy's own.
#[derive(Clone, Debug)]
pub struct Checks {
    /// The target of these requests; `None` is no checks.
    pub path: Option<String>,
    /// From the beginning of a check to that of the next one.
    pub interval: Duration,
    /// How long a check may take, connecting included.
    pub timeout: Duration,
    /// Passed checks in a row that bring a backend back.
    pub rise: u8,
    /// Failed checks in a row that take it down.
    pub fall: u8,
    /// The statuses with which a check passes.
    pub statuses: Statuses,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            rise: 2,
            fall: 3,
            statuses: Statuses::default(),
        }
    }
}

/// All a proxy runs by, except its backends.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How a backend is chosen. A plan sets its parameter to one of the next two.
    pub policy: Policy,
    /// How many response times `adaptive_sma` averages.
    pub sma_window: usize,
    /// The weight of the newest response time in `adaptive_ewma`.
    pub ewma_alpha: f64,
    /// How upstream connections are used.
    pub upstream_reuse: UpstreamReuse,
    /// The name of this process in `Via`, by which it knows requests that come back to it.
    pub pseudonym: String,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Where to listen for the admin; nowhere by default.
    pub admin: Vec<AdminListen>,
    /// The proxies in front of this one that are believed.
    pub trusted: TrustedProxies,
    /// The log; `None` is no log. A plan replaces `<policy>` and `<connections>` in it.
    pub log: Option<PathBuf>,
    /// The log of choices; `None` is none.
    pub decisions: Option<PathBuf>,
    /// Every so many choices are recorded, beside those that are unusual; at least 1.
    pub decision_sample: u32,
    /// Event loops, one thread each; `None` is one per core. A plan has a number.
    pub workers: Option<usize>,
    /// The cores of the workers.
    pub pin: Pin,
    /// How long a backend may go unobserved before it gets one probe.
    pub resample: Resample,
    /// Failures in a row that eject a backend; `None` if failures never do.
    pub eject_after: Option<u8>,
    /// How many of a hundred backends may be ejected by failures in a row.
    pub max_ejected: u8,
    /// How long a backend is ejected at first.
    pub cooldown: Duration,
    /// How long it is ejected at most.
    pub cooldown_max: Duration,
    /// How long the share of a backend grows after it was added or came back; `None` turns it off.
    pub slow_start: Option<Duration>,
    /// How long a probe keeps other requests from its backend at most.
    pub probe_timeout: Duration,
    /// Active checks.
    pub checks: Checks,
    /// Host names.
    pub names: Names,
    /// What a client's end of stream means while it waits.
    pub half_close: HalfClose,
    /// Second attempts.
    pub hedging: Hedging,
    /// Durations.
    pub timeouts: Timeouts,
    /// Amounts.
    pub limits: Limits,
    /// Whether the proxy is kept from writing other files than its own.
    pub confinement: Confinement,
    /// Whether each decision is printed.
    pub verbose: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::Adaptive,
            sma_window: 3,
            ewma_alpha: 0.2,
            upstream_reuse: UpstreamReuse::Persistent,
            pseudonym: "tidegate".to_owned(),
            listen: vec![Listen::all_ipv4(9090)],
            admin: Vec::new(),
            trusted: TrustedProxies::default(),
            log: Some("logs/<policy>_<connections>.csv".into()),
            decisions: None,
            decision_sample: 100,
            workers: None,
            pin: Pin::None,
            resample: Resample::ByPolicy,
            eject_after: Some(3),
            max_ejected: 50,
            cooldown: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(5),
            slow_start: None,
            probe_timeout: Duration::from_secs(5),
            checks: Checks::default(),
            names: Names::default(),
            half_close: HalfClose::Cancel,
            hedging: Hedging::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            confinement: Confinement::Auto,
            verbose: false,
        }
    }
}

impl Settings {
    /// All addresses at which the proxy listens. No backend can have one of these.
    #[must_use]
    pub fn taken(&self) -> Vec<Listen> {
        let admin = self.admin.iter().map(|admin| admin.endpoint.clone().into());
        self.listen.iter().cloned().chain(admin).collect()
    }

    /// How backends are chosen, as the balancer is told.
    #[must_use]
    pub fn balancing(&self) -> Options {
        Options {
            policy: self.policy,
            resample_after: match self.resample {
                Resample::ByPolicy => self.policy.resample_after(),
                Resample::Never => None,
                Resample::After(limit) => Some(limit),
            },
            eject_after: self.eject_after,
            max_ejected_percent: self.max_ejected,
            slow_start: self.slow_start.unwrap_or_default(),
            cooldown: self.cooldown,
            cooldown_max: self.cooldown_max,
            probe_timeout: self.probe_timeout,
            hedges: self.hedging.percent.is_some(),
            ..Options::default()
        }
    }

    /// How many event loops there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        match (self.workers, &self.pin) {
            (Some(workers), _) => workers,
            (None, Pin::Cores(cores)) => cores.len(),
            (None, Pin::None | Pin::Auto) => cores::available(),
        }
    }

    /// The core that a worker stays on, if it is known.
    #[must_use]
    pub fn core(&self, worker: usize) -> Option<usize> {
        match &self.pin {
            Pin::Cores(cores) => cores.get(worker).copied(),
            Pin::None | Pin::Auto => None,
        }
    }
}
