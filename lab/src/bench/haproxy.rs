//! The configuration of `HAProxy`, here and in the arena.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::job::Job;

/// What the configurations differ in.
#[derive(Debug)]
pub(crate) struct Haproxy<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) cores: &'a [usize],
    pub(crate) workers: usize,
    pub(crate) logs: bool,
    /// The lines that say how connections are kept.
    pub(crate) connections: &'a str,
    pub(crate) response_timeout: Duration,
    /// Lines of the backend: the algorithm, options and servers.
    pub(crate) backend: &'a str,
}

/// The configuration of a bench.
pub(super) fn config(workers: usize, logs: bool, job: &Job<'_>) -> String {
    let mut backend = "balance roundrobin".to_owned();
    for (index, upstream) in job.upstreams().enumerate() {
        let address = upstream.to_string().replacen("unix:", "unix@", 1);
        // Writing to a String can't fail.
        let _ = write!(backend, "\n  server s{index} {address} pool-max-conn 512");
    }
    let haproxy = Haproxy {
        listen: job.listen,
        cores: job.cores,
        workers,
        logs,
        connections: if job.is_fresh {
            "option httpclose"
        } else {
            "option http-keep-alive\n  http-reuse always"
        },
        response_timeout: Duration::from_secs(10),
        backend: &backend,
    };
    haproxy.config()
}

impl Haproxy<'_> {
    /// A configuration for speed. The log goes to standard output, which is a file here, because
    /// `HAProxy` can't open a log file.
    pub(crate) fn config(&self) -> String {
        let target = if self.logs { "\n  log stdout format raw local0" } else { "" };
        let log = if self.logs { "\n  log global\n  option httplog" } else { "" };
        let cores = self.cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        format!(
            "global
  nbthread {workers}
  cpu-map auto:1/1-{workers} {cores}
  maxconn 8192{target}
defaults
  mode http{log}
  {connections}
  option forwardfor
  timeout connect 1s
  timeout client 75s
  timeout server {timeout}ms
  timeout http-keep-alive 75s
frontend clients
  bind {listen} backlog 4096
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend backends
backend backends
  {backend}
",
            workers = self.workers,
            connections = self.connections,
            timeout = self.response_timeout.as_millis(),
            listen = self.listen,
            backend = self.backend,
        )
    }
}
