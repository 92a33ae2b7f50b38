//! The command line of `tidegate`: flags as typed, and the settings they make.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, ValueEnum};
use tidegate::balance::{MAX_BACKENDS, Policy};
use tidegate::endpoint::Endpoint;
use tidegate::journal::STANDARD_OUTPUT;
use tidegate::proxy::settings::{
    Backend, HalfClose, Limits, Listen, Settings, Timeouts, UpstreamReuse,
};
use tidegate::proxy::trusted::{Origin, TrustedProxies};
use tidegate::reactor::cores;
use tidegate::time::parse_duration;
use tidegate::usage::Advice;

use crate::values::{
    Pin, Setting, alpha, bytes_or_off, listen, or_auto, or_off, pin, policy_name, positive,
    rate_or_off, upstream, window,
};

const EXAMPLES: &str = "\
EXAMPLES
  tidegate
      round-robin over http://localhost:8081, :8082 and :8083, on port 9090
  tidegate adaptive_ewma --connections non-persistent
  tidegate adaptive_sma --listen 127.0.0.1:8080 --upstream http://a:80 --upstream http://b:80
  tidegate adaptive_ewma --workers 2 --pin auto --log none
  tidegate --listen unix:/run/tidegate.sock --upstream unix:/run/app.sock
  tidegate --check --upstream http://a:80

SIGNALS
  SIGTERM, SIGINT   finish what is in flight and exit; a second one exits at once
  SIGHUP, SIGUSR1   reopen the log

EXIT STATUS
  0             stopped by a signal, or --check and --health found all well
  1             could not start, or --health got no answer
  2             a flag, an upstream or the log's path is wrong
  128 + signal  ended at once by a second signal";

/// What other proxies call what has another name here.
pub(crate) const ADVICE: [Advice; 4] = [
    Advice {
        task: "",
        words: &["backend", "backends", "server", "target"],
        tip: "backends are named with '--upstream http://host:port'",
    },
    Advice {
        task: "",
        words: &["bind", "address", "host"],
        tip: "where to listen is said with '--listen <ADDR:PORT>'",
    },
    Advice { task: "", words: &["threads", "cores"], tip: "threads are '--workers <N|auto>'" },
    Advice { task: "", words: &["csv", "output"], tip: "rows go to '--log <FILE|none>'" },
];

/// An adaptive HTTP/1.1 reverse proxy and load balancer.
///
/// Durations are written as 500ms, 2s or 1m.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Flags {
    /// How a backend is chosen: round-robin, `adaptive_sma` or `adaptive_ewma`
    #[arg(value_name = "POLICY", default_value = "round-robin", value_parser = policy_name)]
    policy: Policy,

    #[command(flatten)]
    proxying: Proxying,
    #[command(flatten)]
    balancing: Balancing,
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    timeouts: TimeoutFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    pub(crate) mode: Mode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConnectionMode {
    /// Kept alive and used again
    Persistent,
    /// Opened for each request; the client's connection is closed after it, too
    #[value(alias = "non_persistent")]
    NonPersistent,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClientHalfClose {
    /// It left: its request is cancelled at the backend, and the log says 499
    Cancel,
    /// It still reads, as `nc -N` does: its request is answered
    Allow,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Proxying")]
struct Proxying {
    /// How upstream connections are used
    #[arg(long, value_name = "MODE", value_enum, default_value = "persistent")]
    connections: ConnectionMode,

    /// Address to listen on; may be repeated, `[::]:9090` takes IPv4 as well; the file of a Unix
    /// socket has mode 0666, or as in `'unix:/run/tidegate.sock mode=0660'`
    #[arg(
        long, value_name = "ADDR:PORT|unix:PATH", default_value = "0.0.0.0:9090",
        value_parser = listen,
    )]
    listen: Vec<Listen>,

    /// Port to listen on, in place of --listen: N is short for `--listen 0.0.0.0:N`
    #[arg(long, value_name = "N", conflicts_with = "listen")]
    port: Option<u16>,

    /// A backend, `http://host[:port]` or `unix:/path/to/socket`; may be repeated
    #[arg(
        long,
        value_name = "URL|unix:PATH",
        value_parser = upstream,
        default_values = [
            "http://localhost:8081", "http://localhost:8082", "http://localhost:8083",
        ],
    )]
    upstream: Vec<Backend>,

    /// What it means that a client ends its half of the connection while it waits for an answer
    #[arg(long, value_name = "MEANING", value_enum, default_value = "cancel")]
    client_half_close: ClientHalfClose,
    /// A proxy in front of this one whose `X-Forwarded` fields are believed, `unix:` for those that
    /// come over a Unix socket; may be repeated
    #[arg(long, value_name = "CIDR|unix:", value_parser = str::parse::<Origin>)]
    trusted_proxy: Vec<Origin>,

    /// CSV file for one row per request, `-` for standard output, or `none`
    /// [default: logs/<policy>_<connections>.csv]
    #[arg(long, value_name = "FILE|none")]
    log: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Balancing")]
struct Balancing {
    /// Response times that `adaptive_sma` averages
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = window)]
    sma_window: usize,

    /// Weight of the newest response time in `adaptive_ewma`, above 0 and at most 1
    #[arg(long, value_name = "X", default_value_t = 0.2, value_parser = alpha)]
    ewma_alpha: f64,

    /// How long a backend may go unobserved before it gets one probe, or `off`
    #[arg(long, value_name = "DURATION|off", default_value = "off", value_parser = or_off)]
    resample_after: Setting<Duration>,

    /// How long a backend that refuses connections is left alone at first; doubles each time
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = positive)]
    cooldown: Duration,

    /// How long it is left alone at most
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive)]
    cooldown_max: Duration,

    /// How long a request that is sent to learn of a backend keeps others from it at most
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = positive)]
    probe_timeout: Duration,

    /// Attempts per request, replacing a stale connection included
    #[arg(
        long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    max_attempts: u32,

    /// Requests sent again per hundred requests, at least 3 a second; 0 sends none again
    #[arg(
        long, value_name = "PERCENT", default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(..=100),
    )]
    retry_budget: u8,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Cores")]
struct Speed {
    /// Event loops, one thread each; `auto` is one per available core
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = or_auto)]
    workers: Setting<usize>,

    /// Cores the workers stay on: `auto` (one each), `none`, or a list like 0,2
    #[arg(long, value_name = "auto|none|LIST", default_value = "none", value_parser = pin)]
    pin: Pin,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Timeouts")]
struct TimeoutFlags {
    /// For a connection to a backend, per address
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = positive)]
    connect_timeout: Duration,

    /// For a backend that has the request to send the head of its answer, or `off`; then 504
    #[arg(long, value_name = "DURATION|off", default_value = "60s", value_parser = or_off)]
    response_timeout: Setting<Duration>,

    /// Without a byte of an answer's body, or `off`
    #[arg(long, value_name = "DURATION|off", default_value = "60s", value_parser = or_off)]
    stream_timeout: Setting<Duration>,

    /// For a tunnel, such as a WebSocket, in which nothing moves, or `off`
    #[arg(long, value_name = "DURATION|off", default_value = "1h", value_parser = or_off)]
    tunnel_timeout: Setting<Duration>,

    /// For the whole head of a request, and for the first byte of a connection
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = positive)]
    header_timeout: Duration,

    /// Without progress by the client, sending a body or reading a response
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive)]
    body_timeout: Duration,

    /// For an idle client connection
    #[arg(long, value_name = "DURATION", default_value = "75s", value_parser = positive)]
    client_idle_timeout: Duration,

    /// For an idle backend connection
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive)]
    upstream_idle_timeout: Duration,

    /// How long a proxy that is stopped still lets clients in, while --health fails
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    shutdown_delay: Duration,

    /// For what is in flight when the proxy is stopped
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = parse_duration)]
    drain_timeout: Duration,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Bytes of a request's or a response's head, at most 65535
    #[arg(
        long, value_name = "BYTES", default_value_t = 16384,
        value_parser = clap::value_parser!(u16).range(256..),
    )]
    max_head_bytes: u16,

    /// Header fields of a request or a response
    #[arg(
        long, value_name = "N", default_value_t = 128,
        value_parser = clap::value_parser!(u16).range(1..=4096),
    )]
    max_headers: u16,

    /// Bytes of a request's body, or `off`
    #[arg(long, value_name = "BYTES|off", default_value = "off", value_parser = bytes_or_off)]
    max_body_bytes: Setting<u64>,

    /// Bytes per second a request's body must keep up once --body-timeout is used up, or `off`
    #[arg(long, value_name = "BYTES|off", default_value = "10", value_parser = rate_or_off)]
    min_body_rate: Setting<NonZeroU64>,

    /// Client connections per worker; beyond it, idle ones make room, or accepting stops
    #[arg(
        long, value_name = "N", default_value_t = 10_240,
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    max_connections: u32,

    /// Idle connections kept per backend and worker
    #[arg(long, value_name = "N", default_value_t = 512)]
    pool_size: u32,
}

/// What to do instead of serving, or beside it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Other")]
pub(crate) struct Mode {
    /// Print a line per decision
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Check the flags, resolve the upstreams, print the settings, and exit
    #[arg(long)]
    pub(crate) check: bool,

    /// Exit with 0 if a proxy answers at the address of --listen, else with 1
    #[arg(long)]
    pub(crate) health: bool,
}

impl Flags {
    /// The settings these flags ask for.
    ///
    /// # Errors
    /// What can't be, or can't be on this machine.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let (window, alpha) = (self.balancing.sma_window, self.balancing.ewma_alpha);
        let policy = self.policy.with(window, alpha);
        let count = self.proxying.upstream.len();
        ensure!(
            count <= MAX_BACKENDS,
            "--upstream: {count} are too many, {MAX_BACKENDS} is the most"
        );
        ensure!(
            self.balancing.cooldown <= self.balancing.cooldown_max,
            "--cooldown must not be longer than --cooldown-max"
        );
        let (workers, cores) = self.speed.place()?;
        Ok(Settings {
            policy,
            upstream_reuse: match self.proxying.connections {
                ConnectionMode::Persistent => UpstreamReuse::Persistent,
                ConnectionMode::NonPersistent => UpstreamReuse::NonPersistent,
            },
            pseudonym: format!("tidegate-{:08x}", fastrand::u32(..)),
            listen: self.proxying.listen(),
            backends: self.proxying.upstream.clone(),
            trusted: TrustedProxies::new(self.proxying.trusted_proxy.clone()),
            workers,
            cores,
            resample_after: self.balancing.resample_after.0,
            cooldown: self.balancing.cooldown,
            cooldown_max: self.balancing.cooldown_max,
            probe_timeout: self.balancing.probe_timeout,
            half_close: match self.proxying.client_half_close {
                ClientHalfClose::Cancel => HalfClose::Cancel,
                ClientHalfClose::Allow => HalfClose::Allow,
            },
            timeouts: self.timeouts.settings(),
            limits: Limits {
                head_bytes: usize::from(self.limits.max_head_bytes),
                headers: usize::from(self.limits.max_headers),
                body_bytes: self.limits.max_body_bytes.0,
                body_rate: self.limits.min_body_rate.0,
                connections: self.limits.max_connections as usize,
                pool: self.limits.pool_size as usize,
                attempts: self.balancing.max_attempts,
                retry_percent: self.balancing.retry_budget,
            },
            verbose: self.mode.verbose,
        })
    }

    /// Where the rows go; `None` for nowhere.
    pub(crate) fn log(&self, settings: &Settings) -> Option<PathBuf> {
        match &self.proxying.log {
            Some(path) if path.as_os_str() == "none" => None,
            Some(path) if path.as_os_str() == "-" => Some(STANDARD_OUTPUT.into()),
            Some(path) => Some(path.clone()),
            None => {
                let connections = settings.upstream_reuse.name().replace('-', "_");
                Some(format!("logs/{}_{connections}.csv", settings.policy).into())
            }
        }
    }
}

impl Proxying {
    fn listen(&self) -> Vec<Listen> {
        let at_port = |port| {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            vec![Endpoint::from(address).into()]
        };
        self.port.map_or_else(|| self.listen.clone(), at_port)
    }
}

impl TimeoutFlags {
    fn settings(&self) -> Timeouts {
        Timeouts {
            connect: self.connect_timeout,
            response: self.response_timeout.0,
            stream: self.stream_timeout.0,
            tunnel: self.tunnel_timeout.0,
            header: self.header_timeout,
            body: self.body_timeout,
            client_idle: self.client_idle_timeout,
            upstream_idle: self.upstream_idle_timeout,
            shutdown_delay: self.shutdown_delay,
            drain: self.drain_timeout,
        }
    }
}

impl Speed {
    /// How many workers there are, and their cores.
    fn place(&self) -> Result<(usize, Vec<usize>)> {
        let allowed = cores::allowed().context("--pin: the system doesn't tell its cores")?;
        match (&self.pin, self.workers.0) {
            (Pin::None, workers) => Ok((workers.unwrap_or_else(cores::available), Vec::new())),
            (Pin::Auto, workers) => {
                let workers = workers.unwrap_or_else(cores::available);
                Ok((workers, allowed.iter().copied().cycle().take(workers).collect()))
            }
            (Pin::List(list), workers) => {
                if let Some(core) = list.iter().find(|core| !allowed.contains(core)) {
                    bail!(
                        "--pin: there is no core {core} to run on; the allowed ones are {allowed:?}"
                    );
                }
                let workers = workers.unwrap_or(list.len());
                ensure!(
                    list.len() >= workers,
                    "--pin names too few cores for {workers} workers ({}); name one for each",
                    list.len()
                );
                Ok((workers, list[..workers].to_vec()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
