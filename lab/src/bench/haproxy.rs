//! The configuration of `HAProxy` for the same job.

use std::fmt::Write;

use super::job::Job;

/// A configuration for speed. The log goes to standard output, which is a file here, because
/// `HAProxy` can't open a log file.
pub(super) fn config(workers: usize, logs: bool, job: &Job<'_>) -> String {
    let target = if logs { "\n  log stdout format raw local0" } else { "" };
    let log = if logs { "\n  log global\n  option httplog" } else { "" };
    let reuse = if job.is_fresh {
        "option httpclose"
    } else {
        "option http-keep-alive\n  http-reuse always"
    };
    let cores = job.cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut servers = String::new();
    for (index, upstream) in job.upstreams().enumerate() {
        let address = upstream.to_string().replacen("unix:", "unix@", 1);
        // Writing to a String can't fail.
        let _ = write!(servers, "\n  server s{index} {address} pool-max-conn 512");
    }
    format!(
        "global
  nbthread {workers}
  cpu-map auto:1/1-{workers} {cores}
  maxconn 8192{target}
defaults
  mode http{log}
  {reuse}
  option forwardfor
  timeout connect 1s
  timeout client 75s
  timeout server 10s
  timeout http-keep-alive 75s
frontend clients
  bind {listen} backlog 4096
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend backends
backend backends
  balance roundrobin{servers}
",
        listen = job.listen,
    )
}
