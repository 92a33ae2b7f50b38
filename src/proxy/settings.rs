//! What a worker runs by: one validated value, never changed while it is in use.
//!
//! The command line makes it, every worker reads it, and a new one can be handed over later. It
//! knows nothing of how a flag is spelled.

use std::fmt::{self, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::trusted::TrustedProxies;
use crate::balance::Policy;
use crate::endpoint::Endpoint;
use crate::reactor::DEFAULT_MODE;
use crate::time::format_duration;

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
    pub fn name(self) -> &'static str {
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

impl HalfClose {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Allow => "allow",
        }
    }
}

/// One backend as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backend {
    /// The URL as given; it names the backend in the CSV.
    pub url: String,
    /// Where it listens.
    pub address: Address,
}

/// Where a backend listens, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// At a TCP port.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// At a Unix socket: a path, or `@` and an abstract name.
    Unix(PathBuf),
}

/// A place to listen at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// The address.
    pub endpoint: Endpoint,
    /// The permissions of a Unix socket's file: those can connect whom they let write.
    pub mode: u32,
}

impl From<Endpoint> for Listen {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, mode: DEFAULT_MODE }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp(address) => address.fmt(f),
            Endpoint::Unix(name) => write!(f, "{name} mode={:04o}", self.mode),
        }
    }
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
    /// For the whole head of a request, from its first byte; and until the first byte of a
    /// connection.
    pub header: Duration,
    /// Without a byte of progress by the client, while it sends a body or reads a response.
    pub body: Duration,
    /// For an idle client connection.
    pub client_idle: Duration,
    /// For an idle pooled upstream connection.
    pub upstream_idle: Duration,
    /// How long the proxy lets clients in after it is asked to stop, so that those who send them
    /// learn of it first.
    pub shutdown_delay: Duration,
    /// For what is in flight then.
    pub drain: Duration,
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
    /// Client connections per worker; beyond it, idle ones make room, or accepting stops.
    pub connections: usize,
    /// Idle upstream connections per backend and worker.
    pub pool: usize,
    /// Attempts per request, replacing a stale connection included.
    pub attempts: u32,
    /// Requests sent again, per hundred requests.
    pub retry_percent: u8,
}

/// All a proxy runs by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How a backend is chosen.
    pub policy: Policy,
    /// How upstream connections are used.
    pub upstream_reuse: UpstreamReuse,
    /// The name of this process in `Via`, by which it knows requests that come back to it.
    pub pseudonym: String,
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// The backends.
    pub backends: Vec<Backend>,
    /// The proxies in front of this one that are believed.
    pub trusted: TrustedProxies,
    /// Event loops, one thread each.
    pub workers: usize,
    /// The core of each worker, in order; empty leaves the choice to the system.
    pub cores: Vec<usize>,
    /// How long a backend may go unobserved before it gets one probe.
    pub resample_after: Option<Duration>,
    /// How long a backend that refuses connections is left alone at first.
    pub cooldown: Duration,
    /// How long it is left alone at most.
    pub cooldown_max: Duration,
    /// How long a probe keeps other requests from its backend at most.
    pub probe_timeout: Duration,
    /// What a client's end of stream means while it waits.
    pub half_close: HalfClose,
    /// Durations.
    pub timeouts: Timeouts,
    /// Amounts.
    pub limits: Limits,
    /// Whether each decision is printed.
    pub verbose: bool,
}

impl Settings {
    /// The `Host` for a request that came without one: HTTP/1.0 allows that, HTTP/1.1 does not.
    #[must_use]
    pub fn default_host(&self) -> &str {
        match self.backends.first() {
            Some(Backend { address: Address::Unix(_), .. }) => "localhost",
            Some(Backend { url, .. }) => url.strip_prefix("http://").unwrap_or(url),
            None => "",
        }
    }

    fn describe_policy(&self) -> String {
        let parameters = self.policy.parameters();
        let parts = parameters.iter().map(|(name, value)| format!(", {name} {value}"));
        self.policy.to_string() + &parts.collect::<String>()
    }

    /// The settings as lines of `name value`, for `--check`.
    #[must_use]
    pub fn describe(&self) -> String {
        let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
        let join = |values: Vec<String>| values.join(", ");
        let (timeouts, limits) = (&self.timeouts, &self.limits);
        let lines = [
            ("policy", self.describe_policy()),
            ("connections", self.upstream_reuse.name().to_owned()),
            ("listen", join(self.listen.iter().map(ToString::to_string).collect())),
            ("upstream", join(self.backends.iter().map(|u| u.url.clone()).collect())),
            (
                "trusted-proxy",
                match self.trusted.origins() {
                    [] => "none".to_owned(),
                    origins => join(origins.iter().map(ToString::to_string).collect()),
                },
            ),
            ("workers", self.workers.to_string()),
            (
                "pin",
                match self.cores.as_slice() {
                    [] => "none".to_owned(),
                    cores => join(cores.iter().map(ToString::to_string).collect()),
                },
            ),
            ("resample-after", or(self.resample_after.map(format_duration), "off")),
            ("cooldown", format_duration(self.cooldown)),
            ("cooldown-max", format_duration(self.cooldown_max)),
            ("probe-timeout", format_duration(self.probe_timeout)),
            ("client-half-close", self.half_close.name().to_owned()),
            ("connect-timeout", format_duration(timeouts.connect)),
            ("response-timeout", or(timeouts.response.map(format_duration), "off")),
            ("stream-timeout", or(timeouts.stream.map(format_duration), "off")),
            ("tunnel-timeout", or(timeouts.tunnel.map(format_duration), "off")),
            ("header-timeout", format_duration(timeouts.header)),
            ("body-timeout", format_duration(timeouts.body)),
            ("client-idle-timeout", format_duration(timeouts.client_idle)),
            ("upstream-idle-timeout", format_duration(timeouts.upstream_idle)),
            ("shutdown-delay", format_duration(timeouts.shutdown_delay)),
            ("drain-timeout", format_duration(timeouts.drain)),
            ("max-head-bytes", limits.head_bytes.to_string()),
            ("max-headers", limits.headers.to_string()),
            ("max-body-bytes", or(limits.body_bytes.map(|b| b.to_string()), "off")),
            ("min-body-rate", or(limits.body_rate.map(|rate| format!("{rate} B/s")), "off")),
            ("max-connections", format!("{} per worker", limits.connections)),
            ("pool-size", format!("{} per backend and worker", limits.pool)),
            ("max-attempts", limits.attempts.to_string()),
            ("retry-budget", format!("{} % of requests", limits.retry_percent)),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{name:<22} {value}");
        }
        text
    }
}
