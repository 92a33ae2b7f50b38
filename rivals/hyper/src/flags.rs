//! The command line: as much of `tidegate`'s as is measured, spelled the same.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Parser, ValueEnum};
use hyper::http::uri::{Authority, Uri};
use tidegate::balance::Policy;
use tidegate::reactor::cores;
use tidegate::time::parse_duration;

/// The same proxy on hyper and tokio.
#[derive(Debug, Parser)]
#[command(name = "rival-hyper", version, max_term_width = 100)]
pub(crate) struct Flags {
    /// How a backend is chosen: by a policy of tidegate's, or by tower's p2c-peak-ewma
    #[arg(value_name = "POLICY", default_value = "round-robin", value_parser = choice)]
    pub(crate) choice: Choice,

    /// How upstream connections are used
    #[arg(long, value_name = "MODE", value_enum, default_value = "persistent")]
    pub(crate) connections: Mode,

    /// What keeps persistent connections
    #[arg(long, value_name = "CLIENT", value_enum, default_value = "pooled")]
    pub(crate) client: Client,

    /// For a backend to send the head of its response
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) response_timeout: Duration,

    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:9090")]
    pub(crate) listen: SocketAddr,

    /// A backend, `http://host[:port]`; may be repeated
    #[arg(
        long, value_name = "URL", value_parser = backend,
        default_values = [
            "http://localhost:8081", "http://localhost:8082", "http://localhost:8083",
        ],
    )]
    pub(crate) upstream: Vec<Backend>,

    /// CSV file for one row per request, or `none`
    #[arg(long, value_name = "FILE|none", default_value = "none", value_parser = log)]
    pub(crate) log: Log,

    /// Runtimes, one thread each [default: one per available core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Cores the workers stay on: `auto` (one each), `none`, or a list like 0,2
    #[arg(long, value_name = "auto|none|LIST", default_value = "none")]
    pin: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Mode {
    /// Kept alive and used again
    Persistent,
    /// Opened for each request; the client's connection is closed after it, too
    #[value(alias = "non_persistent")]
    NonPersistent,
}

impl Mode {
    /// The name in the CSV.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::NonPersistent => "non-persistent",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Client {
    /// hyper-util's client with its pool
    Pooled,
    /// hyper's single connections with a last-in-first-out pool of our own
    OwnPool,
}

/// How a backend is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// By a policy of tidegate's.
    Policy(Policy),
    /// By tower's `PeakEwma`, of two that are drawn.
    PeakEwma,
}

impl Choice {
    const PEAK_EWMA: &str = "p2c-peak-ewma";

    /// The policy of tidegate's balancer, which is not asked if tower chooses.
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Policy(policy) => policy,
            Self::PeakEwma => Policy::RoundRobin,
        }
    }

    /// The name in the CSV.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Policy(policy) => policy.name(),
            Self::PeakEwma => Self::PEAK_EWMA,
        }
    }
}

fn choice(text: &str) -> Result<Choice, String> {
    if text == Choice::PEAK_EWMA {
        return Ok(Choice::PeakEwma);
    }
    let refuse = |error| format!("{error}, or {}", Choice::PEAK_EWMA);
    text.parse().map(Choice::Policy).map_err(refuse)
}

/// Where requests can be sent.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// As given; it names the backend in the CSV.
    pub(crate) url: String,
    /// `host:port`.
    pub(crate) authority: Authority,
}

/// Where the rows go, if anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Log(pub(crate) Option<PathBuf>);

#[expect(clippy::unnecessary_wraps, reason = "a value parser returns a result")]
fn log(text: &str) -> Result<Log, String> {
    Ok(Log((text != "none").then(|| text.into())))
}

fn backend(url: &str) -> Result<Backend, String> {
    let refuse = || "give http://host or http://host:port".to_owned();
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    let authority =
        uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/");
    let authority = authority.ok_or_else(refuse)?;
    let authority = match authority.port() {
        Some(_) => authority.clone(),
        None => format!("{authority}:80").parse().map_err(|_| refuse())?,
    };
    Ok(Backend { url: url.to_owned(), authority })
}

impl Flags {
    /// The core of each worker, or `None` where the system may choose.
    ///
    /// # Errors
    /// A core that isn't there, or fewer cores than workers.
    pub(crate) fn places(&self) -> Result<Vec<Option<usize>>> {
        let workers = self.workers.map(usize::from);
        let cores = match self.pin.as_str() {
            "none" => return Ok(vec![None; workers.unwrap_or_else(cores::available)]),
            "auto" => {
                let allowed = cores::allowed()?;
                let count = workers.unwrap_or(allowed.len());
                allowed.into_iter().cycle().take(count).collect()
            }
            list => {
                list.split(',').map(|core| core.trim().parse()).collect::<Result<Vec<_>, _>>()?
            }
        };
        let allowed = cores::allowed()?;
        if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
            bail!("--pin: there is no core {core} to run on; the allowed ones are {allowed:?}");
        }
        let workers = workers.unwrap_or(cores.len());
        ensure!(cores.len() >= workers, "--pin names fewer cores than there are workers");
        Ok(cores.into_iter().take(workers).map(Some).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_a_host_and_a_port() {
        for (url, authority) in [
            ("http://localhost:8081", "localhost:8081"),
            ("http://a", "a:80"),
            ("http://[::1]:1", "[::1]:1"),
        ] {
            let backend = backend(url).expect(url);
            assert_eq!((backend.url.as_str(), backend.authority.as_str()), (url, authority));
        }
        for url in ["", "a", "a:80", "https://a", "http://a/b", "http://"] {
            assert!(backend(url).is_err(), "{url}");
        }
    }

    #[test]
    fn every_worker_gets_a_core_that_exists() {
        let places = |args: &[&str]| {
            Flags::try_parse_from([&["rival-hyper"], args].concat()).expect("flags").places()
        };
        let first = cores::allowed().expect("cores")[0];
        assert_eq!(places(&["--workers", "2"]).expect("none"), [None, None]);
        assert_eq!(places(&["--workers", "1", "--pin", "auto"]).expect("auto"), [Some(first)]);
        assert_eq!(places(&["--pin", &first.to_string()]).expect("listed"), [Some(first)]);
        assert!(places(&["--pin", "99999"]).is_err());
        assert!(places(&["--pin", "x"]).is_err());
        assert!(places(&["--workers", "2", "--pin", &first.to_string()]).is_err());
    }
}
